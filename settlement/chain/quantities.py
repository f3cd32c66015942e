"""Integer schema fields by quantity (instant, length, frequency, power …), each with its range of meaningful values.

The form of each is 63 bits. A value outside the bounds here is well formed but meaningless: it is refused at admission
as TERMS, before any arithmetic uses it.
"""

from typing import Any

from settlement.chain.codec import sint, uint

NS = 1_000_000_000
DAY_NS = 24 * 3600 * NS
INSTANT_MAX_NS = 8 * 10**18
"""Latest instant, in the year 2223: far enough below 2^63 that a length may be added."""
LIFE_MAX_NS = 20 * 366 * DAY_NS
"""The longest life of a rule, a schema, a status list or an admission after the instant it was signed or begins."""
WINDOW_MAX_NS = 366 * DAY_NS
"""The longest window of a cell, and the furthest its start may lie ahead of its signing."""
VALIDITY_MAX_NS = 31 * DAY_NS
"""The longest validity of an envelope, where the rule does not set a shorter one."""
HERTZ_MAX = 3_000_000_000_000
"""Highest radio frequency (ITU Radio Regulations, article 1.5)."""
MILLIDECIBEL_MAX = 1_000_000
DISTANCE_MAX_MM = 20_037_508_343
"""Longest distance: half way round the Earth, mm."""
COUNT_MAX = 10**15


def instant_ns(key: int, *, optional: bool = False) -> Any:
    """Declare an instant, ns since the Unix epoch (UTC)."""
    return uint(key, optional=optional, meant=(0, INSTANT_MAX_NS))


def length_ns(key: int, *, least: int = 0, most: int = WINDOW_MAX_NS, optional: bool = False) -> Any:
    """Declare a length of time in ns."""
    return uint(key, optional=optional, meant=(least, most))


def hertz(key: int, *, least: int = 0, optional: bool = False) -> Any:
    """Declare a frequency or a bandwidth in Hz."""
    return uint(key, optional=optional, meant=(least, HERTZ_MAX))


def millidecibel(key: int, *, optional: bool = False) -> Any:
    """Declare a level or a power in thousandths of a decibel."""
    return sint(key, optional=optional, meant=(-MILLIDECIBEL_MAX, MILLIDECIBEL_MAX))


def millimetres(key: int, *, optional: bool = False) -> Any:
    """Declare a distance in mm."""
    return uint(key, optional=optional, meant=(0, DISTANCE_MAX_MM))


def count(key: int, *, least: int = 0, most: int = COUNT_MAX, optional: bool = False) -> Any:
    """Declare a number of things, or a price in the network's own unit."""
    return uint(key, optional=optional, meant=(least, most))
