#!/usr/bin/env python3
"""perwatt train profile against simulated runs whose truth is known: times, slack, exposed
communication and critical paths exactly, energy within a stated tolerance."""
import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import synthetic_run
from synthetic_run import Run

ROOT = Path(__file__).resolve().parents[2]
BASE = 1_767_189_312_000_000_000
PARALLELISMS = ["tensor", "context", "expert", "data", "pipeline", "other"]
MICRO = 1e-6


def ask(binary, *words):
    done = subprocess.run([binary, "train", *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def near(got, want, what, tolerance=1e-9):
    assert abs(got - want) <= tolerance * max(1.0, abs(want)), f"{what}: {got} instead of {want}"


def periods(run):
    """End and number of the iterations whose following pause is in the trace; a single one counts as it is."""
    return (run.steps[-1][0], run.iterations - 1) if run.iterations > 1 else (run.steps[-1][1], 1)


def breakdown(run, rank, described):
    """Paints every microsecond of the run; seconds per period (begin to begin). A group that has no description and
    ranks outside the job serves nobody knows what."""
    begin, end = run.steps[0][0], run.steps[-1][1]
    compute, copy = np.zeros(end - begin, bool), np.zeros(end - begin, bool)
    kind, last_end, ready = np.full(end - begin, -1), np.zeros(end - begin, int), np.zeros(end - begin, int)
    for event in run.events[rank]:
        piece = slice(event.begin - begin, event.end - begin)
        if event.kind in ("compute", "copy"):
            (compute if event.kind == "compute" else copy)[piece] = True
            continue
        longer = last_end[piece] < event.end
        is_unknown = event.name.endswith("ReduceScatter") and not described
        kind[piece][longer] = PARALLELISMS.index("other" if is_unknown else event.kind)
        ready[piece][longer] = event.ready
        last_end[piece][longer] = event.end
    time = np.arange(begin, end)
    idle = ~compute & (kind < 0) & ~copy
    exposed = ~compute & (kind >= 0)
    until, count = periods(run)
    seconds = lambda mask: mask[:until - begin].sum() * MICRO / count
    truth = {"compute_seconds": seconds(compute), "copies_seconds": seconds(~compute & (kind < 0) & copy),
             "idle_seconds": seconds(idle), "waiting_seconds": seconds(exposed & (time < ready)),
             "slack_seconds": seconds(idle | (exposed & (time < ready)))}
    for p, name in enumerate(PARALLELISMS):
        truth[f"exposed {name}"] = seconds(exposed & (kind == p))
        truth[f"hidden {name}"] = seconds(compute & (kind == p))
    return truth


def check_ranks(run, answer, what, described):
    assert [r["rank"] for r in answer["ranks"]] == list(range(run.ranks)), what
    for got in answer["ranks"]:
        truth = breakdown(run, got["rank"], described)
        found = {k: v for k, v in got.items() if k in truth}
        for kind in ("exposed", "hidden"):
            found |= {f"{kind} {name}": value for name, value in got[f"{kind}_seconds"].items()}
        for name, value in truth.items():
            near(found[name], value, f"{what}, rank {got['rank']}, {name}")
        stage, data, tensor = run.place(got["rank"])
        assert (got["stage"], got["data_rank"], got["tensor_rank"]) == (stage, data, tensor), what


def check_instructions(run, answer, what):
    for row in answer["instructions"]:
        lengths = [(o.end - o.begin) * MICRO for o in run.operations[row["rank"]] if o.instruction == row["instruction"]]
        assert row["count"] == len(lengths), what
        near(row["time_seconds"], np.mean(lengths), f"{what}, {row['instruction']}")
        near(row["spread_seconds"], np.std(lengths, ddof=1) if len(lengths) > 1 else 0, f"{what}, spread")


def kernel_truth(run, iteration):
    """Follows what each begin waited for, as the simulation knows it."""
    begin = run.steps[iteration][0]
    end = run.steps[iteration + 1][0] if iteration + 1 < run.iterations else run.steps[iteration][1]
    events = [e for rank in run.events for e in rank if begin <= e.begin < end and e.kind != "pipeline"]
    latest = max(e.end for e in events)
    ties = sum(e.end == latest for e in events) > 1
    event, at, sums = next(e for e in events if e.end == latest), end, {}

    def add(kind, until):
        nonlocal at
        if at > until:
            sums[kind] = sums.get(kind, 0) + (at - until) * MICRO
        at = until

    add("gap", event.end)
    while event:
        add(event.kind, event.before.end if event.kind in ("tensor", "data") and event.before else event.begin)
        if event.before:
            add(event.before_kind, event.before.end)
        event = event.before
    add("gap", begin)
    return sums, ties


def longest_chain(run, iteration):
    """The longest chain of operations by trying, for every operation, every chain that ends with it:
    work of its own stage in order, and its input. Times only; nothing of the simulation's clock."""
    by_key = {(o.rank, o.instruction, o.microbatch): o for rank in run.operations for o in rank
              if o.iteration == iteration}
    before = {}
    for rank in run.operations:
        mine = [o for o in rank if o.iteration == iteration]
        for earlier, later in zip(mine, mine[1:]):
            before.setdefault(id(later), []).append(earlier)
        for operation in mine:
            stage, data, tensor = run.place(operation.rank)
            other = stage + (-1 if operation.instruction == "forward" else 1)
            if 0 <= other < run.stages:
                source = by_key[(run.rank(other, data, tensor), operation.instruction, operation.microbatch)]
                before.setdefault(id(operation), []).append(source)
    best = {}

    def chains(operation):
        if id(operation) not in best:
            options = [chains(o) for o in before.get(id(operation), [])]
            top = max((o[0] for o in options), default=0)
            winners = [o for o in options if o[0] == top]
            best[id(operation)] = (top + operation.end - operation.begin,
                                   (winners[0][1] if winners else []) + [operation],
                                   len(winners) > 1 or any(w[2] for w in winners))
        return best[id(operation)]

    all_chains = [chains(o) for o in by_key.values()]
    top = max(c[0] for c in all_chains)
    winners = [c for c in all_chains if c[0] == top]
    return winners[0][1], len(winners) > 1 or winners[0][2]


def check_schedule(run, answer, what):
    path = answer["critical_path"]
    assert path["schedule"]["status"] == "ok", (what, path["schedule"])
    schedule = path["schedule"]
    near(schedule["head_seconds"] + schedule["tail_seconds"] + sum(s["gap_seconds"] + s["time_seconds"] for s in
         schedule["steps"]), path["time_seconds"], f"{what}: the schedule path fills the iteration")
    chain, has_ties = longest_chain(run, path["iteration"])
    steps = path["schedule"]["steps"]
    near(sum(s["time_seconds"] for s in steps), sum(o.end - o.begin for o in chain) * MICRO, f"{what}, length of path")
    if not has_ties:
        assert [(s["rank"], s["instruction"], s["microbatch"]) for s in steps] == \
               [(o.rank, o.instruction, o.microbatch) for o in chain], what
    return not has_ties


def random_run(draw):
    stages, tensor, data = draw.choice([(1, 1, 1), (2, 1, 1), (3, 1, 1), (2, 2, 1), (2, 1, 2), (3, 2, 1), (2, 2, 2), (1, 2, 2)])
    lengths = {}

    def work(rank, stage, instruction):
        key = (rank, instruction)
        if key not in lengths or jitter:
            lengths[key] = (draw.randrange(40, 400), draw.randrange(40, 400))
        return lengths[key]

    jitter = draw.random() < 0.5
    return Run(stages, tensor, data, draw.randrange(1, 6), draw.randrange(1, 4), work,
               order=draw.choice([synthetic_run.one_forward_one_backward, synthetic_run.gpipe]),
               collective=draw.choice([0, 25]), gradient=draw.choice([0, 70]), optimizer=draw.choice([0, 55]),
               pause=draw.choice([0, 40]), hidden=draw.choice([0, 20]), start=1000)


def check_random(binary, count):
    """Random schedules: times, slack, exposed communication, makespan and both critical paths exactly."""
    exact_paths = exact_kernels = 0
    for seed in range(count):
        draw = random.Random(seed)
        run = random_run(draw)
        described = draw.random() < 0.6
        how = {"annotate": draw.choice(["kineto", "gpu", "cpu"]), "describe": described,
               "absolute": draw.random() < 0.3, "packed": draw.random() < 0.3, "numbered": draw.random() < 0.6}
        layout = [] if described else ["--stages", run.stages, "--tensor", run.tensor, "--data", run.data]
        with tempfile.TemporaryDirectory() as folder:
            paths = run.write(Path(folder), BASE, **how)
            draw.shuffle(paths)
            step = [] if how["numbered"] else ["--iteration", "train_step"]
            answer = json.loads(ask(binary, "profile", *paths, *layout, *step, "--json"))
        what = f"seed {seed} {how}"
        assert answer["stages"] == run.stages and answer["microbatches"] == run.microbatches, what
        assert answer["iterations"] == run.iterations, what
        until, periods_traced = periods(run)
        near(answer["mean_iteration_seconds"], (until - run.steps[0][0]) * MICRO / periods_traced, what)
        check_ranks(run, answer, what, described)
        check_instructions(run, answer, what)
        path = answer["critical_path"]
        near(sum(path["parallelism"].values()), path["time_seconds"], f"{what}: the path fills the iteration")
        exact_paths += check_schedule_or_collectives(run, answer, what)
        truth, ties = kernel_truth(run, path["iteration"])
        if not ties:
            exact_kernels += 1
            assert set(truth) == set(path["parallelism"]), (what, truth, path["parallelism"])
            for name, value in truth.items():
                near(path["parallelism"][name], value, f"{what}, on the path: {name}")
    assert exact_paths > count / 4 and exact_kernels > count / 2, (exact_paths, exact_kernels)
    print(f"{count} random runs; {exact_paths} schedule paths and {exact_kernels} kernel paths compared one by one")


def check_schedule_or_collectives(run, answer, what):
    """Tensor ranks wait for each other inside operations, which chains of one rank's operations do
    not see: compared where a stage is one rank."""
    if run.tensor > 1 and run.collective or run.data > 1:
        return False
    return check_schedule(run, answer, what)


def read_profile():
    profile = {}
    with open(ROOT / "tests/data/training/gpt3-175b+a100_sxm_bf16.csv") as file:
        for row in csv.DictReader(file):
            profile[(int(row["stage"]), row["instruction"], int(row["frequency"]))] = (float(row["time"]), float(row["energy"]))
    return profile


BLOCKING_WATTS = 83.64


def check_profile(binary, averaging_us=0, counter=False):
    """The shipped profile at three clocks, simulated, traced, profiled: the same figures again, and a
    plan on them. Times within a microsecond, energies within 2 %, blocking power within 2 %."""
    truth = read_profile()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "profile.csv"
        inside = 0
        for number, clock in enumerate((1410, 1200, 1005)):
            def work(rank, stage, instruction):
                time = round(truth[(stage, instruction, clock)][0] * 1e6)
                return time // 3, time - time // 3

            def watts(rank, instruction):
                if instruction == "waiting":
                    return BLOCKING_WATTS
                time, energy = truth[(rank, instruction, clock)]
                return energy / time

            run = Run(8, 1, 1, 12, 6, work, transfer=500, pause=20_000, start=1000)
            base = BASE + number * 3600 * 10**9
            paths = run.write(folder, base)
            power = folder / "power.csv"
            power.write_text(run.power_csv(base, watts, 20_000 if not counter else 100_000, 15, clock, counter))
            answer = json.loads(ask(binary, "profile", *paths, "--power", power, *([] if counter else ["--averaging", "0s"]), "--frequency", f"{clock}MHz",
                                    "--profile", out, "--append", "--tokens", 8192, "--energy-price", "0.1USD/kWh",
                                    "--facility-factor", "1.5", "--json"))
            near(answer["blocking_power_watts"], BLOCKING_WATTS, f"blocking power at {clock}", 0.02)
            check_energy(run, answer, watts)
            for figures in answer["instructions"]:
                energy = truth[(figures["stage"], figures["instruction"], clock)][1]
                # Rounding a time to a microsecond moves the energy too.
                inside += abs(figures["energy_joules"] - energy) <= figures["half_width_joules"] + 1e-4 * energy
        assert inside >= 0.85 * 48, f"only {inside} of 48 energies lie within their half-width"
        worst = 0
        with open(out) as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3 * 8 * 2
        for row in rows:
            time, energy = truth[(int(row["stage"]), row["instruction"], int(row["frequency"]))]
            near(float(row["time"]), time, str(row), 1e-6)
            worst = max(worst, abs(float(row["energy"]) / energy - 1))
        assert worst < 0.02, f"an energy is off by {worst:.3%}"
        plan = json.loads(ask(binary, out, "--stages", 8, "--microbatches", 12, "--blocking-power", f"{BLOCKING_WATTS}W",
                              "--json"))
        assert plan["status"] == "ok" and plan["plan"]["saved_ratio"] > 0.05, plan["plan"]
        print(f"profile of 3 clocks from {'a counter' if counter else 'readings'}: energies within {worst:.2%}, {inside} of 48 within their half-width, "
              f"plan saves {plan['plan']['saved_ratio']:.1%}")


def energy_of_period(run, watts):
    """Joules of all ranks."""
    begin, (end, count) = run.steps[0][0], periods(run)
    energy = 0.0
    for rank in range(run.ranks):
        busy = [(e - b, watts(rank, what)) for b, e, what in run.drawing(rank) if b < end]
        energy += sum(t * w for t, w in busy) + (end - begin - sum(t for t, _ in busy)) * watts(rank, "waiting")
    return energy * MICRO / count


def check_energy(run, answer, watts):
    """Joules and dollars of a token against the simulation's own integral."""
    per_token = energy_of_period(run, watts) / 8192
    got = answer["energy"]
    assert got["is_valid"] and got["boundary"] == "gpu" and got["price_boundary"] == "facility", got
    near(got["joules_per_token"], per_token, "joules per token", 0.01)
    near(got["half_width_joules_per_token"] * 8192, got["half_width_joules"], "half-width of a token")
    assert got["joules_per_token_tag"] == "measured" and got["usd_per_million_tokens_tag"] == "derived", got
    near(got["profile_joules"], got["per_iteration_joules"], "what the profile accounts for", 0.01)
    near(got["usd_per_million_tokens"], got["joules_per_token"] * 1e6 / 3.6e6 * 0.1 * 1.5, "price of a token")


CLOSING_WATTS = {"forward": 400, "backward": 400, "other": 500, "waiting": 80}


def closing_run():
    milliseconds = {(0, "forward"): 20, (0, "backward"): 41, (1, "forward"): 23, (1, "backward"): 44}

    def work(rank, stage, instruction):
        time = milliseconds[(stage, instruction)] * 1000
        return time // 2, time - time // 2

    return Run(2, 1, 1, 4, 30, work, transfer=400, optimizer=60_000, pause=7000, start=1000)


def check_next_command(binary):
    """The command that a profile ends with takes the measured time and energy of an iteration, the work
    behind the last operations included."""
    run = closing_run()
    watts = lambda rank, what: CLOSING_WATTS[what]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "power.csv").write_text(run.power_csv(BASE, watts, 7000, 5, 1))
        text = ask(binary, "profile", *run.write(folder, BASE), "--power", folder / "power.csv", "--averaging", "0s",
                   "--frequency", "1410MHz", "--profile", folder / "out.csv")
        command = next(line for line in text.splitlines() if line.startswith("  perwatt train "))
        plan = json.loads(ask(binary, *command.split()[2:], "--json"))
    until, count = periods(run)
    time, energy = (until - run.steps[0][0]) * MICRO / count, energy_of_period(run, watts)
    near(plan["all_max"]["time_seconds"], time, "time of the next command", 1e-3)
    near(plan["all_max"]["energy_joules"], energy, "energy of the next command", 0.01)
    print(f"next command: {plan['all_max']['energy_joules']:.1f} J, simulated {energy:.1f} J")


def held(power_csv, renewal_s, poll_s):
    """What a logger reads that asks more often than the meter renews its value."""
    lines, meters = power_csv.splitlines(), {}
    for line in lines[1:]:
        time, meter, _, power, _ = line.split(",")
        meters.setdefault(meter, []).append((float(time), power))
    out = lines[:1]
    for meter, readings in meters.items():
        renew = ask_at = readings[0][0]
        for time, power in readings:
            if time >= renew:
                value, renew = power, renew + renewal_s
            if time >= ask_at:
                out.append(f"{time:.6f},{meter},gpu,{value},")
                ask_at += poll_s
    return "\n".join(out) + "\n"


def check_held_readings(binary):
    """A value that the meter holds is no fresh reading: renewed every 97 ms, asked every 10 ms."""
    run = closing_run()
    watts = lambda rank, what: CLOSING_WATTS[what]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "power.csv").write_text(held(run.power_csv(BASE, watts, 1000, 5, 1), 0.097, 0.010))
        answer = json.loads(ask(binary, "profile", *run.write(folder, BASE), "--power", folder / "power.csv",
                                "--averaging", "0s", "--json"))
    worst = 0
    for row in answer["instructions"]:
        truth = CLOSING_WATTS[row["instruction"]] * row["time_seconds"]
        worst = max(worst, abs(row["energy_joules"] / truth - 1))
    assert worst < 0.06, f"an energy is off by {worst:.1%}"
    assert abs(answer["blocking_power_watts"] - CLOSING_WATTS["waiting"]) < 15, answer["blocking_power_watts"]
    print(f"held readings: energies within {worst:.1%}, blocking power {answer['blocking_power_watts']:.0f} W of 80")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    check_random(options.perwatt, options.count)
    check_profile(options.perwatt)
    check_profile(options.perwatt, counter=True)
    check_next_command(options.perwatt)
    check_held_readings(options.perwatt)


if __name__ == "__main__":
    sys.exit(main())
