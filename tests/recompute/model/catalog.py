"""The catalog: who is charged for what, under which terms, at any moment."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property

from .aggregation import TIME_WEIGHTED, Aggregation, quotient
from .exact import PRICE, QUANTITY, rounded
from .periods import DAY, MONTHS, Cycle, midnight, parse_instant
from .pricing import Percentage, cell_of, flat_cells, grid_of, priced_cells
from .scopes import NEVER
from .strictjson import decimal

CYCLE_DEFAULTS = {"billing_period": "month", "bill_cycle_day": 1, "bill_cycle_month": 1}


@dataclass(frozen=True)
class Meter:
    """Which records are measured, and how."""

    event_type: str
    aggregation: Aggregation
    value: tuple
    dimensions: dict
    rejects_negative: bool

    @property
    def has_value(self):
        """Whether a record must carry a value."""
        return self.aggregation.name != "count"

    @property
    def is_unique(self):
        """Whether values are told apart rather than added."""
        return self.aggregation.name == "unique_count"

    @property
    def is_time_weighted(self):
        """Whether values are changes of a level."""
        return self.aggregation.name == TIME_WEIGHTED


class Terms:
    """One charge as it stands in one stretch of time: a plan version with its overrides."""

    def __init__(self, version, charge):
        self.version = version
        self.meter = charge.get("meter")
        self.filter = charge.get("filter") or {}
        self.scope = charge.get("scope") or "billing_period"
        self.is_flat = charge["price"]["model"] == "flat"
        self.cells = priced_cells(charge["price"])
        self.flat_cells = flat_cells(charge["price"])
        self.grid = grid_of(charge["price"])
        self._charge = charge
        self._minimum = _optional(charge.get("minimum"), PRICE)
        self._maximum = _optional(charge.get("maximum"), PRICE)
        self._discount = _optional(charge.get("discount_percent"), PRICE) or Fraction(0)
        self._included = _optional(charge.get("included"), QUANTITY) or Fraction(0)
        self._unit = charge.get("unit")

    def cell_of(self, dimensions):
        """The matrix cell that prices a record, None where there is one price for all."""
        return cell_of(self._charge["price"], dimensions)

    def billable(self, position, share=Fraction(1)):
        """What of a position is priced: the overage over the included units, never below 0.

        `share` is what part of a whole scope the position's is.
        """
        included = self._prorated("prorate_included", self._included, share)
        return max(Fraction(0), self._converted(position) - included)

    def price(self, position, cell=None, share=Fraction(1)):
        """P: the price of a whole position, before discount and bounds."""
        price = self.cells.get(cell)
        if price is None or isinstance(price, Percentage):
            return Fraction(0)
        return price(self.billable(position, share))

    def flat_amount(self, share, cell=None):
        """What a flat price costs in a period that is such a part of a whole one."""
        return self._prorated("prorate_flat", self.price(Fraction(0), cell), share)

    def bounded(self, usage_amount, share):
        """The usage amount after discount, then maximum, then minimum."""
        amount = usage_amount * (1 - self._discount / 100)
        if self._maximum is not None:
            amount = min(amount, self._maximum)
        if self._minimum is not None:
            amount = max(amount, self._prorated("prorate_minimum", self._minimum, share))
        return amount

    def _prorated(self, switch, value, share):
        if not self._charge.get(switch):
            return value
        return quotient(value * share.numerator, share.denominator)

    def _converted(self, position):
        """Raw units in the unit that is priced."""
        if self._unit is None:
            return position
        divisor = decimal(self._unit["divide_by"], PRICE)
        return _ROUNDINGS[self._unit.get("rounding") or "none"](position, divisor)


# Of a position and its divisor; whole numbers come from the exact quotient.
_ROUNDINGS = {
    "none": quotient,
    "up": lambda position, divisor: Fraction(-(-position // divisor)),
    "down": lambda position, divisor: Fraction(position // divisor),
    "half_up": lambda position, divisor: rounded(position / divisor, 0),
}


@dataclass(frozen=True)
class Segment:
    """The charges in force from `start` (an instant) until the next segment."""

    start: int
    version: int
    charges: dict


@dataclass
class Subscription:
    """A customer's plan, from `start` until `end` (exclusive, None: for ever)."""

    id: str
    customer: str
    plan: str
    start: int
    end: int | None
    cycle: Cycle
    segments: list = field(repr=False)

    @cached_property
    def _starts(self):
        return [segment.start for segment in self.segments]

    def is_active(self, instant):
        """Whether the subscription itself runs."""
        return self.start <= instant and (self.end is None or instant < self.end)

    def segment_index(self, instant):
        """Index of the segment in force, -1 before the plan's first version."""
        return bisect_right(self._starts, instant) - 1

    def charges_at(self, instant):
        """{charge key: terms} in force."""
        index = self.segment_index(instant)
        return {} if index < 0 else self.segments[index].charges

    def has_plan_at(self, instant):
        """Whether the subscription runs and some version of its plan is in force."""
        return self.is_active(instant) and self.segment_index(instant) >= 0

    def period(self, instant):
        """The billing period that holds an instant, clipped to the subscription's own life."""
        start, end = self.cycle.period(instant)
        return max(start, self.start), end if self.end is None else min(end, self.end)

    def periods_ended_by(self, instant):
        """All periods from the subscription's start that are over."""
        start, end = self.period(self.start)
        while end <= instant and start < end:
            yield start, end
            if end == self.end:
                return
            start, end = self.period(end)

    def terms_within(self, charge, start, end):
        """[(segment index, terms)] of a charge in a stretch of time, in order."""
        return [
            (index, self.segments[index].charges[charge])
            for index in range(max(0, self.segment_index(start)), self.segment_index(end - 1) + 1)
            if charge in self.segments[index].charges
        ]

    def parts(self, charge, start, end):
        """[(start, end, terms)] of a stretch of time, cut wherever terms change."""
        found = []
        for index, terms in self.terms_within(charge, start, end):
            after = self._starts[index + 1] if index + 1 < len(self._starts) else NEVER
            found.append((max(start, self._starts[index]), min(end, after), terms))
        return found

    def charges_within(self, start, end):
        """Keys of all charges in force at some moment of a stretch of time."""
        inside = range(max(0, self.segment_index(start)), self.segment_index(end - 1) + 1)
        return sorted({key for index in inside for key in self.segments[index].charges})


class Catalog:
    """A catalog document, read."""

    def __init__(self, document, settings=None):
        self.settings = {**CYCLE_DEFAULTS, **(settings or {})}
        self.customers = {entry["id"]: entry for entry in document.get("customers", [])}
        self.meters = {entry["key"]: _meter(entry) for entry in document.get("meters", [])}
        self.meters_of_type = {}
        for key, meter in self.meters.items():
            self.meters_of_type.setdefault(meter.event_type, []).append(key)
        self.versions = {}
        for plan in sorted(document.get("plans", []), key=_effective_from):
            self.versions.setdefault(plan["key"], []).append(plan)
        self.subscriptions = {}
        self._aliases = {}
        for entry in document.get("customers", []):
            self._alias("customer", entry)
        for entry in document.get("subscriptions", []):
            self.add_subscription(entry)

    def add_subscription(self, entry, settings=None):
        """Starts a subscription; `settings` are nearer than its customer's own."""
        customer = self.customers[entry["customer"]]
        cycle = cycle_of({**self.settings, **customer, **(settings or {})})
        self.subscriptions[entry["id"]] = Subscription(
            id=entry["id"],
            customer=entry["customer"],
            plan=entry["plan"],
            start=midnight(date.fromisoformat(entry["start"]), cycle.zone),
            end=_after(entry.get("end"), cycle.zone),
            cycle=cycle,
            segments=self._segments(entry["plan"], entry.get("overrides") or {}),
        )
        self._alias("subscription", entry)

    def currency(self, subscription):
        """The currency of a subscription's plan."""
        return self.versions[subscription.plan][0]["currency"]

    def resolve(self, name):
        """(customer id, its candidate subscriptions) that a subject names, or None."""
        kind, key = self._aliases.get(name, (None, None))
        if kind == "customer":
            return key, [sub for sub in self.subscriptions.values() if sub.customer == key]
        if kind == "subscription":
            return self.subscriptions[key].customer, [self.subscriptions[key]]
        return None

    def _alias(self, kind, entry):
        for name in [entry["id"], *entry.get("aliases", [])]:
            self._aliases[name] = (kind, entry["id"])

    def _segments(self, plan, overrides):
        """The plan's versions cut further wherever an override begins."""
        changes = [(charge, change) for charge, dated in overrides.items() for change in dated]
        changes.sort(key=lambda each: _effective_from(each[1]))
        versions = self.versions[plan]
        segments = []
        dated = [*versions, *(change for _, change in changes)]
        for start in sorted({_effective_from(each) for each in dated}):
            in_force = [version for version in versions if _effective_from(version) <= start]
            if in_force:
                applied = [each for each in changes if _effective_from(each[1]) <= start]
                segments.append(_segment(start, in_force[-1], applied))
        return segments


def cycle_of(settings):
    """The billing cycle that resolved settings describe."""
    return Cycle(
        zone=settings.get("time_zone") or "UTC",
        months=MONTHS[settings["billing_period"]],
        day=whole(settings["bill_cycle_day"]),
        month=whole(settings["bill_cycle_month"]),
    )


def whole(value):
    """An integer of a document, however it was written."""
    return value if isinstance(value, int) else int(value.text)


def _segment(start, version, changes):
    """A plan version with the overrides that apply, the later ones last."""
    number = whole(version["version"])
    charges = {charge["key"]: dict(charge) for charge in version["charges"]}
    for key, change in changes:
        if key in charges:
            charges[key].update({k: v for k, v in change.items() if k != "effective_from"})
    return Segment(start, number, {key: Terms(number, each) for key, each in charges.items()})


def _meter(entry):
    return Meter(
        event_type=entry["event_type"],
        aggregation=Aggregation.read(entry["aggregation"]),
        value=_path(entry["value"]) if entry.get("value") else (),
        dimensions={name: _path(path) for name, path in (entry.get("group_by") or {}).items()},
        rejects_negative=entry.get("negative", "reject") == "reject",
    )


def _path(text):
    """`$.a.b` as names to follow into `data`."""
    return tuple(text.removeprefix("$.").split("."))


def _effective_from(entry):
    return parse_instant(entry["effective_from"])


def _after(day, zone):
    """The instant after an inclusive end date."""
    return None if day is None else midnight(date.fromisoformat(day) + DAY, zone)


def _optional(value, domain):
    return None if value is None else decimal(value, domain)
