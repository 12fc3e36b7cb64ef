"""Broken inputs. A case is a command with the files it needs; `mentions` is what its message must hold."""
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = """\
[site]
envelope = "20MW"
availability_ratio = 0.95

[prices]
table = "2026-08"
energy_usd_per_kwh = 0.08

[[service]]
id = "chat"
model = "deepseek-r1"
isl_tokens = 1024
osl_tokens = 1024
min_interactivity = "30tok/s"
max_ttft = "3s"
demand_output_tokens_per_s = 3000000
price_usd_per_million_output_tokens = 2.19

[[rack]]
system = "hgx-h200-air"
owned = 200

[[load]]
name = "storage"
power = "0.7MW"
"""
CATALOG = """\
[[source]]
id = "mine"
title = "own measurement"
publisher = "us"
date = "2026-11"

[[cooling_plant]]
id = "lake"
medium = "liquid"
pue = { value = 1.08, source = "mine", tag = "measured" }
distribution_loss_ratio = { value = 0.04, source = "mine", tag = "assumed" }

[[psu_curve]]
id = "my-psu"
source = "mine"
tag = "measured"
load_ratio = [0.1, 0.5, 1.0]
efficiency_ratio = [0.9, 0.96, 0.95]

[[accelerator]]
id = "x1"
aliases = ["X-One"]
vendor = "us"
architecture = "x"
tdp_watts = { value = 700, source = "mine", tag = "measured" }

[[system]]
id = "x1-box"
accelerator = "x1"
cooling_plant = "lake"
gpus_per_node = 8
nodes_per_rack = 4
chain = "chassis"
psu_curve = "my-psu"
fixed_dc_watts = { value = 1000, source = "mine", tag = "measured" }
fan_nameplate_watts = { value = 800, source = "mine", tag = "measured" }
fan_min_pwm_ratio = { value = 0.2, source = "mine", tag = "measured" }
fan_max_pwm_ratio = { value = 0.8, source = "mine", tag = "measured" }
fan_full_load_watts = { value = 7000, source = "mine", tag = "measured" }
psu_share_capacity_watts = { value = 20000, source = "mine", tag = "measured" }
psu_modeled_capacity_watts = { value = 13000, source = "mine", tag = "measured" }
network_watts = { value = 400, source = "mine", tag = "measured" }
"""
SCORE = """\
[[model.quality]]
benchmark = "GSM8K"
score = 90
precision = "fp8"
tag = "measured"
date = "2026-11"
source = "mine"

"""
MODEL = """
[[model]]
id = "own-llm"
vendor = "us"
kind = "dense"
native_precision = "fp8"

""" + SCORE
POINTS = (ROOT / "data/points/inferencex.csv").read_text().splitlines(keepends=True)
HEADER = POINTS[0].strip().split(",")
ROW = dict.fromkeys(HEADER, "") | {
    "source": "mine", "accelerator": "h200", "model": "deepseek-r1", "weights_precision": "fp8",
    "engine": "sglang", "spec_decode": "none", "serving": "aggregated", "num_gpus": "8", "decode_tp": "8",
    "isl_tokens": "1024", "osl_tokens": "1024", "concurrency": "16", "total_tokens_per_s_per_gpu": "200",
    "output_tokens_per_s_per_gpu": "100", "interactivity_tokens_per_s": "50", "ttft_median_s": "0.2",
    "tpot_median_s": "0.02", "gpu_power_watts": "500", "joules_per_output_token": "5",
    "joules_per_total_token": "2.5", "date": "2026-11-01"}
IMPORT = ROOT / "tests/data/import"


@dataclass
class Case:
    name: str
    command: list
    files: dict
    mentions: list = field(default_factory=list)
    exit: int = 3
    folders: list = field(default_factory=list)


def edited(text, *edits):
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def site(name, content, *mentions, exit=3, flags=()):
    return Case(f"site/{name}", ["plan", "site.toml", *flags], {"site.toml": content}, ["site.toml", *mentions], exit)


def line(name, old, new, *mentions, **more):
    return site(name, edited(SITE, (old, new)), *mentions, **more)


def catalog(name, content, *mentions, plan=SITE):
    return Case(f"catalog/{name}", ["plan", "site.toml", "--catalog", "mine"],
                {"site.toml": plan, "mine/mine.toml": content}, ["mine", *mentions])


def figure(name, old, new, *mentions, **more):
    return catalog(name, edited(CATALOG, (old, new)), *mentions, **more)


def model(name, old, new, *mentions):
    return catalog(f"model-{name}", CATALOG + edited(MODEL, (old, new)), *mentions)


def table(rows, header=HEADER):
    return "\n".join(",".join(cells) for cells in [header, *rows]) + "\n"


def points(name, content, *mentions, **more):
    return Case(f"points/{name}", ["plan", "site.toml", "--points", "mine.csv"],
                {"site.toml": SITE, "mine.csv": content}, ["mine.csv", *mentions], **more)


def row(name, column, value, *mentions):
    changes = column if isinstance(column, dict) else {column: value}
    return points(name, table([list(ROW.values()), list((ROW | changes).values())]), "mine.csv:3", *mentions)


def usage(name, *command, mentions=()):
    return Case(f"usage/{name}", list(command), {"site.toml": SITE}, list(mentions), 2)


SITES = [
    site("empty", "", "site.toml:1", "[site]"),
    site("blank", "\n\n# nothing\n", "[site]"),
    site("not-utf8", SITE.encode().replace(b"chat", b"ch\xff\xfet"), "site.toml:"),
    site("nul-byte", SITE.replace("chat", "ch\0t"), "site.toml:"),
    site("utf16", SITE.encode("utf-16"), "site.toml:"),
    site("truncated", SITE[:150], "site.toml:"),
    site("truncated-string", SITE[: SITE.index("20MW") + 2], "site.toml:2"),
    site("deep-arrays", "a = " + "[" * 100_000, "site.toml:1"),
    site("deep-closed-arrays", "a = " + "[" * 100_000 + "]" * 100_000 + "\n", "site.toml:1"),
    site("deep-inline-tables", "a = " + "{a=" * 100_000, "site.toml:1"),
    site("deep-keys", "a" + ".a" * 100_000 + " = 1\n", "site.toml:1"),
    site("deep-keys-after-four-quotes", 'x = ["""a"""", { a' + ".a" * 300_000 + " = 1 }]\n", "site.toml:1"),
    site("deep-quoted-keys", '"="' + '."="' * 100_000 + " = 1\n", "site.toml:1"),
    site("deep-quoted-table-names", '["]"' + '."]"' * 100_000 + "]\n", "site.toml:1"),
    site("deep-array-names", "[[a" + ".a" * 100_000 + "]]\n", "site.toml:1"),
    site("deep-table-names", "[a" + ".a" * 100_000 + "]\n", "site.toml:1"),
    site("long-key", "k" * 1_000_000 + " = 1\n" + SITE, "site.toml"),
    site("long-value", edited(SITE, ('"20MW"', '"' + "9" * 100_000 + 'MW"')), "site.envelope"),
    site("csv-instead", table([list(ROW.values())]), "site.toml:1"),
    site("json-instead", '{"site": {"envelope": "20MW"}}\n', "site.toml:1"),
    line("site-twice", "[prices]", "[site]\n[prices]", "site.toml:5"),
    line("key-twice", 'envelope = "20MW"', 'envelope = "20MW"\nenvelope = "30MW"', "site.toml:3", "envelope"),
    line("site-is-number", '[site]\nenvelope = "20MW"\navailability_ratio = 0.95', "site = 3", "site.toml:1", "3"),
    line("service-is-table", "[[service]]", "[service]", "service"),
    line("service-is-number", SITE, 'service = [1]\n[site]\nenvelope = "1MW"\n[prices]\ntable="2026-08"\n'
         "energy_usd_per_kwh = 0\n", "service", "1"),
    line("prices-missing", '[prices]\ntable = "2026-08"\nenergy_usd_per_kwh = 0.08\n', "", "[prices]"),
    line("service-missing", SITE[SITE.index("[[service]]"): SITE.index("[[rack]]")], "", "[[service]]"),
    line("rack-missing", SITE[SITE.index("[[rack]]"): SITE.index("[[load]]")], "", "[[rack]]"),
    # quantities
    line("envelope-missing", 'envelope = "20MW"\n', "", "site.envelope"),
    line("envelope-bare", '"20MW"', "20000000", "site.toml:2", "site.envelope", "20000000", "MW"),
    line("envelope-bare-text", '"20MW"', '"20"', "site.toml:2", "site.envelope", "'20'"),
    line("envelope-zero", '"20MW"', '"0MW"', "site.toml:2", "site.envelope"),
    line("envelope-negative", '"20MW"', '"-20MW"', "site.toml:2", "site.envelope", "-20MW"),
    line("envelope-nan", '"20MW"', '"nanMW"', "site.toml:2", "site.envelope", "nanMW"),
    line("envelope-infinite", '"20MW"', '"infMW"', "site.toml:2", "site.envelope", "infMW"),
    line("envelope-huge", '"20MW"', '"1e400MW"', "site.toml:2", "site.envelope", "1e400MW"),
    line("envelope-overflow", '"20MW"', '"1e305GW"', "site.toml:2", "site.envelope", "1e305GW"),
    line("envelope-energy", '"20MW"', '"20MWh"', "site.toml:2", "site.envelope", "MWh"),
    line("envelope-lower-case", '"20MW"', '"20mw"', "site.toml:2", "site.envelope", "mw"),
    line("envelope-empty", '"20MW"', '""', "site.toml:2", "site.envelope"),
    line("envelope-array", '"20MW"', '["20MW"]', "site.toml:2", "site.envelope"),
    line("envelope-date", '"20MW"', "2026-01-01", "site.toml:2", "site.envelope"),
    line("availability-nan", "0.95", "nan", "site.toml:3", "availability_ratio"),
    line("availability-above-1", "0.95", "1.5", "site.toml:3", "availability_ratio", "1.5"),
    line("availability-zero", "0.95", "0", "site.toml:3", "availability_ratio", "0"),
    line("availability-text", "0.95", '"95%"', "site.toml:3", "availability_ratio", "95%"),
    line("capital-negative", "availability_ratio = 0.95", "max_capital_usd_per_hour = -1", "max_capital", "-1"),
    line("energy-price-infinite", "0.08", "inf", "site.toml:7", "energy_usd_per_kwh"),
    line("energy-price-negative", "0.08", "-0.08", "site.toml:7", "energy_usd_per_kwh", "-0.08"),
    line("energy-price-missing", "energy_usd_per_kwh = 0.08\n", "", "energy_usd_per_kwh"),
    line("integer-overflow", "= 200\n", "= 99999999999999999999\n", "site.toml:21"),
    line("racks-too-many", "= 200\n", "= 9223372036854775807\n", "site.toml:21", "owned", "9223372036854775807"),
    line("racks-negative", "= 200\n", "= -1\n", "site.toml:21", "owned", "-1"),
    line("racks-fraction", "= 200\n", "= 1.5\n", "site.toml:21", "owned", "1.5"),
    line("racks-text", "= 200\n", '= "200"\n', "site.toml:21", "owned", "200"),
    line("racks-zero", "= 200\n", "= 0\n", "site.toml:20", "hgx-h200-air"),
    line("lengths-zero", "isl_tokens = 1024", "isl_tokens = 0", "site.toml:12", "isl_tokens", "0"),
    line("lengths-missing", "osl_tokens = 1024\n", "", "osl_tokens"),
    line("lengths-float", "isl_tokens = 1024", "isl_tokens = 1024.0", "site.toml:12", "isl_tokens", "1024"),
    line("task-and-lengths", "isl_tokens = 1024", 'task = "gpqa"', "site.toml:12", "task"),
    line("interactivity-missing", 'min_interactivity = "30tok/s"\n', "", "min_interactivity"),
    line("interactivity-bare", '"30tok/s"', "30", "site.toml:14", "min_interactivity", "30"),
    line("interactivity-unit", '"30tok/s"', '"30MW"', "site.toml:14", "min_interactivity", "MW"),
    line("ttft-zero", '"3s"', '"0s"', "site.toml:15", "max_ttft"),
    line("ttft-bare", '"3s"', "3", "site.toml:15", "max_ttft", "3"),
    line("ttft-unit", '"3s"', '"3 days"', "site.toml:15", "max_ttft", "days"),
    line("demand-missing", "demand_output_tokens_per_s = 3000000\n", "", "demand_output_tokens_per_s"),
    line("demand-nan", "3000000", "nan", "site.toml:16", "demand_output_tokens_per_s"),
    line("demand-huge", "3000000", "1e300", "site.toml:16", "demand_output_tokens_per_s", "1e+300"),
    line("demand-boolean", "3000000", "true", "site.toml:16", "demand_output_tokens_per_s", "true"),
    line("commitment-above-demand", "3000000", "3000000\ncommitted_output_tokens_per_s = 3000001", "site.toml:17",
         "committed_output_tokens_per_s", "3000001"),
    line("price-absurd", "= 2.19", "= 1e300", "site.toml:17", "price_usd_per_million_output_tokens", "1e+300"),
    line("capital-absurd", "owned = 200", "max_buy = 200\ncapital_usd_per_gpu_hour = 1e300", "site.toml:22", "capital_usd_per_gpu_hour", "1e+300"),
    line("load-absurd", '"0.7MW"', '"1e300MW"', "site.toml:25", "load[1].power", "MW"),
    line("envelope-absurd", '"20MW"', '"1e300MW"', "site.toml:2", "site.envelope", "MW"),
    line("price-negative", "= 2.19", "= -2.19", "site.toml:17", "-2.19"),
    site("price-missing-without-list", edited(SITE, ("deepseek-r1", "gpt-oss-120b"),
         ("price_usd_per_million_output_tokens = 2.19\n", "")), "price_usd_per_million_output_tokens", "gpt-oss-120b"),
    # names
    line("key-unknown", 'envelope = "20MW"', 'envelop = "20MW"', "site.toml:", "envelope"),
    line("key-unknown-optional", "max_ttft", "max_tftt", "site.toml:15", "max_tftt", "max_ttft"),
    line("key-unknown-top", "[[load]]", "[[loads]]", "site.toml:23", "loads", "load"),
    line("key-of-other-case", "availability_ratio", "Availability_ratio", "site.toml:3", "Availability_ratio"),
    line("model-unknown", "deepseek-r1", "deepseek-r11", "site.toml:11", "deepseek-r11", "deepseek-r1"),
    line("system-unknown", "hgx-h200-air", "hgx-h200-ai", "site.toml:20", "hgx-h200-ai", "hgx-h200-air"),
    line("system-is-accelerator", "hgx-h200-air", "h200", "site.toml:20", "h200"),
    line("price-table-unknown", "2026-08", "2026-8", "site.toml:6", "2026-8", "2026-08"),
    line("price-basis-unknown", '"2026-08"', '"2026-08"\nbasis = "tco"', "site.toml:7", "tco", "tco_hyperscaler"),
    line("cooling-unknown", "owned = 200", 'owned = 200\ncooling_plant = "ice"', "site.toml:22", "ice"),
    line("load-cooling-unknown", 'power = "0.7MW"', 'power = "0.7MW"\ncooling_plant = "ice"', "site.toml:26", "ice"),
    line("load-without-power", 'power = "0.7MW"\n', "", "power"),
    line("load-bare", '"0.7MW"', "0.7", "site.toml:25", "power", "0.7"),
    line("name-with-control-characters", "[site]", '[site]\nname = "a\\u001b[31mb\\nc"', "site.toml:2", "site.name", "\\x1b"),
    line("id-with-control-characters", '"chat"', '"a\\u001b[31mb"', "site.toml:10", "service[1].id", "\\x1b"),
    line("control-characters", "deepseek-r1", "deep\\u001b[31mseek\\nr1", "site.toml:11", "\\x1b"),
    line("service-twice", "[[rack]]", SITE[SITE.index("[[service]]"): SITE.index("[[rack]]")] + "[[rack]]", "chat"),
    line("rack-twice", "[[load]]", '[[rack]]\nsystem = "hgx-h200-air"\nmax_buy = 3\n\n[[load]]', "hgx-h200-air"),
    line("rack-without-price", 'system = "hgx-h200-air"\nowned', 'system = "gaudi3-air"\nmax_buy', "site.toml:20", "gaudi3"),
    Case("site/baseline-missing-file", ["plan", "site.toml", "--baseline", "absent.toml"], {"site.toml": SITE}, ["absent.toml"]),
    line("baseline-number", "[[load]]", "[baseline]\nsite = 3\n\n[[load]]", "site.toml:24", "3"),
    Case("site/missing-file", ["plan", "absent.toml"], {}, ["absent.toml"]),
    Case("site/folder", ["plan", "folder"], {}, ["folder"], folders=["folder"]),
    Case("site/device", ["plan", "/dev/null"], {}, ["/dev/null"]),
]

OPERATION = """
[deployments]
precisions = ["fp8"]
serving = ["aggregated"]
not_after = "2025-12-31"
max_concurrency_per_gpu = 8

[[placement]]
system = "hgx-h200-air"
service = "chat"
gpu_share_ratio = 0.7

[finance]
horizon_years = 5
cost_of_capital_ratio = 0.1
payback_years = 3

[quality]
max_loss_points = 1

[baseline]
site = "self"
availability_ratio = 0.9

[baseline.deployments]
spec_decode = ["none"]

[[baseline.placement]]
system = "hgx-h200-air"
service = "chat"
gpu_share_ratio = 0.5
"""


def operated(name, old, new, *mentions, **more):
    return site(name, SITE + edited(OPERATION, (old, new)), *mentions, **more)


LEVERS = [
    operated("rule-empty", '["fp8"]', "[]", "site.toml:28", "deployments.precisions", "empty"),
    operated("rule-text", '["fp8"]', '"fp8"', "site.toml:28", "deployments.precisions"),
    operated("rule-number-inside", '["fp8"]', "[8]", "site.toml:28", "deployments.precisions"),
    operated("rule-precision-unknown", '["fp8"]', '["fp9"]', "site.toml:28", "fp9", "mxfp4"),
    operated("rule-precision-of-unknown-model", '["fp8"]', '["deepseek-r11:fp8"]', "site.toml:28", "deepseek-r11"),
    operated("rule-precision-of-nothing", '["fp8"]', '[":fp8"]', "site.toml:28"),
    operated("rule-serving-unknown", '["aggregated"]', '["split"]', "site.toml:29", "split", "disaggregated"),
    operated("rule-date", '"2025-12-31"', '"31.12.2025"', "site.toml:30", "not_after", "31.12.2025", "YYYY-MM-DD"),
    operated("rule-date-of-no-day", '"2025-12-31"', '"2025-13-41"', "site.toml:30", "not_after", "2025-13-41"),
    operated("rule-date-of-a-year", '"2025-12-31"', '"2025"', "site.toml:30", "not_after", "2025"),
    operated("rule-date-empty", '"2025-12-31"', '""', "site.toml:30", "not_after"),
    operated("rule-date-bare", '"2025-12-31"', "2025-12-31", "site.toml:30", "not_after"),
    operated("rule-concurrency-zero", "= 8\n", "= 0\n", "site.toml:31", "max_concurrency_per_gpu", "0"),
    operated("rule-clock-zero", "max_concurrency_per_gpu = 8\n", "min_clock_ratio = 0\n", "site.toml:31", "min_clock_ratio", "0.25"),
    operated("rule-clock-text", "max_concurrency_per_gpu = 8\n", 'min_clock_ratio = "low"\n', "site.toml:31", "min_clock_ratio"),
    operated("rule-key-unknown", "not_after", "not_before", "site.toml:30", "not_before"),
    operated("placement-share-above-1", "0.7", "1.7", "site.toml:36", "gpu_share_ratio", "1.7"),
    operated("placement-share-negative", "0.7", "-0.7", "site.toml:36", "gpu_share_ratio", "-0.7"),
    operated("placement-share-missing", "gpu_share_ratio = 0.7\n", "", "gpu_share_ratio"),
    operated("placement-shares-above-1", "[finance]", '[[service]]\nid = "more"\nmodel = "deepseek-r1"\n'
             "isl_tokens = 1\nosl_tokens = 1\nmin_interactivity = \"1tok/s\"\ndemand_output_tokens_per_s = 1\n"
             '[[placement]]\nsystem = "hgx-h200-air"\nservice = "more"\ngpu_share_ratio = 0.4\n[finance]',
             "placement[2].gpu_share_ratio", "1.1"),
    operated("placement-twice", "[finance]", '[[placement]]\nsystem = "hgx-h200-air"\nservice = "chat"\n'
             "gpu_share_ratio = 0.1\n[finance]", "placement[2]", "twice"),
    operated("placement-service-unknown", 'service = "chat"\ngpu_share_ratio = 0.7', 'service = "chit"\ngpu_share_ratio = 0.7',
             "site.toml:35", "chit"),
    operated("placement-system-without-rack", 'system = "hgx-h200-air"\nservice = "chat"\ngpu_share_ratio = 0.7',
             'system = "hgx-h100-air"\nservice = "chat"\ngpu_share_ratio = 0.7', "site.toml:34", "hgx-h100-air"),
    operated("placement-is-table", "[[placement]]", "[placement]", "placement"),
    operated("finance-horizon-zero", "horizon_years = 5", "horizon_years = 0", "site.toml:39", "horizon_years", "0"),
    operated("finance-cost-of-capital", "= 0.1\n", "= 10\n", "site.toml:40", "cost_of_capital_ratio", "10"),
    operated("finance-payback-negative", "payback_years = 3", "payback_years = -3", "site.toml:41", "payback_years"),
    operated("finance-key-unknown", "payback_years", "pay_back_years", "site.toml:41", "pay_back_years", "payback_years"),
    operated("quality-negative", "max_loss_points = 1", "max_loss_points = -1", "site.toml:44", "max_loss_points", "-1"),
    operated("quality-above-100", "max_loss_points = 1", "max_loss_points = 101", "site.toml:44", "max_loss_points", "101"),
    operated("quality-nan", "max_loss_points = 1", "max_loss_points = nan", "site.toml:44", "max_loss_points"),
    operated("quality-key-unknown", "max_loss_points", "max_loss", "site.toml:44", "max_loss", "max_loss_points"),
    operated("quality-is-list", "[quality]", "[[quality]]", "quality"),
    operated("baseline-tables-beside-a-file", 'site = "self"', 'site = "site.toml"', "baseline", "self"),
    operated("baseline-without-site", 'site = "self"\n', "", "baseline.site"),
    operated("baseline-availability-zero", "= 0.9\n", "= 0\n", "site.toml:48", "availability_ratio", "0"),
    operated("baseline-rule-empty", '["none"]', "[]", "site.toml:51", "baseline.deployments.spec_decode"),
    operated("baseline-placement-service-unknown", 'service = "chat"\ngpu_share_ratio = 0.5',
             'service = "chit"\ngpu_share_ratio = 0.5', "site.toml:55", "chit"),
    operated("baseline-key-unknown", "[baseline.deployments]", "[baseline.deployment]", "deployment"),
    line("alternative-model-unknown", 'model = "deepseek-r1"', 'model = "deepseek-r1"\nalternative_models = ["deepseek-r11"]',
         "site.toml:12", "deepseek-r11"),
    line("alternative-model-is-the-model", 'model = "deepseek-r1"', 'model = "deepseek-r1"\nalternative_models = ["dsr1"]',
         "site.toml:10", "deepseek-r1", "alternative_models"),
    line("alternative-model-twice", 'model = "deepseek-r1"', 'model = "deepseek-r1"\nalternative_models = ["glm-5", "glm-5"]',
         "site.toml:10", "glm-5"),
    line("alternative-model-text", 'model = "deepseek-r1"', 'model = "deepseek-r1"\nalternative_models = "glm-5"',
         "site.toml:12", "alternative_models"),
]

CATALOGS = [
    figure("rejection-unknown", 'medium = "liquid"', 'medium = "liquid"\nrejection = "river"\nhas_chiller = true', "mine.toml:10", "river", "evaporative"),
    figure("pue-and-physics", 'medium = "liquid"', 'medium = "liquid"\nrejection = "dry"\nhas_chiller = true', "mine.toml:12", "pue"),
    figure("chiller-without-rejection", 'medium = "liquid"', 'medium = "liquid"\nhas_chiller = true', "mine.toml:10", "has_chiller"),
    figure("physics-figure-of-constant-plant", 'pue = {', 'approach_kelvin = { value = 10, source = "mine", tag = "measured" }\npue = {',
           "mine.toml:10", "approach_kelvin"),
    figure("physics-without-figures", 'pue = { value = 1.08, source = "mine", tag = "measured" }\n'
           'distribution_loss_ratio = { value = 0.04, source = "mine", tag = "assumed" }', 'rejection = "dry"\nhas_chiller = false',
           "supply_min_celsius"),
    figure("source-unknown", 'tdp_watts = { value = 700, source = "mine"', 'tdp_watts = { value = 700, source = "yours"', "mine.toml:25", "yours"),
    figure("alias-clash", '"X-One"', '"H200"', "mine.toml:", "H200", "h200"),
    figure("id-clash-with-alias", 'id = "x1"\naliases = ["X-One"]', 'id = "h200_sxm"', "mine.toml:", "h200_sxm"),
    figure("id-upper-case", 'id = "x1"', 'id = "X1"', "mine.toml:", "X1"),
    figure("id-missing", 'id = "x1"\n', "", "id"),
    figure("pue-below-1", "1.08", "0.98", "mine.toml:10", "pue", "0.98"),
    figure("pue-bare", '{ value = 1.08, source = "mine", tag = "measured" }', "1.08", "mine.toml:10", "pue", "1.08"),
    figure("pue-nan", "1.08", "nan", "mine.toml:10", "pue"),
    figure("pue-missing", 'pue = { value = 1.08, source = "mine", tag = "measured" }\n', "", "pue"),
    figure("losses-above-pue", "0.04", "0.5", "mine.toml:11", "distribution_loss_ratio", "0.5"),
    figure("tag-unknown", 'tag = "assumed"', 'tag = "guessed"', "mine.toml:11", "guessed"),
    figure("medium-unknown", '"liquid"', '"oil"', "mine.toml:9", "oil"),
    figure("figure-unknown", "tdp_watts", "tdp_watt", "mine.toml:25", "tdp_watt", "tdp_watts"),
    figure("figure-missing", 'network_watts = { value = 400, source = "mine", tag = "measured" }\n', "", "network_watts"),
    figure("figure-negative", "value = 1000", "value = -1000", "mine.toml:35", "fixed_dc_watts", "-1000"),
    figure("figure-key-unknown", 'value = 1000,', 'value = 1000, sorce = "x",', "mine.toml:35", "sorce"),
    figure("tdp-zero", "value = 700,", "value = 0,", "mine.toml:25", "tdp_watts"),
    figure("psu-overload", "value = 13000", "value = 5000", "x1-box", "5000",
           plan=edited(SITE, ("hgx-h200-air", "x1-box"))),
    figure("psu-curve-unknown", 'psu_curve = "my-psu"', 'psu_curve = "your-psu"', "mine.toml:34", "your-psu"),
    figure("curve-not-monotone", "[0.1, 0.5, 1.0]", "[0.1, 1.0, 0.5]", "mine.toml:17", "load_ratio"),
    figure("curve-repeats", "[0.1, 0.5, 1.0]", "[0.5, 0.5, 1.0]", "mine.toml:17", "load_ratio"),
    figure("curve-lengths", "[0.9, 0.96, 0.95]", "[0.9, 0.96]", "mine.toml:18", "efficiency_ratio", "2"),
    figure("curve-empty", "[0.1, 0.5, 1.0]", "[]", "mine.toml:17", "load_ratio"),
    figure("efficiency-zero", "[0.9, 0.96", "[0, 0.96", "mine.toml:18", "efficiency_ratio", "0"),
    figure("efficiency-above-1", "0.96", "1.96", "mine.toml:18", "efficiency_ratio", "1.96"),
    figure("fan-ratios-swapped", "fan_min_pwm_ratio = { value = 0.2", "fan_min_pwm_ratio = { value = 0.9", "mine.toml:37", "fan_min_pwm_ratio"),
    figure("fan-load-zero", "value = 7000", "value = 0", "mine.toml:39", "fan_full_load_watts"),
    figure("chain-unknown", '"chassis"', '"rack"', "mine.toml:33", "rack"),
    figure("accelerator-unknown", 'accelerator = "x1"', 'accelerator = "x2"', "mine.toml:29", "x2"),
    figure("plant-unknown", 'cooling_plant = "lake"', 'cooling_plant = "sea"', "mine.toml:30", "sea"),
    figure("gpus-zero", "gpus_per_node = 8", "gpus_per_node = 0", "mine.toml:31", "gpus_per_node", "0"),
    figure("aliases-number", '["X-One"]', "[1]", "mine.toml:22", "aliases", "1"),
    figure("table-unknown", "[[cooling_plant]]", "[[cooling]]", "mine.toml:7", "cooling"),
    model("precision-unknown", '\nprecision = "fp8"', '\nprecision = "int3"', "mine.toml:53", "precision", "int3", "mxfp4"),
    model("precision-number", '\nprecision = "fp8"', "\nprecision = 8", "mine.toml:53", "precision", "8"),
    model("native-precision-unknown", 'native_precision = "fp8"', 'native_precision = "8bit"', "mine.toml:48", "native_precision", "8bit"),
    model("score-above-100", "score = 90", "score = 900", "mine.toml:52", "score", "900"),
    model("score-tag-unknown", 'tag = "measured"\ndate', 'tag = "recalled"\ndate', "mine.toml:54", "recalled"),
    model("score-twice", "[[model.quality]]", SCORE + "[[model.quality]]", "mine.toml:59", "GSM8K", "twice"),
    catalog("not-toml", "what is this", "mine.toml:1"),
    catalog("deep-keys", "a" + ".a" * 100_000 + " = 1\n", "mine.toml:1"),
    Case("catalog/missing-folder", ["plan", "site.toml", "--catalog", "absent"], {"site.toml": SITE}, ["absent"]),
    Case("catalog/empty-folder", ["plan", "site.toml", "--catalog", "empty"], {"site.toml": SITE}, ["empty"], folders=["empty"]),
    Case("catalog/is-file", ["plan", "site.toml", "--catalog", "site.toml"], {"site.toml": SITE}, ["site.toml"]),
    Case("catalog/file-is-folder", ["plan", "site.toml", "--catalog", "mine"], {"site.toml": SITE}, ["a.toml"], folders=["mine/a.toml"]),
    Case("catalog/show-unknown", ["catalog", "show", "h2000"], {}, ["h2000", "h200"]),
]

TABLES = [
    points("empty", "", "header"),
    points("binary", bytes(range(256)) * 4),
    points("column-missing", table([], [c for c in HEADER if c != "url"]), "mine.csv:1", "url"),
    points("column-twice", table([], [*HEADER, "url"]), "mine.csv:1", "url"),
    points("field-missing", table([list(ROW.values())[:-1]]), "mine.csv:2", "35", "36"),
    points("quote-open", ",".join(HEADER) + '\n"mine,', "mine.csv:2"),
    points("semicolons", table([list(ROW.values())]).replace(",", ";"), "mine.csv:1"),
    row("accelerator-unknown", "accelerator", "h2000", "accelerator", "h2000"),
    row("accelerator-empty", "accelerator", "", "accelerator"),
    row("model-unknown", "model", "deepthought", "model", "deepthought"),
    row("precision-unknown", "weights_precision", "int3", "weights_precision", "int3"),
    row("serving-unknown", "serving", "both", "serving", "both"),
    row("source-empty", "source", "", "source"),
    row("gpus-empty", "num_gpus", "", "num_gpus"),
    row("gpus-zero", "num_gpus", "0", "num_gpus", "0"),
    row("gpus-fraction", "num_gpus", "7.5", "num_gpus", "7.5"),
    row("gpus-huge", "num_gpus", "99999999999", "num_gpus", "99999999999"),
    row("pools-differ", {"prefill_gpus": "4", "decode_gpus": "8", "serving": "disaggregated"}, None, "num_gpus", "12"),
    row("lengths-empty", "isl_tokens", "", "isl_tokens"),
    row("number-text", "ttft_median_s", "fast", "ttft_median_s", "fast"),
    row("number-nan", "ttft_median_s", "nan", "ttft_median_s", "nan"),
    row("number-infinite", "gpu_power_watts", "inf", "gpu_power_watts", "inf"),
    row("number-negative", "interactivity_tokens_per_s", "-50", "interactivity_tokens_per_s", "-50"),
    row("number-huge", "gpu_power_watts", "1e308", "gpu_power_watts", "1e308"),
    row("number-trailing", "concurrency", "16x", "concurrency", "16x"),
    row("flag-two", "decode_dp_attention", "2", "decode_dp_attention", "2"),
    row("date-text", "date", "yesterday", "date", "yesterday"),
    row("output-above-total", {"output_tokens_per_s_per_gpu": "300", "joules_per_output_token": ""}, None, "output_tokens_per_s_per_gpu"),
    row("output-share", {"output_tokens_per_s_per_gpu": "50", "joules_per_output_token": ""}, None, "output_tokens_per_s_per_gpu", "0.25"),
    row("tpot-in-ms", "tpot_median_s", "20", "interactivity_tokens_per_s"),
    row("energy-of-other-tokens", "joules_per_output_token", "2.5", "joules_per_output_token", "500"),
    row("energy-of-other-boundary", "joules_per_total_token", "4", "joules_per_total_token", "500"),
    row("power-of-node", {"gpu_power_watts": "4000", "joules_per_output_token": "", "joules_per_total_token": ""}, None, "gpu_power_watts", "4000"),
    row("no-rate", {"total_tokens_per_s_per_gpu": "", "output_tokens_per_s_per_gpu": "", "joules_per_output_token": "", "joules_per_total_token": ""}, None, "total_tokens_per_s_per_gpu"),
    Case("points/missing-file", ["plan", "site.toml", "--points", "absent.csv"], {"site.toml": SITE}, ["absent.csv"]),
]


def import_case(name, kind, target, files, *mentions, exit=3, output="out.csv"):
    return Case(f"import/{name}", ["import", kind, target, "--output", output], files, list(mentions), exit)


def dump(**replaced):
    files = {f"dump/{f.name}": f.read_bytes() for f in (IMPORT / "inferencex").iterdir()}
    return files | {f"dump/{name.replace('__', '.')}": content for name, content in replaced.items()}


CONFIGS = (IMPORT / "inferencex/configs.csv").read_bytes()
IMPORTS = [
    import_case("mlenergy-empty", "mlenergy", "x.json", {"x.json": ""}, "x.json"),
    import_case("mlenergy-truncated", "mlenergy", "x.json", {"x.json": '{"task": "gpqa", "configurations": [{'}, "x.json"),
    import_case("mlenergy-array", "mlenergy", "x.json", {"x.json": "[]"}, "x.json"),
    import_case("mlenergy-number", "mlenergy", "x.json", {"x.json": "3"}, "x.json"),
    import_case("mlenergy-deep", "mlenergy", "x.json", {"x.json": "[" * 100_000}, "x.json"),
    import_case("mlenergy-deep-closed", "mlenergy", "x.json", {"x.json": "[" * 100_000 + "]" * 100_000}, "x.json"),
    import_case("mlenergy-no-task", "mlenergy", "x.json", {"x.json": '{"configurations": []}'}, "x.json", "task"),
    import_case("mlenergy-not-utf8", "mlenergy", "x.json", {"x.json": b'{"task": "\xff", "configurations": []}'}, "x.json"),
    import_case("mlenergy-missing", "mlenergy", "absent.json", {}, "absent.json"),
    import_case("inferencex-missing", "inferencex", "absent", {}, "absent"),
    import_case("inferencex-empty-file", "inferencex", "dump", dump(configs__csv=""), "configs.csv"),
    import_case("inferencex-column-missing", "inferencex", "dump", dump(configs__csv="id,hardware\n1,h200\n"), "configs.csv:1"),
    import_case("inferencex-id-twice", "inferencex", "dump", dump(configs__csv=CONFIGS + CONFIGS.splitlines(True)[1]), "configs.csv"),
    import_case("inferencex-postgres", "inferencex", "dump", dump(configs__csv=b"PGDMP\x01\x0e\x00"), "configs.csv"),
    import_case("inferencex-gzip", "inferencex", "dump", dump(configs__csv=b"\x1f\x8b\x08\x00"), "configs.csv"),
    import_case("output-is-no-table", "mlenergy", "x.json", {"x.json": '{"task": "gpqa", "configurations": []}', "out.csv": "a,b\n"}, "out.csv:1"),
    import_case("output-folder-missing", "mlenergy", "x.json", {"x.json": '{"task": "gpqa", "configurations": []}'},
                "absent/out.csv", exit=4, output="absent/out.csv"),
]



def weather(name, header, row_of, *mentions, count=8760, exit=3, id="here"):
    """import weather of a year whose row i is row_of(i)."""
    text = header + "\n" + "".join(f"{row_of(i)}\n" for i in range(count))
    return Case(f"weather/{name}", ["import", "weather", "year.csv", "--id", id, "--out", "here.csv"],
                {"year.csv": text}, list(mentions), exit)


HOURS = "hour_of_year,dry_bulb_c,relative_humidity_percent"


def one_row(at, row):
    return lambda i: row if i == at else f"{i},20,50"


WEATHER = [
    weather("short", HOURS, lambda i: f"{i},20,50", "year.csv", "8700", "8760", count=8700),
    weather("empty", HOURS, lambda i: "", "year.csv", "0 rows", count=0),
    weather("gap", HOURS, lambda i: f"{i if i < 50 else i + 1},20,50", "year.csv:52", "hour_of_year", "'51'"),
    weather("hour-twice", HOURS, one_row(51, "50,20,50"), "year.csv:53", "hour_of_year", "'50'"),
    weather("hour-text", HOURS, one_row(0, "first,20,50"), "year.csv:2", "hour_of_year", "first"),
    weather("no-hour", "dry_bulb_c,relative_humidity_percent", lambda i: "20,50", "year.csv:1", "hour_of_year"),
    weather("no-humidity", "hour_of_year,dry_bulb_c", lambda i: f"{i},20", "year.csv:1", "dew_point_c"),
    weather("no-dry-bulb", "hour_of_year,temperature,relative_humidity_percent", lambda i: f"{i},20,50", "year.csv:1", "dry_bulb_c"),
    weather("kelvin", HOURS, lambda i: f"{i},293,50", "year.csv:2", "dry_bulb_c", "293", "60"),
    weather("hotter-than-60", HOURS, one_row(8759, "8759,60.1,50"), "year.csv:8761", "dry_bulb_c", "60.1"),
    weather("colder-than-60", HOURS, one_row(3, "3,-60.1,50"), "year.csv:5", "dry_bulb_c", "-60.1"),
    weather("humidity-ratio-above-100", HOURS, one_row(3, "3,20,120"), "year.csv:5", "relative_humidity_percent", "120"),
    weather("humidity-empty", HOURS, one_row(3, "3,20,"), "year.csv:5", "relative_humidity_percent"),
    weather("dew-point-above-dry-bulb", "hour_of_year,dry_bulb_c,dew_point_c", lambda i: f"{i},20,25", "year.csv:2", "dew_point_c", "25"),
    weather("month-wrong", "month,day,hour_of_day,dry_bulb_c,dew_point_c", lambda i: f"2,1,{i % 24 + 1},20,5", "year.csv:2", "month", "'2'"),
    weather("id-upper-case", HOURS, lambda i: f"{i},20,50", "here.csv:1", "HERE", id="HERE"),
    Case("weather/missing-file", ["import", "weather", "absent.csv", "--id", "x"], {}, ["absent.csv"]),
    Case("catalog/csv-is-no-climate", ["catalog", "list", "--catalog", "mine"], {"mine/points.csv": "a,b\n1,2\n"}, ["mine/points.csv:1", "import weather"]),
    Case("catalog/climate-hours", ["catalog", "list", "--catalog", "mine"],
         {"mine/x.csv": "# perwatt climate\n# id: x\n# name: X\n# source: s\nfirst_hour,last_hour,hours,dry_bulb_c,wet_bulb_c,"
                        "max_dry_bulb_c,max_wet_bulb_c,relative_humidity_percent\n1,24,100,20,15,21,16,50\n"}, ["mine/x.csv", "100", "8760"]),
    Case("catalog/show-unknown-climate", ["catalog", "show", "phenix-az"], {}, ["phenix-az", "phoenix-az"]),
]

USAGES = [
    usage("weather-without-id", "import", "weather", "year.csv", mentions=["--id"]),
    usage("nothing"),
    usage("verb-unknown", "plann", "site.toml", mentions=["plann"]),
    usage("flag-unknown", "plan", "site.toml", "--reprot", "x.html", mentions=["--reprot"]),
    usage("site-missing", "plan", mentions=["SITE"]),
    usage("site-twice", "plan", "site.toml", "site.toml"),
    usage("report-without-file", "plan", "site.toml", "--report", mentions=["--report"]),
    usage("report-not-html", "plan", "site.toml", "--report", "r.md", mentions=["--report"]),
    usage("only-unknown", "plan", "site.toml", "--baseline", "self", "--only", "software", mentions=["--only", "software", "operations"]),
    usage("only-twice", "plan", "site.toml", "--baseline", "self", "--only", "operations,model", mentions=["--only"]),
    usage("only-without-baseline", "plan", "site.toml", "--only", "operations", mentions=["--only", "baseline"]),
    usage("seed-negative", "plan", "site.toml", "--seed", "-1", mentions=["--seed"]),
    usage("catalog-without-verb", "catalog"),
    usage("show-without-id", "catalog", "show", mentions=["ID"]),
    usage("import-without-output", "import", "mlenergy", "x.json", mentions=["--output"]),
    usage("import-kind-unknown", "import", "mlperf", "x.json", "-o", "y.csv"),
    usage("frontier-without-model", "frontier", mentions=["--model"]),
    usage("frontier-without-workload", "frontier", "--model", "deepseek-r1", mentions=["--isl"]),
    usage("frontier-isl-text", "frontier", "--model", "deepseek-r1", "--isl", "many", "--osl", "1", mentions=["many"]),
    usage("frontier-isl-negative", "frontier", "--model", "deepseek-r1", "--isl", "-1", "--osl", "1", mentions=["-1"]),
    usage("frontier-basis", "frontier", "--model", "deepseek-r1", "--isl", "1024", "--osl", "1024", "--price-basis", "free", mentions=["free"]),
    usage("frontier-compare-one", "frontier", "--model", "deepseek-r1", "--isl", "1024", "--osl", "1024", "--compare", "h200", mentions=["h200"]),
    usage("interactivity-bare", "frontier", "--model", "deepseek-r1", "--isl", "1024", "--osl", "1024",
          "--min-interactivity", "50", mentions=["--min-interactivity", "50"]),
    usage("ttft-unit", "frontier", "--model", "deepseek-r1", "--isl", "1024", "--osl", "1024",
          "--max-ttft", "2MW", mentions=["--max-ttft", "2MW"]),
    Case("output/report-folder-missing", ["plan", "site.toml", "--report", "absent/r.html"], {"site.toml": SITE}, ["absent/r.html"], 4),
    Case("output/report-is-folder", ["plan", "site.toml", "--report", "folder.html"], {"site.toml": SITE}, ["folder.html"], 4, ["folder.html"]),
    Case("output/candidates-folder-missing", ["plan", "site.toml", "--candidates", "absent/c.csv"], {"site.toml": SITE}, ["absent/c.csv"], 4),
]


def impossible(name, *edits, mentions, flags=()):
    return Case(f"impossible/{name}", ["plan", "site.toml", *flags], {"site.toml": edited(SITE, *edits)},
                ["infeasible", *mentions], 0)


# Answers, not errors: the text names the tightest limit and what would mend it.
IMPOSSIBLE = [
    impossible("loads-above-envelope", ('"0.7MW"', '"30MW"'), mentions=["the tightest limit is site.envelope", "39 MW"]),
    impossible("commitment-above-everything", ("= 3000000", "= 900000000\ncommitted_output_tokens_per_s = 900000000"),
               mentions=["the tightest limit is", "committed_output_tokens_per_s"]),
    impossible("commitment-above-power", ('"20MW"', '"2MW"'), ("= 3000000", "= 3000000\ncommitted_output_tokens_per_s = 2000000"),
               mentions=["the tightest limit is"]),
    impossible("commitment-above-capital", ("owned = 200", "max_buy = 200"), ("availability_ratio = 0.95", "max_capital_usd_per_hour = 5"),
               ("= 3000000", "= 3000000\ncommitted_output_tokens_per_s = 100000"), mentions=["max_capital_usd_per_hour"]),
    impossible("two-commitments", ('"20MW"', '"2MW"'), ("= 3000000", "= 3000000\ncommitted_output_tokens_per_s = 30000"),
               ("[[rack]]", '[[service]]\nid = "bulk"\nmodel = "gpt-oss-120b"\nisl_tokens = 1024\nosl_tokens = 1024\n'
                'min_interactivity = "10tok/s"\ndemand_output_tokens_per_s = 90000000\n'
                "committed_output_tokens_per_s = 90000000\nprice_usd_per_million_output_tokens = 1\n\n[[rack]]"),
               mentions=["service[bulk]"]),
    impossible("interactivity-nobody-reaches", ('"30tok/s"', '"5000tok/s"'), mentions=["service[chat].min_interactivity", "5000 tok/s", "at most"]),
    impossible("ttft-nobody-meets", ('"3s"', '"1us"'), mentions=["service[chat].max_ttft"]),
    impossible("ttft-unknown-only", ('"deepseek-r1"', '"qwen3.5-397b-a17b"'), ("isl_tokens = 1024", "isl_tokens = 8192"),
               mentions=["--allow-unknown-ttft"]),
    impossible("not-measured-there", ("hgx-h200-air", "gaudi3-air"), mentions=["measured deployment", "deepseek-r1 1024/1024"],
               flags=["--measured-only"]),
    impossible("lengths-not-measured", ("isl_tokens = 1024", "isl_tokens = 1000"), mentions=["deepseek-r1 1000/1024"],
               flags=["--measured-only"]),
    impossible("envelope-of-a-watt", ('"20MW"', '"1W"'), mentions=["site.envelope"]),
]

CLAIM = """\
[claim]
id = "faster"
statement = "faster"
made_by = "us"
source = "our page"
date = "2026-11"
unit = "x"
value = 50

[[comparison]]
kind = "frontier_ratio"
numerator = "gb300"
denominators = ["h100"]
model = "deepseek-r1"
isl_tokens = 8192
osl_tokens = 1024
interactivity = ["50tok/s"]
basis = "provisioned_mw"
price_tables = ["2026-04"]

[[comparison]]
kind = "arithmetic"

[[comparison.input]]
name = "gpus"
value = 192

[[comparison.step]]
name = "racks"
expression = "gpus / 72"
at_least = 2

[[comparison]]
kind = "energy_share"
accelerators = ["h100"]
price_tables = ["2026-08"]
energy_usd_per_kwh = [0.1]

[[comparison]]
kind = "table_count"
table = "green500_nov2025_top10.csv"
column = "accelerator"
contains = "NVIDIA"
"""


def claim_file(name, content, *mentions, exit=3):
    return Case(f"claims/{name}", ["report", "claims", "--cases", "mine", "--only", "faster"],
                {"mine/a.toml": content}, ["mine/a.toml", *mentions], exit)


def claim(name, old, new, *mentions):
    return claim_file(name, edited(CLAIM, (old, new)), *mentions)


CLAIMS = [
    claim_file("empty", "", "claim"),
    claim_file("no-comparison", CLAIM.split("[[comparison]]")[0], "comparison"),
    claim_file("broken-toml", CLAIM + "x = ", "mine/a.toml:44"),
    claim_file("key-unknown", CLAIM.replace("made_by", "made_for"), "made_by"),
    claim_file("key-misspelt", CLAIM.replace("price_tables = [\"2026-04\"]", "price_tables = [\"2026-04\"]\ntolerence_ratio = 0.1"), "tolerence_ratio", "tolerance_ratio"),
    claim("id-with-blank", '"faster"', '"so fast"', "id", "so fast"),
    claim("date-text", '"2026-11"', '"soon"', "date", "soon"),
    claim("value-text", "value = 50", 'value = "50x"', "value", "50x"),
    claim("value-nan", "value = 50", "value = nan", "value"),
    claim("tolerance-percent", "value = 50", "value = 50\ntolerance_ratio = 5", "tolerance_ratio", "5"),
    claim("kind-unknown", "frontier_ratio", "frontier", "kind", "frontier"),
    claim("accelerator-unknown", '["h100"]', '["h101"]', "denominators", "h101", "h100"),
    claim("accelerators-empty", '["h100"]', "[]", "denominators"),
    claim("model-unknown", "deepseek-r1", "deepseek-r9", "model", "deepseek-r9"),
    claim("table-unknown", '"2026-04"', '"2026-05"', "price_tables", "2026-05"),
    claim("basis-unknown", "provisioned_mw", "megawatt", "basis", "megawatt"),
    claim("interactivity-no-unit", '"50tok/s"', '"50"', "interactivity", "50"),
    claim("incomplete-one", 'basis = ', 'incomplete_between = ["69tok/s"]\nbasis = ', "incomplete_between"),
    claim("lengths-missing", "isl_tokens = 8192\n", "", "isl_tokens"),
    claim("expression-name", '"gpus / 72"', '"gpu / 72"', "expression", "gpu", "gpus"),
    claim("expression-open", '"gpus / 72"', '"(gpus / 72"', "expression", "parenthesis"),
    claim("expression-zero", '"gpus / 72"', '"72 / (gpus - 192)"', "expression", "zero"),
    claim("expression-power", '"gpus / 72"', '"gpus ^ 2"', "expression", "^"),
    claim("expression-deep", '"gpus / 72"', '"' + "(" * 5000 + '"', "expression", "nests"),
    claim("name-twice", '"racks"', '"gpus"', "name", "gpus"),
    claim("name-with-hyphen", '"racks"', '"all-racks"', "name", "all-racks"),
    claim("two-targets", "at_least = 2", "at_least = 2\nequals = 2", "equals", "at_least"),
    claim("check-without-target", "at_least = 2", "check = true", "check"),
    claim("multiple-of-zero", "at_least = 2", "multiple_of = 0", "multiple_of", "0"),
    claim("price-negative", "[0.1]", "[-0.1]", "energy_usd_per_kwh", "-0.1"),
    claim("price-empty", "[0.1]", "[]", "energy_usd_per_kwh"),
    claim("table-in-folder", '"green500', '"../green500', "table", "../green500"),
    Case("claims/count-table-absent", ["report", "claims", "--cases", "mine"], {"mine/a.toml": edited(CLAIM, ("green500_nov2025", "green500_nov2035"))}, ["mine/a.toml", "table", "green500_nov2035"]),
    Case("claims/count-column-absent", ["report", "claims", "--cases", "mine"], {"mine/a.toml": edited(CLAIM, ('"accelerator"', '"gpu"'))}, ["mine/a.toml", "column", "gpu"]),
    Case("claims/id-twice", ["report", "claims", "--cases", "mine"], {"mine/a.toml": CLAIM, "mine/b.toml": CLAIM}, ["mine/b.toml", "faster", "mine/a.toml"]),
    Case("claims/folder-missing", ["report", "claims", "--cases", "absent"], {}, ["absent"]),
    Case("claims/folder-empty", ["report", "claims", "--cases", "empty"], {}, ["empty"], folders=["empty"]),
    Case("claims/only-unknown", ["report", "claims", "--cases", "mine", "--only", "fast"], {"mine/a.toml": CLAIM}, ["--only", "fast", "faster"]),
    Case("claims/out-folder-missing", ["report", "claims", "--cases", "mine", "--out", "absent/x.csv"], {"mine/a.toml": CLAIM}, ["absent/x.csv"], 4),
    Case("claims/no-points-is-an-answer", ["report", "claims", "--cases", "mine"], {"mine/a.toml": CLAIM.replace("8192", "8191")}, ["No value:"], 0),
]

# Unusual but right: exit 0 and the same answer as the plain file.
ACCEPTED = [
    site("byte-order-mark", b"\xef\xbb\xbf" + SITE.encode(), exit=0),
    site("crlf", SITE.replace("\n", "\r\n"), exit=0),
    site("row-of-dots", "# " + "." * 200 + "\n" + SITE, exit=0),
    site("no-last-newline", SITE.rstrip("\n"), exit=0),
    points("byte-order-mark", b"\xef\xbb\xbf" + "".join(POINTS[:3]).encode(), exit=0),
    points("crlf", "".join(POINTS[:3]).replace("\n", "\r\n"), exit=0),
    points("header-only", POINTS[0], exit=0),
    weather("sixty-degrees", HOURS, lambda i: f"{i},60,5", exit=0),
    weather("leap-year", HOURS, lambda i: f"{i + 1},20,50", count=8784, exit=0),
]

import measure_cases  # noqa: E402
import serving_cases  # noqa: E402
import allocate_cases  # noqa: E402
import scenario_cases  # noqa: E402
import topology_cases  # noqa: E402
import training_cases  # noqa: E402
import training_site_cases  # noqa: E402
import year_cases  # noqa: E402  (its cases are built from what stands above)

ALL = (topology_cases.topology_cases(Case) + scenario_cases.scenario_cases(Case) + year_cases.all_cases(sys.modules[__name__]) +
       measure_cases.all_cases(sys.modules[__name__]) + serving_cases.all_cases(sys.modules[__name__]) +
       training_cases.all_cases(sys.modules[__name__]) + allocate_cases.all_cases(sys.modules[__name__]) +
       training_site_cases.all_cases(sys.modules[__name__]) + SITES + LEVERS + CATALOGS + TABLES + IMPORTS +
       WEATHER + USAGES + IMPOSSIBLE + CLAIMS)
