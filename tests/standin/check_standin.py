"""Tests the stand-in server itself: what it says of itself is what a raw socket receives.

    /usr/bin/python3 tests/standin/check_standin.py --standin build/release/bin/standin_endpoint [NAME ...]

Times are only asserted as the server's own schedule kept by the server's own clock, never as wall time.
"""
import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.error

from standin_checks import FAST, Standin, chat, check, exchange, in_parallel, run_checks, with_fault


@check
def truth_is_what_a_socket_received():
    with Standin(*FAST) as standin:
        styles = ["vllm", "llama", "sglang", "tgi"]
        answers = in_parallel(40, lambda i: exchange(standin, chat(
            f"prompt number {i}", osl=5 + i, standin={"wire": {"style": styles[i % 4]},
                                                      "timing": {"tokens_per_chunk": 1 + i % 3}})))
        truth = standin.truth()
        assert all(answer.end == "whole" for answer in answers)
        assert [answer.words() for answer in answers] == [5 + i for i in range(40)]
        assert [answer.usage()["completion_tokens"] for answer in answers] == [5 + i for i in range(40)]
        assert truth["output_tokens"] == sum(answer.words() for answer in answers)
        assert truth["prompt_tokens"] == sum(answer.usage()["prompt_tokens"] for answer in answers)
        assert truth["present"]["output_tokens"] == truth["output_tokens"]
        assert truth["requests"]["completed"] == 40 and truth["running"] == 0


@check
def tokens_keep_their_schedule():
    with Standin("--ttft", 0.05, "--itl", 0.01) as standin:
        answers = in_parallel(20, lambda i: exchange(standin, chat(f"{i}", osl=101)))
        assert all(answer.words() == 101 for answer in answers)
        late = standin.truth()["late_seconds"]["max"]
        for record in standin.requests():
            first = record["first_monotonic_seconds"] - record["admitted_monotonic_seconds"]
            spread = record["last_monotonic_seconds"] - record["first_monotonic_seconds"]
            # Never early, and late by no more than the server knows of; no drift over 100 gaps.
            assert 0.05 <= first <= 0.05 + late + 1e-3, first
            assert 1.0 - late <= spread <= 1.0 + late, spread


@check
def gaps_grow_with_the_batch():
    with Standin("--ttft", 1.0, "--itl", 0.001, "--itl-per-request", 0.002) as standin:
        exchange(standin, chat(osl=50))
        in_parallel(8, lambda i: exchange(standin, chat(f"{i}", osl=50)))  # all in their slots before any token
        late = standin.truth()["late_seconds"]["max"]
        alone, *crowd = [r["last_monotonic_seconds"] - r["first_monotonic_seconds"] for r in standin.requests()]
        assert 49 * 0.003 - late <= alone <= 49 * 0.003 + late
        # The start and the end of a crowd are thinner than its middle.
        assert all(0.5 * 49 * 0.017 <= spread <= 49 * 0.017 + late for spread in crowd), crowd


@check
def slots_queue():
    with Standin("--ttft", 0.2, "--itl", 0.001, "--slots", 2) as standin:
        in_parallel(8, lambda i: exchange(standin, chat(f"{i}", osl=20)))
        records = sorted(standin.requests(), key=lambda r: r["arrived_monotonic_seconds"])
        assert standin.truth()["most_running"] == 2
        admitted = [r["admitted_monotonic_seconds"] for r in records]
        ended = sorted(r["ended_monotonic_seconds"] for r in records)
        assert admitted == sorted(admitted)
        # The n-th of them came in only when n - 2 had ended.
        assert all(admitted[n] >= ended[n - 2] - 1e-3 for n in range(2, 8)), (admitted, ended)


@check
def prefix_cache_finds_repeated_prompts():
    with Standin(*FAST) as standin:
        long = " ".join(f"w{i}" for i in range(100))
        cached = [exchange(standin, chat(prompt)).usage()["prompt_tokens_details"]["cached_tokens"]
                  for prompt in (long, long, "other " + long, long + " and a new end")]
        assert cached == [0, 96, 0, 96], cached
        off = exchange(standin, chat(long, cache_prompt=False)).usage()
        assert off["prompt_tokens_details"]["cached_tokens"] == 0
        assert standin.truth()["present"]["cached_tokens"] == 192


@check
def prefill_takes_time_and_energy_for_new_tokens_only():
    with Standin("--ttft", 0.0, "--prefill-per-token", 0.001, "--itl", 0.001, "--idle-watts", 0,
                 "--joules-per-prompt-token", 0.5) as standin:
        long = " ".join(f"w{i}" for i in range(196))
        exchange(standin, chat(long, osl=1))
        assert standin.truth()["present"]["gpu_joules"] == 100.0
        exchange(standin, chat(long, osl=1))
        assert standin.truth()["present"]["gpu_joules"] == 104.0
        first, again = [r["first_monotonic_seconds"] - r["admitted_monotonic_seconds"] for r in standin.requests()]
        assert first >= 0.2 and again >= 0.008


@check
def tokenizer_agrees_with_usage():
    with Standin(*FAST) as standin:
        text = "Grüße, world: 12.5 + x_1!"
        llama = json.loads(exchange(standin, {"content": text}, "/tokenize").body)
        vllm = json.loads(exchange(standin, {"model": "m", "prompt": text}, "/tokenize").body)
        plain = json.loads(exchange(standin, {"model": "m", "prompt": text, "max_tokens": 2}, "/v1/completions").body)
        assert len(llama["tokens"]) == vllm["count"] == plain["usage"]["prompt_tokens"] == 10, llama
        assert len(plain["choices"][0]["text"].split()) == 2
        messages = {"model": "m", "messages": chat(text)["messages"]}
        assert json.loads(exchange(standin, messages, "/tokenize").body)["count"] == 14


@check
def whole_answers_without_stream():
    with Standin(*FAST) as standin:
        answer = json.loads(exchange(standin, chat(stream=False, osl=12)).body)
        assert answer["usage"]["completion_tokens"] == 12
        assert len(answer["choices"][0]["message"]["content"].split()) == 12
        same = [json.loads(exchange(standin, chat(stream=False, temperature=0)).body)["choices"] for _ in range(2)]
        assert same[0] == same[1]
        for body, status in ((b"{", 400), (b"{}", 400), (b'{"\xff\xfe', 400), (b'"', 400), (json.dumps(chat(osl=0)).encode(), 400)):
            assert exchange(standin, body).status == status


@check
def answers_that_can_be_scored():
    with Standin(*FAST, "--script", '{"limits":{"correct_share":0.5}}') as standin:
        texts = [json.loads(exchange(standin, chat(f"{i} answer=forty", stream=False)).body)["choices"][0]["message"]
                 ["content"] for i in range(60)]
        assert set(texts) == {"forty", "not-forty"} and 15 <= texts.count("forty") <= 45


@check
def styles_look_like_their_servers():
    with Standin(*FAST) as standin:
        def of(style, **wire):
            return exchange(standin, chat(osl=6, standin={"wire": {"style": style, **wire}}))
        first = of("llama").events()[0]["choices"][0]["delta"]
        assert first == {"role": "assistant", "content": None}
        assert of("llama").events()[-1]["choices"] == [] and "timings" in of("llama").events()[-1]
        assert of("llama").events()[-2]["choices"][0] == {"finish_reason": "length", "index": 0, "delta": {}}
        assert of("vllm").events()[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert of("vllm").data()[-1] == "[DONE]" and of("vllm", done=False).data()[-1] != "[DONE]"
        assert of("tgi").body.startswith(b"data:{") and of("vllm").body.startswith(b"data: {")
        assert all(event["usage"] is None for event in of("sglang").events()[:-1])
        assert b"}\r\n\r\ndata" in of("vllm", crlf=True).body
        assert of("vllm", comment_every=2).body.count(b": ping") == 5
        thinking = [e["choices"][0]["delta"] for e in of("vllm", reasoning_tokens=2,
                                                         reasoning_field="reasoning").events()[1:7]]
        assert ["reasoning" in delta for delta in thinking] == [True, True, False, False, False, False]
        assert "usage" not in exchange(standin, chat(stream_options=None)).events()[-1]
        running = exchange(standin, chat(osl=4, stream_options={"include_usage": True,
                                                                "continuous_usage_stats": True})).events()
        assert [e["usage"]["completion_tokens"] for e in running if e.get("usage")] == [1, 2, 3, 4, 4]
        stamps = [e["standin_sent"] for e in of("vllm", stamp=True).events() if "standin_sent" in e]
        assert len(stamps) == 6 and stamps == sorted(stamps)


@check
def faults_that_end_a_stream():
    with Standin(*FAST) as standin:
        for kind, ends in (("reset", {"reset"}), ("close", {"closed"}), ("truncated_chunk", {"closed"}),
                           ("bad_chunk_size", {"bad chunk size"}), ("no_done", {"whole"}),
                           ("error_event", {"whole"})):
            answer = exchange(standin, with_fault(kind=kind, after_tokens=3))
            assert answer.end in ends, (kind, answer.end)
            if kind not in ("reset", "error_event"):  # a reset may take bytes with it that were sent before
                assert answer.data()[-1] != "[DONE]"
                # The truncated event ends before its text.
                assert sum('"content":" ' in data for data in answer.data()) == 3, kind
            if kind == "error_event":
                assert "error" in answer.events()[-1]
        truth = standin.truth()
        assert truth["requests"]["faulted"] == 6 and truth["output_tokens"] == 18, truth


@check
def faults_inside_a_stream():
    with Standin(*FAST) as standin:
        broken = exchange(standin, with_fault(kind="malformed_json"))
        assert broken.end == "whole" and sum(not data.endswith("}") for data in broken.data()) >= 1
        try:
            broken.events()
            raise AssertionError("all of its events are JSON")
        except json.JSONDecodeError:
            pass
        assert b"\xff{not a field" in exchange(standin, with_fault(kind="malformed_sse")).body
        huge = exchange(standin, with_fault(kind="huge_event", bytes=3_000_000))
        assert huge.words() == 8 and len(huge.body) > 3_000_000
        assert exchange(standin, with_fault(kind="empty_content")).words() == 0
        assert exchange(standin, with_fault(kind="no_usage")).usage() is None
        by_header = exchange(standin, chat(), headers=['X-Standin: {"fault":{"kind":"no_usage"}}'])
        assert by_header.words() == 8 and by_header.usage() is None
        assert exchange(standin, with_fault(kind="wrong_usage", tokens=5)).usage()["completion_tokens"] == 13
        together = exchange(standin, with_fault(kind="coalesce", tokens=4))
        assert together.words() == 8 and together.chunks[0].count(b"data:") == 4
        split = exchange(standin, with_fault(kind="split", bytes=1))
        assert split.words() == 8 and {len(chunk) for chunk in split.chunks[:-1]} == {1}
        dripped = exchange(standin, with_fault(kind="drip", bytes=100, seconds=0.001))
        assert dripped.words() == 8 and dripped.end == "whole"
        slow = exchange(standin, with_fault(kind="slow_head", seconds=0.001))
        assert slow.words() == 8


@check
def faults_of_time():
    with Standin(*FAST) as standin:
        assert exchange(standin, with_fault(kind="stall_head"), patience=0.5).raw == b""
        assert exchange(standin, with_fault(kind="stall_head", seconds=0.3)).words() == 8
        silent = exchange(standin, with_fault(kind="stall", after_tokens=3), patience=0.5)
        assert silent.end == "silent" and silent.words() == 3
        stalled = exchange(standin, with_fault(kind="stall", after_tokens=3, seconds=0.4))
        assert stalled.words() == 8
        last = standin.requests()[-1]
        assert last["last_monotonic_seconds"] - last["first_monotonic_seconds"] >= 0.4
        for _ in range(100):  # a client that went away frees its slot
            if standin.truth()["running"] == 0:
                break
            time.sleep(0.05)
        assert standin.truth()["running"] == 0 and standin.truth()["requests"]["cancelled"] == 2


@check
def refusals():
    with Standin(*FAST, "--style", "llama", "--context", 50) as standin:
        busy = exchange(standin, with_fault(kind="status", status=429, retry_after_seconds=2))
        assert busy.status == 429 and "Retry-After: 2" in busy.head
        assert [exchange(standin, with_fault(kind="status", status=s)).status for s in (500, 503)] == [500, 503]
        long = exchange(standin, chat("w " * 60))
        error = json.loads(long.body)["error"]
        assert long.status == 400 and error["type"] == "exceed_context_size_error"
        assert (error["n_prompt_tokens"], error["n_ctx"]) == (64, 50)
        standin.script(limits={"strict_model": True})
        assert exchange(standin, chat(model="other")).status == 404
        assert standin.truth()["requests"]["refused"] == 5 and standin.truth()["output_tokens"] == 0


@check
def a_share_of_requests_is_hit():
    with Standin(*FAST, "--fault", '{"kind":"status","status":503,"share":0.3}') as standin:
        statuses = [exchange(standin, chat(f"{i}", osl=1)).status for i in range(200)]
        assert 40 <= statuses.count(503) <= 80, statuses.count(503)
        standin.script(faults=[{"kind": "status", "status": 500, "most": 3}])
        assert [exchange(standin, chat(osl=1)).status for _ in range(5)] == [500, 500, 500, 200, 200]


@check
def keys_are_asked_for_and_counted():
    with Standin(*FAST, "--api-key", "red", "--api-key", "blue") as standin:
        assert exchange(standin, chat()).status == 401
        assert exchange(standin, chat(), headers=["Authorization: Bearer green"]).status == 401
        assert exchange(standin, chat(), headers=["Authorization: Bearer \u00ff"]).status == 401
        for key, count in (("red", 2), ("blue", 3)):
            for _ in range(count):
                assert exchange(standin, chat(), headers=[f"Authorization: Bearer {key}"]).words() == 8
        per_key = standin.truth()["per_key"]
        assert per_key["red"]["output_tokens"] == 16 and per_key["blue"]["output_tokens"] == 24


@check
def a_script_with_a_mistake_changes_nothing():
    with Standin(*FAST) as standin:
        for script in ({"timing": {"ttft_seconds": 9, "no_such": 1}}, {"faults": [{"kind": "no_such"}]},
                       {"exporter": {"flavour": "no_such"}}, {"timing": {"itl_seconds": "soon"}}):
            try:
                standin.script(**script)
                raise AssertionError(f"accepted {script}")
            except urllib.error.HTTPError as refusal:
                assert refusal.code == 400
        assert exchange(standin, chat(), patience=5).words() == 8


@check
def tls_with_a_given_certificate():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        with Standin(*FAST, "--tls-cert", cert, "--tls-key", key) as standin:
            context = ssl.create_default_context(cafile=cert)
            answers = in_parallel(8, lambda i: exchange(standin, chat(f"{i}", osl=30), context=context))
            assert [answer.words() for answer in answers] == [30] * 8
            assert exchange(standin, with_fault(kind="huge_event", bytes=2_000_000), context=context).words() == 8


run_checks()
