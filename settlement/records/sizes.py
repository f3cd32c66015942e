"""Sizes and units that the record bodies share."""

HASH = 32
PPM = 1_000_000
"""A ratio of one, in millionths."""
