"""Checks of the recomputation against values worked out by hand.

Every `check_*` function yields (what, actual, expected); `selftest.py` runs them all.
"""
