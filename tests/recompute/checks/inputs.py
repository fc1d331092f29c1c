"""Small catalogs and records for the checks."""

import json

from recompute import recompute_rate


def simple_catalog(price, zone="UTC", start="2026-01-01", end=None, negative="reject", **charge):
    """One customer C with one subscription S to a plan of one charge c over `$.n` of type `t`."""
    return {
        "meters": [{"key": "m", "event_type": "t", "aggregation": "sum", "value": "$.n",
                    "group_by": {"region": "$.region"}, "negative": negative}],
        "plans": [{"key": "p", "version": 1, "effective_from": "2025-01-01T00:00:00Z",
                   "currency": "USD",
                   "charges": [{"key": "c", "meter": "m", "price": price, **charge}]}],
        "customers": [{"id": "C", "time_zone": zone, "billing_period": "month",
                       "bill_cycle_day": 1}],
        "subscriptions": [{"id": "S", "customer": "C", "plan": "p", "start": start, "end": end}],
    }


def event(name, time, quantity, **changed):
    """A record of C; `changed` replaces attributes, None drops them."""
    attributes = {"specversion": "1.0", "id": name, "source": "s", "type": "t", "subject": "C",
                  "time": time, "data": {"n": quantity}, **changed}
    return {key: item for key, item in attributes.items() if item is not None}


def rate(catalog, usage, close_at=None):
    """Rates records (objects, or bytes as they are) against a catalog."""
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in usage]
    return recompute_rate(json.dumps(catalog).encode(), b"\n".join(lines), close_at)
