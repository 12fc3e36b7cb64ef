"""Broken scenarios and flags of perwatt simulate."""
HEAD = '[scenario]\nname = "s"\nduration = "2s"\n'
KIND = '[[device_kind]]\naccelerator = "g"\nidle = "100W"\n'
TREE = ('[[topology.node]]\nid = "site"\nlimits = [{ power = "5kW", what = "breaker" }]\nmeter = "supply"\n'
        '[[topology.node]]\nid = "rack"\nkind = "rack"\nparent = "site"\ncount = 2\n'
        '[[topology.device]]\nid = "gpu"\nparent = "rack"\ncount = 4\nmin = "200W"\nmax = "700W"\naccelerator = "g"\n')
SERVICE = ('[[service]]\nid = "chat"\ninput = { tokens = 100 }\noutput = { tokens = 10 }\n'
           'arrivals = { rate = "5req/s" }\n[service.aggregated]\nbelow = "rack-1"\ninstances = 2\ngpus = 2\n'
           'prefill_rate = "10ktok/s"\nmost_sequences = 8\nidle = "100W"\nprefill_power = "600W"\n')
TRAINING = ('[[training]]\nid = "train"\ngpus = 4\nbelow = "rack-2"\nstep = "1s"\nidle = "100W"\n'
            'compute_power = "600W"\n')
GOOD = HEAD + KIND + TREE + SERVICE + TRAINING


def fault(kind, keys="", node='node = "rack-1"\n', at='at = "1s"\n', lasts='lasts = "1s"\n'):
    return f'[[fault]]\nkind = "{kind}"\n{at}{lasts}{node}{keys}'


def policy(keys, kind="even"):
    return f'[[policy]]\nkind = "{kind}"\n{keys}\n'


def scenario_cases(Case):
    def bad(name, content, *mentions, files=None):
        return Case("scenario/" + name, ["simulate", "s.toml"], {"s.toml": content, **(files or {})}, mentions)

    def change(name, old, new, *mentions):
        assert old in GOOD, name
        return bad(name, GOOD.replace(old, new, 1), "s.toml", *mentions)

    def more(name, text, *mentions):
        return bad(name, GOOD + text, "s.toml", *mentions)

    def usage(name, *words):
        return Case("scenario/" + name, ["simulate", *words], {"s.toml": GOOD}, [], 2)

    def run(name, code, *words):
        files = {"s.toml": GOOD, "r.csv": "unix_time_s,meter,scope,power_watts,counter_joules\n1,gpu-7,gpu,300,\n"}
        return Case("run/" + name, ["run", "s.toml", "--listen", "127.0.0.1:0", *words], files, [], code)

    steady = '{ rate = "5req/s" }'

    def trace(name, files, *mentions):
        return bad("trace-" + name, GOOD.replace(steady, '{ trace = "t.csv" }'), "t.csv", *mentions, files=files)

    columns = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    return [
        Case("scenario/missing-file", ["simulate", "none.toml"], {}, ["none.toml"]),
        bad("empty", "", "s.toml"),
        bad("not-toml", "[scenario\n", "s.toml:1"),
        bad("no-scenario", KIND + TREE, "scenario", "is missing"),
        bad("no-tree", HEAD + KIND, "[[topology.node]]"),
        bad("no-device", HEAD + KIND + TREE.split("[[topology.device]]")[0], "no device"),
        bad("cycle", HEAD + KIND + TREE.replace('id = "site"\n', 'id = "site"\nparent = "rack-1"\n'), "s.toml"),
        change("no-name", 'name = "s"\n', "", "name"),
        change("no-duration", 'duration = "2s"\n', "", "duration", "is missing"),
        change("bare-duration", '"2s"', "2", "duration"),
        change("long", '"2s"', '"9601h"', "duration", "400 days"),
        change("shorter-than-a-step", '"2s"', '"1ms"', "duration", "shorter than a step"),
        change("too-many-steps", '"2s"', '"9000h"\nstep = "1ms"', "duration"),
        change("step-of-nothing", 'name = "s"', 'name = "s"\nstep = "0s"', "step"),
        change("overshoot-without-percent", 'name = "s"', 'name = "s"\novershoot = "3"', "overshoot", "0% to 100%"),
        change("settle-of-years", 'name = "s"', 'name = "s"\nsettle = "1e9h"', "settle"),
        change("seed-negative", 'name = "s"', 'name = "s"\nseed = -1', "seed"),
        change("price", 'name = "s"', 'name = "s"\nelectricity = "6ct"', "electricity"),
        change("unknown-key", 'name = "s"', 'name = "s"\nduraton = "3s"', "duraton", "duration"),
        change("period-between-steps", "[[device_kind]]", '[sensors]\nperiod = "150ms"\n[[device_kind]]', "sensors.period"),
        change("bias", "[[device_kind]]", '[meters]\nbias = "60%"\n[[device_kind]]', "meters.bias"),
        change("delay-without-end", "[[device_kind]]", '[sensors]\ndelay = "99h"\n[[device_kind]]', "delay"),
        change("kind-of-nobody", 'accelerator = "g"\nidle', 'accelerator = "h"\nidle', "'h'"),
        change("no-kind", KIND, "", "[[device_kind]]"),
        more("kind-twice", KIND, "'g' has a kind already"),
        change("idle-above-min", 'idle = "100W"', 'idle = "300W"', "idle", "300 W"),
        change("latency-above-most", 'idle = "100W"\n', 'idle = "100W"\nleast_latency = "9s"\n', "least_latency"),
        change("below-nowhere", '"rack-1"', '"rack-3"', "'rack-3'"),
        change("too-many-gpus", "instances = 2", "instances = 3", "6 GPUs", "4 are free", "'rack-1'"),
        change("no-idle", 'most_sequences = 8\nidle = "100W"\n', "most_sequences = 8\n", "idle"),
        change("gpu-of-a-gigawatt", '"600W"', '"1GW"', "prefill_power"),
        change("gpu-of-a-gigawatt-training", 'compute_power = "600W"', 'compute_power = "1GW"', "compute_power"),
        change("no-pool", "[service.aggregated]", "[service.agregated]", "aggregated"),
        change("half-of-pools", "[service.aggregated]", "[service.prefill]", "aggregated"),
        change("no-input", "input = { tokens = 100 }\n", "", "input"),
        change("tokens-of-nothing", "tokens = 100", "tokens = 0", "tokens"),
        change("law", "tokens = 100", 'tokens = 100, law = "exponental"', "'exponential'"),
        change("no-arrivals", f"arrivals = {steady}\n", "", "arrivals"),
        change("rate-of-nothing", '"5req/s"', '"0req/s"', "rate"),
        change("pattern", steady, '{ rate = "5req/s", pattern = "poison" }', "'poisson'"),
        change("daily-out-of-order", steady, '{ daily = [{ at = "0h", rate = "1req/s" }, { at = "5h", rate = "1req/s" }, '
               '{ at = "3h", rate = "1req/s" }] }', "daily"),
        change("daily-beyond-the-day", steady, '{ daily = [{ at = "0h", rate = "1req/s" }, { at = "25h", rate = "1req/s" }] }', "daily"),
        change("daily-of-another-day", steady, '{ daily = [{ at = "0h", rate = "1req/s" }], starts_at = "24h" }', "starts_at"),
        change("rate-of-a-planet", '"5req/s"', '"1e300req/s"', "rate"),
        trace("missing", {}),
        trace("empty", {"t.csv": columns}),
        trace("without-column", {"t.csv": "TIMESTAMP,ContextTokens\n"}, "GeneratedTokens"),
        trace("of-words", {"t.csv": columns + "2026-01-01 00:00:00,five,5\n"}, "ContextTokens"),
        change("clients", steady, "{ clients = 0 }", "clients"),
        change("compute-below-idle", 'compute_power = "600W"', 'compute_power = "90W"', "compute_power"),
        change("communication-only", 'step = "1s"', 'step = "1s"\ncommunication_ratio = 1', "communication_ratio"),
        change("tier", 'id = "chat"', 'id = "chat"\ntier = "20%"', "tier", "'20%'"),
        change("tier-bare", 'id = "train"', 'id = "train"\ntier = 0.5', "tier"),
        change("tier-of-half-a-service", '[service.aggregated]', 'tier = "paused"\n[service.prefill]', "tier", "50%"),
        change("least-instances", 'instances = 2', 'instances = 2\nleast_instances = 3', "least_instances"),
        change("part-gpus", 'id = "train"', 'id = "train"\npart_gpus = 3', "part_gpus", "divisor"),
        change("least-parts", 'id = "train"', 'id = "train"\nleast_parts = 2', "least_parts"),
        change("same-job", '"train"', '"chat"', "'chat' is given twice"),
        more("fault-kind", fault("feed-lots"), "'feed-lost'"),
        more("fault-node", fault("node-off", node='node = "row"\n'), "'row'"),
        more("fault-of-the-root", fault("feed-lost", node='node = "site"\n'), "root"),
        more("fault-without-time", fault("node-off", at=""), "at", "is missing"),
        more("fault-without-power", fault("limit-lowered"), "power"),
        more("fault-of-centuries", fault("node-off", lasts='lasts = "1e9h"\n'), "lasts"),
        more("messages-lost-twofold", fault("messages-lost", "ratio = 2\n", node=""), "ratio"),
        more("failures-every-millisecond", '[random_failures]\nmean_time_between = "1ms"\nrepair_takes = "1s"\n',
             "mean_time_between"),
        more("failures-of-halls", '[random_failures]\nof = "hall"\nmean_time_between = "1h"\nrepair_takes = "1s"\n', "'hall'"),
        more("policy-kind", policy("", "perwat"), "'perwatt'"),
        more("policy-cadence", policy('cadence = "0s"'), "cadence"),
        more("policy-off", policy('off = ["chta"]'), "'chta'", "chat, train"),
        more("policy-absent", policy('absent = ["site"]'), "absent"),
        bad("policy-without-its-gpus", GOOD + policy('absent = ["rack-1"]'), "'chat'", "policy"),
        bad("policy-without-a-device", GOOD + policy('absent = ["rack-1", "rack-2"]\noff = ["chat", "train"]'), "no device"),
        more("policy-twice", policy("") + policy(""), "'even' is given twice"),
        bad("fail-safe-above-the-limit", GOOD.replace('max = "700W"', 'max = "700W"\nfail_safe = "650W"'), "'site'"),
        usage("no-scenario-named"),
        usage("unknown-policy", "s.toml", "--policy", "evn"),
        usage("duration-flag", "s.toml", "--duration", "0s"),
        usage("duration-flag-without-unit", "s.toml", "--duration", "10"),
        usage("seeds-flag", "s.toml", "--seeds", "0"),
        change("policy-mode", TRAINING, TRAINING + policy('mode = "advice"', "perwatt"), "mode", "'advise'"),
        change("policy-mode-of-another", TRAINING, TRAINING + policy('mode = "advise"'), "mode", "perwatt alone"),
        change("policy-raise-of-nothing", TRAINING, TRAINING + policy('raise_per_second = "0W"', "perwatt"), "raise_per_second"),
        change("policy-spread-of-days", TRAINING, TRAINING + policy('raise_spread = "99h"', "perwatt"), "raise_spread"),
        change("policy-changes", TRAINING, TRAINING + policy("changes_per_hour = 0", "perwatt"), "changes_per_hour"),
        change("policy-changes-of-another", TRAINING, TRAINING + policy("changes_per_hour = 9"), "perwatt alone"),
        more("maintenance-of-nobody", '[[maintenance]]\nnode = "row"\nat = "1s"\nlasts = "1s"\n', "'row'"),
        more("maintenance-without-end", '[[maintenance]]\nnode = "site"\nat = "1s"\n', "lasts", "is missing"),
        more("maintenance-from", '[[maintenance]]\nnode = "site"\nfrom = "1s"\nat = "1s"\nlasts = "1s"\n', "from"),
        run("recording-under-control", 2, "--readings", "r.csv", "--mode", "control"),
        run("recording-of-another-site", 3, "--readings", "r.csv"),
        run("no-recording", 3, "--readings", "none.csv"),
        run("observing-with-static-caps", 2, "--policy", "even", "--mode", "observe"),
        run("dry-run-against-nobody", 2, "--dry-run-against", "evn"),
        run("dry-run-against-no-file", 3, "--dry-run-against", "none.toml"),
        run("dry-run-beyond-the-end", 2, "--dry-run-against", "even", "--at", "9h"),
        run("dry-run-without-unit", 2, "--dry-run-against", "even", "--at", "9"),
        run("json-without-dry-run", 2, "--json"),
        run("dry-run-of-a-recording", 2, "--dry-run-against", "even", "--readings", "r.csv"),
        run("unknown-mode", 2, "--mode", "watch"),
        usage("seed-flag", "s.toml", "--seed", "-1"),
        usage("report-name", "s.toml", "--report", "page.txt"),
        usage("report-over-the-scenario", "s.toml", "--report", "s.toml"),
    ]
