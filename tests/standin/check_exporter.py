"""Tests the stand-in's exporter, BMC and PDU: they tell the truth, and lie only as they were told to.

    /usr/bin/python3 tests/standin/check_exporter.py --standin build/release/bin/standin_endpoint [NAME ...]
"""
import http.client
import json
import math
import threading
import time

from standin_checks import FAST, Standin, chat, check, exchange, in_parallel, run_checks, with_fault


def metrics(text):
    """{(name, gpu, slice): value}, by the rules of the text format."""
    rows = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, rest = line.split("{", 1)
            labels, value = rest.rsplit("} ", 1)
            fields = dict(part.split("=", 1) for part in labels.split(","))
            index = fields.get("gpu") or fields.get("gpu_id") or fields.get("id")
            rows[name, int(index.strip('"')), fields.get("GPU_I_ID", "").strip('"')] = float(value)
    return rows


POWER, ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"


def scrape(standin):
    status, text = standin.get("/metrics")
    assert status == 200
    return metrics(text)


def expected_joules(truth, gpus, idle, prompt, output, extra=0.0):
    present = truth["present"]
    passed = present["monotonic_seconds"] - truth["started_monotonic_seconds"]
    return (gpus * idle + extra) * passed + prompt * present["prompt_tokens"] + output * present["output_tokens"]


@check
def energy_is_a_function_of_tokens():
    with Standin(*FAST, "--gpus", 2, "--idle-watts", 80, "--joules-per-prompt-token", 0.03,
                 "--joules-per-output-token", 0.7, "--host-watts", 300) as standin:
        in_parallel(10, lambda i: exchange(standin, chat(f"{i} some words more", osl=50)))
        before = standin.truth()
        assert before["present"]["output_tokens"] == 500
        assert math.isclose(before["present"]["gpu_joules"], expected_joules(before, 2, 80, 0.03, 0.7), rel_tol=1e-9)
        rows = scrape(standin)
        pdu = json.loads(standin.get("/pdu")[1])
        redfish = json.loads(standin.get("/redfish/v1/Chassis/1/EnvironmentMetrics")[1])
        after = standin.truth()
        for gpu in (0, 1):
            counter = rows[ENERGY, gpu, ""] / 1e3 - 5.4e8
            assert before["present"]["joules_per_gpu"] - 2e-3 <= counter <= after["present"]["joules_per_gpu"] + 2e-3
        for joules in (pdu["energy_joules"], redfish["EnergyJoules"]["Reading"], pdu["energy_kwh"] * 3.6e6):
            assert before["present"]["node_joules"] <= joules + 1e-6 <= after["present"]["node_joules"] + 2e-6
        time.sleep(0.2)  # the gauge is a mean over 0.1 s, and all is quiet now
        assert math.isclose(scrape(standin)[POWER, 0, ""], 80, rel_tol=1e-4)
        power = json.loads(standin.get("/redfish/v1/Chassis/1/Power")[1])["PowerControl"][0]["PowerConsumedWatts"]
        assert math.isclose(power, 460, rel_tol=1e-4)


@check
def power_that_depends_on_the_batch():
    with Standin("--ttft", 0.001, "--itl", 0.001, "--idle-watts", 50, "--batch-watts", 100) as standin:
        threads = [threading.Thread(target=exchange, args=(standin, with_fault(kind="stall", seconds=4)))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        while standin.truth()["running"] < 4:
            time.sleep(0.02)
        time.sleep(0.05)  # history is kept in steps of 10 ms: the window's edges lie beside the change
        begin = standin.truth()["present"]
        time.sleep(0.3)
        gauge = scrape(standin)[POWER, 0, ""]
        end = standin.truth()["present"]
        for thread in threads:
            thread.join()
        seconds = end["monotonic_seconds"] - begin["monotonic_seconds"]
        assert math.isclose(end["gpu_joules"] - begin["gpu_joules"], seconds * (50 + 100 * 2), rel_tol=1e-6)
        assert math.isclose(gauge, 250, rel_tol=1e-3)
        window = standin.truth(f"?from={begin['monotonic_seconds']}&to={end['monotonic_seconds']}")["window"]
        assert math.isclose(window["gpu_joules"], seconds * 250, rel_tol=1e-4), window


@check
def flavours_of_exporters():
    with Standin(*FAST, "--gpus", 2, "--flavour", "amd", "--script",
                 '{"exporter":{"counter_start_joules":1000}}') as standin:
        rows = scrape(standin)
        truth = standin.truth()["present"]["joules_per_gpu"]
        assert rows["gpu_package_power", 1, ""] == 100
        assert 1000 <= rows["gpu_energy_consumed", 0, ""] / 1e6 <= 1000 + truth
        standin.script(exporter={"flavour": "gaudi"})
        rows = scrape(standin)
        assert abs(rows["habanalabs_power_mW", 0, ""] - 100_000) <= 10 and rows["habanalabs_energy", 1, ""] >= 1e6


@check
def exporter_tells_lies():
    with Standin(*FAST, "--gpus", 2) as standin:
        text = standin.get("/metrics")[1]
        assert f"# TYPE {ENERGY} counter" in text and f"# TYPE {POWER} gauge" in text
        assert 'gpu="0",UUID="GPU-' in text and 'hostname="standin-node"' in text
        standin.script(exporter={"hostname_label": "Hostname", "uuid_label": "uuid"})
        text = standin.get("/metrics")[1]
        assert 'Hostname="standin-node"' in text and 'uuid="GPU-' in text and "UUID" not in text
        standin.script(exporter={"counter": False})
        assert (ENERGY, 0, "") not in scrape(standin) and (POWER, 0, "") in scrape(standin)
        standin.script(exporter={"counter": True, "missing_gpus": [1]})
        assert {gpu for _, gpu, _ in scrape(standin)} == {0}
        standin.script(exporter={"missing_gpus": [], "mig_slices": 3})
        rows = scrape(standin)
        assert len(rows) == 12 and len({v for (n, g, _), v in rows.items() if (n, g) == (ENERGY, 0)}) == 1
        before = scrape(standin)[ENERGY, 0, "7"]
        standin.script(exporter={"mig_slices": 0, "counter_reset": True})
        assert scrape(standin)[ENERGY, 0, ""] < before / 1e3
        standin.script(exporter={"nan_share": 0.5})
        values = [value for _ in range(20) for value in scrape(standin).values()]
        assert 20 <= sum(math.isnan(value) for value in values) <= 60
        standin.script(exporter={"nan_share": 0, "noise_ratio": 0.1})
        powers = [scrape(standin)[POWER, 0, ""] for _ in range(100)]
        mean = sum(powers) / 100
        spread = math.sqrt(sum((p - mean) ** 2 for p in powers) / 99)
        assert 95 <= mean <= 105 and 7 <= spread <= 13, (mean, spread)


@check
def exporter_counter_wraps_and_stands_still():
    with Standin(*FAST, "--idle-watts", 2000, "--script",
                 '{"exporter":{"wrap_32_bits":true,"counter_start_joules":4294967.0}}') as standin:
        high = scrape(standin)[ENERGY, 0, ""]
        time.sleep(0.4)
        assert scrape(standin)[ENERGY, 0, ""] < 2**32 and (high < 1e6 or scrape(standin)[ENERGY, 0, ""] < high)
        standin.script(exporter={"wrap_32_bits": False, "collect_seconds": 0.4})
        seen = []
        until = time.monotonic() + 2
        while time.monotonic() < until:
            seen.append(scrape(standin)[ENERGY, 0, ""])
        assert seen == sorted(seen) and len(set(seen)) <= 7 < len(seen), len(set(seen))


@check
def exporter_is_away():
    with Standin(*FAST) as standin:
        standin.script(exporter={"gap_seconds": 0.8})
        assert scrape(standin) == {}
        time.sleep(1.0)
        assert scrape(standin)
        standin.script(exporter={"fail_seconds": 0.8})
        assert standin.get("/metrics")[0] == 500
        time.sleep(1.0)
        assert standin.get("/metrics")[0] == 200
        standin.script(exporter={"hang_seconds": 0.8})
        begin = time.monotonic()
        assert scrape(standin) and time.monotonic() - begin > 0.1
        standin.script(exporter={"truncated": True})
        try:
            standin.get("/metrics")
            raise AssertionError("the body was whole")
        except http.client.IncompleteRead:
            pass
        standin.script(exporter={"truncated": False, "dead_seconds": 0.5})
        try:
            standin.get("/metrics")
            raise AssertionError("not dead")
        except ConnectionError:
            pass
        assert exchange(standin, chat()).words() == 8  # the server lives on
        time.sleep(0.8)
        assert scrape(standin)


run_checks()
