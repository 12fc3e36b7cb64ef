"""Broken profiles, graphs, plans and questions of perwatt train."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = "stage,instruction,frequency,time,energy\n"
GOOD = HEAD + "0,forward,1410,1,5\n0,forward,1200,1.5,3\n0,backward,1410,2,9\n0,backward,1200,2.5,7\n"
SIZE = ["--stages", "1", "--microbatches", "2", "--blocking-power", "1W"]
OPERATION = '{"name": "a", "stage": 0, "instruction": "forward"}'


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

    return [
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
