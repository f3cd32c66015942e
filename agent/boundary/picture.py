"""Picture of a lease's coverage boundary: north up, distances from the antenna."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

from agent.boundary.contour import LEVEL_BAND_HZ, BoundaryPlan, BoundaryReach
from agent.words.figures import Figure
from hw_profiles.wholefile import write_whole


def boundary_picture(plan: BoundaryPlan, reach: BoundaryReach, title: str, path: Path) -> None:
    """Write the picture, whole or not at all. Raises OSError."""
    figure = Figure(figsize=(7, 7), layout="constrained")
    axes = figure.subplots()
    outer, inner = _points(reach.bearing_deg, reach.outer_m), _points(reach.bearing_deg, reach.inner_m)
    axes.fill(*outer, facecolor="#2e6fb020", edgecolor="#2e6fb0", linewidth=0.8, linestyle="--")
    axes.fill(*inner, facecolor="#2e6fb030", edgecolor="#2e6fb0", linewidth=0.8, linestyle=":")
    axes.plot(*_points(reach.bearing_deg, reach.median_m), color="#12406e", linewidth=1.6)
    axes.plot([0], [0], marker="^", color="black", markersize=8)
    axes.set_aspect("equal")
    axes.grid(visible=True, linewidth=0.3)
    axes.set_xlabel("east of the antenna, km")
    axes.set_ylabel("north of the antenna, km")
    level = f"{plan.level_dbm:g} dBm in {LEVEL_BAND_HZ / 1e6:g} MHz"
    axes.set_title(
        f"{title}\n{level}: median (line), {plan.margin_db:.1f} dB less loss (dashed), more (dotted)", fontsize=9
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_whole(path, buffer.getvalue())


def _points(bearings: Sequence[float], far_m: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return east and north coordinates in km of a closed contour."""
    around = [*zip(bearings, far_m, strict=True), (bearings[0], far_m[0])]
    east = [far * math.sin(math.radians(bearing)) / 1000 for bearing, far in around]
    north = [far * math.cos(math.radians(bearing)) / 1000 for bearing, far in around]
    return east, north
