#!/usr/bin/env python3
"""perwatt allocate against HiGHS: random trees with priorities, cap groups, guarantees and limits across branches.

--perturb R: the reference's value is wrong by a part R; the run must then fail."""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix


def problem_of(seed):
    rng = random.Random(seed)
    count = rng.randint(1, 25)
    nodes = [{"id": "n0", "parent": None}]
    nodes += [{"id": f"n{n}", "parent": f"n{rng.randint(0, n - 1)}"} for n in range(1, count)]
    groups = seed % 3
    devices = []
    for d in range(rng.randint(1, 30)):
        slopes = sorted((rng.choice([rng.randint(-1, 5), rng.uniform(-0.5, 5)]) for _ in range(rng.randint(0, 4))),
                        reverse=True)
        curve = [[rng.choice([0, rng.uniform(0, 300)]), rng.uniform(0, 100)]]
        for slope in slopes:
            width = rng.uniform(1, 200)
            curve.append([curve[-1][0] + width, curve[-1][1] + slope * width])
        device = {"id": d, "parent": f"n{rng.randint(0, count - 1)}", "curve": curve, "priority": rng.randint(0, 3)}
        if groups and rng.random() < 0.3:
            device["same_cap_group"] = f"c{rng.randint(0, groups - 1)}"
        if groups and rng.random() < 0.5:
            device["guarantee_group"] = f"g{rng.randint(0, 1)}"
        devices.append(device)
    for node in nodes:
        below = [d for d in devices if node["id"] in path(nodes, d["parent"])]
        low, high = sum(d["curve"][0][0] for d in below), sum(d["curve"][-1][0] for d in below)
        if rng.random() < 0.8:
            node["limit_watts"] = low + (high - low) * rng.uniform(0.02, 1.1)
    guarantees = []
    for g in range(2 if groups else 0):
        mine = [d for d in devices if d.get("guarantee_group") == f"g{g}"]
        low, high = sum(d["curve"][0][0] for d in mine), sum(d["curve"][-1][0] for d in mine)
        guarantees.append({"id": f"g{g}", "watts": low + (high - low) * rng.uniform(0, 0.6)})
    cross_limits = []
    for k in range(seed % 4):
        shares = [{"device": d["id"], "ratio": rng.choice([1, rng.uniform(0.1, 2)])}
                  for d in devices if rng.random() < 0.5]
        low = sum(s["ratio"] * devices[s["device"]]["curve"][0][0] for s in shares)
        high = sum(s["ratio"] * devices[s["device"]]["curve"][-1][0] for s in shares)
        cross_limits.append({"id": k, "limit_watts": low + (high - low) * rng.uniform(0.05, 1), "shares": shares})
    rng.shuffle(nodes)
    return {"policy": "priority" if seed % 2 else "value", "nodes": nodes, "devices": devices,
            "guarantees": guarantees, "cross_limits": cross_limits}


def path(nodes, node):
    parents = {n["id"]: n["parent"] for n in nodes}
    found = []
    while node is not None:
        found.append(node)
        node = parents[node]
    return found


def reference(problem):
    """Values by class from the highest, or None: x by device and a value below each line of its curve."""
    devices, nodes = problem["devices"], problem["nodes"]
    n = len(devices)
    rows, upper, equal, level = [], [], [], []

    def row(entries):
        line = np.zeros(2 * n)
        for at, value in entries:
            line[at] = value
        return line

    for node in nodes:
        if "limit_watts" in node:
            rows.append(row((i, 1) for i, d in enumerate(devices) if node["id"] in path(nodes, d["parent"])))
            upper.append(node["limit_watts"])
    for limit in problem["cross_limits"]:
        rows.append(row((s["device"], s["ratio"]) for s in limit["shares"]))
        upper.append(limit["limit_watts"])
    for guarantee in problem["guarantees"]:
        rows.append(row((i, -1) for i, d in enumerate(devices) if d.get("guarantee_group") == guarantee["id"]))
        upper.append(-guarantee["watts"])
    first = {}
    for i, device in enumerate(devices):
        group = device.get("same_cap_group")
        if group in first:
            equal.append(row([(i, 1), (first[group], -1)]))
            level.append(0)
        elif group:
            first[group] = i
        for (w0, v0), (w1, v1) in zip(device["curve"], device["curve"][1:]):
            slope = (v1 - v0) / (w1 - w0)
            rows.append(row([(n + i, 1), (i, -slope)]))  # y <= v0 + slope (x - w0)
            upper.append(v0 - slope * w0)
        if len(device["curve"]) == 1:
            rows.append(row([(n + i, 1)]))
            upper.append(device["curve"][0][1])
    bounds = [(d["curve"][0][0], d["curve"][-1][0]) for d in devices] + [(None, None)] * n
    by_class = problem["policy"] == "priority"
    classes = sorted({d["priority"] if by_class else 0 for d in devices}, reverse=True)
    values = []
    for k in classes:
        cost = row((n + i, -1) for i, d in enumerate(devices) if not by_class or d["priority"] == k)
        done = linprog(cost, A_ub=csr_matrix(np.array(rows)) if rows else None, b_ub=upper or None,
                       A_eq=csr_matrix(np.array(equal)) if equal else None, b_eq=level or None, bounds=bounds,
                       method="highs",
                       options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10})
        if done.status == 2:
            return None
        assert done.status == 0, done.message
        values.append(-done.fun)
        rows.append(cost)
        upper.append(done.fun + 1e-9 * (1 + abs(done.fun)))
    return values


def value_at(curve, watts):
    value = curve[0][1]
    for (w0, v0), (w1, v1) in zip(curve, curve[1:]):
        if watts > w0:
            value += (v1 - v0) * (min(watts, w1) - w0) / (w1 - w0)
    return value


def fault(binary, seed, perturb):
    problem = problem_of(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.json"
        file.write_text(json.dumps(problem))
        done = subprocess.run([binary, "allocate", str(file), "--json"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return f"seed {seed}: exit {done.returncode}: {done.stderr}"
    answer = json.loads(done.stdout)
    wanted = reference(problem)
    if (wanted is None) != (answer["status"] == "infeasible"):
        return f"seed {seed}: {answer['status']}, the reference {'infeasible' if wanted is None else 'optimal'}"
    if wanted is None:
        return None
    watts = {d["id"]: d["watts"] for d in answer["devices"]}
    by_class = problem["policy"] == "priority"
    classes = sorted({d["priority"] if by_class else 0 for d in problem["devices"]}, reverse=True)
    for k, best in zip(classes, wanted):
        mine = sum(value_at(d["curve"], watts[d["id"]]) for d in problem["devices"]
                   if not by_class or d["priority"] == k)
        if abs(mine - best * (1 + perturb)) > 3e-6 * (1 + abs(best)):
            return f"seed {seed}: class {k} has value {mine}, the reference {best}"
    for node in problem["nodes"]:
        used = sum(watts[d["id"]] for d in problem["devices"] if node["id"] in path(problem["nodes"], d["parent"]))
        if used > node.get("limit_watts", np.inf) * (1 + 1e-7) + 1e-6:
            return f"seed {seed}: node {node['id']} carries {used}, its limit is {node['limit_watts']}"
    for limit in problem["cross_limits"]:
        used = sum(s["ratio"] * watts[s["device"]] for s in limit["shares"])
        if used > limit["limit_watts"] * (1 + 1e-7) + 1e-6:
            return f"seed {seed}: cross limit {limit['id']} carries {used}, its limit is {limit['limit_watts']}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--perturb", type=float, default=0)
    options = parser.parse_args()
    with ThreadPoolExecutor(2) as pool:
        faults = [f for f in pool.map(lambda s: fault(options.perwatt, s, options.perturb), range(options.count)) if f]
    print("\n".join(faults[:10]))
    print(f"{options.count} problems, {len(faults)} with a fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
