"""Measurements as docs/reference/measurement.md describes them, made without perwatt's own writer."""


def quantiles(median):
    return {"mean": median * 1.1, "p50": median, "p75": median * 1.4, "p90": median * 2, "p95": median * 2.5,
            "p99": median * 4, "max": median * 5, "count": 600}


def estimate(value):
    return {"value": value, "ci_low": value * 0.99, "ci_high": value * 1.01}


def measurement(*, label, concurrency, tpot_seconds, output_rate, joules_per_output_token, gpus=8, isl=1024, osl=1024,
                model="meta-llama/Llama-3.3-70B-Instruct", window=60.0, valid=True, power_valid=True):
    output = round(output_rate * window)
    joules = joules_per_output_token * output
    energy = {"boundary": "gpu", "valid": power_valid, "tag": "measured", "total": joules, "half_width": joules * 0.01,
              "marginal": joules * 0.8, "idle_power_watts": joules * 0.2 / window, "method": "counter",
              "by_counter": joules, "by_integral": joules * 0.998, "meters": gpus,
              "joules_per_output_token": estimate(joules_per_output_token) if power_valid else None,
              "joules_per_total_token": estimate(joules_per_output_token / (1 + isl / osl)) if power_valid else None,
              "marginal_joules_per_output_token": estimate(joules_per_output_token * 0.8) if power_valid else None,
              "output_tokens_per_joule": 1 / joules_per_output_token if power_valid else None,
              "findings": [] if power_valid else [
                  {"code": "sampling_gap", "fatal": True, "detail": "gpu 3 gave nothing for 9 s"}]}
    return {
        "schema_version": 1, "valid": valid, "power_valid": power_valid,
        "reasons": [] if valid else ["client_lag: this client was late itself"], "end": "complete",
        "url": "http://127.0.0.1:8000", "model": model, "label": label, "start": "2026-11-20T10:00:00Z",
        "imported_from": "",
        "load": {"description": f"closed loop, concurrency {concurrency}", "request_rate_per_second": None,
                 "concurrency": concurrency, "isl_tokens": isl, "osl_tokens": osl, "power_cap_watts": None, "seed": 7},
        "slo": {"ttft_seconds": 2.0, "tpot_seconds": 0.05, "itl_seconds": None, "e2e_seconds": None},
        "window_seconds": window, "whole_run_seconds": window + 15,
        "requests": {"sent": 600, "ok": 600, "failed": 0, "cancelled": 0, "failed_by_outcome": {}},
        "tokens": {"input": round(output * isl / osl), "output": output, "good": round(output * 0.9),
                   "input_known": True, "output_source": "usage"},
        "output_tokens_per_s": output / window, "input_tokens_per_s": round(output * isl / osl) / window,
        "goodput_tokens_per_s": round(output * 0.9) / window, "good_request_ratio": 0.9,
        "mean_concurrency": concurrency * 0.98,
        "ttft_seconds": quantiles(0.2), "ttft_from_intended_seconds": quantiles(0.25), "ttfo_seconds": None,
        "tpot_seconds": quantiles(tpot_seconds), "itl_seconds": quantiles(tpot_seconds * 0.95),
        "e2e_seconds": quantiles(tpot_seconds * osl), "e2e_from_intended_seconds": quantiles(tpot_seconds * osl + 0.05),
        "quantile_relative_error_ratio": 0.0039, "energy_boundaries": [energy], "tenants": [], "quality_score": None,
        "joules_per_answer": None,
        "client": {"valid": valid, "lag_p99_seconds": 0.0004, "schedule_error_p99_seconds": 0.0002,
                   "longest_stall_seconds": 0.002}}
