#!/usr/bin/env python3
"""A measurement appended to a table of points is what frontier shows and plan deploys."""
import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from made_up_measurement import measurement  # noqa: E402

RELATIVE = 1e-9
GPUS = 8
# Lengths nobody else measured, so that every row of this workload is from here.
LENGTHS = {"isl": 777, "osl": 777}
RUNS = [{"label": "c 16", "concurrency": 16, "tpot_seconds": 0.010, "output_rate": 1500, "joules_per_output_token": 3.0},
        {"label": "c 64", "concurrency": 64, "tpot_seconds": 0.020, "output_rate": 3000, "joules_per_output_token": 1.7}]
SITE = """
[site]
name = "measured here"
envelope = "200kW"
[prices]
table = "2026-08"
energy_usd_per_kwh = 0.08
[[service]]
id = "chat"
model = "llama-3.3-70b"
isl_tokens = 777
osl_tokens = 777
min_interactivity = "40tok/s"
demand_output_tokens_per_s = 1000000
price_usd_per_million_output_tokens = 5
[[rack]]
system = "hgx-h100-air"
owned = 1
"""


class Check:
    def __init__(self, options, scratch):
        self.options, self.scratch, self.faults = options, Path(scratch), []

    def that(self, holds, fault):
        if not holds:
            self.faults.append(fault)

    def near(self, name, got, want):
        self.that(abs(got - want) <= RELATIVE * abs(want), f"{name} is {got!r}, not {want!r}")

    def append(self, table, runs, code=0, gpus=GPUS):
        files = []
        for i, run in enumerate(runs):
            files.append(self.scratch / f"{table.stem}-{i}.json")
            files[-1].write_text(json.dumps(run))
        done = subprocess.run([self.options.measurement_files, "points", str(ROOT / "data/catalog"), str(table), "h100",
                               str(gpus), *map(str, files)], capture_output=True, text=True, timeout=120)
        self.that(done.returncode == code, f"points ended with {done.returncode}, not {code}: {done.stderr}")
        return done.stdout.split() if code == 0 else done.stderr

    def perwatt(self, *words):
        return json.loads(subprocess.run([self.options.perwatt, *words, "--json"], check=True, capture_output=True,
                                         text=True, timeout=300).stdout)


def check_table(check, table):
    check.that(check.append(table, [measurement(**RUNS[0], **LENGTHS)]) == ["1", "0"], "one point was not added")
    check.that(check.append(table, [measurement(**RUNS[1], **LENGTHS)]) == ["1", "0"], "a second one was not added")
    check.that(check.append(table, [measurement(**RUNS[1], **LENGTHS)]) == ["0", "1"], "the same one was not replaced")
    rows = list(csv.DictReader(table.open()))
    check.that(len(rows) == len(RUNS), f"{len(rows)} rows")
    for row, run in zip(rows, RUNS):
        check.near("output rate", float(row["output_tokens_per_s_per_gpu"]), run["output_rate"] / GPUS)
        check.near("power", float(row["gpu_power_watts"]),
                   run["output_rate"] * run["joules_per_output_token"] / GPUS)
        check.near("TPOT", float(row["tpot_median_s"]), run["tpot_seconds"])


def check_use(check, table):
    found = check.perwatt("frontier", "--model", "llama-3.3-70b", "--isl", "777", "--osl", "777", "--min-interactivity",
                          "40tok/s", "--points", str(table))
    check.that(len(found["systems"]) == 1, f"frontier shows {len(found['systems'])} systems")
    best, shown = max(RUNS, key=lambda run: run["output_rate"]), found["systems"][0]
    check.that(shown["source"] == "perwatt-measure", f"the source is {shown['source']}")
    check.near("interactivity", shown["interactivity_tokens_per_s"], 1 / best["tpot_seconds"])
    check.near("rate shown", shown["output_tokens_per_s_per_gpu"], best["output_rate"] / GPUS)
    check.near("power shown", shown["gpu_power_watts"], best["output_rate"] * best["joules_per_output_token"] / GPUS)
    check.near("J/token shown", shown["joules_per_output_token"]["gpu"], best["joules_per_output_token"])
    check.that(len(shown["curve"]) == len(RUNS), "frontier lacks a measured load")
    site = check.scratch / "site.toml"
    site.write_text(SITE)
    plan = check.perwatt("plan", str(site), "--points", str(table), "--no-levers")
    check.that(plan["status"] == "optimal", f"plan is {plan['status']}")
    check.that("perwatt-measure" in json.dumps(plan), "plan deploys no measured point")
    without = check.perwatt("plan", str(site), "--no-levers")
    check.that("perwatt-measure" not in json.dumps(without), "the point is there without its table")


def check_refusals(check):
    table = check.scratch / "refused.csv"
    invalid = measurement(**RUNS[0], **LENGTHS, valid=False)
    check.that("client_lag" in check.append(table, [invalid], code=3), "an invalid run was not refused for its reason")
    powerless = measurement(**RUNS[0], **LENGTHS, power_valid=False)
    check.that("power" in check.append(table, [powerless], code=3), "an invalid power was not refused")
    good = measurement(**RUNS[0], **LENGTHS)
    check.that("8 GPUs were metered" in check.append(table, [good], code=3, gpus=4), "meters of other GPUs were taken")
    check.that(not table.exists(), "a refused point was written")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--measurement-files", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check = Check(options, scratch)
        table = Path(scratch) / "points.csv"
        check_table(check, table)
        check_use(check, table)
        check_refusals(check)
    print("\n".join(check.faults) or "measured points are used")
    return bool(check.faults)


if __name__ == "__main__":
    sys.exit(main())
