"""Where the program's files and the recomputation part, in words for a person.

Every field that the recomputation names must be there and mean the same; further fields are free.
Decimals and instants are compared by value, money on documents also by its digits as written.
"""

import base64
import json
from fractions import Fraction

from model import strictjson
from model.exact import PLAIN
from model.periods import instant_text, parse_instant
from model.strictjson import Number

DECIMALS = {"quantity", "billable_quantity", "usage_amount", "amount", "rounded_amount",
            "total_before"}
INSTANTS = {"time", "period_start", "period_end", "first_used_at", "last_used_at"}
UTC_INSTANTS = {"period_start", "period_end"}
DOCUMENT_DECIMALS = {"quantity", "billable_quantity"}
SIZE_SHOWN_WHOLE = 1024 * 1024


def rate_differences(expected, directory, usage):
    """Of `totals.ndjson`, `rated.ndjson` and `rejected.ndjson` in a directory."""
    expected = _as_read(expected)
    totals = _rows(directory / "totals.ndjson")
    rated = _rows(directory / "rated.ndjson")
    found = _compare_rows("totals", expected["totals"], _without_unused(totals), _total_key)
    found += _compare_rows("rated", expected["rated"], rated, _rated_key)
    found += _compare_sums(expected["totals"], expected["rated"], totals, rated)
    found += [
        f"totals {_total_key(row)}: revision is no number" for row in totals
        if not isinstance(row.get("revision"), Number)
    ]
    rejected = _rows(directory / "rejected.ndjson")
    return found + _compare_rejected(expected["rejected"], rejected, usage)


def bill_differences(expected, directory):
    """Of `invoices.json`, `credit_memos.json` and `order_products.json` in a directory."""
    expected = _as_read(expected)
    found = []
    for name in ("invoices", "credit_memos"):
        documents = strictjson.loads((directory / f"{name}.json").read_bytes())
        dates = [document.get("invoice_date") for document in documents]
        if dates != sorted(dates):
            found.append(f"{name}: not in date order")
        ours, theirs = map(_documents_in_keys, (expected[name], documents))
        found += _compare_rows(name, ours, theirs, _document_key, _document_value)
    rows = strictjson.loads((directory / "order_products.json").read_bytes())
    return found + _compare_rows(
        "order_products", expected["order_products"], rows, lambda row: row.get("id"),
        _document_value,
    )


def _as_read(value):
    """Plain objects as they come back from JSON."""
    return strictjson.loads(json.dumps(value).encode())


def _rows(path):
    return [strictjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def _total_key(row):
    return row.get("subscription"), row.get("charge"), _in_utc(row.get("period_start"))


def _rated_key(row):
    customer = row.get("data", {}).get("customer")
    return customer, row.get("subject"), row.get("source"), row.get("id")


def _document_key(row):
    return row.get("customer"), row.get("currency"), row.get("invoice_date")


def _without_unused(totals):
    """Drops open totals without records: nothing says whether they are written."""
    return [
        row for row in totals
        if (row.get("status"), row.get("records")) != ("open", Number("0"))
    ]


def _compare_rows(name, expected, actual, key, value=None):
    """Rows matched by key, each once, compared field by field."""
    found = []
    ours = {key(row): row for row in expected}
    theirs = {}
    for row in actual:
        if key(row) in theirs:
            found.append(f"{name} {key(row)}: written twice")
        theirs[key(row)] = row
    found += [f"{name} {each}: missing" for each in ours if each not in theirs]
    found += [f"{name} {each}: not expected" for each in theirs if each not in ours]
    for each in filter(theirs.__contains__, ours):
        found += _compare(f"{name} {each}", ours[each], theirs[each], value or _value)
    return found


def _compare(path, expected, actual, value, field=""):
    """Differences below one place; only what is expected has to be there."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = []
        for name, item in expected.items():
            if name in actual:
                found += _compare(f"{path}: {name}", item, actual[name], value, name)
            else:
                found.append(f"{path}: {name} is missing")
        if field in ("items", "details", "usage"):
            found += [f"{path}: {name} not expected" for name in actual if name not in expected]
        return found
    if value(field, expected) == value(field, actual):
        return []
    return [f"{path}: expected {_shown(expected)}, got {_shown(actual)}"]


def _value(field, item):
    """What a field of rated usage or of a total means."""
    if field in DECIMALS:
        return _decimal(item)
    if field in INSTANTS and item is not None:
        is_utc = field not in UTC_INSTANTS or str(item).endswith("Z")
        return _instant(item) if is_utc else ("not UTC", item)
    if field == "digest" and isinstance(item, str):
        return int(item, 16)
    return item


def _document_value(field, item):
    """The same for a document, where money counts by its digits."""
    return _decimal(item) if field in DOCUMENT_DECIMALS else item


def _decimal(item):
    """Outputs write decimals as plain strings; anything else equals nothing."""
    is_plain = isinstance(item, str) and PLAIN.fullmatch(item)
    return Fraction(item) if is_plain else ("not a plain decimal string", str(item))


def _instant(item):
    return parse_instant(item) if isinstance(item, str) else item


def _in_utc(item):
    """An instant in one spelling; whatever else there is, as it is."""
    instant = _instant(item)
    return instant_text(instant) if isinstance(instant, int) else item


def _shown(item):
    return json.dumps(item, ensure_ascii=False, default=lambda number: number.text)


def _compare_sums(expected_totals, expected_rated, totals, rated):
    """Per total: the usage amount less the rated amounts is P(0), whatever each record paid."""
    ours = _amounts_at_zero(expected_totals, expected_rated)
    theirs = _amounts_at_zero(totals, rated)
    return [
        f"totals {key}: usage_amount less its rated amounts is {theirs[key]}, not P(0) = {amount}"
        for key, amount in ours.items() if key in theirs and theirs[key] != amount
    ]


def _amounts_at_zero(totals, rated):
    left = {_total_key(row): _decimal_or_zero(row.get("usage_amount")) for row in totals}
    for row in rated:
        data = row["data"]
        key = row["subject"], data["charge"], _in_utc(data["period_start"])
        left[key] = left.get(key, Fraction(0)) - _decimal_or_zero(data.get("amount"))
    return left


def _decimal_or_zero(item):
    """What is no decimal has been reported with its field."""
    value = _decimal(item)
    return value if isinstance(value, Fraction) else Fraction(0)


def _compare_rejected(expected, rejected, usage):
    """Codes by line number, and the original bytes."""
    lines = usage.split(b"\n")
    theirs = [{"line": row["source"]["line"], **row} for row in rejected]
    found = _compare_rows("rejected line", expected, theirs, lambda row: int(row["line"].text))
    for row in theirs:
        number = int(row["line"].text)
        if len(lines[number - 1]) <= SIZE_SHOWN_WHOLE and not _holds(row, lines[number - 1]):
            found.append(f"rejected line {number}: record is not the original line")
    return found


def _holds(row, line):
    """Whether a rejection carries its line, as text or base64."""
    record = row.get("record")
    return record in (line.decode("utf-8", "replace"), base64.b64encode(line).decode())


def _documents_in_keys(documents):
    """Documents with their lists as objects, so that the order of items does not matter."""
    return [
        {**each, "items": {item["reference"]: _item_in_keys(item) for item in each["items"]}}
        for each in documents
    ]


def _item_in_keys(item):
    details = {}
    for row in item.get("details", []):
        details[row["order_product"]] = _joined(details.get(row["order_product"]), row)
    usage = {
        "/".join((row["order_product"], row["charge"], row["period_start"])): row
        for row in item.get("usage", [])
    }
    return {**item, "details": details, "usage": usage}


def _joined(before, row):
    """Several portions of one order product on a document are compared as one."""
    if before is None:
        return row
    places = len(row["amount"].partition(".")[2])
    cents = sum(int(each["amount"].replace(".", "")) for each in (before, row))
    digits = str(abs(cents)).rjust(places + 1, "0")
    amount = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return {**row, "start": before["start"], "amount": "-" * (cents < 0) + amount}
