"""Admission: every line of usage becomes an admitted record, a duplicate or a coded rejection."""

from dataclasses import dataclass, field
from fractions import Fraction

from . import strictjson
from .exact import QUANTITY
from .periods import parse_instant

RECORD_BYTES_MAX = 1024 * 1024
REQUIRED = ("id", "source", "type", "subject", "time")
OPTIONAL = ("subscription", "datacontenttype", "dataschema")
TRACE = ("traceparent", "tracestate")

_MISSING = object()


@dataclass(frozen=True)
class Use:
    """What one record means to one charge."""

    subscription: object
    charge: str
    quantity: Fraction


@dataclass(frozen=True)
class Record:
    """A usage record that counts."""

    source: str
    id: str
    customer: str
    time: int
    uses: list


@dataclass(frozen=True)
class Rejected:
    """A record that does not count, and why."""

    code: str


@dataclass(frozen=True)
class Duplicate:
    """A record that has been counted already."""


@dataclass
class _Route:
    """Where a record goes: its owner, the charges that take it, what stands in the way."""

    customer: str | None = None
    takers: list = field(default_factory=list)
    fault: str | None = None


class Admission:
    """Judges records in the order in which they come."""

    def __init__(self, catalog):
        self._catalog = catalog
        self._admitted = {}

    def judge(self, line):
        """A `Record`, a `Duplicate` or a `Rejected` for the bytes of one record."""
        if len(line) > RECORD_BYTES_MAX:
            return Rejected("too_large")
        try:
            event = strictjson.loads(line)
        except strictjson.Malformed:
            return Rejected("malformed_json")
        if not _is_cloud_event(event):
            return Rejected("not_a_cloud_event")
        return self._judge_event(event)

    def _judge_event(self, event):
        """The first fault in the frozen order of codes decides."""
        if any(event.get(name) is None for name in REQUIRED):
            return Rejected("missing_field")
        values = {
            key: _value(self._catalog.meters[key], event.get("data"))
            for key in self._catalog.meters_of_type.get(event["type"], [])
        }
        valued = [values[key] for key in values if self._catalog.meters[key].aggregation != "count"]
        nothing = bool(valued) and all(value is _MISSING for value in valued)
        time = parse_instant(event["time"])
        if time is None:
            return Rejected("missing_field" if nothing else "invalid_time")
        route = self._route(event, time, values)
        if any(values[terms.meter] is _MISSING for _, _, terms in route.takers):
            return Rejected("missing_field")
        if any(value is None for value in values.values()):
            return Rejected("invalid_quantity")
        if route.fault:
            return Rejected("missing_field" if nothing else route.fault)
        return self._admit(event, time, route, values)

    def _admit(self, event, time, route, values):
        identity = (route.customer, event["source"], event["id"])
        content = _content(event, time)
        if identity in self._admitted:
            return Duplicate() if self._admitted[identity] == content else Rejected("conflict")
        self._admitted[identity] = content
        uses = [Use(sub, charge, values[terms.meter]) for sub, charge, terms in route.takers]
        return Record(event["source"], event["id"], route.customer, time, uses)

    def _route(self, event, time, meters):
        """Finds the subscription for each meter, then the charges whose filters match."""
        owner = self._candidates(event)
        if owner is None:
            return _Route(fault="unknown_subject")
        customer, candidates = owner
        active = [sub for sub in candidates if sub.has_plan_at(time)]
        takers, fault = [], None
        for key in meters:
            charges = [
                (sub, charge, terms)
                for sub in active
                for charge, terms in sub.charges_at(time).items()
                if terms.meter == key
            ]
            if len({sub.id for sub, _, _ in charges}) > 1:
                fault = "ambiguous_subscription"
            takers += charges
        if meters and not active:
            fault = "no_active_plan"
        data = event.get("data")
        takers = [taker for taker in takers if self._matches(taker[2], data)]
        return _Route(customer, takers, fault)

    def _candidates(self, event):
        """(customer, subscriptions) that `subject` and `subscription` leave, or None."""
        owner = self._catalog.resolve(event["subject"])
        if owner is None or event.get("subscription") is None:
            return owner
        named = self._catalog.resolve(event["subscription"])
        if named is None or named[0] != owner[0]:
            return None
        customer, candidates = owner
        return customer, [sub for sub in candidates if sub in named[1]]

    def _matches(self, terms, data):
        dimensions = self._catalog.meters[terms.meter].dimensions
        return all(
            _follow(dimensions[name], data) in allowed for name, allowed in terms.filter.items()
        )


def _is_cloud_event(event):
    """An object that says it is CloudEvents 1.0, its attributes strings (null counts as unset)."""
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        return False
    names = REQUIRED + OPTIONAL + TRACE
    return all(event.get(name) is None or isinstance(event[name], str) for name in names)


def _content(event, time):
    """What makes two records the same: all but the traces of their way, time as an instant."""
    kept = {key: item for key, item in event.items() if key not in TRACE and item is not None}
    return time, strictjson.meaning({key: item for key, item in kept.items() if key != "time"})


def _value(meter, data):
    """A record's quantity for a meter; None if it is no valid one, `_MISSING` if there is none."""
    if meter.aggregation == "count":
        return Fraction(1)
    found = _follow(meter.value, data)
    if found is _MISSING:
        return _MISSING
    quantity = strictjson.decimal(found, QUANTITY)
    if quantity is not None and quantity < 0 and meter.rejects_negative:
        return None
    return quantity


def _follow(path, data):
    for name in path:
        if not isinstance(data, dict) or name not in data:
            return _MISSING
        data = data[name]
    return data
