"""Random usage with corrections: of records before and after them, and of each other."""

from model import strictjson
from model.exact import QUANTITY, parse, plain
from model.strictjson import Number

from . import garbage
from .catalogs import DIMENSIONS, TYPES
from .draw import LAST_PLACE, chance, decimal, spelled
from .features import UNIQUE
from .usage import Writer

# Spellings of few values, some of them the same value.
USERS = (Number("12"), "12", Number("12.0"), "12.0", Number("1.2e1"), "u-1", "u-2", "ü", True,
         "true", Number("0"), "-0", "")
CORRECTION_TYPES = ("usage.cancelled", "usage.amended")


def usage(rng, document):
    """The lines of an NDJSON file, as bytes."""
    writer = _CorrectingWriter(rng, document)
    for _ in range(rng.randint(20, 110)):
        writer.step()
    writer.flush()
    return writer.lines


class _CorrectingWriter(Writer):
    """Writes corrections of what was sent, and of what is only held back."""

    def __init__(self, rng, document):
        super().__init__(rng, document)
        self._held = []
        self._roots = {}
        self._corrections = []
        self._instants = [self._taker()[1] for _ in range(3)]

    def step(self):
        """Some kind of record, or some correction."""
        rng = self._rng
        if self._held and chance(rng, 12):
            self._write(self._held.pop(rng.randrange(len(self._held))))
        roll = rng.randrange(100)
        if roll < 12 and self._sent:
            self._correct(rng.choice(self._sent))
        elif roll < 18 and self._corrections:
            self._correct(rng.choice(self._corrections))
        elif roll < 24:
            held = self._event(self._taker())
            self._held.append(held)
            self._correct(held)
        elif roll < 26 and self._sent:
            self._write_circle(rng.choice(self._sent))
        else:
            super().step()

    def flush(self):
        """Most of what was held back comes in the end."""
        self._rng.shuffle(self._held)
        for event in self._held:
            if chance(self._rng, 85):
                self._write(event)

    def _correct(self, target):
        """A cancellation or an amendment, now or later, mostly of something that can be."""
        rng = self._rng
        is_cancellation = target["type"] == "usage.cancelled"
        root = self._roots.get(id(target), target)
        if chance(rng, 50) or root["type"] in CORRECTION_TYPES or (
            is_cancellation and chance(rng, 90)
        ):
            correction = self._correction("usage.cancelled", target)
        else:
            correction = self._correction("usage.amended", target)
            is_plain = target is root
            correction["data"]["replacement"] = self._replacement(root, is_plain)
        if chance(rng, 4):
            correction["data"]["of"]["id"] = "never"
        if chance(rng, 3):
            del correction["data"]["of"][rng.choice(("source", "id"))]
        self._roots[id(correction)] = root
        self._corrections.append(correction)
        if chance(rng, 20):
            self._held.append(correction)
        else:
            self._write(correction)

    def _write_circle(self, target):
        """Two cancellations of each other, or one of itself."""
        one = self._correction("usage.cancelled", target)
        other = self._correction("usage.cancelled", one)
        if chance(self._rng, 30):
            other = one
        one["data"]["of"] = {"source": other["source"], "id": other["id"]}
        for event in (one, other)[: 1 if one is other else 2]:
            self._roots[id(event)] = event
            self._corrections.append(event)
            self._write(event)

    def _correction(self, event_type, target):
        rng = self._rng
        return {
            "specversion": "1.0",
            "id": f"fix-{rng.choice('aéß')}-{rng.randrange(10**6)}",
            "source": rng.choice(("metering/api-gw", "billing/desk")),
            "type": event_type,
            "subject": target["subject"],
            "time": self._time_text(rng.choice((*self._instants, self._taker()[1]))),
            "data": {"of": {"source": target["source"], "id": target["id"]}},
        }

    def _replacement(self, root, is_plain):
        """New data, or as much of another event of the same customer."""
        rng = self._rng
        if is_plain and chance(rng, 55):
            return self._changed_data(root)
        other = self._other_event(root)
        if other is None:
            return self._changed_data(root)
        names = ["type", "time", "data", "subscription"]
        if chance(rng, 25):
            names.append("subject")
            other["subject"] = rng.choice((root["subject"], other["subject"]))
        if chance(rng, 30):
            names.remove("subscription")
        if chance(rng, 30) and root["type"] == other["type"]:
            names.remove(rng.choice(names[:3]))
        replacement = {name: other[name] for name in names if name in other}
        if "data" not in replacement or chance(rng, 30):
            replacement["specversion"] = "1.0"
        if chance(rng, 5) and "time" in replacement:
            replacement["time"] = rng.choice(garbage.BAD_TIMES)
        if chance(rng, 5):
            replacement["time"] = "1999-12-31T23:59:59Z"
        return replacement

    def _changed_data(self, root):
        """The same data with another value, now and then a bad one."""
        rng = self._rng
        data = {**root["data"]}
        for name in data:
            if name not in ("region", "labels", "usage", "note") and chance(rng, 70):
                data[name] = self._drawn(name)
        if isinstance(data.get("usage"), dict):
            data["usage"] = {name: self._drawn(name) for name in data["usage"]}
        if chance(rng, 30):
            data["region"] = rng.choice(DIMENSIONS["region"])
        return data

    def _drawn(self, name):
        rng = self._rng
        if name in UNIQUE.values():
            return rng.choice(USERS)
        if chance(rng, 6):
            return rng.choice(garbage.BAD_QUANTITIES + garbage.BAD_NEGATIVES)
        return spelled(rng, decimal(rng, rng.choice((1, 3, 5, 15)), rng.choice((0, 2, 9))))

    def _other_event(self, root):
        """A record of the subject's customer, named with its subscription."""
        owner = self._catalog.resolve(root["subject"])
        for _ in range(20):
            taker = self._taker()
            if owner is not None and taker[0].customer == owner[0]:
                return {**self._event(taker), "subscription": taker[0].id}
        return None

    def _data(self, sub, time, terms, event_type):
        """Every meter of the type finds its value; the aimed charge's dimensions match."""
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
        for field in TYPES[event_type]:
            keys = [key for key in self._catalog.meters_of_type[event_type]
                    if key.startswith(f"{field}.")]
            keys = [key for key in keys if self._catalog.meters[key].value]
            if not keys or (not needed.intersection(keys) and chance(rng, 15)):
                continue
            value = self._value(sub, time, rng.choice(keys))
            self._put(data, self._catalog.meters[keys[0]].value, spelled(rng, value))
        name = UNIQUE.get(event_type)
        if name in self._catalog.meters:
            data[name] = rng.choice(USERS)
        return data

    def _value(self, sub, time, key, meter=None):
        """A random quantity, or what brings a position right to, under or over a bound."""
        rng = self._rng
        meter = self._catalog.meters[key]
        charges = [name for name, terms in sub.charges_at(time).items() if terms.meter == key]
        marks = [(charge, mark) for charge in charges for mark in self._marks(sub.plan, charge)]
        if marks and chance(rng, 40):
            charge, mark = rng.choice(marks)
            total = self._rater.totals.get((sub.id, charge, sub.period(time)[0]))
            so_far = total.quantity if total and chance(rng, 70) else 0
            aimed = mark - so_far + rng.choice((0, 0, LAST_PLACE, -LAST_PLACE))
            fits = aimed * 10**9 % 1 == 0 and parse(plain(aimed), QUANTITY) is not None
            if fits and (aimed >= 0 or not meter.rejects_negative):
                return aimed
        value = decimal(rng, rng.choice((1, 3, 3, 5, 15)), rng.choice((0, 2, 9)))
        return -value if not meter.rejects_negative and chance(rng, 25) else value

    def _marks(self, plan, charge):
        """Positions at which some version's price changes."""
        found = []
        for version in self._document["plans"]:
            for each in version["charges"]:
                if (version["key"], each["key"]) == (plan, charge):
                    factor = _read((each.get("unit") or {}).get("divide_by", "1"))
                    included = _read(each.get("included") or "0")
                    marks = [0, *map(_read, _bounds_of(each["price"]))]
                    found += [(included + mark) * factor for mark in marks]
        return found

    @staticmethod
    def _put(data, path, value):
        for name in path[:-1]:
            data = data.setdefault(name, {})
        data[path[-1]] = value


def _bounds_of(price):
    """Every bound of a price, of all its tiers and cells."""
    if isinstance(price, dict):
        for name, value in price.items():
            if name in ("up_to", "package_size", "block_size", "free_amount", "free_records"):
                if value is not None:
                    yield value
            else:
                yield from _bounds_of(value)
    elif isinstance(price, list):
        for each in price:
            yield from _bounds_of(each)


def _read(value):
    return strictjson.decimal(value, QUANTITY)
