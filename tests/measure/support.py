"""A stand-in server to measure, perwatt measure to measure it, and the runner of the checks.

Every check starts what it needs and stops it by its process id. Nothing here asserts a wall time: the machine
may be busy, so that figures are compared with what the stand-in did in the very window.
"""
import argparse
import concurrent.futures
import http.server
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
from pathlib import Path

CHECKS = []
PATIENCE_SECONDS = 100  # for one run; a run that hangs is a failure


def check(function):
    CHECKS.append(function)
    return function


class Standin:
    """The stand-in's process. Times of `truth` are CLOCK_MONOTONIC seconds, which Python's time.monotonic shares."""
    binary = ""

    def __init__(self, *flags):
        self.process = subprocess.Popen([self.binary, *map(str, flags)], stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.url, self.exporter_url = self.ports["url"], self.ports["exporter_url"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()

    def kill(self):
        self.process.kill()

    def power(self, kind="dcgm"):
        return f"{kind}:{self.exporter_url}/metrics"

    def get(self, path):
        """From the server's port, which lives on where the exporter's is made to die."""
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.loads(answer.read())

    def truth(self, window=None):
        return self.get("/standin/truth" + ("?from=%.9f&to=%.9f" % window if window else ""))

    def requests(self):
        return self.get("/standin/requests")

    def script(self, **script):
        request = urllib.request.Request(self.url + "/standin/script", json.dumps(script).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200


class Run:
    """What one perwatt measure gave."""

    def __init__(self, process, folder):
        self.process, self.folder = process, folder
        self.code = self.out = self.err = None

    def wait(self):
        try:
            self.out, self.err = self.process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"perwatt still ran after {PATIENCE_SECONDS} s") from None
        self.code = self.process.returncode
        # Taken at once: the wall clock may be corrected later.
        self.wall_minus_monotonic = time.time() - time.monotonic()
        return self

    @property
    def json(self):
        return json.loads(self.out)

    def records(self):
        """requests.jsonl, with *_mono times on the stand-in's clock beside the file's own keys."""
        with open(self.folder / "requests.jsonl", encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        for record in records:
            record["intended_mono"] = record["unix_intended_seconds"] - self.wall_minus_monotonic
            sent = record["unix_sent_seconds"]
            record["sent_mono"] = None if sent is None else sent - self.wall_minus_monotonic
            for name in ("first_content", "last_content", "end"):
                after = record[name + "_seconds"]
                known = sent is not None and after is not None
                record[name + "_mono"] = record["sent_mono"] + after if known else None
        return records

    def window(self, warmup=0.0, first_offset=None):
        """(begin, end) of the measured window on the stand-in's clock. Open loop: the warm-up after the run began,
        and the first request was intended `first_offset` after that. Closed loop: the first moment after the warm-up
        at which every user's answer had begun."""
        result, records = self.json, self.records()
        if first_offset is not None:
            begin = records[0]["intended_mono"] - first_offset + warmup
            return begin, begin + result["window_seconds"]
        warm = min(record["intended_mono"] for record in records) + warmup
        begun = [(record["first_content_mono"], 1) for record in records if record["first_content_mono"]]
        ended = [(record["end_mono"], -1) for record in records if record["first_content_mono"]]
        answering = 0
        begin = None
        changes = sorted(begun + ended)
        for i, (at, by) in enumerate(changes):
            answering += by
            until = changes[i + 1][0] if i + 1 < len(changes) else at
            if answering >= result["load"]["concurrency"] and until > warm:
                begin = max(at, warm)
                break
        assert begin is not None, "never were all users answered at once"
        return begin, begin + result["window_seconds"]


SCRATCH = tempfile.TemporaryDirectory(prefix="perwatt-measure-")
_folders = 0
_folders_lock = threading.Lock()


def scratch():
    """A new folder that goes with the tests."""
    global _folders
    with _folders_lock:
        _folders += 1
        folder = Path(SCRATCH.name) / str(_folders)
    folder.mkdir()
    return folder


class Perwatt:
    binary = ""


def limit_files(most_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def start(url, *flags, env=None, output=True, lag="1min", most_file_bytes=None):
    """Starts perwatt measure. The bound of the client's own lag is wide: these checks run on busy machines."""
    folder = scratch()
    command = [Perwatt.binary, "measure", *([url] if url else []), "--json", *map(str, flags)]
    if output and "--output" not in command:
        command += ["--output", str(folder)]
    if lag:
        command += ["--max-client-lag", lag]
    surroundings = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    # Python ignores SIGXFSZ; where its child inherits that, a file that grows too large is a failed write.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=surroundings | (env or {}), restore_signals=most_file_bytes is None,
                               preexec_fn=(lambda: limit_files(most_file_bytes)) if most_file_bytes else None)
    return Run(process, folder)


def measure(url, *flags, expect=0, **more):
    run = start(url, *flags, **more).wait()
    assert run.code == expect, f"exit {run.code}, not {expect}: {run.err.strip() or run.out[-300:]}"
    return run


def codes(result):
    """The codes of a result's reasons: what stands before the first colon."""
    return {reason.split(":", 1)[0] for reason in result["reasons"]}


def near(value, true, ratio, what=""):
    assert value is not None and abs(value - true) <= ratio * abs(true), \
        f"{what} {value} is not within {100 * ratio:g} % of {true}"


def write(name, text):
    file = scratch() / name
    file.write_text(text, encoding="utf-8")
    return file


def prompts(count=40, output_tokens=8):
    """A file of prompts that differ. With it perwatt sends no probes, so that every request is one of the load."""
    lines = ({"prompt": f"prompt {i} of {count}: tell me about number {i * i}", "output_tokens": output_tokens}
             for i in range(count))
    return write("prompts.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def wait_for(condition, what):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("never came: " + what)


class Recorder:
    """A small server that keeps the head and the body of every request and answers each with its number."""

    def __enter__(self):
        self.bodies, self.heads, lock = [], [], threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, kind, text):
                data = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.answer("application/json", json.dumps({"data": [{"id": "recorded"}]}))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(recorder.bodies)
                    recorder.bodies.append(body)
                    recorder.heads.append(dict(self.headers.items()))
                words = len(json.dumps(body.get("messages", body.get("prompt", ""))).split())
                usage = {"prompt_tokens": words, "completion_tokens": 1, "total_tokens": words + 1}
                if not body.get("stream"):
                    self.answer("application/json", json.dumps({"choices": [], "usage": usage}))
                    return
                text = f"answer-{number}"
                events = [{"choices": [{"index": 0, "delta": {"content": text}, "text": text}]},
                          {"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]},
                          {"choices": [], "usage": usage}]
                self.answer("text/event-stream",
                            "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def streamed(self):
        return [body for body in self.bodies if body.get("stream")]


def run_checks():
    parser = argparse.ArgumentParser()
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--standin", required=True)
    parser.add_argument("--at-once", type=int, default=6, help="checks that run at the same time")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    Standin.binary, Perwatt.binary = args.standin, args.perwatt
    chosen = [function for function in CHECKS if not args.names or function.__name__ in args.names]
    assert chosen, f"none of {[function.__name__ for function in CHECKS]}"
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.at_once) as pool:
        for function, future in [(function, pool.submit(function)) for function in chosen]:
            problem = future.exception()
            print("FAIL" if problem else "ok  ", function.__name__, flush=True)
            if problem:
                failed += 1
                lines = [f"line {frame.lineno}" for frame in traceback.extract_tb(problem.__traceback__)
                         if frame.filename != __file__ and "concurrent" not in frame.filename]
                text = str(problem) if isinstance(problem, AssertionError) else repr(problem)
                print("     ", ", ".join(lines) + ":", text, flush=True)
    SCRATCH.cleanup()
    sys.exit(1 if failed else 0)
