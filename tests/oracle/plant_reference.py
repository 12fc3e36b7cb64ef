#!/usr/bin/env python3
"""An independent model of the physical cooling plants, as a reference for the C++ one.

Reads the shipped catalog, finds the cheapest split between free cooling and chiller by numerical
minimisation (the C++ code has it in closed form) and prints tests/validation/plant_power.csv.
  plant_reference.py > tests/validation/plant_power.csv     writes it
  plant_reference.py --check                                compares it with the file
"""
import csv
import io
import sys
import tomllib
from pathlib import Path

from scipy.optimize import brentq, minimize_scalar

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = ROOT / "tests/validation/plant_power.csv"
COLUMNS = ["plant", "supply_c", "dry_bulb_c", "wet_bulb_c", "load_ratio", "meter_ratio", "fans_ratio", "pumps_ratio",
           "chiller_ratio", "distribution_ratio", "heat_ratio", "water_litres_per_megajoule", "limit_ratio"]
WEATHER = [(-15, -16), (5, 2), (14.5, 9), (24, 17), (29, 26), (33.5, 21), (45.6, 24), (45.6, 33.2)]
LOADS = [0, 0.2, 0.55, 0.8, 1]
LATENT_J_PER_KG, KG_PER_LITRE = 2.43e6, 0.9957


def plants():
    for file in sorted((ROOT / "data/catalog").glob("*.toml")):
        for plant in tomllib.loads(file.read_text()).get("cooling_plant", []):
            if "rejection" in plant:
                yield plant


class Plant:
    def __init__(self, entry, supply):
        self.entry, self.supply = entry, supply
        self.kind = entry["rejection"]
        self.chiller = entry.get("has_chiller", True)
        self.design_heat = sum(self.inside(1).values())

    def f(self, name):
        return self.entry[name]["value"] if name in self.entry else 0.0

    def inside(self, load):
        """Everything that warms the loop."""
        f = self.f
        busway = f("busway_loss_ratio") * load**2
        rated = 1 / f("ups_design_load_ratio")
        share = (load + busway) / rated
        ups = rated * (f("ups_no_load_loss_ratio") + f("ups_linear_loss_ratio") * share + f("ups_square_loss_ratio") * share**2)
        return {"it": load, "busway": busway, "ups": ups, "other": f("other_power_ratio"),
                "pumps": f("pump_power_ratio") * max(load, f("pump_min_flow_ratio")) ** f("pump_exponent"),
                "hall": f("hall_fan_power_ratio") * max(load, f("hall_fan_min_flow_ratio")) ** 3}

    def bulb(self, dry, wet):
        return wet if self.kind == "evaporative" else dry

    def capacity(self, dry, wet):
        if self.kind == "chiller":
            return 0.0
        return self.design_heat * max(0.0, self.supply - self.bulb(dry, wet)) / self.f("approach_kelvin")

    def outside(self, free, heat, dry, wet):
        """(fans, compressor) when `free` of `heat` goes the free way."""
        f, fans, compressor = self.f, 0.0, 0.0
        capacity = self.capacity(dry, wet)
        if self.kind != "chiller":
            flow = free / capacity if capacity else 0.0
            fans = f("fan_power_ratio") * self.design_heat * max(flow, f("fan_min_flow_ratio")) ** 3
        if self.chiller:
            cold = self.supply + 273.15 - f("evaporator_approach_kelvin")
            warm = self.bulb(dry, wet) + 273.15 + f("condenser_approach_kelvin")
            cop = f("chiller_carnot_ratio") * cold / max(warm - cold, f("chiller_min_lift_kelvin"))
            compressor = (heat - free) / cop
            fans += f("condenser_fan_power_ratio") * (heat - free + compressor)
        return fans, compressor

    def limit(self, dry, wet):
        capacity = self.capacity(dry, wet)
        if self.chiller or capacity >= self.design_heat:
            return 1.0
        if sum(self.inside(0).values()) >= capacity:
            return 0.0
        return brentq(lambda load: sum(self.inside(load).values()) - capacity, 0, 1, xtol=1e-14)

    def at(self, load, dry, wet):
        inside = self.inside(load)
        heat = sum(inside.values())
        free = heat
        if self.chiller:
            most = min(heat, self.capacity(dry, wet))
            cost = lambda q: sum(self.outside(q, heat, dry, wet))  # noqa: E731
            free = minimize_scalar(cost, bounds=(0, most), method="bounded", options={"xatol": 1e-12}).x if most else 0.0
            free = min((0.0, free, most), key=cost)
        fans, compressor = self.outside(free, heat, dry, wet)
        passed = heat + fans + compressor
        rated = 1 / self.f("transformer_design_load_ratio")
        transformer = rated * (self.f("transformer_no_load_loss_ratio") + self.f("transformer_load_loss_ratio") * (passed / rated) ** 2)
        water = 0.0
        if self.kind == "evaporative":
            cycles = self.f("cycles_of_concentration")
            water = (heat + compressor) / LATENT_J_PER_KG / KG_PER_LITRE * cycles / (cycles - 1) * 1e6
        return {"meter_ratio": passed + transformer, "fans_ratio": fans + inside["hall"], "pumps_ratio": inside["pumps"],
                "chiller_ratio": compressor, "distribution_ratio": inside["busway"] + inside["ups"] + transformer,
                "heat_ratio": heat, "water_litres_per_megajoule": water}


def rows():
    for entry in plants():
        low, high = entry["supply_min_celsius"]["value"], entry["supply_max_celsius"]["value"]
        for supply in (low, (low + high) / 2, high):
            plant = Plant(entry, supply)
            for dry, wet in WEATHER:
                limit = plant.limit(dry, wet)
                for load in LOADS:
                    if 0 < load <= limit or (load == 0 and limit > 0):
                        found = plant.at(load, dry, wet)
                        yield {"plant": entry["id"], "supply_c": supply, "dry_bulb_c": dry, "wet_bulb_c": wet,
                               "load_ratio": load, "limit_ratio": f"{limit:.9g}"} | {k: f"{v:.9g}" for k, v in found.items()}


def main():
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows())
    if "--check" not in sys.argv:
        sys.stdout.write(text.getvalue())
        return 0
    got, want = (list(csv.DictReader(io.StringIO(t))) for t in (text.getvalue(), EXPECTED.read_text()))
    differ = [g for g, w in zip(got, want) for k in COLUMNS
              if g[k] != w[k] and (k == "plant" or abs(float(g[k]) - float(w[k])) > 1e-6 * max(abs(float(w[k])), 1e-3))]
    print(f"{len(got)} rows, {len(differ)} differ from {EXPECTED.name}")
    return bool(differ) or len(got) != len(want) or not got


if __name__ == "__main__":
    sys.exit(main())
