"""Contour at which a lease's signal falls to a level, around its antenna, with the model's margin. Pure.

The level is that of 47 CFR 96.25(c)(1)(i) unless another is given: -96 dBm in 10 MHz, the edge of a PAL Protection
Area. Loss is the product's own model (`radio/propagation.py`): free space to a reference distance, log-distance beyond.
Its median is drawn, how far the level may reach where loss is smaller by the margin, how near it may end where larger.
"""

import math
from dataclasses import dataclass
from typing import Any

from geographiclib.geodesic import Geodesic

from radio.propagation import NEAREST_M, Position, Propagation, loss_db

LEVEL_DBM, LEVEL_BAND_HZ = -96.0, 10_000_000
SHADOWING_DB = 8.0
"""One standard deviation of log-normal shadowing about the median (3GPP TR 38.901, table 7.4.1-1, RMa NLOS)."""
SIGMAS = 1.645
"""Margin in standard deviations that holds at nineteen of twenty places on each side."""
BACK_DB = 20.0
"""Front-to-back ratio of a sector antenna in dB, at least (3GPP TR 36.942, 4.2.1)."""
FARTHEST_M = 200_000.0
STEPS = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryAntenna:
    """Direction of the antenna's main lobe and its half-power width, in degrees; without an azimuth omnidirectional."""

    azimuth_deg: float | None = None
    beamwidth_deg: float = 65.0

    def below_db(self, bearing_deg: float) -> float:
        """Return the loss in dB towards a bearing: min(12 (off / beamwidth)^2, 20) dB (3GPP TR 36.942, 4.2.1)."""
        if self.azimuth_deg is None:
            return 0.0
        off_deg = (bearing_deg - self.azimuth_deg + 180.0) % 360.0 - 180.0
        return min(12.0 * (off_deg / self.beamwidth_deg) ** 2, BACK_DB)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryPlan:
    """Inputs of a boundary: EIRP over the whole band, the level at its edge in 10 MHz, the model."""

    at: Position
    eirp_dbm: float
    low_hz: int
    high_hz: int
    level_dbm: float = LEVEL_DBM
    antenna: BoundaryAntenna = BoundaryAntenna()
    model: Propagation
    margin_db: float = SIGMAS * SHADOWING_DB

    @property
    def eirp_in_level_dbm(self) -> float:
        """EIRP in the bandwidth that the level refers to, spread evenly over the lease's band."""
        width_hz = self.high_hz - self.low_hz
        return self.eirp_dbm + min(0.0, 10 * math.log10(LEVEL_BAND_HZ / width_hz))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryReach:
    """Distance in m at which the level is reached, per bearing (degrees): median, largest and smallest."""

    bearing_deg: tuple[float, ...]
    median_m: tuple[float, ...]
    outer_m: tuple[float, ...]
    inner_m: tuple[float, ...]


def reach_m(loss_most_db: float, frequency_hz: float, model: Propagation) -> float:
    """Return the distance in m at which the loss has this value, by bisection, as the loss rises with distance."""
    near_m, far_m = NEAREST_M, FARTHEST_M
    if loss_db(near_m, frequency_hz, model=model) >= loss_most_db:
        return near_m
    if loss_db(far_m, frequency_hz, model=model) <= loss_most_db:
        return far_m
    for _ in range(60):
        middle_m = math.sqrt(near_m * far_m)
        below = loss_db(middle_m, frequency_hz, model=model) < loss_most_db
        near_m, far_m = (middle_m, far_m) if below else (near_m, middle_m)
    return far_m


def reach_of(plan: BoundaryPlan) -> BoundaryReach:
    """Return the boundary towards `STEPS` bearings, at the band's lower edge, where loss is least."""
    bearings = tuple(360.0 * step / STEPS for step in range(STEPS))

    def far(margin_db: float) -> tuple[float, ...]:
        room = [plan.eirp_in_level_dbm - plan.antenna.below_db(b) - plan.level_dbm + margin_db for b in bearings]
        return tuple(reach_m(loss, plan.low_hz, plan.model) for loss in room)

    return BoundaryReach(
        bearing_deg=bearings, median_m=far(0.0), outer_m=far(plan.margin_db), inner_m=far(-plan.margin_db)
    )


def geojson_of(plan: BoundaryPlan, reach: BoundaryReach, about: dict[str, Any]) -> dict[str, Any]:
    """Return the contours and the antenna as a GeoJSON FeatureCollection (RFC 7946): longitude before latitude."""
    level = f"{plan.level_dbm:g} dBm in {LEVEL_BAND_HZ / 1e6:g} MHz"
    contours = (
        ("outer", reach.outer_m, f"where loss is {plan.margin_db:g} dB less than the median"),
        ("median", reach.median_m, "where loss is the median"),
        ("inner", reach.inner_m, f"where loss is {plan.margin_db:g} dB more than the median"),
    )
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {
                "contour": name,
                "level": level,
                "means": means,
                "farthest_m": round(max(far), 1),
                "nearest_m": round(min(far), 1),
            },
            "geometry": {"type": "Polygon", "coordinates": [_ring(plan.at, reach.bearing_deg, far)]},
        }
        for name, far, means in contours
    ]
    here = {"type": "Point", "coordinates": [plan.at.lon_deg, plan.at.lat_deg]}
    model = f"free space to {plan.model.reference_m:g} m, then 10 x {plan.model.exponent:g} dB a decade"
    said = {**about, "eirp_dbm": plan.eirp_dbm, "model": model, "margin_db": round(plan.margin_db, 2)}
    features.append({"type": "Feature", "properties": {"antenna": said}, "geometry": here})
    return {"type": "FeatureCollection", "features": features}


def _ring(at: Position, bearings: tuple[float, ...], far: tuple[float, ...]) -> list[list[float]]:
    """Return a closed ring, counterclockwise as RFC 7946 requires."""
    points = []
    for bearing, distance in reversed(list(zip(bearings, far, strict=True))):
        there = Geodesic.WGS84.Direct(at.lat_deg, at.lon_deg, bearing, distance)
        points.append([round(there["lon2"], 7), round(there["lat2"], 7)])
    return [*points, points[0]]
