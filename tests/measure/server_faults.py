"""Servers that fail: every fault is counted as what it is, and every run leaves a valid result.

    /usr/bin/python3 tests/measure/server_faults.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import collections
import json
import os
import signal
import subprocess

from support import Perwatt, Standin, check, codes, measure, near, prompts, run_checks, scratch, start, wait_for

FAST = ("--ttft", 0.01, "--itl", 0.004)
ANSWER = 8  # tokens
COUNT = 24


def with_settings(**settings):
    return ("--extra-body", json.dumps({"standin": settings}))


class Faulted:
    """COUNT requests whose answers all have the same fault, or as many as `share` says."""

    def __init__(self, server_flags=(), flags=(), **settings):
        with Standin(*FAST, *server_flags) as standin:
            # By schedule and without a warm-up, the window holds every request.
            self.run = start(standin.url, "--prompts", prompts(COUNT, ANSWER), "--request-count", COUNT,
                             "--request-rate", 200, "--concurrency", 4, "--warmup", "0s", *with_settings(**settings),
                             *flags).wait()
            self.served = standin.requests()
        assert self.run.out, self.run.err
        self.result = self.run.json  # whatever happened, the result is whole JSON
        self.records = self.run.records()
        self.outcomes = collections.Counter(record["outcome"] for record in self.records)
        self.counts = self.result["requests"]
        assert self.counts["sent"] == self.counts["ok"] + self.counts["failed"] + self.counts["cancelled"]
        assert sum(self.counts["failed_by_outcome"].values()) == self.counts["failed"]

    def all_fine(self):
        assert self.run.code == 0, self.run.err
        assert self.result["valid"], self.result["reasons"]
        assert self.outcomes == {"ok": COUNT} and self.counts["ok"] == COUNT, (self.outcomes, self.counts)
        assert {record["output_tokens"] for record in self.records} == {ANSWER}
        assert self.result["tokens"]["output"] == sum(one["output_tokens"] for one in self.served)
        assert self.result["tokens"]["input"] == sum(one["prompt_tokens"] for one in self.served)
        assert self.result["tokens"]["output_source"] == "usage"
        return self

    def all_failed(self, outcome, mentions="", status=200, tokens=None):
        """Nothing succeeded: the result says so, and the exit code too."""
        assert self.run.code == 4, f"exit {self.run.code}: {self.run.err}"
        assert set(self.outcomes) <= {outcome, "cancelled"} and self.outcomes[outcome] > 0, \
            (self.outcomes, self.records[0]["detail"])
        assert not self.result["valid"] and self.counts["ok"] == 0
        failed = [record for record in self.records if record["outcome"] == outcome]
        assert {record["http_status"] for record in failed} == {status}, failed[0]
        assert all(record["detail"] for record in failed) or not mentions
        assert mentions in failed[0]["detail"], failed[0]["detail"]
        if tokens is not None:
            assert {record["output_tokens"] for record in failed} == {tokens}, "tokens that were delivered cost energy"
        assert self.run.err.startswith("perwatt: ") and self.run.err.count("\n") == 1, self.run.err
        return self


# ---- what is no fault, however it looks

@check
def chunks_of_one_byte():
    Faulted(fault={"kind": "split", "bytes": 1}).all_fine()


@check
def chunks_of_seven_bytes():
    Faulted(fault={"kind": "split", "bytes": 7}).all_fine()


@check
def bytes_that_drip():
    Faulted(fault={"kind": "drip", "bytes": 60, "seconds": 0.001}).all_fine()


@check
def a_head_that_comes_byte_by_byte():
    Faulted(fault={"kind": "slow_head", "seconds": 0.002}).all_fine()


@check
def events_that_come_together():
    Faulted(fault={"kind": "coalesce", "tokens": 5}).all_fine()


@check
def an_event_of_a_hundred_kilobytes():
    Faulted(fault={"kind": "huge_event", "bytes": 100_000}).all_fine()


@check
def line_ends_of_windows():
    Faulted(wire={"crlf": True, "comment_every": 2, "data_blank": False}).all_fine()


@check
def every_style_of_server():
    for style in ("vllm", "llama", "sglang", "tgi"):
        Faulted(("--style", style)).all_fine()


@check
def reasoning_comes_before_the_answer():
    result = Faulted(wire={"reasoning_tokens": 4, "null_content": True}).all_fine().result
    assert result["ttfo_seconds"]["p50"] > result["ttft_seconds"]["p50"], "first answer and first content"


@check
def several_tokens_in_a_chunk():
    """Usage counts tokens where chunks would count a fourth of them."""
    faulted = Faulted(timing={"tokens_per_chunk": 4}).all_fine()
    assert {record["content_chunks"] for record in faulted.records} == {ANSWER // 4}


@check
def no_done_after_the_finish_reason():
    Faulted(wire={"done": False}).all_fine()


@check
def completions_instead_of_chat():
    Faulted(flags=("--endpoint-type", "completions")).all_fine()


# ---- what is told in the result

@check
def no_usage():
    faulted = Faulted(fault={"kind": "no_usage"})
    assert faulted.run.code == 0 and faulted.outcomes == {"ok": COUNT}, faulted.run.err
    tokens = faulted.result["tokens"]
    assert tokens["output_source"] == "chunks" and not tokens["input_known"], tokens
    assert tokens["output"] == COUNT * ANSWER and "no_usage" in codes(faulted.result)


@check
def usage_that_is_wrong():
    """A server that claims more tokens than it sent flatters itself: the result must not take it in silence."""
    faulted = Faulted(fault={"kind": "wrong_usage", "tokens": 7 * ANSWER})
    assert faulted.run.code == 0, faulted.run.err
    sent = sum(one["output_tokens"] for one in faulted.served)
    claimed = faulted.result["tokens"]["output"]
    assert claimed == sent or codes(faulted.result), f"{claimed} tokens claimed, {sent} sent, and no reason"


@check
def a_share_of_failures_is_counted_apart():
    faulted = Faulted(fault={"kind": "status", "status": 503, "share": 0.3})
    assert faulted.run.code == 0, faulted.run.err
    refused = sum(one["status"] == 503 for one in faulted.served)
    assert 0 < refused < COUNT and faulted.counts["failed_by_outcome"] == {"http_error": refused}
    assert faulted.result["tokens"]["output"] == ANSWER * (COUNT - refused)
    assert faulted.result["e2e_seconds"]["count"] == COUNT - refused, "latencies of failures"
    assert "failed_requests" in codes(faulted.result)


# ---- faults

def status_check(status):
    Faulted(fault={"kind": "status", "status": status, "retry_after_seconds": 1}).all_failed(
        "http_error", status=status)


for _status in (400, 429, 500, 503):
    def _check(status=_status):
        status_check(status)
    _check.__name__ = f"status_{_status}"
    check(_check)


@check
def prompts_beyond_the_context():
    Faulted(("--style", "llama"), fault={"kind": "exceed_context"}).all_failed("http_error", status=400,
                                                                               mentions="context")


@check
def connections_that_are_reset():
    Faulted(fault={"kind": "reset", "after_tokens": 3}).all_failed("truncated", tokens=3)


@check
def connections_that_close_early():
    Faulted(fault={"kind": "close", "after_tokens": 3}).all_failed("truncated", tokens=3)


@check
def bodies_without_an_end():
    Faulted(fault={"kind": "no_done", "after_tokens": 3}).all_failed("truncated", "[DONE]")


@check
def chunks_that_are_cut():
    Faulted(fault={"kind": "truncated_chunk", "after_tokens": 3}).all_failed("truncated")


@check
def chunk_sizes_that_are_no_number():
    Faulted(fault={"kind": "bad_chunk_size", "after_tokens": 3}).all_failed("malformed", tokens=3)


@check
def lines_that_are_no_field():
    """The standard of event streams has such lines ignored: the answer is whole."""
    Faulted(fault={"kind": "malformed_sse", "after_tokens": 3}).all_fine()


@check
def events_that_are_no_json():
    Faulted(fault={"kind": "malformed_json", "after_tokens": 3}).all_failed("malformed")


@check
def error_objects_in_the_stream():
    Faulted(fault={"kind": "error_event", "after_tokens": 3}).all_failed("server_error", tokens=3)


@check
def answers_without_content():
    Faulted(fault={"kind": "empty_content"}).all_failed("empty")


@check
def silence_before_the_head():
    Faulted(fault={"kind": "stall_head"}, flags=("--timeout", "300ms")).all_failed("timed_out", status=0)


@check
def silence_in_the_stream():
    Faulted(fault={"kind": "stall", "after_tokens": 3}, flags=("--timeout", "300ms")).all_failed("timed_out", tokens=3)


@check
def a_stall_shows_as_a_gap_and_not_as_speed():
    faulted = Faulted(fault={"kind": "stall", "after_tokens": 3, "seconds": 0.5})
    assert faulted.outcomes == {"ok": COUNT} and faulted.result["valid"], faulted.outcomes
    assert all(record["longest_gap_seconds"] >= 0.45 for record in faulted.records)
    assert faulted.result["tpot_seconds"]["p50"] >= 0.5 / ANSWER


@check
def answers_that_never_end_are_cancelled_after_the_drain():
    with Standin(*FAST) as standin:
        run = measure(standin.url, "--prompts", prompts(400, ANSWER), "--request-rate", 30, "--duration", "2s",
                      "--warmup", "0s", "--drain", "500ms",
                      *with_settings(fault={"kind": "stall", "after_tokens": 2, "share": 0.2}))
        counts = run.json["requests"]
        stalled = sum(one["outcome"] == "cancelled" for one in standin.requests())
        assert counts["cancelled"] == stalled > 0 and counts["ok"] > 0, (counts, stalled)
        assert "unfinished_requests" in codes(run.json) and run.json["end"] == "complete"
        assert not run.json["valid"], "latencies without their longest ones"


# ---- keys

KEY = "sk-tests-0123456789"


@check
def a_key_that_is_refused():
    with Standin(*FAST, "--api-key", KEY) as standin:
        run = measure(standin.url, "--duration", "2s", expect=4)
        assert "--api-key-env" in run.err and run.out == "", run.err
        run = measure(standin.url, "--duration", "2s", expect=4, env={"OPENAI_API_KEY": KEY + "x"})
        assert KEY not in run.err, "a key in a message"


@check
def a_key_that_goes_bad_under_way():
    """Only requests are refused here: /v1/models answers without a key."""
    with Standin(*FAST, "--api-key", KEY) as standin:
        run = start(standin.url, "--prompts", prompts(COUNT), "--model", "standin-model", "--concurrency", 2,
                    env={"OPENAI_API_KEY": "wrong"}).wait()
        assert run.code == 4 and "--api-key-env" in run.err, run.err
        assert {record["http_status"] for record in run.records()} == {401}


@check
def the_key_is_sent_and_never_printed():
    for variable, flags in (("OPENAI_API_KEY", ()), ("MY_KEY", ("--api-key-env", "MY_KEY"))):
        with Standin(*FAST, "--api-key", KEY) as standin:
            run = measure(standin.url, "--concurrency", 2, "--duration", "1s", "--isl", 20, "--osl", 4, *flags,
                          env={variable: KEY})
            assert standin.truth()["per_key"][KEY]["output_tokens"] >= run.json["tokens"]["output"] > 0
            files = [file.read_text() for file in run.folder.rglob("*") if file.is_file()]
            assert files and all(KEY not in text for text in [run.out, run.err, *files])


# ---- TLS

@check
def certificates_are_verified():
    folder = scratch()
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    short = ("--concurrency", 2, "--duration", "1s", "--isl", 20, "--osl", 4)
    with Standin(*FAST, "--tls-cert", cert, "--tls-key", key) as standin:
        url = standin.url.replace("http://", "https://")
        run = measure(url, *short, expect=4)
        assert run.out == "" and "certificate" in run.err and "--ca-file" in run.err, run.err
        # No probe and no list of models stands before these requests: the load itself verifies too.
        run = start(url, *short, "--ca-file", "/etc/ssl/certs/ca-certificates.crt").wait()
        assert run.code == 4, (run.code, run.err)
        for flags in (("--ca-file", cert), ("--insecure",)):
            result = measure(url, *short, *flags).json
            assert result["valid"] and result["requests"]["ok"] > 0, result["reasons"]


# ---- ends before the end

LONG = ("--concurrency", 4, "--isl", 30, "--osl", 20, "--duration", "40s", "--warmup", "0s")


def under_load(standin):
    wait_for(lambda: standin.truth()["requests"]["completed"] > 12, "a dozen answers")


@check
def the_server_is_killed():
    with Standin(*FAST) as standin, Standin("--gpus", 1) as node:
        run = start(standin.url, *LONG, "--power", node.power())
        under_load(standin)
        standin.kill()
        run.wait()
        assert run.code == 4, (run.code, run.err)
        result = run.json
        assert result["end"] == "server_lost" and not result["valid"] and "server_lost" in codes(result)
        # The first answer of each user is before the window.
        assert result["requests"]["ok"] >= 8 and result["tokens"]["output"] > 0
        assert result["window_seconds"] < 40 and run.records()
        assert "partial" in run.err


@check
def the_server_never_was():
    standin = Standin()
    with standin:
        standin.kill()
        standin.process.wait(10)
    run = measure(standin.url, "--duration", "1s", expect=4)
    assert standin.url.split("//")[1] in run.err and run.out == "", run.err


def interrupted(number):
    with Standin(*FAST, "--gpus", 2) as standin:
        run = start(standin.url, *LONG, "--power", standin.power())
        under_load(standin)
        run.process.send_signal(number)
        run.wait()
        assert run.code == 0, (run.code, run.err)
        result = run.json
        assert result["end"] == "interrupted" and not result["valid"] and "interrupted" in codes(result)
        assert result["requests"]["ok"] >= 8 and result["window_seconds"] < 40
        assert len(run.records()) >= result["requests"]["ok"]
        # The energy of the part that ran is that part's.
        if result["power_valid"]:
            begin = run.window(0)[0]
            truth = standin.truth((begin, begin + result["window_seconds"]))["window"]
            near(result["energy_joules"]["total"], truth["gpu_joules"], 0.05, "energy of the part")


@check
def the_user_interrupts():
    interrupted(signal.SIGINT)


@check
def the_system_terminates():
    interrupted(signal.SIGTERM)


@check
def the_user_interrupts_while_idle_is_measured():
    with Standin(*FAST) as standin:
        run = start(standin.url, *LONG, "--power", standin.power(), "--idle", "50s")
        wait_for(lambda: len(os.listdir(f"/proc/{run.process.pid}/task")) > 1, "the thread that reads the meters")
        assert standin.truth()["requests"]["received"] == 0, "a probe before idle was measured"
        ended_before_the_first_run(run)


@check
def the_user_interrupts_while_the_server_is_asked_first():
    with Standin("--ttft", 500) as standin:
        run = start(standin.url, *LONG)
        wait_for(lambda: standin.truth()["requests"]["received"] >= 1, "the first probe")
        ended_before_the_first_run(run)


def ended_before_the_first_run(run):
    run.process.send_signal(signal.SIGINT)
    run.wait()
    assert run.code == 0, (run.code, run.err)
    assert "interrupted" in run.out and json.loads(run.out), "the partial result is labelled: " + run.out


@check
def the_output_cannot_be_written():
    """A file stands where the folder should be."""
    with Standin(*FAST) as standin:
        blocked = scratch() / "blocked"
        blocked.write_text("a file")
        run = measure(standin.url, "--concurrency", 2, "--duration", "1s", "--isl", 20, "--osl", 4, "--output",
                      blocked / "folder", expect=4)
        assert run.json["end"] == "output_failed" and "output_failed" in codes(run.json)
        assert run.json["tokens"]["output"] > 0 and str(blocked) in run.err, run.err


@check
def the_disk_is_full():
    """Files may not grow beyond 2 kB: what a full disk is to the program."""
    with Standin(*FAST) as standin:
        run = measure(standin.url, "--concurrency", 2, "--duration", "1s", "--warmup", "100ms", "--isl", 20, "--osl", 4,
                      expect=4, most_file_bytes=2000)
        assert run.json["end"] == "output_failed" and "output_failed" in codes(run.json)
        assert run.json["tokens"]["output"] > 0 and str(run.folder) in run.err, run.err


@check
def standard_output_is_full():
    with Standin(*FAST) as standin, open("/dev/full", "wb") as full:
        folder = scratch()
        command = [Perwatt.binary, "measure", standin.url, "--json", "--concurrency", "2",
                   "--duration", "1s", "--isl", "20", "--osl", "4", "--output", str(folder)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.returncode == 4 and "standard output" in done.stderr or "space" in done.stderr, done.stderr
        assert json.loads((folder / "measurement.json").read_text())["end"] == "complete"


if __name__ == "__main__":
    run_checks()
