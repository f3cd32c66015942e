"""Positions, distances and path loss between stations.

Distance is flat-earth on the WGS-84 ellipsoid; loss is free-space out to a reference distance and log-distance beyond.
"""

import math
from dataclasses import dataclass

C_M_PER_S = 299_792_458.0
WGS84_A_M = 6_378_137.0
WGS84_E2 = 6.694_379_990_14e-3
NEAREST_M = 1.0
"""Shortest distance in m of the path loss: nearer, such as on one mast, the far-field formula does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point on the WGS-84 ellipsoid, in degrees."""

    lat_deg: float
    lon_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """Free-space loss to `reference_m`, then `10 * exponent` dB for each further decade of distance."""

    reference_m: float = 100.0
    exponent: float = 2.8


def distance_m(one: Position, other: Position) -> float:
    """Return the distance along the ground in metres, within 0.1 % up to 50 km below 80 degrees of latitude.

    Source: local radii of curvature of the WGS-84 ellipsoid at the mid-latitude (NIMA TR8350.2, chapter 3; the same
    construction as 47 CFR 73.208(c)).
    """
    mid = math.radians((one.lat_deg + other.lat_deg) / 2)
    bend = 1 - WGS84_E2 * math.sin(mid) ** 2
    meridional_m = WGS84_A_M * (1 - WGS84_E2) / bend**1.5
    normal_m = WGS84_A_M / math.sqrt(bend)
    north_m = math.radians(other.lat_deg - one.lat_deg) * meridional_m
    turn_deg = (other.lon_deg - one.lon_deg + 180) % 360 - 180
    east_m = math.radians(turn_deg) * normal_m * math.cos(mid)
    return math.hypot(north_m, east_m)


def free_space_loss_db(distance_m: float, frequency_hz: float) -> float:
    """Return 20 log10(4 pi d f / c) between isotropic antennas, in dB (ITU-R P.525-4, equation 4)."""
    return 20 * math.log10(4 * math.pi * distance_m * frequency_hz / C_M_PER_S)


def loss_db(distance_m: float, frequency_hz: float, *, model: Propagation) -> float:
    """Return the median path loss in dB.

    L(d) = L_fs(min(d, d0)) + 10 n log10(d / d0) beyond d0 (T. S. Rappaport, Wireless Communications, section 4.9).
    Distances under `NEAREST_M` count as that.
    """
    far = max(distance_m, NEAREST_M)
    near = min(far, max(model.reference_m, NEAREST_M))
    return free_space_loss_db(near, frequency_hz) + 10 * model.exponent * math.log10(far / near)


def delay_ns(distance_m: float) -> int:
    """Return the time light needs for the distance, in ns."""
    return round(distance_m / C_M_PER_S * 1e9)
