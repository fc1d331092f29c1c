"""Aggregations: what the records of a position come to, and what one record counts for."""

from dataclasses import dataclass, field
from fractions import Fraction

from . import exact, strictjson
from .strictjson import Number

# Decimal places of a quotient.
PLACES = 12

TIME_WEIGHTED = "time_weighted_sum"
PERCENTILE = "percentile"


@dataclass(frozen=True)
class Entry:
    """One record in one charge; `token` is its value where values are only told apart."""

    time: int
    source: str
    id: str
    quantity: Fraction
    token: object = None
    dimensions: dict = field(default_factory=dict)

    @property
    def order(self):
        """Its place among all records."""
        return self.time, self.source, self.id


@dataclass(frozen=True)
class Aggregation:
    """A meter's aggregation; `rank` is the percentile's."""

    name: str
    rank: Fraction | None = None

    @classmethod
    def read(cls, value):
        """From a meter's `aggregation`."""
        if isinstance(value, str):
            return cls(value)
        return cls(PERCENTILE, strictjson.decimal(value[PERCENTILE], exact.PRICE))

    def of(self, entries):
        """The position that entries, in their order, come to; an empty one is 0."""
        if not entries:
            return Fraction(0)
        return _AGGREGATES[self.name](entries, self.rank)


def token_of(value):
    """What makes two values one and the same for `unique_count`, or None if it is no value.

    A number is its canonical spelling, so it equals the string that is spelled so.
    """
    if isinstance(value, bool):
        return "text", "true" if value else "false"
    if isinstance(value, Number):
        return "number", exact.normal(value.text)
    if isinstance(value, str):
        return ("number", exact.normal(value)) if _is_canonical(value) else ("text", value)
    return None


def _is_canonical(text):
    """Plain, without `-0` and without zeros at the end of a fraction."""
    if not exact.PLAIN.fullmatch(text):
        return False
    return text != "-0" and not ("." in text and text.endswith("0"))


def quotient(numerator, denominator):
    """Half away from zero to 12 decimals."""
    return exact.rounded(Fraction(numerator) / denominator, PLACES)


def _sum(entries, _rank):
    return sum((entry.quantity for entry in entries), Fraction(0))


def _percentile(entries, rank):
    """Nearest rank: the smallest value that so many percent do not exceed."""
    values = sorted(entry.quantity for entry in entries)
    share = rank * len(values) / 100
    return values[-(-share.numerator // share.denominator) - 1]


_AGGREGATES = {
    "sum": _sum,
    "count": lambda entries, _rank: Fraction(len(entries)),
    "max": lambda entries, _rank: max(entry.quantity for entry in entries),
    "min": lambda entries, _rank: min(entry.quantity for entry in entries),
    "average": lambda entries, _rank: quotient(_sum(entries, None), len(entries)),
    "unique_count": lambda entries, _rank: Fraction(len({entry.token for entry in entries})),
    "latest": lambda entries, _rank: max(entries, key=lambda entry: entry.order).quantity,
    PERCENTILE: _percentile,
}
