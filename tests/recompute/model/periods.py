"""Instants, days and billing cycles.

An instant is a whole number of nanoseconds since 1970 (UTC), a day a `date` in the customer's zone,
a period half-open. A billing cycle cuts time at local midnight of its cycle days.
"""

import re
from bisect import bisect_right
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

SECOND = 10**9
DAY = timedelta(days=1)
MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([-+])([0-9]{2}):([0-9]{2}))"
)


def parse_instant(text):
    """Nanoseconds since the epoch of an RFC 3339 text, or None."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, hour, minute, second, fraction, sign, east_hour, east_minute = match.groups()
    hour, minute, second = int(hour), int(minute), int(second)
    east = (int(east_hour or 0), int(east_minute or 0))
    if hour > 23 or minute > 59 or second > 60 or east[0] > 23 or east[1] > 59:
        return None
    try:
        days = (date.fromisoformat(day) - _EPOCH.date()).days
    except ValueError:
        return None
    offset = (east[0] * 3600 + east[1] * 60) * (-1 if sign == "-" else 1)
    seconds = days * 86400 + hour * 3600 + minute * 60 + min(second, 59) - offset
    # A leap second, the last of a day in UTC, counts as the one before it.
    if second == 60 and seconds % 86400 != 86399:
        return None
    return seconds * SECOND + int((fraction or "").ljust(9, "0"))


def instant_text(instant):
    """RFC 3339 in UTC, sub-seconds only where there are any."""
    seconds, nanos = divmod(instant, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{nanos:09}".rstrip("0") if nanos else "") + "Z"


def midnight(day, zone):
    """The first instant of a local day; where a clock change skips midnight, the change itself."""
    offset = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).utcoffset()
    return ((day - _EPOCH.date()) - offset) // timedelta(seconds=1) * SECOND


def local_day(instant, zone):
    """The local day that holds an instant."""
    return (_EPOCH + timedelta(seconds=instant // SECOND)).astimezone(ZoneInfo(zone)).date()


def clamped(year_month, day):
    """That day of the month `year * 12 + month - 1`, or the month's last."""
    year, month = divmod(year_month, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))


def add_months(day, months):
    """The same day of a later month, or that month's last."""
    return clamped(day.year * 12 + day.month - 1 + months, day.day)


@dataclass(frozen=True)
class Cycle:
    """When a customer's billing periods begin: every `months` months, on `day`, from `month` on."""

    zone: str
    months: int = 1
    day: int = 1
    month: int = 1

    def days(self, day):
        """(first day, first day of the next) of the billing period that holds a day."""
        return _grid(self.months, self.day, self.month, day)

    def month_days(self, day):
        """The same for the single month, cycle day to cycle day."""
        return _grid(1, self.day, 1, day)

    def period(self, instant):
        """The whole billing period, in instants, that holds an instant."""
        first, after = self.days(local_day(instant, self.zone))
        return midnight(first, self.zone), midnight(after, self.zone)


@cache
def _grid(months, cycle_day, cycle_month, day):
    """The two neighbouring boundaries around a day."""
    now = day.year * 12 + day.month - 1
    aligned = now - (now - (cycle_month - 1)) % months
    boundaries = [clamped(aligned + step * months, cycle_day) for step in (-1, 0, 1, 2)]
    after = bisect_right(boundaries, day)
    return boundaries[after - 1], boundaries[after]
