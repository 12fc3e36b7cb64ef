"""Telemetry that fails: the energy is right, or power_valid is false and a reason says why. Never silently low.

    /usr/bin/python3 tests/measure/telemetry_faults.py --perwatt PERWATT --standin STANDIN [NAME ...]
"""
import json
import time

from support import Standin, check, codes, measure, near, run_checks, start

GPUS, IDLE, OUTPUT = 2, 110.0, 0.5
SERVER = ("--ttft", 0.02, "--itl", 0.02, "--gpus", GPUS, "--idle-watts", IDLE, "--joules-per-output-token", OUTPUT)
WINDOW, WARMUP, INTERVAL = 9, 1, 0.25
# Constant arrivals: the window's place on the stand-in's clock is known without looking at its energy.
LOAD = ("--request-rate", 1 / INTERVAL, "--arrival-pattern", "constant", "--isl", 40, "--osl", 20,
        "--duration", f"{WINDOW}s", "--warmup", f"{WARMUP}s")
TOLERANCE = 0.03


class Measured:
    def __init__(self, exporter=None, flags=(), sources=None, during=(), standin=(), truth_key="gpu_joules"):
        """`exporter`: its settings from the start on. `during`: (seconds after the first request, settings)."""
        script = ("--script", json.dumps({"exporter": exporter})) if exporter else ()
        with Standin(*SERVER, *standin, *script) as server:
            power = sources(server) if sources else [server.power()]
            run = start(server.url, *LOAD, *[part for one in power for part in ("--power", one)], *flags)
            if during:
                while not server.truth()["requests"]["received"] > 2:  # the first two measure the prompts' scale
                    time.sleep(0.02)
                begun = time.monotonic()
                for after, settings in during:
                    time.sleep(max(0.0, begun + after - time.monotonic()))
                    server.script(exporter=settings)
            run.wait()
            self.code, self.err = run.code, run.err
            assert run.code == 0, f"exit {run.code}: {run.err}"
            self.result = run.json
            self.energy = self.result["energy_joules"]
            self.codes = codes(self.result)
            self.truth = server.truth(run.window(WARMUP, first_offset=INTERVAL))["window"][truth_key]

    def right(self, ratio=TOLERANCE):
        assert self.result["power_valid"], self.result["reasons"]
        near(self.energy["total"], self.truth, ratio, "energy")
        near(self.result["joules_per_output_token"]["value"], self.truth / self.result["tokens"]["output"], ratio)
        return self

    def refused(self, *reasons):
        assert not self.result["power_valid"], f"valid with {self.energy}, true {self.truth}"
        assert self.codes & set(reasons), self.result["reasons"]
        for key in ("joules_per_output_token", "joules_per_total_token", "output_tokens_per_joule"):
            assert self.result[key] is None, f"{key} from an invalid energy"
        return self

    def right_or_refused(self, *reasons):
        return self.right() if self.result["power_valid"] else self.refused(*reasons)


# ---- shapes of telemetry that are no faults

@check
def label_of_older_exporters():
    Measured({"hostname_label": "Hostname"}).right()


@check
def no_hostname_and_a_lower_case_uuid():
    assert Measured({"hostname_label": "", "uuid_label": "uuid"}).right().energy["meters"] == GPUS


@check
def counter_without_a_gauge():
    assert Measured({"gauge": False}).right().energy["method"] == "counter"


@check
def gauge_without_a_counter():
    assert Measured({"counter": False}).right(0.05).energy["method"] == "power_integral"


@check
def rows_of_mig_slices():
    assert Measured({"mig_slices": 7}, ("--gpus", GPUS)).right().energy["meters"] == GPUS


@check
def exporter_of_amd():
    Measured({"flavour": "amd"}, sources=lambda server: [server.power("amd")]).right()


@check
def exporter_of_gaudi():
    Measured({"flavour": "gaudi"}, sources=lambda server: [server.power("gaudi")]).right(0.05)


@check
def node_by_its_pdu():
    measured = Measured(sources=lambda server: [
        f"json:{server.exporter_url}/pdu?path=/power_watts&kind=power&scope=node"],
                        standin=("--host-watts", 350), truth_key="node_joules").right(0.05)
    assert measured.energy["boundary"] == "it"


@check
def node_by_its_bmc_beside_its_gpus():
    measured = Measured(sources=lambda server: [server.power(), f"redfish:{server.exporter_url}"],
                        standin=("--host-watts", 350)).right()
    by_boundary = {one["boundary"]: one for one in measured.result["energy_boundaries"]}
    assert set(by_boundary) == {"gpu", "it"}, set(by_boundary)
    near(by_boundary["it"]["total"], measured.truth + 350 * WINDOW, 0.05, "node energy")


@check
def one_exporter_named_twice():
    """The same GPUs from two sources are counted once."""
    measured = Measured(sources=lambda server: [server.power(), server.power()], flags=("--gpus", GPUS))
    assert "overlapping_meters" in measured.right().codes and measured.energy["meters"] == GPUS


# ---- faults

@check
def counter_that_starts_again():
    measured = Measured(during=[(WARMUP + 4, {"counter_reset": True})]).right_or_refused("counter_reset",
                                                                                         "counter_unreliable")
    assert "counter_reset" in measured.codes, measured.result["reasons"]


@check
def counter_that_starts_again_without_a_gauge():
    Measured({"gauge": False}, during=[(WARMUP + 4, {"counter_reset": True})]).refused("counter_reset")


@check
def counter_of_32_bits():
    """In millijoules it wraps at 4.29 MJ: here 7 to 9 s after the server's start, inside the window also where
    perwatt takes seconds to begin."""
    start_joules = 2 ** 32 / 1e3 - 8 * (IDLE + 20)
    measured = Measured({"wrap_32_bits": True, "counter_start_joules": start_joules}).right_or_refused(
        "counter_reset", "counter_unreliable")
    assert "counter_reset" in measured.codes, measured.result["reasons"]


@check
def counter_since_boot():
    """A counter of years is no energy of this window."""
    Measured({"counter_start_joules": 6e10}).right()


@check
def many_values_are_nan():
    assert "missing_values" in Measured({"nan_share": 0.4}).right_or_refused("missing_values").codes


@check
def all_values_become_nan():
    Measured(during=[(WARMUP + 4, {"nan_share": 1.0})]).refused("missing_values", "window_not_bracketed",
                                                                 "sampling_gap")


@check
def values_that_stand_still_for_30_seconds():
    Measured({"collect_seconds": 30}).refused("stale_readings", "counter_too_coarse", "window_not_bracketed")


@check
def values_that_stand_still_for_a_second():
    Measured({"collect_seconds": 1}).right_or_refused("stale_readings", "counter_too_coarse", "window_not_bracketed")


@check
def rows_missing_for_a_second():
    assert "sampling_gap" not in Measured(during=[(WARMUP + 3, {"gap_seconds": 1})]).right().codes


@check
def rows_missing_for_five_seconds():
    """The counter went on; without it the gap cannot be known."""
    Measured(during=[(WARMUP + 2, {"gap_seconds": 5})]).right_or_refused("sampling_gap")


@check
def rows_missing_for_five_seconds_without_a_counter():
    Measured({"counter": False}, during=[(WARMUP + 2, {"gap_seconds": 5})]).refused("sampling_gap")


@check
def errors_for_a_while():
    assert "source_failed" in Measured(during=[(WARMUP + 3, {"fail_seconds": 1.5})]).right().codes


@check
def errors_at_the_windows_end():
    """One failed closing look must not lose the energy, nor shorten the window in silence."""
    Measured(during=[(WARMUP + WINDOW - 1, {"fail_seconds": 3})]).right_or_refused("window_not_bracketed",
                                                                                  "sampling_gap")


@check
def answers_that_hang():
    Measured(during=[(WARMUP + 3, {"hang_seconds": 2})]).right_or_refused("source_failed", "sampling_gap")


@check
def bodies_that_are_cut():
    """Half of the rows is not half of the fleet."""
    Measured(during=[(WARMUP + 3, {"truncated": True})]).refused("source_failed", "window_not_bracketed",
                                                                 "partial_fleet", "sampling_gap")


@check
def exporter_that_dies():
    Measured(during=[(WARMUP + 4, {"dead_seconds": 20})]).refused("window_not_bracketed", "source_failed",
                                                                  "sampling_gap")


@check
def gpu_that_vanishes():
    Measured(during=[(WARMUP + 4, {"missing_gpus": [1]})]).refused("window_not_bracketed", "partial_fleet",
                                                                   "sampling_gap")


@check
def gpu_that_is_missing():
    measured = Measured({"missing_gpus": [1]}, ("--gpus", GPUS)).refused("partial_fleet")
    assert measured.energy["total"] is None or measured.energy["total"] < 0.6 * measured.truth, \
        "the partial sum is told as it is"


@check
def one_of_two_exporters_dies():
    with Standin("--gpus", 1, "--idle-watts", 300, "--script", '{"exporter": {"flavour": "amd"}}') as other, \
            Standin(*SERVER) as server:
        run = start(server.url, *LOAD, "--power", server.power(), "--power", other.power("amd"))
        while not server.truth()["requests"]["received"] > 12:
            time.sleep(0.02)
        other.kill()
        run.wait()
        assert run.code == 0, run.err
        result = run.json
        assert not result["power_valid"] and result["joules_per_output_token"] is None
        assert codes(result) & {"partial_fleet", "window_not_bracketed", "source_failed"}, result["reasons"]


@check
def one_of_two_exporters_is_dead_from_the_start():
    with Standin(*SERVER) as server, Standin() as other:
        other.kill()
        other.process.wait(10)
        run = measure(server.url, *LOAD, "--power", server.power(), "--power", other.power("amd"), expect=4)
        assert other.exporter_url in run.err and run.out == "", run.err


@check
def no_power_source_at_all():
    with Standin(*SERVER) as server:
        result = measure(server.url, *LOAD[:-4], "--duration", "2s", "--warmup", "0s").json
        assert result["valid"] and not result["power_valid"]
        assert result["joules_per_output_token"] is None


if __name__ == "__main__":
    run_checks()
