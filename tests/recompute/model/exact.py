"""Exact decimals: JSON number grammar in, plain decimals out, one rounding rule.

A quantity or an amount is a `Fraction` from its source text to the last line of a document.
"""

import re
from fractions import Fraction

NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([-+]?)([0-9]+))?")
PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")

# Digits allowed before and after the point.
QUANTITY = (15, 9)
PRICE = (12, 12)

# ISO 4217 minor units; every currency not named here has two.
_EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX".split(), 0),
    **dict.fromkeys("UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

# No exponent that is worth telling apart has more digits than this.
_EXPONENT_DIGITS_MAX = 18


def normal(text):
    """(sign, significant digits, power of ten) of a JSON number, or None: equal when values are.

    Works on the text, so that `1e999999999` costs nothing.
    """
    match = NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent_sign, exponent = match.groups()
    fraction = fraction or ""
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "", "", 0
    exponent = (exponent or "0").lstrip("0") or "0"
    power = int(exponent) if len(exponent) <= _EXPONENT_DIGITS_MAX else 10**_EXPONENT_DIGITS_MAX
    if exponent_sign == "-":
        power = -power
    return sign, significant, power - len(fraction) + len(digits) - len(significant)


def parse(text, domain):
    """The value of a JSON number, or None if it is none or lies outside the domain."""
    form = normal(text)
    if form is None:
        return None
    sign, digits, power = form
    whole, fraction = domain
    if len(digits) + power > whole or -power > fraction:
        return None
    value = Fraction(int(digits or "0")) * Fraction(10) ** power
    return -value if sign else value


def plain(value):
    """Canonical decimal text: no exponent, no trailing zeros, `0` for zero."""
    denominator = Fraction(value).denominator
    places = 0
    while 10**places % denominator:
        places += 1
        if places > 100:
            raise ValueError(f"{value} is not a decimal")
    return fixed(value, places)


def fixed(value, places):
    """Decimal text with exactly that many places; the value must fit them."""
    scaled = Fraction(value) * 10**places
    if scaled.denominator != 1:
        raise ValueError(f"{value} does not fit {places} places")
    digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
    sign = "-" if scaled < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def rounded(value, places):
    """Half away from zero."""
    scaled = abs(Fraction(value)) * 10**places + Fraction(1, 2)
    size = Fraction(scaled.numerator // scaled.denominator, 10**places)
    return -size if value < 0 else size


def exponent_of(currency):
    """Decimal places of a currency's money."""
    return _EXPONENTS.get(currency, 2)


def to_money(value, currency):
    """The one rounding: an exact amount becomes money."""
    return rounded(value, exponent_of(currency))


def money_text(value, currency):
    """Money as documents write it, with the currency's exponent."""
    return fixed(value, exponent_of(currency))
