"""What the records of one charge come to in one billing period: the sum over its scopes and parts.

Everything follows from the set of the records alone, whatever order they came in.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from .aggregation import quotient
from .pricing import Percentage
from .scopes import NEVER, scopes_within, share_of_period

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
        meter = self._meter()
        for scope in scopes_within(self._subscription, last.scope, start, end):
            piece = max(scope.start, start), min(scope.end, end)
            if meter is not None and meter.is_time_weighted:
                self._add_levels(found, scope.share, piece, None, entries)
                continue
            within = entries[_index(entries, scope.start) : _index(entries, piece[1])]
            if within and within[-1].time >= piece[0]:
                self._add_scope(found, scope.share, piece, within, meter.aggregation)
        return found

    def _meter(self):
        """That of the charge, which never changes; None where it never has one."""
        parts = self._subscription.parts(self._charge, self._subscription.start, NEVER)
        return next((self._meters[terms.meter] for _, _, terms in parts if terms.meter), None)

    def _due_without_usage(self, start, end, last):
        """P(0) of every scope that begins in a period; it does not depend on any record."""
        if (start, end) not in self._at_zero:
            if last.is_flat:
                amount = last.flat_amount(share_of_period(self._subscription, start, end))
            else:
                share = share_of_period(self._subscription, start, end)
                flat = (last.flat_amount(share, cell) for cell in last.flat_cells)
                metered = (
                    terms.price(ZERO, cell)
                    for terms in self._beginning(start, end, last.scope)
                    for cell in terms.cells.keys() - terms.flat_cells
                )
                amount = sum(flat, ZERO) + sum(metered, ZERO)
            self._at_zero[start, end] = amount
        return self._at_zero[start, end]

    def _beginning(self, start, end, kind):
        """The first metered terms of each scope, where they begin to be in force here."""
        for scope in scopes_within(self._subscription, kind, start, end):
            parts = self._subscription.parts(self._charge, scope.start, scope.end)
            metered = ((since, terms) for since, _, terms in parts if not terms.is_flat)
            for since, terms in islice(metered, 1):
                if start <= since < end:
                    yield terms

    def _add_scope(self, found, share, piece, entries, aggregation):
        """Positions of any kind but levels: the step from cut to cut, part by part.

        Each part sorts all that was used in the scope so far into its own cells.
        """
        for start, end, terms in self._subscription.parts(self._charge, *piece):
            by_cell = defaultdict(list)
            for entry in entries[: _index(entries, end)]:
                by_cell[terms.cell_of(entry.dimensions)].append(entry)
            for cell, group in by_cell.items():
                before = aggregation.of(group[: _index(group, start)])
                after = aggregation.of(group)
                found.quantity += after - before
                if isinstance(terms.cells.get(cell), Percentage):
                    self._add_percentage(found, cell, group, start, end)
                else:
                    found.move(terms, cell, share, before, after)

    def _add_percentage(self, found, cell, entries, start, end):
        """Every record of a part pays by itself; what is free counts from the scope's start."""
        own = self._subscription.charges_at(start)[self._charge].grid
        used = paid_for = paid_before = ZERO
        for number, entry in enumerate(entry for entry in entries if entry.time < end):
            terms = self._subscription.charges_at(entry.time)[self._charge]
            price = terms.cells.get(cell) if terms.grid == own else None
            amount, billable = ZERO, ZERO
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
