#!/usr/bin/env python3
"""perwatt's attribution against averages over every order of the levers, each mixture a site file of its own.

For every set of levers the mixed site is written here from its definition (docs/model/attribution.md,
Levers), solved by `perwatt plan --json` without any baseline, and the parts are averaged over all orders.
No site commits tokens, so that no penalty enters (src/plan/test/attribution_test.cpp has it).

Tolerance: 1e-6 of the largest worth for sites this small. Both sides solve whole racks to a relative gap of
1e-5, but a handful of racks is solved to the optimum; the tie-break of the attribution may give away 3.6e-5
USD/h for each ktok/s, which is added.
"""
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
from collections import Counter
from pathlib import Path

import random_site
import reference

RELATIVE = 1e-6
TIE_USD_PER_HOUR_PER_KTOK = 3.6e-5
MOST_LEVERS = 7
RULES = {"precision": "precisions", "speculative_decoding": "spec_decode", "disaggregation": "serving"}
CLASSES = {"placement": "operations", "engine_version": "operations", "operating_point": "operations",
           "speculative_decoding": "operations", "disaggregation": "operations", "precision": "operations",
           "clock": "operations", "training_frequency_plan": "operations", "power_cap": "operations", "provisioning": "operations",
           "availability": "operations", "model": "model",
           "cooling": "facility", "smoothing": "facility", "power_supply": "facility",
           "host_and_fabric": "hardware", "scale_up_domain": "hardware",
           "accelerator_generation": "hardware", "capacity": "hardware"}
MUTATIONS = ("new_rules_alone", "own_subset_alone", "one_order", "rack_needs_one_lever", "one_worth")
ONE_WORTH = 1e-4


# ---- the definition ------------------------------------------------------------------------------


def union(old, new, key):
    """What either rule allows; a rule without the key allows all."""
    return None if key not in old or key not in new else sorted({*old[key], *new[key]})


def mixed_rules(old, new, pulled, mutation=None):
    rules = dict(old)

    def put(key, value):
        rules.pop(key, None)
        if value is not None:
            rules[key] = value

    for lever, key in RULES.items():
        if lever in pulled:
            put(key, new.get(key) if mutation == "new_rules_alone" else union(old, new, key))
    if "engine_version" in pulled:
        put("engines", union(old, new, "engines"))
        dates = [r["not_after"] for r in (old, new) if "not_after" in r]
        put("not_after", max(dates) if len(dates) == 2 else None)
    if "operating_point" in pulled:
        limits = [r["max_concurrency_per_gpu"] for r in (old, new) if "max_concurrency_per_gpu" in r]
        put("max_concurrency_per_gpu", max(limits) if len(limits) == 2 else None)
    return rules


def facts(rack):
    system = CATALOG.get("system", rack["system"])
    plant = rack.get("cooling_plant", rack.get("hall", system["cooling_plant"]))
    return system["id"], plant, system["accelerator"], system["gpus_per_node"], \
        CATALOG.get("cooling_plant", plant)["medium"]


def levers_for(rack, owned):
    """Without which levers a rack kind that the site does not own today is not there."""
    system, plant, accelerator, domain, medium = facts(rack)
    known = [facts(r) for r in owned]
    if system in {k[0] for k in known}:  # more of a system in another hall
        return {"capacity"} | ({"cooling"} if plant not in {k[1] for k in known} else set())
    needed = set()
    if accelerator not in {k[2] for k in known}:
        needed.add("accelerator_generation")
    if domain not in {k[3] for k in known}:
        needed.add("scale_up_domain")
    if not needed:
        needed.add("host_and_fabric" if (accelerator, medium) in {(k[2], k[4]) for k in known} else "cooling")
    return needed


def mixed_site(site, pulled, mutation=None):
    """The site in which the levers `pulled` stand as planned and all others as today."""
    baseline = site["baseline"]
    mixed = {"site": dict(site["site"]), "prices": site["prices"], "load": site["load"],
             "service": copy.deepcopy(site["service"]), "rack": []}
    owned = [r for r in site["rack"] if r.get("owned", 0) > 0]
    for rack in site["rack"]:
        if rack in owned:
            mixed["rack"].append({k: v for k, v in rack.items() if k != "max_buy" or "capacity" in pulled})
        else:
            needed = levers_for(rack, owned)
            if mutation == "rack_needs_one_lever":
                needed = {min(needed)}
            if needed <= pulled:
                mixed["rack"].append(rack)
    if "model" not in pulled:
        for service in mixed["service"]:
            service.pop("alternative_models", None)
    if "availability" not in pulled and "availability_ratio" in baseline:
        mixed["site"]["availability_ratio"] = baseline["availability_ratio"]
    planned = site.get("deployments", {})
    rules = mixed_rules(baseline.get("deployments", planned), planned, pulled, mutation)
    if rules:
        mixed["deployments"] = rules
    planned = site.get("placement", [])
    placements = planned if "placement" in pulled else baseline.get("placement") or planned
    present = {facts(r)[:2] for r in mixed["rack"]}
    mixed["placement"] = [p for p in placements if facts(p)[:2] in present]
    return mixed


def differing_levers(site):
    """By the text of all mixtures: a lever differs that changes any of them."""
    levers = [lever for lever in CLASSES]
    everything = set(levers)
    found = []
    for lever in levers:
        alone = mixed_site(site, {lever}) != mixed_site(site, set())
        last = mixed_site(site, everything) != mixed_site(site, everything - {lever})
        if alone or last:
            found.append(lever)
    return found


# ---- the program ---------------------------------------------------------------------------------


def toml_value(value):
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def to_toml(site):
    lines = []

    def write(header, table):
        lines.append(header)
        lines.extend(f"{k} = {toml_value(v)}" for k, v in table.items())
        lines.append("")

    for name, content in site.items():
        if name == "baseline":
            write("[baseline]", {k: v for k, v in content.items() if not isinstance(v, (dict, list))})
            if "deployments" in content:
                write("[baseline.deployments]", content["deployments"])
            for table in content.get("placement", []):
                write("[[baseline.placement]]", table)
        elif isinstance(content, list):
            for table in content:
                write(f"[[{name}]]", table)
        else:
            write(f"[{name}]", content)
    return "\n".join(lines)


class Program:
    def __init__(self, binary, folder, flags=()):
        self.binary, self.folder, self.flags = binary, Path(folder), flags
        self.known = {}
        self.solved = 0

    def plan(self, site, *flags):
        text = to_toml(site)
        file = self.folder / f"{multiprocessing.current_process().pid}.toml"
        file.write_text(text)
        done = subprocess.run([self.binary, "plan", str(file), "--json", "--measured-only", "--catalog", str(self.folder / "catalog"),
                               *self.flags, *flags], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}\n{text}")
        return json.loads(done.stdout)

    def worth(self, site):
        """(profit in USD/h, output in ktok/s) of a site; where nothing can run, its loads alone draw."""
        text = to_toml(site)
        if text not in self.known:
            self.solved += 1
            # A site without any rack is no site file: nothing runs there either.
            answer = self.plan(site) if site["rack"] else {"status": "infeasible"}
            if answer["status"] == "optimal":
                self.known[text] = answer["profit_usd_per_hour"], answer["tokens_per_s"]["output"] / 1e3
            else:
                model = [(reference.quantity(l["power"], reference.POWER_UNITS), reference.figure(
                    CATALOG.get("cooling_plant", l.get("cooling_plant", "air")), "pue")) for l in site["load"]]
                watts = sum(w * pue for w, pue in model)
                self.known[text] = -watts / 1e3 * site["prices"]["energy_usd_per_kwh"], 0.0
        return self.known[text]


# ---- the reference -------------------------------------------------------------------------------


class Game:
    """The worth of every set of levers: the best of its subsets."""

    def __init__(self, program, site, levers, mutation=None):
        self.levers = levers
        worths = {}
        for size in range(len(levers) + 1):
            for pulled in itertools.combinations(levers, size):
                worths[frozenset(pulled)] = program.worth(mixed_site(site, set(pulled), mutation))
        if mutation == "one_worth":
            profit, output = worths[frozenset(levers)]
            worths[frozenset(levers)] = profit + ONE_WORTH * max(abs(w) for w, _ in worths.values()), output
        if mutation == "own_subset_alone":
            self.worths = {s: w for s, (w, _) in worths.items()}
        else:
            self.worths = {s: max(w for t, (w, _) in worths.items() if t <= s) for s in worths}
        self.scale = max(1.0, *(abs(w) for w, _ in worths.values()))
        ktok = max(output for _, output in worths.values())
        # A part is a mean of differences of two worths, an interaction one of four.
        self.tolerance = RELATIVE * self.scale + 2 * TIE_USD_PER_HOUR_PER_KTOK * ktok

    def parts(self, mutation=None):
        total = dict.fromkeys(self.levers, 0.0)
        orders = list(itertools.permutations(self.levers))
        for order in orders[:1] if mutation == "one_order" else orders:
            before = frozenset()
            for lever in order:
                total[lever] += self.worths[before | {lever}] - self.worths[before]
                before |= {lever}
        return {lever: t / (1 if mutation == "one_order" else len(orders)) for lever, t in total.items()}

    def interaction(self, a, b):
        """Mean over the orders of the others with the pair as one block."""
        others = [lever for lever in self.levers if lever not in (a, b)]
        total = 0.0
        orders = list(itertools.permutations([*others, "pair"]))
        w = self.worths
        for order in orders:
            before = frozenset(order[: order.index("pair")])
            total += w[before | {a, b}] - w[before | {a}] - w[before | {b}] + w[before]
        return total / len(orders)


# ---- sites --------------------------------------------------------------------------------

BASE = """{
  "site": {"envelope": "1MW"}, "prices": {"table": "2026-08", "energy_usd_per_kwh": 0.08},
  "service": [{"id": "chat", "model": "deepseek-r1", "isl_tokens": 1024, "osl_tokens": 1024,
               "min_interactivity": "30tok/s", "demand_output_tokens_per_s": 1000000,
               "price_usd_per_million_output_tokens": 2.0}],
  "rack": [{"system": "hgx-h200-air", "owned": 3}], "load": [],
  "baseline": {"site": "self", "deployments": {"spec_decode": ["none"], "max_concurrency_per_gpu": 8}}}"""


def changed(**tables):
    site = json.loads(BASE)
    for name, content in tables.items():
        site[name] = content
    return site


def directed_sites():
    """Sites that each need one clause of the definition: the union of rules, the best subset, two levers for a rack."""
    bulk = dict(changed()["service"][0], id="bulk", model="gpt-oss-120b", osl_tokens=1024, demand_output_tokens_per_s=1e5)
    none = {"spec_decode": ["none"]}
    return [
        changed(service=[*changed()["service"], bulk], deployments={"precisions": ["gpt-oss-120b:fp4"]},
                baseline={"site": "self", "deployments": {"precisions": ["fp8"], **none}}),
        changed(site={"envelope": "1MW", "availability_ratio": 0.6},
                baseline={"site": "self", "availability_ratio": 0.95, "deployments": none}),
        changed(rack=[{"system": "hgx-h200-air", "owned": 1},
                      {"system": "gb200-nvl72", "max_buy": 2, "capital_usd_per_gpu_hour": 0.5}],
                baseline={"site": "self", "deployments": none})]


HOPPER = ["hgx-h100-air", "hgx-h200-air"]
NEWER = ["hgx-b200-air", "hgx-b200-liquid", "gb200-nvl72", "gb300-nvl72", "hgx-h200-liquid", "mi355x-liquid",
         "mi355x-air", "hgx-b300-air"]


def random_rules(pick, count):
    known = {"precisions": [["fp8"], ["fp8", "gpt-oss-120b:fp4"], ["bf16", "fp8", "fp4", "mxfp4"]],
             "engines": [["sglang", "vllm"], ["trtllm", "vllm"], ["sglang", "vllm", "trtllm", "dynamo-trtllm"]],
             "spec_decode": [["none"]], "serving": [["aggregated"]],
             "not_after": ["2025-12-31", "2026-01-31", "2026-03-31"], "max_concurrency_per_gpu": [1, 4, 8, 16]}
    return {key: pick.choice(known[key]) for key in pick.sample(list(known), count)}


def random_placements(pick, site, racks):
    shares = []
    for rack in racks:
        if pick.random() < 0.7:
            left = 1.0
            for service in site["service"]:
                share = random_site.rounded(left * pick.uniform(0.2, 1.0), 2)
                left -= share
                # Without its plant a placement means the first rack of its system.
                shares.append({"system": rack["system"], "hall": facts(rack)[1],
                               "service": service["id"], "gpu_share_ratio": share})
    return shares


def make_site(pick):
    site = random_site.make_site(pick)
    site["site"]["envelope"] = f"{random_site.rounded(pick.uniform(0.15, 3))}MW"
    site["site"].pop("max_capital_usd_per_hour", None)
    site["load"] = site["load"][:1] if pick.random() < 0.3 else []
    for load in site["load"]:
        load["power"] = "20kW"
    models = pick.choices(["deepseek-r1", "gpt-oss-120b", "llama-3.3-70b"], [4, 2, 1], k=pick.choice([1, 2, 2, 3]))
    site["service"] = [random_site.make_service(pick, i, 0.5) for i in range(len(models))]
    for service, model in zip(site["service"], models):
        service["model"] = model
        service["isl_tokens"], service["osl_tokens"] = pick.choice([(1024, 1024), (8192, 1024)])
        service.pop("committed_output_tokens_per_s", None)
        service.pop("max_ttft", None) if pick.random() < 0.5 else None
        service["price_usd_per_million_output_tokens"] = random_site.rounded(pick.uniform(0.5, 4), 3)
        service["demand_output_tokens_per_s"] = random_site.rounded(random_site.log_uniform(pick, 2e3, 3e5))
        if pick.random() < 0.25:
            service["alternative_models"] = pick.sample([m for m in random_site.WORKLOADS if m != model], 1)
    racks = [{"system": s, "owned": pick.randint(1, 4)} for s in pick.sample(HOPPER, pick.choice([1, 2]))]
    if pick.random() < 0.25:
        racks[0]["max_buy"] = pick.randint(1, 3)
    for system in pick.sample(NEWER, pick.choice([0, 1, 1, 2])):
        racks.append({"system": system, "max_buy": pick.randint(1, 3),
                      "capital_usd_per_gpu_hour": random_site.rounded(pick.uniform(0.2, 2), 3)})
    if pick.random() < 0.2:
        racks.append({"system": racks[0]["system"], "cooling_plant": "free-air", "max_buy": 2})
    pick.shuffle(racks)
    site["rack"] = racks
    baseline = {"site": "self"}
    if pick.random() < 0.4:
        baseline["availability_ratio"] = random_site.rounded(pick.uniform(0.6, 1.0), 2)
    baseline["deployments"] = random_rules(pick, pick.choice([1, 2, 2, 3, 4]))
    if pick.random() < 0.3:
        baseline["placement"] = random_placements(pick, site, [r for r in racks if r.get("owned")])
    if pick.random() < 0.4:  # of the keys that the baseline rules too
        both = pick.sample(list(baseline["deployments"]), 1)
        site["deployments"] = {key: random_rules(pick, 6)[key] for key in both}
    if pick.random() < 0.2:
        site["placement"] = random_placements(pick, site, racks)
    site["baseline"] = baseline
    return site


def site_of(seed):
    """The directed ones first; 2 to 4 levers, every fourth site up to MOST_LEVERS (2^levers plans each)."""
    if seed < len(directed_sites()):
        return directed_sites()[seed]
    pick = random.Random(seed)
    while True:
        site = make_site(pick)
        if 2 <= len(differing_levers(site)) <= (MOST_LEVERS if seed % 4 == 0 else 4):
            return site


# ---- checks --------------------------------------------------------------------------------------


def told_parts(answer):
    return {p["lever"]: p["usd_per_hour"] for p in answer["attribution"] if p["differs"]}


def compare(answer, game, mutation=None, figures=None):
    """What differs between the program's attribution and the reference's."""
    wrong = []

    def near(name, got, want, tolerance):
        if abs(got - want) > tolerance:
            wrong.append(f"{name}: {got!r} differs from {want!r} by {abs(got - want) / game.scale:.2g} of the worth")
        if figures is not None:
            figures["error over scale"] = max(figures.get("error over scale", 0), abs(got - want) / game.scale)

    told = told_parts(answer)
    if set(told) != set(game.levers):
        return [f"levers {sorted(told)} differ from {sorted(game.levers)}"]
    for lever, part in game.parts(mutation).items():
        near(f"part of {lever}", told[lever], part, game.tolerance)
    pairs = {frozenset(i["levers"]): i["usd_per_hour"] for i in answer["interactions"]}
    for a, b in itertools.combinations(game.levers, 2):
        near(f"interaction of {a} and {b}", pairs.pop(frozenset((a, b)), math.inf), game.interaction(a, b),
             2 * game.tolerance)
    if pairs:
        wrong.append(f"interactions of unknown pairs: {pairs}")
    return wrong


def check_sums(answer):
    wrong = []
    total = answer["attribution_total"]
    before, after = total["baseline"], total["with_levers"]
    for key, end in (("usd_per_hour", "profit_usd_per_hour"), ("output_tokens_per_s",) * 2,
                     ("capital_usd_per_hour",) * 2, ("meter_power_watts",) * 2, ("joules_per_output_token",) * 2):
        want = after[end] - before[end]
        got = sum(p[key] for p in answer["attribution"])
        if abs(got - want) > 1e-9 * max(1.0, abs(before[end]), abs(after[end])):
            wrong.append(f"the parts of {key} sum to {got!r}, not {want!r}")
    for part in answer["attribution"]:
        if part["class"] != CLASSES[part["lever"]]:
            wrong.append(f"{part['lever']} is of class {part['class']}")
        if not part["differs"] and part["usd_per_hour"] != 0:
            wrong.append(f"{part['lever']} is as in the baseline and earns {part['usd_per_hour']}")
    return wrong


def renamed(site, pick):
    """The same site with its tables in another order and other names for services and systems."""
    other = copy.deepcopy(site)
    names = {s["id"]: f"renamed {i}" for i, s in enumerate(other["service"])}
    for service in other["service"]:
        service["id"] = names[service["id"]]
    for placement in [*other.get("placement", []), *other["baseline"].get("placement", [])]:
        placement["service"] = names[placement["service"]]
    for table in [*other["rack"], *other.get("placement", []), *other["baseline"].get("placement", [])]:
        system = CATALOG.get("system", table["system"])
        table["system"] = (system.get("aliases") or [system["id"]])[-1]
    for key in ("service", "rack", "load"):
        pick.shuffle(other[key])
    return dict(reversed(other.items()))


def check_unchanged(program, site, answer, tolerance, pick):
    other = told_parts(program.plan(renamed(site, pick)))
    return [f"{lever}: {part} becomes {other.get(lever)} under other names and orders"
            for lever, part in told_parts(answer).items() if abs(other.get(lever, math.inf) - part) > tolerance]


def check_only(program, site, levers, pick):
    one = pick.choice(sorted({CLASSES[lever] for lever in levers}))
    answer = program.plan(site, "--only", one)
    if {p["class"] for p in answer["attribution"]} != {one}:
        return [f"--only {one} tells of other classes"]
    game = Game(program, site, [lever for lever in levers if CLASSES[lever] == one])
    return [f"--only {one}: {text}" for text in compare(answer, game) + check_sums(answer)]


def check_site(binary, folder, seed, mutations=()):
    site = site_of(seed)
    program = Program(binary, folder)
    answer = program.plan(site)
    levers = differing_levers(site)
    figures = {"levers": len(levers)}
    if mutations:
        return seed, [m for m in mutations if compare(answer, Game(program, site, levers, m), m)], figures
    if "attribution_reason" in answer:
        return seed, [f"no attribution: {answer['attribution_reason']}"], figures
    game = Game(program, site, levers)
    pick = random.Random(seed)
    wrong = compare(answer, game, figures=figures) + check_sums(answer)
    if seed % 3 == 0:
        wrong += check_unchanged(program, site, answer, game.tolerance, pick)
        wrong += check_only(program, site, levers, pick)
    told = told_parts(answer)
    figures |= {"solved": program.solved, "with effect": sum(part > game.tolerance for part in told.values()),
                "used": [lever for lever, part in told.items() if part > game.tolerance]}
    return seed, wrong, figures


# ---- single cases --------------------------------------------------------------------------------

def check_edited_point(binary, folder):
    """A row with another rate moves the parts of the lever that uses it, to what the reference says."""
    site = changed()
    levers = differing_levers(site)
    before = Program(binary, folder).plan(site)
    deployment = max(before["deployments"], key=lambda d: d["output_tokens_per_s"])
    if deployment["spec_decode"] == "none":
        return ["the plan of the single case uses no speculation"]
    file, _, line = deployment["read_at"].rpartition(":")
    with open(reference.DATA / "points" / file, newline="") as stream:
        header, *rows = [next(csv.reader([text])) for text in stream]
    row = dict(zip(header, rows[int(line) - 2]))
    for key in ("total_tokens_per_s_per_gpu", "output_tokens_per_s_per_gpu"):
        row[key] = repr(float(row[key]) * 1.25) if row[key] else ""
    for key in ("joules_per_output_token", "joules_per_total_token"):
        row[key] = ""
    edited = Path(folder) / "edited.csv"
    with open(edited, "w", newline="") as stream:
        csv.writer(stream).writerows([header, [row[h] for h in header]])
    program = Program(binary, folder, ("--points", str(edited)))
    after = program.plan(site)
    game = Game(program, site, levers)
    wrong = compare(after, game)
    moved = told_parts(after)["speculative_decoding"] - told_parts(before)["speculative_decoding"]
    if moved < 0.01 * game.scale:
        wrong.append(f"the edited row moves the part of speculation by only {moved} USD/h")
    return [f"edited point: {text}" for text in wrong]


def check_dummy(binary, folder):
    """A rule that forbids nothing is a difference without effect."""
    site = changed(baseline={"site": "self", "deployments": {
        "spec_decode": ["none"], "precisions": ["bf16", "fp8", "fp4", "mxfp4"]}})
    told = told_parts(Program(binary, folder).plan(site))
    return [f"a rule without effect: {told}"] if told.get("precision") != 0.0 or told["speculative_decoding"] <= 0 else []


def check_reasons(binary, folder):
    """Sites that cannot be compared answer so; nothing crashes."""
    wrong = []

    def expect(name, site, *flags, mentions):
        answer = Program(binary, folder).plan(site, *flags)
        reason = answer.get("attribution_reason", "")
        if mentions not in reason or answer["attribution"] != []:
            wrong.append(f"{name}: attribution_reason is {reason!r}")

    other = changed(service=[dict(changed()["service"][0], price_usd_per_million_output_tokens=3.0)])
    other.pop("baseline")
    file = Path(folder) / "other.toml"
    file.write_text(to_toml(other))
    expect("other prices", changed(), "--baseline", str(file), mentions="sells something else")
    expect("loads pass the envelope", changed(load=[{"name": "all", "power": "2MW"}]), mentions="pass the envelope")
    return wrong


# ---- all -----------------------------------------------------------------------------------------


def guarded(arguments):
    try:
        return check_site(*arguments)
    except Exception as problem:  # a crash of one site must name it
        return arguments[2], [f"{type(problem).__name__}: {problem}"], {}


def prepare(folder):
    global CATALOG
    plants = Path(folder) / "catalog"
    plants.mkdir(exist_ok=True)
    (plants / "plants.toml").write_text(random_site.EXTRA_PLANTS)
    CATALOG = reference.Catalog([reference.DATA / "catalog", plants])


def run_mutations(pool, binary, folder, count):
    caught = Counter()
    for seed, found, _ in pool.imap_unordered(guarded, [(binary, folder, s, MUTATIONS) for s in range(count)]):
        if any(m not in MUTATIONS for m in found):
            print(f"site {seed}: {found}")
            return True
        caught.update(found)
    for mutation in MUTATIONS:
        print(f"{mutation}: caught at {caught[mutation]} of {count} sites")
    return any(caught[m] == 0 for m in MUTATIONS)


def run_sites(pool, binary, folder, count):
    failed = 0
    solved = 0
    levers, used = Counter(), Counter()
    error = 0.0
    for seed, wrong, figures in pool.imap_unordered(guarded, [(binary, folder, s) for s in range(count)]):
        failed += bool(wrong)
        for text in wrong[:5]:
            print(f"site {seed}: {text}")
        solved += figures.get("solved", 0)
        levers[figures.get("levers", 0)] += 1
        used.update(figures.get("used", []))
        error = max(error, figures.get("error over scale", 0.0))
    for check in (check_edited_point, check_dummy, check_reasons):
        wrong = check(binary, folder)
        failed += bool(wrong)
        print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{count} sites, {solved} plans of mixtures, {failed} failures")
    print(f"levers that differ: {dict(sorted(levers.items()))}; with effect: {dict(used)}")
    print(f"largest error of a part or interaction: {error:.2g} of the worth")
    return failed > 0 or len(used) < 8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--mutations", action="store_true", help="each mutation of the reference must be caught")
    options = parser.parse_args()
    binary = str(Path(options.perwatt).resolve())
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        with multiprocessing.get_context("fork").Pool() as pool:
            return (run_mutations if options.mutations else run_sites)(pool, binary, folder, options.count)


if __name__ == "__main__":
    sys.exit(main())
