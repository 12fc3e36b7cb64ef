#!/usr/bin/env python3
"""The agents as a process of their own, with the program as it is installed.

`perwatt simulate` gives the same bytes with its agents inside and in a process. Under `perwatt run` the
process is killed with -9 again and again: it is back each time, no limit is passed, no zombie stays; and
it is gone when the run is killed. `perwatt agent` refuses what is no request.
"""
import argparse
import json
import os
import random
import re
import signal
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60 if "INSTRUMENTED" not in os.environ else 600


def children(parent):
    """Of all threads, zombies too."""
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except FileNotFoundError:  # a thread that has ended
            pass
    return [int(one) for one in found]


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def same_bytes(perwatt):
    for scenario in ("feeds", "maxlps"):
        command = [perwatt, "simulate", f"examples/scenario-{scenario}.toml", "--policy", "perwatt",
                   "--duration", "1min", "--json"]
        inside, process = (subprocess.run([*command, "--agents", where], cwd=ROOT, check=True,
                                          capture_output=True).stdout for where in ("inside", "process"))
        assert inside == process, f"{scenario} differs"
        assert json.loads(inside)["policies"], scenario
    print("simulate: the same bytes inside and in a process")


class Run:
    def __init__(self, perwatt):
        self.process = subprocess.Popen(
            [perwatt, "run", "examples/site-live.toml", "--speed", "50", "--listen", "127.0.0.1:0"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://[\d.:]+\d", self.process.stdout.readline()).group()

    def state(self):
        with urllib.request.urlopen(f"{self.url}/api/v1/state", timeout=PATIENCE) as answer:
            return json.load(answer)

    def goes_on(self):
        begin = self.state()["time_seconds"]
        wait_for(lambda: self.state()["time_seconds"] > begin + 100, "the site stands still")

    def agent(self):
        found = children(self.process.pid)
        return found[0] if len(found) == 1 else None


def killed_agents(perwatt, kills):
    dice = random.Random(1)
    run = Run(perwatt)
    try:
        for _ in range(kills):
            wait_for(lambda: run.agent() and is_running(run.agent()), "no agent is there")
            agent = run.agent()
            time.sleep(dice.uniform(0, 0.3))
            os.kill(agent, signal.SIGKILL)
            wait_for(lambda: run.agent() not in (None, agent), "it is not begun anew")
            assert not is_running(agent)
        run.goes_on()
        before = run.agent()
        os.kill(before, signal.SIGINT)  # as a terminal would, to all
        run.goes_on()
        assert run.agent() == before, "an interrupt ends it"
        state = run.state()
        assert state["totals"]["limit_violations"] == 0, state["totals"]
        told = [event["text"] for event in state["events"] if "process of the agents is gone" in event["text"]]
        assert 0 < len(told) <= kills, told  # one that is killed before it speaks is told of once
        run.process.kill()
        wait_for(lambda: not is_running(before), "it outlives the run")
    finally:
        run.process.kill()
        run.process.wait()
        run.process.stdout.close()
    print(f"run: {kills} kills, 0 limits passed, nothing left behind")


def ended_run(perwatt):
    run = Run(perwatt)
    run.goes_on()
    agent = run.agent()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(PATIENCE) == 0, run.process.returncode
    run.process.stdout.close()
    assert not is_running(agent)


def refused(perwatt):
    def frame(message):
        return struct.pack("<I", len(message)) + message
    for sent, why in ((b"hello", "bytes, more than"), (frame(b"\x09\x01"), "it is of version 9, not 1"),
                      (frame(b"\x01\x01")[:5], "the input ends within a message"),
                      (frame(b"\x01\x03\0\0\0\0"), "the session has not begun")):
        done = subprocess.run([perwatt, "agent"], input=sent, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 3, done
        assert why in done.stderr.decode(), done.stderr
        assert done.stderr.count(b"\n") == 1, done.stderr
        assert why.encode() in done.stdout, "the refusal is not answered"
    done = subprocess.run([perwatt, "agent"], input=b"", capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    print("agent: refuses what is no request")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    perwatt = str(Path(arguments.perwatt).resolve())
    refused(perwatt)
    same_bytes(perwatt)
    killed_agents(perwatt, arguments.kills)
    ended_run(perwatt)


if __name__ == "__main__":
    main()
