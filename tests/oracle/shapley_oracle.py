#!/usr/bin/env python3
"""Shapley values and interactions against averages over every order of the players, in whole numbers.

A value is the mean over all orders of what the player adds to those before it. An interaction of
two players is the mean, over all orders of the others and the pair as one block, of what the second
adds more because the first is there.
"""
import argparse
import itertools
import random
import subprocess
import sys

SCALE = 1000  # worths are whole thousandths
RELATIVE = 1e-9
MOST_PLAYERS = 7


def random_game(rng, players):
    """Worths of 2^players coalitions in thousandths: of no structure, or the best of a few options
    that each need some players, as the optima of a planner are (monotone, many ties)."""
    if rng.random() < 0.5:
        return [rng.randrange(-10**6, 10**6) for _ in range(2**players)]
    options = [(rng.randrange(2**players), rng.randrange(10**6)) for _ in range(2 * players)]
    start = rng.randrange(10**5)
    return [max([start] + [worth for needs, worth in options if needs & mask == needs])
            for mask in range(2**players)]


def values_by_orders(worth, players):
    sums, orders = [0] * players, 0
    for order in itertools.permutations(range(players)):
        orders += 1
        before = 0
        for player in order:
            after = before | 1 << player
            sums[player] += worth[after] - worth[before]
            before = after
    return [s / orders / SCALE for s in sums]


def interaction_by_orders(worth, players, i, j):
    others = [p for p in range(players) if p not in (i, j)]
    total = orders = 0
    for order in itertools.permutations(others + ["pair"]):
        orders += 1
        before = sum(1 << p for p in order[:order.index("pair")])
        total += (worth[before | 1 << i | 1 << j] - worth[before | 1 << i]
                  - worth[before | 1 << j] + worth[before])
    return total / orders / SCALE


def reference(worth, players):
    values = values_by_orders(worth, players)
    table = [[0.0] * players for _ in range(players)]
    for i, j in itertools.combinations(range(players), 2):
        table[i][j] = table[j][i] = interaction_by_orders(worth, players, i, j)
    best = [min((t for t in range(mask + 1) if t & mask == t), key=lambda t: (-worth[t], t))
            for mask in range(2**players)]
    return values, [x for row in table for x in row], best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--numbers", required=True, help="the plan_numbers binary")
    parser.add_argument("--count", type=int, default=70)
    parser.add_argument("--perturb", type=float, default=0.0, help="relative error put into the reference")
    arguments = parser.parse_args()
    rng = random.Random(3)
    games = [(players, random_game(rng, players))
             for players in (1 + i % MOST_PLAYERS for i in range(arguments.count))]
    asked = "".join(f"shapley {players} {' '.join(str(w / SCALE) for w in worth)}\n" for players, worth in games)
    done = subprocess.run([arguments.numbers], input=asked, capture_output=True, text=True, timeout=300, check=True)
    wrong, largest = 0, 0.0
    for (players, worth), line in zip(games, done.stdout.splitlines(), strict=True):
        values, interactions, best = reference(worth, players)
        values[-1] *= 1 + arguments.perturb
        interactions[-2 if players > 1 else -1] *= 1 + arguments.perturb
        got = line.split()
        numbers, subsets = [float(x) for x in got[:players + players**2]], [int(x) for x in got[players + players**2:]]
        scale = max(abs(w) for w in worth) / SCALE
        for name, a, b in zip(["value"] * players + ["interaction"] * players**2, numbers,
                              values + interactions, strict=True):
            largest = max(largest, abs(a - b) / scale)
            if abs(a - b) > RELATIVE * max(abs(b), 1e-3 * scale):
                wrong += 1
                print(f"{players} players, {name}: {a!r} differs from {b!r}", file=sys.stderr)
        if subsets != best:
            wrong += 1
            print(f"{players} players, best subsets: {subsets} differ from {best}", file=sys.stderr)
    print(f"{len(games)} games of up to {MOST_PLAYERS} players, largest error {largest:.1e} of the largest worth,"
          f" {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
