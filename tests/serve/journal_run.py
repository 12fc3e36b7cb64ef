#!/usr/bin/env python3
"""perwatt run with a journal is killed with -9: the file plays again to the bit and is taken for no other run."""
import argparse
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def killed_run(perwatt, journal, wait):
    run = subprocess.Popen([perwatt, "run", "examples/site-live.toml", "--speed", "100", "--listen", "127.0.0.1:0",
                            "--journal", journal], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline().startswith("Listening")
        time.sleep(wait)
    finally:
        run.kill()
        run.wait()
        run.stdout.close()


def replay(perwatt, journal, *flags):
    return subprocess.run([perwatt, "simulate", "examples/site-live.toml", "--replay", journal, *flags], cwd=ROOT,
                          capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--kills", type=int, default=5)
    arguments = parser.parse_args()
    perwatt = str(Path(arguments.perwatt).resolve())
    dice = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        for kill in range(arguments.kills):
            journal = f"{folder}/{kill}.sqlite"
            killed_run(perwatt, journal, dice.uniform(0, 2))
            done = replay(perwatt, journal, "--policy", "perwatt")
            assert done.returncode == 0, done
            found = re.fullmatch(r".*: 1 starts, (\d+) ticks, (\d+) grants and \d+ states come again, to the bit\n",
                                 done.stdout)
            assert found and int(found[1]) >= 30 and int(found[2]) > 100, done.stdout
        again = subprocess.run([perwatt, "run", "examples/site-live.toml", "--journal", journal], cwd=ROOT,
                               capture_output=True, text=True)
        assert again.returncode == 3 and "the file is there already" in again.stderr, again
        other = replay(perwatt, journal, "--policy", "static")
        assert other.returncode == 2 and "kind perwatt" in other.stderr, other
    print(f"{arguments.kills} runs killed, each journal plays again to the bit")


if __name__ == "__main__":
    main()
