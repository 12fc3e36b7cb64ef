#!/usr/bin/env python3
"""Drives `perwatt train serve` with a client written from the protocol of zeus's pipeline frequency
optimizer: 16 ranks register, ask, are slowed by a straggler, and go on after the server was killed.

What ranks must get is worked out by other means: the order of instructions from the definition of
1F1B, the frequencies from plans that `perwatt train --freqs` writes to files.
"""
import argparse
import ast
import concurrent.futures
import http.client
import json
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "tests/data/training/gpt3-175b+a100_sxm_bf16.csv"
STAGES, MICROBATCHES, REPLICAS = 8, 12, 2
AVAILABLE = list(range(1410, 200, -15))  # what an A100 offers, highest first
PATIENCE = 120
PIPELINE = f"""
[[pipeline]]
name = "gpt3"
profile = "{PROFILE}"
stages = {STAGES}
microbatches = {MICROBATCHES}
blocking_power = "83.64W"
"""


class Server:
    """The process. Started again on the same port, it goes on from its state file."""

    def __init__(self, binary, folder, *flags, port=0):
        self.command = [binary, "train", "serve", str(folder / "pipelines.toml"),
                        "--state", str(folder / "jobs.sqlite"), *flags]
        self.start(port)

    def start(self, port):
        self.process = subprocess.Popen([*self.command, "--listen", f"127.0.0.1:{port}"],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+):", line).group(1))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def restart(self):
        self.kill()
        self.start(self.port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stdout.read()
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()
        return rest

    def resident_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            text = None if body is None else body if isinstance(body, (str, bytes)) else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


class Rank:
    """One process of a training job, as zeus's PipelineFrequencyOptimizer behaves."""

    def __init__(self, server, rank, job=None, replicas=REPLICAS):
        self.server, self.rank, self.job, self.replicas = server, rank, job, replicas
        self.replica, self.stage = divmod(rank, STAGES)
        self.schedule = None

    def register_job(self, metadata="gpt3"):
        status, job = self.server.ask("POST", "/register_job", {
            "job_id": "", "pp_degree": STAGES, "dp_degree": self.replicas, "tp_degree": 1,
            "world_size": STAGES * self.replicas, "job_metadata": metadata})
        assert status == 200 and isinstance(job, str), job
        return job

    def path(self, route):
        return f"/{route}/{urllib.parse.quote(self.job, safe='+')}"

    def body(self, **changed):
        return {"rank": self.rank, "dp_rank": self.replica, "pp_rank": self.stage, "tp_rank": 0,
                "available_frequencies": AVAILABLE, **changed}

    def register(self):
        status, answer = self.server.ask("POST", self.path("register_rank"), self.body())
        assert status == 200 and answer is None, answer

    def get_schedule(self):
        status, answer = self.server.ask("GET", self.path("schedule") + f"?rank={self.rank}")
        assert status == 200, answer
        assert answer["rank"] == self.rank
        assert all(isinstance(name, str) and isinstance(mhz, int) for name, mhz in answer["frequencies"])
        self.schedule = [tuple(entry) for entry in answer["frequencies"]]
        return self.schedule


def order_of_1f1b(stage):
    ahead = min(STAGES - stage - 1, MICROBATCHES)
    steady = MICROBATCHES - ahead
    return ["forward"] * ahead + ["forward", "backward"] * steady + ["backward"] * ahead


def plan_file(binary, folder, *question):
    """The frequencies of a plan, by stage, and the time of its iteration."""
    out = folder / "plan.py"
    command = [binary, "train", str(PROFILE), "--stages", str(STAGES), "--microbatches", str(MICROBATCHES),
               "--blocking-power", "83.64W", "--freqs", str(out), "--json", *question]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return ast.literal_eval(out.read_text()), json.loads(done.stdout)["plan"]["time_seconds"]


def replayed_power(binary, folder, schedules):
    """Mean watts of one pipeline while it runs these frequencies."""
    plan = folder / "replayed.py"
    plan.write_text(repr(schedules))
    command = [binary, "train", "replay", str(plan), "--profile", str(PROFILE), "--stages", str(STAGES),
               "--microbatches", str(MICROBATCHES), "--blocking-power", "83.64W", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["plan"]["mean_power_watts"]


def ask_all(ranks):
    with concurrent.futures.ThreadPoolExecutor(len(ranks)) as pool:
        return list(pool.map(Rank.get_schedule, ranks))


def expect(ranks, plans_by_replica):
    for rank in ranks:
        assert [name for name, _ in rank.schedule] == order_of_1f1b(rank.stage), rank.rank
        assert rank.schedule == plans_by_replica[rank.replica][rank.stage], rank.rank


def until_waiting_for(server, job, ranks):
    deadline = time.monotonic() + PATIENCE
    while True:
        state = next(j for j in server.ask("GET", "/info")[1]["jobs"] if j["job_id"] == job)
        if state["waiting_for_ranks"] == ranks:
            return
        assert time.monotonic() < deadline, state
        time.sleep(0.01)


def blocks_until_all_have_asked(server):
    first = Rank(server, 0)
    job = first.register_job()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\+dp2\+pp8\+tp1\+perwatt\+gpt3(\+\d+)?", job), job
    ranks = [Rank(server, rank, job) for rank in range(STAGES * REPLICAS)]
    with concurrent.futures.ThreadPoolExecutor(len(ranks)) as pool:
        list(pool.map(Rank.register, ranks))
    late = ranks[5]
    others = [rank for rank in ranks if rank is not late]
    with concurrent.futures.ThreadPoolExecutor(len(ranks)) as pool:
        waiting = [pool.submit(rank.get_schedule) for rank in others]
        until_waiting_for(server, job, [late.rank])
        time.sleep(0.5)
        assert not any(future.done() for future in waiting), "a rank went on before all had asked"
        late.get_schedule()
        for future in waiting:
            future.result(PATIENCE)
    return ranks


def refusals(server, ranks):
    rank = ranks[0]
    cases = [
        ("POST", rank.path("register_rank"), rank.body(), 409, "registered already"),
        ("POST", rank.path("register_rank"), rank.body(rank=99), 400, "rank 99"),
        ("POST", rank.path("register_rank"), rank.body(dp_rank=2), 400, "dp_rank"),
        ("POST", rank.path("register_rank"), rank.body(rank="0"), 400, "rank"),
        ("POST", rank.path("register_rank"), "{", 400, "JSON"),
        ("POST", rank.path("register_rank"), b"\xff\xfe", 400, "JSON"),
        ("POST", rank.path("register_rank"), "[" * 100000, 400, "JSON"),
        ("POST", "/register_rank/nobody", rank.body(), 404, "nobody"),
        ("POST", "/register_job", {"pp_degree": 8}, 400, "dp_degree"),
        ("POST", "/register_job", {"job_id": "x", "pp_degree": 8, "dp_degree": 1, "tp_degree": 1, "world_size": 8},
         400, "job_id"),
        ("POST", "/register_job", {"pp_degree": 8, "dp_degree": 1, "tp_degree": 1, "world_size": 9}, 400, "world_size"),
        ("POST", "/register_job", {"pp_degree": 4, "dp_degree": 1, "tp_degree": 1, "world_size": 4}, 400, "8 stages"),
        ("POST", "/register_job", " " * (5 << 20), 413, "bytes"),
        ("GET", rank.path("schedule") + "?rank=16", None, 400, "rank 16"),
        ("GET", rank.path("schedule"), None, 400, "rank"),
        ("GET", "/schedule/nobody?rank=0", None, 404, "nobody"),
        ("POST", rank.path("straggler"), {"rank": 0, "slowdown_ratio": 0.5}, 400, "slowdown_ratio"),
        ("POST", rank.path("power_cap"), {"gpu_power_watts": 10}, 409, "draw"),
        ("GET", "/elsewhere", None, 404, "routes"),
    ]
    for method, path, body, status, mentions in cases:
        got, answer = server.ask(method, path, body)
        assert got == status and mentions in answer["detail"], (path, got, answer)


def swaps_plans_through_a_kill(binary, folder, server, ranks):
    usual, usual_time = plan_file(binary, folder)
    expect(ranks, [usual, usual])
    status, state = server.ask("POST", ranks[0].path("straggler"), {"rank": 3, "slowdown_ratio": 1.2})
    assert status == 200 and abs(state["iteration_time_seconds"] - 1.2 * usual_time) < 1e-6, state
    server.restart()
    ask_all(ranks)
    waiting, _ = plan_file(binary, folder, "--straggler", f"{1.2 * usual_time!r}s")
    assert waiting != usual
    expect(ranks, [usual, waiting])
    # Killed while fifteen ranks wait: they ask again.
    server.ask("POST", ranks[0].path("straggler"), {"rank": 3, "slowdown_ratio": 1})
    failed = []

    def ask_in_vain(rank):
        try:
            rank.get_schedule()
        except (OSError, http.client.HTTPException):
            failed.append(rank.rank)

    threads = [threading.Thread(target=ask_in_vain, args=(rank,)) for rank in ranks[1:]]
    for thread in threads:
        thread.start()
    until_waiting_for(server, ranks[0].job, [0])
    server.restart()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(failed) == list(range(1, 16)), failed
    ask_all(ranks)
    expect(ranks, [usual, usual])


def survives_kills_at_any_moment(server, ranks):
    """Killed among the answers of a round: ranks that name the round get it, all the same one."""
    rounds = next(job for job in server.ask("GET", "/info")[1]["jobs"] if job["job_id"] == ranks[0].job)["rounds"]
    for kill in range(5):
        wanted = rounds + 1 + kill

        def ask_until_it_comes(rank):
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                try:
                    status, answer = server.ask("GET", rank.path("schedule") + f"?rank={rank.rank}&round={wanted}")
                    assert status == 200 and answer["round"] == wanted, answer
                    return answer["frequencies"]
                except (OSError, http.client.HTTPException, ValueError):
                    time.sleep(0.02)
            raise AssertionError("no answer")

        with concurrent.futures.ThreadPoolExecutor(len(ranks)) as pool:
            asked = [pool.submit(ask_until_it_comes, rank) for rank in ranks]
            time.sleep(0.02 * kill)
            server.restart()
            got = [future.result() for future in asked]
        assert all(got[i] == got[i % STAGES] for i in range(len(ranks)))


def caps_the_power(binary, folder, server, ranks):
    """Of both replicas together: each gets half, and keeps it as its frequencies run."""
    for watts in (3800, 3200, 2900):
        status, state = server.ask("POST", ranks[0].path("power_cap"), {"gpu_power_watts": watts})
        assert status == 200 and state["gpu_power_watts"] == watts, state
        ask_all(ranks)
        drawn = replayed_power(binary, folder, [ranks[stage].schedule for stage in range(STAGES)])
        assert 0.97 * watts < 2 * drawn <= watts * (1 + 1e-9), (watts, 2 * drawn)
    status, answer = server.ask("POST", ranks[0].path("power_cap"), {"gpu_power_watts": 2800})
    assert status == 409 and "slowest draws" in answer["detail"], answer
    assert server.ask("POST", ranks[0].path("power_cap"), {"gpu_power_watts": None})[0] == 200


def takes_reports(server, ranks):
    for rank in ranks:
        status, answer = server.ask("POST", rank.path("result"), {
            "rank": rank.rank, "iter_time": [3.0, 3.2], "iter_energy": [700, 720],
            "time_breakdown": {"forward": [[0.1] * 12] * 2}, "energy_breakdown": {}})
        assert status == 200 and answer is None, answer
    state = server.ask("GET", "/info")[1]["jobs"][0]
    assert abs(state["measured_iteration_time_seconds"] - 3.1) < 1e-9
    assert abs(state["measured_iteration_energy_joules"] - 16 * 710) < 1e-6


def has_many_jobs(server):
    jobs = []
    for number in range(20):
        rank = Rank(server, 0, replicas=1)
        job = rank.register_job(f"gpt3 job {number}")
        jobs.append([Rank(server, r, job, replicas=1) for r in range(STAGES)])
        for one in jobs[-1]:
            one.register()
    with concurrent.futures.ThreadPoolExecutor(20 * STAGES) as pool:
        schedules = list(pool.map(Rank.get_schedule, [rank for job in jobs for rank in job]))
    assert all(schedule == schedules[i % STAGES] for i, schedule in enumerate(schedules))


def lets_a_thousand_ranks_wait(server):
    replicas = 128
    job = Rank(server, 0, replicas=replicas).register_job("gpt3 large")
    ranks = [Rank(server, rank, job, replicas) for rank in range(STAGES * replicas)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(Rank.register, ranks))
    selector = selectors.DefaultSelector()
    for rank in ranks:
        waiting = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        waiting.sendall(f"GET {rank.path('schedule')}?rank={rank.rank} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        selector.register(waiting, selectors.EVENT_READ, [rank, b""])
    open_sockets = len(ranks)
    deadline = time.monotonic() + PATIENCE
    while open_sockets:
        assert time.monotonic() < deadline, f"{open_sockets} ranks wait still"
        for key, _ in selector.select(timeout=1):
            read = key.fileobj.recv(65536)
            if read:
                key.data[1] += read
                continue
            rank, text = key.data
            answer = json.loads(text.partition(b"\r\n\r\n")[2])
            assert answer["rank"] == rank.rank and len(answer["frequencies"]) == 2 * MICROBATCHES
            selector.unregister(key.fileobj)
            key.fileobj.close()
            open_sockets -= 1


def keeps_its_memory(server, ranks):
    """10,000 requests of all kinds, good and bad, after 3,000 to warm it up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def slowdown(number):
        """Mostly a refusal: a plan takes some 30 ms to find."""
        return 1 + number % 7 / 10 if number % 100 == 4 else 0.5

    def requests(count):
        for number in range(count):
            rank = ranks[number % len(ranks)]
            method, path, body = [
                ("GET", "/info", None),
                ("GET", rank.path("schedule") + f"?rank={rank.rank}&round=99999", None),
                ("POST", rank.path("register_rank"), json.dumps(rank.body())),
                ("POST", rank.path("power_cap"), json.dumps({"gpu_power_watts": 100 + number})),
                ("POST", rank.path("straggler"), json.dumps({"rank": rank.rank, "slowdown_ratio": slowdown(number)})),
                ("POST", rank.path("result"), json.dumps({"rank": rank.rank, "iter_time": [1.0] * 50,
                                                          "iter_energy": [1.0] * 50})),
                ("POST", "/register_job", "{" * (number % 500)),
            ][number % 7]
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 400, 409), answer.status

    requests(3000)
    before = server.resident_kib()
    requests(10000)
    grown = server.resident_kib() - before
    connection.close()
    print(f"resident: {before} KiB after 3,000 requests, {grown:+} KiB after 10,000 more")
    if "INSTRUMENTED" not in os.environ:
        assert grown < 2048, f"{grown} KiB more"


def guards_its_door(binary, folder):
    def exit_of(*flags):
        done = subprocess.run([binary, "train", "serve", str(folder / "pipelines.toml"), *flags],
                              capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stderr

    code, error = exit_of("--state", str(folder / "other.sqlite"), "--listen", "0.0.0.0:0")
    assert code == 2 and "can be reached by anyone" in error, (code, error)
    token = folder / "token"
    token.write_text("0123456789abcdef\n")
    (folder / "own").mkdir()
    (folder / "own" / "pipelines.toml").write_text(PIPELINE)
    server = Server(binary, folder / "own", "--token-file", str(token))
    try:
        assert server.ask("GET", "/info")[0] == 401
        assert server.ask("GET", "/info", headers={"Authorization": "Bearer 0123456789abcdef"})[0] == 200
        code, error = exit_of("--state", str(folder / "own" / "jobs.sqlite"), "--listen", "127.0.0.1:0")
        assert code == 4 and "another process has it open" in error, (code, error)
        code, error = exit_of("--state", str(folder / "third.sqlite"), "--listen", f"127.0.0.1:{server.port}")
        assert code == 4 and str(server.port) in error, (code, error)
    finally:
        assert server.stop() == "Stopped\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True)
    binary = str(Path(parser.parse_args().perwatt).resolve())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pipelines.toml").write_text(PIPELINE)
        server = Server(binary, folder)
        try:
            ranks = blocks_until_all_have_asked(server)
            refusals(server, ranks)
            swaps_plans_through_a_kill(binary, folder, server, ranks)
            caps_the_power(binary, folder, server, ranks)
            takes_reports(server, ranks)
            survives_kills_at_any_moment(server, ranks)
            has_many_jobs(server)
            lets_a_thousand_ranks_wait(server)
            keeps_its_memory(server, ranks)
            guards_its_door(binary, folder)
            assert server.stop() == "Stopped\n"
        finally:
            if server.process.poll() is None:
                server.kill()
    print("train serve: 16 ranks, a straggler, a cap, seven kills, 1,024 ranks waiting, 13,000 requests: as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
