"""The plan over hour classes, halls, supplies and provisioning, written a second time.

The linear program shares nothing with the program: all chords of the part-load curves are rows at
once (the program adds cuts), idle GPUs are eliminated, energy is paid at the grid. Taken as data:
the curves and scenarios that tests/oracle/year_numbers.cpp prints, and modelled GPU watts.
"""
import csv
import math
import tomllib
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

import reference as base
FIRM_HOURS = 4
HOURS = 8760


@dataclass
class Hour:
    weight: float
    price: float   # USD/MWh with carbon
    demand: float


@dataclass
class Hall:
    id: str
    plant: dict
    leakage: float
    load: float = 0.0  # MW
    positions: int | None = None
    capacity: float | None = None
    usable: float = 1.0
    mean: list | None = None
    worst: list | None = None

    @property
    def physical(self):
        return "rejection" in self.plant


@dataclass
class Rack:
    system: dict
    hall: int
    owned: int
    max_buy: int
    gpus: int
    cap: float
    reserved: float  # MW of IT per rack
    idle: float      # MW of IT per GPU
    capital: float   # USD/h per GPU


@dataclass
class Column:
    service: int
    rack: int
    at: object
    gpu_watts: float = 0.0
    it: float = 0.0       # MW per GPU while serving
    mean_it: float = 0.0
    revenue: float = 0.0  # USD/h per GPU
    swing: float = 0.0    # MW per GPU that moves with the profile


@dataclass
class Year:
    document: dict
    hours: list
    halls: list
    racks: list
    services: list
    supplies: list
    envelope: float
    availability: float
    max_capital: float | None
    policy: dict
    columns: list = field(default_factory=list)
    groups: list = field(default_factory=list)
    ratios: np.ndarray | None = None
    tail: float = 0.0


def megawatts(text):
    return base.quantity(text, base.POWER_UNITS) / 1e6


def mean_of(values, first, last):
    return sum(values[first - 1:last]) / (last - first + 1)


def climate_blocks(name):
    blocks = {}
    with open(base.DATA / "climate" / f"{name}.csv", newline="") as stream:
        for row in csv.DictReader(line for line in stream if not line.startswith("#")):
            key = int(row["first_hour"]), int(row["last_hour"])
            blocks[key] = blocks.get(key, 0.0) + float(row["hours"])
    return sorted((first, last, hours) for (first, last), hours in blocks.items())


def hours_of(document, printed):
    """Hour classes from the files; those of an hourly file as printed."""
    year = document.get("year", {})
    carbon_price = year.get("carbon_usd_per_tonne", 0.0)
    if "hourly_file" in year:
        return [Hour(h["year_ratio"], h["energy_usd_per_kwh"] * 1e3, h["demand_ratio"]) for h in printed["year"]]
    blocks = climate_blocks(year["climate"]) if "climate" in year else [(h, h, 365.0) for h in range(1, 25)]
    flat = {"energy_usd_per_kwh_by_hour": document["prices"].get("energy_usd_per_kwh", 0.0),
            "carbon_grams_per_kwh_by_hour": year.get("carbon_grams_per_kwh", 0.0), "demand_ratio_by_hour": 1.0}
    classes = {}
    for first, last, hours in blocks:
        usd, grams, demand = (mean_of(year[k], first, last) if k in year else v for k, v in flat.items())
        classes[usd, grams, demand] = classes.get((usd, grams, demand), 0.0) + hours
    total = sum(classes.values())
    return [Hour(hours / total, (usd + grams * carbon_price / 1e6) * 1e3, demand)
            for (usd, grams, demand), hours in classes.items()]


def leakage_of(plant, supply):
    if "rejection" not in plant:
        return 1.0
    f = lambda name: base.figure(plant, name)  # noqa: E731
    return 1 + f("gpu_leakage_ratio") * math.expm1(f("gpu_leakage_per_kelvin") * (supply - f("leakage_reference_celsius")))


def read_halls(document, catalog):
    halls = []
    for h in document.get("hall", []):
        plant = catalog.get("cooling_plant", h["cooling_plant"])
        supply = float(h["supply_temperature"][:-1]) if "supply_temperature" in h else (
            base.figure(plant, "supply_celsius") if "rejection" in plant else 0.0)
        halls.append(Hall(h["id"], plant, leakage_of(plant, supply), positions=h.get("positions"),
                          capacity=megawatts(h["it_capacity"]) if "it_capacity" in h else None))

    def stands_in(table, default):
        if "hall" in table:
            return next(i for i, hall in enumerate(halls) if hall.id == table["hall"])
        plant = catalog.get("cooling_plant", table.get("cooling_plant", default))
        for i, hall in enumerate(halls):
            if hall.id == plant["id"]:
                return i
        halls.append(Hall(plant["id"], plant, 1.0))
        return len(halls) - 1

    racks = [stands_in(r, catalog.get("system", r["system"])["cooling_plant"]) for r in document["rack"]]
    for load in document.get("load", []):
        halls[stands_in(load, "air")].load += megawatts(load["power"])
    return halls, racks


def read_rack(r, hall, index, document, catalog):
    plain = base.read_rack({k: v for k, v in r.items() if k != "hall"} | {"cooling_plant": "air"}, document["prices"], catalog)
    system = plain.system
    cap = base.cap_watts(catalog, system) * document.get("provisioning", {}).get("gpu_cap_ratio", 1.0)
    it = lambda watts: base.it_watts_per_gpu(catalog, system, watts)  # noqa: E731
    idle = min(cap, plain.idle_gpu_watts * hall.leakage)
    return Rack(system, index, plain.owned, plain.max_buy, plain.gpus, cap,
                base.it_watts_per_gpu(catalog, system, cap, provisioned=True) * plain.gpus / 1e6, it(idle) / 1e6,
                plain.capital_per_gpu or 0.0)


def read_supplies(document, carbon_price):
    supplies = []
    for s in document.get("supply", []):
        power = megawatts(s["power"])
        if s["kind"] == "battery":
            supplies.append({"power": power, "energy": s["energy_mwh"], "efficiency": s.get("round_trip_ratio", 0.88),
                             "firm": min(power, s["energy_mwh"] / FIRM_HOURS)})
        else:
            hours = s.get("hours_per_year", HOURS)
            cost = (s["usd_per_kwh"] + s.get("carbon_grams_per_kwh", 0.0) * carbon_price / 1e6) * 1e3
            supplies.append({"power": power, "hours": hours, "cost": cost, "firm": power if hours > 0 else 0.0})
    return supplies


def read_year(text, catalog, printed):
    document = tomllib.loads(text)
    site = document["site"]
    halls, places = read_halls(document, catalog)
    for hall in halls:
        if hall.physical:
            curves = printed["halls"][hall.id]
            hall.mean, hall.worst = ([(c["load_ratio"], c["meter_ratio"]) for c in curves[k]] for k in ("mean", "worst"))
            hall.usable = min(1.0, min(x[-1] for x, _ in hall.mean + hall.worst))
    return Year(document, hours_of(document, printed), halls,
                [read_rack(r, halls[p], p, document, catalog) for r, p in zip(document["rack"], places)],
                [base.read_service(s, catalog) for s in document["service"]],
                read_supplies(document, document.get("year", {}).get("carbon_usd_per_tonne", 0.0)),
                megawatts(site["envelope"]), site.get("availability_ratio", 1.0), site.get("max_capital_usd_per_hour"),
                document.get("provisioning", {"policy": "nameplate"}))


def add_columns(year, points, catalog, told_watts):
    for s, service in enumerate(year.services):
        for at in base.operating_points(points, service):
            if (service.max_ttft and at.ttft is None) or (at.total is None and service.usd_per_input > 0):
                continue
            for k, rack in enumerate(year.racks):
                if (catalog.get("accelerator", rack.system["accelerator"])["id"] != at.point.accelerator
                        or at.point.num_gpus > (rack.owned + rack.max_buy) * rack.gpus):
                    continue
                column = Column(s, k, at)
                told = told_watts(column)
                column.gpu_watts = at.power * year.halls[rack.hall].leakage if at.power is not None else told
                if column.gpu_watts is None or column.gpu_watts > rack.cap:
                    continue
                price(year, rack, service, column, catalog)
                year.columns.append(column)


def price(year, rack, service, column, catalog):
    a = year.availability
    column.it = base.it_watts_per_gpu(catalog, rack.system, column.gpu_watts) / 1e6
    column.mean_it = a * column.it + (1 - a) * rack.idle
    low = min(column.gpu_watts, 0.99 * rack.cap)
    rises = [(rack.cap - low) * i / 16 for i in range(1, 17)]
    at = [base.it_watts_per_gpu(catalog, rack.system, low + rise) for rise in [0.0, *rises]]
    column.swing = column.gpu_watts / 1e6 * max((it - at[0]) / rise for it, rise in zip(at[1:], rises))
    usd = column.at.output * service.usd_per_output
    if column.at.total is not None:
        usd += (column.at.total - column.at.output) * service.usd_per_input
    column.revenue = usd * 3600 * a


def tail_of(deviations, share):
    """Mean of the highest `share` of the scenarios and the weight of each in it."""
    order = np.argsort(-deviations, kind="stable")
    count = share * len(order)
    whole = int(math.floor(count + 1e-9))
    weights = np.zeros(len(order))
    weights[order[:whole]] = 1.0
    if count - whole > 1e-9:
        weights[order[whole]] = count - whole
    weights /= weights.sum()
    return weights @ deviations, weights


class Program:
    """max profit; columns and rows by name. MW, ktok/s, USD/h."""

    def __init__(self, year):
        self.year = year
        self.gain, self.upper, self.integer, self.rows = [], [], [], []
        self.hours = range(len(year.hours))
        self._buy()
        self._serve()
        self.it = [[self._it(p, h, "mean_it") for h in self.hours] for p in range(len(year.halls))]
        self.reserved, self.full, self.design = [], [], []
        for p in range(len(year.halls)):
            self._reserve(p)
        self._halls()
        self._supplies()

    def var(self, gain=0.0, upper=np.inf, integer=False):
        self.gain.append(gain)
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.gain) - 1

    def row(self, entries, low, high):
        self.rows.append((entries, low, high))

    def _buy(self):
        year = self.year
        self.y = [self.var(integer=True) for _ in year.racks]
        self.b = [self.var(-r.gpus * r.capital, r.max_buy) for r in year.racks]
        retrofits = year.document.get("retrofit", [])
        self.moved = [self.var(-r["capital_usd_per_position_hour"], r["max_positions"], True) for r in retrofits]
        for k, rack in enumerate(year.racks):
            self.row({self.y[k]: 1.0, self.b[k]: -1.0}, -np.inf, rack.owned)
        if year.max_capital is not None:
            self.row({b: r.gpus * r.capital for b, r in zip(self.b, year.racks)}
                     | {m: r["capital_usd_per_position_hour"] for m, r in zip(self.moved, retrofits)}, -np.inf, year.max_capital)
        for p, hall in enumerate(year.halls):
            if hall.positions is not None:
                self.row({self.y[k]: 1.0 for k, r in enumerate(year.racks) if r.hall == p}
                         | {m: (r["from"] == hall.id) * 1.0 - (r["to"] == hall.id) for m, r in zip(self.moved, retrofits)},
                         -np.inf, hall.positions)

    def _serve(self):
        year = self.year
        self.x = [[self.var(hour.weight * c.revenue) for hour in year.hours] for c in year.columns]
        for h, hour in enumerate(year.hours):
            for k, rack in enumerate(year.racks):
                self.row({self.x[i][h]: 1.0 for i, c in enumerate(year.columns) if c.rack == k}
                         | {self.y[k]: -float(rack.gpus)}, -np.inf, 0.0)
            for s, service in enumerate(year.services):
                self.row({self.x[i][h]: c.at.output * year.availability / 1e3
                          for i, c in enumerate(year.columns) if c.service == s},
                         service.committed / 1e3 * hour.demand, service.demand / 1e3 * hour.demand)

    def _it(self, p, h, what):
        """IT power of a hall: serving, idle and other loads."""
        year, it = self.year, self.var()
        entries = {it: -1.0}
        for k, rack in enumerate(year.racks):
            if rack.hall == p:
                entries[self.y[k]] = rack.gpus * rack.idle
        for i, c in enumerate(year.columns):
            rack = year.racks[c.rack]
            if rack.hall == p:
                entries[self.x[i][h]] = getattr(c, what) - rack.idle
        self.row(entries, -year.halls[p].load, -year.halls[p].load)
        return it

    def _reserve(self, p):
        """What is reserved of IT power, by hour, and the plant's design where it is a choice."""
        year, hall = self.year, self.year.halls[p]
        racks = {self.y[k]: r.reserved for k, r in enumerate(year.racks) if r.hall == p}
        managed = year.policy["policy"] == "managed"
        if managed:
            full = [self._it(p, h, "it") for h in self.hours]
            reserved = [self.var() for _ in self.hours]
            for f, r in zip(full, reserved):
                self.row({r: 1.0, f: -1.0}, 0.0, np.inf)
            self.full.append(full)
        else:
            one = self.var()
            self.row(racks | {one: -1.0}, -hall.load, -hall.load)
            reserved = [one] * len(self.hours)
            self.full.append(None)
        self.reserved.append(reserved)
        design = None
        if hall.capacity is not None:
            for r in reserved:
                self.row({r: 1.0}, -np.inf, hall.usable * hall.capacity)
        elif hall.physical:
            design = self.var()
            self.row({design: hall.usable} | {y: -w for y, w in racks.items()}, hall.load, hall.load)
            for r in reserved:
                self.row({design: hall.usable, r: -1.0}, 0.0, np.inf)
        self.design.append(design)

    def group(self, c):
        return self.year.groups.index((c.service, c.rack, c.at.point.deployment[4]))

    def _above(self, meter, load, p, curve, equal=False):
        """meter >= every chord of design * curve(load / design)."""
        hall, (x, y) = self.year.halls[p], curve
        for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:]):
            slope = (y1 - y0) / (x1 - x0)
            entries = {meter: 1.0, load: -slope}
            standing = (y0 - slope * x0)
            if self.design[p] is None:
                low = standing * hall.capacity
            else:
                low = 0.0
                entries[self.design[p]] = -standing
            self.row(entries, low, low if equal else np.inf)

    def _halls(self):
        year = self.year
        self.meter, self.peak = [], []
        for p, hall in enumerate(year.halls):
            self.meter.append([self.var() for _ in self.hours])
            self.peak.append([self.var() for _ in self.hours])
            for h, hour in enumerate(year.hours):
                meter, peak, it, reserved = self.meter[p][h], self.peak[p][h], self.it[p][h], self.reserved[p][h]
                if not hall.physical:
                    pue = base.figure(hall.plant, "pue")
                    self.row({meter: 1.0, it: -pue}, 0.0, 0.0)
                    self.row({peak: 1.0, reserved: -pue}, 0.0, 0.0)
                    continue
                x, y = hall.mean[h]
                if hour.price < 0:
                    self._above(meter, it, p, ([0.0, x[-1]], [y[0], y[-1]]), equal=True)
                else:
                    self._above(meter, it, p, (x, y))
                self._above(peak, reserved, p, hall.worst[h])
        firm = sum(s["firm"] for s in year.supplies)
        for h in self.hours:
            self.row({self.peak[p][h]: 1.0 for p in range(len(year.halls))}, -np.inf, year.envelope + firm)
        self.envelope_rows = range(len(self.rows) - len(self.hours), len(self.rows))

    def _supplies(self):
        year = self.year
        grid = [self.var(-hour.weight * hour.price, year.envelope if year.supplies else np.inf) for hour in year.hours]
        balance = [{g: -1.0} | {self.meter[p][h]: 1.0 for p in range(len(year.halls))} for h, g in enumerate(grid)]
        for s in year.supplies:
            out = [self.var(-hour.weight * s.get("cost", 0.0), s["power"]) for hour in year.hours]
            for h, o in enumerate(out):
                balance[h][o] = -1.0
            used = {o: hour.weight for o, hour in zip(out, year.hours)}
            if "energy" not in s:
                self.row(used, -np.inf, s["power"] * s["hours"] / HOURS)
                continue
            charged = [self.var(upper=s["power"]) for _ in self.hours]
            for h, c in enumerate(charged):
                balance[h][c] = 1.0
            self.row(used, -np.inf, s["energy"] / 24)
            self.row({o: -w for o, w in used.items()}
                     | {c: s["efficiency"] * hour.weight for c, hour in zip(charged, year.hours)}, 0.0, 0.0)
        for entries in balance:
            self.row(entries, 0.0, 0.0)

    # ---- solving ---------------------------------------------------------------------------------

    def _matrix(self):
        at = [(i, j, v) for i, (entries, _, _) in enumerate(self.rows) for j, v in entries.items() if v]
        i, j, v = zip(*at)
        return (csr_matrix((v, (i, j)), shape=(len(self.rows), len(self.gain))),
                np.array([r[1] for r in self.rows], float), np.array([r[2] for r in self.rows], float))

    def _solve(self, integer, time_limit):
        matrix, low, high = self._matrix()

        def answer(presolve):
            return milp(-np.array(self.gain), constraints=LinearConstraint(matrix, low, high),
                        integrality=np.array(self.integer, float) if integer else None, bounds=Bounds(0, self.upper),
                        options={"mip_rel_gap": 1e-6, "time_limit": time_limit, "presolve": presolve})

        first = answer(True)
        # Its presolve calls a few feasible integer programs infeasible.
        return answer(False) if integer and first.status == 2 else first

    def deviation(self, c):
        """By scenario: how far a column is from its mean, relative; no board is above its cap."""
        at_cap = self.year.racks[c.rack].cap / c.gpu_watts
        return np.minimum(self.year.ratios[:, self.group(c)], at_cap) - 1

    def _cut(self, x):
        """Adds the tail's cuts that a solution breaks."""
        year, found = self.year, False
        for p in range(len(year.halls)):
            inside = [(i, c) for i, c in enumerate(year.columns) if year.racks[c.rack].hall == p]
            for h in self.hours:
                draw = np.zeros(len(year.ratios))
                for i, c in inside:
                    if x[self.x[i][h]] > 0:
                        draw += c.swing * x[self.x[i][h]] * self.deviation(c)
                tail, weights = tail_of(draw, year.tail)
                if x[self.reserved[p][h]] >= x[self.full[p][h]] + tail - 1e-8 * (1 + tail):
                    continue
                found = True
                self.row({self.reserved[p][h]: 1.0, self.full[p][h]: -1.0}
                         | {self.x[i][h]: -c.swing * (weights @ self.deviation(c)) for i, c in inside}, 0.0, np.inf)
        return found

    def solve(self, integer=False, time_limit=20.0):
        """(profit or nothing, bound) in USD/h; the bound is -inf when infeasible."""
        for _ in range(100):
            answer = self._solve(integer, time_limit)
            if answer.x is None:
                return None, -math.inf if answer.status == 2 else math.inf
            if self.year.policy["policy"] != "managed" or not self._cut(answer.x):
                break
        return -answer.fun, -answer.mip_dual_bound if integer else -answer.fun
