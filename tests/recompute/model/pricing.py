"""Price models: what a billable quantity costs.

`compiled(price)` gives P, a function of q >= 0; a `percentage` prices record by record instead, and
a `matrix` is a set of prices, each of any model, of which every record meets one.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from .aggregation import token_of
from .exact import PRICE, QUANTITY
from .strictjson import decimal


DEFAULT_CELL = "default"


def compiled(price):
    """P of a catalog's `price`."""
    return _MODELS[price["model"]](price)


def priced_cells(price):
    """{cell: its price}: the cells of a matrix in order, then the default; else the one price."""
    if price["model"] != "matrix":
        return {None: _priced(price)}
    prices = [*(cell["price"] for cell in price["cells"]), price["default"]]
    names = [*cell_labels(price), DEFAULT_CELL]
    return {name: _priced(each) for name, each in zip(names, prices)}


def flat_cells(price):
    """The cells of a matrix whose price is flat."""
    if price["model"] != "matrix":
        return set()
    prices = [*(cell["price"] for cell in price["cells"]), price["default"]]
    names = [*cell_labels(price), DEFAULT_CELL]
    return {name for name, each in zip(names, prices) if each["model"] == "flat"}


def grid_of(price):
    """By which cells records are sorted, whatever these cost."""
    return cell_labels(price) if price["model"] == "matrix" else None


def cell_labels(price):
    """What people know the cells of a matrix by."""
    labels, seen = [], Counter()
    for cell in price["cells"]:
        label = ",".join(f"{name}={value}" for name, value in sorted(cell["match"].items()))
        seen[label] += 1
        labels.append(label if seen[label] == 1 else f"{label}#{seen[label]}")
    return labels


def cell_of(price, dimensions):
    """The first cell of a matrix whose `match` a record's dimensions meet, else the default."""
    if price["model"] != "matrix":
        return None
    for name, cell in zip(cell_labels(price), price["cells"]):
        if all(dimensions.get(key) == token_of(value) for key, value in cell["match"].items()):
            return name
    return DEFAULT_CELL


def _priced(price):
    return Percentage.read(price) if price["model"] == "percentage" else compiled(price)


@dataclass(frozen=True)
class Percentage:
    """A share of each record's value, the first records or the first of the value being free."""

    rate: Fraction
    fixed: Fraction
    free_records: Fraction | None
    free_amount: Fraction | None
    minimum: Fraction | None
    maximum: Fraction | None

    @classmethod
    def read(cls, price):
        """From a catalog's `price`."""
        free_records = price.get("free_records")
        return cls(
            rate=decimal(price["rate"], PRICE),
            fixed=_optional(price.get("fixed_price")),
            free_records=None if free_records is None else decimal(free_records, QUANTITY),
            free_amount=_or_none(price.get("free_amount")),
            minimum=_or_none(price.get("record_minimum")),
            maximum=_or_none(price.get("record_maximum")),
        )

    def pay(self, value, number, used):
        """(what a record pays, what of its value is not free) after so many records and so much."""
        if self._is_free_part_over(number, used):
            return self._bounded(value * self.rate + self.fixed), value
        if self.free_amount is None:
            return Fraction(0), Fraction(0)
        freed = min(max(value, Fraction(0)), self.free_amount - used)
        if value - freed <= 0:
            return Fraction(0), Fraction(0)
        return self._bounded((value - freed) * self.rate + self.fixed), value - freed

    def _is_free_part_over(self, number, used):
        """Whichever free part runs out first ends both."""
        free = ((self.free_records, number), (self.free_amount, used))
        given = [(limit, so_far) for limit, so_far in free if limit is not None]
        return not given or any(so_far >= limit for limit, so_far in given)

    def _bounded(self, amount):
        if self.maximum is not None:
            amount = min(amount, self.maximum)
        return amount if self.minimum is None else max(amount, self.minimum)


def _per_unit(price):
    return _proportional(price["unit_price"])


def _multiplier(price):
    return _proportional(price["multiplier"])


def _proportional(factor):
    factor = decimal(factor, PRICE)
    return lambda q: q * factor


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
    unit_price = _optional(tier.get("rate", tier.get("unit_price")))
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


def _or_none(value):
    return None if value is None else decimal(value, PRICE)


# A stairstep is a volume price whose tiers have flat prices only, a graduated percentage a
# graduated price over money.
_MODELS = {
    "per_unit": _per_unit,
    "package": _package,
    "flat": _flat,
    "graduated": _graduated,
    "graduated_percentage": _graduated,
    "multiplier": _multiplier,
    "volume": _volume,
    "stairstep": _volume,
}
