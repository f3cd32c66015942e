"""Distances and losses against independent references."""

import math

import pytest
from geographiclib.geodesic import Geodesic
from hypothesis import given
from hypothesis import strategies as st

from radio.propagation import Position, Propagation, delay_ns, distance_m, free_space_loss_db, loss_db

pytestmark = pytest.mark.feature("U1")


@given(
    lat=st.floats(-78, 78),
    lon=st.floats(-180, 180),
    bearing=st.floats(0, 360),
    away_m=st.floats(1, 50_000),
)
def test_distance_agrees_with_the_geodesic_within_a_thousandth(
    lat: float, lon: float, bearing: float, away_m: float
) -> None:
    there = Geodesic.WGS84.Direct(lat, lon, bearing, away_m)
    found = distance_m(Position(lat_deg=lat, lon_deg=lon), Position(lat_deg=there["lat2"], lon_deg=there["lon2"]))
    assert found == pytest.approx(away_m, rel=1e-3, abs=1e-3)


def test_free_space_loss_has_the_textbook_value() -> None:
    # ITU-R P.525: 32.4 + 20 log f(MHz) + 20 log d(km); the constant is 32.448 to three places.
    assert free_space_loss_db(1000, 3.5e9) == pytest.approx(32.448 + 20 * math.log10(3500), abs=0.001)


@given(st.floats(0.01, 1e5), st.floats(1e8, 6e9))
def test_loss_is_free_space_near_and_steeper_far(away_m: float, frequency_hz: float) -> None:
    model = Propagation(reference_m=100.0, exponent=3.5)
    free = free_space_loss_db(max(away_m, 1.0), frequency_hz)
    extra = 15 * math.log10(away_m / 100) if away_m > 100 else 0
    assert loss_db(away_m, frequency_hz, model=model) == pytest.approx(free + extra, abs=1e-9)


def test_light_needs_a_microsecond_for_300_metres() -> None:
    assert delay_ns(299.792458) == 1000
