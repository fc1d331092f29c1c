"""Rating: admitted records become rated lines and totals.

A total's figures follow from the set of the records that stand; a rated line is the step that its
record or correction made when it came.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from .admission import Admission, Correction, Duplicate, Record, Rejected
from .aggregation import Entry
from .exact import plain, to_money
from .figures import Reckoning
from .periods import instant_text
from .places import Places
from .scopes import share_of_period


@dataclass(eq=False)
class Ledger:
    """Every record that stands in one charge of one subscription."""

    subscription: object
    charge: str
    reckoning: Reckoning
    _entries: dict = field(default_factory=dict)
    _ordered: list | None = None
    _figures: dict = field(default_factory=dict)

    def put(self, identity, entry):
        """Counts a record, or no longer counts it if `entry` is None."""
        if entry is None:
            del self._entries[identity]
        else:
            self._entries[identity] = entry
        self._ordered = None
        self._figures = {}

    @property
    def entries(self):
        """In their order."""
        if self._ordered is None:
            self._ordered = sorted(self._entries.values(), key=lambda entry: entry.order)
        return self._ordered

    def figures(self, start, end):
        """What the records come to in a period."""
        if start not in self._figures:
            self._figures[start] = self.reckoning.figures(start, end, self.entries)
        return self._figures[start]


@dataclass(eq=False)
class Total:
    """What one subscription used of one charge in one period."""

    ledger: Ledger
    start: int
    end: int
    currency: str
    revision: int = 0

    @property
    def subscription(self):
        """Whose usage it is."""
        return self.ledger.subscription

    @property
    def charge(self):
        """What for."""
        return self.ledger.charge

    @property
    def figures(self):
        """Quantities and amounts as they are now."""
        return self.ledger.figures(self.start, self.end)

    @property
    def entries(self):
        """The period's own records."""
        return [entry for entry in self.ledger.entries if self.start <= entry.time < self.end]

    @property
    def quantity(self):
        """All units, billable or not."""
        return self.figures.quantity

    @property
    def billable_quantity(self):
        """The overage: what each part moved the billable position by."""
        return self.figures.billable_quantity

    @property
    def rated_amount(self):
        """What the rated lines add up to."""
        return self.figures.usage_amount - self.figures.amount_at_zero

    @property
    def amount(self):
        """The usage amount after discount, maximum and minimum."""
        share = share_of_period(self.subscription, self.start, self.end)
        return self.terms_at_end.bounded(self.figures.usage_amount, share)

    @cached_property
    def terms_at_end(self):
        """The terms last in force within the period."""
        return self.subscription.terms_within(self.charge, self.start, self.end)[-1][1]

    @property
    def lineage(self):
        """The sum that proves which records made the total."""
        hashes = (
            lineage_hash(entry.source, entry.id, self.charge, entry.quantity)
            for entry in self.entries
        )
        return sum(hashes) % 2**256


class Rater:
    """Rates usage line by line against one catalog; without lines it is quicker."""

    def __init__(self, catalog, writes_lines=True):
        self.totals = {}
        self.rated = []
        self.rejected = []
        self.duplicates = 0
        self.unpriced = 0
        self.closed_until = None
        self._catalog = catalog
        self._writes_lines = writes_lines
        self._admission = Admission(catalog)
        self._places = Places(self._admission)
        self._standing = {}
        self._ledgers = {}
        self._run = 0
        self._lines = {}
        self._corrected = set()

    def read(self, usage):
        """Rates the bytes of a run's NDJSON file; blank lines are skipped but numbered."""
        self._run += 1
        for number, line in enumerate(usage.split(b"\n"), start=1):
            if line.strip(b" \t\r"):
                self.read_line(number, line)

    def read_line(self, number, line):
        """Rates the bytes of one record."""
        place = {"run": self._run, "line": number}
        match self._admission.judge(line):
            case Rejected(code):
                self.rejected.append({**place, "code": code})
            case Duplicate():
                self.duplicates += 1
            case Record() as record:
                self.unpriced += not record.uses
                self._places.add_record(record)
                self._settle(record)
            case Correction() as correction:
                self._lines[correction.identity] = place
                self._corrected |= {correction.identity, correction.target}
                self._places.add_correction(correction)
                self._settle(correction)

    def finish(self):
        """No more usage will come: corrections that lead to no record are refused."""
        for correction in self._places.dangling():
            self._reject(correction, "unknown_reference")

    @property
    def standing(self):
        """The records that count, all corrections done."""
        return [record for record in self._standing.values() if record is not None]

    @property
    def corrected(self):
        """(customer, source, id) of all corrections and of what they name."""
        return sorted(self._corrected)

    def total(self, subscription, charge, period):
        """The total of a charge in a period, a new one if nothing has been used yet."""
        key = (subscription.id, charge, period[0])
        if key not in self.totals:
            currency = self._catalog.currency(subscription)
            self.totals[key] = Total(self._ledger(subscription, charge), *period, currency)
        return self.totals[key]

    def close(self, instant):
        """A total for every charge active in a period that ended by then, used or not."""
        for subscription in self._catalog.subscriptions.values():
            self.close_subscription(subscription, instant)
        self.closed_until = max(instant, self.closed_until or instant)

    def close_subscription(self, subscription, instant):
        """The closed totals of one subscription."""
        return [
            self.total(subscription, charge, period)
            for period in subscription.periods_ended_by(instant)
            for charge in subscription.charges_within(*period)
        ]

    def is_closed(self, total):
        """Whether its period has been closed."""
        return self.closed_until is not None and total.end <= self.closed_until

    def _ledger(self, subscription, charge):
        key = subscription.id, charge
        if key not in self._ledgers:
            reckoning = Reckoning(subscription, charge, self._catalog.meters)
            self._ledgers[key] = Ledger(subscription, charge, reckoning)
        return self._ledgers[key]

    def _settle(self, cause):
        """Brings a place in line with what has come; closed totals with lines of it are revised."""
        for correction, code in self._places.settle():
            self._reject(correction, code)
        place = self._places.place_of(cause.identity)
        if place is None:
            return
        revised = set()
        for each, after in self._places.steps(place, cause):
            revised |= self._replace(each, place, after)
        for total in revised:
            total.revision += 1

    def _replace(self, cause, place, after):
        """Lets something else, or nothing, stand at a place; returns the closed totals it revises.

        Those are the totals that have a line of it, and those whose figures it changes without.
        """
        before = self._standing.get(place)
        self._standing[place] = after
        if _entries(before) == _entries(after):
            return set()
        moves = [
            (record, use, sign)
            for record, sign in ((before, -1), (after, 1)) if record is not None
            for use in record.uses
        ]
        ledgers = [self._ledger(use.subscription, use.charge) for _, use, _ in moves]
        figures = {
            total: total.figures for total in self.totals.values()
            if self.is_closed(total) and total.ledger in ledgers
        }
        written = set()
        for record, use, sign in moves:
            written |= self._move(cause, place, record, use, sign)
        return {total for total in figures if total in written or total.figures != figures[total]}

    def _reject(self, correction, code):
        self.rejected.append({**self._lines[correction.identity], "code": code})

    def _move(self, cause, place, record, use, sign):
        """Counts a record in a charge, or takes it back, and says what that did to every total.

        Returns the totals that have a line of it.
        """
        subscription, charge = use.subscription, use.charge
        own = self.total(subscription, charge, subscription.period(record.time))
        entry = _entry(record, use) if sign > 0 else None
        if not self._writes_lines:
            own.ledger.put(place, entry)
            return set()
        moved = [own] + [
            total for total in self.totals.values()
            if total.ledger is own.ledger and total.start > own.start
        ]
        quantity_before, amounts_before = own.quantity, [total.rated_amount for total in moved]
        own.ledger.put(place, entry)
        written = set()
        for total, before in zip(moved, amounts_before):
            amount = total.rated_amount - before
            if total is own:
                line = self._line(cause, record, use, total, amount)
                terms = subscription.charges_at(record.time)[charge]
                line["data"].update(
                    plan_version=terms.version,
                    quantity=plain(sign * use.quantity),
                    total_before=plain(quantity_before),
                )
                if use.cell is not None:
                    line["data"]["cell"] = use.cell
            elif amount != 0:
                line = self._line(cause, record, use, total, amount)
            else:
                continue
            self.rated.append(line)
            written.add(total)
        return written

    def _line(self, cause, record, use, total, amount):
        """A rated line; one of quantity 0 shifts a later total of the same charge."""
        data = {
            "customer": record.customer,
            "charge": use.charge,
            "plan": use.subscription.plan,
            "period_start": instant_text(total.start),
            "quantity": "0",
            "amount": plain(amount),
            "currency": total.currency,
        }
        if isinstance(cause, Correction):
            data["corrects"] = dict(zip(("source", "id"), cause.of))
        if self.is_closed(total):
            data["adjustment"] = True
        return {
            "id": cause.id,
            "source": f"{cause.source}#{use.charge}",
            "type": "usage.rated",
            "subject": use.subscription.id,
            "time": instant_text(record.time),
            "data": data,
        }


def _entries(record):
    """What a record, if there is one, is in each charge."""
    return [(use, _entry(record, use)) for use in record.uses] if record is not None else []


def _entry(record, use):
    return Entry(record.time, record.source, record.id, use.quantity, use.token, use.dimensions)


def total_row(total, is_closed):
    """A total as the program writes it."""
    times = [entry.time for entry in total.entries]
    return {
        "customer": total.subscription.customer,
        "subscription": total.subscription.id,
        "charge": total.charge,
        "meter": total.terms_at_end.meter,
        "period_start": instant_text(total.start),
        "period_end": instant_text(total.end),
        "quantity": plain(total.quantity),
        "billable_quantity": plain(total.billable_quantity),
        "usage_amount": plain(total.figures.usage_amount),
        "amount_at_zero": plain(total.figures.amount_at_zero),
        "amount": plain(total.amount),
        "rounded_amount": plain(to_money(total.amount, total.currency)),
        "currency": total.currency,
        "records": len(times),
        "first_used_at": _instant_or_none(min(times, default=None)),
        "last_used_at": _instant_or_none(max(times, default=None)),
        "status": "closed" if is_closed else "open",
        "revision": total.revision,
        "lineage": {"records": len(times), "digest": f"{total.lineage:064x}"},
    }


def lineage_hash(source, record_id, charge, quantity):
    """SHA-256 over netstrings, as a number: added up it proves which records made a total."""
    fields = (text.encode() for text in (source, record_id, charge, plain(quantity)))
    data = b"".join(b"%d:%s," % (len(each), each) for each in fields)
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


def _instant_or_none(instant):
    return None if instant is None else instant_text(instant)
