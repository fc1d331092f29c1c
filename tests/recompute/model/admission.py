"""Admission: every line of usage becomes an admitted record, a duplicate or a coded rejection."""

from dataclasses import dataclass, field
from fractions import Fraction

from . import strictjson
from .aggregation import token_of
from .exact import QUANTITY
from .periods import parse_instant

RECORD_BYTES_MAX = 1024 * 1024
REQUIRED = ("id", "source", "type", "subject", "time")
OPTIONAL = ("subscription", "datacontenttype", "dataschema")
TRACE = ("traceparent", "tracestate")
CANCELLED = "usage.cancelled"
AMENDED = "usage.amended"
# What a replacement may give; what it does not is its target's, but for `data`. One of the routes
# alone leaves the target's other one behind.
REPLACED = ("type", "time", "subject", "subscription", "data")
ROUTES = ("subject", "subscription")

_MISSING = object()


@dataclass(frozen=True)
class Use:
    """What one record means to one charge; `token` is a value that is only told apart."""

    subscription: object
    charge: str
    quantity: Fraction
    token: object = None
    cell: object = None
    dimensions: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A usage record that counts, with the event that says so."""

    source: str
    id: str
    customer: str
    time: int
    uses: list
    event: dict

    @property
    def identity(self):
        """Unique within the owner."""
        return self.customer, self.source, self.id


@dataclass(frozen=True)
class Correction:
    """A cancellation or, with a replacement, an amendment of another record."""

    source: str
    id: str
    customer: str
    time: int
    of: tuple
    replacement: dict | None

    @property
    def identity(self):
        """Unique within the owner, as a record's."""
        return self.customer, self.source, self.id

    @property
    def target(self):
        """The identity of what it corrects, of the same owner."""
        return self.customer, *self.of

    @property
    def is_amendment(self):
        """Whether something is to stand in the target's place."""
        return self.replacement is not None

    @property
    def order(self):
        """Its place among all records."""
        return self.time, self.source, self.id


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
        """A `Record`, a `Correction`, a `Duplicate` or a `Rejected` for the bytes of one record."""
        if len(line) > RECORD_BYTES_MAX:
            return Rejected("too_large")
        try:
            event = strictjson.loads(line)
        except strictjson.Malformed:
            return Rejected("malformed_json")
        if not _is_cloud_event(event):
            return Rejected("not_a_cloud_event")
        if any(event.get(name) is None for name in REQUIRED):
            return Rejected("missing_field")
        is_correction = event["type"] in (CANCELLED, AMENDED)
        found = self._correction(event) if is_correction else self.measured(event)
        return found if isinstance(found, Rejected) else self._admit(found, event)

    def replaced(self, target, correction, customer):
        """The event of an admitted one with an amendment's replacement in its place, measured."""
        changes = correction.replacement
        if _is_event(changes):
            subject = changes.get("subject")
            if subject is not None and not self._is_owner(subject, customer):
                return Rejected("unknown_subject")
            changes = {name: changes[name] for name in REPLACED if changes.get(name) is not None}
            if any(name in changes for name in ROUTES):
                target = {**target, "subject": customer, "subscription": None}
            target = {name: item for name, item in target.items() if name != "data"}
        else:
            changes = {"data": changes}
        event = {**target, **changes}
        return self.measured(event) if _is_cloud_event(event) else Rejected("not_a_cloud_event")

    def release(self, identity):
        """A record that is rejected later on has claimed nothing."""
        del self._admitted[identity]

    def measured(self, event):
        """A record, or the first fault in the frozen order of codes."""
        meters = self._catalog.meters
        values = {
            key: _value(meters[key], event.get("data"))
            for key in self._catalog.meters_of_type.get(event["type"], [])
        }
        valued = [values[key] for key in values if meters[key].has_value]
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
        uses = [
            self._use(sub, charge, terms, values[terms.meter], event.get("data"))
            for sub, charge, terms in route.takers
        ]
        return Record(event["source"], event["id"], route.customer, time, uses, event)

    def _correction(self, event):
        """A correction, whoever it is for; its target is looked for later."""
        data = event.get("data")
        of = [_follow(("of", name), data) for name in ("source", "id")]
        replacement = None
        if event["type"] == AMENDED:
            replacement = _follow(("replacement",), data)
        if not all(isinstance(part, str) for part in of) or not (
            replacement is None and event["type"] == CANCELLED or isinstance(replacement, dict)
        ):
            return Rejected("missing_field")
        time = parse_instant(event["time"])
        if time is None or not _is_timely(replacement):
            return Rejected("invalid_time")
        owner = self._candidates(event)
        if owner is None:
            return Rejected("unknown_subject")
        return Correction(event["source"], event["id"], owner[0], time, tuple(of), replacement)

    def _admit(self, found, event):
        content = _content(event, found.time)
        if found.identity in self._admitted:
            is_same = self._admitted[found.identity] == content
            return Duplicate() if is_same else Rejected("conflict")
        if isinstance(found, Correction) and found.target == found.identity:
            return Rejected("unknown_reference")
        self._admitted[found.identity] = content
        return found

    def _use(self, subscription, charge, terms, value, data):
        """What a charge makes of a record's value for its meter."""
        meter = self._catalog.meters[terms.meter]
        dimensions = {
            name: token_of(_follow(path, data)) for name, path in meter.dimensions.items()
        }
        cell = terms.cell_of(dimensions)
        if meter.is_unique:
            return Use(subscription, charge, Fraction(1), value, cell, dimensions)
        return Use(subscription, charge, value, None, cell, dimensions)

    def _is_owner(self, subject, customer):
        owner = self._catalog.resolve(subject) if isinstance(subject, str) else None
        return owner is not None and owner[0] == customer

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
        both = [sub for sub in candidates if sub in named[1]]
        return (customer, both) if both else None

    def _matches(self, terms, data):
        dimensions = self._catalog.meters[terms.meter].dimensions
        return all(
            token_of(_follow(dimensions[name], data)) in [token_of(value) for value in allowed]
            for name, allowed in terms.filter.items()
        )


def _is_event(replacement):
    """Whether a replacement is an event, not new data alone."""
    return isinstance(replacement.get("data"), dict) or "specversion" in replacement


def _is_timely(replacement):
    """Whether the time that a replacement gives, if it gives one, is an instant."""
    time = replacement.get("time") if replacement and _is_event(replacement) else None
    return time is None or not isinstance(time, str) or parse_instant(time) is not None


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
    if not meter.has_value:
        return Fraction(1)
    found = _follow(meter.value, data)
    if found is _MISSING or (found is None and meter.is_unique):
        return _MISSING
    if meter.is_unique:
        return token_of(found)
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
