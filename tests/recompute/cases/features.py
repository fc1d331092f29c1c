"""Random catalogs that draw on everything: all models, aggregations, units and scopes."""

from datetime import date
from fractions import Fraction

from model.aggregation import PERCENTILE, TIME_WEIGHTED
from model.strictjson import Number

from .catalogs import (
    DIMENSIONS, PATHS, TYPES, ZONES, amount_bounds, customer_of, drawn_magnitude,
    drawn_price, flat_charge, overrides, quantity_price, subscription_of, versions,
)
from .draw import chance, decimal, month_starts, spelled

AGGREGATIONS = ("sum", "sum", "sum", "max", "min", "average", "latest", PERCENTILE, TIME_WEIGHTED)
SCOPES = ("billing_period", "billing_period", "day", "calendar_month", "year", "term")
HARD_ZONES = ("Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia")
# Months in which some zone changes its clock at midnight, skips a day, or has a leap day.
HARD_MONTHS = (
    (date(2018, 10, 1), ("America/Sao_Paulo",)), (date(2018, 2, 1), ("America/Sao_Paulo",)),
    (date(2011, 11, 1), ("Pacific/Apia",)), (date(2024, 1, 1), HARD_ZONES),
    (date(2024, 2, 1), HARD_ZONES), (date(2026, 3, 1), HARD_ZONES), (date(2025, 9, 1), HARD_ZONES),
)
UNIQUE = {"api.request": "user", "job.run": "host"}
PRORATED = ("prorate_included", "prorate_minimum")
# Keys of charges that are percentages at some time, so never have included units or a unit.
SHARE = "share"
# A charge whose price is a matrix in some versions and none in others.
SORTED = "sorted"


def catalog(rng):
    """A catalog document whose subscriptions start around one month."""
    base, zones = _month(rng)
    meters = _meters(rng)
    plans = [
        version
        for number in range(rng.randint(1, 3))
        for version in versions(rng, f"plan-{number}", meters, base, _charge, _changed)
    ]
    for plan in plans:
        for charge in plan["charges"]:
            if charge["price"]["model"] == "flat" and chance(rng, 40):
                charge["prorate_flat"] = True
    customers = [customer_of(rng, number, zones) for number in range(rng.randint(1, 3))]
    subscriptions = []
    for customer in customers:
        for number in range(rng.choice((1, 1, 2))):
            name = f"{customer['id'].replace('CUS', 'SUB')}-{number}"
            plan = rng.choice(plans)
            subscription = subscription_of(rng, name, customer, plan, base)
            if chance(rng, 40):
                subscription["overrides"] = overrides(rng, plan, meters, base, _changed)
            subscriptions.append(subscription)
    for entries in (meters, plans, customers, subscriptions):
        rng.shuffle(entries)
    return {"meters": meters, "plans": plans, "customers": customers,
            "subscriptions": subscriptions}


def _month(rng):
    if chance(rng, 45):
        return rng.choice(HARD_MONTHS)
    return month_starts(rng), (*ZONES, *HARD_ZONES)


def _meters(rng):
    """Several meters may read one value; whether it may be negative is the same for all."""
    meters = []
    for event_type in rng.sample(list(TYPES), rng.randint(1, 3)):
        group_by = {name: PATHS[name] for name in DIMENSIONS if chance(rng, 80)}
        for field in TYPES[event_type][: rng.randint(1, 2)]:
            path = rng.choice(("$.", "$.usage.")) + field
            shared = {"event_type": event_type, "value": path, "group_by": group_by}
            if chance(rng, 40):
                shared["negative"] = rng.choice(("accept", "reject"))
            for name in dict.fromkeys(rng.choices(AGGREGATIONS, k=rng.randint(1, 3))):
                meters.append({"key": f"{field}.{name}", "aggregation": _aggregation(rng, name),
                               **shared})
        if chance(rng, 40):
            meters.append({"key": f"{event_type}.count", "event_type": event_type,
                           "aggregation": "count", "group_by": group_by})
        if event_type in UNIQUE and chance(rng, 50):
            meters.append({"key": UNIQUE[event_type], "event_type": event_type,
                           "aggregation": "unique_count", "value": f"$.{UNIQUE[event_type]}",
                           "group_by": group_by})
    return meters


def _aggregation(rng, name):
    if name != PERCENTILE:
        return name
    return {PERCENTILE: rng.choice((Number("50"), Number("95"), "99.9", Number("100"), "0.5"))}


def _charge(rng, number, meters):
    """A charge of any kind; its meter, scope, and what rules out included units, never change."""
    meter = rng.choice(meters)
    charge = {"key": f"charge-{number}", "meter": meter["key"], **amount_bounds(rng)}
    is_additive = meter["aggregation"] in ("sum", "count")
    is_level = meter["aggregation"] == TIME_WEIGHTED
    roll = rng.randrange(100)
    if roll < 20 and meter["group_by"] and not is_level:
        if chance(rng, 50):
            charge["key"] = f"{SORTED}-{number}"
        charge["price"] = _matrix(rng, meter, is_additive)
        if chance(rng, 20):
            charge["included"] = "0"
    elif roll < 45 and is_additive:
        charge["key"] = f"{SHARE}-{number}"
        charge["price"] = _percentage(rng)
    else:
        charge["price"] = _quantity_price(rng)
        if chance(rng, 50):
            charge["included"] = spelled(rng, decimal(rng, 3, 9))
        if chance(rng, 30):
            charge["unit"] = _unit(rng)
    if meter["group_by"] and chance(rng, 30):
        name = rng.choice(list(meter["group_by"]))
        charge["filter"] = {name: rng.sample(DIMENSIONS[name], rng.randint(1, 2))}
    if chance(rng, 60):
        charge["scope"] = "billing_period" if is_level else rng.choice(SCOPES)
    if chance(rng, 30):
        charge["discount_percent"] = _discount(rng)
    for name in PRORATED:
        if chance(rng, 30):
            charge[name] = chance(rng, 85)
    return charge


def _changed(rng, charge, meters):
    """New terms for a charge: what a version or an override replaces."""
    price = charge["price"]
    if price["model"] == "flat":
        return {"price": flat_charge(rng)["price"]}
    meter = next(each for each in meters if each["key"] == charge["meter"])
    is_additive = meter["aggregation"] in ("sum", "count")
    fields = ["price", "price", "bounds", "discount", "same"]
    is_share = charge["key"].startswith(SHARE)
    is_sorted = charge["key"].startswith(SORTED)
    if price["model"] == "matrix" or is_sorted:
        fields.append("prorate_minimum")
    elif not is_share:
        fields += ["included", "included", "unit", *PRORATED]
    match rng.choice(fields):
        case "price" if is_sorted and chance(rng, 60):
            return {"price": _resorted(rng, meter, is_additive)}
        case "price" if price["model"] == "matrix":
            return {"price": _repriced(rng, price, is_additive)}
        case "price" if is_share:
            return {"price": _percentage(rng)}
        case "price":
            return {"price": _quantity_price(rng)}
        case "bounds":
            # Both are stated, or a minimum might come to stand above the old maximum.
            return {"minimum": None, "maximum": None, **amount_bounds(rng)}
        case "discount":
            return {"discount_percent": _discount(rng)}
        case "included":
            return {"included": spelled(rng, decimal(rng, 3, 9))}
        case "unit":
            return {"unit": rng.choice((None, _unit(rng)))}
        case ("prorate_included" | "prorate_minimum") as name:
            return {name: chance(rng, 50)}
    return {}


def _quantity_price(rng):
    """A price over a position."""
    magnitude = drawn_magnitude(rng)
    match rng.randrange(7):
        case 0:
            return {"model": "multiplier", "multiplier": drawn_price(rng)}
        case 1:
            uppers = sorted({decimal(rng, magnitude, 9) for _ in range(3)} - {Fraction(0)})
            tiers = [{"up_to": each and spelled(rng, each), "rate": drawn_price(rng)}
                     for each in [*uppers, None]]
            for tier in tiers:
                if chance(rng, 40):
                    tier["flat_price"] = drawn_price(rng)
            return {"model": "graduated_percentage", "tiers": tiers}
    return quantity_price(rng, magnitude)


def _percentage(rng):
    """A price that is now and then one over a position: both need no included units."""
    if chance(rng, 10):
        return quantity_price(rng, drawn_magnitude(rng))
    price = {"model": "percentage", "rate": spelled(rng, decimal(rng, 0, 12))}
    low, high = sorted((decimal(rng, 2, 4), decimal(rng, 3, 4)))
    drawn = (("fixed_price", 60, drawn_price(rng)),
             ("free_records", 45, Number(str(rng.randint(0, 8)))),
             ("free_amount", 45, spelled(rng, decimal(rng, rng.choice((2, 3, 6)), 9))),
             ("record_minimum", 30, spelled(rng, low)), ("record_maximum", 30, spelled(rng, high)))
    return price | {name: value for name, percent, value in drawn if chance(rng, percent)}


def _matrix(rng, meter, is_additive):
    dimensions = list(meter["group_by"])
    rng.shuffle(dimensions)
    cells = []
    for _ in range(rng.randint(1, 4)):
        named = rng.sample(dimensions, rng.randint(1, len(dimensions)))
        match = {name: rng.choice(DIMENSIONS[name]) for name in named}
        cells.append({"match": match, "price": _cell_price(rng, is_additive)})
    if chance(rng, 20):
        cells.append({**rng.choice(cells), "price": _cell_price(rng, is_additive)})
    return {"model": "matrix", "dimensions": dimensions, "cells": cells,
            "default": _cell_price(rng, is_additive)}


def _resorted(rng, meter, is_additive):
    """Other cells, or none."""
    if chance(rng, 40):
        return _matrix(rng, meter, is_additive)
    return _percentage(rng) if is_additive and chance(rng, 40) else _quantity_price(rng)


def _repriced(rng, price, is_additive):
    """Cells at other prices, now and then in another order, fewer or more of them."""
    cells = [
        {**cell, "price": _cell_price(rng, is_additive)} if chance(rng, 60) else cell
        for cell in price["cells"]
    ]
    if chance(rng, 30):
        rng.shuffle(cells)
    if chance(rng, 20):
        cells.pop(rng.randrange(len(cells)))
    if chance(rng, 20):
        name = rng.choice(price["dimensions"])
        cell = {"match": {name: rng.choice(DIMENSIONS[name])},
                "price": _cell_price(rng, is_additive)}
        cells.insert(rng.randint(0, len(cells)), cell)
    return {**price, "cells": cells, "default": _cell_price(rng, is_additive)}


def _cell_price(rng, is_additive):
    if chance(rng, 10):
        return flat_charge(rng)["price"]
    if is_additive and chance(rng, 20):
        return _percentage(rng)
    return _quantity_price(rng)


def _unit(rng):
    size = rng.choice(("1", "3", "7", "1000", "1000000", "0.5"))
    return {"divide_by": spelled(rng, Fraction(size)),
            "rounding": rng.choice(("none", "none", "up", "down", "half_up"))}


def _discount(rng):
    return spelled(rng, rng.choice((Fraction(0), Fraction(100), decimal(rng, 2, 4))))
