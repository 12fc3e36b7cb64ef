#!/usr/bin/env python3
"""The same input gives the same bytes: JSON, candidates and all files of the report, run twice."""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from example_sites import planned_sites  # noqa: E402


def outputs(binary, site, folder):
    folder.mkdir()
    done = subprocess.run([binary, "plan", str(site), "--json", "--report", "report.html", "--candidates",
                           "candidates.csv"], cwd=folder, capture_output=True, timeout=300, check=True)
    return {"stdout": done.stdout} | {f.name: f.read_bytes() for f in folder.iterdir()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    binary = str(Path(parser.parse_args().perwatt).resolve())
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        for site in [*planned_sites(), ROOT / "tests/report/site-every-chart.toml"]:
            first, second = (outputs(binary, site, Path(scratch) / f"{site.stem}{i}") for i in (1, 2))
            expected = {"stdout", "candidates.csv", "report.html", "report.md", "report.csv"}
            if set(first) != expected:
                faults.append(f"{site.name}: wrote {sorted(first)}, not {sorted(expected)}")
            faults += [f"{site.name}: {name} differs between two runs"
                       for name in first if first[name] != second.get(name)]
    print("\n".join(faults) or "all bytes are the same")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
