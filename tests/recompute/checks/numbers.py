"""Decimals, JSON, instants and billing cycles."""

from datetime import date
from fractions import Fraction

from model import exact, strictjson
from model.periods import Cycle, add_months, instant_text, midnight, parse_instant


def check_quantities():
    """JSON number grammar, and the domain counted without trailing zeros."""
    rows = {
        "12.5": "12.5", "-0": "0", "0e99": "0", "1E+2": "100", "1.50e1": "15",
        "999999999999999.999999999": "999999999999999.999999999", "1000000000000000": None,
        "1.1000000000": "1.1", "0.0000000001": None, "10000000000000000e-1": None,
        "100000000000000000e-5": "1000000000000", "1e999999999": None, "1e-999999999": None,
        "+1": None, ".5": None, "1.": None, "01": None, "": None, " 1": None, "１": None,
        "NaN": None, "1_0": None, "0x1": None, "9" * 5000: None,
    }
    for text, expected in rows.items():
        value = exact.parse(text, exact.QUANTITY)
        yield text[:30], value if value is None else exact.plain(value), expected


def check_rounding():
    """Half away from zero, to the currency's exponent."""
    rows = [("2.345", "USD", "2.35"), ("-2.345", "USD", "-2.35"), ("2.344999", "USD", "2.34"),
            ("0.5", "JPY", "1"), ("-0.4", "JPY", "0"), ("0.0005", "KWD", "0.001"),
            ("7", "EUR", "7.00")]
    for text, currency, expected in rows:
        money = exact.to_money(Fraction(text), currency)
        yield text, exact.money_text(money, currency), expected


def check_malformed():
    """What is no JSON here."""
    deep = '{"a":' + "[" * 63 + "]" * 63 + "}"
    good = ['{"a":1e5}', "[]", '"\\ud83d\\ude00"', deep]
    bad = ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"a":01}', "NaN", "{} {}", '{"a":1,}', "'a'",
           '"\\ud800"', '"a\tb"', deep.replace("[", "[[", 1).replace("]", "]]", 1), "",
           "[" * 100000]
    for text, expected in [(text, True) for text in good] + [(text, False) for text in bad]:
        yield text[:30], _is_json(text.encode()), expected
    yield "invalid UTF-8", _is_json(b'"\xff"'), False
    yield "surrogate in UTF-8", _is_json(b'"\xed\xa0\x80"'), False


def _is_json(data):
    try:
        strictjson.loads(data)
    except strictjson.Malformed:
        return False
    return True


def check_meaning():
    """Key order, spacing and spelling do not matter, types do."""
    rows = [('{"a":1,"b":[2.50]}', '{ "b" : [25e-1], "\\u0061":1.0}', True),
            ('{"a":1}', '{"a":"1"}', False), ('{"a":1}', '{"a":true}', False),
            ('{"a":[1,2]}', '{"a":[2,1]}', False), ('{"a":0}', '{"a":-0.0e5}', True)]
    for one, other, expected in rows:
        yield f"{one} {other}", _meaning(one) == _meaning(other), expected


def _meaning(text):
    return strictjson.meaning(strictjson.loads(text.encode()))


def check_instants():
    """RFC 3339, exact to the nanosecond."""
    rows = {
        "1970-01-01T00:00:01Z": 10**9,
        "1969-12-31T23:59:59.999999999Z": -1,
        "2026-01-14T10:30:00.5+01:00": 1768383000500000000,
        "2026-01-14T09:30:00.5Z": 1768383000500000000,
        "2024-02-29T00:00:00-00:30": 1709166600000000000,
        "2025-02-29T00:00:00Z": None, "2026-01-14T24:00:00Z": None, "2026-01-14": None,
        "2026-01-14T09:30:00": None, "2026-01-14T09:30:00.1234567890Z": None,
    }
    for text, expected in rows.items():
        yield text, parse_instant(text), expected
    yield "text", instant_text(1768383000500000000), "2026-01-14T09:30:00.5Z"


def check_midnights():
    """Local midnight across clock changes, also where the change is at midnight itself."""
    rows = [
        (date(2026, 3, 29), "Europe/Berlin", "2026-03-28T23:00:00Z"),
        (date(2026, 3, 30), "Europe/Berlin", "2026-03-29T22:00:00Z"),
        (date(2026, 4, 6), "Australia/Lord_Howe", "2026-04-05T13:30:00Z"),
        (date(2026, 1, 1), "Asia/Kathmandu", "2025-12-31T18:15:00Z"),
        # Havana skips 00:00 to 01:00 on 8 March and repeats it on 1 November 2026.
        (date(2026, 3, 8), "America/Havana", "2026-03-08T05:00:00Z"),
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00:00Z"),
    ]
    for day, zone, expected in rows:
        yield f"{day} {zone}", instant_text(midnight(day, zone)), expected


def check_cycles():
    """The billing period that holds a day."""
    rows = [
        (1, 31, 1, "2026-02-10", "2026-01-31", "2026-02-28"),
        (1, 31, 1, "2026-02-28", "2026-02-28", "2026-03-31"),
        (1, 31, 1, "2024-02-29", "2024-02-29", "2024-03-31"),
        (1, 29, 1, "2026-03-28", "2026-02-28", "2026-03-29"),
        (1, 18, 5, "2023-05-18", "2023-05-18", "2023-06-18"),
        (3, 1, 1, "2022-03-01", "2022-01-01", "2022-04-01"),
        (3, 31, 2, "2026-01-01", "2025-11-30", "2026-02-28"),
        (6, 15, 9, "2026-03-14", "2025-09-15", "2026-03-15"),
        (12, 29, 2, "2025-02-27", "2024-02-29", "2025-02-28"),
        (12, 1, 4, "2026-04-01", "2026-04-01", "2027-04-01"),
    ]
    for months, day, month, within, *expected in rows:
        first, after = Cycle("UTC", months, day, month).days(date.fromisoformat(within))
        yield f"{months} {day} {month} {within}", [f"{first}", f"{after}"], expected
    yield "clamped", add_months(date(2026, 1, 31), 1), date(2026, 2, 28)
