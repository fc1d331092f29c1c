"""Drawing decimals, choices and JSON spellings from a seeded generator, never through a float."""

import json
from datetime import date, timedelta
from fractions import Fraction

from model.exact import plain
from model.strictjson import Number

LAST_PLACE = Fraction(1, 10**9)


def chance(rng, percent):
    """True that often in a hundred."""
    return rng.randrange(100) < percent


def decimal(rng, whole_digits, places):
    """A decimal >= 0 with up to that many digits before and after the point."""
    places = rng.randint(0, places)
    return Fraction(rng.randrange(10 ** (rng.randint(0, whole_digits) + places)), 10**places)


def day_in(rng, first, days):
    """One of so many days."""
    return first + timedelta(days=rng.randrange(days))


def month_starts(rng):
    """A first day of some month, with leap years and clock changes not far away."""
    return date(rng.choice((2023, 2024, 2025, 2026)), rng.randint(1, 12), 1)


def spelled(rng, value):
    """A decimal as a JSON number or string, in one of its many spellings."""
    text = respelled(rng, plain(value)) if chance(rng, 30) else plain(value)
    return Number(text) if chance(rng, 40) else text


def respelled(rng, text):
    """Another spelling of the same plain or exponent number."""
    if "e" in text.lower():
        return text.replace("e", "E") if "e" in text else text.replace("E", "e")
    match rng.randrange(4):
        case 0 if "." in text:
            return text + "0" * rng.randint(1, 3)
        case 0:
            return f"{text}.{'0' * rng.randint(1, 3)}"
        case 1:
            return f"{text}e{rng.choice(('', '+', '-'))}0"
        case 2:
            whole, _, fraction = text.partition(".")
            digits = (whole + fraction).lstrip("-").lstrip("0") or "0"
            sign = "-" if whole.startswith("-") else ""
            return f"{sign}{digits}E-{len(fraction)}"
    return text


def reworded(rng, value):
    """The same meaning in other words: numbers inside are spelled anew."""
    if isinstance(value, dict):
        return {key: reworded(rng, item) for key, item in value.items()}
    if isinstance(value, list):
        return [reworded(rng, item) for item in value]
    if isinstance(value, Number):
        return Number(respelled(rng, value.text))
    return value


def encoded(rng, value, is_noisy):
    """JSON text; noisy means any key order, spacing and escapes."""
    space = " " * rng.randrange(3) if is_noisy else ""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        pairs = list(value.items())
        if is_noisy:
            rng.shuffle(pairs)
        body = f",{space}".join(
            f"{_string(rng, key, is_noisy)}{space}:{space}{encoded(rng, item, is_noisy)}"
            for key, item in pairs
        )
        return f"{{{space}{body}{space}}}"
    if isinstance(value, list):
        return f"[{f',{space}'.join(encoded(rng, item, is_noisy) for item in value)}{space}]"
    if isinstance(value, str):
        return _string(rng, value, is_noisy)
    return json.dumps(value)


def _string(rng, text, is_noisy):
    if is_noisy and text and text.isascii() and chance(rng, 10):
        return json.dumps(text[:-1])[:-1] + f"\\u{ord(text[-1]):04x}\""
    return json.dumps(text, ensure_ascii=is_noisy and chance(rng, 50))
