"""Broken allocation problems."""
ROOT = '{"id": "r", "parent": null, "limit_watts": 10}'


def device(curve="[[1, 0], [3, 4]]", more="", parent="r", name="gpu"):
    return f'{{"id": "{name}", "parent": "{parent}", "curve": {curve}{more}}}'


def problem(nodes=ROOT, devices="", head='"policy": "value"', guarantees="", cross=""):
    more = f', "cross_limits": [{cross}]' if cross else ""
    return f'{{{head}, "nodes": [{nodes}], "guarantees": [{guarantees}], "devices": [{devices}]{more}}}'


def all_cases(base):
    def bad(name, content, *mentions):
        return base.Case("allocate/" + name, ["allocate", "p.json"], {"p.json": content}, mentions)

    return [
        base.Case("allocate/missing-file", ["allocate", "none.json"], {}, ["none.json"]),
        base.Case("allocate/no-file", ["allocate"], {}, ["problem"], 2),
        bad("empty", "", "p.json"),
        bad("text", "hello", "p.json"),
        bad("cut", problem()[:-5], "p.json"),
        bad("list", "[]", "p.json"),
        bad("no-policy", problem(head='"x": 1'), "policy"),
        bad("other-policy", problem(head='"policy": "fair"'), "fair", "priority"),
        bad("no-nodes", '{"policy": "value"}', "nodes"),
        bad("empty-nodes", problem(nodes=""), "no node is the root"),
        bad("cycle", problem(nodes=ROOT + ', {"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}'), "'a'", "circle"),
        bad("own-parent", problem(nodes='{"id": "a", "parent": "a"}'), "no node is the root"),
        bad("orphan", problem(nodes=ROOT + ', {"id": "a", "parent": "x"}'), "'a'", "'x'"),
        bad("two-roots", problem(nodes=ROOT + ', {"id": "a", "parent": null}'), "'r'", "'a'"),
        bad("two-of-a-name", problem(nodes=ROOT + "," + ROOT), "two nodes", "'r'"),
        bad("no-id", problem(nodes='{"parent": null}'), "id"),
        bad("id-list", problem(nodes='{"id": [], "parent": null}'), "id"),
        bad("negative-limit", problem(nodes='{"id": "r", "limit_watts": -3}'), "limit_watts", "-3"),
        bad("limit-text", problem(nodes='{"id": "r", "limit_watts": "3W"}'), "limit_watts", "3W"),
        bad("limit-nan", problem(nodes='{"id": "r", "limit_watts": NaN}'), "p.json"),
        bad("limit-beyond", problem(nodes='{"id": "r", "limit_watts": 2e15}'), "limit_watts", "null"),
        bad("limit-overflow", problem(nodes='{"id": "r", "limit_watts": 1e999}'), "p.json"),
        bad("device-orphan", problem(devices=device(parent="x")), "'gpu'", "'x'"),
        bad("device-twice", problem(devices=device() + "," + device()), "two devices", "'gpu'"),
        bad("convex", problem(devices=device("[[0, 0], [1, 1], [2, 3]]")), "'gpu'", "concave"),
        bad("no-curve", problem(devices='{"id": "gpu", "parent": "r"}'), "curve"),
        bad("empty-curve", problem(devices=device("[]")), "'gpu'", "one point"),
        bad("falling-watts", problem(devices=device("[[2, 0], [1, 1]]")), "'gpu'", "rise"),
        bad("negative-watts", problem(devices=device("[[-2, 0]]")), "'gpu'", "0 or more"),
        bad("short-point", problem(devices=device("[[2]]")), "curve", "[watts, value]"),
        bad("point-text", problem(devices=device('[["2W", 1]]')), "curve", "[watts, value]"),
        bad("point-overflow", problem(devices=device("[[0, 0], [1e-300, 1e300]]")), "'gpu'", "1e15"),
        bad("unknown-guarantee", problem(devices=device(more=', "guarantee_group": "g"')), "'g'", "'gpu'"),
        bad("negative-guarantee", problem(guarantees='{"id": "g", "watts": -1}'), "watts", "-1"),
        bad("guarantee-twice", problem(guarantees='{"id": "g", "watts": 1}, {"id": "g", "watts": 1}'),
            "two guarantees", "'g'"),
        bad("priority-text", problem(devices=device(more=', "priority": "high"')), "priority", "high"),
        bad("cross-of-nobody", problem(devices=device(), cross='{"id": "B", "shares": [{"device": "x"}]}'), "'B'", "'x'"),
        bad("cross-twice", problem(devices=device(), cross='{"id": "B", "shares": []}, {"id": "B", "shares": []}'), "'B'"),
        bad("cross-device-twice", problem(devices=device(), cross='{"id": "B", "shares": [{"device": "gpu"}, {"device": "gpu"}]}'),
            "'gpu'", "twice"),
        bad("cross-ratio", problem(devices=device(), cross='{"id": "B", "shares": [{"device": "gpu", "ratio": 0}]}'), "ratio"),
        bad("cross-limit", problem(devices=device(), cross='{"id": "B", "limit_watts": -1, "shares": []}'), "limit_watts"),
        bad("cross-no-shares", problem(devices=device(), cross='{"id": "B"}'), "shares"),
        bad("priority-negative", problem(devices=device(more=', "priority": -1')), "priority", "-1"),
    ]
