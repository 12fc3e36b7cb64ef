#!/usr/bin/env python3
"""Broken input must end at once with one line that says where, what and what to do.

Messages are compared with expected.txt; --update rewrites it.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cases

EXPECTED = Path(__file__).resolve().parent / "expected.txt"
TIMEOUT_S = 60
LONGEST_MESSAGE = 1000


def write_files(case, folder):
    for name in case.folders:
        (folder / name).mkdir(parents=True)
    for name, content in case.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def run(binary, case):
    """(exit, stdout, stderr); exit is a text where the program did not end by itself."""
    with tempfile.TemporaryDirectory() as scratch:
        write_files(case, Path(scratch))
        try:
            done = subprocess.run([binary, *case.command], cwd=scratch, capture_output=True, timeout=TIMEOUT_S,
                                  env=os.environ | {"LC_ALL": "C.UTF-8"}, check=False)
        except subprocess.TimeoutExpired:
            return f"still running after {TIMEOUT_S} s", "", ""
        out, err = (text.decode("utf-8", "backslashreplace") for text in (done.stdout, done.stderr))
        return done.returncode, out, err


def shown(result, case):
    return result[1] if case.exit == 0 else result[2]


def faults_of(case, result):
    status, out, err = result
    if status != case.exit:
        return [f"exit {status}, not {case.exit}: {(err or out)[:300].strip()}"]
    text = shown(result, case)
    faults = [f"does not mention {m!r}" for m in case.mentions if m not in text]
    if case.exit in (3, 4):
        if err.count("\n") != 1 or not err.startswith("perwatt: "):
            faults.append("is not one line that starts with 'perwatt: '")
        if "; " not in err:
            faults.append("has no remedy")
        if out:
            faults.append("prints to standard output too")
        if len(err) > LONGEST_MESSAGE:
            faults.append(f"is {len(err)} characters long")
    if case.exit == 2 and not err.strip():
        faults.append("says nothing on standard error")
    if any(ord(c) < 32 and c != "\n" for c in text):
        faults.append("holds control characters")
    return faults


def read_expected():
    blocks = EXPECTED.read_text().split("== ")[1:] if EXPECTED.exists() else []
    return {name: text for name, text in (block.split("\n", 1) for block in blocks)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    binary = str(Path(options.perwatt).resolve())
    names = [case.name for case in cases.ALL]
    assert len(names) == len(set(names)), "two cases have one name"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda case: run(binary, case), cases.ALL))
        accepted = list(pool.map(lambda case: run(binary, case), cases.ACCEPTED))
    texts = {case.name: shown(result, case) for case, result in zip(cases.ALL, results)}
    if options.update:  # a text that breaks a rule is never what is expected
        EXPECTED.write_text("".join(f"== {case.name}\n{texts[case.name]}" for case, result in zip(cases.ALL, results)
                                    if not faults_of(case, result)))
    expected = read_expected()
    failures = 0
    for case, result in zip(cases.ALL, results):
        faults = faults_of(case, result)
        if texts[case.name] != expected.get(case.name):
            faults.append("differs from expected.txt" if case.name in expected else "is not in expected.txt (--update)")
        if faults:
            failures += 1
            print(f"{case.name}: {'; '.join(faults)}\n    {texts[case.name][:400].strip()}")
    plain = run(binary, cases.site("plain", cases.SITE))
    for case, result in zip(cases.ACCEPTED, accepted):
        if result[0] != 0 or (case.name.startswith("site/") and result[1] != plain[1]):
            failures += 1
            print(f"accepted {case.name}: exit {result[0]} or another answer\n    {result[2][:300]}")
    print(f"{len(cases.ALL) + len(cases.ACCEPTED)} cases, {failures} with a failure")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
