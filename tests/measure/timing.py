"""Latencies against the server's own times, coordinated omission, goodput, and the client's view of itself.

    /usr/bin/python3 tests/measure/timing.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import json
import math
import signal
import statistics
import time

from support import Standin, check, codes, measure, near, prompts, run_checks, start, wait_for, write


@check
def a_slow_server_hides_nothing():
    """A server of 500 ms, asked 10 times a second with one request at a time: the i-th request is sent 0.5 i after the
    start and was intended at 0.1 i. Later than that is the machine; earlier is a wrong figure."""
    service, rate, count = 0.5, 10, 8
    with Standin("--ttft", service) as standin:
        run = measure(standin.url, "--prompts", prompts(count, 1), "--request-rate", rate, "--arrival-pattern",
                      "constant", "--concurrency", 1, "--request-count", count, "--warmup", "0s")
        result, served, records = run.json, standin.requests(), run.records()
        assert result["requests"]["ok"] == count == len(served)
        true_send = statistics.mean(one["last_monotonic_seconds"] - one["arrived_monotonic_seconds"] for one in served)
        near(result["e2e_seconds"]["mean"], true_send, 0.05, "E2E from the send")
        true_intended = statistics.mean(one["last_monotonic_seconds"] for one in served) - statistics.mean(
            record["intended_mono"] for record in records)
        near(result["e2e_from_intended_seconds"]["mean"], true_intended, 0.05, "E2E from the intended time")
        assert result["e2e_seconds"]["mean"] >= 0.95 * service
        waiting = service * (count + 1) / 2 - (count - 1) / 2 / rate
        assert result["e2e_from_intended_seconds"]["mean"] >= 0.95 * waiting
        assert result["ttft_from_intended_seconds"]["mean"] >= 0.95 * waiting
        assert sum(record["held_back"] for record in records) >= count - 2


def median_of(values):
    return statistics.median(values)


@check
def latencies_are_the_servers():
    with Standin("--ttft", 0.08, "--itl", 0.025) as standin:
        run = measure(standin.url, "--prompts", prompts(200, 20), "--request-rate", 25, "--arrival-pattern", "constant",
                      "--duration", "5s", "--warmup", "0s")
        result, served = run.json, standin.requests()
        assert result["requests"]["ok"] == len(served) == len(run.records())
        near(result["ttft_seconds"]["p50"], median_of(
            one["first_monotonic_seconds"] - one["arrived_monotonic_seconds"] for one in served), 0.1, "TTFT")
        near(result["tpot_seconds"]["p50"], median_of(
            (one["last_monotonic_seconds"] - one["first_monotonic_seconds"]) / 19 for one in served), 0.05, "TPOT")
        near(result["e2e_seconds"]["p50"], median_of(
            one["last_monotonic_seconds"] - one["arrived_monotonic_seconds"] for one in served), 0.05, "E2E")
        near(result["itl_seconds"]["p50"], 0.025, 0.1, "ITL")


def tpot(record):
    return (record["last_content_seconds"] - record["first_content_seconds"]) / (record["output_tokens"] - 1)


def from_intended(record, name):
    return record[name] + record["unix_sent_seconds"] - record["unix_intended_seconds"]


LATENCIES = {
    "ttft_seconds": lambda record: record["first_content_seconds"],
    "ttft_from_intended_seconds": lambda record: from_intended(record, "first_content_seconds"),
    "tpot_seconds": tpot,
    "e2e_seconds": lambda record: record["last_content_seconds"],
    "e2e_from_intended_seconds": lambda record: from_intended(record, "last_content_seconds"),
}
JITTERY = ("--ttft", 0.05, "--itl", 0.01, "--jitter", 0.9)
# All requests are intended inside the window.
JITTERY_LOAD = ("--request-rate", 40, "--duration", "4s", "--warmup", "0s", "--isl", 30, "--osl", 12)


@check
def quantiles_are_those_of_the_requests():
    with Standin(*JITTERY) as standin:
        run = measure(standin.url, *JITTERY_LOAD)
        result, records = run.json, run.records()
        slack = result["quantile_relative_error_ratio"]
        assert 0 < slack < 0.01
        for name, of in LATENCIES.items():
            values, told = sorted(map(of, records)), result[name]
            assert told["count"] == len(values)
            near(told["mean"], statistics.mean(values), 1e-4, name + " mean")
            near(told["max"], values[-1], slack + 1e-4, name + " max")
            for share in (50, 90, 99):
                rank = share / 100 * len(values)
                low, high = values[max(0, math.floor(rank) - 1)], values[min(len(values) - 1, math.ceil(rank))]
                assert low * (1 - slack) - 1e-4 <= told[f"p{share}"] <= high * (1 + slack) + 1e-4, \
                    f"{name} p{share} {told[f'p{share}']} is not in {low} .. {high}"


def good_by_hand(records, ttft=math.inf, per_token=math.inf, e2e=math.inf):
    good = [record for record in records if record["outcome"] == "ok"
            and LATENCIES["ttft_from_intended_seconds"](record) <= ttft and tpot(record) <= per_token
            and LATENCIES["e2e_from_intended_seconds"](record) <= e2e]
    return len(good), sum(record["output_tokens"] * record["content_chunks_in_window"] / record["content_chunks"]
                          for record in good)


@check
def goodput_is_that_of_the_requests():
    slos = {"": {}, "ttft:50ms": {"ttft": 0.05}, "tpot:10ms": {"per_token": 0.01},
            "ttft:70ms tpot:11ms e2e:250ms": {"ttft": 0.07, "per_token": 0.011, "e2e": 0.25},
            "ttft:1ms": {"ttft": 0.001}}
    ratios = {}
    with Standin(*JITTERY) as standin:
        runs = [(text, limits, start(standin.url, *JITTERY_LOAD, *(("--goodput", text) if text else ())))
                for text, limits in slos.items()]
        for text, limits, run in runs:
            run.wait()
            assert run.code == 0, run.err
            result, records = run.json, run.records()
            count, tokens = good_by_hand(records, **limits)
            near(result["good_request_ratio"], count / len(records), 0.02, text)
            assert abs(result["tokens"]["good"] - tokens) <= max(1, 0.02 * tokens), (text, result["tokens"], tokens)
            assert abs(result["goodput_tokens_per_s"] * result["window_seconds"] - tokens) <= max(1, 0.02 * tokens)
            ratios[text] = result["good_request_ratio"]
    assert ratios[""] == 1 and ratios["ttft:1ms"] == 0, ratios
    assert 0 < ratios["ttft:70ms tpot:11ms e2e:250ms"] < 1 and 0 < ratios["ttft:50ms"] < 1, ratios


@check
def synthetic_prompts_hit_no_cache():
    with Standin("--ttft", 0.01, "--itl", 0.002) as standin:
        result = measure(standin.url, "--concurrency", 4, "--isl", 200, "--osl", 4, "--duration", "2s",
                         "--warmup", "200ms").json
        assert "cached_prompts" not in codes(result), result["reasons"]
        assert standin.truth()["present"]["cached_tokens"] == 0
        lines = [{"prompt": "the same words again and again " * 30, "output_tokens": 4}] * 50
        result = measure(standin.url, "--concurrency", 4, "--prompts",
                         write("same.jsonl", "".join(json.dumps(line) + "\n" for line in lines))).json
        assert standin.truth()["present"]["cached_tokens"] > 0
        assert "cached_prompts" in codes(result), result["reasons"]


@check
def the_window_opens_as_soon_as_every_user_is_answered():
    """Short answers of one user: without a warm-up the window is all of the run but its first token."""
    for users in (1, 4):
        with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
            result = measure(standin.url, "--concurrency", users, "--isl", 20, "--osl", 12, "--duration", "3s",
                             "--warmup", "0s").json
            assert result["whole_run_seconds"] <= 1.3 * result["window_seconds"], \
                f"{users} users: {result['whole_run_seconds']} s for a window of {result['window_seconds']} s"
            near(result["mean_concurrency"], users, 0.1, "mean concurrency")


@check
def a_client_that_was_late_says_so():
    """Stopped for a while, the client can neither send nor read: with its usual bound the run is not valid."""
    with Standin("--ttft", 0.01, "--itl", 0.004) as standin:
        run = start(standin.url, "--request-rate", 40, "--duration", "4s", "--warmup", "0s", "--isl", 20, "--osl", 8,
                    lag=None)
        wait_for(lambda: standin.truth()["requests"]["completed"] > 20, "twenty answers")
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        run.process.send_signal(signal.SIGCONT)
        run.wait()
        assert run.code == 0, run.err
        client = run.json["client"]
        assert not run.json["valid"] and not client["valid"] and "client_lag" in codes(run.json), run.json["reasons"]
        assert client["schedule_error_p99_seconds"] > 0.2, client
        # Nothing was left out: the requests of the pause were sent late and count from their intended times.
        late = [record for record in run.records() if record["sent_mono"] - record["intended_mono"] > 0.2]
        assert len(late) >= 10, len(late)
        assert run.json["ttft_from_intended_seconds"]["max"] > 0.5 > run.json["ttft_seconds"]["p50"]


@check
def a_client_that_slept_in_closed_loop_says_so():
    """No schedule shows it there: bytes lay in the kernel while the client was stopped."""
    with Standin("--ttft", 0.01, "--itl", 0.01) as standin:
        run = start(standin.url, "--concurrency", 4, "--duration", "4s", "--warmup", "500ms", "--isl", 20, "--osl", 40)
        wait_for(lambda: standin.truth()["requests"]["completed"] > 8, "eight answers")
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        run.process.send_signal(signal.SIGCONT)
        run.wait()
        assert run.code == 0, run.err
        assert run.json["client"]["longest_stall_seconds"] > 0.5, run.json["client"]


if __name__ == "__main__":
    run_checks()
