#!/usr/bin/env python3
"""Opens reports in headless Chromium: every chart must have marks, the console must stay silent, the
page must load nothing and must not be blank. Reports that are broken on purpose must be found."""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import zlib
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
LEAST_MARKS = 2  # a chart with less shows nothing
LEAST_TONES = 16  # different bytes in a picture that is not blank
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
REQUEST = re.compile(r"(Failed to load resource|Refused to|violates the following)")


class Charts(HTMLParser):
    """Marks of every element whose id begins with "chart-": shapes of marks, not axes, not legends."""

    def __init__(self):
        super().__init__()
        self.marks, self.stack, self.depth, self.chart = {}, [], 0, None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "figure" and (attributes.get("id") or "").startswith("chart-"):
            self.chart = attributes["id"]
            self.marks.setdefault(self.chart, 0)
        if self.chart and tag == "g":
            names = (attributes.get("class") or "").split()
            self.stack.append("role-mark" in names)
        drawn = {"path": "d", "rect": "width", "text": "x", "line": "x2"}.get(tag)
        if self.chart and drawn and self.stack and self.stack[-1] and (attributes.get("d") or tag != "path"):
            self.marks[self.chart] += 1

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


def faults_of(page, browser, wanted_charts, scratch):
    faults = []
    dom, console = browser.open(page, "--dump-dom")
    faults += [f"console: {line}" for line in console]
    charts = Charts()
    charts.feed(dom)
    if sorted(charts.marks) != sorted(wanted_charts):
        faults.append(f"charts are {sorted(charts.marks)}, not {sorted(wanted_charts)}")
    faults += [f"{chart}: {marks} marks are drawn" for chart, marks in charts.marks.items() if marks < LEAST_MARKS]
    picture = Path(scratch) / f"{page.stem}.png"
    picture.unlink(missing_ok=True)
    browser.open(page, f"--screenshot={picture}", "--window-size=1200,4000")
    if not picture.is_file():
        faults.append("no screenshot was taken")
    elif tones(picture) < LEAST_TONES:
        faults.append("the screenshot is blank")
    return [f"{page.name}: {fault}" for fault in faults]


def write_report(binary, site, page):
    subprocess.run([binary, "plan", str(site), "--report", str(page)], check=True, capture_output=True, timeout=120)
    for suffix in (".md", ".csv"):
        assert page.with_suffix(suffix).stat().st_size > 0, suffix


def charts_of(site, kinds):
    services = re.findall(r'^\[\[service\]\]\s*\nid = "([a-z0-9-]+)"', site.read_text(), re.M)
    assert services, site
    return [f"chart-{kind}" for kind in kinds if kind in ("cost", "sankey")] + [
        f"chart-{kind}-{service}" for kind in kinds if kind not in ("cost", "sankey") for service in services]


def broken(page, name, old, new):
    """A copy of a report with one defect."""
    text = page.read_text()
    assert old in text, old
    copy = page.with_name(name + ".html")
    copy.write_text(text.replace(old, new, 1))
    return copy


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    with tempfile.TemporaryDirectory() as scratch:
        for site in sorted((ROOT / "examples").glob("*.toml")):
            page = Path(scratch) / f"{site.stem}.html"
            write_report(options.perwatt, site, page)
            wanted = charts_of(site, ("cost", "sankey", "frontier", "power"))
            faults += faults_of(page, browser, wanted, scratch)
        page = Path(scratch) / "claims.html"
        claims = json.loads(subprocess.run([options.perwatt, "report", "claims", "--json", "--out", str(page)], check=True,
                                           capture_output=True, timeout=120).stdout)["claims"]
        wanted = [f"chart-{claim['id']}" for claim in claims if claim["curves"]]
        assert wanted
        faults += faults_of(page, browser, wanted, scratch)
        small = Path(scratch) / "infeasible.toml"
        small.write_text(INFEASIBLE)
        page = small.with_suffix(".html")
        write_report(options.perwatt, small, page)
        assert "<strong>Infeasible:</strong>" in page.read_text()
        faults += faults_of(page, browser, charts_of(small, ("frontier", "power")), scratch)

        wanted = charts_of(small, ("frontier", "power"))
        for copy in (broken(page, "no-data", '"layer":[', '"layer":[{}],"unused":['),
                     broken(page, "no-render", "vegaEmbed('#'", "void ('#'"),
                     broken(page, "loads", "</main>", '<img src="https://example.org/x.png"></main>')):
            if not faults_of(copy, browser, wanted, scratch):
                faults.append(f"{copy.name}: a defect was not found")
    print("\n".join(faults) or "all reports are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
