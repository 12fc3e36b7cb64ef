#!/usr/bin/env python3
"""perwatt plan over a year, halls, supplies and provisioning against a second linear program, on random sites."""
import argparse
import copy
import csv
import io
import json
import math
import multiprocessing
import random
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from scipy.stats import binom

import plant_reference
import random_site
import random_year
import reference
import year_reference
from plan_oracle import Checks

# Of the relaxed profit and of the revenue, whose difference it is: both solvers stop at a relative
# tolerance of 1e-7 on rows in MW and ktok/s.
RELATIVE = 1e-6
# The program solves on chords, which lie above the plants by at most this, and prints the plants' power.
CHORD = 1.1e-5
MUTATION = 1e-3
SCENARIOS = 1000


def run(command, folder, data=None):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, input=data, check=False)
    return done.returncode, done.stdout, done.stderr


class Case:
    def __init__(self, binary, numbers, folder, seed):
        self.binary, self.numbers, self.folder = binary, numbers, Path(folder) / f"year{seed}"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "catalog").mkdir(exist_ok=True)
        (self.folder / "catalog/plants.toml").write_text(random_site.EXTRA_PLANTS)
        self.pick = random.Random(seed)
        self.site, self.hourly = random_year.make_site(self.pick)
        if self.hourly:
            (self.folder / "hours.csv").write_text(self.hourly)

    def plan(self, site):
        (self.folder / "site.toml").write_text(random_site.to_toml(site))
        code, out, err = run([self.binary, "plan", "site.toml", "--json", "--measured-only", "--candidates", "columns.csv", "--catalog",
                              "catalog"], self.folder)
        return code, json.loads(out) if code == 0 else None, err

    def printed(self, groups):
        policy = self.site.get("provisioning", {})
        code, out, err = run([self.numbers, "site.toml", "catalog", str(policy.get("node_correlation", 1)),
                              str(policy.get("service_correlation", 1)), str(SCENARIOS)], self.folder, groups)
        if code:
            raise RuntimeError(err)
        return json.loads(out)


def key(service, system, plant, read_at, interactivity):
    return service, system, plant, Path(read_at).name, f"{float(interactivity):.9g}"


def build(case):
    """The reference site, with its groups and scenarios."""
    rows = list(csv.DictReader(io.StringIO((case.folder / "columns.csv").read_text())))
    text = random_site.to_toml(case.site)
    told = {key(r["service"], r["system"], r["cooling_plant"], r["read_at"], r["interactivity_tokens_per_s"]): r
            for r in rows}
    document = tomllib.loads(text)
    order = []  # of the groups, as the program met them
    for r in rows:
        group = r["service"], r["system"], r["cooling_plant"], r["serving"]
        if group not in order:
            order.append(group)
    managed = case.site["provisioning"]["policy"] == "managed"
    lines = "".join(f"{CATALOG.get('accelerator', CATALOG.get('system', g[1])['accelerator'])['id']} {g[3]}\n" for g in order)
    printed = case.printed(lines if managed else "")
    year = year_reference.read_year(text, CATALOG, printed)
    names = [s["id"] for s in document["service"]]

    def told_watts(column):
        rack = year.racks[column.rack]
        row = told.get(key(names[column.service], rack.system["id"], year.halls[rack.hall].plant["id"],
                           column.at.point.read_at, column.at.interactivity))
        return None if row is None else float(row["gpu_power_watts"])

    year_reference.add_columns(year, POINTS, CATALOG, told_watts)
    if managed and order:
        place = {(r.system["id"], year.halls[r.hall].plant["id"]): k for k, r in enumerate(year.racks)}
        year.groups = [(names.index(g[0]), place[g[1], g[2]], g[3]) for g in order]
        year.ratios = np.array(printed["scenarios"]["ratios"]).T
        n, alpha = math.floor(printed["scenarios"]["samples_effective"]), case.site["provisioning"]["excursion_probability"]
        count = int(sum(binom.cdf(k, n, alpha) <= 0.05 for k in range(n)))
        year.tail = count / n if alpha * printed["scenarios"]["samples_effective"] >= 3 else 0.0
    return year, printed, len(rows)


# ---- checks ------------------------------------------------------------------------------------


def check_curves(checks, year, printed):
    """The curves that were taken as data lie on the plants of the independent model, chords above."""
    for hall in year.halls:
        if not hall.physical:
            continue
        given = next((h for h in year.document.get("hall", []) if h["id"] == hall.id), {})
        supply = float(given["supply_temperature"][:-1]) if "supply_temperature" in given else hall.plant["supply_celsius"]["value"]
        plant = plant_reference.Plant(hall.plant, supply)
        h = len(year.hours) // 2
        weather = printed["year"][h]["weather"]
        some = weather[:: max(1, len(weather) // 40)]
        for load in (0.3 * hall.usable, hall.usable):
            worst = max(plant.at(load, w[3], w[4])["meter_ratio"] for w in some)
            got = np.interp(load, *hall.worst[h])
            checks.that(got >= worst * (1 - 1e-9), f"{hall.id}: worst curve {got} below the plant's {worst} at {load}")
            if len(some) == len(weather):
                checks.that(got <= worst * (1 + CHORD), f"{hall.id}: worst curve {got} above the plant's {worst}")
                mean = sum(w[0] * plant.at(load, w[1], w[2])["meter_ratio"] for w in weather) / sum(w[0] for w in weather)
                got = np.interp(load, *hall.mean[h])
                checks.that(mean * (1 - 1e-9) <= got <= mean * (1 + CHORD), f"{hall.id}: mean curve {got}, plant {mean}")


def check_hours(checks, case, year, printed, plan):
    told = plan["hour_classes"]
    checks.that(len(told) == len(year.hours), f"{len(told)} hour classes, not {len(year.hours)}")
    ours = sorted((h.weight, h.price, h.demand) for h in year.hours)
    theirs = sorted((t["hours_per_year"] / 8760, t["energy_usd_per_kwh"] * 1e3, t["demand_ratio"]) for t in told)
    checks.that(np.allclose(ours, theirs, rtol=1e-9, atol=1e-9), f"hour classes differ: {theirs} {ours}")
    if case.hourly:
        rows = list(csv.DictReader(io.StringIO(case.hourly)))
        checks.that(len(told) <= case.site["year"]["hour_classes"], "more hour classes than asked for")
        for column, value in (("demand_ratio", "demand_ratio"), ("energy_usd_per_kwh", "energy_usd_per_kwh")):
            if column in rows[0] and (column == "demand_ratio" or "carbon_usd_per_tonne" not in case.site["year"]):
                mean = sum(float(r[column]) for r in rows) / len(rows)
                checks.near(f"mean of {column}", sum(t["hours_per_year"] * t[value] for t in told) / 8760, mean)
    for boundary, mean in (("it_power_watts", plan["it_power_watts"]), ("meter_power_watts", plan["meter_power_watts"]["mean"]),
                           ("energy_usd_per_hour", plan["energy_usd_per_hour"])):
        checks.near(f"classes' mean of {boundary}", sum(t["hours_per_year"] * t[boundary] for t in told) / 8760, mean,
                    absolute=1e-6)
    limit = (year.envelope + sum(s["firm"] for s in year.supplies)) * 1e6
    for t in told:
        checks.at_most(f"reserved in {t['name']}", t["reserved_power_watts"], limit, 1e-6)
        checks.near("headroom", t["headroom_watts"], limit - t["reserved_power_watts"], absolute=1e-3)
    flow = plan["power_flow"]
    parts = sum(v for k, v in flow.items() if k != "gpu_watts") + sum(flow["gpu_watts"].values())
    checks.near("power flow sum", parts, plan["meter_power_watts"]["mean"])


def check_optimum(checks, plan, year, program):
    revenue = abs(plan["revenue_usd_per_hour"])
    scale = 1e-6 + RELATIVE * (revenue + abs(plan["energy_usd_per_hour"]))
    optimum, _ = program.solve()
    if optimum is None:
        checks.that(False, "is called optimal but the reference is infeasible")
        return
    checks.near("relaxed profit", plan["relaxed_profit_usd_per_hour"], optimum, RELATIVE, scale * 0.1)
    found, bound = program.solve(True, 1.5)
    # What the program found on chords; its printed profit is on the plants.
    whole = plan["relaxed_profit_usd_per_hour"] - plan["whole_rack_gap_ratio"] * abs(plan["relaxed_profit_usd_per_hour"])
    checks.at_most("whole racks against the reference's bound", whole, bound, RELATIVE, scale)
    if found is not None:
        gap = plan["proven_gap_ratio"] * abs(whole) + 2e-5 * abs(found)
        checks.at_most("reference's plan against the proven gap", found, whole + gap, RELATIVE, scale)
    if not any(h.price < 0 for h in year.hours):
        checks.near("printed profit against the program's", plan["profit_usd_per_hour"], whole, RELATIVE,
                    scale + CHORD * abs(plan["energy_usd_per_hour"]))


def apply_remedy(site, remedy):
    site = json.loads(json.dumps(site))
    limit, number = remedy["limit"], remedy["needed"].split()[2]
    if limit == "site.envelope":
        site["site"]["envelope"] = f"{number}MW"
    elif limit.startswith("hall["):
        id, name = limit[5:].split("].")
        hall = next((h for h in site["hall"] if h["id"] == id), None)
        hall[name] = int(number) if name == "positions" else f"{number}MW"
    elif limit.startswith("service[") and "committed" in limit:
        next(s for s in site["service"] if s["id"] == limit[8:].split("]")[0])["committed_output_tokens_per_s"] = float(number)
    elif limit == "provisioning.excursion_probability":
        site["provisioning"]["excursion_probability"] = float(number)
    else:
        return None
    return site


def check_infeasible(checks, case, plan, year, columns):
    refused = plan["infeasible_because"].startswith("managed provisioning is refused")
    checks.that(bool(plan["remedies"]), f"no remedy: {plan['infeasible_because']}")
    if columns and not refused:
        committed = {s for s, service in enumerate(year.services) if service.committed > 0}
        if committed <= {c.service for c in year.columns}:
            found, _ = year_reference.Program(year).solve(True, 1.5)
            checks.that(found is None, f"is called infeasible but earns {found}: {plan['infeasible_because']}")
    if plan["infeasible_because"].startswith(("no single", "no deployment")):
        return
    for remedy in plan["remedies"]:
        changed = apply_remedy(case.site, remedy)
        if changed is None:
            continue
        code, after, err = case.plan(changed)
        checks.that(code == 0 and (after["status"] == "optimal" or refused), f"still infeasible with {remedy}: {err}")
        checks.that(code != 0 or "refused" not in after.get("infeasible_because", ""), f"still refused with {remedy}")
        checks.figures["remedies applied"] = checks.figures.get("remedies applied", 0) + 1


MUTATIONS = {
    "revenue": lambda y: [setattr(c, "revenue", c.revenue * (1 + MUTATION)) for c in y.columns],
    "hour weight": lambda y: [setattr(h, "weight", h.weight * (1 + MUTATION)) for h in y.hours[:1]],
    "price": lambda y: [setattr(h, "price", h.price * (1 + MUTATION)) for h in y.hours],
    "demand": lambda y: [setattr(h, "demand", h.demand * (1 + MUTATION)) for h in y.hours],
    "mean curve": lambda y: [setattr(h, "mean", [(x, [v * (1 + MUTATION) for v in m]) for x, m in h.mean]) for h in y.halls if h.mean],
    "worst curve": lambda y: [setattr(h, "worst", [(x, [v * (1 + MUTATION) for v in m]) for x, m in h.worst]) for h in y.halls if h.worst],
    "usable": lambda y: [setattr(h, "usable", h.usable * (1 - MUTATION)) for h in y.halls if h.physical],
    "capacity": lambda y: [setattr(h, "capacity", h.capacity * (1 + MUTATION)) for h in y.halls if h.capacity],
    "positions": lambda y: [setattr(h, "positions", h.positions * (1 + MUTATION)) for h in y.halls if h.positions],
    "retrofit": lambda y: [r.update(capital_usd_per_position_hour=r["capital_usd_per_position_hour"] * (1 + MUTATION) + MUTATION)
                           for r in y.document.get("retrofit", [])],
    "firm supply": lambda y: [s.update(firm=s["firm"] * (1 + MUTATION)) for s in y.supplies],
    "battery": lambda y: [s.update(efficiency=s["efficiency"] * (1 - MUTATION)) for s in y.supplies if "energy" in s],
    "generation": lambda y: [s.update(cost=s["cost"] * (1 + MUTATION)) for s in y.supplies if "cost" in s],
    "generator hours": lambda y: [s.update(hours=s["hours"] * (1 + MUTATION)) for s in y.supplies if "cost" in s],
    "tail": lambda y: setattr(y, "tail", y.tail * (1 - 10 * MUTATION)),
    "swing": lambda y: [setattr(c, "swing", c.swing * (1 + MUTATION)) for c in y.columns],
    "reserved": lambda y: [setattr(r, "reserved", r.reserved * (1 + MUTATION)) for r in y.racks],
}


def check_site(binary, numbers, folder, seed):
    checks = Checks()
    case = Case(binary, numbers, folder, seed)
    code, plan, err = case.plan(case.site)
    if code != 0:
        # A random hall may be too hot for its plant: an answer, and nothing else may be refused.
        checks.that(code == 3 and "carries no load in the warmest hour" in err, err)
        checks.figures["refused"] = 1.0
        return seed, checks
    year, printed, columns = build(case)
    infeasible = plan["status"] == "infeasible"
    checks.figures["infeasible"] = float(infeasible)
    checks.that(columns == len(year.columns), f"{columns} columns, the reference has {len(year.columns)}")
    if infeasible:
        check_infeasible(checks, case, plan, year, columns)
        return seed, checks
    check_curves(checks, year, printed)
    check_hours(checks, case, year, printed, plan)
    check_optimum(checks, plan, year, year_reference.Program(year))
    for kind in ("supply", "retrofit", "year"):
        checks.figures[f"sites with {kind}"] = float(kind in case.site)
    checks.figures[f"sites under {case.site['provisioning']['policy']}"] = 1.0
    checks.figures["sites solved"] = 1.0
    return seed, checks


def find_mutations(arguments):
    """The mutations of the reference that show at one site, of those asked for."""
    binary, numbers, folder, seed, asked = arguments
    case = Case(binary, numbers, folder, seed)
    code, plan, _ = case.plan(case.site)
    if code != 0 or plan["status"] != "optimal":
        return seed, []
    year, _, _ = build(case)
    scale = 0.1 * RELATIVE * (1 + abs(plan["revenue_usd_per_hour"]) + abs(plan["energy_usd_per_hour"]))
    caught = []
    for name in asked:
        changed = copy.deepcopy(year)
        MUTATIONS[name](changed)
        optimum, _ = year_reference.Program(changed).solve()
        if optimum is None or abs(plan["relaxed_profit_usd_per_hour"] - optimum) > scale + RELATIVE * abs(optimum):
            caught.append(name)
    return seed, caught


def guarded(arguments):
    try:
        return check_site(*arguments)
    except Exception as problem:  # a crash of one site must name it
        checks = Checks()
        checks.wrong.append(f"{type(problem).__name__}: {problem}")
        return arguments[3], checks


def report(results):
    failures, counted, largest = 0, {}, {}
    for seed, checks in sorted(results, key=lambda r: r[0]):
        failures += bool(checks.wrong)
        for text in checks.wrong[:5]:
            print(f"site {seed}: {text}")
        for name, value in checks.figures.items():
            if name.startswith(("sites", "infeasible", "refused", "remedies")):
                counted[name] = counted.get(name, 0) + value
            else:
                largest[name] = max(largest.get(name, 0.0), value)
    print(f"{len(results)} sites, {failures} with a failure")
    for name, value in sorted(counted.items()):
        print(f"  {name}: {value:g}")
    for name, value in sorted(largest.items()):
        print(f"  largest {name}: {value:.3g}")
    return bool(failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--numbers", required=True, help="the binary year_numbers")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--mutations", action="store_true", help="each mutation of the reference must be caught")
    parser.add_argument("--keep", help="folder to leave the files in")
    options = parser.parse_args()
    binary, numbers = (str(Path(p).resolve()) for p in (options.perwatt, options.numbers))
    global CATALOG, POINTS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        folder.mkdir(exist_ok=True)
        (folder / "plants").mkdir(exist_ok=True)
        (folder / "plants/plants.toml").write_text(random_site.EXTRA_PLANTS)
        CATALOG = reference.Catalog([reference.DATA / "catalog", folder / "plants"])
        POINTS = reference.read_points(sorted((reference.DATA / "points").glob("*.csv")), CATALOG)
        seeds = range(options.first_seed, options.first_seed + options.count)
        with multiprocessing.get_context("fork").Pool() as pool:
            if not options.mutations:
                return report(list(pool.imap_unordered(guarded, [(binary, numbers, folder, s) for s in seeds])))
            missed = list(MUTATIONS)
            for start in range(options.first_seed, seeds.stop, 4):  # a few sites at a time, until all are caught
                jobs = [(binary, numbers, folder, s, missed) for s in range(start, min(start + 4, seeds.stop)) if missed]
                for seed, caught in pool.imap(find_mutations, jobs):
                    for name in caught:
                        if name in missed:
                            print(f"{name}: caught at site {seed}", flush=True)
                            missed = [m for m in missed if m != name]
            print(f"not caught: {missed}" if missed else "all mutations are caught")
            return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
