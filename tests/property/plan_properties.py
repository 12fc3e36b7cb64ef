#!/usr/bin/env python3
"""What must hold between two runs of the program: order, replacement, round trips, more of the same."""
import argparse
import csv
import json
import random
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from example_sites import planned_sites  # noqa: E402
RELATIVE = 1e-9
SHUFFLES = 4
TOTALS = ("profit_usd_per_hour", "relaxed_profit_usd_per_hour", "revenue_usd_per_hour", "energy_usd_per_hour",
          "capital_usd_per_hour", "provisioned_power_watts", "it_power_watts", "gpu_power_watts")


class Suite:
    def __init__(self, binary, scratch):
        self.binary, self.scratch = binary, Path(scratch)
        self.faults = []
        self.checks = 0

    def that(self, condition, text):
        self.checks += 1
        if not condition:
            self.faults.append(text)

    def near(self, name, got, want):
        self.that(abs(got - want) <= RELATIVE * max(abs(got), abs(want), 1e-3), f"{name}: {got!r} differs from {want!r}")

    def run(self, *words, data=None):
        environment = {"PERWATT_DATA_DIR": str(data)} if data else {}
        done = subprocess.run([self.binary, *map(str, words)], cwd=self.scratch, capture_output=True, text=True,
                              timeout=300, env=environment, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def plan(self, site, *flags, data=None):
        return json.loads(self.run("plan", site, "--json", "--no-levers", *flags, data=data))

    def write(self, name, text):
        file = self.scratch / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def example_text(example):
    """With the files that it names found from any folder."""
    return example.read_text().replace('"../', f'"{ROOT}/')


def tables_of(text, name):
    """(the text before, the blocks of [[name]], the text after)."""
    blocks = list(re.finditer(rf"^\[\[{name}\]\]\n(?:(?!\[).*\n?)*", text, re.M))
    return text[: blocks[0].start()], [b.group().rstrip() + "\n\n" for b in blocks], text[blocks[-1].end():]


def shuffled(text, name, pick):
    before, blocks, after = tables_of(text, name)
    pick.shuffle(blocks)
    return before + "".join(blocks) + after


def same_answer(suite, what, got, want):
    for key in TOTALS:
        suite.near(f"{what}: {key}", got[key], want[key])
    suite.near(f"{what}: output", got["tokens_per_s"]["output"], want["tokens_per_s"]["output"])
    suite.near(f"{what}: meter", got["meter_power_watts"]["mean"], want["meter_power_watts"]["mean"])
    served = {s["id"]: s["served_output_tokens_per_s"] for s in want["services"]}
    for service in got["services"]:
        suite.near(f"{what}: {service['id']} served", service["served_output_tokens_per_s"], served[service["id"]])


def order_does_not_matter(suite):
    pick = random.Random(1)
    for example in planned_sites():
        text = example_text(example)
        want = suite.plan(example)
        for i in range(SHUFFLES):
            for name in ("service", "rack", "load"):
                text = shuffled(text, name, pick)
            same_answer(suite, f"{example.name}, order {i}", suite.plan(suite.write("shuffled.toml", text)), want)


def data_copy(suite, name):
    """A data folder of our own: as shipped, points to be written."""
    folder = suite.scratch / name
    (folder / "points").mkdir(parents=True)
    for shipped in ("catalog", "climate", "power", "models", "serving"):
        (folder / shipped).symlink_to(ROOT / "data" / shipped)
    return folder


def order_of_points_does_not_matter(suite):
    pick = random.Random(2)
    data = data_copy(suite, "reordered")
    for file in sorted((ROOT / "data/points").glob("*.csv")):
        header, *rows = file.read_text().splitlines(keepends=True)
        pick.shuffle(rows)
        (data / "points" / file.name).write_text(header + "".join(rows))
    for example in planned_sites():
        same_answer(suite, f"{example.name}, points reordered", suite.plan(example, data=data), suite.plan(example))


def read_table(file):
    with open(file, newline="") as stream:
        return list(csv.DictReader(stream))


def table_text(rows):
    lines = [",".join(rows[0])]
    for row in rows:
        lines.append(",".join(f'"{v}"' if "," in v else v for v in row.values()))
    return "\n".join(lines) + "\n"


def candidates(suite, site, *flags):
    table = suite.scratch / "candidates.csv"
    suite.run("plan", site, "--candidates", table, *flags)
    return read_table(table)


def same_identity_replaces(suite):
    """A row of the user's with the identity of a shipped one takes its place; another date stands beside it."""
    site = ROOT / "examples/site-20mw-hopper.toml"
    before = candidates(suite, site)
    own = [c for c in before if c["tag"] in ("measured", "derived") and "inferencex.csv" in c["read_at"]]
    for column in random.Random(3).sample(own, 5):
        line = int(column["read_at"].rsplit(":", 1)[1])
        lines = (ROOT / "data/points/inferencex.csv").read_text().splitlines()
        row = dict(zip(lines[0].split(","), lines[line - 1].split(",")))
        # Faster by a tenth, at the same board power.
        for key in ("total_tokens_per_s_per_gpu", "output_tokens_per_s_per_gpu"):
            row[key] = str(float(row[key]) * 1.1) if row[key] else ""
        for key in ("joules_per_output_token", "joules_per_total_token"):
            row[key] = str(float(row[key]) / 1.1) if row[key] else ""
        mine = suite.write("mine.csv", table_text([row]))
        after = candidates(suite, site, "--points", mine)
        measured = [c for c in after if c["tag"] != "interpolated"]
        where = f"row {line} replaced"
        suite.that(len(measured) == len([c for c in before if c["tag"] != "interpolated"]), f"{where}: the number of columns changes")
        found = [c for c in measured if c["read_at"].startswith(Path(mine).name + ":")]
        racks = {c["system"] for c in before if c["read_at"] == column["read_at"] and c["tag"] != "interpolated"}
        suite.that(len(found) == len(racks), f"{where}: {len(found)} columns are of the new row, not {len(racks)}")
        suite.that(all(c["read_at"] != column["read_at"] or c["tag"] == "interpolated" for c in after), f"{where}: the old row is still there")
        for new in found:
            suite.near(f"{where}: rate", float(new["output_tokens_per_s_per_gpu"]), 1.1 * float(column["output_tokens_per_s_per_gpu"]))
        row["date"] = "2030-01-01"
        beside = candidates(suite, site, "--points", suite.write("mine.csv", table_text([row])))
        suite.that(len([c for c in beside if c["tag"] != "interpolated"]) == len(measured) + len(racks), f"{where}: another date does not add a row")


def catalog_entry_replaces(suite):
    site = suite.write("lake.toml", (ROOT / "examples/site-20mw-hopper.toml").read_text())
    plain = suite.plan(site)
    text = (ROOT / "data/catalog/cooling.toml").read_text()
    suite.write("same/cooling.toml", tables_of(text, "cooling_plant")[1][0])
    suite.that(suite.plan(site, "--catalog", "same") == plain, "the same entry again changes the answer")
    suite.write("better/cooling.toml", tables_of(text, "cooling_plant")[1][0].replace("value = 1.3", "value = 1.2"))
    better = suite.plan(site, "--catalog", "better")
    suite.that(better["relaxed_profit_usd_per_hour"] > plain["relaxed_profit_usd_per_hour"], "a better PUE earns no more")
    suite.near("provisioned per rack with another PUE", better["racks"][0]["provisioned_power_watts_per_rack"] / 1.2,
               plain["racks"][0]["provisioned_power_watts_per_rack"] / 1.3)


def import_round_trips(suite):
    """Importing twice, or a table printed by the program, adds nothing and keeps every byte."""
    jobs = [("inferencex", ROOT / "tests/data/import/inferencex"), ("mlenergy", ROOT / "tests/data/import/mlenergy/v3_task.json")]
    jobs += [("mlenergy", f) for f in sorted((ROOT / "tests/data/import/mlenergy/llm_text_generation").rglob("*.json"))]
    for kind, source in jobs:
        once, twice = suite.scratch / "once.csv", suite.scratch / "twice.csv"
        once.unlink(missing_ok=True)
        twice.unlink(missing_ok=True)
        first = json.loads(suite.run("import", kind, source, "--output", once, "--json"))
        suite.that(first["points_read"] == first["points_added"] > 0, f"{source}: {first}")
        twice.write_bytes(once.read_bytes())
        second = json.loads(suite.run("import", kind, source, "--output", twice, "--json"))
        suite.that(second["points_added"] == 0 and second["points_replaced"] == first["points_read"], f"{source} again: {second}")
        suite.that(once.read_bytes() == twice.read_bytes(), f"{source}: the second import changes the table")
        suite.that(len(read_table(once)) == first["points_read"], f"{source}: the table has another number of rows")


def shipped_points_round_trip(suite):
    """The shipped tables survive reading and printing: the plan stays the same."""
    data = data_copy(suite, "printed")
    empty = suite.write("empty.json", '{"task": "none", "configurations": []}')
    for file in sorted((ROOT / "data/points").glob("*.csv")):
        printed = data / "points" / file.name
        printed.write_bytes(file.read_bytes())
        told = json.loads(suite.run("import", "mlenergy", empty, "--output", printed, "--json"))
        suite.that(told["points_added"] == 0, f"{file.name}: an import of nothing adds {told}")
        suite.that(len(read_table(printed)) == len(read_table(file)), f"{file.name}: printing loses rows")
        again = suite.scratch / "again.csv"
        again.write_bytes(printed.read_bytes())
        suite.run("import", "mlenergy", empty, "--output", again)
        suite.that(again.read_bytes() == printed.read_bytes(), f"{file.name}: printing twice is not the same")
    for example in planned_sites():
        same_answer(suite, f"{example.name}, points printed", suite.plan(example, data=data), suite.plan(example))


def baseline_is_the_site_without_purchases_as_it_runs(suite):
    text = (ROOT / "examples/site-100mw.toml").read_text()
    site = suite.write("site.toml", text)
    plan = suite.plan(site, "--baseline", "self")
    baseline = plan["baseline"]
    alone = text
    for block in tables_of(text, "rack")[1]:
        if "max_buy" in block:
            alone = alone.replace(block.rstrip(), "")
    # What [baseline] says of how it runs is said of the site itself.
    today = tomllib.loads(text)["baseline"]["availability_ratio"]
    alone, headers = re.subn(r"\[baseline\]\n(.+\n)+", "", alone.replace("baseline.", ""))
    alone, ratios = re.subn(r"availability_ratio = .*", f"availability_ratio = {today}", alone)
    suite.that(headers == ratios == 1 and "[deployments]" in alone and "[[placement]]" in alone, "the example is another")
    own = suite.plan(suite.write("owned.toml", alone))
    for key in TOTALS:
        if key in baseline:
            suite.near(f"baseline: {key}", baseline[key], own[key])
    suite.that(plan["relaxed_profit_usd_per_hour"] >= own["relaxed_profit_usd_per_hour"], "purchases lower the profit")
    gain = baseline["gain"]
    suite.near("gain: profit", gain["profit_usd_per_hour"], plan["profit_usd_per_hour"] - baseline["profit_usd_per_hour"])
    ratio = plan["tokens_per_s"]["output"] / baseline["tokens_per_s"]["output"]
    suite.near("gain: output", gain["output_tokens_per_s_ratio"], ratio)
    power = plan["meter_power_watts"]["mean"] / baseline["meter_power_watts"]["mean"]
    suite.near("gain: output per joule", gain["output_tokens_per_joule_ratio"], ratio / power)


def scale(suite):
    """Twice the site earns at least twice as much, and relaxed exactly twice."""
    for example in planned_sites():
        text = example_text(example)
        one, two = suite.plan(example), text
        for key in ("demand_output_tokens_per_s", "committed_output_tokens_per_s", "committed_trained_tokens_per_s", "max_pipelines", "owned",
                    "max_buy", "positions", "max_positions", "energy_mwh"):
            two = re.sub(rf"^({key} = )(\d+)", lambda m: f"{m[1]}{2 * int(m[2])}", two, flags=re.M)
        two = re.sub(r'^(envelope|power)( = ")([\d.]+)', lambda m: f"{m[1]}{m[2]}{2 * float(m[3])!r}", two, flags=re.M)
        assert tomllib.loads(two)["site"]["envelope"] != tomllib.loads(text)["site"]["envelope"]
        both = suite.plan(suite.write("twice.toml", two))
        got, want = both["relaxed_profit_usd_per_hour"], 2 * one["relaxed_profit_usd_per_hour"]
        suite.that(abs(got - want) <= 1e-7 * abs(want), f"{example.name} twice: relaxed profit {got!r} differs from {want!r}")
        slack = 2 * both["proven_gap_ratio"] + 2e-5
        suite.that(both["profit_usd_per_hour"] >= 2 * one["profit_usd_per_hour"] * (1 - slack), f"{example.name}: twice the site earns less than twice")


TPU_SITE = """\
[site]
envelope = "20MW"
[prices]
table = "2026-08"
energy_usd_per_kwh = 0.08
[[service]]
id = "chat"
model = "qwen3.5-397b-a17b"
isl_tokens = 8192
osl_tokens = 1024
min_interactivity = "{interactivity}tok/s"
demand_output_tokens_per_s = 3000000
[[rack]]
system = "tpu-v7-liquid"
owned = 20
"""


def interactivity_remedy_mends(suite):
    """The best measured rate has more digits than are printed: it must be rounded down."""
    told = suite.plan(suite.write("fast.toml", TPU_SITE.format(interactivity=5000)))["remedies"][0]["needed"]
    possible = re.match(r"at most ([\d.]+) tok/s", told)[1]
    plan = suite.plan(suite.write("possible.toml", TPU_SITE.format(interactivity=possible)))
    suite.that(plan["status"] == "optimal", f"still infeasible with an interactivity of {possible} tok/s")


def solver_answers(suite):
    """Sites at which the solver once ended with neither an optimum nor a proof that there is none."""
    plan = suite.plan(Path(__file__).with_name("one_fast_deployment.toml"))
    suite.that(plan["status"] in ("optimal", "infeasible"), f"status is {plan['status']}")


PROPERTIES = (order_does_not_matter, order_of_points_does_not_matter, same_identity_replaces, catalog_entry_replaces,
              import_round_trips, shipped_points_round_trip,
              baseline_is_the_site_without_purchases_as_it_runs, scale,
              interactivity_remedy_mends,
              solver_answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    binary = str(Path(parser.parse_args().perwatt).resolve())
    failed = 0
    for check in PROPERTIES:
        with tempfile.TemporaryDirectory() as scratch:
            suite = Suite(binary, scratch)
            try:
                check(suite)
            except RuntimeError as problem:
                suite.faults.append(str(problem))
        print(f"{check.__name__}: {suite.checks} checks, {len(suite.faults)} failed")
        print("".join(f"    {fault}\n" for fault in suite.faults[:5]), end="")
        failed += bool(suite.faults)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
