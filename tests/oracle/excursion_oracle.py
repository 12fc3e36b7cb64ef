#!/usr/bin/env python3
"""Tail means against the linear program of Rockafellar and Uryasev (HiGHS), tail counts against scipy."""
import argparse
import random
import subprocess
import sys

import numpy as np
from scipy.optimize import linprog
from scipy.stats import binom

RELATIVE = 1e-8


def tail_mean_by_program(draws, share):
    """min over z of z + sum max(0, draw - z) / (share n), and the multipliers: the worst mixture."""
    n = len(draws)
    cost = np.concatenate([[1.0], np.full(n, 1 / (share * n))])
    # z + excess_w >= draw_w
    rows = np.hstack([-np.ones((n, 1)), -np.eye(n)])
    solved = linprog(cost, A_ub=rows, b_ub=-draws, bounds=[(None, None)] + [(0, None)] * n, method="highs")
    assert solved.status == 0, solved.message
    return solved.fun, -solved.ineqlin.marginals


def random_case(rng):
    generator = np.random.default_rng(rng.randrange(2**32))
    scenarios, groups = rng.randrange(1, 120), rng.randrange(1, 7)
    common = generator.normal(size=(scenarios, 1))
    ratios = np.exp(0.3 * (0.8 * common + 0.6 * generator.normal(size=(scenarios, groups))))
    mean = generator.uniform(0, 50e6, groups)
    swing = mean * generator.uniform(0, 1, groups)
    share = rng.choice([1 / scenarios, 1.0, rng.uniform(0.003, 1), rng.randrange(1, scenarios + 1) / scenarios])
    return ratios, mean, swing, share, float(mean.sum() * rng.uniform(0.8, 1.4))


def count_by_scipy(samples, probability):
    if probability * samples < 3:
        return 0
    n = int(samples)
    tails = binom.cdf(np.arange(n), n, probability)  # P(count <= m - 1), m = 1..n
    return int(np.searchsorted(tails, 0.05, side="right"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--numbers", required=True, help="the plan_numbers binary")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--perturb", type=float, default=0.0, help="relative error put into the reference")
    arguments = parser.parse_args()
    rng = random.Random(8)
    cases = [random_case(rng) for _ in range(arguments.count)]
    counts = [(rng.uniform(2, 3000), rng.uniform(1e-4, 0.3)) for _ in range(400)]
    asked = []
    for ratios, mean, swing, share, limit in cases:
        numbers = [*ratios.ravel(), *mean, *swing]
        asked.append(f"tail {ratios.shape[0]} {ratios.shape[1]} {share!r} {limit!r} "
                     + " ".join(repr(float(x)) for x in numbers))
    asked += [f"count {n!r} {p!r}" for n, p in counts]
    done = subprocess.run([arguments.numbers], input="\n".join(asked), capture_output=True, text=True,
                          timeout=300, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(asked)
    wrong, largest = 0, 0.0

    def near(name, got, want, scale):
        nonlocal wrong, largest
        error = abs(got - want) / scale
        largest = max(largest, error)
        if error > RELATIVE:
            wrong += 1
            print(f"{name}: {got!r} differs from {want!r}", file=sys.stderr)

    for (ratios, mean, swing, share, limit), line in zip(cases, answers):
        tail, ratio, excess, *coefficients = [float(x) for x in line.split()]
        draws = mean.sum() + (ratios - 1) @ swing
        want, multipliers = tail_mean_by_program(draws, share)
        want *= 1 + arguments.perturb
        near("tail mean", tail, want, mean.sum())
        near("cut", float(np.dot(coefficients, swing)), float(multipliers @ ((ratios - 1) @ swing)), mean.sum())
        near("excursion ratio", ratio, float(np.mean(draws > limit)), 1)
        near("expected excess", excess, float(np.mean(np.maximum(0, draws - limit))), mean.sum())
    for (n, p), line in zip(counts, answers[len(cases):]):
        near(f"tail count of {n}, {p}", float(line), count_by_scipy(n, p), 1)
    print(f"{len(cases)} tails, {len(counts)} counts, largest error {largest:.1e}, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
