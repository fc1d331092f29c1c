"""Order products over time: which stretch is billed when, for how much, summing to what."""

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from .catalog import cycle_of
from .exact import PRICE, QUANTITY, to_money
from .periods import DAY, MONTHS, add_months
from .strictjson import decimal


@dataclass(frozen=True)
class OrderProduct:
    """One line of an activated order, with the settings that are in force for it."""

    id: str
    reference: str
    product: dict
    customer: str
    activated_on: date
    quantity: Fraction
    units: Fraction
    unit_price: Fraction | None
    price_period: str
    start: date
    end: date | None
    total: Fraction | None
    plan: str | None
    settings: dict

    @property
    def currency(self):
        """What it is billed in."""
        return self.settings["currency"]

    @property
    def cycle(self):
        """Its billing periods."""
        return cycle_of(self.settings)

    @property
    def is_in_advance(self):
        """Whether a portion is billed at its start; only usage is in arrears by default."""
        default = "in_arrears" if self.is_usage else "in_advance"
        return self.settings.get("billing_timing", default) == "in_advance"

    @property
    def is_usage(self):
        """Whether there is nothing to bill but usage."""
        return self.product["revenue_model"] == "overage_usage"


@dataclass(frozen=True)
class Portion:
    """What of an order product is billed at once: days (inclusive), billing date, share, money."""

    start: date
    end: date | None
    billed_on: date
    share: Fraction
    is_last: bool
    amount: Fraction = Fraction(0)


def read_order_product(entry, order, product, settings):
    """An order product of an orders document."""
    quantity = decimal(entry["quantity"], QUANTITY)
    included = decimal(entry.get("included_quantity") or "0", QUANTITY)
    return OrderProduct(
        id=entry["id"],
        reference=entry["reference"],
        product=product,
        customer=order["customer"],
        activated_on=date.fromisoformat(order["activated_on"]),
        quantity=quantity,
        units=max(quantity - included, min(quantity, Fraction(0))),
        unit_price=_optional(entry.get("unit_price")),
        price_period="once" if product["revenue_model"] == "one_time" else entry["price_period"],
        start=date.fromisoformat(entry["start"]),
        end=None if entry.get("end") is None else date.fromisoformat(entry["end"]),
        total=_optional(entry.get("total")),
        plan=entry.get("plan"),
        settings=settings,
    )


def contract_value(op):
    """What all portions sum to, in money; None for an evergreen line."""
    if op.total is not None:
        return to_money(op.total, op.currency)
    if op.price_period == "once":
        return to_money(_share_price(op), op.currency)
    if op.end is None:
        return None
    months = whole_months(op.start, op.end)
    if months is None or op.settings["proration_basis"] != "months_then_days":
        months = _grid_months(op)
    return to_money(months * _share_price(op), op.currency)


def portions(op):
    """Every portion in order, its money the step of the rounded cumulative; may never end."""
    if op.is_usage:
        return
    value, share_price = contract_value(op), _share_price(op)
    cumulative, billed = Fraction(0), Fraction(0)
    for portion in _once(op) if op.price_period == "once" else _merged(op):
        cumulative += portion.share * share_price
        upto = value if portion.is_last else to_money(cumulative, op.currency)
        yield replace(portion, amount=upto - billed)
        billed = upto


def whole_months(start, end):
    """How many months from its own start a line runs, or None if they are not whole."""
    months = (end.year - start.year) * 12 + end.month - start.month
    for candidate in (months, months + 1):
        if candidate > 0 and add_months(start, candidate) - DAY == end:
            return candidate
    return None


def _once(op):
    """A one-time line is one portion."""
    if op.is_in_advance:
        billed_on = op.start
    elif op.end is not None:
        billed_on = op.end + DAY
    else:
        billed_on = op.cycle.days(op.start)[1]
    yield Portion(op.start, op.end, max(billed_on, op.activated_on), Fraction(1), is_last=True)


def _merged(op):
    """The grid's portions; without proration a broken first one joins the next."""
    grid = _grid(op)
    first = next(grid)
    is_broken = first.start != op.cycle.days(first.start)[0]
    if is_broken and not first.is_last and not op.settings["proration"]:
        second = next(grid)
        first = replace(second, start=first.start, share=first.share + second.share)
        if op.is_in_advance:
            first = replace(first, billed_on=second.billed_on)
    yield first
    yield from grid


def _grid(op):
    """One portion for each billing period that the line touches; shares are counted in months."""
    start = op.start
    while op.end is None or start <= op.end:
        first, after = op.cycle.days(start)
        end = after - DAY if op.end is None else min(after - DAY, op.end)
        billed_on = start if op.is_in_advance else end + DAY
        if op.settings["proration_basis"] == "days_of_period":
            share = Fraction(_days(start, end) * op.cycle.months, (after - first).days)
        else:
            share = _months(op.cycle, start, end)
        yield Portion(start, end, max(billed_on, op.activated_on), share, is_last=end == op.end)
        start = after


def _months(cycle, start, end):
    """Whole months count one, the days of a broken month by that month's own length."""
    months = Fraction(0)
    while start <= end:
        first, after = cycle.month_days(start)
        months += Fraction(_days(start, min(after - DAY, end)), (after - first).days)
        start = after
    return months


def _grid_months(op):
    return sum(portion.share for portion in _grid(op))


def _share_price(op):
    """The exact price of one month, or of the whole of a one-time line.

    A line that states a total and no unit price spreads the total evenly.
    """
    is_once = op.price_period == "once"
    if op.unit_price is None:
        return op.total / (1 if is_once else _grid_months(op))
    return op.units * op.unit_price / (1 if is_once else MONTHS[op.price_period])


def _days(start, end):
    return (end - start).days + 1


def _optional(value):
    return None if value is None else decimal(value, PRICE)
