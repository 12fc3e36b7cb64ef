"""What is sent and when, by the server's own record; and that a seed repeats it.

    /usr/bin/python3 tests/measure/load.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import collections
import json
import statistics

from support import Recorder, Standin, check, measure, near, prompts, run_checks, write

PROBES = 2  # requests that measure how many tokens a word of a synthetic prompt has
FAST = ("--ttft", 0.01, "--itl", 0.002)
SHORT = ("--isl", 20, "--osl", 3, "--warmup", "0s")
SLACK = 0.002  # of two clocks against each other


def arrivals(standin, *flags):
    """(intended times, server's arrivals) since the first intended one, in order, of an uncapped open loop."""
    run = measure(standin.url, *SHORT, *flags)
    records = run.records()
    served = sorted(one["arrived_monotonic_seconds"] for one in standin.requests()[PROBES:])
    intended = [record["intended_mono"] for record in records]
    assert intended == sorted(intended) and len(served) == len(intended) == run.json["requests"]["sent"]
    assert not any(record["held_back"] for record in records)
    # No request reaches the server before it is due; how late the machine lets it is no matter here.
    for due, came in zip(intended, served):
        assert came >= due - SLACK, (came, due)
    near(statistics.median(came - due for due, came in zip(intended, served)) + 1, 1, 0.05, "typical lateness")
    return [due - intended[0] for due in intended], [came - intended[0] for came in served]


def gaps_of(times):
    return [b - a for a, b in zip(times, times[1:])]


def variation(values):
    return statistics.pstdev(values) / statistics.mean(values)


@check
def constant_arrivals():
    with Standin(*FAST) as standin:
        intended, _ = arrivals(standin, "--request-rate", 40, "--arrival-pattern", "constant", "--duration", "3s")
        assert len(intended) in (119, 120), len(intended)
        assert all(abs(gap - 0.025) < 1e-4 for gap in gaps_of(intended))


@check
def poisson_arrivals():
    with Standin(*FAST) as standin:
        intended, served = arrivals(standin, "--request-rate", 120, "--duration", "4s")
        assert abs(len(intended) - 480) < 4 * 480 ** 0.5, len(intended)
        near(variation(gaps_of(intended)), 1, 0.15, "variation of the gaps")
        # Counts per second: variance and mean of a Poisson law are the same.
        counts = [sum(i / 4 <= at < (i + 1) / 4 for at in served) for i in range(16)]
        assert 0.3 < statistics.variance(counts) / statistics.mean(counts) < 2.5, counts


@check
def gamma_arrivals():
    for burstiness in (0.25, 4):
        with Standin(*FAST) as standin:
            intended, _ = arrivals(standin, "--request-rate", 120, "--arrival-pattern", "gamma", "--burstiness",
                                   burstiness, "--duration", "4s")
            assert abs(len(intended) - 480) < 4 * (480 / burstiness) ** 0.5, len(intended)
            near(variation(gaps_of(intended)), burstiness ** -0.5, 0.2, "variation of the gaps")


@check
def bursts():
    with Standin(*FAST) as standin:
        intended, _ = arrivals(standin, "--request-rate", 50, "--arrival-pattern", "burst", "--burst-size", 5,
                               "--duration", "2s")
        sizes = collections.Counter(round(at, 4) for at in intended)
        assert set(sizes.values()) == {5} and len(sizes) == 20, sizes
        assert all(abs(gap - 0.1) < 1e-3 for gap in gaps_of(sorted(sizes))), sizes


@check
def ramps_of_the_rate():
    """From 0 to 60 a second in 4 s: 120 requests, three quarters of them in the second half."""
    with Standin(*FAST) as standin:
        intended, _ = arrivals(standin, "--request-rate", 60, "--arrival-pattern", "constant", "--rate-ramp",
                               "linear:0:4s", "--duration", "4s")
        near(len(intended), 120, 0.05, "requests")
        gaps = gaps_of(intended)
        assert gaps[:60] == sorted(gaps[:60], reverse=True), "gaps shrink along the ramp"
        begin = -(2 / 15) ** 0.5  # 15 t^2 / 2 have come by t: the first one at 0.365 s
        near(sum(at - begin > 2 for at in intended), 90, 0.1, "requests of the second half")


@check
def ramps_of_the_users():
    with Standin(*FAST) as standin:
        run = measure(standin.url, *SHORT[:-2], "--concurrency", 8, "--concurrency-ramp", "2s", "--warmup", "2s",
                      "--duration", "1s")
        first = sorted(record["intended_mono"] for record in run.records())[0]
        for i in range(8):
            running = sum(one["arrived_monotonic_seconds"] < first + i / 4 - SLACK
                          and (one["ended_monotonic_seconds"] or 1e18) > first + i / 4 - SLACK
                          for one in standin.requests()[PROBES:])
            assert running <= i, f"{running} requests before user {i} came"
        assert standin.truth()["most_running"] == 8


@check
def the_cap_holds():
    with Standin("--ttft", 0.2) as standin:
        run = measure(standin.url, *SHORT, "--request-rate", 50, "--concurrency", 3, "--duration", "3s", "--drain",
                      "2s")
        assert standin.truth()["most_running"] == 3
        held = sum(record["held_back"] for record in run.records())
        assert held > len(run.records()) / 2, held
        assert run.json["mean_concurrency"] <= 3 + 1e-9
        near(run.json["mean_concurrency"], 3, 0.15, "mean concurrency")


@check
def users_in_closed_loop():
    with Standin("--ttft", 0.05, "--itl", 0.01) as standin:
        run = measure(standin.url, "--isl", 20, "--osl", 10, "--concurrency", 7, "--warmup", "1s", "--duration", "3s")
        assert standin.truth()["most_running"] == 7
        near(run.json["mean_concurrency"], 7, 0.1, "mean concurrency")


@check
def as_many_requests_as_asked_for():
    for flags in (("--concurrency", 4), ("--request-rate", 60), ("--request-rate", 60, "--concurrency", 2)):
        with Standin(*FAST) as standin:
            run = measure(standin.url, *SHORT, *flags, "--request-count", 37)
            assert len(run.records()) == 37 == len(standin.requests()) - PROBES, len(run.records())
            assert run.json["end"] == "complete"


# ---- traces

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 23:59:59.0000000,120,5
2023-11-16 23:59:59.5000000,40,9
2023-11-16 23:59:59.5000000,300,2
2023-11-17 00:00:00.7000000,80,7
2023-11-17 00:00:01.5000000,60,3
"""
AZURE_ROWS = [(0, 120, 5), (0.5, 40, 9), (0.5, 300, 2), (1.7, 80, 7), (2.5, 60, 3)]


def check_replay(standin, run, rows, speed=1.0):
    records, served = run.records(), standin.requests()[PROBES:]
    assert len(records) == len(served) == len(rows) and run.json["requests"]["ok"] == len(rows), run.json["requests"]
    first = records[0]["intended_mono"]
    for record, (at, _, _) in zip(records, rows):
        assert abs(record["intended_mono"] - first - at / speed) < 1e-4, (record["intended_mono"] - first, at / speed)
    for came, (at, _, _) in zip(sorted(one["arrived_monotonic_seconds"] for one in served), rows):
        assert came >= first + at / speed - SLACK
    asked = sorted((one["prompt_tokens"], one["output_tokens"]) for one in served)
    for (inputs, outputs), (_, wanted, length) in zip(asked, sorted(rows, key=lambda row: row[1:])):
        assert abs(inputs - wanted) <= max(2, 0.03 * wanted), (inputs, wanted)
        assert outputs == length, (outputs, length)


@check
def a_trace_of_azure():
    for speed in (1, 2):
        with Standin(*FAST) as standin:
            run = measure(standin.url, "--trace", write("azure.csv", AZURE), "--trace-speed", speed, "--warmup", "0s")
            check_replay(standin, run, AZURE_ROWS, speed)


@check
def a_trace_of_mooncake():
    """Prompts that share their first blocks share their first words: the server's prefix cache finds them again."""
    rows = [(0, 1200, 4), (0.6, 1100, 3), (1.2, 600, 2), (1.2, 90, 6)]
    blocks = [[0, 1, 2], [0, 1, 3], [9, 10], [77]]
    lines = [json.dumps({"timestamp": at * 1000, "input_length": inputs, "output_length": outputs, "hash_ids": ids})
             for (at, inputs, outputs), ids in zip(rows, blocks)]
    with Standin(*FAST) as standin:
        run = measure(standin.url, "--trace", write("mooncake.jsonl", "\n".join(lines) + "\n"), "--warmup", "0s")
        check_replay(standin, run, rows)
        cached = {one["prompt_tokens"]: one["cached_tokens"] for one in standin.requests()[PROBES:]}
        second = min(cached, key=lambda tokens: abs(tokens - 1100))
        near(cached[second], 1024, 0.05, "tokens of the two blocks in common")
        assert all(hit <= 16 for tokens, hit in cached.items() if tokens != second), cached


# ---- lengths and conversations

@check
def input_lengths_are_those_asked_for():
    for words, flags, spread in ((64, (), 0), (700, (), 0), (300, ("--isl-stddev", 60), 60)):
        with Standin(*FAST) as standin:
            measure(standin.url, "--isl", words, *flags, "--osl", 3, "--concurrency", 8, "--request-count", 200,
                    "--warmup", "0s")
            lengths = [one["prompt_tokens"] for one in standin.requests()[PROBES:]]
            near(statistics.mean(lengths), words, 0.03, "mean input length")
            if spread:
                near(statistics.pstdev(lengths), spread, 0.2, "spread of the input lengths")
            else:
                assert all(abs(length - words) <= 0.03 * words for length in lengths), sorted(set(lengths))


@check
def output_lengths_are_those_asked_for():
    with Standin(*FAST) as standin:
        measure(standin.url, "--isl", 200, "--osl", 40, "--length-range", "0.5:1.0", "--concurrency", 8,
                "--request-count", 200, "--warmup", "0s")
        served = standin.requests()[PROBES:]
        for key, most in (("output_tokens", 40), ("prompt_tokens", 200)):
            lengths = [one[key] for one in served]
            assert min(lengths) >= 0.48 * most and max(lengths) <= 1.03 * most, (key, min(lengths), max(lengths))
            near(statistics.mean(lengths), 0.75 * most, 0.06, key)


@check
def conversations_carry_their_history():
    with Recorder() as recorder:
        # An odd number for two users: one of them is done while the other still has turns to ask.
        sessions = 5
        run = measure(recorder.url, "--turns", 3, "--turn-delay", "100ms", "--concurrency", 2, "--request-count",
                      sessions, "--isl", 20, "--warmup", "0s")
        by_length = collections.Counter(len(body["messages"]) for body in recorder.streamed())
        assert by_length == {1: sessions, 3: sessions, 5: sessions}, by_length
        histories = [body["messages"] for body in recorder.streamed()]
        for messages in histories:
            assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
            if len(messages) > 1:
                assert messages[:-2] in histories, "the turn before"
                # The answer to exactly that turn.
                before = next(i for i, body in enumerate(recorder.bodies)
                              if body.get("stream") and body["messages"] == messages[:-2])
                assert messages[-2]["content"] == f"answer-{before}", messages[-2]
        users = [message["content"] for messages in histories if len(messages) == 5 for message in messages[::2]]
        assert len(set(users)) == len(users) == 3 * sessions, "every turn asks something of its own"
        records = {(record["session"], record["turn"]): record for record in run.records()}
        assert set(records) == {(session, turn) for session in range(sessions) for turn in range(3)}
        for (session, turn), record in records.items():
            if turn > 0:
                pause = record["intended_mono"] - records[session, turn - 1]["end_mono"]
                assert pause >= 0.1 - SLACK, pause


@check
def requests_say_what_they_were_told_to():
    with Recorder() as recorder:
        measure(recorder.url, "--concurrency", 1, "--request-count", 3, "--osl", 17, "--isl", 20, "--warmup", "0s",
                "--extra-body", '{"temperature": 0.5, "top_k": 3}', "--header", "X-Route: blue", "--model", "recorded")
        for body in recorder.streamed():
            assert body["model"] == "recorded" and body["temperature"] == 0.5 and body["top_k"] == 3
            assert 17 in (body.get("max_tokens"), body.get("max_completion_tokens")) and body["ignore_eos"] is True
            assert body["stream_options"]["include_usage"] is True
        assert all({key.lower(): value for key, value in head.items()}["x-route"] == "blue" for head in recorder.heads)
        recorder.bodies.clear()
        measure(recorder.url, "--concurrency", 1, "--request-count", 3, "--no-ignore-eos", "--isl", 20, "--osl", 5,
                "--endpoint-type", "completions", "--warmup", "0s")
        assert len(recorder.streamed()) == 3
        for body in recorder.streamed():
            assert isinstance(body["prompt"], str) and not body.get("ignore_eos")


# ---- tenants

@check
def tenants_share_tokens_and_energy():
    with Standin("--ttft", 0.03, "--itl", 0.01, "--gpus", 2, "--joules-per-output-token", 0.5) as standin:
        result = measure(standin.url, "--tenant", "red", "--tenant", "blue", "--tenant", "red too", "--concurrency", 6,
                         "--isl", 50, "--osl", 20, "--warmup", "1s", "--duration", "4s", "--power",
                         standin.power()).json
        tenants = {one["tenant"]: one for one in result["tenants"]}
        assert set(tenants) == {"red", "blue", "red too"}, result["tenants"]
        for key in ("input", "output"):
            shares = [one[next(name for name in one if name.startswith(key))] for one in tenants.values()]
            assert abs(sum(shares) - result["tokens"][key]) <= len(shares), (shares, result["tokens"])
            assert min(shares) > 0
        energies = [one[next(name for name in one if name.startswith("energy"))] for one in tenants.values()]
        near(sum(energies), result["energy_joules"]["total"], 0.001, "energy of all tenants")
        assert min(energies) > 0.2 * max(energies), energies


# ---- seeds

def sent_by(*flags):
    """(prompts with their lengths asked for, in the order sent; offsets of the intended times)."""
    with Recorder() as recorder:
        run = measure(recorder.url, "--isl", 40, "--isl-stddev", 8, "--osl", 6, "--osl-stddev", 2, "--warmup", "0s",
                      *flags)
        texts = [(body["messages"][0]["content"], body.get("max_tokens")) for body in recorder.streamed()]
        intended = [record["unix_intended_seconds"] for record in run.records()]
        return texts, [at - intended[0] for at in intended]


def lengths_of(texts):
    return sorted((len(text.split()), asked) for text, asked in texts)


@check
def a_seed_repeats_lengths_and_times_and_no_prompt():
    """A prefix cache outlives a run: the next one must not meet its own prompts there."""
    load = ("--request-rate", 20, "--request-count", 40)
    texts, offsets = sent_by(*load, "--seed", 7)
    again_texts, again_offsets = sent_by(*load, "--seed", 7)
    assert len(texts) == 40 and lengths_of(texts) == lengths_of(again_texts)
    assert not {text for text, _ in texts} & {text for text, _ in again_texts}, "a prompt was sent again"
    assert all(abs(a - b) < 2e-6 for a, b in zip(offsets, again_offsets)), "offsets of one seed"
    other_texts, other_offsets = sent_by(*load, "--seed", 8)
    assert lengths_of(texts) != lengths_of(other_texts)
    assert any(abs(a - b) > 1e-3 for a, b in zip(offsets, other_offsets)), "another seed, the same times"
    beginnings = {" ".join(text.split()[:16]) for text, _ in texts}
    assert len(beginnings) == 40, "prompts share a beginning that a prefix cache would find"


@check
def prompts_of_a_file_are_sent_as_they_are():
    with Recorder() as recorder:
        file = prompts(12, 5)
        measure(recorder.url, "--prompts", file, "--concurrency", 3, "--warmup", "0s")
        wanted = sorted(json.loads(line)["prompt"] for line in file.read_text().splitlines())
        assert sorted(body["messages"][0]["content"] for body in recorder.bodies) == wanted


@check
def prompts_of_a_file_end_the_load():
    """A file is a load with an end, by schedule as in closed loop."""
    with Recorder() as recorder:
        for flags in (("--request-rate", 50), ("--concurrency", 3)):
            recorder.bodies.clear()
            measure(recorder.url, "--prompts", prompts(12, 5), "--warmup", "0s", *flags)
            assert len(recorder.bodies) == 12, (flags, len(recorder.bodies))


@check
def runs_ask_new_questions():
    with Recorder() as recorder:
        run = measure(recorder.url, "--runs", 2, "--concurrency", 2, "--request-count", 10, "--isl", 30, "--osl", 4,
                      "--warmup", "0s")
        assert run.out.count('"schema_version"') >= 2 and len(recorder.streamed()) == 20
        assert len({body["messages"][0]["content"] for body in recorder.streamed()}) == 20


if __name__ == "__main__":
    run_checks()
