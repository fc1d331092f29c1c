"""Rating: admitted records become rated lines and totals.

A total keeps its quantity per segment of the plan's history, so its amount follows from the set of
its records alone; a rated line is the step that its record made when it came.
"""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from .admission import Admission, Duplicate, Record, Rejected
from .exact import plain, to_money
from .periods import instant_text


@dataclass
class Total:
    """What one subscription used of one charge in one period."""

    subscription: object
    charge: str
    start: int
    end: int
    currency: str
    records: int = 0
    first_used_at: int | None = None
    last_used_at: int | None = None
    lineage: int = 0
    parts: dict = field(default_factory=dict)
    usage_amount: Fraction = field(init=False)

    def __post_init__(self):
        self.usage_amount = self.amount_at_zero

    @property
    def quantity(self):
        """All units, billable or not."""
        return sum(self.parts.values(), Fraction(0))

    @property
    def billable_quantity(self):
        """The overage: what each part moved the billable position by."""
        return self._over_parts(lambda terms, position: terms.billable(position))

    @cached_property
    def amount_at_zero(self):
        """P(0): due without any usage. What is flat comes from the terms at the end."""
        if self.terms_at_end.is_flat:
            return self.terms_at_end.price(Fraction(0))
        metered = (terms for _, terms in self._terms if not terms.is_flat)
        return next(metered).price(Fraction(0))

    @property
    def amount(self):
        """The usage amount within the maximum, then the minimum."""
        amount, terms = self.usage_amount, self.terms_at_end
        if terms.maximum is not None:
            amount = min(amount, terms.maximum)
        if terms.minimum is not None:
            amount = max(amount, terms.minimum)
        return amount

    @property
    def terms_at_end(self):
        """The terms last in force within the period."""
        return self._terms[-1][1]

    def add(self, record, quantity):
        """Counts one record: P(0) and the sum over the parts, each under its own terms."""
        segment = self.subscription.segment_index(record.time)
        self.parts[segment] = self.parts.get(segment, Fraction(0)) + quantity
        if self.records == 0:
            self.first_used_at = self.last_used_at = record.time
        self.records += 1
        self.first_used_at = min(self.first_used_at, record.time)
        self.last_used_at = max(self.last_used_at, record.time)
        self.lineage += lineage_hash(record.source, record.id, self.charge, quantity)
        steps = self._over_parts(lambda terms, position: terms.price(position))
        self.usage_amount = self.amount_at_zero + steps

    @cached_property
    def _terms(self):
        return self.subscription.terms_within(self.charge, self.start, self.end)

    def _over_parts(self, measure):
        """Sum of the steps that a measure of the position takes, part by part in order of time."""
        position, result = Fraction(0), Fraction(0)
        for segment, terms in self._terms:
            if segment in self.parts:
                after = position + self.parts[segment]
                result += measure(terms, after) - measure(terms, position)
                position = after
        return result


class Rater:
    """Rates usage line by line against one catalog."""

    def __init__(self, catalog):
        self.totals = {}
        self.rated = []
        self.rejected = []
        self.duplicates = 0
        self.unpriced = 0
        self._catalog = catalog
        self._admission = Admission(catalog)

    def read(self, usage):
        """Rates the bytes of an NDJSON file; blank lines are skipped but numbered."""
        for number, line in enumerate(usage.split(b"\n"), start=1):
            if not line.strip(b" \t\r"):
                continue
            match self._admission.judge(line):
                case Rejected(code):
                    self.rejected.append({"line": number, "code": code})
                case Duplicate():
                    self.duplicates += 1
                case Record() as record:
                    self.unpriced += not record.uses
                    for use in record.uses:
                        self._rate(record, use)

    def total(self, subscription, charge, period):
        """The total of a charge in a period, a new one if nothing has been used yet."""
        key = (subscription.id, charge, period[0])
        if key not in self.totals:
            currency = self._catalog.currency(subscription)
            self.totals[key] = Total(subscription, charge, *period, currency)
        return self.totals[key]

    def close(self, instant):
        """A total for every charge active in a period that ended by then, used or not."""
        for subscription in self._catalog.subscriptions.values():
            self.close_subscription(subscription, instant)

    def close_subscription(self, subscription, instant):
        """The closed totals of one subscription."""
        return [
            self.total(subscription, charge, period)
            for period in subscription.periods_ended_by(instant)
            for charge in subscription.charges_within(*period)
        ]

    def _rate(self, record, use):
        subscription, charge = use.subscription, use.charge
        total = self.total(subscription, charge, subscription.period(record.time))
        quantity_before, amount_before = total.quantity, total.usage_amount
        total.add(record, use.quantity)
        terms = subscription.charges_at(record.time)[charge]
        self.rated.append({
            "id": record.id,
            "source": f"{record.source}#{charge}",
            "type": "usage.rated",
            "subject": subscription.id,
            "time": instant_text(record.time),
            "data": {
                "customer": record.customer,
                "charge": charge,
                "plan": subscription.plan,
                "plan_version": terms.version,
                "period_start": instant_text(total.start),
                "quantity": plain(use.quantity),
                "total_before": plain(quantity_before),
                "amount": plain(total.usage_amount - amount_before),
                "currency": total.currency,
            },
        })


def total_row(total, close_at):
    """A total as the program writes it."""
    is_closed = close_at is not None and total.end <= close_at
    return {
        "customer": total.subscription.customer,
        "subscription": total.subscription.id,
        "charge": total.charge,
        "meter": total.terms_at_end.meter,
        "period_start": instant_text(total.start),
        "period_end": instant_text(total.end),
        "quantity": plain(total.quantity),
        "billable_quantity": plain(total.billable_quantity),
        "usage_amount": plain(total.usage_amount),
        "amount": plain(total.amount),
        "rounded_amount": plain(to_money(total.amount, total.currency)),
        "currency": total.currency,
        "records": total.records,
        "first_used_at": _instant_or_none(total.first_used_at),
        "last_used_at": _instant_or_none(total.last_used_at),
        "status": "closed" if is_closed else "open",
        "lineage": {"records": total.records, "digest": f"{total.lineage % 2**256:064x}"},
    }


def lineage_hash(source, record_id, charge, quantity):
    """SHA-256 over netstrings, as a number: added up it proves which records made a total."""
    fields = (text.encode() for text in (source, record_id, charge, plain(quantity)))
    data = b"".join(b"%d:%s," % (len(each), each) for each in fields)
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


def _instant_or_none(instant):
    return None if instant is None else instant_text(instant)
