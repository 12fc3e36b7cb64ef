"""Broken profiles, graphs, plans and questions of perwatt train."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = "stage,instruction,frequency,time,energy\n"
GOOD = HEAD + "0,forward,1410,1,5\n0,forward,1200,1.5,3\n0,backward,1410,2,9\n0,backward,1200,2.5,7\n"
SIZE = ["--stages", "1", "--microbatches", "2", "--blocking-power", "1W"]
OPERATION = '{"name": "a", "stage": 0, "instruction": "forward"}'


def kernel(begin, more=""):
    return (f'{{"ph": "X", "cat": "kernel", "name": "k", "ts": {begin}, "dur": 5, '
            f'"args": {{"stream": 7, "device": 0{more}}}}}')


def trace(*events, head='"baseTimeNanoseconds": 1700000000000000000, "distributedInfo": {"rank": 0, "world_size": 1}'):
    return "{" + head + ', "traceEvents": [\n' + ",\n".join(events) + "\n]}\n"


FORWARD = ('{"ph": "X", "cat": "gpu_user_annotation", "name": "forward", "ts": 10, "dur": 15, '
           '"args": {"stream": 7}}')
TRACE = trace(kernel(10), kernel(20), FORWARD)
STEP = FORWARD.replace("forward", "step").replace('"dur": 15', '"dur": 5')
PAIR = '"baseTimeNanoseconds": 1700000000000000000, "distributedInfo": {"rank": RANK, "world_size": 2}'
STAGED = ('"distributedInfo": {"rank": RANK, "world_size": 4, "pg_config": [{"pg_name": "3", "pg_desc": "mesh_pp", '
          '"ranks": [RANK, 2]}]}')
POWER = "unix_time_s,meter,scope,power_watts,counter_joules\n"
LOG = POWER + "".join(f"{1699999999 + i},gpu0,gpu,{300 + i},\n" for i in range(4))

LONG = trace(kernel(10).replace('"dur": 5', '"dur": 2000000'), FORWARD.replace('"dur": 15', '"dur": 2000000'))
NOISY = POWER + "".join(f"{1699999999 + i / 10:.1f},gpu0,gpu,{900 * (i % 3 == 0) + i % 7},\n" for i in range(40))


def trace_cases(Case):
    def bad(name, content, *mentions):
        return Case("training/trace-" + name, ["train", "profile", "t.json"], {"t.json": content}, mentions)

    def asked(name, words, *mentions, power=LOG, more=(), exit=3):
        return Case("training/traces-" + name, ["train", "profile", "t.json", *words],
                    {"t.json": TRACE, "p.csv": power, **dict(more)}, mentions, exit)

    out = ["--profile", "o.csv", "--frequency", "1410MHz"]
    return [
        Case("training/trace-missing-file", ["train", "profile", "none.json"], {}, ["none.json"]),
        bad("empty", "", "t.json:1", "last bracket"),
        bad("cut", TRACE[:-4], "t.json:4", "last bracket"),
        bad("cut-event", TRACE[:150], "t.json:2", "last bracket"),
        bad("text", "hello", "t.json:1", "'h'"),
        bad("no-events", "{}", "traceEvents"),
        bad("no-list", '{"traceEvents": 5}', "no list"),
        bad("no-gpu", trace(), "ProfilerActivity.CUDA"),
        bad("empty-description", trace(kernel(10, ', "Process Group Description": ,')), "t.json:2", "PyTorch"),
        bad("time-as-text", trace(kernel('"x"')), "t.json:2", "'k'", "ts"),
        bad("time-below-zero", trace(kernel(-5)), "t.json:2", "1970"),
        bad("no-duration", trace('{"ph": "X", "cat": "kernel", "name": "k", "ts": 5}'), "t.json:2", "dur"),
        bad("negative-duration", trace('{"ph": "X", "cat": "kernel", "name": "k", "ts": 5, "dur": -1}'), "dur"),
        bad("two-devices", trace(kernel(10), kernel(20).replace('"device": 0', '"device": 1')), "t.json", "device 0",
            "device 1"),
        bad("device-below-zero", trace(kernel(10).replace('"device": 0', '"device": -2')), "t.json:2", "device -2"),
        bad("rank-of-no-job", trace(kernel(10), head='"distributedInfo": {"rank": 5, "world_size": 2}'), "2 ranks", "rank 5"),
        bad("bad-rank", trace(kernel(10), head='"distributedInfo": {"rank": -3}'), "t.json:1", "rank"),
        bad("bad-base", trace(kernel(10), head='"baseTimeNanoseconds": "x"'), "t.json:1", "baseTimeNanoseconds"),
        bad("damaged-gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x00\x01", "t.json", "gzip"),
        Case("training/traces-same-rank", ["train", "profile", "t.json", "u.json"], {"t.json": TRACE, "u.json": TRACE},
             ["u.json", "rank 0", "t.json"]),
        Case("training/traces-no-rank", ["train", "profile", "t.json", "u.json"],
             {"t.json": TRACE, "u.json": trace(kernel(1), head='"schemaVersion": 1')}, ["u.json", "--ranks"]),
        asked("rank-outside", ["--ranks", "5", "--stages", "2"], "rank 5", "--stages",
              more={"t.json": trace(kernel(10), head='"schemaVersion": 1')}.items()),
        asked("rank-stated", ["--ranks", "5"], "rank 0", "not 5", "--ranks", exit=2),
        asked("layout-of-another-job", ["--stages", "2"], "1 ranks", "2", "--stages"),
        Case("training/traces-of-two-jobs", ["train", "profile", "t.json", "u.json"],
             {"t.json": TRACE, "u.json": trace(kernel(1), head='"distributedInfo": {"rank": 1, "world_size": 8}')},
             ["u.json", "8 ranks", "t.json"]),
        Case("training/traces-in-one-place", ["train", "profile", "t.json", "u.json"],
             {f"{name}.json": trace(kernel(10), head=STAGED.replace("RANK", str(rank))) for rank, name in enumerate("tu")},
             ["ranks 0 and 1", "--stages"]),
        Case("training/traces-with-uneven-names", ["train", "profile", "t.json", "u.json", "--iteration", "step"],
             {"t.json": trace(kernel(10), STEP, kernel(30), STEP.replace('"ts": 10', '"ts": 30'), head=PAIR.replace("RANK", "0")),
              "u.json": trace(kernel(10), STEP, head=PAIR.replace("RANK", "1"))}, ["u.json", "'step'", "t.json 2 times"]),
        asked("power-missing", ["--power", "none.csv"], "none.csv"),
        asked("power-elsewhere", ["--power", "p.csv"], "meter 'gpu0'", "--clock-offset",
              power=POWER + "".join(f"{1800000000 + i},gpu0,gpu,300,\n" for i in range(4))),
        asked("power-no-meter", ["--power", "p.csv"], "rank 0", "gpu7", "--meter 0=METER", power=LOG.replace("gpu0", "gpu7")),
        asked("power-of-a-node", ["--power", "p.csv"], "no meter of a GPU", power=LOG.replace("gpu0,gpu", "gpu0,node")),
        asked("power-too-slow", ["--power", "p.csv", "--averaging", "0s", *out], "meter 'gpu0'", "forward"),
        asked("power-zone", ["--power", "p.csv?timezone=CET"], "timezone=+02:00", exit=2),
        asked("power-no-averaging", ["--power", "p.csv", *out], "meter 'gpu0'", "--averaging"),
        asked("power-of-other-gpus", ["--power", "p.csv"], "rank 0", "gpu0, gpu1", "--meter 0=METER",
              power=LOG + LOG.replace("gpu0", "gpu1")[len(POWER):]),
        asked("power-too-noisy", ["--power", "q.csv", "--averaging", "0s", *out], "forward of rank 0", "±", "energy counter",
              more={"q.csv": NOISY, "t.json": LONG}.items()),
        asked("profile-over-power", ["--power", "p.csv", "--frequency", "1410MHz", "--profile", "x/../p.csv"], "p.csv",
              "--power", "--profile", exit=2),
        asked("profile-over-trace", ["--power", "p.csv", "--frequency", "1410MHz", "--profile", "t.json"], "TRACE",
              exit=2),
        asked("tokens-of-unknown-stages", ["--power", "p.csv", "--meter", "0=gpu0", "--tokens", "8"], "1 of 2 ranks",
              "stages", "--stages", more={"t.json": trace(kernel(10), kernel(20), head=PAIR.replace("RANK", "0"))}.items()),
        asked("meter-text", ["--power", "p.csv", "--meter", "gpu0"], "'gpu0'", "RANK=METER", exit=2),
        asked("meter-of-no-rank", ["--power", "p.csv", "--meter", "4=gpu0"], "rank 4", exit=2),
        asked("meter-unknown", ["--power", "p.csv", "--meter", "0=gpu5"], "rank 0", "gpu0"),
        asked("averaging-bare", ["--power", "p.csv", "--averaging", "1"], "--averaging", exit=2),
        asked("profile-without-power", out, "--power", exit=2),
        asked("profile-without-clock", ["--power", "p.csv", "--profile", "o.csv"], "--frequency", exit=2),
        asked("clock-bare", ["--power", "p.csv", "--profile", "o.csv", "--frequency", "1410"], "1410MHz", exit=2),
        asked("append-nothing", ["--append"], "--profile", exit=2),
        asked("price-without-tokens", ["--power", "p.csv", "--energy-price", "0.1USD/kWh"], "--tokens", exit=2),
        asked("tokens-of-unknown-job", ["--power", "p.csv", "--meter", "0=gpu0", "--tokens", "8"], "--tokens", "--stages",
              more={"t.json": trace(kernel(10), kernel(20),
                                    head='"baseTimeNanoseconds": 1700000000000000000')}.items()),
        asked("price-bare", ["--power", "p.csv", "--tokens", "8", "--energy-price", "0.1", "--stages", "1"],
              "--energy-price", "USD/kWh", exit=2),
        asked("instruction-text", ["--instruction", "forward"], "'forward'", "INSTRUCTION=NAME", exit=2),
        asked("too-many-instructions", sum((["--instruction", f"i{n}=k{n}"] for n in range(7)), []), "7", "--instruction",
              more={"t.json": trace(*[e for n in range(7) for e in (kernel(10 * n), FORWARD.replace("forward", f"k{n}").replace(
                  '"ts": 10, "dur": 15', f'"ts": {10 * n}, "dur": 5'))])}.items()),
        asked("layout-without-stages", ["--tensor", "2"], "--stages", exit=2),
        asked("layout-too-large", ["--stages", "4096", "--tensor", "4096"], "million", exit=2),
        Case("training/profile-flag-before", ["train", "--min-energy", "profile", "t.json"], {"t.json": TRACE},
             ["--min-energy", "profile"], 2),
    ]


def all_cases(shared):
    Case = shared.Case

    def profile(name, content, *mentions):
        return Case("training/profile-" + name, ["train", "p.csv", *SIZE], {"p.csv": content}, mentions)

    def dag(name, content, *mentions):
        return Case("training/dag-" + name, ["train", "p.csv", "--dag", "d.json", "--blocking-power", "1W"],
                    {"p.csv": GOOD, "d.json": content}, mentions)

    def plan(name, content, *mentions):
        return Case("training/plan-" + name, ["train", "replay", "plan.py", "--profile", "p.csv", *SIZE],
                    {"p.csv": GOOD, "plan.py": content}, mentions)

    def iterations(name, content, *mentions):
        return Case("training/iterations-" + name, ["train", "p.csv", *SIZE, "--fit-iterations", "m.csv"],
                    {"p.csv": GOOD, "m.csv": content}, mentions)

    def flags(name, words, *mentions, exit=2):
        return Case("training/" + name, ["train", *words], {"p.csv": GOOD}, mentions, exit)

    pipeline = '[[pipeline]]\nname = "a"\nprofile = "p.csv"\nstages = 1\nmicrobatches = 2\nblocking_power = "1W"\n'

    def serve(name, content, words, *mentions, exit=3, files=None):
        return Case("training/serve-" + name, ["train", "serve", "s.toml", "--state", "s.sqlite", *words],
                    {"p.csv": GOOD, "s.toml": content, **(files or {})}, mentions, exit)

    return trace_cases(Case) + [
        serve("no-pipeline", "", [], "s.toml", "[[pipeline]]"),
        serve("no-profile", pipeline.replace("p.csv", "q.csv"), [], "q.csv"),
        serve("bare-power", pipeline.replace("1W", "1"), [], "s.toml:6", "blocking_power", "W"),
        serve("no-power", pipeline.replace('blocking_power = "1W"\n', ""), [], "s.toml:1", "blocking_power"),
        serve("no-stages", pipeline.replace("stages = 1", "stages = 0"), [], "s.toml:4", "stages"),
        serve("unknown-key", pipeline + "microbatch = 3\n", [], "s.toml:7", "microbatches"),
        serve("two-names", pipeline + pipeline, [], "s.toml:8", "'a'"),
        serve("short", pipeline + 'iteration_time = "1s"\n', [], "s.toml:7", "iteration_time", "1 s"),
        serve("other-knobs", pipeline, [], "s.toml:2", "knob x",
              files={"p.csv": "stage,instruction,x,time,energy\n0,forward,1,1,1\n0,backward,1,1,1\n"}),
        serve("anyone", pipeline, ["--listen", "0.0.0.0:0"], "0.0.0.0", "token", exit=2),
        serve("no-port", pipeline, ["--listen", "127.0.0.1"], "--listen", "'127.0.0.1'", exit=2),
        serve("port-too-high", pipeline, ["--listen", "127.0.0.1:65536"], "--listen", exit=2),
        serve("no-address", pipeline, ["--listen", "localhost:0"], "'localhost'", "127.0.0.1"),
        serve("short-token", pipeline, ["--token-file", "t"], "t:", "5 bytes", files={"t": "hello"}),
        serve("no-key", pipeline, ["--certificate", "c.pem"], "key", exit=2),
        serve("no-certificate", pipeline, ["--certificate", "t", "--key", "t"], "t:", "PEM", files={"t": "hello"}),
        serve("no-database", pipeline, ["--listen", "127.0.0.1:0"], "s.sqlite", "not a database",
              files={"s.sqlite": "hello" * 1000}),
        serve("bare-size", pipeline, ["--max-body", "4096"], "--max-body", "4MiB", exit=2),
        serve("forgets-at-once", pipeline, ["--forget-after", "0s"], "--forget-after", "1min", exit=2),
        serve("empty-token-file", pipeline, ["--token-file", ""], "--token-file", "empty", exit=2),
        serve("bare-time", pipeline, ["--forget-after", "7"], "--forget-after", exit=2),
        Case("training/missing-file", ["train", "none.csv", *SIZE], {}, ["none.csv"]),
        profile("empty", "", "p.csv"),
        profile("no-rows", HEAD, "no rows"),
        profile("no-time", "stage,instruction,frequency,energy\n0,forward,1410,1\n", "time"),
        profile("no-knob", "stage,instruction,time,energy\n0,forward,1,1\n", "frequency"),
        profile("nan", HEAD + "0,forward,1410,nan,1\n", "p.csv:2", "time", "'nan'"),
        profile("infinite", HEAD + "0,forward,1410,inf,1\n", "p.csv:2", "'inf'"),
        profile("zero-time", HEAD + "0,forward,1410,0,1\n", "p.csv:2", "above 0"),
        profile("negative-energy", HEAD + "0,forward,1410,1,-2\n", "p.csv:2", "energy", "'-2'"),
        profile("negative-stage", HEAD + "-1,forward,1410,1,2\n", "p.csv:2", "stage"),
        profile("half-a-megahertz", HEAD + "0,forward,1410.5,1,2\n", "p.csv:2", "frequency"),
        profile("no-instruction", HEAD + "0,,1410,1,2\n", "p.csv:2", "instruction"),
        profile("contradiction", GOOD + "0,forward,1410,1.1,5\n", "p.csv:6", "line 2"),
        profile("missing-instruction", HEAD + "0,forward,1410,1,5\n", "backward", "p.csv"),
        profile("stage-too-many", GOOD + "1,forward,1410,1,5\n", "p.csv:6", "--stages 2"),
        profile("field-missing", HEAD + "0,forward,1410,1\n", "p.csv:2"),
        profile("too-long", HEAD + "0,forward,1410,99999,1\n0,backward,1410,1,1\n", "p.csv:2", "10000"),
        dag("no-json", "{", "d.json"),
        dag("list", "[]", "d.json"),
        dag("no-operations", '{"operations": []}', "operations"),
        dag("same-name", f'{{"operations": [{OPERATION}, {OPERATION}]}}', "'a'"),
        dag("unknown-operation", f'{{"operations": [{OPERATION}], "dependencies": [{{"before": "a", "after": "z"}}]}}',
            "'z'", "after"),
        dag("circle", f'{{"operations": [{OPERATION}], "dependencies": [{{"before": "a", "after": "a"}}]}}', "circle"),
        dag("no-stage", '{"operations": [{"name": "a", "instruction": "forward"}]}', "stage"),
        dag("no-options", '{"operations": [{"name": "a", "stage": 3, "instruction": "forward"}]}', "stage 3"),
        dag("zero-time", '{"operations": [{"name": "a", "stage": 0, "instruction": "x", "options": '
            '[{"time_seconds": 0, "energy_joules": 1}]}]}', "time_seconds"),
        plan("empty", "", "plan.py:1"),
        plan("call", "[[('forward', open('x'))]]", "plan.py:1", "frequency"),
        plan("unclosed", "[[('forward', 1410)", "plan.py:1"),
        plan("other-stages", "[[1410], [1410]]", "2 stages"),
        plan("too-short", "[[('forward', 1410)]]", "stage 0, entry 1"),
        plan("too-long", "[[1410, 1410, 1410, 1410, 1410]]", "too many"),
        plan("other-order", "[[('backward', 1410), ('forward', 1410)]]", "entry 0", "'backward'"),
        plan("unknown-frequency", "[[1410, 1411, 1410, 1410]]", "1411 MHz"),
        plan("json-without-stages", "{}", "stages"),
        iterations("no-passes", "measured_iter_time_s\n1\n", "fwd_s0"),
        iterations("no-time", "fwd_s0,bwd_s0\n1,1\n", "measured_iter_time_s"),
        iterations("text", "measured_iter_time_s,fwd_s0,bwd_s0\nx,1,1\n", "m.csv:2", "'x'"),
        iterations("other-stages", "measured_iter_time_s,fwd_s0,bwd_s0,fwd_s1,bwd_s1\n9,1,1,1,1\n", "2 stages"),
        flags("no-profile", ["--blocking-power", "1W"], "PROFILE.csv"),
        flags("no-blocking-power", ["p.csv", "--stages", "1", "--microbatches", "2"], "--blocking-power"),
        flags("bare-power", ["p.csv", *SIZE[:-1], "80"], "--blocking-power", "W"),
        flags("no-size", ["p.csv", "--blocking-power", "1W"], "--stages"),
        flags("no-stages", ["p.csv", "--stages", "0", *SIZE[2:]], "--stages"),
        flags("unknown-schedule", ["p.csv", *SIZE, "--schedule", "2f2b"], "'2f2b'", "1f1b"),
        flags("no-chunks", ["p.csv", *SIZE, "--schedule", "interleaved:0"], "interleaved:V"),
        flags("too-many-operations", ["p.csv", "--stages", "4096", "--microbatches", "4096", *SIZE[4:]],
              "--microbatches"),
        flags("two-questions", ["p.csv", *SIZE, "--at", "3s", "--min-energy"], "--at"),
        flags("bare-time", ["p.csv", *SIZE, "--at", "3"], "--at"),
        flags("switches-of-a-cap", ["p.csv", *SIZE, "--power-cap", "10W", "--max-switches", "3"], "--max-switches"),
        flags("dag-with-stages", ["p.csv", *SIZE, "--dag", "d.json"], "--dag"),
        flags("fit-and-tail", ["p.csv", *SIZE, "--tail", "1s", "--fit-iterations", "m.csv"], "--fit-iterations"),
        Case("training/frontier-over-iterations",
             ["train", "p.csv", *SIZE, "--fit-iterations", "m.csv", "--frontier", "./x/../m.csv"],
             {"p.csv": GOOD, "m.csv": "measured_iter_time_s,fwd_s0,bwd_s0\n9,1,1\n"}, ["m.csv", "--fit-iterations", "--frontier"], 2),
        flags("report-not-html", ["p.csv", *SIZE, "--report", "r.md"], "--report"),
        flags("plan-over-report", ["p.csv", *SIZE, "--report", "r.html", "--plan", "x/../r.md"], "--report", "--plan",
              "r.md"),
        Case("training/report-over-plan",
             ["train", "replay", "plan.md", "--profile", "p.csv", *SIZE, "--report", "plan.html"],
             {"p.csv": GOOD, "plan.md": "[]"}, ["plan.md", "PLAN"], 2),
        Case("training/interleaved-remainder",
             ["train", "p.csv", "--stages", "2", "--microbatches", "3", "--blocking-power", "1W", "--schedule",
              "interleaved:2"],
             {"p.csv": GOOD + GOOD[len(HEAD):].replace("0,", "1,")}, ["multiple"]),
    ]
