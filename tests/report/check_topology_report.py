#!/usr/bin/env python3
"""Opens pages of 'perwatt topology show' in headless Chromium: a row for every line, a bar where there is a limit, the
figures of the split, a silent console. Pages that are broken on purpose must be found."""
import argparse
import json
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from check_report import ROOT, Browser, broken, faults_of

PRICE = 7  # column
HOSTILE = "</script><script>console.error('escaped')</script>"


class Rows(HTMLParser):
    """The texts of the cells of every row of the body, as the browser has them."""

    def __init__(self):
        super().__init__()
        self.rows, self.cell, self.in_body = [], None, False

    def handle_starttag(self, tag, attributes):
        self.in_body = self.in_body or tag == "tbody"
        if tag == "tr" and self.in_body:
            self.rows.append([])
        if tag == "td" and self.rows:
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        self.cell = self.cell and tag != "td"
        self.in_body = self.in_body and tag != "tbody"

    def handle_data(self, data):
        if self.cell:
            self.rows[-1][-1] += data


def show(options, site, page, *flags):
    done = subprocess.run([options.perwatt, "topology", "show", str(site), "--report", str(page), "--json", *flags],
                          check=True, capture_output=True, text=True, timeout=120, cwd=ROOT)
    return json.loads(done.stdout)


def row_faults(page, browser, answer):
    dom, _ = browser.open(page, "--dump-dom")
    rows = Rows()
    rows.feed(dom)
    faults = []
    if len(rows.rows) != len(answer["lines"]):
        faults.append(f"{len(rows.rows)} rows for {len(answer['lines'])} lines")
    for line, row in zip(answer["lines"], rows.rows):
        name = line["id"].split("/")[-1]
        if name not in row[0]:
            faults.append(f"the row of {line['id']} begins with {row[0]!r}")
        if answer["split"] and "price_per_watt" in line and line["price_per_watt"] > 0:
            price = f"{line['price_per_watt'] * 1e3:.4g}"
            if row[PRICE:PRICE + 1] != [price]:
                faults.append(f"{line['id']} has not the price {price}: {row}")
    return [f"{page.name}: {fault}" for fault in faults]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        page = scratch / "curves.html"
        answer = show(options, "examples/topology-curves.toml", page)
        assert any(line.get("price_per_watt", 0) > 0 for line in answer["lines"])
        faults += faults_of(page, browser, {}, scratch) + row_faults(page, browser, answer)
        for name, old, new in (("no-row", "</td></tr>\n<tr>", "</td>"), ("no-price", ">0.46", ">0.47")):
            if not row_faults(broken(page, name, old, new), browser, answer):
                faults.append(f"{name}: a defect was not found")
        page = scratch / "readings.html"
        answer = show(options, "examples/topology-ab-feeds.toml", page, "--readings",
                      "tests/data/topology/ab-pulse.csv")
        faults += faults_of(page, browser, {}, scratch) + row_faults(page, browser, answer)
        site = scratch / "hostile.toml"
        site.write_text(f'[[topology.node]]\nid = "{HOSTILE}"\n[[topology.device]]\nid = "{HOSTILE}gpu"\nparent = '
                        f'"{HOSTILE}"\nmax = "1kW"\nvendor = "{HOSTILE}"\n')
        page = scratch / "hostile.html"
        show(options, site, page)
        faults += faults_of(page, browser, {}, scratch)
    print("\n".join(faults) or "all pages of power trees are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
