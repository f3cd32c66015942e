"""Converts between EIRP of a band and EIRP density: dBm, dBm/MHz, mW; integers are in thousandths of a decibel."""

import math
from functools import lru_cache

MHZ = 1_000_000


@lru_cache(maxsize=4096)
def milliwatts(mdbm: float) -> float:
    """Convert mdBm to mW."""
    return float(10.0 ** (mdbm / 10_000))


def dbm_of(power_mw: float) -> float:
    """Convert mW (above 0) to dBm."""
    return 10 * math.log10(power_mw)


def eirp_mdbm(density_mdbm_per_mhz: int, width_hz: int) -> int:
    """The EIRP of a density over a width, mdBm, rounded up."""
    return math.ceil(density_mdbm_per_mhz + 10_000 * math.log10(width_hz / MHZ))


def density_mdbm_per_mhz(eirp_dbm: float, width_hz: int) -> int:
    """The density of an EIRP over a width, mdBm/MHz, rounded down."""
    return math.floor(1000 * eirp_dbm - 10_000 * math.log10(width_hz / MHZ)) - 1
