"""Joules per token against the stand-in's law, over windows of 30 s.

    /usr/bin/python3 tests/measure/energy_truth.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import csv
import datetime
import re

from support import Standin, check, codes, measure, near, run_checks

GPUS, IDLE, PROMPT, OUTPUT = 2, 90.0, 0.02, 0.6
WINDOW, WARMUP = 31, 2
SERVER = ("--ttft", 0.04, "--itl", 0.02, "--gpus", GPUS, "--idle-watts", IDLE)
LAW = ("--joules-per-prompt-token", PROMPT, "--joules-per-output-token", OUTPUT)
LOAD = ("--concurrency", 6, "--isl", 100, "--osl", 24, "--duration", f"{WINDOW}s", "--warmup", f"{WARMUP}s",
        "--idle", "6s", "--gpus", GPUS)


def law_joules(result):
    tokens = result["tokens"]
    return GPUS * IDLE * result["window_seconds"] + PROMPT * tokens["input"] + OUTPUT * tokens["output"]


def check_per_token(result, true_joules):
    """Every figure per token is the energy over the tokens it names."""
    tokens = result["tokens"]
    assert result["power_valid"] and result["window_seconds"] >= 30, result["reasons"]
    near(result["energy_joules"]["total"], true_joules, 0.01, "energy")
    near(result["joules_per_output_token"]["value"], true_joules / tokens["output"], 0.01, "J per output token")
    near(result["joules_per_total_token"]["value"], true_joules / (tokens["input"] + tokens["output"]), 0.01,
         "J per total token")
    near(result["output_tokens_per_joule"], tokens["output"] / true_joules, 0.01, "output tokens per J")
    interval = result["joules_per_output_token"]
    if interval["ci_low"] is not None:
        assert interval["ci_low"] <= interval["value"] <= interval["ci_high"]


@check
def total_and_marginal_by_the_counter():
    with Standin(*SERVER, *LAW) as standin:
        run = measure(standin.url, *LOAD, "--power", standin.power())
        result = run.json
        energy = result["energy_joules"]
        assert energy["method"] == "counter" and energy["boundary"] == "gpu" and energy["meters"] == GPUS
        check_per_token(result, law_joules(result))
        near(energy["idle_power_watts"], GPUS * IDLE, 0.01, "idle power")
        marginal = result["energy_joules"]["marginal_joules_per_output_token"]["value"]
        above_idle = law_joules(result) - GPUS * IDLE * result["window_seconds"]
        near(marginal, above_idle / result["tokens"]["output"], 0.05, "marginal J per output token")
        near(energy["marginal"], above_idle, 0.05, "marginal energy")
        # The law by the program's own tokens, and what the stand-in spent in that very window.
        truth = standin.truth(run.window(WARMUP))["window"]
        near(truth["gpu_joules"], law_joules(result), 0.01, "the stand-in's own energy")
        near(result["tokens"]["output"], truth["output_tokens"], 0.01, "output tokens")
        near(result["tokens"]["input"], truth["prompt_tokens"], 0.02, "input tokens")


BATCH = ("--batch-watts", 60, "--joules-per-output-token", 0.2)
# Arrivals by chance: the batch, and with it the power, changes all the time.
VARYING = ("--request-rate", 8, "--arrival-pattern", "poisson", "--isl", 60, "--osl", 30, "--duration", f"{WINDOW}s",
           "--warmup", f"{WARMUP}s", "--gpus", GPUS)


def varying(standin):
    run = measure(standin.url, *VARYING, "--power", standin.power())
    result = run.json
    return result, standin.truth(run.window(WARMUP, first_offset=first_poisson_offset(run)))["window"]["gpu_joules"]


def first_poisson_offset(run):
    """From the run's begin to its first request. The JSON tells when the run began, to the millisecond."""
    began = datetime.datetime.fromisoformat(run.json["start"].replace("Z", "+00:00")).timestamp()
    return run.records()[0]["unix_intended_seconds"] - began


@check
def both_paths_agree_where_power_depends_on_the_batch():
    with Standin(*SERVER, *BATCH) as standin:
        result, joules = varying(standin)
        energy = result["energy_joules"]
        assert energy["method"] == "counter"
        near(energy["by_integral"], energy["by_counter"], 0.05, "integrated power")
        assert energy["by_integral"] != energy["by_counter"], "two paths give one figure to the last digit"
        check_per_token(result, joules)


@check
def the_integral_alone():
    with Standin(*SERVER, *BATCH, "--script", '{"exporter": {"counter": false}}') as standin:
        result, joules = varying(standin)
        energy = result["energy_joules"]
        assert energy["method"] == "power_integral" and energy["by_counter"] is None, energy
        assert result["power_valid"], result["reasons"]
        near(energy["total"], joules, 0.05, "integrated power")
        near(result["joules_per_output_token"]["value"], joules / result["tokens"]["output"], 0.05)
        assert "counter_unreliable" not in codes(result)


def joules_by_hand(rows, window):
    """Energy of one meter in the window, from its counter in power.csv, interpolated at both edges."""
    def at(time):
        for (t0, e0), (t1, e1) in zip(rows, rows[1:]):
            if t0 <= time <= t1:
                return e0 + (e1 - e0) * (time - t0) / (t1 - t0) if t1 > t0 else e0
        raise AssertionError(f"{time} is not within {rows[0][0]} .. {rows[-1][0]}")
    return at(window[1]) - at(window[0])


@check
def the_output_folder_holds_the_run():
    with Standin(*SERVER, *LAW) as standin:
        run = measure(standin.url, "--request-rate", 8, "--arrival-pattern", "constant", "--isl", 60, "--osl", 20,
                      "--duration", "6s", "--warmup", "1s", "--power", standin.power())
        assert (run.folder / "measurement.json").read_text(encoding="utf-8") == run.out
        result, records = run.json, run.records()
        assert [record["index"] for record in records] == list(range(len(records)))
        output = sum(record["output_tokens"] * record["content_chunks_in_window"] / record["content_chunks"]
                     for record in records)
        near(output, result["tokens"]["output"], 0.001, "output tokens of requests.jsonl")
        begin, end = (at + run.wall_minus_monotonic for at in run.window(1.0, first_offset=1 / 8))
        meters = {}
        with open(run.folder / "power.csv", encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                if row[1] != "meter":
                    meters.setdefault(row[1], []).append((float(row[0]), float(row[4])))
        assert len(meters) == GPUS, set(meters)
        joules = sum(joules_by_hand(rows, (begin, end)) for rows in meters.values())
        near(joules, result["energy_joules"]["total"], 0.01, "energy of power.csv")
        page = (run.folder / "report.html").read_text(encoding="utf-8")
        assert "</html>" in page and result["model"] in page
        assert not re.search(r"""<(?:script|link|img)[^>]*(?:src|href)=["']https?:""", page), "it needs the network"


if __name__ == "__main__":
    run_checks()
