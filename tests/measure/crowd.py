"""Ten thousand streams from one client: all are read at their pace, none fails, and they cost little memory.

    /usr/bin/python3 tests/measure/crowd.py --perwatt PERWATT --standin STANDIN [NAME ...]

Where more open files are not allowed there are as many streams as may be. INSTRUMENTED in the environment says that
the binaries carry a sanitizer: a fifth of the streams then, at a tenth of the pace, and no bound of memory.
"""
import datetime
import os
import resource
import time

from support import Standin, check, run_checks, start

INSTRUMENTED = "INSTRUMENTED" in os.environ
STREAMS = min(2_000 if INSTRUMENTED else 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200)
INTERVAL_SECONDS = 2.0 if INSTRUMENTED else 0.2
ANSWER = 3 if INSTRUMENTED else 25  # tokens; about 5 s
WINDOW_SECONDS = 6
MOST_BYTES = 100e6


def peak_resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0  # it has ended


@check
def streams_keep_their_pace():
    with Standin("--ttft", INTERVAL_SECONDS, "--itl", INTERVAL_SECONDS) as standin:
        # They start apart: in step with one another all would have a token more or less in the window.
        run = start(standin.url, "--concurrency", STREAMS, "--concurrency-ramp", "3s", "--duration",
                    f"{WINDOW_SECONDS}s", "--isl", 16, "--osl", ANSWER)
        peak = 0
        while run.process.poll() is None:
            peak = max(peak, peak_resident_bytes(run.process.pid))
            time.sleep(0.2)
        run.wait()
        assert run.code == 0, run.err
        result, truth = run.json, standin.truth()
        counts = result["requests"]
        assert counts["failed"] == 0 and truth["most_running"] == STREAMS, (counts, truth["most_running"])
        begin = datetime.datetime.fromisoformat(result["window_start"]).timestamp() - run.wall_minus_monotonic
        end = begin + result["window_seconds"]
        sent = standin.truth((begin, end))["window"]["output_tokens"] / (end - begin)
        # Of the pace asked for, or of what the server came to where the machine had no more for it.
        pace = min(sent, STREAMS / INTERVAL_SECONDS)
        assert result["output_tokens_per_s"] >= 0.95 * pace, (result["output_tokens_per_s"], pace)
        assert INSTRUMENTED or 0 < peak < MOST_BYTES, f"{peak / 1e6:.0f} MB"


if __name__ == "__main__":
    run_checks()
