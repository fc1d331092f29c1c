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
            "total_before", "amount_at_zero"}
# What need not be there, but must be right if it is.
EXTRA = {"amount_at_zero"}
INSTANTS = {"time", "period_start", "period_end", "first_used_at", "last_used_at"}
UTC_INSTANTS = {"period_start", "period_end"}
DOCUMENT_DECIMALS = {"quantity", "billable_quantity"}
SIZE_SHOWN_WHOLE = 1024 * 1024


def rate_differences(expected, directory, usage):
    """Of `totals.ndjson`, `rated.ndjson` and `rejected.ndjson`; `usage` is (name, bytes)."""
    expected = _as_read(expected)
    totals = _rows(directory / "totals.ndjson")
    rated = _rows(directory / "rated.ndjson")
    found = _compare_totals(expected["totals"], totals, is_revised=False)
    found += _compare_lines(expected, rated)
    found += _compare_sums(expected["totals"], totals, rated)
    rejected = _rows(directory / "rejected.ndjson")
    return found + _compare_rejected(expected["rejected"], rejected, [usage])


def runs_differences(expected, directories, usages):
    """Of what several runs on one state wrote: a later row of a total replaces an earlier one.

    A later run may write the lines and rejections of the earlier ones again, before its own.
    """
    expected = _as_read(expected)
    totals, rated, rejected = {}, [], []
    needed = {_total_key(row) for row in _without_unused(expected["totals"])}
    for directory in directories:
        written = {_total_key(row): row for row in _rows(directory / "totals.ndjson")}
        totals = _still_there(totals, needed) | written
        rated = _continued(rated, _rows(directory / "rated.ndjson"))
        rejected = _continued(rejected, _rows(directory / "rejected.ndjson"))
    totals = list(totals.values())
    found = _compare_totals(expected["totals"], totals, is_revised=True)
    found += _compare_sums(expected["totals"], totals, rated)
    found += _compare_rejected(expected["rejected"], rejected, usages)
    adjusted, theirs = (
        {_line_total_key(row) for row in rows if row["data"].get("adjustment") is True}
        for rows in (expected["rated"], rated)
    )
    named = (("not marked as an adjustment", adjusted - theirs),
             ("marked as an adjustment, yet not closed", theirs - adjusted))
    return found + [f"rated of {key}: {what}" for what, keys in named for key in sorted(keys)]


def _still_there(totals, needed):
    """Drops open totals that were emptied since: a later run need not write them again."""
    return {key: row for key, row in totals.items()
            if key in needed or row.get("status") != "open"}


def _continued(before, rows):
    return rows if rows[: len(before)] == before else before + rows


def _compare_totals(expected, totals, is_revised):
    """Row by row; how often a total was revised is only told where something was closed."""
    names = {"revision"} if not is_revised else set()
    expected = [
        {name: item for name, item in row.items() if name not in names} for row in expected
    ]
    found = _compare_rows("totals", _without_unused(expected), _without_unused(totals), _total_key)
    return found + [
        f"totals {_total_key(row)}: revision is no number" for row in totals
        if not isinstance(row.get("revision"), Number)
    ]


def _compare_lines(expected, rated):
    """Line by line where no correction is involved: with one, only the sum is certain."""
    corrected = {tuple(each) for each in expected["corrected"]}
    ours, theirs = (
        [row for row in rows if _identity(row) not in corrected]
        for rows in (expected["rated"], rated)
    )
    return _compare_rows("rated", ours, theirs, _rated_key)


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
    """One record has a line for every total that it moves."""
    data = row.get("data", {})
    return (data.get("customer"), row.get("subject"), row.get("source"), row.get("id"),
            _in_utc(data.get("period_start")))


def _identity(row):
    """The record or correction that a rated line is of."""
    return row["data"].get("customer"), row["source"].rpartition("#")[0], row["id"]


def _line_total_key(row):
    data = row["data"]
    return row["subject"], data["charge"], _in_utc(data["period_start"])


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
            elif name not in EXTRA:
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


def _compare_sums(expected, totals, rated):
    """Per total: the rated amounts add up to the usage amount less P(0), whoever paid for what."""
    at_zero = {_total_key(row): _decimal(row["amount_at_zero"]) for row in expected}
    due = {
        _total_key(row): _decimal_or_zero(row.get("usage_amount")) - _decimal_or_zero(
            row["amount_at_zero"] if "amount_at_zero" in row
            else at_zero.get(_total_key(row), Fraction(0))
        )
        for row in totals
    }
    sums = dict.fromkeys(due, Fraction(0))
    for row in rated:
        key = _line_total_key(row)
        sums[key] = sums.get(key, Fraction(0)) + _decimal_or_zero(row["data"].get("amount"))
    return [
        f"totals {key}: rated amounts add up to {amount}, usage amount less P(0) is "
        f"{due.get(key, 'of no total')}"
        for key, amount in sums.items() if amount != due.get(key, Fraction(0))
    ]


def _decimal_or_zero(item):
    """What is no decimal has been reported with its field."""
    value = item if isinstance(item, Fraction) else _decimal(item)
    return value if isinstance(value, Fraction) else Fraction(0)


def _compare_rejected(expected, rejected, usages):
    """Codes by file and line number, and the original bytes; `usages` are (name, bytes)."""
    lines = {name: usage.split(b"\n") for name, usage in usages}
    names = list(lines)
    ours = [
        {"code": row["code"],
         "source": {"file": names[int(row["run"].text) - 1], "line": row["line"]}}
        for row in expected
    ]
    found = _compare_rows("rejected", ours, rejected, _source)
    for row in rejected:
        name, number = _source(row)
        line = lines[name][number - 1]
        if len(line) <= SIZE_SHOWN_WHOLE and not _holds(row, line):
            found.append(f"rejected {name}, line {number}: record is not the original line")
    return found


def _source(row):
    return row["source"]["file"], int(row["source"]["line"].text)


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
