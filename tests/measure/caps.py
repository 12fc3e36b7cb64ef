"""Power caps that a sweep lowers stand again however the run ends; the driver is a fake one.

    FAKE_DRIVER_DIR=DIR /usr/bin/python3 tests/measure/caps.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import os
import signal
from pathlib import Path

from support import Standin, check, measure, run_checks, start, wait_for, write

STANDS, HIGH, LOW = 700_000, 400_000, 300_000  # mW
STATE = f"""gpus 2
0 power_mw 250000
0 energy_rate_mw 250000
0 bounds_mw 200000 700000
0 default_mw 700000
0 limit_mw {STANDS}
1 power_mw 250000
1 energy_rate_mw 250000
1 bounds_mw 200000 700000
1 default_mw 700000
1 limit_mw {STANDS}
"""
LOAD = ("--isl", 20, "--osl", 10, "--sweep", "concurrency:2,4", "--power", "nvml", "--gpus", 2)
CAPS = ("--power-caps", f"{LOW // 1000}W,{HIGH // 1000}W")
ALLOWED = ("--allow-power-control",)


class Driver:
    def __init__(self, name):
        self.state = Path(write(name, STATE))
        self.env = {"FAKE_NVML_STATE": str(self.state), "LD_LIBRARY_PATH": os.environ["FAKE_DRIVER_DIR"]}

    def limits(self):
        lines = [line.split() for line in self.state.read_text().splitlines()]
        return [int(words[2]) for words in lines if words[1:2] == ["limit_mw"]]


@check
def without_leave_no_cap_is_touched():
    driver = Driver("refused")
    run = measure("http://127.0.0.1:1", *LOAD, *CAPS, expect=2, env=driver.env)
    assert "--allow-power-control" in run.err and driver.limits() == [STANDS, STANDS]


@check
def each_cap_is_measured_and_none_is_left():
    driver = Driver("whole")
    with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
        result = measure(standin.url, *LOAD, *CAPS, *ALLOWED, "--duration", "1s", env=driver.env).json
    caps = [run["load"]["power_cap_watts"] for run in result["runs"]]
    assert sorted(caps) == [LOW / 1000, LOW / 1000, HIGH / 1000, HIGH / 1000], caps
    assert result["power_caps"]["not_restored"] == [] and driver.limits() == [STANDS, STANDS]


@check
def a_cap_above_what_stands_is_not_reported_as_taken():
    driver = Driver("above")
    with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
        result = measure(standin.url, *LOAD, "--power-caps", "900W", *ALLOWED, "--duration", "1s", env=driver.env).json
    assert "900 W" in result["power_caps"]["failure"], result["power_caps"]
    assert result["runs"] == [] and driver.limits() == [STANDS, STANDS]


def ended_by(number, name):
    driver = Driver(name)
    with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
        run = start(standin.url, *LOAD, *CAPS, *ALLOWED, "--duration", "20s", env=driver.env)
        wait_for(lambda: max(driver.limits()) <= HIGH, "lowered caps")
        run.process.send_signal(number)
        run.process.wait(20)
        wait_for(lambda: driver.limits() == [STANDS, STANDS], "caps that stand again")


@check
def caps_stand_again_after_a_kill():
    ended_by(signal.SIGKILL, "killed")


@check
def caps_stand_again_after_ctrl_c():
    ended_by(signal.SIGINT, "interrupted")


@check
def caps_stand_again_when_the_server_goes():
    driver = Driver("server")
    with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
        run = start(standin.url, *LOAD, *CAPS, *ALLOWED, "--duration", "20s", env=driver.env)
        wait_for(lambda: max(driver.limits()) <= HIGH, "lowered caps")
        standin.kill()
        run.process.wait(30)
    assert run.process.returncode == 4 and driver.limits() == [STANDS, STANDS]


if __name__ == "__main__":
    run_checks()
