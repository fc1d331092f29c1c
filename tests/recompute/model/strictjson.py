"""JSON read strictly and exactly: numbers keep their source text, meaning is comparable.

Stricter than the standard decoder: no duplicate keys, no NaN, no lone surrogates, no deep nesting.
"""

import json
from dataclasses import dataclass

from . import exact

NESTING_MAX = 64


class Malformed(ValueError):
    """The bytes are not JSON as the contract has it."""


@dataclass(frozen=True)
class Number:
    """A JSON number, as it was written."""

    text: str


def loads(data):
    """Decodes bytes; raises `Malformed`."""
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    _inspect(value, 0)
    return value


def decimal(value, domain):
    """The exact value of a JSON number or of a string spelled like one, else None."""
    if isinstance(value, Number):
        return exact.parse(value.text, domain)
    if isinstance(value, str):
        return exact.parse(value, domain)
    return None


def meaning(value):
    """A hashable form, equal exactly when two JSON values mean the same.

    Key order, spacing, escapes and the spelling of numbers do not matter; a string and a number
    never mean the same.
    """
    if isinstance(value, dict):
        return "object", frozenset((key, meaning(item)) for key, item in value.items())
    if isinstance(value, list):
        return "array", tuple(meaning(item) for item in value)
    if isinstance(value, Number):
        return "number", exact.normal(value.text)
    return type(value).__name__, value


def _unique(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("duplicate key")
    return value


def _refuse(constant):
    raise Malformed(f"{constant} is not JSON")


def _inspect(value, depth):
    """Bounds nesting and finds strings that no UTF-8 can carry."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Malformed("lone surrogate") from error
    elif isinstance(value, (dict, list)):
        if depth == NESTING_MAX:
            raise Malformed("nested too deeply")
        items = [*value, *value.values()] if isinstance(value, dict) else value
        for item in items:
            _inspect(item, depth + 1)


_DECODER = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_refuse, object_pairs_hook=_unique
)
