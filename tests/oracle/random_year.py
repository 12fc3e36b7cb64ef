"""Random sites with a year, halls, retrofits, supplies and provisioning, over the shipped catalog."""
import random_site
from random_site import log_uniform, rounded

PLANTS = {"air-chiller": (7, 20), "air-economiser": (10, 27), "liquid-dry": (17, 45), "liquid-dry-only": (36, 45),
          "liquid-evaporative": (17, 45)}
CLIMATES = ["chicago-il", "dallas-tx", "leesburg-va", "phoenix-az", "san-jose-ca", "seattle-wa"]


def by_hour(random, low, high, digits=3):
    base, swing = random.uniform(low, high), random.uniform(0, high - low)
    return [rounded(base + swing * (random.random() - 0.5), digits) for _ in range(24)]


def make_year(random):
    year, prices = {}, {}
    if random.random() < 0.7:
        usd = by_hour(random, 0.02, 0.25)
        if random.random() < 0.4:
            for hour in random.sample(range(24), 3):
                usd[hour] = -rounded(random.uniform(0.001, 0.05), 3)
        step = random.choice([1, 3, 6])  # flat stretches make fewer classes
        year["energy_usd_per_kwh_by_hour"] = [usd[h // step * step] for h in range(24)]
    else:
        prices["energy_usd_per_kwh"] = random.choice([0, 0.05, 0.12])
    if random.random() < 0.5:
        step = random.choice([3, 6, 12])
        demand = [rounded(random.uniform(0, 1.2), 3) for _ in range(24)]
        year["demand_ratio_by_hour"] = [demand[h // step * step] for h in range(24)]
    if random.random() < 0.5:
        if random.random() < 0.5:
            year["carbon_grams_per_kwh"] = rounded(random.uniform(0, 900), 3)
        else:
            step = random.choice([6, 12])
            grams = [rounded(random.uniform(0, 900), 3) for _ in range(24)]
            year["carbon_grams_per_kwh_by_hour"] = [grams[h // step * step] for h in range(24)]
        if random.random() < 0.7:
            year["carbon_usd_per_tonne"] = rounded(random.uniform(0, 200), 3)
    return year, prices


def hourly_file(random):
    """Rows of an hourly year; made weather."""
    import math
    middle, swing, daily = random.uniform(0, 25), random.uniform(3, 15), random.uniform(2, 8)
    priced, demanded = random.random() < 0.6, random.random() < 0.5
    header = ["dry_bulb_c", "relative_humidity_percent"] + ["energy_usd_per_kwh"] * priced + ["demand_ratio"] * demanded
    rows = [",".join(header)]
    for i in range(8760):
        dry = (middle - swing * math.cos(2 * math.pi * i / 8760) - daily * math.cos(2 * math.pi * (i % 24) / 24)
               + random.gauss(0, 2))
        row = [f"{min(max(dry, -40), 48):.2f}", f"{random.uniform(15, 95):.1f}"]
        if priced:
            row.append(f"{random.gauss(0.07, 0.05):.4f}")
        if demanded:
            row.append(f"{random.uniform(0.2, 1.1):.3f}")
        rows.append(",".join(row))
    return "\n".join(rows) + "\n", priced, demanded


def make_hall(random, index, megawatts):
    plant = random.choice([*PLANTS, "air", "liquid"])
    hall = {"id": f"hall {index}", "cooling_plant": plant}
    if plant in PLANTS and random.random() < 0.6:
        hall["supply_temperature"] = f"{random.randint(*PLANTS[plant])}C"
    if random.random() < 0.75:
        hall["positions"] = max(0, round(megawatts / 0.1 * log_uniform(random, 0.02, 1)))
    if random.random() < 0.4:
        hall["it_capacity"] = f"{rounded(megawatts * log_uniform(random, 0.1, 1.5))}MW"
    if random.random() < 0.3:
        hall["max_rack_power"] = "400kW"
    return hall


def make_supply(random, index, megawatts):
    supply = {"name": f"supply {index}", "power": f"{rounded(megawatts * random.uniform(0, 0.4))}MW"}
    if random.random() < 0.5:
        supply |= {"kind": "battery", "energy_mwh": rounded(megawatts * random.uniform(0, 2))}
        if random.random() < 0.5:
            supply["round_trip_ratio"] = rounded(random.uniform(0.6, 1), 2)
    else:
        supply |= {"kind": "generation", "usd_per_kwh": rounded(random.uniform(0.01, 0.2), 3)}
        if random.random() < 0.5:
            supply["hours_per_year"] = random.choice([0, 100, 2000, 8760])
        if random.random() < 0.5:
            supply["carbon_grams_per_kwh"] = rounded(random.uniform(0, 800), 3)
    return supply


def make_provisioning(random):
    policy = random.choice(["nameplate", "static", "managed", "managed"])
    table = {"policy": policy}
    if policy == "static":
        table["gpu_cap_ratio"] = rounded(random.uniform(0.5, 1.0), 3)
    if policy == "managed":
        table["excursion_probability"] = rounded(random.uniform(0.08, 0.3), 3)
        if random.random() < 0.6:
            table["node_correlation"] = rounded(random.random(), 2)
            table["service_correlation"] = rounded(random.random(), 2)
    return table


def make_site(random):
    """(site, text of its hourly file or nothing)"""
    megawatts = rounded(log_uniform(random, 1, 200))
    plain = random_site.make_site(random)
    site = {"site": plain["site"] | {"envelope": f"{megawatts}MW"}}
    year, prices = make_year(random)
    hourly = None
    weather = random.random()
    if weather < 0.25:
        hourly, priced, demanded = hourly_file(random)
        year.pop("energy_usd_per_kwh_by_hour", None)
        if demanded:
            year.pop("demand_ratio_by_hour", None)
        prices = {} if priced else {"energy_usd_per_kwh": 0.06}
        year |= {"hourly_file": "hours.csv", "hour_classes": random.choice([1, 3, 6, 9])}
    elif weather < 0.85:
        year["climate"] = random.choice(CLIMATES)
    site["prices"] = {"table": "2026-08"} | prices
    if year:
        site["year"] = year
    halls = [make_hall(random, i, megawatts) for i in range(random.choice([1, 2, 3]))]
    if "climate" not in year and hourly is None:
        for hall in halls:
            hall["cooling_plant"] = random.choice(["air", "liquid"])
            hall.pop("supply_temperature", None)
    site["hall"] = halls
    systems = random.sample(list(random_site.SYSTEMS), random.randint(2, 4))
    racks = []
    for system in systems:
        rack = random_site.make_rack(random, system, megawatts)
        if random.random() < 0.8:
            rack.pop("cooling_plant", None)
            rack["hall"] = random.choice(halls)["id"]
        racks.append(rack)
    site["rack"] = racks
    site["service"] = [random_site.make_service(random, i, megawatts) for i in range(random.choice([1, 1, 2, 3]))]
    for service in site["service"]:
        if random.random() < 0.25:
            service["committed_output_tokens_per_s"] = rounded(
                service["demand_output_tokens_per_s"] * log_uniform(random, 0.02, 0.9))
    site["load"] = [{"name": "storage", "power": f"{rounded(megawatts * 20)}kW"}
                    | ({"hall": random.choice(halls)["id"]} if random.random() < 0.5 else {})
                    for _ in range(random.choice([0, 0, 1]))]
    with_positions = [h["id"] for h in halls if "positions" in h]
    if len(with_positions) > 1:
        start, end = random.sample(with_positions, 2)
        site["retrofit"] = [{"from": start, "to": end, "max_positions": random.randint(0, 200),
                             "capital_usd_per_position_hour": rounded(log_uniform(random, 0.1, 20), 3)}]
    site["supply"] = [make_supply(random, i, megawatts) for i in range(random.choice([0, 0, 1, 2]))]
    site["provisioning"] = make_provisioning(random)
    return {k: v for k, v in site.items() if v}, hourly
