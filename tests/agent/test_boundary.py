"""The coverage boundary of a lease: the level is what the model says at the contour, and the margin brackets it."""

import itertools
import json
import math

import pytest
from geographiclib.geodesic import Geodesic

from agent.boundary.contour import (
    LEVEL_DBM,
    BoundaryAntenna,
    BoundaryPlan,
    geojson_of,
    reach_of,
)
from radio.propagation import Position, Propagation, loss_db

pytestmark = pytest.mark.feature("M8")
HERE = Position(lat_deg=36.95, lon_deg=-76.3)


def plan(**changes: object) -> BoundaryPlan:
    base: dict[str, object] = {
        "at": HERE, "eirp_dbm": 20.0, "low_hz": 3_560_000_000, "high_hz": 3_570_000_000, "model": Propagation(),
    }  # fmt: skip
    return BoundaryPlan(**{**base, **changes})  # type: ignore[arg-type]


def test_at_the_median_contour_the_level_is_the_one_asked_for() -> None:
    one = plan()
    reach = reach_of(one)
    assert len(set(reach.median_m)) == 1
    received = one.eirp_dbm - loss_db(reach.median_m[0], one.low_hz, model=one.model)
    assert received == pytest.approx(LEVEL_DBM, abs=1e-6)


def test_the_margin_is_between_the_contours_in_decibels() -> None:
    one = plan(margin_db=10.0)
    reach = reach_of(one)
    losses = [loss_db(far[0], one.low_hz, model=one.model) for far in (reach.inner_m, reach.median_m, reach.outer_m)]
    assert losses[1] - losses[0] == pytest.approx(10.0, abs=1e-6)
    assert losses[2] - losses[1] == pytest.approx(10.0, abs=1e-6)


def test_power_over_more_band_is_less_in_ten_megahertz() -> None:
    wide = plan(low_hz=3_550_000_000)
    assert wide.eirp_in_level_dbm == pytest.approx(wide.eirp_dbm - 10 * math.log10(2))
    assert reach_of(wide).median_m[0] < reach_of(plan()).median_m[0]


def test_a_sector_antenna_reaches_where_it_points() -> None:
    reach = reach_of(plan(antenna=BoundaryAntenna(azimuth_deg=90.0, beamwidth_deg=65.0)))
    farthest = max(zip(reach.median_m, reach.bearing_deg, strict=True))
    assert farthest[1] == 90.0
    west = reach.median_m[reach.bearing_deg.index(270.0)]
    drop_db = loss_db(farthest[0], 3_560_000_000, model=Propagation()) - loss_db(
        west, 3_560_000_000, model=Propagation()
    )
    assert drop_db == pytest.approx(20.0, abs=1e-6)


def test_the_geojson_is_closed_counterclockwise_and_as_far_as_it_says() -> None:
    one = plan()
    reach = reach_of(one)
    drawn = json.loads(json.dumps(geojson_of(one, reach, {"permission_id": "ab"})))
    ring = drawn["features"][1]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
    assert area > 0, "RFC 7946: exterior rings are counterclockwise"
    far = Geodesic.WGS84.Inverse(HERE.lat_deg, HERE.lon_deg, ring[0][1], ring[0][0])["s12"]
    assert far == pytest.approx(reach.median_m[0], abs=0.05)
