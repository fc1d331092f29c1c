"""Price models: what a billable quantity costs. `compiled(price)` gives P, a function of q >= 0."""

from fractions import Fraction

from .exact import PRICE, QUANTITY
from .strictjson import decimal


def compiled(price):
    """P of a catalog's `price`."""
    return _MODELS[price["model"]](price)


def _per_unit(price):
    unit_price = decimal(price["unit_price"], PRICE)
    return lambda q: q * unit_price


def _package(price):
    return _blocks(price["package_size"], price["package_price"])


def _flat(price):
    amount = decimal(price["amount"], PRICE)
    return lambda q: amount


def _graduated(price):
    tiers = _tiers(price)

    def amount(q):
        total = _flat_price_at_zero(price, tiers, q)
        for lower, upper, units_price, flat_price in tiers:
            if q > lower:
                total += units_price(min(q, upper) - lower if upper is not None else q - lower)
                total += flat_price
        return total

    return amount


def _volume(price):
    tiers = _tiers(price)

    def amount(q):
        for _, upper, units_price, flat_price in tiers:
            if upper is None or q <= upper:
                flat_price = flat_price if q > 0 else _flat_price_at_zero(price, tiers, q)
                return units_price(q) + flat_price
        raise ValueError("the last tier is not open")

    return amount


def _tiers(price):
    """(lower bound, upper bound or None, price of units inside, flat price) of every tier."""
    lower = Fraction(0)
    tiers = []
    for tier in price["tiers"]:
        upper = None if tier["up_to"] is None else decimal(tier["up_to"], QUANTITY)
        tiers.append((lower, upper, _units_price(tier), _optional(tier.get("flat_price"))))
        lower = upper
    return tiers


def _units_price(tier):
    if tier.get("block_size") is not None:
        return _blocks(tier["block_size"], tier["block_price"])
    unit_price = _optional(tier.get("unit_price"))
    return lambda units: units * unit_price


def _blocks(size, price):
    """Begun blocks count as whole ones."""
    size, price = decimal(size, QUANTITY), decimal(price, PRICE)
    return lambda units: -(-units // size) * price


def _flat_price_at_zero(price, tiers, q):
    """Nothing has been entered at 0, so the first flat price needs the flag to be due."""
    at_zero = q == 0 and price.get("flat_price_at_zero", False)
    return tiers[0][3] if at_zero else Fraction(0)


def _optional(value):
    return Fraction(0) if value is None else decimal(value, PRICE)


# A stairstep is a volume price whose tiers have flat prices only.
_MODELS = {
    "per_unit": _per_unit,
    "package": _package,
    "flat": _flat,
    "graduated": _graduated,
    "volume": _volume,
    "stairstep": _volume,
}
