#!/usr/bin/env python3
"""Runs every case folder {cmd, stdout, exit} and compares; --update writes what the program prints now.

Commands run in a scratch folder that looks like the repository root; /tmp/ in a command is that folder
too. Every example and every verb that `perwatt --help` shows must have a case.
"""
import argparse
import difflib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RELATIVE = 1e-9


class Program:
    def __init__(self, binary, scratch):
        self.binary, self.scratch = binary, Path(scratch)
        for name in ("examples", "data", "tests"):
            (self.scratch / name).symlink_to(ROOT / name)

    def run(self, command):
        """(exit, stdout with stderr after it), free of paths of this machine."""
        words = shlex.split(command)
        assert words[0] == "perwatt", command
        words = [w.replace("/tmp/", f"{self.scratch}/") for w in words[1:]]
        done = subprocess.run([self.binary, *words], cwd=self.scratch, capture_output=True, text=True, timeout=300)
        text = done.stdout + done.stderr
        for path, name in ((f"{self.scratch}/", "/tmp/"), (str(ROOT / "data"), "<data>")):
            text = text.replace(path, name)
        return done.returncode, text

    def clear(self):
        for file in self.scratch.iterdir():
            if file.is_symlink():
                continue
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()


def verbs(program, words=()):
    """(command words, help text) of the program and of all its verbs."""
    _, text = program.run(shlex.join(["perwatt", *words, "--help"]))
    yield words, text
    for name in re.findall(r"^  (\w[\w-]*) {2,}", text.partition("\nSubcommands:\n")[2], re.M):
        yield from verbs(program, (*words, name))


def commands_in_help(program):
    """What must have a case: each verb's help, --version and each example."""
    wanted = {"perwatt --version": None}
    for words, text in verbs(program):
        wanted[shlex.join(["perwatt", *words, "--help"])] = None
        examples = text.partition("\nExamples:\n")[2]
        wanted.update(dict.fromkeys(re.findall(r"^  (perwatt .*\S)\s*$", examples, re.M)))
    return list(wanted)


def cases():
    return {folder.name: (folder / "cmd").read_text().strip()
            for folder in sorted(HERE.iterdir()) if (folder / "cmd").is_file()}


def case_name(command):
    words = [w.lstrip("-") for w in command.split()[1:]]
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(words).lower()).strip("-")[:80]


def same_values(got, want):
    """Equal JSON but for the last digits of numbers."""
    if isinstance(got, dict) and isinstance(want, dict):
        return list(got) == list(want) and all(same_values(got[k], want[k]) for k in got)
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(map(same_values, got, want))
    if isinstance(got, float) and isinstance(want, (int, float)):
        return abs(got - want) <= RELATIVE * max(1.0, abs(want))
    return got == want


def same_output(got, want):
    if got == want:
        return True
    try:
        return same_values(json.loads(got), json.loads(want))
    except ValueError:
        return False


def check(name, command, program):
    folder = HERE / name
    status, text = program.run(command)
    want = (folder / "stdout").read_text()
    faults = []
    if status != int((folder / "exit").read_text()):
        faults.append(f"{name}: exit {status}\n")
    if not same_output(text, want):
        faults += difflib.unified_diff(want.splitlines(True), text.splitlines(True), f"{name}/stdout", "now")
    return faults[:60]


def update(program):
    known = cases()
    for command in commands_in_help(program):
        if command not in known.values():
            known[case_name(command)] = command
    for name, command in known.items():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        program.clear()
        status, text = program.run(command)
        (folder / "cmd").write_text(command + "\n")
        (folder / "stdout").write_text(text)
        (folder / "exit").write_text(f"{status}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        program = Program(str(Path(options.perwatt).resolve()), scratch)
        if options.update:
            update(program)
            return 0
        known = cases()
        faults = []
        for name, command in known.items():
            program.clear()
            faults += check(name, command, program)
        missing = [c for c in commands_in_help(program) if c not in known.values()]
        faults += [f"no case for: {command}\n" for command in missing]
    sys.stdout.writelines(faults)
    print(f"{len(known)} cases, {'differences above' if faults else 'all as expected'}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
