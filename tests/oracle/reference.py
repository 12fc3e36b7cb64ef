"""A second implementation of the plan's arithmetic, from the data files alone.

Shares nothing with the program but the files under data/ and the site file. The only figures taken
from the program's output are the GPU watts of candidates whose power is modelled.
"""
import csv
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_matrix, vstack

DATA = Path(__file__).resolve().parents[2] / "data"
IDLE_SHARE_OF_TDP = 0.16  # docs/model/gpu_power.md#idle
POWER_UNITS = {"GW": 1e9, "MW": 1e6, "kW": 1e3, "W": 1.0}
RATE_UNITS = {"Gtok/s": 1e9, "Mtok/s": 1e6, "ktok/s": 1e3, "tok/s": 1.0}
TIME_UNITS = {"min": 60.0, "ms": 1e-3, "us": 1e-6, "h": 3600.0, "s": 1.0}


def quantity(text, units):
    for name, factor in units.items():
        if text.endswith(name):
            return float(text[: -len(name)]) * factor
    raise ValueError(text)


class Catalog:
    def __init__(self, folders=(DATA / "catalog",)):
        self.entries = {k: {} for k in ("accelerator", "system", "cooling_plant", "model", "psu_curve",
                                        "price_table")}
        self.token_prices = []
        for folder in folders:
            for file in sorted(Path(folder).glob("*.toml")):
                document = tomllib.loads(file.read_text())
                for kind, known in self.entries.items():
                    known.update({entry["id"]: entry for entry in document.get(kind, [])})
                self.token_prices += document.get("token_price", [])
        self.names = {kind: self._names(known) for kind, known in self.entries.items()}

    @staticmethod
    def _names(known):
        return {name.lower(): id for id, entry in known.items()
                for name in [id, *entry.get("aliases", [])]}

    def get(self, kind, name):
        return self.entries[kind][self.names[kind][name.lower()]]

    def list_price(self, model):
        prices = [p for p in self.token_prices if self.names["model"][p["model"].lower()] == model]
        return max(prices, key=lambda p: p["date"], default=None)

    def price(self, table, accelerator):
        for row in self.entries["price_table"][table].get("accelerator", []):
            if self.names["accelerator"][row["accelerator"].lower()] == accelerator:
                return row
        return None


def figure(entry, name):
    return entry[name]["value"]


@dataclass
class Point:
    """One row of a points file with what can be computed from it."""
    read_at: str
    accelerator: str
    model: str
    workload: str
    deployment: tuple
    num_gpus: int
    concurrency: float | None
    total: float | None
    output: float | None
    interactivity: float | None
    ttft: float | None
    power: float | None
    has_output: bool  # told by the source, not derived
    order: tuple


def optional(row, key):
    return float(row[key]) if row[key] else None


def read_points(files, catalog):
    points = []
    for file in files:
        with open(file, newline="") as stream:
            reader = csv.DictReader(stream)
            for row in reader:
                points.append(read_point(row, f"{file}:{reader.line_num}", catalog))
    return points


def read_point(row, read_at, catalog):
    total, output = optional(row, "total_tokens_per_s_per_gpu"), optional(row, "output_tokens_per_s_per_gpu")
    interactivity, tpot = optional(row, "interactivity_tokens_per_s"), optional(row, "tpot_median_s")
    power = optional(row, "gpu_power_watts")
    per_output, per_total = optional(row, "joules_per_output_token"), optional(row, "joules_per_total_token")
    if interactivity is None and tpot:
        interactivity = 1 / tpot
    if output is None:
        if total and not row["task"]:
            output = total * float(row["osl_tokens"]) / (float(row["isl_tokens"]) + float(row["osl_tokens"]))
        elif power and per_output:
            output = power / per_output
    if power is None:
        if per_output and output:
            power = per_output * output
        elif per_total and total:
            power = per_total * total
    layout = tuple(row[k] for k in ("num_gpus", "prefill_gpus", "decode_gpus", "prefill_tp", "prefill_ep",
                                    "prefill_dp_attention", "decode_tp", "decode_ep", "decode_dp_attention"))
    accelerator = catalog.get("accelerator", row["accelerator"])["id"]
    concurrency = optional(row, "concurrency")
    return Point(
        read_at, accelerator, catalog.get("model", row["model"])["id"],
        row["task"] or f"{int(row['isl_tokens'])}/{int(row['osl_tokens'])}",
        (accelerator, row["weights_precision"], row["engine"], row["spec_decode"], row["serving"], layout),
        int(row["num_gpus"]), concurrency, total, output, interactivity, optional(row, "ttft_median_s"),
        power, bool(row["output_tokens_per_s_per_gpu"]), (-(interactivity or 0), -(output or 0), concurrency or 0, row["date"], row["source"], row["url"]))


@dataclass
class Operating:
    """A point a service may run at: a row, or between two rows of one deployment."""
    point: Point
    other: Point | None
    interactivity: float
    ttft: float | None
    total: float | None
    output: float
    power: float | None  # nothing: modelled


def log_mix(a, b, share):
    return None if a is None or b is None else math.exp(math.log(a) * (1 - share) + math.log(b) * share)


def between(high, low, interactivity):
    share = (high.interactivity - interactivity) / (high.interactivity - low.interactivity)
    power = None if high.power is None or low.power is None else high.power + share * (low.power - high.power)
    return Operating(high, low, interactivity, log_mix(high.ttft, low.ttft, share),
                     log_mix(high.total, low.total, share), log_mix(high.output, low.output, share), power)


def is_copy_of_any(point, rows):
    """A median over runs that is the number of its only run, and tells nothing more."""
    def same(a, b):
        return a and b and abs(a / b - 1) <= 1e-6

    return not point.has_output and any(
        other.has_output and (other.power or not point.power) and other.concurrency == point.concurrency
        and same(other.interactivity, point.interactivity) and same(other.total, point.total) for other in rows)


def operating_points(points, service):
    """All points within the SLO of `service`, TTFT unknown included."""
    least, limit = service.min_interactivity, service.max_ttft
    deployments = {}
    for p in points:
        if p.model == service.model and p.workload == service.workload and p.output and p.interactivity:
            deployments.setdefault(p.deployment, []).append(p)
    found = []
    for rows in deployments.values():
        rows = sorted((p for p in rows if not is_copy_of_any(p, rows)), key=lambda p: p.order)
        found += [Operating(p, None, p.interactivity, p.ttft, p.total, p.output, p.power) for p in rows]
        frontier = []
        for p in rows:
            if not frontier or p.output > frontier[-1].output:
                frontier.append(p)
        for high, low in zip(frontier, frontier[1:]):
            if not high.concurrency or not low.concurrency or low.concurrency <= high.concurrency:
                continue
            if high.interactivity > least > low.interactivity:
                found.append(between(high, low, least))
            if limit and high.ttft and low.ttft and high.ttft < limit < low.ttft:
                share = math.log(limit / high.ttft) / math.log(low.ttft / high.ttft)
                found.append(between(high, low, high.interactivity
                                     + share * (low.interactivity - high.interactivity)))
    slack = 1 + 1e-9
    return [o for o in found if o.interactivity * slack >= least
            and (not limit or o.ttft is None or o.ttft <= limit * slack)]


# ---- power chain ---------------------------------------------------------------------------------


def chassis_it_watts(catalog, system, gpu_watts):
    curve = catalog.entries["psu_curve"][system["psu_curve"]]
    gpu = gpu_watts * system["gpus_per_node"]
    base = gpu + figure(system, "fixed_dc_watts")
    low, high = figure(system, "fan_min_pwm_ratio"), figure(system, "fan_max_pwm_ratio")
    speed = low + (high - low) * min(1.0, base / figure(system, "fan_full_load_watts"))
    dc = base + figure(system, "fan_nameplate_watts") * speed**3
    efficiency = np.interp(dc / figure(system, "psu_share_capacity_watts"),
                           curve["load_ratio"], curve["efficiency_ratio"])
    return (dc / efficiency + figure(system, "network_watts")) / system["gpus_per_node"]


def rack_scale_it_watts(catalog, system, gpu_watts, cpu_watts):
    curve = catalog.entries["psu_curve"][system["psu_curve"]]

    def converter_loss(load):
        return np.interp(load / figure(system, "tray_converter_capacity_watts"),
                         system["converter_load_ratio"], system["converter_loss_watts"])

    boards, trays = system["boards_per_tray"], system["compute_trays"]
    memory_and_aux = boards * figure(system, "board_air_heat_watts") + figure(system, "tray_aux_watts")
    base = boards * (system["gpus_per_board"] * gpu_watts + cpu_watts) + memory_and_aux
    heat = memory_and_aux + converter_loss(base)
    low, high = figure(system, "fan_min_speed_ratio"), figure(system, "fan_max_speed_ratio")
    speed = low + (high - low) * min(1.0, heat / figure(system, "tray_design_air_heat_watts"))
    tray = base + system["tray_fans"] * figure(system, "tray_fan_rated_watts") * speed**3
    bus = (trays * (tray + converter_loss(tray)) + system["switch_trays"] * figure(system, "switch_tray_watts")
           + system["power_shelves"] * figure(system, "shelf_controller_watts"))
    capacity = system["power_shelves"] * system["psus_per_shelf"] * figure(system, "psu_capacity_watts")
    efficiency = np.interp(bus / capacity, curve["load_ratio"], curve["efficiency_ratio"])
    return (bus / efficiency + figure(system, "network_watts")) / system["gpus_per_node"]


def it_watts_per_gpu(catalog, system, gpu_watts, provisioned=False):
    if system["chain"] == "chassis":
        return chassis_it_watts(catalog, system, gpu_watts)
    return rack_scale_it_watts(catalog, system, gpu_watts,
                               figure(system, "cpu_max_watts" if provisioned else "cpu_watts"))


# ---- site ----------------------------------------------------------------------------------------


@dataclass
class Service:
    id: str
    model: str
    workload: str
    min_interactivity: float
    max_ttft: float | None
    demand: float
    committed: float
    usd_per_output: float
    usd_per_input: float


@dataclass
class Rack:
    system: dict
    plant: str
    pue: float
    owned: int
    max_buy: int
    gpus: int
    provisioned_watts: float
    idle_gpu_watts: float
    idle_meter_watts: float
    capital_per_gpu: float | None  # USD/h

    @property
    def key(self):
        return self.system["id"], self.plant


@dataclass
class Candidate:
    service: int
    rack: int
    at: Operating
    gpu_watts: float = 0.0
    meter_watts: float = 0.0  # time average, availability included
    revenue: float = 0.0      # USD/h, time average


@dataclass
class Training:
    """One point of a job on one rack kind; time and energy are the program's, checked by plan_oracle.py."""
    job: int
    rack: int
    trained: float      # tokens/s per GPU, time average
    gpu_watts: float
    meter_watts: float  # time average, availability included
    value: float        # USD/h, time average


@dataclass
class Site:
    envelope: float
    availability: float
    max_capital: float | None
    usd_per_watt_hour: float
    services: list
    racks: list
    load_it_watts: float
    load_meter_watts: float
    candidates: list = field(default_factory=list)
    unknown_ttft: list = field(default_factory=list)
    jobs: list = field(default_factory=list)  # tables of the site file
    training: list = field(default_factory=list)


def read_site(text, catalog):
    document = tomllib.loads(text)
    site, prices = document["site"], document["prices"]
    loads = [(quantity(l["power"], POWER_UNITS),
              figure(catalog.get("cooling_plant", l.get("cooling_plant", "air")), "pue"))
             for l in document.get("load", [])]
    return Site(quantity(site["envelope"], POWER_UNITS), site.get("availability_ratio", 1.0),
                site.get("max_capital_usd_per_hour"), prices["energy_usd_per_kwh"] / 1e3,
                [read_service(s, catalog) for s in document["service"]],
                [read_rack(r, prices, catalog) for r in document["rack"]],
                sum(w for w, _ in loads), sum(w * pue for w, pue in loads), jobs=document.get("training", []))


def read_service(s, catalog):
    model = catalog.get("model", s["model"])["id"]
    output = s.get("price_usd_per_million_output_tokens")
    usd_input = s.get("price_usd_per_million_input_tokens", 0.0)
    if output is None:
        listed = catalog.list_price(model)
        output = listed["output_usd_per_million"]
        usd_input = s.get("price_usd_per_million_input_tokens", listed["input_usd_per_million"])
    return Service(s["id"], model, s.get("task") or f"{s['isl_tokens']}/{s['osl_tokens']}",
                   quantity(s["min_interactivity"], RATE_UNITS),
                   quantity(s["max_ttft"], TIME_UNITS) if "max_ttft" in s else None,
                   s["demand_output_tokens_per_s"], s.get("committed_output_tokens_per_s", 0),
                   output / 1e6, usd_input / 1e6)


def read_rack(r, prices, catalog):
    system = catalog.get("system", r["system"])
    plant = catalog.get("cooling_plant", r.get("cooling_plant", system["cooling_plant"]))
    accelerator = catalog.get("accelerator", system["accelerator"])
    tdp, pue = figure(accelerator, "tdp_watts"), figure(plant, "pue")
    idle = figure(accelerator, "idle_watts") if "idle_watts" in accelerator else IDLE_SHARE_OF_TDP * tdp
    gpus = system["gpus_per_node"] * system["nodes_per_rack"]
    capital = r.get("capital_usd_per_gpu_hour")
    listed = catalog.price(prices["table"], accelerator["id"])
    if capital is None and listed is not None:
        hourly = listed.get(prices.get("basis", "tco_hyperscaler") + "_usd_per_gpu_hour")
        power = listed.get("allin_facility_kw_per_gpu")
        if hourly is not None and power is not None:
            energy = power * figure(catalog.entries["price_table"][prices["table"]], "electricity_usd_per_kwh")
            capital = max(0.0, hourly - energy)
    return Rack(system, plant["id"], pue, r.get("owned", 0), r.get("max_buy", 0), gpus,
                it_watts_per_gpu(catalog, system, tdp, provisioned=True) * gpus * pue,
                idle, it_watts_per_gpu(catalog, system, idle) * pue, capital)


def add_candidates(site, points, catalog, modelled_watts, allow_unknown_ttft=False):
    """Fills in the columns; `modelled_watts(service, rack, operating)` gives GPU watts not measured."""
    for s, service in enumerate(site.services):
        site.unknown_ttft.append(0)
        for at in operating_points(points, service):
            racks = [k for k, rack in enumerate(site.racks)
                     if catalog.get("accelerator", rack.system["accelerator"])["id"] == at.point.accelerator]
            if not racks:
                continue
            if service.max_ttft and at.ttft is None and not allow_unknown_ttft:
                site.unknown_ttft[s] += 1
                continue
            if at.total is None and service.usd_per_input > 0:
                continue
            for k in racks:
                rack = site.racks[k]
                if at.point.num_gpus > (rack.owned + rack.max_buy) * rack.gpus:
                    continue
                column = Candidate(s, k, at)
                column.gpu_watts = at.power if at.power is not None else modelled_watts(column)
                if column.gpu_watts is None or column.gpu_watts > cap_watts(catalog, rack.system):
                    continue
                price_column(site, rack, service, column, catalog)
                site.candidates.append(column)


def gpus_per_pipeline(job):
    return job["stages"] * job["gpus_per_stage"]


def add_training(site, job, rack, seconds, joules_per_gpu, rate_factor, catalog):
    """A column that takes so long and, summed over the stages, so much energy for an iteration."""
    table, kind, a = site.jobs[job], site.racks[rack], site.availability
    trained = a * table["tokens_per_iteration"] / seconds / gpus_per_pipeline(table) * rate_factor
    watts = joules_per_gpu / seconds / table["stages"]
    meter = a * it_watts_per_gpu(catalog, kind.system, watts) * kind.pue + (1 - a) * kind.idle_meter_watts
    site.training.append(Training(job, rack, trained, watts, meter,
                                  trained * 3600 * table["value_usd_per_million_trained_tokens"] / 1e6))


def cap_watts(catalog, system):
    return figure(catalog.get("accelerator", system["accelerator"]), "tdp_watts")


def price_column(site, rack, service, column, catalog):
    a = site.availability
    serving = it_watts_per_gpu(catalog, rack.system, column.gpu_watts) * rack.pue
    column.meter_watts = a * serving + (1 - a) * rack.idle_meter_watts
    usd_per_s = column.at.output * service.usd_per_output
    if column.at.total is not None:
        usd_per_s += (column.at.total - column.at.output) * service.usd_per_input
    column.revenue = usd_per_s * 3600 * a


# ---- linear program --------------------------------------------------------------------------------


class Program:
    """max profit over GPUs per column, powered and bought racks and pipelines; idle GPUs are eliminated."""

    def __init__(self, site):
        self.site = site
        columns, racks = len(site.candidates), len(site.racks)
        trained = range(columns + 2 * racks, columns + 2 * racks + len(site.training))
        runs = sorted({(column.job, column.rack) for column in site.training})
        self.pipelines = range(trained.stop, trained.stop + len(runs))
        self.size = self.pipelines.stop
        self.powered = range(columns, columns + racks)
        self.bought = range(columns + racks, columns + 2 * racks)
        gain = np.zeros(self.size)
        self.upper = np.full(self.size, np.inf)
        rows = []
        for c, column in enumerate(site.candidates):
            idle = site.racks[column.rack].idle_meter_watts
            gain[c] = column.revenue - (column.meter_watts - idle) * site.usd_per_watt_hour
        for t, column in zip(trained, site.training):
            idle = site.racks[column.rack].idle_meter_watts
            gain[t] = column.value - (column.meter_watts - idle) * site.usd_per_watt_hour
        for k, rack in enumerate(site.racks):
            gain[self.powered[k]] = -rack.gpus * rack.idle_meter_watts * site.usd_per_watt_hour
            gain[self.bought[k]] = -rack.gpus * (rack.capital_per_gpu or 0.0)
            self.upper[self.bought[k]] = rack.max_buy
            own = {c: 1.0 for c, column in enumerate(site.candidates) if column.rack == k}
            own |= {t: 1.0 for t, column in zip(trained, site.training) if column.rack == k}
            rows.append((own | {self.powered[k]: -float(rack.gpus)}, -np.inf, 0.0))
            rows.append(({self.powered[k]: 1.0, self.bought[k]: -1.0}, -np.inf, rack.owned))
        for s, service in enumerate(site.services):
            rates = {c: column.at.output * site.availability / 1e3
                     for c, column in enumerate(site.candidates) if column.service == s}
            rows.append((rates, service.committed / 1e3, service.demand / 1e3))
        for j, job in enumerate(site.jobs):
            own = [(t, column) for t, column in zip(trained, site.training) if column.job == j]
            rows.append(({t: 1.0 for t, _ in own}, -np.inf, job["max_pipelines"] * gpus_per_pipeline(job)))
            rows.append(({t: -column.trained / 1e3 for t, column in own}, -np.inf,
                         -job.get("committed_trained_tokens_per_s", 0) / 1e3))
        for n, (j, k) in zip(self.pipelines, runs):  # whole ones, in the powered racks at once
            gpus = gpus_per_pipeline(site.jobs[j])
            own = {t: 1.0 for t, column in zip(trained, site.training) if (column.job, column.rack) == (j, k)}
            rows.append((own | {n: -float(gpus)}, -np.inf, 0.0))
            rows.append(({n: float(gpus), self.powered[k]: -float(site.racks[k].gpus)}, -np.inf, 0.0))
        if site.max_capital is not None:
            rows.append(({self.bought[k]: r.gpus * (r.capital_per_gpu or 0.0)
                          for k, r in enumerate(site.racks)}, -np.inf, site.max_capital))
        self.power = {self.powered[k]: r.provisioned_watts / 1e6 for k, r in enumerate(site.racks)}
        self.fixed = site.load_meter_watts * site.usd_per_watt_hour
        self.gain, self.rows = gain, rows

    def _matrix(self, envelope_watts, owned_more):
        rows = [(r, low, high) for r, low, high in self.rows]
        if owned_more is not None:
            entries, low, high = rows[2 * owned_more + 1]
            rows[2 * owned_more + 1] = (entries, low, high + 1)
        rows.append((self.power, -np.inf, (envelope_watts - self.site.load_meter_watts) / 1e6))
        at = [(i, j, v) for i, (entries, _, _) in enumerate(rows) for j, v in entries.items()]
        i, j, v = zip(*at)
        return (csr_matrix((v, (i, j)), shape=(len(rows), self.size)),
                np.array([r[1] for r in rows], float), np.array([r[2] for r in rows], float))

    def relaxed(self, envelope_watts=None, owned_more=None):
        """USD/h, or nothing when infeasible."""
        matrix, low, high = self._matrix(envelope_watts or self.site.envelope, owned_more)
        least = np.isfinite(low)
        a = vstack([matrix, -matrix[least]]).tocsr()
        b = np.concatenate([high, -low[least]])
        answer = linprog(-self.gain, A_ub=a, b_ub=b, method="highs",
                         bounds=np.column_stack([np.zeros(self.size), self.upper]))
        if answer.status == 2:
            return None
        assert answer.status == 0, answer.message
        return -answer.fun - self.fixed

    def whole(self, time_limit=5):
        """(profit found or nothing, bound) in USD/h with whole powered racks."""
        matrix, low, high = self._matrix(self.site.envelope, None)
        integer = np.zeros(self.size)
        integer[list(self.powered) + list(self.pipelines)] = 1

        def solve(presolve):
            return milp(-self.gain, constraints=LinearConstraint(matrix, low, high), integrality=integer,
                        bounds=Bounds(0, self.upper),
                        options={"mip_rel_gap": 1e-6, "time_limit": time_limit, "presolve": presolve})

        answer = solve(True)
        if answer.status == 2:  # HiGHS's presolve was seen to call a site infeasible that it solves without
            answer = solve(False)
        if answer.x is None:
            return None, None if answer.status == 2 else math.inf
        return -answer.fun - self.fixed, -answer.mip_dual_bound - self.fixed
