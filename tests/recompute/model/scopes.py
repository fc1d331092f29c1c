"""Scopes: the stretches of time after which tiers and included units begin anew."""

from dataclasses import dataclass
from fractions import Fraction

from .periods import DAY, add_months, local_day, midnight

# Later than every instant there is: the end of what has none.
NEVER = 10**30


@dataclass(frozen=True)
class Scope:
    """A stretch `[start, end)`, and what part of a whole one it is."""

    start: int
    end: int
    share: Fraction = Fraction(1)


def scopes_within(subscription, kind, start, end):
    """The scopes that touch a stretch of a subscription's life, in order."""
    while start < end:
        scope = scope_at(subscription, kind, start)
        yield scope
        start = scope.end


def scope_at(subscription, kind, instant):
    """The scope that holds an instant, clipped to the subscription's life."""
    return _KINDS[kind](subscription, instant)


def share_of_period(subscription, start, end):
    """Active days by days from cycle day to cycle day; a period is named by its clipped bounds."""
    zone = subscription.cycle.zone
    return Fraction(_days(start, end, zone), _days(*subscription.cycle.period(start), zone))


def _days(start, end, zone):
    """How many days lie between two instants that begin one."""
    return (local_day(end, zone) - local_day(start, zone)).days


def _billing_period(subscription, instant):
    start, end = subscription.period(instant)
    return Scope(start, end, share_of_period(subscription, start, end))


def _day(subscription, instant):
    zone = subscription.cycle.zone
    day = local_day(instant, zone)
    return _clipped(subscription, midnight(day, zone), midnight(day + DAY, zone))


def _calendar_month(subscription, instant):
    """Only here and in a billing period do included units scale with the days."""
    zone = subscription.cycle.zone
    first = local_day(instant, zone).replace(day=1)
    after = add_months(first, 1)
    scope = _clipped(subscription, midnight(first, zone), midnight(after, zone))
    days = _days(scope.start, scope.end, zone)
    return Scope(scope.start, scope.end, Fraction(days, (after - first).days))


def _year(subscription, instant):
    """Anniversaries of the start; 29 February's is the last of February."""
    zone = subscription.cycle.zone
    first = local_day(subscription.start, zone)
    years = local_day(instant, zone).year - first.year
    while midnight(add_months(first, 12 * years), zone) > instant:
        years -= 1
    bounds = (midnight(add_months(first, 12 * each), zone) for each in (years, years + 1))
    return _clipped(subscription, *bounds)


def _term(subscription, _instant):
    return _clipped(subscription, subscription.start, NEVER)


def _clipped(subscription, start, end):
    end = end if subscription.end is None else min(end, subscription.end)
    return Scope(max(start, subscription.start), end)


_KINDS = {
    "billing_period": _billing_period,
    "day": _day,
    "calendar_month": _calendar_month,
    "year": _year,
    "term": _term,
}
