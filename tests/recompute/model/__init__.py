"""The billing contract in plain, slow, exact Python: no floats, no clock, no shortcuts."""
