"""The bill: order products and usage gathered into invoices and credit memos."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import groupby

from .catalog import Catalog, whole
from .exact import money_text, plain, to_money
from .periods import DAY, local_day, midnight
from .portions import contract_value, portions, read_order_product
from .rating import Rater

SETTINGS = {
    "billing_period": "month",
    "bill_cycle_day": "first_subscription_start",
    "bill_cycle_month": 1,
    "payment_term_days": 30,
    "proration": False,
    "proration_basis": "months_then_days",
    "hide_zero_items": False,
    "credit_memos": True,
    "currency": "USD",
}
# Settings without a default of their own: the zone is UTC, the timing follows the revenue model.
NEAREST_ONLY = ("billing_timing", "time_zone")


@dataclass
class Item:
    """All that one document holds of one subscription, asset or entitlement."""

    reference: str
    ops: list = field(default_factory=list)
    details: list = field(default_factory=list)
    usage: list = field(default_factory=list)

    @property
    def amount(self):
        """The sum of what is shown."""
        billed = sum((portion.amount for _, portion in self.details), Fraction(0))
        return billed + sum((to_money(total.amount, total.currency) for _, total in self.usage))


def bill(catalog_document, orders_document, usage, as_of):
    """(documents, order product rows) of a billing run; documents in date order."""
    order_products = _activated(catalog_document, orders_document, as_of)
    catalog = Catalog(catalog_document, _cycle_settings(orders_document))
    subscribed = _subscribe(catalog, order_products)
    rater = Rater(catalog, writes_lines=False)
    rater.read(usage)

    items = {}
    for op in order_products:
        for portion in portions(op):
            if portion.billed_on > as_of:
                break
            item = _item(items, op, op.currency, portion.billed_on)
            item.details.append((op, portion))
    for op in subscribed:
        subscription = catalog.subscriptions[op.reference]
        zone = subscription.cycle.zone
        for total in rater.close_subscription(subscription, midnight(as_of, zone)):
            billed_on = max(local_day(total.end, zone), op.activated_on)
            _item(items, op, total.currency, billed_on).usage.append((op, total))
    return _documents(items), [_order_product_row(op, as_of) for op in order_products]


def _activated(catalog_document, orders_document, as_of):
    """The order products of every order activated by a date, settings resolved."""
    customers = {entry["id"]: entry for entry in catalog_document.get("customers", [])}
    products = {entry["sku"]: entry for entry in orders_document.get("products", [])}
    orders = [
        order for order in orders_document["orders"]
        if order.get("activated_on") and date.fromisoformat(order["activated_on"]) <= as_of
    ]
    anchors = _anchors(orders, products)
    found = []
    for order in orders:
        for entry in order["order_products"]:
            product = products[entry["sku"]]
            layers = (orders_document.get("settings", {}), customers[order["customer"]],
                      order, product, entry)
            settings = _resolved(layers, anchors.get(order["customer"]))
            found.append(read_order_product(entry, order, product, settings))
    return found


def _resolved(layers, anchor):
    """The nearest setting wins; the first subscription's start may fix cycle day and month."""
    settings = dict(SETTINGS)
    for layer in layers:
        for name in (*SETTINGS, *NEAREST_ONLY):
            if layer.get(name) is not None:
                settings[name] = layer[name]
    if settings["bill_cycle_day"] == "first_subscription_start":
        anchor = anchor or date(1970, 1, 1)
        settings.update(bill_cycle_day=anchor.day, bill_cycle_month=anchor.month)
    return settings


def _anchors(orders, products):
    """{customer: start of the first subscription it activated}."""
    anchors = {}
    for order in sorted(orders, key=lambda each: each["activated_on"]):
        starts = [
            date.fromisoformat(entry["start"]) for entry in order["order_products"]
            if products[entry["sku"]]["provisions"] == "subscription"
        ]
        if starts:
            anchors.setdefault(order["customer"], min(starts))
    return anchors


def _cycle_settings(orders_document):
    """What of the organisation's settings a catalog subscription falls back to."""
    settings = orders_document.get("settings", {})
    names = ("billing_period", "bill_cycle_day", "bill_cycle_month")
    return {
        name: settings[name] for name in names
        if settings.get(name, "first_subscription_start") != "first_subscription_start"
    }


def _subscribe(catalog, order_products):
    """Creates the subscriptions that order products name; returns those that carry usage."""
    subscribed = {}
    for op in order_products:
        if op.plan is None or op.reference in subscribed:
            continue
        subscribed[op.reference] = op
        if op.reference not in catalog.subscriptions:
            entry = {
                "id": op.reference,
                "customer": op.customer,
                "plan": op.plan,
                "start": op.start.isoformat(),
                "end": op.end and op.end.isoformat(),
            }
            catalog.add_subscription(entry, op.settings)
    return list(subscribed.values())


def _item(items, op, currency, billed_on):
    """The item that an order product's amounts of one date and currency go to."""
    key = (billed_on, op.customer, currency)
    item = items.setdefault(key, {}).setdefault(op.reference, Item(op.reference))
    item.ops.append(op)
    return item


def _documents(items):
    """Positive items make an invoice, negative ones a credit memo of the same date."""
    documents = []
    for (billed_on, customer, currency), by_reference in sorted(items.items()):
        kinds = {"invoice": [], "credit_memo": []}
        for item in by_reference.values():
            settings = item.ops[0].settings
            if item.amount == 0 and settings["hide_zero_items"]:
                continue
            is_memo = item.amount < 0 and settings["credit_memos"]
            kinds["credit_memo" if is_memo else "invoice"].append(item)
        for kind, gathered in kinds.items():
            if gathered:
                documents.append(_document(kind, billed_on, customer, currency, gathered))
    return documents


def _document(kind, billed_on, customer, currency, items):
    sign = -1 if kind == "credit_memo" else 1
    total = money_text(sign * sum(item.amount for item in items), currency)
    terms = whole(items[0].ops[0].settings["payment_term_days"])
    zero = money_text(Fraction(0), currency)
    document = {
        "number": None,
        "kind": kind,
        "customer": customer,
        "status": "draft",
        "payment_status": "not_due",
        "invoice_date": billed_on.isoformat(),
        "due_date": (billed_on + timedelta(days=terms)).isoformat(),
        "currency": currency,
        "subtotal": total,
        "tax_amount": zero,
        "total": total,
        "balance": zero,
        "items": [_item_row(item, currency, sign) for item in items],
    }
    if kind == "credit_memo":
        del document["due_date"], document["payment_status"]
    return document


def _item_row(item, currency, sign):
    """An item as written; what the contract leaves open for it is left out."""
    details = [
        _detail_row(op, [portion for _, portion in group], currency, sign)
        for op, group in _by_order_product(item.details)
    ]
    row = {
        "reference": item.reference,
        "provisions": item.ops[0].product["provisions"],
        "amount": money_text(sign * item.amount, currency),
        "details": details,
        "usage": [_usage_row(op, total, sign) for op, total in item.usage],
    }
    if len({op.product["sku"] for op in item.ops}) == 1:
        row["product"] = item.ops[0].product["sku"]
    if details and all("end" in detail for detail in details):
        row["start"] = min(detail["start"] for detail in details)
        row["end"] = max(detail["end"] for detail in details)
    return row


def _by_order_product(details):
    """Portions of one order product on one document stand together."""
    for _, group in groupby(details, key=lambda each: each[0].id):
        group = list(group)
        yield group[0][0], group


def _detail_row(op, billed, currency, sign):
    row = {
        "order_product": op.id,
        "start": billed[0].start.isoformat(),
        "quantity": plain(op.quantity),
        "amount": money_text(sign * sum(portion.amount for portion in billed), currency),
    }
    if billed[-1].end is not None:
        row["end"] = billed[-1].end.isoformat()
    return row


def _usage_row(op, total, sign):
    zone = total.subscription.cycle.zone
    return {
        "order_product": op.id,
        "charge": total.charge,
        "period_start": local_day(total.start, zone).isoformat(),
        "period_end": (local_day(total.end, zone) - DAY).isoformat(),
        "quantity": plain(total.quantity),
        "billable_quantity": plain(total.billable_quantity),
        "amount": money_text(sign * to_money(total.amount, total.currency), total.currency),
    }


def _order_product_row(op, as_of):
    """Where an order product stands; for pure usage the contract names no amounts."""
    row = {"id": op.id}
    if op.is_usage:
        return row
    value = contract_value(op)
    row["contract_value"] = None if value is None else money_text(value, op.currency)
    billed, invoiced_until, next_on = Fraction(0), None, None
    for portion in portions(op):
        if portion.billed_on > as_of:
            next_on = portion.billed_on.isoformat()
            break
        billed += portion.amount
        if portion.end is not None:
            invoiced_until = portion.end.isoformat()
    row.update(billed_amount=money_text(billed, op.currency), next_billing_date=next_on)
    if op.end is not None or op.price_period != "once":
        row["invoiced_until"] = invoiced_until
    return row
