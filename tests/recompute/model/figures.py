"""What the records of one charge come to in one billing period: the sum over its scopes and parts.

Everything follows from the set of the records alone, whatever order they came in.
"""

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
                    self._add_levels(found, scope, piece, cell, group)
                else:
                    self._add_cell(found, scope, piece, cell, group, meter.aggregation)
        return found

    def _due_without_usage(self, start, end, last):
        """P(0) of every scope that begins in a period; it does not depend on any record."""
        if (start, end) not in self._at_zero:
            if last.is_flat:
                amount = last.flat_amount(share_of_period(self._subscription, start, end))
            else:
                amount = sum(
                    (terms.price_at_zero() for terms in self._beginning(start, end, last.scope)),
                    ZERO,
                )
            self._at_zero[start, end] = amount
        return self._at_zero[start, end]

    def _beginning(self, start, end, kind):
        """The first metered terms of each scope in which the charge begins to be in force here."""
        for scope in scopes_within(self._subscription, kind, start, end):
            parts = self._metered_parts(scope.start, scope.end)
            if parts and start <= parts[0][0] < end:
                yield parts[0][2]

    def _metered_parts(self, start, end):
        parts = self._subscription.parts(self._charge, start, end)
        return [part for part in parts if not part[2].is_flat]

    def _add_cell(self, found, scope, piece, cell, entries, aggregation):
        """A position of any kind but levels: the step from cut to cut, part by part."""
        entries = [entry for entry in entries if scope.start <= entry.time < piece[1]]

        def position(cut):
            return aggregation.of([entry for entry in entries if entry.time < cut])

        if not any(entry.time >= piece[0] for entry in entries):
            return
        found.quantity += position(piece[1]) - position(piece[0])
        for start, end, terms in self._subscription.parts(self._charge, *piece):
            if isinstance(terms.cells.get(cell), Percentage):
                self._add_percentage(found, cell, entries, start, end)
            else:
                found.move(terms, cell, scope.share, position(start), position(end))

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

    def _add_levels(self, found, scope, piece, cell, entries):
        """A position of levels: what the period begins with is no record of its own."""
        base = ZERO
        for start, end in self._pieces_before(scope, piece):
            base += self._weighted((start, end), entries, end)

        def position(cut):
            return base + self._weighted(piece, entries, cut)

        found.quantity += position(piece[1]) - base
        parts = self._subscription.parts(self._charge, *piece)
        if parts:
            found.begin(parts[0][2], cell, scope.share, base, position(piece[0]))
        for start, end, terms in parts:
            found.move(terms, cell, scope.share, position(start), position(end))

    def _weighted(self, piece, entries, cut):
        """Levels times their time in a piece of a period, by the length of the period."""
        start, end = self._subscription.period(piece[0])
        area = sum(
            (entry.quantity * (piece[1] - max(entry.time, piece[0]))
             for entry in entries if entry.time < max(cut, piece[0])),
            ZERO,
        )
        return quotient(area, end - start)

    def _pieces_before(self, scope, piece):
        """The earlier periods of a scope, as far as they lie in it."""
        start = scope.start
        while start < piece[0]:
            end = min(self._subscription.period(start)[1], scope.end)
            yield start, end
            start = end
