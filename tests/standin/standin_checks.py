"""A stand-in to test and a raw socket to test it with; the runner of the checks."""
import argparse
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Standin:
    binary = ""

    def __init__(self, *flags):
        self.flags = [str(flag) for flag in flags]

    def __enter__(self):
        self.process = subprocess.Popen([self.binary, *self.flags], stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.port, self.exporter_port = self.ports["port"], self.ports["exporter_port"]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0

    def get(self, path):
        """From the telemetry port: (status, text). Without a connection or a whole body: an OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.exporter_port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def truth(self, query=""):
        return json.loads(self.get("/standin/truth" + query)[1])

    def requests(self):
        return json.loads(self.get("/standin/requests")[1])

    def script(self, **script):
        request = urllib.request.Request(f"http://127.0.0.1:{self.exporter_port}/standin/script",
                                         json.dumps(script).encode())
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200


class Answer:
    """One HTTP answer, taken apart by hand. `end` is "whole", "closed" or "reset"."""

    def __init__(self):
        self.head, self.body, self.chunks, self.end, self.raw = "", b"", [], "", b""

    @property
    def status(self):
        return int(self.head.split(" ", 2)[1])

    def data(self):
        return [line[5:].strip() for line in self.body.decode(errors="replace").splitlines()
                if line.startswith("data:")]

    def events(self):
        return [json.loads(data) for data in self.data() if data != "[DONE]"]

    def words(self):
        return sum(len(event["choices"][0]["delta"].get(field, "").split())
                   for event in self.events() if event.get("choices")
                   for field in ("content", "reasoning_content", "reasoning")
                   if event["choices"][0]["delta"].get(field))

    def usage(self):
        return next((event["usage"] for event in self.events()[::-1] if event.get("usage")), None)


def take_chunked(answer, rest, more):
    """Reads a chunked body; leaves `answer.end` as the peer ended it."""
    while True:
        while b"\r\n" not in rest:
            rest = more(rest)
            if rest is None:
                return
        size_line, rest = rest.split(b"\r\n", 1)
        try:
            size = int(size_line, 16)
        except ValueError:
            answer.end = "bad chunk size"
            return
        while len(rest) < size + 2:
            longer = more(rest)
            if longer is None:
                answer.body += rest[:size]
                return
            rest = longer
        answer.body += rest[:size]
        answer.chunks.append(rest[:size])
        rest = rest[size + 2:]
        if size == 0:
            answer.end = "whole"
            return


def exchange(standin, payload, path="/v1/chat/completions", headers=(), patience=20, context=None):
    answer = Answer()
    with socket.create_connection(("127.0.0.1", standin.port), timeout=patience) as plain:
        peer = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        body = json.dumps(payload).encode() if not isinstance(payload, bytes) else payload
        lines = [f"POST {path} HTTP/1.1", "Host: standin", f"Content-Length: {len(body)}", *headers]
        peer.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

        def more(rest):
            try:
                got = peer.recv(65536)
            except ConnectionResetError:
                answer.end = "reset"
                return None
            except socket.timeout:
                answer.end = "silent"
                return None
            answer.raw += got
            if not got:
                answer.end = "closed"
                return None
            return rest + got

        rest = b""
        while b"\r\n\r\n" not in rest:
            rest = more(rest)
            if rest is None:
                return answer
        head, rest = rest.split(b"\r\n\r\n", 1)
        answer.head = head.decode()
        length = [line for line in answer.head.splitlines() if line.lower().startswith("content-length:")]
        if not length:
            take_chunked(answer, rest, more)
            return answer
        while rest is not None and len(rest) < int(length[0].split(":")[1]):
            rest = more(rest)
        answer.body, answer.end = (rest or b""), answer.end or "whole"
        return answer


def chat(prompt="say something", osl=8, **more):
    payload = {"model": "standin-model", "stream": True, "stream_options": {"include_usage": True},
               "max_tokens": osl, "ignore_eos": True, "messages": [{"role": "user", "content": prompt}]}
    payload.update(more)
    return payload


def with_fault(osl=8, **fault):
    return chat(osl=osl, standin={"fault": fault})


def in_parallel(count, function):
    answers = [None] * count

    def one(i):
        answers[i] = function(i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


FAST = ("--ttft", 0.005, "--itl", 0.002)


def run_checks():
    parser = argparse.ArgumentParser()
    parser.add_argument("--standin", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    Standin.binary = args.standin
    chosen = [function for function in CHECKS if not args.names or function.__name__ in args.names]
    assert chosen, f"none of {[function.__name__ for function in CHECKS]}"
    failed = 0
    for function in chosen:
        try:
            function()
            print("ok  ", function.__name__)
        except Exception as problem:  # each check reports; the process fails at the end
            failed += 1
            where = problem.__traceback__
            while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == function.__code__.co_filename:
                where = where.tb_next
            print("FAIL", function.__name__, f"line {where.tb_lineno}:", repr(problem))
    sys.exit(1 if failed else 0)
