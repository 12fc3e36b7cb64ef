"""What perwatt measure costs and how right it is, beside a minimal aiohttp client, against the same stand-in server.

    /usr/bin/python3 bench/measure_bench.py --perwatt build/release/bin/perwatt \\
        --standin build/release/bin/standin_endpoint [--only cost,crowd,pace,cap] [--seconds 10]

The server runs on one core, the client on another. Each line is a ratio or a figure with its goal; nothing is
asserted. CPU of perwatt is the whole process; CPU of the peer is its loop alone. A crowded machine shows first in
"server late p99": where that is not small, the server itself was the limit and the line says little.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import urllib.request

CLIENT_CORE, SERVER_CORE = 1, 0
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "measure_peer.py")


class Server:
    """A stand-in on its own core, for the length of a with block."""

    def __init__(self, binary, *flags):
        self.command = ["taskset", "-c", str(SERVER_CORE), binary, *flags]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        urllib.request.urlopen(request).read()

    def ttft_p50(self):
        """From the last byte of the request to the first token, by the server's clock."""
        times = sorted(r["first_monotonic_seconds"] - r["arrived_monotonic_seconds"]
                       for r in self.get("/standin/requests") if r["first_monotonic_seconds"])
        return times[len(times) // 2]


def client(command):
    """Runs a client on its core; its JSON, its CPU seconds and its largest resident set."""
    process = subprocess.Popen(["taskset", "-c", str(CLIENT_CORE), *command], stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"measure_bench: exit {process.returncode} of {' '.join(command)}")
    return json.loads(output), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(args, server, *flags):
    return client([args.perwatt, "measure", server.url, "--model", "standin-model", "--json", *map(str, flags)])


def ms(seconds):
    return f"{seconds * 1e3:.2f} ms"


def line(what, figure, goal):
    print(f"  {what:<52} {figure:>16}   {goal}", flush=True)


def bench_cost(args):
    """400 streams x 50 tok/s."""
    streams, osl, flags = 400, 64, ["--ttft", "0.05", "--itl", "0.02", "--script", '{"wire":{"stamp":true}}']
    load = ["--concurrency", streams, "--duration", args.seconds, "--isl", 64, "--osl", osl]
    with Server(args.standin, *flags) as server:
        peer, _, _ = client([args.python, PEER, server.url, *map(str, load)])
        peer_true, peer_late = server.ttft_p50(), server.get("/standin/truth")["late_seconds"]["p99"]
    load[3] = f"{args.seconds}s"
    with Server(args.standin, *flags) as server:
        ours, cpu, _ = measure(args, server, *load)
        truth = server.get("/standin/truth")
        our_true = server.ttft_p50()
    peer_cpu, our_cpu = peer["cpu_seconds"] / peer["chunks"], cpu / truth["chunks"]
    peer_bias, our_bias = peer["ttft_p50_seconds"] - peer_true, ours["ttft_seconds"]["p50"] - our_true
    print(f"{streams} streams x 50 tok/s")
    line("server late p99, peer's run / ours", f"{ms(peer_late)} / {ms(truth['late_seconds']['p99'])}", "")
    line("CPU per chunk, peer / ours", f"{peer_cpu * 1e6:.1f} / {our_cpu * 1e6:.1f} us", "")
    line("CPU per chunk, ours / peer's", f"{our_cpu / peer_cpu:.3f}", "goal <= 0.200")
    line("TTFT p50 bias, ours", ms(our_bias), "goal <= 5 ms")
    line("TTFT p50 bias, peer", ms(peer_bias), "")
    line("TTFT p50 bias, peer's / ours", f"{peer_bias / max(our_bias, 1e-6):.1f}", "goal >= 5")
    line("lag p99, peer / ours", f"{ms(peer['lag_p99_seconds'])} / {ms(ours['client']['lag_p99_seconds'])}", "")


def bench_crowd(args):
    """10,000 streams x 5 tok/s from one core. They start over 4 s: in step with one another they would all have one
    token more or less in the window."""
    streams, rate, osl = 10_000, 5.0, 50
    with Server(args.standin, "--ttft", str(1 / rate), "--itl", str(1 / rate)) as server:
        ours, cpu, rss = measure(args, server, "--concurrency", streams, "--duration", f"{2 * args.seconds}s",
                                 "--isl", 16, "--osl", osl, "--concurrency-ramp", "4s")
        truth = server.get("/standin/truth")
    print(f"{streams} streams x {rate:.0f} tok/s")
    line("server late p99", ms(truth["late_seconds"]["p99"]), "")
    line("output tokens/s over streams x rate", f"{ours['output_tokens_per_s'] / (streams * rate):.4f}",
         "goal >= 0.99")
    line("requests sent / ok / failed",
         " / ".join(str(ours["requests"][key]) for key in ("sent", "ok", "failed")), "goal: none failed")
    line("resident set, largest", f"{rss / 1e6:.0f} MB", "goal < 100 MB")
    line("CPU per chunk", f"{cpu / truth['chunks'] * 1e6:.1f} us", "")
    line("lag p99", ms(ours["client"]["lag_p99_seconds"]), "")


def bench_pace(args):
    """2,000 requests per second."""
    with Server(args.standin, "--ttft", "0.005", "--itl", "0.001") as server:
        ours, _, _ = measure(args, server, "--request-rate", 2000, "--duration", f"{args.seconds}s",
                             "--isl", 16, "--osl", 4)
        arrived = sorted(r["arrived_monotonic_seconds"] for r in server.get("/standin/requests"))
    print("2000 requests/s")
    line("intended to sent, p99", ms(ours["client"]["schedule_error_p99_seconds"]), "goal <= 1 ms")
    line("arrivals per second at the server", f"{(len(arrived) - 1) / (arrived[-1] - arrived[0]):.1f}", "")


def bench_cap(args):
    """A server of 500 ms, 10 requests/s, one at a time: latency from the send hides the queue."""
    count = 8
    with Server(args.standin, "--ttft", "0.5", "--itl", "0.02") as server:
        ours, _, _ = measure(args, server, "--request-rate", 10, "--concurrency", 1, "--request-count", count,
                             "--arrival-pattern", "constant", "--warmup", "0s", "--isl", 16, "--osl", 1)
        served = [r["ended_monotonic_seconds"] - r["arrived_monotonic_seconds"]
                  for r in server.get("/standin/requests")]
    true = sum(served) / len(served)
    expected = true + (true - 0.1) * (count - 1) / 2
    print(f"500 ms server, 10 requests/s, one at a time, {count} requests")
    line("TTFT mean from the send / by the server",
         f"{ours['ttft_seconds']['mean']:.3f} / {true:.3f} s", "goal: equal")
    line("TTFT mean from the intended time / by arithmetic",
         f"{ours['ttft_from_intended_seconds']['mean']:.3f} / {expected:.3f} s", "goal: equal")


def main():
    benches = {"cost": bench_cost, "crowd": bench_crowd, "pace": bench_pace, "cap": bench_cap}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--perwatt", required=True)
    parser.add_argument("--standin", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default=",".join(benches), help="of " + ",".join(benches))
    parser.add_argument("--seconds", type=int, default=10, help="length of each run")
    args = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("measure_bench: needs two cores, one for the server and one for the client")
    for name in args.only.split(","):
        benches[name](args)


main()
