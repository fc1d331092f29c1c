"""What the records of one charge come to in one billing period: the sum over its scopes and parts.

Everything follows from the set of the records alone, whatever order they came in.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from .aggregation import quotient
from .pricing import Percentage
from .scopes import scopes_within, share_of_period

ZERO = Fraction(0)


@dataclass
class Figures:
    """A total's quantities and amounts before discount and bounds."""

    quantity: Fraction = ZERO
    billable_quantity: Fraction = ZERO
    usage_amount: Fraction = ZERO
    amount_at_zero: Fraction = ZERO

    def move(self, terms, cell, share, before, after):
        """A position moved under some terms: the billable quantity and the amount follow."""
        self.billable_quantity += terms.billable(after, share) - terms.billable(before, share)
        self.usage_amount += _step(terms, cell, share, before, after)

    def begin(self, terms, cell, share, before, after):
        """The same for what is there without any record of the period's own."""
        self.billable_quantity += terms.billable(after, share) - terms.billable(before, share)
        amount = _step(terms, cell, share, before, after)
        self.usage_amount += amount
        self.amount_at_zero += amount


def _step(terms, cell, share, before, after):
    """What moving a position costs; a flat charge costs the same wherever it is."""
    if terms.is_flat:
        return ZERO
    return terms.price(after, cell, share) - terms.price(before, cell, share)


class Reckoning:
    """One charge of one subscription: works out any of its periods."""

    def __init__(self, subscription, charge, meters):
        self._subscription = subscription
        self._charge = charge
        self._meters = meters
        self._at_zero = {}

    def figures(self, start, end, entries):
        """The figures of the period `[start, end)`; `entries` are all of the charge, in order."""
        last = self._subscription.terms_within(self._charge, start, end)[-1][1]
        due = self._due_without_usage(start, end, last)
        found = Figures(usage_amount=due, amount_at_zero=due)
        by_cell = defaultdict(list)
        for entry in entries:
            by_cell[entry.cell].append(entry)
        meter = self._meters.get(last.meter)
        for scope in scopes_within(self._subscription, last.scope, start, end):
            piece = max(scope.start, start), min(scope.end, end)
            for cell, group in by_cell.items():
                if meter.is_time_weighted:
                    self._add_levels(found, scope.share, piece, cell, group)
                    continue
                within = group[_index(group, scope.start) : _index(group, piece[1])]
                if within and within[-1].time >= piece[0]:
                    self._add_cell(found, scope.share, piece, cell, within, meter.aggregation)
        return found

    def _due_without_usage(self, start, end, last):
        """P(0) of every scope that begins in a period; it does not depend on any record."""
        if (start, end) not in self._at_zero:
            if last.is_flat:
                amount = last.flat_amount(share_of_period(self._subscription, start, end))
            else:
                amount = sum(
                    (terms.price(ZERO, cell)
                     for terms, cell in self._beginning(start, end, last.scope)),
                    ZERO,
                )
            self._at_zero[start, end] = amount
        return self._at_zero[start, end]

    def _beginning(self, start, end, kind):
        """(terms, cell) of all that begins to be in force here: in each scope the first terms."""
        for scope in scopes_within(self._subscription, kind, start, end):
            seen = set()
            for since, _, terms in self._subscription.parts(self._charge, scope.start, scope.end):
                new = set() if terms.is_flat else terms.cells.keys() - seen
                seen |= new
                if start <= since < end:
                    yield from ((terms, cell) for cell in new)

    def _add_cell(self, found, share, piece, cell, entries, aggregation):
        """A position of any kind but levels: the step from cut to cut, part by part."""

        def position(cut):
            return aggregation.of(entries[: _index(entries, cut)])

        found.quantity += position(piece[1]) - position(piece[0])
        for start, end, terms in self._subscription.parts(self._charge, *piece):
            if isinstance(terms.cells.get(cell), Percentage):
                self._add_percentage(found, cell, entries, start, end)
            else:
                found.move(terms, cell, share, position(start), position(end))

    def _add_percentage(self, found, cell, entries, start, end):
        """Every record of a part pays by itself; what is free counts from the scope's start."""
        used = paid_for = paid_before = ZERO
        for number, entry in enumerate(entry for entry in entries if entry.time < end):
            terms = self._subscription.charges_at(entry.time)[self._charge]
            price = terms.cells.get(cell)
            amount, billable = ZERO, entry.quantity
            if isinstance(price, Percentage):
                amount, billable = price.pay(entry.quantity, number, used)
            used += max(entry.quantity, ZERO)
            paid_for += billable
            if entry.time < start:
                paid_before = paid_for
            else:
                found.usage_amount += amount
        found.billable_quantity += max(ZERO, paid_for) - max(ZERO, paid_before)

    def _add_levels(self, found, share, period, cell, entries):
        """A position of levels: what the period begins with is no record of its own."""

        def position(cut):
            return _weighted(period, entries, cut)

        found.quantity += position(period[1])
        parts = self._subscription.parts(self._charge, *period)
        if parts:
            found.begin(parts[0][2], cell, share, ZERO, position(period[0]))
        for start, end, terms in parts:
            found.move(terms, cell, share, position(start), position(end))


def _index(entries, time):
    """How many of the entries come before a time; they are in order."""
    return bisect_left(entries, time, key=lambda entry: entry.time)


def _weighted(period, entries, cut):
    """The levels so far times what they have of a period, by its length."""
    start, end = period
    area = sum(
        (entry.quantity * (end - max(entry.time, start))
         for entry in entries if entry.time < max(cut, start)),
        ZERO,
    )
    return quotient(area, end - start)
