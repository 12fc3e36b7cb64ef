#!/usr/bin/env python3
"""Opens reports in headless Chromium: every chart must have marks, the console must stay silent, the
page must load nothing and must not be blank. Reports that are broken on purpose must be found."""
import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zlib
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from example_sites import planned_sites  # noqa: E402
INFEASIBLE = """
[site]
name = "too small"
envelope = "30kW"
[prices]
table = "2026-08"
energy_usd_per_kwh = 0.08
[[service]]
id = "chat"
model = "deepseek-r1"
isl_tokens = 1024
osl_tokens = 1024
min_interactivity = "50tok/s"
demand_output_tokens_per_s = 1000000
committed_output_tokens_per_s = 500000
price_usd_per_million_output_tokens = 1
[[rack]]
system = "hgx-h200-air"
owned = 10
"""
EVERY_CHART = Path(__file__).with_name("site-every-chart.toml")
ALL_KINDS = {f"chart-{kind}" for kind in
             ("cost", "sankey", "frontier", "power", "levers", "sensitivities", "ratio", "hours")}
LEAST_MARKS = 2  # a chart with less shows nothing
LEAST_OF_CURVE = 8  # dots
MOST_CHANGES = 12  # in a chart of sensitivities
QUANTITIES_OF_HOURS = 7
LEAST_TONES = 16  # different bytes in a picture that is not blank
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
REQUEST = re.compile(r"(Failed to load resource|Refused to|violates the following)")


class Charts(HTMLParser):
    """Different marks of every element whose id begins with "chart-": shapes and texts where they stand, not
    axes, not legends."""

    def __init__(self):
        super().__init__()
        self.marks, self.stack, self.depth, self.chart = {}, [], 0, None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "figure" and (attributes.get("id") or "").startswith("chart-"):
            self.chart = attributes["id"]
            self.marks.setdefault(self.chart, set())
        if self.chart and tag == "g":
            names = (attributes.get("class") or "").split()
            self.stack.append("role-mark" in names)
        drawn = {"path": "d", "rect": "width", "text": "x", "line": "x2"}.get(tag)
        if self.chart and drawn and self.stack and self.stack[-1] and (attributes.get("d") or tag != "path"):
            self.marks[self.chart].add((tag, attributes.get("d"), attributes.get("transform"), attributes.get("x"),
                                        attributes.get("y"), attributes.get("x2"), attributes.get("y2")))

    def handle_endtag(self, tag):
        if tag == "g" and self.chart and self.stack:
            self.stack.pop()
        if tag == "figure":
            self.chart, self.stack = None, []


class Browser:
    def __init__(self, chromium):
        self.chromium = chromium

    def open(self, page, *flags):
        """(stdout, console lines) of one run with a new profile."""
        with tempfile.TemporaryDirectory() as profile:
            done = subprocess.run(
                [self.chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--virtual-time-budget=10000",
                 "--enable-logging=stderr", "--v=0", *flags, page.as_uri()],
                capture_output=True, text=True, errors="replace", timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"chromium ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout, CONSOLE.findall(done.stderr) + REQUEST.findall(done.stderr)


def tones(png):
    """How many different bytes the pixels of a PNG file have, as they are stored."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    return len(set(zlib.decompress(packed))) if packed else 0


def faults_of(page, browser, wanted_charts, scratch, picture=True):
    faults = []
    shot = Path(scratch) / f"{page.stem}.png"
    shot.unlink(missing_ok=True)
    picture_flags = [f"--screenshot={shot}", "--window-size=1200,4000"] if picture else []
    dom, console = browser.open(page, "--dump-dom", *picture_flags)
    faults += [f"console: {line}" for line in console]
    charts = Charts()
    charts.feed(dom)
    if sorted(charts.marks) != sorted(wanted_charts):
        faults.append(f"charts are {sorted(charts.marks)}, not {sorted(wanted_charts)}")
    faults += [f"{chart}: {len(marks)} marks are drawn, not {wanted_charts[chart]}"
               for chart, marks in charts.marks.items() if len(marks) < wanted_charts.get(chart, 0)]
    if picture:
        if not shot.is_file():
            faults.append("no screenshot was taken")
        elif tones(shot) < LEAST_TONES:
            faults.append("the screenshot is blank")
    return [f"{page.name}: {fault}" for fault in faults]


def write_report(binary, site, page):
    subprocess.run([binary, "plan", str(site), "--report", str(page)], check=True, capture_output=True, timeout=300)
    for suffix in (".md", ".csv"):
        assert page.with_suffix(suffix).stat().st_size > 0, suffix


def catalog(kind):
    """Entries of the shipped catalog by id and by alias."""
    names = {}
    for file in sorted((ROOT / "data/catalog").glob("*.toml")):
        for entry in tomllib.loads(file.read_text()).get(kind, []):
            names.update({name: entry for name in [entry["id"], *entry.get("aliases", [])]})
    return names


def measured():
    """Accelerators with rows that have a total rate and an interactivity, by model, input and output tokens."""
    accelerators, models, found = catalog("accelerator"), catalog("model"), {}
    for table in sorted((ROOT / "data/points").glob("*.csv")):
        for row in csv.DictReader(table.open()):
            if row["total_tokens_per_s_per_gpu"] and (row["interactivity_tokens_per_s"] or row["tpot_median_s"]):
                key = models[row["model"]]["id"], row["isl_tokens"], row["osl_tokens"]
                found.setdefault(key, set()).add(accelerators[row["accelerator"]]["id"])
    return found


def charts_of(binary, site):
    """The charts a site's report must have, and how many marks at least, from its file, its plan and the measured
    points."""
    with site.open("rb") as file:
        stated = tomllib.load(file)
    plan = json.loads(subprocess.run([binary, "plan", str(site), "--json"], check=True, capture_output=True,
                                     timeout=300).stdout)
    systems, accelerators, rows = catalog("system"), catalog("accelerator"), measured()
    owned = {accelerators[systems[rack["system"]]["accelerator"]]["id"] for rack in stated["rack"]}
    charts = {}
    for service in stated["service"]:
        charts[f"chart-power-{service['id']}"] = LEAST_MARKS
        key = service["model"], str(service.get("isl_tokens", "")), str(service.get("osl_tokens", ""))
        if "task" in service or owned & rows.get(key, set()):  # the chart is of measured points
            charts[f"chart-frontier-{service['id']}"] = LEAST_MARKS
        if len(owned & rows.get(key, set())) > 1:
            charts[f"chart-ratio-{service['id']}"] = 2 * LEAST_OF_CURVE
    if plan["status"] == "optimal":
        charts |= {"chart-cost": LEAST_MARKS, "chart-sankey": LEAST_MARKS}
        changes = [change for change in plan["sensitivities"] if abs(change["usd_per_hour"] or 0) > 1e-6]
        charts["chart-sensitivities"] = min(len(changes), MOST_CHANGES)
        parts = [part for part in plan.get("attribution", []) if part["differs"]]
        if parts:
            charts["chart-levers"] = len(parts) + 2  # between baseline and plan
        if len(plan["hour_classes"]) > 1:
            charts["chart-hours"] = QUANTITIES_OF_HOURS * len(plan["hour_classes"])
    return charts


def broken(page, name, old, new):
    """A copy of a report with one defect."""
    text = page.read_text()
    assert old in text, old
    copy = page.with_name(name + ".html")
    copy.write_text(text.replace(old, new, 1))
    return copy


def defects_of(page):
    """Copies of a report, each with one chart that has lost its data or its spec."""
    for kind in ("levers", "sensitivities", "hours", "ratio-chat"):
        chart = re.search(f'data-chart="chart-{kind}">(.*?)</script>', page.read_text()).group(1)
        yield broken(page, f"empty-{kind}", chart, re.sub(r'"values":\[.*?\]\}', '"values":[]}', chart))
        yield broken(page, f"garbled-{kind}", chart, chart.replace('"encoding"', '"encodings"'))


def undetected(pages, browser, wanted, scratch):
    return [f"{page.name}: a defect was not found" for page in pages
            if not faults_of(page, browser, wanted, scratch, picture=False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    with tempfile.TemporaryDirectory() as scratch:
        for site in [*planned_sites(), EVERY_CHART]:
            page = Path(scratch) / f"{site.stem}.html"
            write_report(options.perwatt, site, page)
            faults += faults_of(page, browser, charts_of(options.perwatt, site), scratch)
        every = Path(scratch) / f"{EVERY_CHART.stem}.html"
        wanted = charts_of(options.perwatt, EVERY_CHART)
        assert {re.sub("-chat$", "", chart) for chart in wanted} == ALL_KINDS, wanted
        faults += undetected(defects_of(every), browser, wanted, scratch)
        page = Path(scratch) / "claims.html"
        claims = json.loads(subprocess.run([options.perwatt, "report", "claims", "--json", "--out", str(page)], check=True,
                                           capture_output=True, timeout=300).stdout)["claims"]
        wanted = {f"chart-{claim['id']}": LEAST_MARKS for claim in claims if claim["curves"]}
        assert wanted
        faults += faults_of(page, browser, wanted, scratch)
        small = Path(scratch) / "infeasible.toml"
        small.write_text(INFEASIBLE)
        page = small.with_suffix(".html")
        write_report(options.perwatt, small, page)
        assert "<strong>Infeasible:</strong>" in page.read_text()
        wanted = charts_of(options.perwatt, small)
        faults += faults_of(page, browser, wanted, scratch)
        faults += undetected((broken(page, "no-data", '"layer":[', '"layer":[{}],"unused":['),
                              broken(page, "no-render", "vegaEmbed('#'", "void ('#'"),
                              broken(page, "loads", "</main>", '<img src="https://example.org/x.png"></main>')),
                             browser, wanted, scratch)
    print("\n".join(faults) or "all reports are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
