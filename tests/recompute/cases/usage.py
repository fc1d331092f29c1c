"""Random usage against a catalog: boundaries of time and tiers, retries, conflicts, garbage."""

from fractions import Fraction

from model import strictjson
from model.catalog import Catalog
from model.exact import QUANTITY, parse, plain
from model.periods import DAY, SECOND, instant_text, local_day, midnight, parse_instant
from model.rating import Rater
from model.strictjson import Number

from . import garbage
from .catalogs import DIMENSIONS, TYPES
from .draw import LAST_PLACE, chance, decimal, encoded, respelled, reworded, spelled

SPAN = 160 * 86400 * SECOND
OFFSETS = ("+00:00", "+01:00", "-05:00", "+05:45", "+10:30", "+14:00", "-03:30")
TRACE = {"traceparent": "00-{:032x}-0000000000000001-00", "tracestate": "vendor={}"}


def usage(rng, document):
    """The lines of an NDJSON file, as bytes."""
    writer = Writer(rng, document)
    for _ in range(rng.randint(20, 160)):
        writer.step()
    if chance(rng, 3):
        writer.line_at_size_limit()
    return writer.lines


class Writer:
    """Keeps the totals so far in view, so that values can aim at tier bounds."""

    def __init__(self, rng, document):
        self.lines = []
        self._rng = rng
        self._rater = Rater(Catalog(document), writes_lines=False)
        self._catalog = Catalog(document)
        self._document = document
        self._sent = []
        self._targets = _targets(document)
        self._changes = _changes(document)

    def step(self):
        """Writes one or two lines of some kind."""
        roll = self._rng.randrange(100)
        if roll < 72 or not self._sent:
            self._write(self._event(self._taker()))
        elif roll < 79:
            self._write_again()
        elif roll < 83:
            self._write(self._conflicting())
        elif roll < 87:
            self._write(self._elsewhere())
        elif roll < 97:
            self._write_broken()
        else:
            text = self._text(self._event(self._taker()))
            is_deep = chance(self._rng, 10)
            line = garbage.nested_to_the_limit if is_deep else garbage.malformed
            self._emit(line(self._rng, text))

    def line_at_size_limit(self):
        """A record of exactly 1 MiB, and one a byte too large."""
        for excess in (0, 1):
            event = self._event(self._taker())
            event["data"]["padding"] = ""
            missing = 1024 * 1024 - len(self._text(event).encode())
            event["data"]["padding"] = "x" * (missing + excess)
            self._emit(self._text(event).encode())

    def _write(self, event):
        self._sent.append(event)
        self._emit(self._text(event, is_noisy=chance(self._rng, 20)).encode())

    def _emit(self, line):
        self.lines.append(line)
        self._rater.read(line)

    def _text(self, event, is_noisy=False):
        return encoded(self._rng, event, is_noisy)

    def _write_again(self):
        """A blind retry: the same meaning, perhaps in other words and on another trace."""
        event = reworded(self._rng, self._rng.choice(self._sent))
        for name, shape in TRACE.items():
            if chance(self._rng, 20):
                event[name] = shape.format(self._rng.randrange(10**9))
        self._emit(self._text(event, is_noisy=chance(self._rng, 70)).encode())

    def _conflicting(self):
        """An identity seen before, with other content."""
        event = {**self._rng.choice(self._sent)}
        match self._rng.randrange(3):
            case 0:
                event["data"] = {**event["data"], "note": "changed"}
            case 1:
                event["time"] = instant_text(parse_instant(event["time"]) + 1)
            case 2:
                other = self._event(self._taker())
                event = {**other, "id": event["id"], "source": event["source"]}
        return event

    def _elsewhere(self):
        """Usage that nobody takes: unknown subject or type, or outside any subscription."""
        sub, time, terms = self._taker()
        event = self._event((sub, time, terms))
        match self._rng.randrange(3):
            case 0:
                event["subject"] = "CUS-unknown"
                event.pop("subscription", None)
            case 1:
                event["type"] = "nobody.asked"
            case 2:
                day = local_day(sub.start, sub.cycle.zone) - DAY * self._rng.randint(1, 40)
                event["time"] = instant_text(midnight(day, sub.cycle.zone))
        return event

    def _write_broken(self):
        """A taken record with a fault, sometimes followed by the repaired one."""
        taker = self._taker()
        # Only a record that is clearly some charge's can lack or spoil what that charge needs.
        event = {**self._event(taker), "subscription": taker[0].id}
        meter = self._catalog.meters[taker[2].meter]
        broken = garbage.broken(self._rng, event, meter)
        self._emit(self._text(broken).encode())
        if chance(self._rng, 40):
            self._write(event)

    def _taker(self):
        """(subscription, instant, terms of some charge then in force that has a meter)."""
        while True:
            sub = self._rng.choice(list(self._catalog.subscriptions.values()))
            time = self._time(sub)
            charges = [terms for terms in sub.charges_at(time).values() if terms.meter]
            if charges and sub.is_active(time):
                return sub, time, self._rng.choice(charges)

    def _time(self, sub):
        rng = self._rng
        end = min(sub.end or sub.start + SPAN, sub.start + SPAN)
        anywhere = rng.randrange(sub.start, end)
        nudge = rng.choice((0, 0, 1, -1, SECOND, -SECOND, 500 * 10**6))
        match rng.randrange(10):
            case 0 | 1:
                return rng.choice(sub.period(anywhere)) + nudge
            case 2 if self._changes:
                return rng.choice(self._changes) + nudge
            case 3 | 4:
                return anywhere // SECOND * SECOND
        return anywhere

    def _event(self, taker):
        """A valid record that the charge with these terms takes."""
        sub, time, terms = taker
        rng = self._rng
        event_type = self._catalog.meters[terms.meter].event_type
        event = {
            "specversion": "1.0",
            "id": f"{rng.choice('aéß')}-{rng.randrange(10**6)}" if chance(rng, 97) else "same",
            "source": rng.choice(("metering/api-gw", "metering/batch", "m:7,")),
            "type": event_type,
            "subject": rng.choice(self._names(sub)),
            "time": self._time_text(time),
            "subscription": sub.id,
            "data": self._data(sub, time, terms, event_type),
        }
        is_plain_subject = len(self._siblings(sub)) == 1 or event["subject"] in self._own_names(sub)
        if chance(rng, 60 if is_plain_subject else 10):
            event["subscription"] = None
            if chance(rng, 90):
                del event["subscription"]
        if chance(rng, 20):
            event["datacontenttype"] = "application/json"
        return event

    def _siblings(self, sub):
        subscriptions = self._catalog.subscriptions.values()
        return [other for other in subscriptions if other.customer == sub.customer]

    def _own_names(self, sub):
        entries = {entry["id"]: entry for entry in self._document["subscriptions"]}
        return [sub.id, *entries[sub.id].get("aliases", [])]

    def _names(self, sub):
        customer = self._catalog.customers[sub.customer]
        return [*self._own_names(sub), customer["id"], *customer.get("aliases", [])]

    def _time_text(self, time):
        """UTC or some offset, sub-seconds with or without trailing zeros."""
        rng = self._rng
        if chance(rng, 60):
            return instant_text(time)
        offset = rng.choice(OFFSETS)
        text = instant_text(2 * time - parse_instant(instant_text(time)[:-1] + offset))[:-1]
        if "." in text:
            text = text.ljust(len(text) + rng.randrange(3), "0")[:29]
        return text + offset

    def _data(self, sub, time, terms, event_type):
        """Values for every meter of the type; the aimed charge's dimensions match its filter."""
        rng = self._rng
        data = {}
        for name, values in DIMENSIONS.items():
            allowed = terms.filter.get(name)
            value = rng.choice(allowed or values)
            if name == "region":
                data["region"] = value
            elif allowed or chance(rng, 80):
                data["labels"] = {"tier": value}
        needed = {each.meter for each in sub.charges_at(time).values()}
        for key in TYPES[event_type]:
            meter = self._catalog.meters.get(key)
            if meter is None or (key not in needed and chance(rng, 15)):
                continue
            value = self._value(sub, time, key, meter)
            _put(data, meter.value, spelled(rng, value))
        return data

    def _value(self, sub, time, key, meter):
        """A random quantity, or what brings a total right to, under or over a bound."""
        rng = self._rng
        aims = [
            (charge, bound)
            for charge, terms in sub.charges_at(time).items() if terms.meter == key
            for bound in self._targets.get((sub.plan, charge), [])
        ]
        if aims and chance(rng, 35):
            charge, bound = rng.choice(aims)
            total = self._rater.totals.get((sub.id, charge, sub.period(time)[0]))
            so_far = total.quantity if total else Fraction(0)
            aimed = bound - so_far + rng.choice((0, 0, LAST_PLACE, -LAST_PLACE))
            is_quantity = parse(plain(aimed), QUANTITY) is not None
            if is_quantity and (aimed >= 0 or not meter.rejects_negative):
                return aimed
        value = decimal(rng, rng.choice((1, 3, 3, 5, 15)), rng.choice((0, 2, 9)))
        return -value if not meter.rejects_negative and chance(rng, 25) else value


def _targets(document):
    """{(plan, charge): totals at which some price changes}."""
    targets = {}
    for plan in document["plans"]:
        for charge in plan["charges"]:
            price = charge["price"]
            marks = [tier["up_to"] for tier in price.get("tiers", []) if tier["up_to"] is not None]
            marks += [price["package_size"]] if "package_size" in price else []
            included = strictjson.decimal(charge.get("included", "0"), QUANTITY)
            found = targets.setdefault((plan["key"], charge["key"]), [included])
            found += [included + strictjson.decimal(mark, QUANTITY) for mark in marks]
    return targets


def _changes(document):
    """Every instant at which a version or an override begins."""
    dated = [*document["plans"]]
    for subscription in document["subscriptions"]:
        for changes in subscription.get("overrides", {}).values():
            dated += changes
    return [parse_instant(each["effective_from"]) for each in dated]


def _put(data, path, value):
    for name in path[:-1]:
        data = data.setdefault(name, {})
    data[path[-1]] = value
