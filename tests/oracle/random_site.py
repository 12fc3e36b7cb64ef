"""Random site files over the shipped catalog and the plants of EXTRA_PLANTS."""
import math
from random import Random

WORKLOADS = {
    "deepseek-r1": [(1024, 1024), (8192, 1024), (1024, 8192)],
    "gpt-oss-120b": [(1024, 1024), (1024, 8192), (8192, 1024)],
    "llama-3.3-70b": [(1024, 1024), (1024, 8192), (8192, 1024)],
    "qwen3.5-397b-a17b": [(8192, 1024), (1024, 1024)],
    "minimax-m2.5": [(8192, 1024), (1024, 1024)],
    "glm-5": [(8192, 1024), (1024, 1024)],
}
LISTED = {"deepseek-r1", "glm-5", "minimax-m2.5", "qwen3.5-397b-a17b"}
# System and roughly its MW per rack.
SYSTEMS = {"hgx-h100-air": 0.048, "hgx-h200-air": 0.048, "hgx-b200-air": 0.062, "hgx-b300-air": 0.07,
           "mi300x-air": 0.045, "mi325x-air": 0.056, "mi355x-air": 0.076, "hgx-h200-liquid": 0.073,
           "hgx-b200-liquid": 0.1, "hgx-b300-liquid": 0.11, "mi355x-liquid": 0.12, "gb200-nvl72": 0.16,
           "gb300-nvl72": 0.18, "tpu-v7-liquid": 0.1, "gaudi3-air": 0.05}
WITHOUT_PRICE = {"tpu-v7-liquid", "gaudi3-air"}
PLANTS = ["air", "liquid", "free-air", "desert"]
EXTRA_PLANTS = """\
[[source]]
id = "test-plants"
title = "made up"
publisher = "test"
date = "2026"

[[cooling_plant]]
id = "free-air"
medium = "air"
pue = { value = 1.06, source = "test-plants", tag = "assumed" }
distribution_loss_ratio = { value = 0.03, source = "test-plants", tag = "assumed" }

[[cooling_plant]]
id = "desert"
medium = "liquid"
pue = { value = 1.62, source = "test-plants", tag = "assumed" }
distribution_loss_ratio = { value = 0.1, source = "test-plants", tag = "assumed" }
"""


def log_uniform(random, low, high):
    return math.exp(random.uniform(math.log(low), math.log(high)))


def rounded(value, digits=4):
    return float(f"{value:.{digits}g}")


def make_service(random, index, megawatts):
    model = random.choice([*WORKLOADS, "deepseek-r1", "deepseek-r1"])
    isl, osl = random.choice(WORKLOADS[model])
    # A megawatt serves of the order of a million tokens/s at the loose end.
    demand = rounded(megawatts * log_uniform(random, 3e3, 3e6))
    service = {"id": f"s{index}", "model": model, "isl_tokens": isl, "osl_tokens": osl,
               "min_interactivity": random.choice(["0tok/s", "10tok/s", "20tok/s", "30tok/s", "33.3tok/s",
                                                   "50tok/s", "75tok/s", "0.1ktok/s"]),
               "demand_output_tokens_per_s": demand}
    if random.random() < 0.45:
        service["max_ttft"] = random.choice(["300ms", "500ms", "1s", "2s", "2.7s", "5s", "20s"])
    if random.random() < 0.02:
        service |= random.choice([{"min_interactivity": "400tok/s"}, {"max_ttft": "5ms"}])
    if random.random() < 0.2:
        service["committed_output_tokens_per_s"] = rounded(
            min(demand, megawatts * log_uniform(random, 100, 1e5)))
    if model not in LISTED or random.random() < 0.7:
        service["price_usd_per_million_output_tokens"] = rounded(log_uniform(random, 0.02, 5), 3)
        if random.random() < 0.7:
            service["price_usd_per_million_input_tokens"] = rounded(log_uniform(random, 0.005, 1), 3)
    return service


def make_rack(random, system, megawatts):
    scale = megawatts / SYSTEMS[system]
    rack = {"system": system}
    kind = random.random()
    if kind < 0.65:
        rack["owned"] = max(1, round(scale * random.uniform(0.02, 1.2)))
    if kind > 0.4:
        rack["max_buy"] = max(1, round(scale * random.uniform(0.02, 1.5)))
        if system in WITHOUT_PRICE or random.random() < 0.2:
            rack["capital_usd_per_gpu_hour"] = rounded(random.uniform(0, 3), 3)
    if random.random() < 0.25:
        rack["cooling_plant"] = random.choice(PLANTS)
    return rack


def make_site(random):
    megawatts = rounded(log_uniform(random, 0.3, 500))
    site = {"envelope": f"{megawatts}MW"}
    if random.random() < 0.7:
        site["availability_ratio"] = rounded(random.uniform(0.5, 1.0), 3)
    if random.random() < 0.15:
        site["max_capital_usd_per_hour"] = rounded(megawatts * log_uniform(random, 10, 1000), 3)
    prices = {"table": random.choice(["2026-08", "2026-04"]),
              "energy_usd_per_kwh": random.choice([0, 0.03, 0.08, 0.2, 0.5]),
              "basis": random.choice(["tco_hyperscaler", "tco_neocloud", "rental"])}
    systems = random.sample(list(SYSTEMS), random.randint(2, 7))
    racks = [make_rack(random, system, megawatts) for system in systems]
    if random.random() < 0.15:  # the same system in a second hall
        first = racks[0].get("cooling_plant")
        other = random.choice(["free-air", "desert"])
        if other != first:
            racks.append(make_rack(random, systems[0], megawatts) | {"cooling_plant": other})
    loads = [{"name": f"load {i}", "power": f"{rounded(megawatts * random.uniform(0, 0.06) * 1e3)}kW",
              **({"cooling_plant": random.choice(PLANTS)} if random.random() < 0.5 else {})}
             for i in range(random.choice([0, 0, 1, 3]))]
    if random.random() < 0.02:
        loads.append({"name": "too much", "power": f"{megawatts}MW"})
    return {"site": site, "prices": prices,
            "service": [make_service(random, i, megawatts) for i in range(random.choice([1, 2, 2, 3, 3, 4, 5]))],
            "rack": racks, "load": loads}


def toml_value(value):
    return f'"{value}"' if isinstance(value, str) else repr(value)


def to_toml(site):
    lines = []
    for name, content in site.items():
        tables = content if isinstance(content, list) else [content]
        header = f"[[{name}]]" if isinstance(content, list) else f"[{name}]"
        for table in tables:
            lines += [header, *(f"{key} = {toml_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


ACCELERATORS = {"hgx-h100-air": "h100", "hgx-h200-air": "h200", "hgx-b200-air": "b200", "mi300x-air": "mi300x",
                "mi355x-air": "mi355x", "hgx-h200-liquid": "h200", "hgx-b200-liquid": "b200", "gb200-nvl72": "gb200"}


def training_settings(name, stages):
    """(stage, instruction): [(MHz, s, J)], made of the profile's name alone."""
    random = Random(name)
    watts, settings = random.uniform(300, 1100), {}
    for key, most in [((s, i), most) for s in range(stages) for i, most in (("forward", 2), ("backward", 4))]:
        seconds = random.uniform(0.02, most)
        settings[key] = []
        for step in range(random.choice([1, 2, 4] if stages == 1 else [1, 2])):  # all plans are tried
            clock = 1 - 0.12 * step
            drawn = watts * random.uniform(0.8, 1.1) * (0.2 + 0.8 * clock**3)
            time = rounded(seconds / clock**random.uniform(0.3, 1), 6)
            settings[key].append((1980 - 240 * step, time, rounded(drawn * time, 6)))
    return settings


def training_profile(name, stages):
    rows = [f"{stage},{instruction},{mhz},{time!r},{joules!r}"
            for (stage, instruction), settings in training_settings(name, stages).items()
            for mhz, time, joules in settings]
    return "\n".join(["stage,instruction,frequency,time,energy", *rows]) + "\n"


def add_training(random, site):
    """Up to two jobs of one or two stages on accelerators of the site's racks; nothing where there are none."""
    known = [ACCELERATORS[r["system"]] for r in site["rack"] if r["system"] in ACCELERATORS]
    if not known or random.random() < 0.3:
        return
    if random.random() < 0.5:
        site["deployments"] = {"frequency_plans": random.choice(["none", "same_time", "any"])}
    megawatts = float(site["site"]["envelope"][:-2])
    site["training"] = []
    for i in range(random.choice([1, 1, 2])):
        name = f"profile-{random.randrange(10**9)}.csv"
        microbatches = random.choice([1, 2])
        stages = random.choice([1, 2])
        seconds = microbatches * sum(settings[0][1] for settings in training_settings(name, stages).values())
        # Some hundred trained tokens/s per GPU, at some USD per million.
        tokens = rounded(seconds * log_uniform(random, 20, 2000) * 8)
        pipelines = max(1, round(megawatts * log_uniform(random, 10, 1000)))
        job = {"id": f"run{i}", "accelerator": random.choice(known), "profile": name, "stages": stages,
               "microbatches": microbatches, "blocking_power": random.choice(["0W", "50W", "110.5W"]),
               "gpus_per_stage": random.choice([1, 8, 64]), "tokens_per_iteration": tokens,
               "value_usd_per_million_trained_tokens": rounded(log_uniform(random, 0.03, 8), 3),
               "max_pipelines": pipelines}
        if random.random() < 0.5:
            job["tail"] = random.choice(["30ms", "0.4s"])
        if random.random() < 0.3:
            job["committed_trained_tokens_per_s"] = rounded(
                random.uniform(0, 0.7) * min(pipelines, megawatts * 60) * tokens / seconds)
        site["training"].append(job)
