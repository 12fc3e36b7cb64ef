#!/usr/bin/env python3
"""How CPU and memory of a managed site grow with it, as a table, as CSV and as a plot.

    /usr/bin/python3 bench/simulate_growth.py build/release/bin/perwatt --svg growth.svg [--csv growth.csv]
        [--policy perwatt] [--halls 1,2,4,10,20] [--short 10] [--long 40]

The site is examples/scenario-1gw.toml with so many of its 20 halls (19,944 GPUs each) and their share of the
contract. Each size runs twice, each time as a process of its own, over --short and --long minutes after the warm-up:
the difference is what simulated time costs, without reading, laying out and scoring; a day is the short run and the
rest of 24 hours at that rate. CPU is user and system time of the process, memory its peak resident set. The exponent
is the slope of logarithms by least squares. Nothing is asserted.
"""
import argparse
import csv
import math
import os
import pathlib
import re
import subprocess
import tempfile

from training_growth import BLUE, LEFT, ORANGE, Panel, decades, line, round_ticks, tell

SCENARIO = pathlib.Path(__file__).resolve().parent.parent / "examples" / "scenario-1gw.toml"
HALLS = 20  # of the whole site
GPUS_PER_HALL = (191 + 86) * 72
MEGAWATTS_PER_HALL = 50
COLUMNS = ["halls", "gpus", "cpu_seconds_short", "cpu_seconds_long", "cpu_seconds_per_hour", "cpu_minutes_of_day",
           "peak_bytes"]


def part_of_site(halls):
    """The scenario's text with `halls` halls."""
    text = SCENARIO.read_text()
    hall = re.search(r'(id = "hall"\n(?:.*\n)*?count = )%d\b' % HALLS, text)
    contract = '"%dMW"' % (HALLS * MEGAWATTS_PER_HALL)
    if not hall or text.count(contract) != 1:
        raise SystemExit(f"{SCENARIO}: not the site that this script knows")
    text = text[:hall.start()] + hall.group(1) + str(halls) + text[hall.end():]
    return text.replace(contract, '"%dMW"' % (halls * MEGAWATTS_PER_HALL))


def run(binary, scenario, policy, minutes):
    """CPU seconds and peak bytes."""
    process = subprocess.Popen([binary, "simulate", scenario, "--policy", policy, "--duration", f"{minutes}min",
                                "--json"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"perwatt simulate failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(halls, options):
    with tempfile.TemporaryDirectory() as folder:
        scenario = os.path.join(folder, "site.toml")
        pathlib.Path(scenario).write_text(part_of_site(halls))
        short, _ = run(options.binary, scenario, options.policy, options.short)
        long, peak = run(options.binary, scenario, options.policy, options.long)
    per_hour = (long - short) / (options.long - options.short) * 60
    return {"halls": halls, "gpus": halls * GPUS_PER_HALL, "cpu_seconds_short": short, "cpu_seconds_long": long,
            "cpu_seconds_per_hour": per_hour,
            "cpu_minutes_of_day": (short + per_hour * (24 - options.short / 60)) / 60, "peak_bytes": peak}


def cpu_panel(rows):
    gpus, cpu = [row["gpus"] for row in rows], [row["cpu_seconds_per_hour"] for row in rows]
    slope, intercept, _ = line([(math.log(x), math.log(y)) for x, y in zip(gpus, cpu)])
    panel = Panel(LEFT, "CPU of one simulated hour", "GPUs (log)", "CPU s (log)", decades(gpus), decades(cpu),
                  math.log10)
    panel.draw(lambda x: math.exp(intercept) * x ** slope, gpus[0], gpus[-1], BLUE)
    panel.draw(lambda x: cpu[0] * x / gpus[0], gpus[0], gpus[-1], ORANGE, "5 4")
    panel.legend(0, BLUE, f"GPUs to the power {slope:.3f}, least squares")
    panel.legend(1, ORANGE, "linear, from the first", "5 4")
    for row in rows:
        panel.dot(row["gpus"], row["cpu_seconds_per_hour"],
                  f"{row['gpus']:,} GPUs: {row['cpu_seconds_per_hour']:.4g} s")
    ends = math.log(cpu[-1] / cpu[0]) / math.log(gpus[-1] / gpus[0])
    return panel, f"CPU: GPUs to the power {slope:.3f} by least squares, {ends:.3f} from the first to the last"


def memory_panel(rows):
    points = [(row["gpus"], row["peak_bytes"] / 1e9) for row in rows]
    slope, intercept, explained = line(points)
    panel = Panel(LEFT + 520, "Peak memory of the process", "GPUs", "GB", round_ticks(points[-1][0]),
                  round_ticks(max(y for _, y in points)))
    panel.draw(lambda x: intercept + slope * x, points[0][0], points[-1][0], BLUE)
    panel.legend(0, BLUE, f"{slope * 1e9:.0f} bytes per GPU, least squares")
    for x, y in points:
        panel.dot(x, y, f"{x:,} GPUs: {y:.3g} GB")
    return panel, (f"memory: {slope * 1e9:.0f} bytes per GPU; a straight line explains {100 * explained:.2f} % of the "
                   "variance")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="perwatt")
    parser.add_argument("--svg", required=True)
    parser.add_argument("--csv")
    parser.add_argument("--policy", default="perwatt")
    parser.add_argument("--halls", default="1,2,4,10,20")
    parser.add_argument("--short", type=int, default=10, help="minutes")
    parser.add_argument("--long", type=int, default=40, help="minutes")
    options = parser.parse_args()
    rows = []
    print("     GPUs  CPU s of 1 h  CPU min of a day   peak GB")
    for halls in sorted(int(count) for count in options.halls.split(",")):
        rows.append(measure(halls, options))
        row = rows[-1]
        print(f"{row['gpus']:9,} {row['cpu_seconds_per_hour']:13.2f} {row['cpu_minutes_of_day']:17.2f} "
              f"{row['peak_bytes'] / 1e9:9.2f}", flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    tell([cpu_panel(rows), memory_panel(rows)], options.svg)


if __name__ == "__main__":
    main()
