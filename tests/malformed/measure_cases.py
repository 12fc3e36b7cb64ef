"""Broken results, prompts and traces of perwatt measure; flags are in tests/measure/flags.py."""
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAVED = (ROOT / "tests/data/measure/before/run-1/measurement.json").read_text()


def all_cases(shared):
    Case = shared.Case

    def saved(name, change, *mentions):
        document = json.loads(SAVED)
        change(document)
        return Case("measure/saved-" + name, ["measure", "--compare", "a.json", "b.json"],
                    {"a.json": json.dumps(document), "b.json": SAVED}, ["a.json", *mentions])

    def put(*path_and_value):
        *path, key, value = path_and_value

        def change(document):
            for step in path:
                document = document[step]
            document[key] = value
        return change

    def rescored(name, content, *mentions):
        return Case("measure/rescore-" + name, ["measure", "--rescore", "r.json"], {"r.json": content},
                    ["r.json", *mentions])

    return [
        saved("other-version", put("schema_version", 2), "schema_version", "2"),
        saved("without-requests", lambda d: d.pop("requests"), "requests"),
        saved("negative-window", put("window_seconds", -1.0), "window_seconds", "-1"),
        saved("tokens-as-text", put("tokens", "output", "many"), "output", "many"),
        saved("boundary", put("energy_boundaries", 0, "boundary", "rack"), "boundary", "rack"),
        saved("no-valid-power", put("power_valid", False), "no valid run"),
        saved("without-energy", put("energy_boundaries", []), "no valid run"),
        Case("measure/saved-no-json", ["measure", "--compare", "a.json", "b.json"],
             {"a.json": "{", "b.json": SAVED}, ["a.json"]),
        Case("measure/saved-absent", ["measure", "--compare", "a.json", "b.json"], {"b.json": SAVED},
             ["a.json"]),
        Case("measure/saved-empty-folder", ["measure", "--compare", "a", "b.json"], {"b.json": SAVED},
             ["a: ", "measurement.json"], folders=["a"]),
        Case("measure/compare-url-with-file", ["measure", "--compare", "http://127.0.0.1:1", "b.json"],
             {"b.json": SAVED}, ["--compare"], 2),
        rescored("no-json", "hello", ),
        rescored("other-json", "{}"),
        rescored("empty", ""),
        rescored("deep", "[" * 100_000),
    ]
