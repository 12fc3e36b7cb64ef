#!/usr/bin/env python3
"""Opens reports of 'perwatt train' in headless Chromium: every chart has its marks, the console is silent. Reports
that are broken on purpose must be found."""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_report import ROOT, Browser, broken, faults_of, undetected

DATA = ROOT / "tests/data/training"
PROFILE = DATA / "gpt3-175b+a100_sxm_bf16.csv"
POINTS = 4  # full clocks, their bound, least energy, the plan
LONG = 256  # microbatches that no chart draws all of
HOSTILE = "</script><script>console.error('escaped')</script>"


def report(options, page, *flags, profile=PROFILE):
    """Writes a report and returns what the same command prints as JSON."""
    command = [options.perwatt, "train", *([str(profile)] if profile else []), *flags, "--blocking-power", "83.64W",
               "--json", "--report", str(page)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert page.with_suffix(".md").stat().st_size > 0
    return json.loads(done.stdout)


def defects_of(page, charts):
    for chart in charts:
        spec = re.search(f'data-chart="{chart}">(.*?)</script>', page.read_text()).group(1)
        yield broken(page, f"empty-{chart}", spec, re.sub(r'"values":\[.*?\]\}', '"values":[]}', spec))
        yield broken(page, f"garbled-{chart}", spec, spec.replace('"encoding"', '"encodings"'))
    yield broken(page, "no-render", "vegaEmbed('#'", "void ('#'")
    yield broken(page, "loads", "</main>", '<img src="https://example.org/x.png"></main>')


def graph(scratch, instruction, names, options):
    file = Path(scratch) / "graph.json"
    file.write_text(json.dumps({"operations": [{"name": name, "stage": 0, "instruction": instruction,
                                                "options": options} for name in names]}))
    return "--dag", str(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    schedule = ("--stages", "8", "--microbatches")
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "plan.html"
        plan = Path(scratch) / "plan.json"
        answer = report(options, page, *schedule, "12", "--straggler", "3.4s", "--plan", str(plan))
        assert answer["status"] == "ok"
        # The line has a dot per breakpoint, as far as it is drawn; each iteration its operations and its waiting.
        wanted = {"chart-time-energy": min(answer["breakpoints"], 200) + POINTS,
                  "chart-gantt": 2 * (answer["operations"] + answer["stages"])}
        faults += faults_of(page, browser, wanted, scratch)
        faults += undetected(defects_of(page, wanted), browser, wanted, scratch)
        page = Path(scratch) / "infeasible.html"
        answer = report(options, page, *schedule, "12", "--at", "1s")
        assert answer["status"] == "infeasible" and "<strong>Infeasible:</strong>" in page.read_text()
        faults += faults_of(page, browser, {"chart-time-energy": 200 + POINTS - 1,
                                            "chart-gantt": answer["operations"] + answer["stages"]}, scratch)
        page = Path(scratch) / "long.html"
        report(options, page, *schedule, str(LONG))
        faults += faults_of(page, browser, {"chart-time-energy": 200 + POINTS, "chart-gantt-begin": 2 * 400,
                                            "chart-gantt-end": 2 * 400}, scratch)
        page = Path(scratch) / "replay.html"
        report(options, page, "replay", str(plan), "--profile", str(PROFILE), *schedule, "12", profile=None)
        faults += faults_of(page, browser, wanted, scratch)
        slow, fast = ({"frequency_mhz": 1000, "time_seconds": 0.2, "energy_joules": 20},
                      {"frequency_mhz": 1400, "time_seconds": 0.1, "energy_joules": 40})
        page = Path(scratch) / "lone.html"
        report(options, page, *graph(scratch, "forward", "a", [fast]), profile=None)
        # The one bar covers its background.
        faults += faults_of(page, browser, {"chart-time-energy": POINTS, "chart-gantt": 1}, scratch)
        page = Path(scratch) / "hostile.html"
        report(options, page, *graph(scratch, HOSTILE, "ab", [slow, fast]), profile=None)
        # A chain has nothing to spare: plan and full clocks draw the same two bars and the same background.
        faults += faults_of(page, browser, {"chart-time-energy": POINTS, "chart-gantt": 3}, scratch)
    print("\n".join(faults) or "all reports of training are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
