#!/usr/bin/env python3
"""Starts `perwatt run` on a free port and opens its page in headless Chromium: the tree has the site's rows, numbers and
bars move as the state does, events arrive, the console is silent, nothing but the server is asked. Then callers that
hang up, read nothing or are strangers; SIGINT and SIGTERM stop it; what is wrong with the command line is refused."""
import argparse
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import LiveBrowser

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "examples/site-live.toml"
PROMTOOL = ROOT / "build/packages/prometheus/usr/bin/promtool"  # tools/install
PATIENCE = 120
HOSTILE = "</script><img src=x onerror=console.error(1)>"
TOKEN = "correct-horse-battery-staple"
MANY = """
[scenario]
name = "%(name)s"
duration = "20s"
[[device_kind]]
accelerator = "gpu"
idle = "50W"
[[topology.node]]
id = "%(name)s"
limits = [{ power = "2MW" }]
[[topology.node]]
id = "row"
kind = "row"
parent = "%(name)s"
count = 6
[[topology.node]]
id = "rack"
kind = "rack"
parent = "row"
count = 20
[[topology.node]]
id = "host"
kind = "node"
parent = "rack"
count = 8
[[topology.device]]
id = "gpu"
parent = "host"
count = 2
min = "100W"
max = "700W"
fail_safe = "200W"
accelerator = "gpu"
[[training]]
id = "job"
gpus = 1800
step = "4s"
communication_ratio = 0.3
compute_power = "600W"
idle = "50W"
[[fault]]
kind = "node-off"
node = "%(name)s"
at = "5s"
lasts = "2s"
"""


class Server:
    def __init__(self, binary, site, *flags):
        self.process = subprocess.Popen([binary, "run", str(site), "--listen", "127.0.0.1:0", *flags],
                                        stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.line = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+):", self.line).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def stop(self, number):
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        assert self.process.wait(PATIENCE) == 0, self.process.returncode
        assert rest == "Stopped\n", rest

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def state(self):
        return json.loads(self.get("/api/v1/state")[1])

    def resident_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


ROWS = """[...document.querySelectorAll("#tree tbody tr")].map(row => ({node: row.dataset.node,
  draw: row.querySelector("[data-field=draw]").textContent, kind: row.querySelector("[data-field=kind]").textContent,
  bar: row.querySelector(".bar .draw").style.width}))"""
SHOWN = """({facility: document.getElementById("facility").textContent, time: document.getElementById("time").textContent,
  good: document.getElementById("good").textContent, usd: document.getElementById("usd").textContent,
  link: document.getElementById("link").textContent, mode: document.getElementById("mode").textContent,
  about: document.getElementById("about").textContent, name: document.getElementById("name").textContent})"""
INK = """(() => { const canvas = document.getElementById("chart"), pen = canvas.getContext("2d");
  return pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((value, i) => i % 4 === 3 && value > 0).length; })()"""


def check_quiet(browser, server):
    assert not browser.console, browser.console
    outside = [url for url in browser.requests if not url.startswith((server.url, "data:", "about:"))]
    assert not outside, outside
    assert any(url.endswith("/api/v1/events") for url in browser.requests), browser.requests


def check_example(options):
    with Server(options.perwatt, SITE, "--speed", "60") as server, LiveBrowser(options.chromium) as browser:
        browser.open(server.url + "/")
        browser.wait_until('document.querySelectorAll("#tree tbody tr").length > 0')
        first, state = browser.evaluate(SHOWN), server.state()
        assert first["mode"] == "simulated" and first["link"] == "live", first
        assert first["name"] == "site-live" and "a simulation. Policy perwatt." in first["about"], first
        shown = [row["node"] for row in browser.evaluate(ROWS)]
        wanted = [node["id"] for node in state["nodes"] if node["kind"] != "node"]
        assert sorted(shown) == sorted(wanted), (shown, wanted)
        assert len(wanted) == 11 and shown[0] == "feed" and shown[1] == "pdu-a", shown
        rows = browser.evaluate(ROWS)
        for _ in range(PATIENCE):
            browser.listen(1)
            later = browser.evaluate(SHOWN)
            moved = [a["node"] for a, b in zip(rows, browser.evaluate(ROWS))
                     if a["draw"] != b["draw"] and a["bar"] != b["bar"]]
            if later["facility"] != first["facility"] and later["good"] != "0" and len(moved) > 4:
                break
        else:
            raise AssertionError(f"nothing moves: {first}, {later}, {moved}")
        browser.listen(2)  # a line needs points
        assert browser.evaluate(INK) > 500, "the chart is empty"
        browser.evaluate("""document.querySelector('[data-node="rack-b3"] button').click()""")
        shown = [row["node"] for row in browser.evaluate(ROWS)]
        assert shown.index("b3-1") == shown.index("rack-b3") + 1 and len(shown) == 19, shown
        browser.wait_until('document.getElementById("events").textContent.includes("node-off at b3-2 began")')
        browser.wait_until("""document.querySelector('[data-node="b3-2"].dark') !== null""")
        compare_with_state(browser, server)
        check_quiet(browser, server)
        print(f"site-live at 60 times the clock: {server.cpu_seconds():.1f} s of CPU until "
              f"{server.state()['time_seconds']:.0f} s, {server.resident_kib() // 1024} MiB")
        server.stop(signal.SIGINT)


def compare_with_state(browser, server):
    """The page shows what the state says, when both are of the same moment."""
    for _ in range(PATIENCE):
        browser.listen(0.3)
        time_shown, draw = browser.evaluate("""[document.getElementById("time").textContent,
            document.querySelector('[data-node="feed"] [data-field=draw]').textContent]""")
        state = server.state()
        if browser.evaluate('document.getElementById("time").textContent') != time_shown:
            continue
        seconds = int(state["time_seconds"])
        if time_shown == f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}":
            assert draw == f"{state['nodes'][0]['draw_watts'] / 1e3:.1f} kW", (draw, state["nodes"][0])
            return
    raise AssertionError("page and state were never of one moment")


def check_many(options, scratch):
    site = scratch / "many.toml"
    site.write_text(MANY % {"name": HOSTILE})
    with Server(options.perwatt, site, "--speed", "4") as server, LiveBrowser(options.chromium) as browser:
        browser.open(server.url + "/")
        browser.wait_until('document.querySelectorAll("#tree tbody tr").length > 0')
        rows = browser.evaluate(ROWS)
        assert len(server.state()["nodes"]) == 1 + 6 + 120 + 960
        assert len(rows) == 127 and sum(row["kind"] == "rack" for row in rows) == 120, len(rows)
        assert rows[0]["node"] == HOSTILE
        browser.wait_until('document.getElementById("about").textContent.includes("is over")')
        browser.wait_until('document.getElementById("events").textContent.includes("ended")')
        status, _ = server.get("/")
        assert status == 200, "it goes on serving"
        check_quiet(browser, server)
        server.stop(signal.SIGTERM)


def check_looking_on(options, scratch):
    """A recording: what is drawn and what perwatt would do, nothing of tokens or caps."""
    recording = scratch / "recording.csv"
    racks = {"a1": (18, 4), "a2": (18, 4), "a3": (18, 4), "b1": (18, 4), "b2": (18, 4), "a4": (9, 4), "b3": (8, 8), "b4": (4, 8)}
    rows = [f"{1700000000 + t},{rack}-{node + 1}/gpu-{rack}-{gpu + 1},gpu,{2400 // gpus + (7 * t + gpu + node) % 11},\n"
            for t in range(240) for rack, (nodes, gpus) in racks.items() for node in range(nodes) for gpu in range(gpus)]
    recording.write_text("unix_time_s,meter,scope,power_watts,counter_joules\n" + "".join(rows))
    with Server(options.perwatt, SITE, "--readings", str(recording), "--speed", "60") as server, \
            LiveBrowser(options.chromium) as browser:
        assert "recorded, played at 60 times the clock, policy perwatt, mode advise" in server.line, server.line
        browser.open(server.url + "/")
        browser.wait_until("""document.querySelector('[data-node="rack-a1"] [data-field=cap]')?.textContent.startsWith("→ ")""")
        browser.wait_until('document.getElementById("about").textContent.includes("The recording is over")')
        shown = browser.evaluate(SHOWN)
        assert shown["mode"] == "recorded" and shown["good"] == "-", shown
        assert browser.evaluate('document.getElementById("control-mode").textContent') == "mode advise"
        advice = json.loads(server.get("/api/v1/advice")[1])
        assert len(advice["devices"]) == 492 and all(one["advised_cap_watts"] > 300 for one in advice["devices"])
        assert all(one["cap_watts"] is None for one in advice["devices"])
        check_quiet(browser, server)
        server.stop(signal.SIGTERM)


def check_streams(options):
    with Server(options.perwatt, SITE, "--speed", "10") as server:
        callers = []
        for _ in range(100):
            caller = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
            caller.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            callers.append(caller)
        for caller in callers[:50]:
            caller.recv(100)
            caller.close()
        reader = callers[50].makefile("r", newline="\n")
        numbers = []
        while len(numbers) < 4:
            line = reader.readline()
            if line.startswith("data: ") and '"speed_reached_ratio"' in line:
                numbers.append(json.loads(line[6:])["number"])
        assert numbers == list(range(numbers[0], numbers[0] + 4)), numbers
        state = server.state()
        assert 0 < state["speed_reached_ratio"] < 100, state["speed_reached_ratio"]
        metrics = server.get("/metrics")[1]
        for line in metrics.splitlines():
            assert line.startswith("# ") or re.fullmatch(r'perwatt_\w+(\{node="[^"]+",kind="\w+"\})? [-+.e\d]+', line), line
        if PROMTOOL.is_file():
            done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics, capture_output=True, text=True)
            assert done.returncode == 0 and not done.stderr, done.stderr
        assert 'perwatt_node_limit_watts{node="feed",kind="utility"} 680000' in metrics
        server.stop(signal.SIGTERM)  # with streams open
        assert reader.read().endswith("0\r\n\r\n"), "a stream ends in order"
        for caller in callers:
            caller.close()


def check_dry_run(options):
    done = subprocess.run([options.perwatt, "run", str(SITE), "--policy", "static", "--dry-run-against", "perwatt", "--json"],
                          capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
    assert done.returncode == 0 and not done.stderr, done
    diff = json.loads(done.stdout)
    root = diff["nodes"][0]
    assert diff["at_seconds"] == 600 and len(diff["devices"]) == 492 and root["id"] == "feed"
    assert root["after"]["usd_per_hour"] > root["before"]["usd_per_hour"], root
    for side in ("before", "after"):
        assert root[side]["limit_watts"] == 680e3, root
        assert abs(root[side]["headroom_watts"] - (680e3 - root[side]["at_caps_watts"])) < 1e-6 < root[side]["headroom_watts"]
    assert any(one["cap_after_watts"] > one["cap_before_watts"] for one in diff["devices"])


def check_orders(options):
    def order(server, what, body):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        try:
            connection.request("POST", "/api/v1/" + what, json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    with Server(options.perwatt, SITE, "--speed", "60") as server, LiveBrowser(options.chromium) as browser:
        browser.open(server.url + "/")
        browser.wait_until('document.querySelectorAll("#tree tbody tr").length > 0')
        assert order(server, "maintenance", {"node": "rack-a3", "is_on": True}) == 202
        browser.wait_until("""document.querySelector('[data-node="rack-a3"] [data-field=kind]').textContent === "rack, in maintenance" """)
        browser.wait_until("""document.querySelector('[data-node="rack-a3"] [data-field=cap]').textContent === "43.2 kW" """)
        assert order(server, "release", {"is_on": True}) == 202
        browser.wait_until('document.getElementById("about").textContent.includes("All caps are released")')
        browser.wait_until("""document.querySelector('[data-node="feed"] [data-field=cap]').textContent === "271.2 kW" """)
        assert "all caps are released" in browser.evaluate('document.getElementById("events").textContent')
        check_quiet(browser, server)
        server.stop(signal.SIGINT)
    with Server(options.perwatt, SITE, "--mode", "advise") as server:
        assert order(server, "release", {"is_on": True}) == 409


def check_refusals(options, scratch):
    def fails(status, text, *words):
        done = subprocess.run([options.perwatt, "run", *words], capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
        assert done.returncode == status and text in done.stderr, (words, done)

    fails(3, "no/such.toml", "no/such.toml")
    fails(2, "speed", str(SITE), "--speed", "0.5")
    fails(2, "speed", str(SITE), "--speed", "1001")
    fails(2, "is no policy of the site", str(SITE), "--policy", "perwat")
    fails(2, "is no address with a port", str(SITE), "--listen", "8600")
    fails(2, "can be reached by anyone", str(SITE), "--listen", "0.0.0.0:0")
    fails(2, "--duration", str(SITE), "--duration", "10")
    fails(3, "token", str(SITE), "--token-file", str(SITE))
    only_even = scratch / "even.toml"
    only_even.write_text(SITE.read_text().replace('kind = "perwatt"', 'kind = "stealing"'))
    fails(2, "no policy of kind perwatt", str(only_even))
    token = scratch / "token"
    token.write_text(TOKEN + "\n")
    with Server(options.perwatt, SITE, "--token-file", str(token), "--policy", "static", "--duration", "1min") as server:
        fails(4, str(server.port), str(SITE), "--listen", f"127.0.0.1:{server.port}")
        for path in ("/", "/api/v1/state", "/api/v1/events", "/metrics"):
            assert server.get(path)[0] == 401, path
        status, body = server.get("/api/v1/state", {"Authorization": f"Bearer {TOKEN}"})
        assert status == 200 and json.loads(body)["policy"] == "static"
        assert json.loads(body)["duration_seconds"] == 60 + 300, "and the warm-up"
        with LiveBrowser(options.chromium) as browser:
            browser.open(f"http://any:{TOKEN}@127.0.0.1:{server.port}/")
            browser.wait_until('document.querySelectorAll("#tree tbody tr").length > 0')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perwatt", required=True, help="the binary")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check_refusals(options, Path(scratch))
        check_dry_run(options)
        check_orders(options)
        check_streams(options)
        check_looking_on(options, Path(scratch))
        check_example(options)
        check_many(options, Path(scratch))
    print("the live page shows the site as it is, and asks nobody else")
    return 0


if __name__ == "__main__":
    sys.exit(main())
