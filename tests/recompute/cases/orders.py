"""Random orders: recurring, one-time and usage lines, deltas, late activation, odd dates."""

from datetime import date
from fractions import Fraction

from model.exact import plain, rounded
from model.periods import DAY, MONTHS, add_months
from model.portions import whole_months
from model.strictjson import Number

from .draw import chance, day_in, decimal

PRODUCTS = {
    "SEAT": ("subscription", "recurring"),
    "BOX": ("asset", "recurring"),
    "SETUP": ("entitlement", "one_time"),
    "FREE": ("entitlement", "recurring"),
    "PLATFORM": ("subscription", "recurring"),
    "USAGE": ("subscription", "overage_usage"),
}


def orders(rng, document):
    """(catalog, orders) documents: the catalog's subscriptions come from the orders instead."""
    settings = _settings(rng)
    customers = [_without_cycle(customer) if chance(rng, 30) else customer
                 for customer in document["customers"]]
    catalog = {**document, "customers": customers, "subscriptions": []}
    writer = _Writer(rng, document)
    for customer in customers:
        writer.write(customer)
    placed = {"settings": settings, "products": writer.products, "orders": writer.orders}
    return catalog, placed


class _Writer:
    def __init__(self, rng, document):
        self.products = [_product(rng, sku) for sku in PRODUCTS]
        self.orders = []
        self._rng = rng
        self._document = document
        self._lines = 0

    def write(self, customer):
        """A first order for each currency of the customer, then changes to its seats."""
        subscriptions = [
            each for each in self._document["subscriptions"] if each["customer"] == customer["id"]
        ]
        subscriptions.sort(key=lambda each: each["start"])
        first = date.fromisoformat(subscriptions[0]["start"])
        activated = first + DAY * self._rng.choice((0, 0, 0, -10, 20, 75))
        for number, subscription in enumerate(subscriptions):
            plan = next(p for p in self._document["plans"] if p["key"] == subscription["plan"])
            order = self._order(customer, "new", activated + DAY * number, plan["currency"])
            self._add(order, self._subscription_line(subscription))
            seat = f"SEATS-{subscription['id']}"
            start = day_in(self._rng, first, 40)
            self._add(order, self._line("SEAT", seat, start))
            for sku in ("BOX", "SETUP", "FREE"):
                if chance(self._rng, 60):
                    start = day_in(self._rng, first, 60)
                    self._add(order, self._line(sku, f"{sku}-{subscription['id']}", start))
            self._change(customer, order, order["order_products"][1])

    def _change(self, customer, order, seats):
        """Deltas that never take the seats below zero, ending with what they change.

        Each is activated after what it counts on.
        """
        left = Fraction(seats["quantity"])
        end = seats["end"] and date.fromisoformat(seats["end"])
        start = date.fromisoformat(seats["start"])
        activated = date.fromisoformat(order["activated_on"])
        for _ in range(self._rng.choice((0, 1, 1, 2))):
            start = day_in(self._rng, start, 70)
            if end and start > end:
                return
            delta = max(Fraction(self._rng.choice((-9, -4, -1, 1, 3))), -left)
            if delta == 0:
                return
            left += delta
            activated = max(activated, start + DAY * self._rng.choice((0, 0, -5, 12)))
            kind = "cancel" if left == 0 else "change"
            changed = self._order(customer, kind, activated, order["currency"])
            line = {**seats, "quantity": plain(delta), "start": start.isoformat(),
                    "included_quantity": "0", "total": None}
            self._add(changed, line)

    def _order(self, customer, kind, activated, currency):
        order = {"id": f"O-{len(self.orders)}", "customer": customer["id"], "kind": kind,
                 "activated_on": activated.isoformat(), "currency": currency,
                 "order_products": []}
        if chance(self._rng, 15):
            order["proration"] = chance(self._rng, 50)
        self.orders.append(order)
        return order

    def _add(self, order, line):
        line = {**line, "id": f"OP-{self._lines}"}
        self._lines += 1
        order["order_products"].append(line)

    def _subscription_line(self, subscription):
        """Creates a rating subscription: pure usage, or a priced line that carries a plan."""
        sku = self._rng.choice(("PLATFORM", "USAGE"))
        start = date.fromisoformat(subscription["start"])
        line = self._line(sku, subscription["id"], start)
        return {**line, "plan": subscription["plan"], "end": subscription["end"]}

    def _line(self, sku, reference, start):
        rng = self._rng
        _, model = PRODUCTS[sku]
        line = {
            "sku": sku,
            "reference": reference,
            "quantity": rng.choice(("1", "5", "2.5", str(rng.randint(1, 40)))),
            "included_quantity": rng.choice(("0", "0", "1")),
            "unit_price": "0" if sku in ("FREE", "USAGE") else _price(rng),
            "price_period": rng.choice(("month", "month", "quarter", "half_year", "year")),
            "start": start.isoformat(),
            "end": _end(rng, start),
            "total": None,
            "plan": None,
        }
        if model == "one_time":
            line["price_period"] = "once"
        if chance(rng, 10):
            line["billing_timing"] = rng.choice(("in_advance", "in_arrears"))
        if chance(rng, 10) and sku in ("SEAT", "BOX"):
            line["billing_period"] = rng.choice(("month", "quarter", "year"))
        if chance(rng, 15) and sku in ("SEAT", "BOX"):
            line["total"] = _round_total(line)
        return line


def _product(rng, sku):
    provisions, model = PRODUCTS[sku]
    product = {"sku": sku, "name": sku.title(), "provisions": provisions, "revenue_model": model}
    if model != "overage_usage" and chance(rng, 50):
        product["billing_timing"] = rng.choice(("in_advance", "in_arrears"))
    return product


def _settings(rng):
    return {
        "billing_period": rng.choice(("month", "month", "quarter", "half_year", "year")),
        "bill_cycle_day": rng.choice(("first_subscription_start", Number("1"), Number("31"))),
        "bill_cycle_month": Number(str(rng.randint(1, 12))),
        "payment_term_days": Number(str(rng.choice((0, 14, 30)))),
        "proration": chance(rng, 50),
        "proration_basis": "days_of_period" if chance(rng, 20) else "months_then_days",
        "first_invoice_on_activation": True,
        "hide_zero_items": chance(rng, 30),
        "credit_memos": chance(rng, 80),
        "auto_activate": False,
        "currency": "USD",
    }


def _without_cycle(customer):
    """A customer to whom the organisation's settings apply."""
    return {key: item for key, item in customer.items() if not key.startswith("bill")}


def _round_total(line):
    """A stated total next to what whole months cost: the last portion absorbs the difference."""
    end = line["end"] and date.fromisoformat(line["end"])
    months = end and whole_months(date.fromisoformat(line["start"]), end)
    if not months:
        return None
    units = max(Fraction(0), Fraction(line["quantity"]) - Fraction(line["included_quantity"]))
    price = Fraction(line["unit_price"]) * months / MONTHS[line["price_period"]]
    return plain(rounded(units * price, 0))


def _end(rng, start):
    """Whole months more often than not, else any day or never."""
    roll = rng.randrange(100)
    if roll < 15:
        return None
    if roll < 65:
        return (add_months(start, rng.choice((1, 3, 6, 12, 12, 24))) - DAY).isoformat()
    return day_in(rng, start, 300).isoformat()


def _price(rng):
    return plain(decimal(rng, 3, rng.choice((2, 2, 4))))
