# SPDX-License-Identifier: MIT
"""simtree.py - the simulated machine's build, for scripts that compile a changed core into it"""
import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

# Where the build keeps objects of the core and of scenarios; the others are the machine's and the tool's.
CORE = "quire_core_sim.a.p/"
# As in scripts/simlink, so that the simulator sees what these do.
RENAME = "--redefine-syms=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "sim-symbols")


class Wrong(Exception):
    """What was asked for cannot be done; the text says why."""


# Set by SIGTERM, for the threads that are at work.
ended = threading.Event()


def end_by_sigterm():
    """Ends the main thread as any exception does, so that what it has made is removed."""
    def end(number, _):
        ended.set()
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, end)


def go_on():
    if ended.is_set():
        raise Wrong("ended by SIGTERM")


def command(argv, **options):
    """Its output; raises Wrong with what it printed if it fails."""
    go_on()
    try:
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    except OSError as why:
        raise Wrong(f"cannot run {argv[0]}: {why.strerror}") from None
    if done.returncode != 0:
        raise Wrong((done.stderr + done.stdout).strip() or f"{argv[0]} ended with {done.returncode}")
    return done.stdout


def without_outputs(arguments):
    """A compiler's arguments but for those that name what it writes."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument == "-MD":
            skip = False
        elif argument in ("-MQ", "-MF", "-o"):
            skip = True
        else:
            kept.append(argument)
    return kept


def masked(text):
    """The text with comments, strings and characters blank, of the same length."""
    blank = lambda found: re.sub(r"[^\n]", " ", found[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


class Tree:
    """The source and a build of it."""

    def __init__(self, source, build):
        self.source, self.build = source, build
        self.work = os.path.join(build, "mutants")
        self.explorer = os.path.join(build, "quire-explore")
        self.linked = None  # libraries()
        self.compiles = {}  # source path -> (arguments, object)
        self.readers = {}  # header -> sources, once asked for
        for entry in json.load(open(os.path.join(build, "compile_commands.json"))):
            if CORE in entry["output"] or "quire-explore.p/" in entry["output"]:
                path = os.path.normpath(os.path.join(build, entry["file"]))
                self.compiles[path] = (shlex.split(entry["command"]), entry["output"])
        os.makedirs(self.work, exist_ok=True)

    def prepare(self):
        """The unchanged objects, with names as scripts/simlink gives them."""
        with open(self.explorer, "rb") as file:
            self.explorer_hash = hashlib.sha256(file.read()).hexdigest()
        base = os.path.join(self.work, "base." + self.explorer_hash[:16])
        if not os.path.isdir(base):
            self.rename_symbols(base)
        self.objects = {path: os.path.join(base, os.path.basename(name)) if CORE in name
                        else os.path.join(self.build, name) for path, (_, name) in self.compiles.items()}

    def rename_symbols(self, base):
        """Objects of the core and of scenarios in @base: all, or it is not there."""
        making = f"{base}.{os.getpid()}"
        try:
            os.makedirs(making)
            for _, name in self.compiles.values():
                if CORE in name:
                    command(["objcopy", RENAME, os.path.join(self.build, name),
                             os.path.join(making, os.path.basename(name))])
            with contextlib.suppress(OSError):  # another was faster
                os.rename(making, base)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def rebuild(self):
        command(["ninja", "-C", self.build, "quire-explore"])

    def close(self):
        """Nothing is left to remove."""

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
        argv = [argument_for(argument) for argument in without_outputs(arguments)]
        # What a change leaves unused is no matter.
        command([*argv, *more, "-w", "-fdiagnostics-color=never", "-o", made], cwd=self.build)
        if CORE in name:
            command(["objcopy", RENAME, made])

    def link(self, objects, explorer):
        compiler = next(word for word in next(iter(self.compiles.values()))[0] if word != "ccache")
        command([compiler, "-o", explorer, *objects, "-pthread", "-lm", *self.libraries()])

    def libraries(self):
        """Those that the build links, beside libc's."""
        if self.linked is None:
            linking = command(["ninja", "-C", self.build, "-t", "commands", "-s", "quire-explore"])
            self.linked = [word for word in shlex.split(linking.splitlines()[-1])
                           if re.search(r"^-l|\.so[.0-9]*$", word)]
        return self.linked


class Installed(Tree):
    """The same as scripts/install-explorer left them: objects with their names changed, and sim.json."""

    def __init__(self, source, kit):
        self.source, self.build = source, kit
        self.work = tempfile.mkdtemp(prefix="quire-explore.")
        # For the table of mutants, which asks the explorer itself.
        with open(os.path.join(kit, "sim.json"), encoding="utf-8") as file:
            made = json.load(file)
        self.explorer = os.path.normpath(os.path.join(kit, made["explorer"]))
        self.compiles = {
            os.path.join(source, path): ([a.replace("@SOURCE@", source) for a in arguments], name)
            for path, (arguments, name) in made["compiles"].items()}
        self.linked = made["libraries"]
        self.readers = {}
        for path, headers in made["reads"].items():
            for header in headers:
                self.readers.setdefault(os.path.join(source, header), set()).add(os.path.join(source, path))

    def prepare(self):
        with open(self.explorer, "rb") as file:
            self.explorer_hash = hashlib.sha256(file.read()).hexdigest()
        self.objects = {path: os.path.join(self.build, name) for path, (_, name) in self.compiles.items()}

    def rebuild(self):
        """What is installed is as it is."""

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)
