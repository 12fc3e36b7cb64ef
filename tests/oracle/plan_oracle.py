#!/usr/bin/env python3
"""perwatt plan against a second implementation of its arithmetic and another solver, on random sites."""
import argparse
import copy
import csv
import itertools
import json
import math
import multiprocessing
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import random_site
import reference

RELATIVE = 1e-6
EXACT = 1e-9
LARGE_PLAN_RACKS = 100
MUTATIONS = ("rate", "revenue", "power", "idle", "provisioned", "capital", "loads", "trained", "training_power")
MUTATION = 1e-5
MUTATION_OF = {"training_power": 1e-3}  # what its energy costs is little beside what training earns


class Checks:
    """Collects what is wrong with one site."""

    def __init__(self):
        self.wrong = []
        self.figures = {}

    def that(self, condition, text):
        if not condition:
            self.wrong.append(text)

    def near(self, name, got, want, relative=EXACT, absolute=1e-9):
        error = abs(got - want)
        self.that(error <= absolute + relative * max(abs(got), abs(want)),
                  f"{name}: {got!r} differs from {want!r}")
        scale = max(abs(want), 1.0)
        self.figures[name] = max(self.figures.get(name, 0.0), error / scale)

    def at_most(self, name, low, high, relative=EXACT, absolute=1e-9):
        self.that(low <= high + absolute + relative * abs(high), f"{name}: {low!r} is above {high!r}")


class Runner:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)
        self.plants = self.folder / "catalog"

    def plan(self, site, name, *flags):
        file = self.folder / f"{name}.toml"
        file.write_text(random_site.to_toml(site))
        for job in site.get("training", []):
            (self.folder / job["profile"]).write_text(random_site.training_profile(job["profile"], job["stages"]))
        table = self.folder / f"{name}.csv"
        table.unlink(missing_ok=True)
        done = subprocess.run([self.binary, "plan", str(file), "--json", "--measured-only", "--candidates", str(table),
                               "--catalog", str(self.plants), *flags],
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}\n{file.read_text()}")
        with open(table, newline="") as stream:
            return json.loads(done.stdout), list(csv.DictReader(stream))


def column_key(service, system, plant, read_at, interactivity):
    return service, system, plant, Path(read_at).name, f"{float(interactivity):.9g}"


def all_plans(job, cap):
    """(s, J per GPU) of every choice of settings that boards under `cap` hold."""
    operations = operations_of(job)
    settings = random_site.training_settings(job["profile"], job["stages"])
    held = [[(t, e) for _, t, e in settings[o[:2]] if e / t <= cap] for o in operations]
    blocking = reference.quantity(job["blocking_power"], reference.POWER_UNITS)
    if blocking > cap:
        return []
    plans = []
    for choice in itertools.product(*held):
        time = makespan(job, operations, [t for t, _ in choice]) + tail_of(job)
        plans.append((time, sum(e - blocking * t for t, e in choice) + blocking * job["stages"] * time))
    return plans


def tail_of(job):
    return reference.quantity(job["tail"], reference.TIME_UNITS) if "tail" in job else 0.0


def operations_of(job):
    """(stage, instruction, microbatch) of 1F1B in an order in which none needs a later one."""
    if job["stages"] == 1:
        return [(0, i, m) for m in range(job["microbatches"]) for i in ("forward", "backward")]
    one = [(0, "forward", 0), (1, "forward", 0), (1, "backward", 0), (0, "backward", 0)]
    if job["microbatches"] == 1:
        return one
    # Stage 0 runs one forward ahead: F0 F1 B0 B1; stage 1: F0 B0 F1 B1.
    return [one[0], one[1], (0, "forward", 1), one[2], one[3], (1, "forward", 1), (1, "backward", 1), (0, "backward", 1)]


def makespan(job, operations, times):
    end, stage_free = {}, [0.0] * job["stages"]
    for (stage, instruction, m), time in zip(operations, times):
        other = stage - 1 if instruction == "forward" else stage + 1
        begin = max(stage_free[stage], end.get((other, instruction, m), 0.0))
        end[stage, instruction, m] = stage_free[stage] = begin + time
    return max(end.values())


def full_clocks(job, cap):
    settings = random_site.training_settings(job["profile"], job["stages"])
    held = {key: [s for s in own if s[2] / s[1] <= cap] for key, own in settings.items()}
    if not all(held.values()):
        return None
    operations = operations_of(job)
    return makespan(job, operations, [max(held[o[:2]])[1] for o in operations]) + tail_of(job)


def rate_factor(job):
    """docs/model/plan.md: a tail of a hundredth of the iteration counts as fitted to a measured one."""
    return 1.0 if tail_of(job) >= 0.01 * full_clocks(job, math.inf) else 0.965


def add_training(checks, plan, model, rule):
    """The program's points, each checked to be a plan, and none better left out by more than the thinning."""
    for j, told in enumerate(plan.get("training", [])):
        job = model.jobs[j]
        for k, rack in enumerate(model.racks):
            if CATALOG.names["accelerator"][rack.system["accelerator"]] != told["accelerator"]:
                continue
            columns = [c for c in told.get("columns", []) if (c["system"], c["hall"]) == rack.key]
            cap = reference.cap_watts(CATALOG, rack.system)
            plans, full = all_plans(job, cap), full_clocks(job, cap)
            fits = reference.gpus_per_pipeline(job) <= (rack.owned + rack.max_buy) * rack.gpus
            checks.that(bool(columns) == (bool(plans) and fits),
                        f"{told['id']} on {rack.key}: {len(columns)} columns of {len(plans)} plans")
            for c in columns:
                joules = c["iteration_joules_per_pipeline"] / job["gpus_per_stage"]
                off = min(abs(t / c["time_seconds"] - 1) + abs(e / joules - 1) for t, e in plans)
                checks.that(off < 1e-8, f"{told['id']}: no choice of settings takes {c['time_seconds']} s and {joules} J")
                reference.add_training(model, j, k, c["time_seconds"], joules, rate_factor(job), CATALOG)
                mine = model.training[-1]
                checks.near("trained tokens per GPU", c["mean_trained_tokens_per_s_per_gpu"], mine.trained)
                checks.near("training facility power", c["mean_facility_power_watts_per_gpu"], mine.meter_watts)
                checks.that(rule == "any" or c["time_seconds"] <= full * (1 + 1e-8), "a plan is slower than the rule allows")
            if columns and rule != "none":
                check_frontier(checks, told["id"], columns, job, [p for p in plans if rule == "any" or p[0] <= full * (1 + 1e-9)])


def check_frontier(checks, name, columns, job, plans):
    """At every rate that a mixture of plans reaches, mixtures of the columns draw at most a thousandth more."""
    def least_watts(points, rate):
        return min((b - a) * (rate - r) / (s - r) + a if s != r else min(a, b)
                   for (r, a), (s, b) in itertools.product(points, points)
                   if min(r, s) - 1e-12 <= rate <= max(r, s) + 1e-12)

    mine = [(1 / c["time_seconds"], c["iteration_joules_per_pipeline"] / job["gpus_per_stage"] / c["time_seconds"])
            for c in columns]
    reach = max(r for r, _ in mine)
    checks.near(f"{name}: the fastest plan", max(1 / t for t, _ in plans), reach, 1e-8)
    for time, joules in plans:
        if 1 / time >= min(r for r, _ in mine):
            checks.at_most("watts of the columns' mixtures", least_watts(mine, min(1 / time, reach)), joules / time, 1.5e-3)


def build_reference(runner, site, rows, catalog, points):
    """The reference site; watts that are modelled come from the program's table."""
    told = {column_key(r["service"], r["system"], r["cooling_plant"], r["read_at"],
                       r["interactivity_tokens_per_s"]): r for r in rows}
    model = reference.read_site(random_site.to_toml(site), catalog)
    without_watts = [set() for _ in model.services]

    def key(column):
        return column_key(model.services[column.service].id, *model.racks[column.rack].key,
                          column.at.point.read_at, column.at.interactivity)

    def modelled(column):
        row = told.get(key(column))
        if row is None:
            without_watts[column.service].add(key(column)[3:])
            return None
        return float(row["gpu_power_watts"])

    reference.add_candidates(model, points, catalog, modelled)
    return model, told, key, without_watts


def mutate(model, what):
    factor = 1 + MUTATION_OF.get(what, MUTATION)
    for column in model.candidates:
        if what == "rate":
            column.at = copy.copy(column.at)
            column.at.output *= factor
        elif what == "revenue":
            column.revenue *= factor
        elif what == "power":
            column.meter_watts *= factor
    for rack in model.racks:
        if what == "idle":
            rack.idle_meter_watts *= factor
        elif what == "provisioned":
            rack.provisioned_watts *= factor
        elif what == "capital" and rack.capital_per_gpu:
            rack.capital_per_gpu *= factor
    for column in model.training:
        if what == "trained":
            column.value *= factor
        elif what == "training_power":
            column.meter_watts *= factor
    if what == "loads":
        model.load_meter_watts *= factor


# ---- checks ------------------------------------------------------------------------------------


def check_columns(checks, model, told, key):
    """Both sides found the same columns with the same figures."""
    ours = {key(c): c for c in model.candidates}
    for missing in sorted(ours.keys() - told.keys())[:3]:
        checks.that(False, f"the program has no column {missing}")
    for extra in sorted(told.keys() - ours.keys())[:3]:
        checks.that(False, f"the reference has no column {extra}")
    for k in ours.keys() & told.keys():
        column, row = ours[k], told[k]
        margin = column.revenue - column.meter_watts * model.usd_per_watt_hour
        rack = model.racks[column.rack]
        checks.near("column output", float(row["output_tokens_per_s_per_gpu"]), column.at.output)
        checks.near("column GPU power", float(row["gpu_power_watts"]), column.gpu_watts)
        checks.near("column facility power", float(row["mean_facility_power_watts_per_gpu"]), column.meter_watts)
        checks.near("column margin", float(row["margin_usd_per_hour_per_gpu"]), margin,
                    absolute=1e-9 * (1 + column.revenue))
        checks.at_most("GPU power against the cap", column.gpu_watts,
                       1.5 * reference.figure(CATALOG.get("accelerator", rack.system["accelerator"]), "tdp_watts"))


def check_totals(checks, plan, model):
    meter = plan["meter_power_watts"]
    output = plan["tokens_per_s"]["output"]
    training = plan.get("training_power_watts", {"facility": 0.0, "it": 0.0, "gpu": 0.0})
    if output > 0:
        for boundary, watts in (("facility", meter["mean"] - training["facility"]),
                                ("it", plan["it_power_watts"] - training["it"]),
                                ("gpu", plan["gpu_power_watts"] - training["gpu"])):
            checks.near(f"J per token x tokens/s, {boundary}",
                        plan["joules_per_output_token"][boundary] * output, watts)
        checks.near("output per facility MW", plan["output_tokens_per_s_per_facility_megawatt"],
                    output / (meter["mean"] - training["facility"]) * 1e6)
        checks.near("output per provisioned MW", plan["output_tokens_per_s_per_provisioned_megawatt"],
                    output / plan["provisioned_power_watts"] * 1e6)
    flow = plan["power_flow"]
    boards = {k: v for k, v in flow.items() if isinstance(v, dict)}
    parts = sum(v for k, v in flow.items() if k not in boards) + sum(sum(v.values()) for v in boards.values())
    checks.near("power flow sum", parts, meter["mean"])
    checks.that(all(v >= 0 for k, v in flow.items() if k not in boards), "a part of the power flow is negative")
    envelope = model.envelope * (1 + 1e-7)
    checks.that(plan["provisioned_power_watts"] <= envelope, "provisioned power is above the envelope")
    checks.that(meter["peak"] <= envelope, "peak power is above the envelope")
    checks.that(meter["mean_low"] <= meter["mean"] * (1 + EXACT) and
                meter["mean"] <= meter["mean_high"] * (1 + EXACT), "meter interval does not hold the mean")
    checks.at_most("mean against peak", meter["mean"], meter["peak"])
    checks.that(plan["tokens_per_s"]["output_low"] <= output <= plan["tokens_per_s"]["output_high"],
                "output interval does not hold the output")
    checks.near("profit", plan["profit_usd_per_hour"], plan["revenue_usd_per_hour"]
                - plan["energy_usd_per_hour"] - plan["capital_usd_per_hour"],
                absolute=1e-9 * (1 + plan["revenue_usd_per_hour"]))
    check_rebuilt(checks, plan, model)


def check_rebuilt(checks, plan, model):
    """Totals once more from the deployments and racks of the answer."""
    services = {s.id: s for s in model.services}
    racks = {r.key: r for r in model.racks}
    revenue = output = 0.0
    meter = model.load_meter_watts
    for d in plan["deployments"]:
        s, serving = services[d["service"]], d["gpus"] * model.availability
        output += d["output_tokens_per_s_per_gpu"] * serving
        total = d["total_tokens_per_s_per_gpu"]
        usd = d["output_tokens_per_s_per_gpu"] * s.usd_per_output
        if total is not None:
            usd += (total - d["output_tokens_per_s_per_gpu"]) * s.usd_per_input
        revenue += usd * serving * 3600
        meter += d["mean_facility_power_watts_per_gpu"] * d["gpus"]
        checks.near("replicas", d["replicas"] * d["layout"]["num_gpus"], d["gpus"])
        checks.at_most("interactivity limit", s.min_interactivity, d["interactivity_tokens_per_s"])
        if s.max_ttft:
            checks.that(d["ttft_seconds"] is not None and d["ttft_seconds"] <= s.max_ttft * (1 + EXACT),
                        "a deployment breaks the TTFT limit")
    value = training = 0.0
    for told in plan.get("training", []):
        own = 0.0
        for p in told["plans"]:
            own += p["mean_trained_tokens_per_s_per_gpu"] * p["gpus"]
            training += p["mean_facility_power_watts_per_gpu"] * p["gpus"]
            checks.near("pipelines", p["pipelines"] * told["gpus_per_pipeline"], p["gpus"])
        checks.near("trained", told["trained_tokens_per_s"], own)
        checks.at_most("pipelines wanted", told["pipelines"], told["max_pipelines"], relative=1e-7)
        checks.at_most("committed to train", told["committed_trained_tokens_per_s"] or 0, own, relative=1e-7, absolute=1e-3)
        value += own * 3600 * told["value_usd_per_million_trained_tokens"] / 1e6
    meter += training
    revenue += value
    if "training" in plan:
        checks.near("value of training", plan["training_value_usd_per_hour"], value)
        checks.near("training power", plan["training_power_watts"]["facility"], training)
    capital = 0.0
    provisioned = model.load_meter_watts
    for r in plan["racks"]:
        rack = racks[r["system"], r["cooling_plant"]]
        used = sum(d["gpus"] for d in plan["deployments"]
                   if (d["system"], d["cooling_plant"]) == rack.key)
        trained = sum(p["gpus"] for t in plan.get("training", []) for p in t["plans"]
                      if (p["system"], p["hall"]) == rack.key)
        meter += r["idle_gpus"] * rack.idle_meter_watts
        capital += r["bought"] * rack.gpus * (rack.capital_per_gpu or 0)
        provisioned += r["powered"] * rack.provisioned_watts
        name = rack.key
        checks.that(r["powered"] == int(r["powered"]) and r["bought"] == int(r["bought"]), f"{name}: racks are not whole")
        checks.that(r["powered"] <= rack.owned + rack.max_buy, f"{name}: more racks powered than there are")
        checks.that(r["bought"] == max(0, r["powered"] - rack.owned), f"{name}: bought is not what owned lacks")
        checks.near("training GPUs", r.get("training_gpus", 0.0), trained)
        checks.at_most("GPUs of powered racks", used + trained, r["powered"] * rack.gpus, relative=1e-7)
        checks.near("serving GPUs", r["serving_gpus"], used)
        checks.near("serving + idle GPUs", r["serving_gpus"] + trained + r["idle_gpus"], r["powered"] * rack.gpus, 1e-7, 1e-5)
        checks.near("idle GPU power", r["idle_gpu_power_watts"], rack.idle_gpu_watts)
        checks.near("provisioned per rack", r["provisioned_power_watts_per_rack"], rack.provisioned_watts)
        if rack.capital_per_gpu is not None:
            checks.near("capital per GPU", r["capital_usd_per_hour_per_gpu"], rack.capital_per_gpu)
    checks.near("revenue rebuilt", plan["revenue_usd_per_hour"], revenue)
    checks.near("output rebuilt", plan["tokens_per_s"]["output"], output)
    checks.near("meter rebuilt", plan["meter_power_watts"]["mean"], meter)
    checks.near("energy cost", plan["energy_usd_per_hour"],
                plan["meter_power_watts"]["mean"] * model.usd_per_watt_hour)
    checks.near("capital rebuilt", plan["capital_usd_per_hour"], capital)
    checks.near("provisioned rebuilt", plan["provisioned_power_watts"], provisioned)
    if model.max_capital is not None:
        checks.at_most("capital limit", plan["capital_usd_per_hour"], model.max_capital, relative=1e-7)
    for told in plan["services"]:
        s = services[told["id"]]
        served = told["served_output_tokens_per_s"]
        checks.at_most("served against demand", served, s.demand, relative=1e-7, absolute=1e-3)
        checks.at_most("commitment against served", s.committed, served, relative=1e-7, absolute=1e-3)
        checks.near("served", served, sum(d["output_tokens_per_s"] for d in plan["deployments"]
                                          if d["service"] == s.id))


def check_optimum(checks, plan, model, program, optimum):
    scale = 1 + plan["revenue_usd_per_hour"]
    checks.near("relaxed profit", plan["relaxed_profit_usd_per_hour"], optimum, RELATIVE, 1e-6)
    profit, proven = plan["profit_usd_per_hour"], plan["proven_gap_ratio"]
    relaxed_gap = plan["whole_rack_gap_ratio"]
    checks.at_most("profit against the relaxation", profit, optimum, RELATIVE, 1e-6)
    checks.at_most("printed rack gap", optimum - profit, abs(relaxed_gap * optimum), RELATIVE, 1e-6 * scale)
    checks.that(proven <= 1e-3, f"proven gap is {proven}")
    powered = sum(r["powered"] for r in plan["racks"])
    if powered >= LARGE_PLAN_RACKS * len(model.racks):  # each kind may lose a part of a rack
        checks.that(relaxed_gap < 0.01, f"gap of {relaxed_gap} to the relaxation with {powered} racks")
        checks.figures["rack gap of large plans"] = relaxed_gap
    found, bound = program.whole()
    checks.that(found is not None or bound == math.inf, "the reference finds no whole-rack plan")
    if found is not None:
        checks.at_most("whole racks against the reference's bound", profit, bound, RELATIVE, 1e-6 * scale)
        # The search may stop within 1e-5 of its bound.
        checks.at_most("reference's plan against the printed gap", found - profit, proven * abs(profit) + 2e-5 * abs(found),
                       absolute=1e-6 * scale)
        checks.figures["shortfall against the reference's whole racks"] = max(0.0, (found - profit) / max(abs(found), 1.0))
    checks.figures["proven gap"] = proven


def check_duals(checks, plan, model, program, optimum):
    duals = plan["duals"]["usd_per_hour_per_megawatt"]
    absolute = 1e-6 + 3e-7 * plan["revenue_usd_per_hour"]  # both optima are exact to the solvers' tolerance

    def same(name, got, want):
        checks.that((got is None) == (want is None), f"{name}: {got} differs from {want}")
        if got is not None and want is not None:
            checks.near(name, got, want, RELATIVE, absolute)

    up = program.relaxed(model.envelope + 1e6)
    same("dual up", duals["up"], up - optimum)
    down = program.relaxed(model.envelope - 1e6) if model.envelope > 1e6 else None
    same("dual down", duals["down"], None if down is None else optimum - down)
    for k, told in enumerate(plan["duals"]["usd_per_hour_per_owned_rack"]):
        more = program.relaxed(owned_more=k)
        same("dual rack", told["up"], None if more is None else more - optimum)


def relaxed_profit(runner, site, name):
    plan, _ = runner.plan(site, name)
    return plan.get("relaxed_profit_usd_per_hour")


def check_monotone(checks, runner, site, plan, name, pick):
    """A little more of anything never lowers the relaxed profit."""
    before = plan["relaxed_profit_usd_per_hour"]
    slack = 1e-7 * (1 + plan["revenue_usd_per_hour"])
    more = copy.deepcopy(site)
    what = pick.choice(["envelope", "owned", "max_buy", "demand"])
    if what == "envelope":
        megawatts = float(site["site"]["envelope"][:-2]) * pick.choice([1.001, 1.2, 3])
        more["site"]["envelope"] = f"{megawatts!r}MW"
    elif what == "demand":
        pick.choice(more["service"])["demand_output_tokens_per_s"] *= 1.3
    else:
        rack = pick.choice([r for r in more["rack"] if what in r] or more["rack"])
        if what in rack:
            rack[what] += pick.choice([1, 7])
    after = relaxed_profit(runner, more, name)
    checks.that(after is not None and after >= before - slack, f"more {what} changes the profit {before} to {after}")


def apply_remedy(site, remedy):
    """The site with the remedy done and the flags it needs; nothing where it names no number."""
    site = copy.deepcopy(site)
    limit, needed = remedy["limit"], remedy["needed"]
    if needed.startswith("--allow-unknown-ttft"):
        return site, ["--allow-unknown-ttft"]
    if not needed.startswith(("at least ", "at most ")):
        return None, []
    number = needed.split()[2]
    if limit == "site.envelope":
        site["site"]["envelope"] = f"{number}MW"
    elif limit == "site.max_capital_usd_per_hour":
        site["site"]["max_capital_usd_per_hour"] = float(number)
    elif limit.startswith("rack["):
        system, _, key = limit[5:].partition("]")
        racks = [r for r in site["rack"] if r["system"] == system]
        if len(racks) > 1:
            return None, []
        racks[0][key.lstrip(".")] = int(number)
    elif limit.startswith("service["):
        id, key = limit[8:].split("].")
        service = next(s for s in site["service"] if s["id"] == id)
        if key == "min_interactivity":
            service[key] = f"{number}tok/s"
        elif key == "max_ttft":
            service[key] = f"{number}s"
        else:
            service[key] = float(number)
    elif limit.startswith("training["):
        id, key = limit[9:].split("].")
        next(t for t in site["training"] if t["id"] == id)[key] = int(number) if key == "max_pipelines" else float(number)
    else:
        return None, []
    return site, []


def check_infeasible(checks, runner, site, plan, model, program, name):
    served = {c.service for c in model.candidates}
    wanted = {s for s, service in enumerate(model.services) if service.committed > 0}
    trained = {c.job for c in model.training}
    wanted_jobs = {j for j, job in enumerate(model.jobs) if job.get("committed_trained_tokens_per_s", 0) > 0}
    if (served or trained) and wanted <= served and wanted_jobs <= trained and program.relaxed() is not None:
        found, _ = program.whole()
        checks.that(found is None, f"is called infeasible but earns {found}")
    checks.that(plan["infeasible_because"] != "", "no reason is given")
    together = plan["infeasible_because"].startswith("no single limit")
    by_slo = plan["infeasible_because"].startswith(("no deployment", "nothing on the site's systems"))
    mended = site
    for remedy in plan["remedies"]:
        changed, flags = apply_remedy(mended if together else site, remedy)
        if changed is None:
            continue
        if together:
            mended = changed
            continue
        after, _ = runner.plan(changed, name, *flags)
        ok = after["status"] == "optimal"
        if by_slo and not ok:  # the next obstacle is another one
            ok = remedy["limit"] not in [r["limit"] for r in after["remedies"]]
        checks.that(ok, f"still infeasible with {remedy['limit']} {remedy['needed']} (was {remedy['present']}): "
                    f"{after.get('infeasible_because')}")
    if together:
        after, _ = runner.plan(mended, name)
        checks.that(after["status"] == "optimal", f"still infeasible with all remedies: {plan['remedies']}")


# ---- one site ------------------------------------------------------------------------------------


def check_site(binary, folder, seed, mutation=None, factor=0.0):
    checks = Checks()
    runner = Runner(binary, folder)
    pick = random.Random(seed)
    site = random_site.make_site(pick)
    random_site.add_training(pick, site)
    name = f"site{seed}"
    plan, rows = runner.plan(site, name)
    model, told, key, without_watts = build_reference(runner, site, rows, CATALOG, POINTS)
    add_training(checks, plan, model, site.get("deployments", {}).get("frequency_plans", "any"))
    if mutation:
        mutate(model, mutation)
    program = reference.Program(model)
    infeasible = plan["status"] == "infeasible"
    checks.figures["infeasible"] = float(infeasible)
    if not mutation:
        check_columns(checks, model, told, key)
        for s, service in enumerate(plan["services"]):
            checks.that(service["excluded_unknown_ttft"] == model.unknown_ttft[s],
                        f"{service['id']}: {service['excluded_unknown_ttft']} unknown TTFT, not {model.unknown_ttft[s]}")
            checks.that(len(without_watts[s]) <= service["excluded_unknown_power"],
                        f"{service['id']}: the program lacks the points {sorted(without_watts[s])[:2]}")
    if infeasible:
        if not mutation and not factor:
            check_infeasible(checks, runner, site, plan, model, program, name + "-mended")
        return seed, checks
    optimum = program.relaxed()
    if optimum is None:
        checks.that(False, "is called optimal but the reference is infeasible")
        return seed, checks
    optimum *= 1 + factor
    if mutation:
        check_totals(checks, plan, model)
    if mutation or factor:
        checks.near("relaxed profit", plan["relaxed_profit_usd_per_hour"], optimum, RELATIVE, 1e-6)
        return seed, checks
    check_totals(checks, plan, model)
    check_optimum(checks, plan, model, program, optimum)
    check_duals(checks, plan, model, program, optimum)
    check_monotone(checks, runner, site, plan, name + "-more", pick)
    return seed, checks


def guarded(arguments):
    try:
        return check_site(*arguments)
    except Exception as problem:  # a crash of one site must name it
        checks = Checks()
        checks.wrong.append(f"{type(problem).__name__}: {problem}")
        return arguments[2], checks


def prepare(plants):
    """What all sites share, loaded once before the workers are forked."""
    global CATALOG, POINTS
    plants.mkdir(exist_ok=True)
    (plants / "plants.toml").write_text(random_site.EXTRA_PLANTS)
    CATALOG = reference.Catalog([reference.DATA / "catalog", plants])
    POINTS = reference.read_points(sorted((reference.DATA / "points").glob("*.csv")), CATALOG)


def run_mutations(pool, binary, folder, count):
    missed = []
    for mutation in MUTATIONS:
        jobs = [(binary, folder, seed, mutation) for seed in range(count)]
        caught = sum(bool(checks.wrong) for _, checks in pool.imap(guarded, jobs, chunksize=4))
        print(f"{mutation} x (1 + {MUTATION_OF.get(mutation, MUTATION)}): caught at {caught} of {count} sites")
        if caught == 0:
            missed.append(mutation)
    return missed


def report(results, keep):
    failures = {seed: checks.wrong for seed, checks in results if checks.wrong}
    largest = {}
    for _, checks in results:
        for name, value in checks.figures.items():
            largest[name] = max(largest.get(name, 0.0), value)
    infeasible = sum(c.figures.get("infeasible", 0) for _, c in results)
    for seed, wrong in sorted(failures.items()):
        for text in wrong[:6]:
            print(f"site {seed}: {text}")
    print(f"\n{len(results)} sites, {int(infeasible)} infeasible, {len(failures)} with a failure"
          + (f"; files in {keep}" if keep else ""))
    largest.pop("infeasible", None)
    for name, value in sorted(largest.items()):
        print(f"  largest {name}: {value:.3g}")
    return bool(failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--count", type=int, default=220)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--long", action="store_true", help="ten times as many sites")
    parser.add_argument("--perturb", type=float, default=0.0, help="relative error put into the reference's optimum")
    parser.add_argument("--mutations", action="store_true", help="each mutation of the reference must be caught")
    parser.add_argument("--keep", help="folder to leave the site files in")
    options = parser.parse_args()
    binary = str(Path(options.perwatt).resolve())
    count = options.count * (10 if options.long else 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or scratch
        Path(folder).mkdir(exist_ok=True)
        runner = Runner(binary, folder)
        prepare(runner.plants)
        with multiprocessing.get_context("fork").Pool() as pool:
            if options.mutations:
                missed = run_mutations(pool, binary, folder, count)
                print(f"not caught: {missed}" if missed else "all mutations are caught")
                return bool(missed)
            seeds = range(options.first_seed, options.first_seed + count)
            jobs = [(binary, folder, seed, None, options.perturb) for seed in seeds]
            results = list(pool.imap_unordered(guarded, jobs, chunksize=2))
    return report(results, options.keep)


if __name__ == "__main__":
    sys.exit(main())
