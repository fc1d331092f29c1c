"""Lines that must be refused, each for a reason on which the contract leaves no doubt."""

import json

from model.strictjson import NESTING_MAX, Number

from .draw import chance

BAD_TIMES = (
    "2026-02-30T00:00:00Z", "2026-01-14T09:30:00", "2026-01-14", "2026-13-01T00:00:00Z",
    "yesterday", "2026-01-14T24:00:00Z", "2026-01-14T09:60:00Z", "2026-01-14T09:30:00.1234567891Z",
    "2026-01-14T09:30:00+25:00", "2026-01-14T09:30Z", "1768383000", "2025-02-29T00:00:00Z",
)
BAD_QUANTITIES = (
    "abc", "NaN", "1,5", " 1", "1 ", "+1", ".5", "1.", "0x10", "01", "", "1e", "1_000", "１２", "--1",
    "1000000000000000", "1e15", "0.0000000001", "1e-10", "123456789012345.1234567891",
    "1e999999999", "1e-999999999", "9" * 5000, True, [], {}, ["1"],
    Number("1000000000000000"), Number("1e15"), Number("1e-10"), Number("1e999999999999999999999"),
    Number("1E-99999999999999999999"), Number("0.1234567891"),
)
BAD_NEGATIVES = ("-1", "-0.000000001", Number("-1e-9"), Number("-999999999999999"))
WRONG_TYPES = (Number("5"), True, {"a": "b"}, ["x"])
BAD_VERSIONS = ("0.3", "1", "", Number("1.0"), None)
ATTRIBUTES = ("id", "source", "type", "subject", "time")


def broken(rng, event, meter):
    """A valid event that some charge takes by this meter, with one fault or two."""
    faults = [_not_a_cloud_event, _missing_attribute, _bad_time]
    if meter.has_value and not meter.is_unique:
        faults += [_missing_value, _bad_quantity, _bad_quantity]
    fault = rng.choice(faults)
    event = fault(rng, event, meter)
    if isinstance(event, dict) and chance(rng, 20):
        # Without a valid time no charge is known to miss its value, so those two never meet.
        second = [_not_a_cloud_event, _missing_attribute]
        second += [_bad_time] if fault is not _missing_value else []
        return rng.choice(second)(rng, event, meter)
    return event


def malformed(rng, text):
    """Bytes that are no JSON in the contract's sense; `text` is a good record."""
    inner = text[:-1]
    deep = NESTING_MAX - 1
    variants = (
        inner.encode(),
        f"{inner},}}".encode(),
        f'{inner},"id":"again"}}'.encode(),
        f'{inner},"\\u0069d":"again"}}'.encode(),
        f'{inner},"x":{{"a":1,"b":2,"a":1}}}}'.encode(),
        f'{inner},"x":01}}'.encode(),
        f'{inner},"x":NaN}}'.encode(),
        f'{inner},"x":-Infinity}}'.encode(),
        f'{inner},"x":1.}}'.encode(),
        f'{inner},"x":"\\ud800"}}'.encode(),
        f'{inner},"x":"\\x"}}'.encode(),
        f'{inner},"x":"a\tb"}}'.encode(),
        f"{text} {text}".encode(),
        text.replace('"', "'").encode(),
        text.encode().replace(b'"1.0"', b'"1.0\xff"'),
        text.encode().replace(b'"1.0"', b'"1.0\xed\xa0\x80"'),
        f'{inner},"x":{"[" * (deep + 1)}{"]" * (deep + 1)}}}'.encode(),
        f'{inner},"x":{"[" * 100000}{"]" * 100000}}}'.encode(),
        b"garbage",
    )
    return rng.choice(variants)


def nested_to_the_limit(_rng, text):
    """A good record that is nested exactly as deep as is allowed."""
    deep = NESTING_MAX - 1
    return f'{text[:-1]},"x":{"[" * deep}{"]" * deep}}}'.encode()


def _not_a_cloud_event(rng, event, _meter):
    if chance(rng, 20):
        return rng.choice(([], "text", Number("17"), None, [event]))
    if chance(rng, 40):
        changed = {**event, "specversion": rng.choice(BAD_VERSIONS)}
        if changed["specversion"] is None:
            del changed["specversion"]
        return changed
    return {**event, rng.choice(ATTRIBUTES): rng.choice(WRONG_TYPES)}


def _missing_attribute(rng, event, _meter):
    name = rng.choice(ATTRIBUTES)
    if chance(rng, 30):
        return {**event, name: None}
    return {key: item for key, item in event.items() if key != name}


def _bad_time(rng, event, _meter):
    return {**event, "time": rng.choice(BAD_TIMES)}


def _missing_value(rng, event, meter):
    if chance(rng, 30):
        return {key: item for key, item in event.items() if key != "data"}
    return {**event, "data": _with(event["data"], meter.value, None)}


def _bad_quantity(rng, event, meter):
    quantities = BAD_QUANTITIES + (BAD_NEGATIVES if meter.rejects_negative else ())
    return {**event, "data": _with(event["data"], meter.value, rng.choice(quantities))}


def _with(data, path, value):
    """A copy of `data` with another value at a path, or without one."""
    name, *rest = path
    kept = {key: item for key, item in data.items() if key != name}
    if rest:
        return {**kept, name: _with(data[name], rest, value)}
    return kept if value is None else {**kept, name: value}
