"""Every bad flag is refused before anything is sent: exit 2, with the flag's name and what to write instead.

    /usr/bin/python3 tests/measure/flags.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import concurrent.futures
import subprocess

from support import Perwatt, Standin, check, measure, run_checks, write

# (flags, what the message names)
BAD = [
    (("--request-rate", "0"), "--request-rate"),
    (("--request-rate", "-3"), "--request-rate"),
    (("--request-rate", "fast"), "--request-rate"),
    (("--request-rate", "10ms"), "--request-rate"),
    (("--request-rate", "nan"), "--request-rate"),
    (("--request-rate", "inf"), "--request-rate"),
    (("--request-rate", "5", "--arrival-pattern", "uniform"), "--arrival-pattern"),
    (("--request-rate", "5", "--arrival-pattern", "gamma", "--burstiness", "0"), "--burstiness"),
    (("--request-rate", "5", "--arrival-pattern", "gamma", "--burstiness", "-1"), "--burstiness"),
    (("--request-rate", "5", "--arrival-pattern", "gamma", "--burstiness", "nan"), "--burstiness"),
    (("--request-rate", "5", "--arrival-pattern", "burst", "--burst-size", "0"), "--burst-size"),
    (("--request-rate", "5", "--rate-ramp", "1:30s"), "--rate-ramp"),
    (("--request-rate", "5", "--rate-ramp", "cubic:1:30s"), "--rate-ramp"),
    (("--request-rate", "5", "--rate-ramp", "linear:x:30s"), "--rate-ramp"),
    (("--request-rate", "5", "--rate-ramp", "linear:1:30"), "--rate-ramp"),
    (("--request-rate", "5", "--rate-ramp", "linear:1:0s"), "--rate-ramp"),
    (("--request-rate", "5", "--rate-ramp", "exponential:0:10s"), "--rate-ramp"),
    (("--rate-ramp", "linear:1:30s"), "--rate-ramp"),
    (("--concurrency", "0"), "--concurrency"),
    (("--concurrency", "-1"), "--concurrency"),
    (("--concurrency", "2.5"), "--concurrency"),
    (("--concurrency", "many"), "--concurrency"),
    (("--concurrency-ramp", "5"), "--concurrency-ramp"),
    (("--concurrency-ramp", "-5s"), "--concurrency-ramp"),
    (("--request-count", "0"), "--request-count"),
    (("--request-count", "-4"), "--request-count"),
    (("--duration", "60"), "--duration"),
    (("--duration", "0s"), "--duration"),
    (("--duration", "-5s"), "--duration"),
    (("--duration", "nan"), "--duration"),
    (("--duration", "long"), "--duration"),
    (("--duration", "5W"), "--duration"),
    (("--warmup", "5"), "--warmup"),
    (("--warmup", "-5s"), "--warmup"),
    (("--drain", "-1s"), "--drain"),
    (("--drain", "x"), "--drain"),
    (("--seed", "-1"), "--seed"),
    (("--seed", "x"), "--seed"),
    (("--isl", "0"), "--isl"),
    (("--isl", "-7"), "--isl"),
    (("--isl", "1e9"), "--isl"),
    (("--isl", "20000000"), "--isl"),
    (("--isl-stddev", "-1"), "--isl-stddev"),
    (("--isl-stddev", "nan"), "--isl-stddev"),
    (("--osl", "0"), "--osl"),
    (("--osl-stddev", "-1"), "--osl-stddev"),
    (("--length-range", "0.5"), "--length-range"),
    (("--length-range", "1:0.5"), "--length-range"),
    (("--length-range", "0:1"), "--length-range"),
    (("--length-range", "a:b"), "--length-range"),
    (("--turns", "0"), "--turns"),
    (("--turns", "2", "--endpoint-type", "completions"), "--turns"),
    (("--turns", "2", "--turn-delay", "3"), "--turn-delay"),
    (("--turns", "2", "--turn-delay", "-3s"), "--turn-delay"),
    (("--trace-speed", "0"), "--trace-speed"),
    (("--trace-speed", "-1"), "--trace-speed"),
    (("--extra-body", "[1]"), "--extra-body"),
    (("--extra-body", "{"), "--extra-body"),
    (("--endpoint-type", "embeddings"), "--endpoint-type"),
    (("--header", "no colon"), "--header"),
    (("--header", ": no name"), "--header"),
    (("--header", "A: b\r\nC: d"), "--header"),
    (("--timeout", "10"), "--timeout"),
    (("--timeout", "0s"), "--timeout"),
    (("--timeout", "-1s"), "--timeout"),
    (("--power", "steam:http://127.0.0.1"), "--power"),
    (("--power", "dcgm:"), "--power"),
    (("--power", "dcgm:127.0.0.1:9400/metrics"), "--power"),
    (("--power", "json:http://127.0.0.1/x?kind=power&scope=node"), "--power"),
    (("--power", "json:http://127.0.0.1/x?path=/a&kind=power"), "--power"),
    (("--power", "json:http://127.0.0.1/x?path=/a&kind=heat&scope=node"), "--power"),
    (("--power", "csv:"), "--power"),
    (("--power", "nvml", "--power-period", "0s"), "--power-period"),
    (("--power", "nvml", "--power-period", "-1s"), "--power-period"),
    (("--power", "nvml", "--power-period", "5"), "--power-period"),
    (("--idle", "5s"), "--idle"),
    (("--power", "nvml", "--idle", "5"), "--idle"),
    (("--power", "nvml", "--idle", "-5s"), "--idle"),
    (("--gpus", "0"), "--gpus"),
    (("--gpus", "-2"), "--gpus"),
    (("--gpus", "two"), "--gpus"),
    (("--goodput", "ttft"), "--goodput"),
    (("--goodput", "ttft:200"), "--goodput"),
    (("--goodput", "ttft:-200ms"), "--goodput"),
    (("--goodput", "speed:20ms"), "--goodput"),
    (("--goodput", "ttft:200ms ttft:300ms"), "--goodput"),
    (("--goodput", "ttft:20W"), "--goodput"),
    (("--max-client-lag", "5"), "--max-client-lag"),
    (("--max-client-lag", "-5ms"), "--max-client-lag"),
    (("--runs", "0"), "--runs"),
    (("--runs", "1001"), "--runs"),
    (("--no-such-flag",), "--no-such-flag"),
    (("--trace", "t.csv", "--prompts", "p.jsonl"), "--trace"),
    (("--trace", "t.csv", "--request-rate", "3"), "--request-rate"),
    (("--sweep", "power:1..4"), "--sweep"),
    (("--sweep", "concurrency:4..1"), "--sweep"),
    (("--sweep", "concurrency:"), "--sweep"),
    (("--find-load", "concurrency:1..8"), "--goodput"),
    (("--find-load", "8", "--goodput", "ttft:1s"), "--find-load"),
    (("--phase-split",), "--phase-split"),
    (("--phase-split", "--osl", "20", "--request-rate", "4"), "--phase-split"),
    (("--attainment", "1"), "--attainment"),
    (("--sweep", "concurrency:1,2", "--power-caps", "300W"), "--allow-power-control"),
    (("--sweep", "concurrency:1,2", "--power-caps", "300", "--allow-power-control"), "--power-caps"),
    (("--max-pairs", "1"), "--max-pairs"),
    (("--smallest-effect", "1"), "--smallest-effect"),
    (("--api-key-env", "NO_SUCH_VARIABLE"), "--api-key-env"),
    # Without effect: what they speak of is not there.
    (("--arrival-pattern", "constant"), "--arrival-pattern"),
    (("--burstiness", "2"), "--burstiness"),
    (("--request-rate", "5", "--arrival-pattern", "constant", "--burstiness", "2"), "--burstiness"),
    (("--request-rate", "5", "--burst-size", "4"), "--burst-size"),
    (("--request-rate", "5", "--concurrency-ramp", "5s"), "--concurrency-ramp"),
    (("--prompts", "p.jsonl", "--isl", "8"), "--isl"),
    (("--prompts", "p.jsonl", "--turns", "2"), "--turns"),
    (("--prompts", "p.jsonl", "--tenant", "a"), "--tenant"),
    (("--prompts", "p.jsonl", "--length-range", "0.8:1"), "--length-range"),
    (("--trace", "t.csv", "--osl", "8"), "--osl"),
    (("--trace-speed", "2"), "--trace-speed"),
    (("--osl-stddev", "2"), "--osl-stddev"),
    (("--isl-stddev", "2", "--length-range", "0.8:1"), "--length-range"),
    (("--turn-delay", "2s"), "--turn-delay"),
    (("--power-period", "1s"), "--power-period"),
    (("--gpus", "2"), "--gpus"),
    (("--system", "dgx-h100"), "--system"),
    (("--sysfs-root", "/tmp"), "--sysfs-root"),
    (("--scorer", "cat"), "--scorer"),
    (("--chunk-times",), "--chunk-times"),
    (("--sweep", "concurrency:1,2", "--runs", "3"), "--runs"),
    (("--sweep", "concurrency:1,2", "--concurrency", "3"), "--concurrency"),
    (("--sweep", "rate:1,2", "--request-rate", "3"), "--request-rate"),
    (("--sweep", "concurrency:1,2", "--attainment", "0.9"), "--attainment"),
    (("--power-a", "nvml"), "--power-a"),
    (("--meter-gain", "0.1"), "--meter-gain"),
    (("--quality-margin", "0.1"), "--quality-margin"),
    (("--max-pairs", "4"), "--max-pairs"),
    (("--allow-power-control",), "--allow-power-control"),
    (("--precision", "fp8"), "--precision"),
]
# Modes without an endpoint of their own.
BAD_MODES = [
    (("--rescore", "r.json", "--concurrency", "4"), "--concurrency"),
    (("--rescore", "r.json", "--power", "nvml"), "--power"),
    (("--compare", "a", "b", "--duration", "4s"), "--duration"),
    (("--compare", "http://127.0.0.1:1", "b"), "--compare"),
    (("--compare", "http://127.0.0.1:1", "http://127.0.0.1:2", "--power", "nvml", "--append-points", "p.csv"),
     "--append-points"),
    (("--compare", "http://127.0.0.1:1", "http://127.0.0.1:2", "--power-a", "nvml:0", "--power-b", "nvml:1"),
     "--meter-gain"),
]
BAD_URLS = ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1:abc", "",
            "http://a b"]


def refusal(*arguments):
    """(exit, stdout, stderr). What is refused is refused at once: a program that still runs has taken the flag."""
    try:
        done = subprocess.run([Perwatt.binary, "measure", *arguments], capture_output=True, text=True, timeout=8,
                              check=False)
    except subprocess.TimeoutExpired:
        return "taken, and measured", "", ""
    return done.returncode, done.stdout, done.stderr


def problems_of(flags, names, *url):
    code, out, err = refusal(*url, *flags)
    problems = [] if code == 2 else [f"exit {code}"]
    if names not in err:
        problems.append(f"does not name {names}")
    if out:
        problems.append("prints to standard output")
    own = [line for line in err.splitlines() if line.startswith("perwatt: ")]
    if not (own and "; " in own[0]) and "--help" not in err:
        problems.append("has no remedy")
    return [f"{' '.join(flags)!r}: {', '.join(problems)}: {err.strip()!r}"] if problems else []


@check
def bad_flags():
    with Standin() as standin:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda bad: problems_of(*bad, standin.url), BAD)
            faults = [fault for problems in found for fault in problems]
        received = standin.truth()["requests"]["received"]
    assert received == 0 or faults, f"{received} requests were sent with flags that were refused"
    assert not faults, "\n      ".join(["", *faults])


@check
def bad_modes():
    faults = [fault for bad in BAD_MODES for fault in problems_of(*bad)]
    assert not faults, "\n      ".join(["", *faults])


@check
def a_wrong_source_costs_the_server_nothing():
    with Standin() as standin:
        code, _, err = refusal(standin.url, "--power", "steam:http://127.0.0.1")
        assert code == 2 and "--power" in err, (code, err)
        assert standin.truth()["requests"]["received"] == 0


@check
def bad_urls():
    faults = []
    for url in BAD_URLS:
        code, out, err = refusal(url)
        if code != 2 or out or not err:
            faults.append(f"{url!r}: exit {code}: {err.strip()!r}")
    assert not faults, "\n      ".join(["", *faults])


@check
def no_url():
    code, out, err = refusal()
    assert code == 2 and not out and "URL" in err, (code, err)


@check
def bad_files():
    """A file is input and no flag: exit 3, with the line."""
    cases = [("--prompts", "p.jsonl", "", "no prompt"), ("--prompts", "p.jsonl", "{\n", "p.jsonl:1"),
             ("--prompts", "p.jsonl", '{"prompt": "a"}\n{"prompt": 3}\n', "p.jsonl:2"),
             ("--prompts", "p.jsonl", '{"prompt": "a", "output_tokens": 0}\n', "p.jsonl:1"),
             ("--prompts", "p.jsonl", '{"text": "a"}\n', "p.jsonl:1"),
             ("--trace", "t.csv", "A,B\n1,2\n", "TIMESTAMP"),
             ("--trace", "t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\nnow,1,2\n", "t.csv:2"),
             ("--trace", "t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,-1,2\n", "t.csv:2"),
             ("--trace", "t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n", "no request"),
             ("--trace", "t.jsonl", '{"timestamp": 0, "input_length": 5}\n', "t.jsonl:1"),
             ("--trace", "t.jsonl", '{"timestamp": 0, "input_length": 1.5, "output_length": 3}\n', "t.jsonl:1")]
    with Standin() as standin:
        for flag, name, text, mention in cases:
            run = measure(standin.url, flag, write(name, text), "--duration", "1s", expect=3)
            assert mention in run.err and "; " in run.err and run.out == "", (text, run.err)
        secure = standin.url.replace("http:", "https:")
        for url, flag in ((standin.url, "--prompts"), (standin.url, "--trace"), (secure, "--ca-file")):
            run = measure(url, flag, "/no/such/file", "--duration", "1s", expect=3)
            assert "/no/such/file" in run.err and run.out == "", run.err


if __name__ == "__main__":
    run_checks()
