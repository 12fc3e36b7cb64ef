"""Broken rows, calibrations and questions of the serving model: validate, calibrate, frontier --accelerator."""
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POINTS = (ROOT / "tests/data/serving/points.csv").read_text().splitlines(keepends=True)
COEFFICIENTS = (ROOT / "data/serving/coefficients.json").read_text()
RELATIVES = (ROOT / "data/serving/relatives.csv").read_text().splitlines(keepends=True)
LATENCIES = (ROOT / "data/serving/serving_latency.csv").read_text().splitlines(keepends=True)
CONFIG = json.loads((ROOT / "data/models/llama-3.1-8b.json").read_text())
OWN_ACCELERATOR = (ROOT / "examples/catalog/own-accelerator.toml").read_text()
FRONTIER = ["frontier", "--model", "llama-3.1-8b", "--accelerator", "h200", "--isl", "1000", "--osl", "100"]


def changed(lines, row, old, new):
    assert old in lines[row], (old, lines[row])
    return "".join(lines[:row] + [lines[row].replace(old, new, 1)] + lines[row + 1:row + 2])


def all_cases(shared):
    Case = shared.Case

    def validate(name, content, *mentions, exit=3):
        return Case("serving/validate-" + name, ["validate", "p.csv"], {"p.csv": content}, mentions, exit)

    def calibration(name, change, *mentions):
        document = json.loads(COEFFICIENTS)
        relatives = change(document) or "".join(RELATIVES[:20])
        return Case("serving/calibration-" + name, ["validate", "p.csv", "--calibration", "c"],
                    {"p.csv": "".join(POINTS[:3]), "c/coefficients.json": json.dumps(document),
                     "c/relatives.csv": relatives}, mentions)

    def put(*path_and_value):
        *path, key, value = path_and_value

        def change(document):
            for step in path:
                document = document[step]
            document[key] = value
        return change

    def drop(*path):
        def change(document):
            for step in path[:-1]:
                document = document[step]
            del document[path[-1]]
        return change

    def frontier(name, flags, *mentions, exit=3, files=None):
        return Case("serving/frontier-" + name, FRONTIER + flags, files or {}, mentions, exit)

    def config(name, change, *mentions, exit=3):
        document = json.loads(json.dumps(CONFIG))
        change(document)
        return Case("serving/config-" + name,
                    ["frontier", "--model", "config.json", "--accelerator", "h200", "--isl", "1000", "--osl", "100",
                     "--gpus", "8"], {"config.json": json.dumps(document)}, mentions, exit)

    return [
        Case("serving/validate-missing-file", ["validate", "none.csv"], {}, ["none.csv"]),
        Case("serving/validate-hold-out-unknown", ["validate", "p.csv", "--hold-out", "row"],
             {"p.csv": "".join(POINTS[:3])}, ["family"], 2),
        Case("serving/validate-anchors-three", ["validate", "p.csv", "--anchors", "3"],
             {"p.csv": "".join(POINTS[:3])}, ["--anchors"], 2),
        validate("empty", "", "p.csv"),
        validate("columns", "a,b\n1,2\n", "source"),
        validate("accelerator-is-listed", changed(POINTS, 1, POINTS[1].split(",")[1], "h999"), "h999", "Not predicted",
                 exit=0),
        validate("latency-columns", "id,silicon_tpot_ms\n1,2\n", "silicon_data_source"),
        validate("latency-mode-is-listed", changed(LATENCIES, 1, ",agg,", ",both,"), "both", "Not predicted", exit=0),
        calibration("no-vendor", drop("accelerators", "h200", "vendor"), "accelerators.h200", "vendor"),
        calibration("out-of-bounds", put("speed", "routing_skew", 9), "speed.routing_skew", "9"),
        calibration("not-a-number", put("power", "busy_ratio", "much"), "power.busy_ratio", "much"),
        calibration("no-band", drop("bands", "tpot_median_s", "task"), "task"),
        calibration("accelerators-a-list", put("accelerators", []), "accelerators"),
        calibration("relative-weight", lambda _: "".join(RELATIVES[:1]) + RELATIVES[1].rsplit(",", 2)[0] + ",x,y\n",
                    "c/relatives.csv:2: weight", "x"),
        calibration("relatives-columns", lambda _: "metric\n1\n", "accelerator"),
        Case("serving/calibration-folder-missing", ["validate", "p.csv", "--calibration", "none"],
             {"p.csv": "".join(POINTS[:3])}, ["none/"]),
        Case("serving/calibration-not-json", ["validate", "p.csv", "--calibration", "c"],
             {"p.csv": "".join(POINTS[:3]), "c/coefficients.json": "[", "c/relatives.csv": RELATIVES[0]},
             ["c/coefficients.json"]),
        Case("serving/calibrate-too-few", ["calibrate", "p.csv", "--only", "--output", "c"],
             {"p.csv": "".join(POINTS[:9])}, ["8 rows", "50"]),
        Case("serving/calibrate-broken-row", ["calibrate", "p.csv", "--output", "c"],
             {"p.csv": changed(POINTS, 1, POINTS[1].split(",")[1], "h999")}, ["p.csv:2: accelerator", "h999"]),
        Case("serving/calibrate-output-is-a-file", ["calibrate", "p.csv", "--only", "--output", "p.csv"],
             {"p.csv": "".join(POINTS)}, ["p.csv"], 4),
        Case("serving/frontier-accelerator-misspelt",
             ["frontier", "--model", "llama-3.1-8b", "--accelerator", "h201", "--isl", "1", "--osl", "1"], {},
             ["--accelerator", "h201", "h200"]),
        Case("serving/frontier-no-lengths", ["frontier", "--model", "llama-3.1-8b", "--accelerator", "h200"], {},
             ["--isl"], 2),
        frontier("max-tpot-without-unit", ["--max-tpot", "20"], "--max-tpot", exit=2),
        frontier("date", ["--software-date", "soon"], "soon", "YYYY-MM-DD", exit=2),
        frontier("engine", ["--engine", "mine"], "--engine", exit=2),
        Case("serving/frontier-too-large-is-an-answer",
             ["frontier", "--model", "deepseek-r1", "--accelerator", "h200", "--gpus", "2", "--isl", "1000", "--osl",
              "100"], {}, ["infeasible", "do not fit the memory"], 0),
        frontier("limits-out-of-reach-are-an-answer", ["--max-tpot", "1us"], "infeasible", "fastest", exit=0),
        config("layer-type-unknown", put("model_type", "rnn"), "config.json", "rnn"),
        config("heads-zero", put("num_attention_heads", 0), "num_attention_heads"),
        config("no-hidden-size", drop("hidden_size"), "hidden_size"),
        config("heads-that-divide-nowhere-are-an-answer", lambda d: d.update(num_attention_heads=31, num_key_value_heads=31, head_dim=128),
               "8 x (1 x TP1)", exit=0),
        Case("serving/validate-baselines-of-itself", ["validate", "p.csv", "--baselines"], {"p.csv": "".join(POINTS[:3])},
             ["--baselines", "--hold-out"], 2),
        frontier("cap-below-least", ["--gpu-cap", "50W"], "50W", "--gpu-cap", "200", exit=2),
        frontier("cap-above-tdp", ["--gpu-cap", "1kW"], "1kW", "700", exit=2),
        frontier("cap-no-power", ["--gpu-cap", "10ms"], "10ms", exit=2),
        frontier("clock-above-1", ["--clock-ratio", "1.5"], "--clock-ratio", exit=2),
        frontier("clock-zero", ["--clock-ratio", "0"], "--clock-ratio", exit=2),
        frontier("arrival-pattern-unknown", ["--arrival-pattern", "weibull"], "--arrival-pattern", "weibull", exit=2),
        frontier("rate-without-pattern", ["--request-rate", "3"], "--request-rate", "--arrival-pattern", exit=2),
        frontier("lengths-without-pattern", ["--lengths", "fixed"], "--lengths", "--arrival-pattern", exit=2),
        frontier("burstiness-without-gamma", ["--arrival-pattern", "poisson", "--burstiness", "0.5"], "--burstiness", "gamma", exit=2),
        frontier("burst-size-without-bursts", ["--arrival-pattern", "poisson", "--burst-size", "5"], "--burst-size", "burst", exit=2),
        frontier("burstiness-zero", ["--arrival-pattern", "gamma", "--burstiness", "0"], "--burstiness", exit=2),
        frontier("rate-zero", ["--arrival-pattern", "poisson", "--request-rate", "0"], "--request-rate", "0", exit=2),
        frontier("rate-no-number", ["--arrival-pattern", "poisson", "--request-rate", "fast"], "--request-rate", "fast", exit=2),
        frontier("lengths-unknown", ["--arrival-pattern", "poisson", "--lengths", "zipf"], "--lengths", "zipf", exit=2),
        frontier("lengths-negative", ["--arrival-pattern", "poisson", "--lengths", "lognormal:-1"], "--lengths", "lognormal:-1", exit=2),
        frontier("burstiness-nan", ["--arrival-pattern", "gamma", "--burstiness", "nan"], "--burstiness", exit=2),
        frontier("burstiness-tiny", ["--arrival-pattern", "gamma", "--burstiness", "1e-6"], "--burstiness", exit=2),
        frontier("rate-tiny", ["--arrival-pattern", "poisson", "--request-rate", "1e-15"], "--request-rate", "1e-15", exit=2),
        frontier("percentile-without-pattern", ["--percentile", "p50"], "--percentile", "--arrival-pattern", exit=2),
        Case("serving/frontier-pattern-without-accelerator", ["frontier", "--model", "deepseek-r1", "--isl", "8192", "--osl", "1024",
             "--arrival-pattern", "poisson"], {}, ["--arrival-pattern", "--accelerator"], 2),
        Case("serving/frontier-half-a-domain", ["frontier", "--model", "llama-3.1-8b", "--accelerator", "own-accelerator", "--isl", "1000",
             "--osl", "100", "--catalog", "own"], {"own/own.toml": OWN_ACCELERATOR.replace("scale_up_size_gpus = { value = 8,",
                                                                                          "scale_up_size_gpus = { value = 0.5,")},
             ["scale_up_size_gpus", "0.5", "own.toml"], 3),
        frontier("percentile-unknown", ["--arrival-pattern", "poisson", "--percentile", "p100"], "--percentile", "p100", exit=2),
        frontier("anchor-missing", ["--anchor", "none.csv"], "none.csv"),
        frontier("anchor-of-another-model", ["--anchor", "p.csv"], "p.csv", "llama",
                 files={"p.csv": "".join(POINTS[:3])}),
        frontier("anchor-rejected", ["--anchor", "p.csv"], "p.csv:2",
                 files={"p.csv": POINTS[0] + POINTS[1].replace(POINTS[1].split(",")[1], "no-such-gpu", 1)}),
    ]
