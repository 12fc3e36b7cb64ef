"""Broken and extreme inputs of a site's year, halls, retrofits, supplies and provisioning."""
HALL = '\n[[hall]]\nid = "A"\ncooling_plant = "liquid-dry"\npositions = 50\n'
CLIMATE = '\n[year]\nclimate = "phoenix-az"\n'
FLAT = "energy_usd_per_kwh = 0.08"
MANAGED = '\n[provisioning]\npolicy = "managed"\n'
SUPPLY = '\n[[supply]]\nname = "s"\n'


def values(value, count=24):
    return "[" + ", ".join([value] * count) + "]"


def hours(row, header="dry_bulb_c,relative_humidity_percent", count=8760):
    return header + "\n" + (row + "\n") * count


def all_cases(cases):
    Case, SITE, edited = cases.Case, cases.SITE, cases.edited

    def bad(name, more, *mentions, edits=(), files=None):
        return Case(f"year/{name}", ["plan", "site.toml"], {"site.toml": edited(SITE, *edits) + more} | (files or {}),
                    ["site.toml", *mentions])

    def answer(name, more, *mentions, edits=(), files=None):
        return Case(f"year/{name}", ["plan", "site.toml"], {"site.toml": edited(SITE, *edits) + more} | (files or {}),
                    list(mentions), 0)

    in_hall = ('"hgx-h200-air"', '"hgx-h200-air"\nhall = "A"')
    hot = {"hours.csv": hours("60,10")}
    year = "\n[year]\n"
    return [
        # halls
        bad("hall-unknown", HALL + CLIMATE, "rack[1].hall", "'B'", "A", edits=[('"hgx-h200-air"', '"hgx-h200-air"\nhall = "B"')]),
        bad("hall-of-load-unknown", HALL + CLIMATE, "load[1].hall", edits=[('"0.7MW"', '"0.7MW"\nhall = "a"')]),
        bad("hall-twice", HALL + HALL + CLIMATE, "hall[2].id", "twice"),
        bad("hall-and-plant", HALL + CLIMATE, "cooling_plant", "hall", edits=[('"hgx-h200-air"', '"hgx-h200-air"\nhall = "A"\ncooling_plant = "air"')]),
        bad("hall-plant-unknown", HALL.replace("liquid-dry", "liquid-dri"), "liquid-dri", "liquid-dry"),
        bad("hall-without-weather", HALL, "hall[1].id", "weather", "climate"),
        bad("hall-key-unknown", HALL + 'supply_temp = "30C"\n' + CLIMATE, "supply_temp", "supply_temperature"),
        bad("supply-too-warm", HALL + 'supply_temperature = "46C"\n' + CLIMATE, "supply_temperature", "46 C", "17 to 45 C"),
        bad("supply-too-cold", HALL + 'supply_temperature = "5C"\n' + CLIMATE, "supply_temperature", "17 to 45 C"),
        bad("supply-bare", HALL + "supply_temperature = 40\n" + CLIMATE, "supply_temperature", "without a unit"),
        bad("supply-of-constant-plant", HALL.replace("liquid-dry", "air") + 'supply_temperature = "20C"\n', "supply_temperature", "constant"),
        bad("capacity-zero", HALL + 'it_capacity = "0MW"\n' + CLIMATE, "it_capacity", "is 0"),
        bad("positions-negative", HALL.replace("= 50", "= -1") + CLIMATE, "positions", "-1"),
        bad("rack-too-heavy", HALL + 'max_rack_power = "20kW"\n' + CLIMATE, "rack[1].system", "hgx-h200-air", "kW", "'A'", "max_rack_power", edits=[in_hall]),
        bad("60-degrees-without-chiller", HALL.replace("liquid-dry", "liquid-dry-only") + year + 'hourly_file = "hours.csv"\n',
            "hall[1].id", "chiller", "60 C outside", files=hot),
        # retrofits
        bad("retrofit-hall-unknown", HALL + CLIMATE + '[[retrofit]]\nfrom = "A"\nto = "B"\nmax_positions = 1\ncapital_usd_per_position_hour = 1\n',
            "retrofit[1].to", "'B'"),
        bad("retrofit-without-positions", HALL + '[[hall]]\nid = "B"\ncooling_plant = "air"\n' + CLIMATE
            + '[[retrofit]]\nfrom = "A"\nto = "B"\nmax_positions = 1\ncapital_usd_per_position_hour = 1\n', "retrofit[1].to", "without positions"),
        bad("retrofit-to-itself", HALL + CLIMATE + '[[retrofit]]\nfrom = "A"\nto = "A"\nmax_positions = 1\ncapital_usd_per_position_hour = 1\n',
            "retrofit[1].to"),
        bad("retrofit-price-negative", HALL + '[[hall]]\nid = "B"\ncooling_plant = "air"\npositions = 1\n' + CLIMATE
            + '[[retrofit]]\nfrom = "A"\nto = "B"\nmax_positions = 1\ncapital_usd_per_position_hour = -1\n', "capital_usd_per_position_hour", "-1"),
        # year
        bad("climate-unknown", CLIMATE.replace("phoenix", "phenix"), "year.climate", "phenix-az", "phoenix-az"),
        bad("climate-and-file", CLIMATE + 'hourly_file = "hours.csv"\n', "hourly_file", "climate", files=hot),
        Case("year/hourly-file-missing", ["plan", "site.toml"],
             {"site.toml": SITE + year + 'hourly_file = "absent.csv"\n'}, ["absent.csv"]),
        Case("year/hourly-file-is-a-device", ["plan", "site.toml"],
             {"site.toml": SITE + year + 'hourly_file = "/dev/zero"\n'}, ["/dev/zero"]),
        Case("year/hourly-file-short", ["plan", "site.toml"],
             {"site.toml": SITE + year + 'hourly_file = "hours.csv"\n', "hours.csv": hours("20,50", count=8000)}, ["hours.csv", "8760"]),
        bad("23-prices", year + f"energy_usd_per_kwh_by_hour = {values('0.1', 23)}\n", "energy_usd_per_kwh_by_hour", "23 values", edits=[(FLAT, "")]),
        bad("25-demands", year + f"demand_ratio_by_hour = {values('1', 25)}\n", "demand_ratio_by_hour", "25 values"),
        bad("no-demands", year + "demand_ratio_by_hour = []\n", "demand_ratio_by_hour"),
        bad("demand-negative", year + f"demand_ratio_by_hour = {values('-0.5')}\n", "demand_ratio_by_hour", "-0.5"),
        bad("demand-text", year + 'demand_ratio_by_hour = ["high"]\n', "demand_ratio_by_hour"),
        bad("price-twice", year + f"energy_usd_per_kwh_by_hour = {values('0.1')}\n", "energy_usd_per_kwh", "remove"),
        bad("price-nowhere", "", "energy_usd_per_kwh", "add", edits=[(FLAT, "")]),
        bad("price-in-euro", "", "energy_eur_per_kwh", "energy_usd_per_kwh", edits=[(FLAT, FLAT + "\nenergy_eur_per_kwh = 0.07")]),
        bad("price-in-euro-by-hour", year + f"energy_eur_per_kwh_by_hour = {values('0.1')}\n", "energy_eur_per_kwh_by_hour", "energy_usd_per_kwh_by_hour"),
        bad("price-of-tokens-in-euro", "", "price_eur_per_million_output_tokens",
            edits=[("price_usd_per_million_output_tokens = 2.19", "price_usd_per_million_output_tokens = 2.19\nprice_eur_per_million_output_tokens = 2")]),
        bad("price-beyond-reason", year + f"energy_usd_per_kwh_by_hour = {values('-101')}\n", "energy_usd_per_kwh_by_hour", "-101", edits=[(FLAT, "")]),
        bad("carbon-price-without-carbon", year + "carbon_usd_per_tonne = 100\n", "carbon_usd_per_tonne", "carbon_grams_per_kwh"),
        bad("carbon-twice", year + f"carbon_grams_per_kwh = 300\ncarbon_grams_per_kwh_by_hour = {values('300')}\n", "carbon_grams_per_kwh"),
        bad("classes-without-file", CLIMATE + "hour_classes = 4\n", "hour_classes", "hourly_file"),
        bad("classes-too-many", year + 'hourly_file = "hours.csv"\nhour_classes = 25\n', "hour_classes", "25", files=hot),
        bad("year-key-unknown", year + "demand_ratio_by_hours = [1]\n", "demand_ratio_by_hours", "demand_ratio_by_hour"),
        # supplies
        bad("battery-without-energy", SUPPLY + 'kind = "battery"\npower = "1MW"\n', "energy_mwh"),
        bad("battery-bare", SUPPLY + 'kind = "battery"\npower = 1\nenergy_mwh = 1\n', "power"),
        bad("battery-with-fuel", SUPPLY + 'kind = "battery"\npower = "1MW"\nenergy_mwh = 1\nusd_per_kwh = 0.1\n', "usd_per_kwh"),
        bad("battery-gains-energy", SUPPLY + 'kind = "battery"\npower = "1MW"\nenergy_mwh = 1\nround_trip_ratio = 1.1\n', "round_trip_ratio", "1.1"),
        bad("generation-without-price", SUPPLY + 'kind = "generation"\npower = "1MW"\n', "usd_per_kwh"),
        bad("generation-hours", SUPPLY + 'kind = "generation"\npower = "1MW"\nusd_per_kwh = 0.1\nhours_per_year = 9000\n', "hours_per_year", "9000"),
        bad("supply-kind", SUPPLY + 'kind = "solar"\npower = "1MW"\n', "kind", "solar", "battery or generation"),
        # provisioning
        bad("policy-unknown", '\n[provisioning]\npolicy = "overbook"\n', "policy", "overbook", "managed"),
        bad("probability-missing", MANAGED, "excursion_probability"),
        bad("probability-0", MANAGED + "excursion_probability = 0\n", "excursion_probability", "0"),
        bad("probability-1", MANAGED + "excursion_probability = 1\n", "excursion_probability", "1"),
        bad("probability-1e-12", MANAGED + "excursion_probability = 1e-12\n", "excursion_probability", "1e-12"),
        bad("correlation-above-1", MANAGED + "excursion_probability = 0.1\nnode_correlation = 1.5\n", "node_correlation", "1.5"),
        bad("cap-under-managed", MANAGED + "excursion_probability = 0.1\ngpu_cap_ratio = 0.8\n", "gpu_cap_ratio", "static"),
        bad("probability-under-static", '\n[provisioning]\npolicy = "static"\ngpu_cap_ratio = 0.8\nexcursion_probability = 0.1\n',
            "excursion_probability", "managed"),
        bad("cap-missing", '\n[provisioning]\npolicy = "static"\n', "gpu_cap_ratio"),
        bad("cap-above-1", '\n[provisioning]\npolicy = "static"\ngpu_cap_ratio = 1.2\n', "gpu_cap_ratio", "1.2"),
        # deliveries and billing
        bad("delivery-not-rising", "[[delivery]]\nafter_months = 6\n[[delivery]]\nafter_months = 6\n", "delivery[2].after_months", "rising"),
        bad("delivery-month-negative", "[[delivery]]\nafter_months = -1\n", "after_months", "-1"),
        bad("delivery-above-the-site", '[[delivery]]\nafter_months = 0\nenvelope = "900MW"\n', "delivery[1].envelope", "above"),
        bad("delivery-of-unknown-rack", '[[delivery]]\nafter_months = 0\n[[delivery.racks]]\nsystem = "gb300-nvl72"\ncount = 1\n',
            "gb300-nvl72"),
        bad("delivery-above-max-buy", '[[delivery]]\nafter_months = 0\n[[delivery.racks]]\nsystem = "hgx-h200-air"\ncount = 1\n',
            "count", "max_buy"),
        bad("delivery-key-unknown", "[[delivery]]\nafter_month = 0\n", "after_month"),
        bad("billing-unknown", "", "billing", "per_watt", "per_joule",
            edits=[("price_usd_per_million_output_tokens = 2.19", 'billing = "per_watt"\nprice_usd_per_million_output_tokens = 2.19')]),
        bad("billing-two-prices", "", "price_usd_per_million_output_tokens", "per_token",
            edits=[("price_usd_per_million_output_tokens = 2.19",
                    'billing = "per_joule"\nprice_usd_per_it_kwh = 1\nprice_usd_per_million_output_tokens = 2.19')]),
        bad("billing-energy-price-of-tokens", "", "price_usd_per_it_kwh", "per_joule",
            edits=[("price_usd_per_million_output_tokens = 2.19", "price_usd_per_it_kwh = 1\nprice_usd_per_million_output_tokens = 2.19")]),
        # answers
        answer("refused", MANAGED + "excursion_probability = 0.001\n", "infeasible", "provisioning.excursion_probability", "at least"),
        answer("more-racks-than-positions", HALL + CLIMATE, "optimal", edits=[in_hall]),
        answer("zero-demand", "", "optimal", edits=[("= 3000000", "= 0")]),
        answer("negative-prices", year + f"energy_usd_per_kwh_by_hour = {values('-0.05')}\n", "optimal", edits=[(FLAT, "")]),
        answer("60-degrees-with-chiller", HALL + year + 'hourly_file = "hours.csv"\n', "optimal", edits=[in_hall], files=hot),
        answer("positions-that-bind", HALL.replace("= 50", "= 5") + CLIMATE, "infeasible", "hall[A].positions",
               edits=[in_hall, ("= 3000000", "= 3000000\ncommitted_output_tokens_per_s = 500000")]),
        answer("capacity-that-binds", HALL + 'it_capacity = "0.1MW"\n' + CLIMATE, "infeasible", "hall[A].it_capacity",
               edits=[in_hall, ("= 3000000", "= 3000000\ncommitted_output_tokens_per_s = 500000")]),
    ]
