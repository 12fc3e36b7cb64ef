"""Experiments of many runs: prefill and decode told apart, comparisons, sweeps and searches, against known laws.

    /usr/bin/python3 tests/measure/experiments.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import json

from support import Standin, check, measure, near, run_checks, write

TTFT, ITL, PROMPT, OUTPUT, GPUS, IDLE = 0.03, 0.01, 0.05, 0.8, 2, 100.0
SERVER = ("--ttft", TTFT, "--itl", ITL, "--gpus", GPUS, "--idle-watts", IDLE, "--joules-per-prompt-token", PROMPT)
USERS, INPUT, ANSWER = 4, 50, 20
# Five whole answers to a window: where it begins makes no difference.
CYCLE = TTFT + (ANSWER - 1) * ITL
LOAD = ("--concurrency", USERS, "--isl", INPUT, "--osl", ANSWER, "--duration", f"{5 * CYCLE * 1000:g}ms", "--warmup",
        "300ms")


def server(output, *more):
    return Standin(*SERVER, "--joules-per-output-token", output, *more)


def law(output):
    """J per output token of USERS users who always wait for an answer."""
    return GPUS * IDLE * CYCLE / (USERS * ANSWER) + PROMPT * INPUT / ANSWER + output


@check
def prefill_and_decode_are_told_apart():
    with server(OUTPUT) as standin:
        split = measure(standin.url, "--phase-split", "--concurrency", 4, "--isl", 400, "--osl", 40, "--duration", "6s",
                        "--warmup", "500ms", "--idle", "2s", "--power", standin.power(), "--gpus",
                        GPUS).json["phase_split"]
        assert split["status"] == "ok", split
        for key, true in (("joules_per_input_token", PROMPT), ("joules_per_output_token", OUTPUT)):
            near(split[key]["value"], true, 0.05, key)
            assert split[key]["ci_low"] <= split[key]["value"] <= split[key]["ci_high"]


METERS = ("--meter-gain", 0)  # both exporters tell the truth


def compare(a, b, *flags):
    return measure(None, "--compare", a.url, b.url, *METERS, "--power-a", a.power(), "--power-b", b.power(), *LOAD,
                   *flags).json


@check
def a_saving_is_shown():
    with server(0.8) as a, server(0.4) as b:
        comparison = compare(a, b, "--max-pairs", 12)["comparison"]
        assert comparison["verdict"] == "saves", comparison
        ratio = comparison["joules_per_output_token_ratio"]
        near(ratio["value"], law(0.4) / law(0.8), 0.05, "ratio")
        assert ratio["ci_low"] < ratio["value"] < ratio["ci_high"] < 1
        near(comparison["joules_per_output_token_difference"]["value"], -0.4, 0.1, "difference")


@check
def a_cost_is_shown():
    with server(0.4) as a, server(0.8) as b:
        comparison = compare(a, b, "--max-pairs", 12)["comparison"]
        assert comparison["verdict"] == "costs", comparison
        assert comparison["joules_per_output_token_ratio"]["ci_low"] > 1


@check
def equals_show_nothing():
    with server(0.6) as a, server(0.6) as b:
        # The rule allows 5 % of verdicts about nothing (comparison_test.cpp simulates them); none of 3 %.
        comparison = compare(a, b, "--max-pairs", 6, "--smallest-effect", 0.03)["comparison"]
        assert comparison["verdict"] == "not_shown", comparison
        assert comparison["reason"] in ("effect_too_small", "interval_holds_one"), comparison
        near(comparison["joules_per_output_token_ratio"]["value"], 1, 0.03, "ratio")


def questions():
    lines = [{"prompt": f"question {i}: answer=word{i} of {i * 7}", "expected": f"word{i}", "output_tokens": 6}
             for i in range(40)]
    return write("questions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


@check
def a_saving_bought_with_wrong_answers_is_withheld():
    load = ("--prompts", questions(), "--concurrency", 4, "--warmup", "0s", "--max-pairs", 6, *METERS)
    with server(0.8) as a, server(0.2, "--script", '{"limits": {"correct_share": 0.4}}') as b:
        comparison = measure(None, "--compare", a.url, b.url, "--power-a", a.power(), "--power-b", b.power(), *load,
                             "--quality-margin", 0.1).json["comparison"]
        assert comparison["verdict"] != "saves", comparison
        assert comparison["quality"], comparison
    with server(0.8) as a, server(0.2) as b:
        comparison = measure(None, "--compare", a.url, b.url, "--power-a", a.power(), "--power-b", b.power(), *load,
                             "--quality-margin", 0.1).json["comparison"]
        assert comparison["verdict"] == "saves", comparison
        assert comparison["joules_per_answer_b"] < comparison["joules_per_answer_a"], comparison


@check
def saved_results_are_compared():
    with server(0.8) as a, server(0.4) as b:
        runs = [measure(one.url, *LOAD, "--power", one.power()) for one in (a, b)]
        values = [run.json["joules_per_output_token"]["value"] for run in runs]
        for paths in ([run.folder for run in runs], [run.folder / "measurement.json" for run in runs]):
            comparison = measure(None, "--compare", *paths, output=False, lag=None).json["comparison"]
            near(comparison["joules_per_output_token_ratio"]["value"], values[1] / values[0], 1e-6, "ratio")


@check
def saved_answers_are_scored():
    """The prompts and answers of saved runs say more than their means: prompt by prompt, by any scorer."""
    file = questions()
    load = ("--prompts", file, "--concurrency", 4, "--warmup", "0s", "--runs", 4)
    with server(0.8) as a, server(0.2, "--script", '{"limits": {"correct_share": 0.4}}') as b, server(0.2) as c:
        folders = [measure(one.url, *load, "--power", one.power()).folder for one in (a, b, c)]
    worse = measure(None, "--compare", *folders[:2], output=False, lag=None).json["comparison"]
    assert (worse["verdict"], worse["reason"]) == ("not_shown", "quality_lower"), worse
    assert worse["quality"]["prompts"] == 40 and worse["quality"]["significantly_lower"], worse["quality"]
    same = measure(None, "--compare", folders[0], folders[2], "--quality-margin", 0.1, output=False,
                   lag=None).json["comparison"]
    assert same["verdict"] == "saves", same
    by_command = measure(None, "--compare", *folders[:2], "--scorer", "sed 's/.*/1/'", output=False,
                         lag=None).json["comparison"]
    assert by_command["verdict"] == "saves" and by_command["quality"]["mean_score_b"] == 1, by_command


@check
def earlier_results_are_left_alone():
    with server(0.5) as standin:
        for runs in (1, 2):
            flags = (*LOAD[:6], "--request-count", 8, "--runs", runs)
            folder = measure(standin.url, *flags).folder
            kept = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
            again = measure(standin.url, *flags, "--output", folder, expect=2)
            assert "--output" in again.err and "new folder" in again.err, again.err
            assert kept == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@check
def a_sweep_finds_where_more_load_gives_no_more():
    with server(0.5, "--slots", 4) as standin:
        result = measure(standin.url, "--sweep", "concurrency:1,2,4,8,16", *LOAD[2:], "--power", standin.power()).json
        runs = sorted(result["runs"], key=lambda run: run["load"]["concurrency"])
        rates = {run["load"]["concurrency"]: run["output_tokens_per_s"] for run in runs}
        near(rates[2], 2 * rates[1], 0.1, "tokens per second of 2 users")
        near(rates[4], 4 * rates[1], 0.1, "tokens per second of 4 users")
        assert result["sweep"]["saturated_at"] in (4, 8), result["sweep"]
        per_token = [run["joules_per_output_token"]["value"] for run in runs[:3]]
        assert per_token == sorted(per_token, reverse=True), "idle power is shared by more tokens"


@check
def the_highest_load_within_the_limit():
    """Tokens come 5 + 4 n ms apart for n users: 4 users are within 23 ms, and 5 are not."""
    with Standin("--ttft", 0.02, "--itl", 0.005, "--itl-per-request", 0.004) as standin:
        search = measure(standin.url, "--find-load", "concurrency:2..7", "--goodput", "tpot:23ms", "--attainment", 0.9,
                         "--isl", 30, "--osl", 10, "--duration", "1200ms", "--warmup", "300ms").json["search"]
        assert (search["highest_met"], search["lowest_missed"]) == (4, 5), search


if __name__ == "__main__":
    run_checks()
