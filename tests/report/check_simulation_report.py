#!/usr/bin/env python3
"""Opens pages of 'perwatt simulate' in headless Chromium: charts with their marks, the figures of --json in the table
of policies, a silent console, no request. Pages that are broken on purpose must be found."""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_report import ROOT, Browser, broken, faults_of
from check_topology_report import Rows

HOSTILE = "</script><script>console.error('escaped')</script>"
LEAST_DOTS = 250  # of a line
LIMIT_MARKS = 3  # the limit, its name, and the limit while it is lowered
FAULTS = """
[[fault]]
kind = "limit-lowered"
node = "domain"
at = "6min"
lasts = "30s"
power = "200kW"
[[fault]]
kind = "node-off"
node = "node-3"
at = "7min"
lasts = "20s"
"""
WITHOUT_WORK = f"""
[scenario]
name = "{HOSTILE}"
duration = "10s"
[[device_kind]]
accelerator = "{HOSTILE}"
idle = "50W"
[[topology.node]]
id = "{HOSTILE}"
[[topology.device]]
id = "gpu"
parent = "{HOSTILE}"
min = "100W"
max = "500W"
accelerator = "{HOSTILE}"
[[training]]
id = "{HOSTILE}training"
gpus = 1
step = "1s"
compute_power = "400W"
communication_power = "100W"
idle = "50W"
[[policy]]
name = "{HOSTILE}even"
kind = "even"
"""


def simulate(options, scenario, page, *flags):
    done = subprocess.run([options.perwatt, "simulate", str(scenario), "--report", str(page), "--json", *flags],
                          check=True, capture_output=True, text=True, timeout=500, cwd=ROOT)
    return json.loads(done.stdout)


def figure_faults(page, browser, answer):
    """The draw and the good tokens/s of every policy stand in the first table."""
    dom, _ = browser.open(page, "--dump-dom")
    rows = Rows()
    rows.feed(dom)
    named = {row[0]: row[1:] for row in rows.rows if row}
    faults = []
    for row, field, scale in (("draw of the root, kW", "mean_facility_watts", 1e-3),
                              ("good output, tok/s", "good_tokens_per_s", 1)):
        for policy, shown in zip(answer["policies"], named.get(row, []), strict=True):
            got = float(shown.split(" ± ")[0].replace(",", ""))
            if abs(got - scale * policy[field]) > 1e-3 * abs(got):
                faults.append(f"{page.name}: {row} of {policy['policy']} is {shown}, not {scale * policy[field]}")
    return faults


def defects_of(page, charts):
    """Copies of a page, each with one chart that has lost its data or its spec."""
    for name in charts:
        chart = re.search(f'data-chart="{name}">(.*?)</script>', page.read_text()).group(1)
        yield broken(page, f"empty-{name}", chart, re.sub(r'"values":\[\{.*?\}\]', '"values":[]', chart))
        yield broken(page, f"garbled-{name}", chart, chart.replace('"encoding"', '"encodings"'))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        scenario = scratch / "faults.toml"
        scenario.write_text((ROOT / "examples/scenario-nscale.toml").read_text() + FAULTS)
        page = scratch / "faults.html"
        answer = simulate(options, scenario, page, "--policy", "static", "--policy", "perwatt", "--duration", "3min",
                          "--seeds", "2")
        lines = len(answer["policies"])
        dots = LEAST_DOTS * lines
        bands = 2 * FAULTS.count("[[fault]]")  # each with its name
        parts = sum(watts > 0 for policy in answer["policies"]
                    for watts in (policy["mean_facility_watts"], *policy["stranded_watts"].values()))
        wanted = {"chart-power": dots + 2 * lines + bands + LIMIT_MARKS,
                  "chart-tokens": dots + lines + bands,
                  "chart-watts": parts + 2 * len(answer["policies"])}
        faults += faults_of(page, browser, wanted, scratch) + figure_faults(page, browser, answer)
        for copy in defects_of(page, wanted):
            if not faults_of(copy, browser, wanted, scratch, picture=False):
                faults.append(f"{copy.name}: a defect was not found")
        if not figure_faults(broken(page, "no-figures", "good output, tok/s</td><td class=\"number\">",
                                    "good output, tok/s</td><td class=\"number\">9"), browser, answer):
            faults.append("no-figures: a wrong figure was not found")
        loads = broken(page, "loads", "</main>", '<img src="https://example.org/x.png"></main>')
        if not faults_of(loads, browser, wanted, scratch, picture=False):
            faults.append("loads: a request was not found")
        scenario = scratch / "hostile.toml"
        scenario.write_text(WITHOUT_WORK)
        page = scratch / "hostile.html"
        simulate(options, scenario, page)
        faults += faults_of(page, browser, {"chart-power": 2}, scratch)
    print("\n".join(faults) or "all pages of simulations are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
