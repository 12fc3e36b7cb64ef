"""Broken power trees, messages and readings of perwatt topology."""
import json

ROOT = '[[topology.node]]\nid = "utility"\nkind = "utility"\nlimits = [{ power = "10kW", what = "breaker" }]\n'
RACK = '[[topology.node]]\nid = "rack"\nkind = "rack"\nparent = "utility"\n'
GPU = '[[topology.device]]\nid = "gpu"\nparent = "rack"\nmin = "200W"\nmax = "1kW"\n'
TREE = ROOT + RACK + GPU
READ = "time,id,watts\n"


def node(name, keys):
    return f'[[topology.node]]\nid = "{name}"\n{keys}\n'


def message(kind, point, name, **payload):
    return json.dumps({"topic": f"BMS/v1/PUB/{kind}/PowerMeter/{point}/{name}", "payload": payload}) + "\n"


def meter(name, serves=(), unit="kW", point="ActivePower"):
    return message("Metadata", point, name, objectName=name, objectId=name, servesId=list(serves), engUnit=unit)


def topology_cases(Case):
    def bad(name, content, *mentions, words=()):
        return Case("topology/" + name, ["topology", "check", "s.toml", *words], {"s.toml": content}, mentions)

    def bms(name, content, *mentions):
        return Case("topology/bms-" + name, ["topology", "show", "--bms", "m.jsonl"], {"m.jsonl": content}, mentions)

    def read(name, content, *mentions, words=(), exit=3):
        return Case("topology/readings-" + name, ["topology", "check", "s.toml", "--readings", "r.csv", *words],
                    {"s.toml": TREE, "r.csv": content}, mentions, exit)

    def usage(name, *words):
        return Case("topology/" + name, ["topology", *words], {"s.toml": TREE, "r.csv": READ + "0,rack,5\n"}, [], 2)

    def curve(name, keys, csv, *mentions, device='curve = "c"\n'):
        files = {"s.toml": TREE + device + f'[[topology.curve]]\nid = "c"\n{keys}\n', "c.csv": csv}
        return Case("topology/curve-" + name, ["topology", "show", "s.toml"], files, mentions)

    head = "cap_watts,draw_watts,value,value_unit\n"
    good = head + "300,,5,tok/s\n"
    one = 'file = "c.csv"'
    deep = ROOT + "".join(node(f"n{i}", f'parent = "{f"n{i - 1}" if i else "utility"}"') for i in range(5000))
    return [
        Case("topology/missing-file", ["topology", "show", "none.toml"], {}, ["none.toml"]),
        bad("empty", "", "s.toml", "[[topology.node]]"),
        bad("no-node", "[topology]\n", "[[topology.node]]"),
        bad("cut", TREE[:-8], "s.toml:13"),
        bad("cycle", ROOT + node("a", 'parent = "b"') + node("b", 'parent = "a"'), "'a' below 'b' below 'a'"),
        bad("self", node("a", 'parent = "a"'), "a cycle: 'a' below 'a'"),
        bad("long-cycle", deep.replace('parent = "utility"', 'parent = "n4999"'), "(5000 nodes)"),
        bad("deep-overload", deep + GPU.replace('"rack"', '"n4999"').replace('"200W"', '"11kW"').replace('"1kW"', '"11kW"'),
            "'utility'", "11,000 W"),
        bad("orphan", ROOT + node("a", 'parent = "utilty"'), "s.toml:6", "'a' is an orphan", "'utilty'"),
        bad("orphan-device", ROOT + GPU, "'gpu' is an orphan"),
        bad("orphan-feed", ROOT + node("a", 'feeds = [{ parent = "utility" }, { parent = "b" }]'), "'b'"),
        bad("below-a-device", TREE + node("a", 'parent = "gpu"'), "'gpu' is a device"),
        bad("two-roots", ROOT + node("a", ""), "'utility' and 'a'"),
        bad("twice", TREE + RACK, "'rack' is given twice"),
        bad("device-named-as-node", TREE.replace('"gpu"', '"rack"', 1), "'rack' is given twice"),
        bad("negative", TREE.replace("10kW", "-10kW"), "s.toml:4", "-10kW"),
        bad("nan", TREE + node("a", 'parent = "rack"\nefficiency = nan'), "efficiency"),
        bad("infinite", TREE.replace('"1kW"', '"infW"'), "infW"),
        bad("bare-number", TREE.replace('"10kW"', "10000"), "without a unit"),
        bad("zero-limit", TREE.replace("10kW", "0W"), "'utility' has a limit of 0 W"),
        bad("enormous", TREE.replace("10kW", "99999999GW"), "1e15"),
        bad("minimum-above-limit", TREE.replace("200W", "0.5kW").replace("10kW", "400W"), "'utility' draws 500 W", "400 W"),
        bad("minimum-above-limit-by-losses", TREE.replace("200W", "0.5kW").replace("10kW", "500W")
            .replace('kind = "rack"', 'kind = "rack"\nefficiency = 0.9'), "'utility' draws 555.556 W"),
        bad("minimum-above-limit-by-fixed", TREE.replace('kind = "rack"', 'kind = "rack"\nfixed = "11kW"'), "'utility'"),
        bad("minimum-above-maximum", TREE.replace("200W", "2kW"), "'gpu' has a minimum of 2000 W"),
        bad("guaranteed-above-maximum", TREE + 'guaranteed = "3kW"\n', "guaranteed draw of 3000 W"),
        bad("fail-safe-below-minimum", TREE + 'fail_safe = "100W"\n', "fail-safe cap of 100 W"),
        bad("no-maximum", TREE.replace('max = "1kW"\n', ""), "max", "is missing"),
        bad("losses-multiply", ROOT + node("a", 'parent = "utility"\nefficiency = 0.01')
            + node("b", 'parent = "a"\nefficiency = 0.01'), "'b'", "10000"),
        bad("efficiency-above-one", TREE + node("a", 'parent = "rack"\nefficiency = 1.2'), "efficiency", "1.2"),
        bad("shares", ROOT + node("a", 'parent = "utility"') + node("b", 'parent = "utility"')
            + node("c", 'feeds = [{ parent = "a", share = 0.5 }, { parent = "b", share = 0.4 }]'), "'c'", "sum to 0.9"),
        bad("negative-share", ROOT + node("a", 'feeds = [{ parent = "utility", share = -1 }]'), "share"),
        bad("feeds-and-parent", ROOT + node("a", 'parent = "utility"\nfeeds = [{ parent = "utility" }]'), "beside parent"),
        bad("same-feed-twice", ROOT + node("a", 'feeds = [{ parent = "utility" }, { parent = "utility" }]'), "twice"),
        bad("feeds-of-unequal-counts", ROOT + node("a", 'parent = "utility"\ncount = 2') + node("b", 'parent = "utility"\ncount = 3')
            + node("c", 'feeds = [{ parent = "a" }, { parent = "b" }]'), "'c'", "2 nodes", "3 of 'b'"),
        bad("count-zero", TREE + node("a", 'parent = "rack"\ncount = 0'), "count"),
        bad("too-many", TREE + node("a", 'parent = "rack"\ncount = 4000000') + node("b", 'parent = "a"\ncount = 4000000'), "'a'", "at most 4000000"),
        bad("phase-clash", ROOT + node("a", 'parent = "utility"\nphase = "L1"') + node("b", 'parent = "a"\nphase = "L2"'), "'b' is on L2", "'a' on L1"),
        bad("unknown-phase", ROOT + node("a", 'parent = "utility"\nphase = "L4"'), "L4"),
        bad("unknown-kind", TREE.replace('"rack"\np', '"rak"\np'), "did you mean 'rack'"),
        bad("unknown-key", TREE + 'guarantee = "1kW"\n', "guarantee", "guaranteed"),
        bad("trip-out-of-order", TREE.replace('"breaker"', '"breaker", trip = [{ at = 2, after = "5s" }, { at = 1.5, after = "9s" }]'),
            "'utility'", "out of order"),
        bad("trip-at-rating", TREE.replace('"breaker"', '"breaker", trip = [{ at = 1, after = "5s" }]'), "trip point at 1 "),
        bms("empty", "", "no metadata"),
        bms("text", "hello\n", "m.jsonl:1"),
        bms("no-topic", '{"payload": {}}\n', "m.jsonl:1", "topic"),
        bms("other-topic", '{"topic": "x/y", "payload": {}}\n', "'x/y'"),
        bms("no-serves", message("Metadata", "ActivePower", "m", objectId="m", engUnit="kW"), "servesId"),
        bms("unknown-served", meter("m", ["r"]), "m.jsonl:1", "meter 'm' serves 'r'"),
        bms("cycle", meter("a", ["b"]) + meter("b", ["a"]), "a cycle"),
        bms("two-roots", meter("a") + meter("b"), "'a' and 'b'"),
        bms("no-voltage", meter("m", unit="A", point="CurrentLimit") + message("Value", "CurrentLimit", "m", value=5, quality=1),
            "meter 'm'", "no Voltage"),
        bms("untrusted-limit", meter("m", point="CurrentLimit") + message("Value", "CurrentLimit", "m", value=5, quality=0),
            "no value of quality 1"),
        bms("unit", meter("m", unit="BTU"), "'BTU'"),
        bms("negative-limit", meter("m", point="CurrentLimit") + message("Value", "CurrentLimit", "m", value=-5, quality=1), "-5000 W"),
        bms("value-as-text", meter("m") + message("Value", "ActivePower", "m", value="x", quality=1), "m.jsonl:2", "value"),
        bms("control-characters", meter("m\u0007"), "objectId"),
        read("empty", "", "r.csv"),
        read("no-rows", READ, "no reading"),
        read("unknown-id", READ + "0,rak,5\n", "r.csv:2", "'rak'"),
        read("nan", READ + "0,rack,nan\n", "r.csv:2", "'nan'"),
        read("no-column", "time,id\n0,rack\n", "watts"),
        read("pulse-of-nobody", READ + "0,rack,5\n", "'rak' is no node", words=["--pulse", "rak"]),
        read("pulse-backwards", READ + "0,rack,5\n", words=["--pulse", "rack", "--pulse-from", "9s", "--pulse-to", "5s"], exit=2),
        read("pulse-half", READ + "0,rack,5\n", words=["--pulse", "rack", "--pulse-from", "9s"], exit=2),
        read("tolerance", READ + "0,rack,5\n", words=["--tolerance", "2"], exit=2),
        curve("no-file", "", good, "file"),
        curve("missing-file", 'file = "d.csv"', good, "d.csv"),
        curve("empty", one, "", "c.csv"),
        curve("no-rows", one, head, "without a row"),
        curve("no-value", one, "cap_watts,value_unit\n1,u\n", "value"),
        curve("no-unit", one, "cap_watts,value\n1,2\n", "value_unit"),
        curve("no-watts", one, head + ",,5,tok/s\n", "c.csv:2", "without watts"),
        curve("negative", one, head + "-3,,5,tok/s\n", "c.csv:2: cap_watts", "'-3'"),
        curve("nan", one, head + "300,,nan,tok/s\n", "c.csv:2: value", "'nan'"),
        curve("watts-unit", one, head + "300W,,5,tok/s\n", "'300W'"),
        curve("two-units", one, good + "400,,6,USD/h\n", "c.csv:3", "'USD/h'"),
        curve("ragged", one, good + "400\n", "c.csv:3"),
        curve("unknown", one, good, "s.toml:14", "'x'", device='curve = "x"\n'),
        curve("twice", one + '\n[[topology.curve]]\nid = "c"\nfile = "c.csv"', good, "'c' is given twice"),
        curve("settings", one + '\nsettings = "all"', good, "'all'"),
        curve("watts", one + '\nwatts = "mean"', good, "'mean'"),
        curve("mixed-watts", one, head + "300,,5,tok/s\n,200,4,tok/s\n", "no kind of watts"),
        Case("topology/curve-in-check", ["topology", "check", "s.toml"],
             {"s.toml": TREE + 'curve = "x"\n'}, ["s.toml:14", "'x'"]),
        curve("watts-missing", one + '\nwatts = "draw"', good, "draw_watts"),
        curve("worth-alone", one + "\nworth = 2", good, "worth_unit"),
        curve("worth-zero", one + '\nworth = 0\nworth_unit = "USD/h"', good, "worth"),
        curve("too-high", one, head + "3000,,5,tok/s\n", "'c'", "1000 W", "'gpu'"),
        curve("misspelt", one + '\nsetting = "any"', good, "setting"),
        usage("no-verb"), usage("no-tree", "show"), usage("two-trees", "show", "s.toml", "--bms", "s.toml"),
        usage("pulse-without-readings", "check", "s.toml", "--pulse", "rack"),
        usage("strict-downgrade", "check", "s.toml", "--strict", "--downgrade"),
        usage("report-name", "show", "s.toml", "--report", "out.txt"),
        usage("report-over-site", "show", "s.toml", "--report", "s.toml"),
    ]
