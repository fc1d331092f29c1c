"""Documents: the two worked examples to the cent, then one rule at a time."""

import json

from recompute import recompute_bill

from .inputs import event, simple_catalog

BARE = {"customers": [{"id": "C", "time_zone": "Europe/Berlin"}]}
PRODUCTS = [
    {"sku": "SUB", "provisions": "subscription", "revenue_model": "recurring"},
    {"sku": "ONCE", "provisions": "entitlement", "revenue_model": "one_time"},
    {"sku": "USE", "provisions": "subscription", "revenue_model": "overage_usage"},
]


def check_quarterly():
    """Two licence orders billed quarterly in advance, with and without proration."""
    licences = [
        _line("OP-001", "10", "10", "2022-03-01", "2023-02-28", price_period="month"),
        _line("OP-002", "10", "5", "2022-06-01", "2023-02-28", price_period="month"),
    ]
    orders = [_order("O-1", "2022-03-01", licences[:1]),
              _order("O-2", "2022-06-01", licences[1:], kind="change")]
    settings = {"billing_period": "quarter", "bill_cycle_day": 1, "bill_cycle_month": 1}
    joined = [("2022-04-01", "400.00"), ("2022-07-01", "500.00"), ("2022-10-01", "450.00"),
              ("2023-01-01", "300.00")]
    prorated = [("2022-03-01", "100.00"), ("2022-04-01", "300.00"), ("2022-06-01", "50.00"),
                ("2022-07-01", "450.00"), ("2022-10-01", "450.00"), ("2023-01-01", "300.00")]
    for proration, expected in ((False, joined), (True, prorated)):
        done = _bill(orders, {**settings, "proration": proration}, "2024-01-01")
        yield f"proration {proration}", _dated(done["invoices"]), expected
        values = [row["contract_value"] for row in done["order_products"]]
        yield "contract values", values, ["1200.00", "450.00"]
        yield "billed", [row["billed_amount"] for row in done["order_products"]], values
    item = _bill(orders, settings, "2022-07-01")["invoices"][1]["items"][0]
    yield "item span", (item["start"], item["end"]), ("2022-06-01", "2022-09-30")


def check_vroom():
    """Five seats a year billed monthly, a phone, three bundled at nothing, services in arrears."""
    year = ("2023-05-18", "2024-05-17")
    lines = [
        _line("OP-001", "5", "100", *year, reference="BUS"),
        _line("OP-002", "2", "5.99", *year, reference="PHONE", sku="ONCE", price_period="once",
              included_quantity="1"),
        *(_line(f"OP-00{n}", "1", "0", *year, reference=f"FREE-{n}") for n in (3, 4, 5)),
        _line("OP-006", "40", "100", *year, reference="PS", sku="ONCE", price_period="once",
              included_quantity="20", billing_timing="in_arrears"),
    ]
    orders = [_order("O-1", "2023-05-18", lines)]
    settings = {"billing_period": "month", "bill_cycle_day": "first_subscription_start"}
    first = _bill(orders, settings, "2023-05-18")
    invoice = first["invoices"][0]
    yield "first", [invoice[each] for each in ("invoice_date", "due_date", "total")], [
        "2023-05-18", "2023-06-17", "47.66"]
    yield "items", [item["amount"] for item in invoice["items"]], [
        "41.67", "5.99", "0.00", "0.00", "0.00"]
    yield "contract values", [row["contract_value"] for row in first["order_products"]], [
        "500.00", "5.99", "0.00", "0.00", "0.00", "2000.00"]
    yield "stands", first["order_products"][0], {
        "id": "OP-001", "contract_value": "500.00", "billed_amount": "41.67",
        "next_billing_date": "2023-06-18", "invoiced_until": "2023-06-17"}
    hidden = _bill(orders, {**settings, "hide_zero_items": True}, "2023-05-18")["invoices"][0]
    yield "hidden", [item["reference"] for item in hidden["items"]], ["BUS", "PHONE"]
    rows = _bill(orders, settings, "2024-05-18")
    seats = [item["amount"] for invoice in rows["invoices"] for item in invoice["items"]
             if item["reference"] == "BUS"]
    yield "twelve months", seats, ["41.67", "41.66", "41.67"] * 4
    yield "all billed", [row["billed_amount"] for row in rows["order_products"]], [
        row["contract_value"] for row in first["order_products"]]
    yield "services", _dated(rows["invoices"])[-1], ("2024-05-18", "2000.00")


def check_broken_months():
    """Days of a broken month count by that month's length; the last portion takes the rest."""
    settings = {"billing_period": "month", "bill_cycle_day": 1, "proration": True}
    rows = [
        # 17 of 31 days, 28 of 28, 14 of 31: two whole months from its own start.
        ("months_then_days", "2026-01-15", "2026-03-14", ["54.84", "100.00", "45.16"]),
        # 17 of 31 and 28 of 28 days and one of 31: no whole months.
        ("months_then_days", "2026-01-15", "2026-03-01", ["54.84", "100.00", "3.22"]),
        ("days_of_period", "2026-01-15", "2026-02-14", ["54.84", "50.00"]),
        # The line's own month is one month; the grid would come to 54.84 + 50.00.
        ("months_then_days", "2026-01-15", "2026-02-14", ["54.84", "45.16"]),
    ]
    for basis, start, end, expected in rows:
        line = _line("OP", "1", "100", start, end, price_period="month")
        done = _bill([_order("O", start, [line])], {**settings, "proration_basis": basis},
                     "2027-01-01")
        yield f"{basis} {end}", [amount for _, amount in _dated(done["invoices"])], expected


def check_dates():
    """Never billed before activation; in arrears the day after a portion's end."""
    settings = {"billing_period": "month", "bill_cycle_day": 1}
    line = _line("OP", "1", "10", "2026-01-01", "2026-03-31", price_period="month")
    once = _line("OP", "1", "10", "2026-01-15", None, sku="ONCE", price_period="once")
    arrears = {"billing_timing": "in_arrears"}
    rows = [
        ("2026-02-10", line, [("2026-02-10", "20.00"), ("2026-03-01", "10.00")]),
        ("2026-01-01", {**line, **arrears},
         [("2026-02-01", "10.00"), ("2026-03-01", "10.00"), ("2026-04-01", "10.00")]),
        ("2026-01-01", once, [("2026-01-15", "10.00")]),
        ("2026-01-01", {**once, **arrears}, [("2026-02-01", "10.00")]),
        ("2026-01-01", {**once, **arrears, "end": "2026-01-20"}, [("2026-01-21", "10.00")]),
        ("2026-01-01", {**line, "total": "29.99"},
         [("2026-01-01", "10.00"), ("2026-02-01", "10.00"), ("2026-03-01", "9.99")]),
    ]
    for activated, each, expected in rows:
        done = _bill([_order("O", activated, [each])], settings, "2027-01-01")
        yield f"{activated} {each}", _dated(done["invoices"]), expected


def check_negative_net():
    """A negative net of a reference is a credit memo of that date, or a negative line."""
    lines = [_line("OP-1", "5", "10", "2026-01-01", "2026-03-31", price_period="month"),
             _line("OP-2", "1", "7", "2026-01-15", None, sku="ONCE", reference="OTHER",
                   price_period="once")]
    less = _line("OP-3", "-2", "10", "2026-01-17", "2026-03-31", price_period="month")
    orders = [_order("O-1", "2026-01-01", lines), _order("O-2", "2026-01-17", [less])]
    settings = {"billing_period": "month", "bill_cycle_day": 1, "proration": True}
    done = _bill(orders, settings, "2026-02-01")
    yield "invoices", _dated(done["invoices"]), [
        ("2026-01-01", "50.00"), ("2026-01-15", "7.00"), ("2026-02-01", "30.00")]
    yield "memos", _dated(done["credit_memos"]), [("2026-01-17", "9.68")]
    plain = _bill(orders, {**settings, "credit_memos": False}, "2026-02-01")
    yield "negative line", _dated(plain["invoices"])[2], ("2026-01-17", "-9.68")


def check_usage_merges():
    """Closed usage joins the advance charge of the next period in one item."""
    catalog = simple_catalog({"model": "graduated", "tiers": [
        {"up_to": "500", "unit_price": "0.02"}, {"up_to": None, "unit_price": "0.01"}]},
        included="1000")
    catalog["subscriptions"] = []
    lines = [_line("OP-1", "1", "99", "2026-01-01", None, price_period="month"),
             _line("OP-2", "1", "0", "2026-01-01", None, sku="USE", price_period="month",
                   plan="p")]
    usage = json.dumps(event("a", "2026-01-31T23:59:59Z", "1700.5")).encode()
    settings = {"billing_period": "month", "bill_cycle_day": 1}
    done = _bill([_order("O", "2026-01-01", lines)], settings, "2026-02-01", catalog, usage)
    yield "invoices", _dated(done["invoices"]), [("2026-01-01", "99.00"), ("2026-02-01", "111.01")]
    yield "usage", done["invoices"][1]["items"][0]["usage"], [{
        "order_product": "OP-2", "charge": "c", "period_start": "2026-01-01",
        "period_end": "2026-01-31", "quantity": "1700.5", "billable_quantity": "700.5",
        "amount": "12.01"}]


def _line(name, quantity, unit_price, start, end, reference="S", sku="SUB", price_period="year",
          **changed):
    return {"id": name, "sku": sku, "reference": reference, "quantity": quantity,
            "included_quantity": "0", "unit_price": unit_price, "price_period": price_period,
            "start": start, "end": end, "total": None, "plan": None, **changed}


def _order(name, activated_on, lines, kind="new"):
    return {"id": name, "customer": "C", "kind": kind, "activated_on": activated_on,
            "order_products": lines}


def _bill(orders, settings, as_of, catalog=None, usage=b""):
    document = {"settings": settings, "products": PRODUCTS, "orders": orders}
    catalog = dict(catalog or BARE)
    # The customer itself says nothing about its cycle, so the settings decide.
    catalog["customers"] = [
        {key: item for key, item in each.items() if not key.startswith("bill")}
        for each in catalog["customers"]
    ]
    return recompute_bill(json.dumps(catalog).encode(), json.dumps(document).encode(), usage, as_of)


def _dated(documents):
    return [(document["invoice_date"], document["total"]) for document in documents]
