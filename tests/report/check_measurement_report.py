#!/usr/bin/env python3
"""Opens reports of measurements in headless Chromium: every chart has its marks, the console is silent. Reports that
are broken on purpose must be found."""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from check_report import ROOT, Browser, broken, faults_of, undetected

sys.path.insert(0, str(ROOT / "tests/support"))
from made_up_measurement import measurement  # noqa: E402

AIPERF = [ROOT / "tests/data/results/aiperf" / name
          for name in ("profile_export_aiperf.json", "profile_export.jsonl", "gpu_telemetry_export.jsonl")]
RUNS = [{"label": "fp8", "concurrency": 16, "tpot_seconds": 0.010, "output_rate": 1500, "joules_per_output_token": 3.0},
        {"label": "fp8", "concurrency": 64, "tpot_seconds": 0.020, "output_rate": 3000, "joules_per_output_token": 1.7},
        {"label": "fp4", "concurrency": 64, "tpot_seconds": 0.015, "output_rate": 4000, "joules_per_output_token": 1.1}]
LATENCIES = ("chart-ttft", "chart-tpot", "chart-itl", "chart-e2e")


def write(options, scratch, name, runs, *more, compare=False):
    files = []
    for i, run in enumerate(runs):
        files.append(Path(scratch) / f"{name}-{i}.json")
        files[-1].write_text(json.dumps(run))
    page = Path(scratch) / f"{name}.html"
    results = ["--", *map(str, more)] if more else []
    subprocess.run([options.measurement_files, "report", str(page), "compare" if compare else "alone",
                    *map(str, files), *results], check=True, timeout=300)
    return page


def defects_of(page):
    for chart in ("chart-frontier-gpu", "chart-energy", "chart-power-4", "chart-ttft"):
        spec = re.search(f'data-chart="{chart}">(.*?)</script>', page.read_text()).group(1)
        yield broken(page, f"empty-{chart}", spec, re.sub(r'"values":\[.*?\]\}', '"values":[]}', spec))
        yield broken(page, f"garbled-{chart}", spec, spec.replace('"encoding"', '"encodings"'))
    yield broken(page, "no-render", "vegaEmbed('#'", "void ('#'")
    yield broken(page, "loads", "</main>", '<img src="https://example.org/x.png"></main>')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", help="not used")
    parser.add_argument("--measurement-files", required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    browser, faults = Browser(options.chromium), []
    with tempfile.TemporaryDirectory() as scratch:
        runs = [measurement(**run) for run in RUNS]
        page = write(options, scratch, "many", runs, *AIPERF, compare=True)
        # The imported run has no label: it is told by its model; its dot, its bar and its two meters are drawn too.
        wanted = {"chart-frontier-gpu": 4 + 4, "chart-energy": 4 + 4, "chart-comparison": 3, "chart-power-4": 3,
                  **{chart: 2 * len(runs) for chart in LATENCIES}}
        faults += faults_of(page, browser, wanted, scratch)
        faults += undetected(defects_of(page), browser, wanted, scratch)
        page = write(options, scratch, "one", runs[:1])
        alone = {"chart-frontier-gpu": 2, "chart-energy": 2, **{chart: 2 for chart in LATENCIES}}
        faults += faults_of(page, browser, alone, scratch)
        page = write(options, scratch, "invalid", [measurement(**RUNS[0], valid=False, power_valid=False)])
        faults += faults_of(page, browser, {chart: 2 for chart in LATENCIES}, scratch)
        text = page.read_text()
        if text.find("<strong>Not valid:</strong>") > text.find("In short") or "sampling_gap" not in text:
            faults.append("an invalid run does not look invalid")
    print("\n".join(faults) or "all reports of measurements are drawn and silent")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
