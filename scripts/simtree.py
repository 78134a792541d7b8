# SPDX-License-Identifier: MIT
"""simtree.py - the simulated machine's build, for scripts that compile a changed core into it"""
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess

# As in scripts/simlink, so that the simulator sees what these do.
RENAME = "--redefine-syms=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "sim-symbols")


class Wrong(Exception):
    """What was asked for cannot be done; the text says why."""


def command(argv, **options):
    """Its output; raises Wrong with what it printed if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise Wrong((done.stderr + done.stdout).strip() or f"{argv[0]} ended with {done.returncode}")
    return done.stdout


class Tree:
    """The source and a build of it."""

    def __init__(self, source, build):
        self.source, self.build = source, build
        self.work = os.path.join(build, "mutants")
        self.explorer = os.path.join(build, "quire-explore")
        self.compiles = {}  # source path -> (arguments, object)
        for entry in json.load(open(os.path.join(build, "compile_commands.json"))):
            if "quire_core_sim.a.p/" in entry["output"] or "quire-explore.p/" in entry["output"]:
                path = os.path.normpath(os.path.join(build, entry["file"]))
                self.compiles[path] = (shlex.split(entry["command"]), entry["output"])
        os.makedirs(self.work, exist_ok=True)

    def prepare(self):
        """The unchanged objects, with names as scripts/simlink gives them."""
        with open(self.explorer, "rb") as file:
            self.explorer_hash = hashlib.sha256(file.read()).hexdigest()
        self.objects, self.readers = {}, {}
        base = os.path.join(self.work, "base." + self.explorer_hash[:16])
        making = f"{base}.{os.getpid()}"
        have = os.path.isdir(base)
        if not have:
            os.makedirs(making)
        for path, (_, name) in self.compiles.items():
            self.objects[path] = os.path.join(self.build, name)
            if "quire_core_sim.a.p/" in name:
                if not have:
                    command(["objcopy", RENAME, self.objects[path],
                             os.path.join(making, os.path.basename(name))])
                self.objects[path] = os.path.join(base, os.path.basename(name))
        if have:
            return
        try:
            os.rename(making, base)  # whole, or not there
        except OSError:
            shutil.rmtree(making)  # another was faster

    def includers(self, header):
        """Sources of the explorer that read a header."""
        if not self.readers:
            target = None
            by_object = {name: path for path, (_, name) in self.compiles.items()}
            for line in command(["ninja", "-C", self.build, "-t", "deps"]).splitlines():
                if not line.startswith(" "):
                    target = by_object.get(line.split(":")[0])
                elif target is not None:
                    read = os.path.normpath(os.path.join(self.build, line.strip()))
                    self.readers.setdefault(read, set()).add(target)
        return self.readers.get(header, set())

    def compile(self, path, argument_for, made, more=()):
        """Compiles a source of the explorer to @made, its arguments passed through argument_for()."""
        arguments, name = self.compiles[path]
        argv, skip = [], False
        for argument in arguments:
            if skip or argument == "-MD":
                skip = False
            elif argument in ("-MQ", "-MF", "-o"):
                skip = True
            else:
                argv.append(argument_for(argument))
        # What a change leaves unused is no matter.
        command([*argv, *more, "-w", "-o", made], cwd=self.build)
        if "quire_core_sim.a.p/" in name:
            command(["objcopy", RENAME, made])

    def link(self, objects, explorer):
        compiler = [word for word in next(iter(self.compiles.values()))[0] if word != "ccache"][0]
        command([compiler, "-o", explorer, *objects, "-pthread", "-lm"])
