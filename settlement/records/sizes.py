"""Sizes and units that bodies share."""

HASH = 32
PPM = 1_000_000
"""Millionths: a ratio of one."""
