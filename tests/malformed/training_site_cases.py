"""Broken and extreme [[training]] tables of a site, and what goes with them."""
PROFILE = ("stage,instruction,frequency,time,energy\n0,forward,1410,1,300\n0,forward,1000,1.25,150\n"
           "0,backward,1410,2,700\n0,backward,1000,2.5,350\n")
JOB = """
[[training]]
id = "run"
accelerator = "a100"
profile = "p.csv"
stages = 1
microbatches = 2
blocking_power = "50W"
gpus_per_stage = 8
tokens_per_iteration = 2400
value_usd_per_million_trained_tokens = 10
max_pipelines = 4
[[rack]]
system = "hgx-a100-air"
owned = 4
"""
PLACEMENT = '\n[[placement]]\nsystem = "hgx-a100-air"\ngpu_share_ratio = 0.5\n'


def all_cases(cases):
    Case, SITE, edited = cases.Case, cases.SITE, cases.edited

    def bad(name, *mentions, edits=(), more="", files=None, exit=3):
        return Case(f"training-site/{name}", ["plan", "site.toml"],
                    {"site.toml": SITE + edited(JOB, *edits) + more, "p.csv": PROFILE} | (files or {}), mentions, exit)

    def lacks(key, line):
        return bad(f"no-{key}", "site.toml", key, "missing", edits=[(line + "\n", "")])

    graph = ("stages = 1\nmicrobatches = 2", 'dag = "d.json"')
    return [
        lacks("id", 'id = "run"'),
        lacks("accelerator", 'accelerator = "a100"'),
        lacks("profile", 'profile = "p.csv"'),
        lacks("stages", "stages = 1"),
        lacks("microbatches", "microbatches = 2"),
        lacks("blocking_power", 'blocking_power = "50W"'),
        lacks("gpus_per_stage", "gpus_per_stage = 8"),
        lacks("tokens_per_iteration", "tokens_per_iteration = 2400"),
        lacks("value_usd_per_million_trained_tokens", "value_usd_per_million_trained_tokens = 10"),
        lacks("max_pipelines", "max_pipelines = 4"),
        bad("accelerator-unknown", "a1000", "a100", edits=[('"a100"', '"a1000"')]),
        bad("profile-absent", "q.csv", edits=[('"p.csv"', '"q.csv"')]),
        bad("profile-is-a-folder", "regular file", edits=[('"p.csv"', '"."')]),
        bad("profile-broken", "p.csv:2", "time", files={"p.csv": "stage,instruction,frequency,time,energy\n0,forward,1,x,1\n"}),
        bad("profile-of-fewer-stages", "stage 1", "p.csv", edits=[("stages = 1", "stages = 2")]),
        bad("bare-power", "blocking_power", edits=[('"50W"', "50")]),
        bad("schedule-unknown", "schedule", "'2f2b'", edits=[("microbatches = 2", 'microbatches = 2\nschedule = "2f2b"')]),
        bad("no-pipeline", "max_pipelines", "0", edits=[("max_pipelines = 4", "max_pipelines = 0")]),
        bad("half-a-pipeline", "max_pipelines", "1.5", edits=[("max_pipelines = 4", "max_pipelines = 1.5")]),
        bad("no-gpus", "gpus_per_stage", "0", edits=[("gpus_per_stage = 8", "gpus_per_stage = 0")]),
        bad("no-tokens", "tokens_per_iteration", "0", edits=[("= 2400", "= 0")]),
        bad("negative-value", "value_usd_per_million_trained_tokens", "-1", edits=[("_tokens = 10", "_tokens = -1")]),
        bad("negative-commitment", "committed_trained_tokens_per_s", edits=[("max_p", "committed_trained_tokens_per_s = -1\nmax_p")]),
        bad("key-misspelt", "microbatchs", "microbatches", edits=[("stages = 1", "stages = 1\nmicrobatchs = 3")]),
        bad("too-many-operations", "microbatches", "8192", edits=[("microbatches = 2", "microbatches = 1000000")]),
        bad("graph-and-schedule", "dag", "stages", edits=[("stages = 1", 'stages = 1\ndag = "d.json"')], files={"d.json": "{}"}),
        bad("graph-absent", "d.json", edits=[graph]),
        bad("graph-broken", "d.json", edits=[graph], files={"d.json": "["}),
        bad("twice", "'run'", "twice", more=JOB[: JOB.index("[[rack]]")]),
        bad("frequency-plans-unknown", "frequency_plans", "'all'", "same_time", more='\n[deployments]\nfrequency_plans = "all"\n'),
        bad("frequency-plans-flag", "frequency_plans", "true", more="\n[deployments]\nfrequency_plans = true\n"),
        bad("placement-of-nothing", "service", "missing", more=PLACEMENT),
        bad("placement-of-both", "training", "service", more=PLACEMENT + 'training = "run"\nservice = "chat"\n'),
        bad("placement-unknown", "training", "'walk'", more=PLACEMENT + 'training = "walk"\n'),
        bad("placement-twice", "training", "'run'", "twice", more=2 * (PLACEMENT + 'training = "run"\n')),
        bad("placement-above-one", "gpu_share_ratio", "1.5", more=PLACEMENT + 'training = "run"\n' +
            PLACEMENT.replace("0.5", "1") + 'service = "chat"\n'),
        bad("committed-without-racks-is-an-answer", "infeasible", "training[run].accelerator", exit=0,
            edits=[('"a100"', '"b200"'), ("max_p", "committed_trained_tokens_per_s = 1\nmax_p")]),
        bad("too-large-is-an-answer", "infeasible", "8192 GPUs", exit=0,
            edits=[("gpus_per_stage = 8", "gpus_per_stage = 8192"), ("max_p", "committed_trained_tokens_per_s = 1\nmax_p")]),
    ]
