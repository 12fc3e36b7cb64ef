#!/usr/bin/env python3
"""Recomputes the ratios and the arithmetic of every claim case from the CSV and TOML files alone and compares with
`perwatt report claims --json`.

--perturb E multiplies the reference by 1 + E: a difference must then be found.
"""
import argparse
import csv
import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-9
MODELS = {"deepseek-r1": {"deepseek-r1", "deepseek-ai/DeepSeek-R1"}, "gpt-oss-120b": {"gptoss120b", "openai/gpt-oss-120b"}}
COLUMN = {"provisioned_mw": "allin_facility_kw_per_gpu", "cost": "{}_usd_per_gpu_hour"}


def load_rows():
    rows = []
    for file in sorted((ROOT / "data/points").glob("*.csv")):
        with file.open() as stream:
            rows += csv.DictReader(stream)
    return rows


def interactivity_of(row):
    if row["interactivity_tokens_per_s"]:
        return float(row["interactivity_tokens_per_s"])
    return 1 / float(row["tpot_median_s"]) if row["tpot_median_s"] else None


def corners(rows, side, case):
    accelerator, _, precision = side.partition(":")
    points = []
    for row in rows:
        if (row["accelerator"] == accelerator and row["model"] in MODELS[case["model"]]
                and precision in ("", row["weights_precision"]) and row["total_tokens_per_s_per_gpu"]
                and row["isl_tokens"] == str(case["isl_tokens"]) and row["osl_tokens"] == str(case["osl_tokens"])):
            at = interactivity_of(row)
            if at:
                points.append((at, float(row["total_tokens_per_s_per_gpu"])))
    kept = []
    for at, rate in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not kept or rate > kept[-1][1]:
            kept.append((at, rate))
    return kept


def rate_at(line, at, reading):
    reached = [rate for x, rate in line if x >= at]
    if not reached:
        return None
    if reading == "rows" or len(reached) == len(line):
        return reached[-1]
    (x1, y1), (x2, y2) = line[len(reached) - 1], line[len(reached)]
    return math.exp(math.log(y1) + (x1 - at) / (x1 - x2) * (math.log(y2) - math.log(y1)))


def ratios(case, rows, tables):
    """The figures of one frontier_ratio, None where a side does not reach."""
    over, basis = case["numerator"], case.get("basis", "gpu")
    for under in case["denominators"]:
        for table in case.get("price_tables", [None]):
            factor = 1
            if table:
                key = COLUMN[basis].format(case.get("price_basis", "tco_hyperscaler"))
                factor = tables[table][under.partition(":")[0]][key] / tables[table][over.partition(":")[0]][key]
            for text in case["interactivity"]:
                at, reading = float(text.removesuffix("tok/s")), case.get("line", "pooled")
                high = rate_at(corners(rows, over, case), at, reading)
                low = rate_at(corners(rows, under, case), at, reading)
                yield high / low * factor if high and low else None


def steps(case):
    values = {item["name"]: item["value"] for item in case.get("input", [])}
    for step in case["step"]:
        # The grammar of the cases is a part of Python's; the files are ours.
        values[step["name"]] = eval(step["expression"], {"__builtins__": {}}, values)
        yield values[step["name"]]


def reference(case, rows, tables):
    if case["kind"] == "frontier_ratio":
        return list(ratios(case, rows, tables))
    return list(steps(case)) if case["kind"] == "arithmetic" else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--perturb", type=float, default=0)
    options = parser.parse_args()
    answer = subprocess.run([options.perwatt, "report", "claims", "--json"], check=True, capture_output=True, timeout=300)
    results = {claim["id"]: claim for claim in json.loads(answer.stdout)["claims"]}
    rows = load_rows()
    prices = tomllib.loads((ROOT / "data/catalog/prices.toml").read_text())
    tables = {t["id"]: {a["accelerator"]: a for a in t["accelerator"]} for t in prices["price_table"]}
    compared, faults = 0, []
    for file in sorted((ROOT / "examples/claims").glob("*.toml")):
        case = tomllib.loads(file.read_text())
        figures = results[case["claim"]["id"]]["figures"]
        wanted = [reference(comparison, rows, tables) for comparison in case["comparison"]]
        if any(values is None for values in wanted):  # kinds without a reference may have any number of figures
            if case["comparison"][-1]["kind"] != "frontier_ratio" or len(wanted) < 2:
                continue
            wanted, figures = wanted[-2:], figures[-sum(len(v or []) for v in wanted[-2:]):]
        for want, figure in zip((v for values in wanted for v in values or []), figures, strict=True):
            compared += 1
            got, want = figure["value"], want and want * (1 + options.perturb)
            if (got is None) != (want is None) or (want is not None and abs(got - want) > TOLERANCE * max(1, abs(want))):
                faults.append(f"{file.stem}: {figure['figure']}: {got}, not {want}")
    print("\n".join(faults) or f"{compared} figures agree")
    return bool(faults) or compared < 100


if __name__ == "__main__":
    sys.exit(main())
