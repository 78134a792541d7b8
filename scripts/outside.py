# SPDX-License-Identifier: MIT
"""outside.py - a scenario's file from outside the tree, for `quire explore --scenario FILE`"""
import os
import re
import subprocess
import sys

from simtree import CORE, RENAME, Wrong, command, masked, without_outputs

ENTRY = "sim_entry_"  # SIM_TEST's, in src/machine/sim/sim.h
TEST = re.compile(r"\bSIM_TEST\s*\(\s*(\w+)")
TEST_OF = r"\bSIM_TEST\s*\(\s*%s\b"
WORD = r"\b%s\b"
# A scenario that includes nothing but the machine's header: its arguments serve for any other.
LIKE = os.path.join("tests", "sim", "litmus_sim.c")


class Outside:
    def __init__(self, tree, path):
        self.tree, self.path = tree, path if not path.startswith("-") else "./" + path
        try:
            with open(path, encoding="utf-8") as file:
                self.text = masked(file.read())
        except (OSError, UnicodeDecodeError) as why:
            raise Wrong(f"{path}: {getattr(why, 'strerror', None) or 'is no text'}") from None

    def place(self, pattern):
        """FILE:LINE of what the pattern finds first, or FILE."""
        match = re.search(pattern, self.text)
        return f"{self.path}:{self.text.count(chr(10), 0, match.start()) + 1}" if match else self.path

    def refuse_twice(self):
        lines = {}
        for match in TEST.finditer(self.text):
            line = self.text.count("\n", 0, match.start()) + 1
            if match[1] in lines:
                raise Wrong(f"{self.path}:{line}: scenario '{match[1]}' is also in line {lines[match[1]]}")
            lines[match[1]] = line

    def refuse_known(self, names):
        """A name of the tree's would be found in its stead."""
        for path, (_, name) in self.tree.compiles.items():
            if CORE not in name or not os.path.basename(path).endswith("_sim.c"):
                continue
            there = set(re.findall(ENTRY + r"(\w+)$", command(["nm", self.tree.objects[path]]), re.M))
            for known in sorted(there.intersection(names)):
                raise Wrong(f"{self.place(TEST_OF % known)}: scenario '{known}' is also in "
                            f"{os.path.relpath(path, self.tree.source)}")

    def refuse_foreign(self, made):
        """The simulator would not see what the rest of the world does."""
        there = set(re.findall(r" [A-TV-Z] (\S+)$", command(["nm", *self.tree.objects.values()]), re.M))
        for name in re.findall(r"^ +U (\S+)$", command(["nm", "-u", made]), re.M):
            if name not in there and name != "_GLOBAL_OFFSET_TABLE_":
                raise Wrong(f"{self.place(WORD % re.escape(name))}: '{name}' is not in the "
                            "simulated machine, which would not see what it does")

    def arguments(self, argument_for):
        """Those of a scenario of the tree, for this file; warnings are its writer's matter."""
        like = os.path.join(self.tree.source, LIKE)
        for argument in without_outputs(self.tree.compiles[like][0]):
            if argument.startswith("-I"):
                argument = argument_for(argument)
                yield "-I" + os.path.normpath(os.path.join(self.tree.build, argument[2:]))
            elif argument != "-Werror":
                path = os.path.normpath(os.path.join(self.tree.build, argument))
                yield from ["-x", "c", self.path] if path == like else [argument]

    def compile(self, folder, argument_for):
        made = os.path.join(folder, "outside.o")
        argv = [*self.arguments(argument_for), "-Werror=implicit-function-declaration",
                "-fdiagnostics-color=never", "-o", made]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            self.refuse_twice()
            raise Wrong(f"{self.path}: does not compile:\n{done.stderr.strip()}")
        sys.stderr.write(done.stderr)
        names = re.findall(ENTRY + r"(\w+)$", command(["nm", made]), re.M)
        if not names:
            raise Wrong(f"{self.path}: has no scenario: SIM_TEST(name) {{ ... }}, of machine/sim/sim.h")
        self.refuse_known(names)
        command(["objcopy", RENAME, made])
        self.refuse_foreign(made)
        return made
