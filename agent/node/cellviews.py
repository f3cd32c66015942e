"""A cell and its area as plain values in degrees, metres and Hz, for status, page and terminal."""

from typing import Any

from settlement.chain.scope import Area, Cell

CORNERS_SHOWN = 64


def area_fields(area: Area) -> dict[str, Any]:
    """A circle as centre and radius, an outline as its corners; degrees and metres."""
    if area.outline is not None:
        return {"outline": [[c.lat_e7 / 1e7, c.lon_e7 / 1e7] for c in area.outline[:CORNERS_SHOWN]]}
    lat, lon, radius = area.lat_e7 or 0, area.lon_e7 or 0, area.radius_mm or 0
    return {"lat_deg": lat / 1e7, "lon_deg": lon / 1e7, "radius_m": radius / 1000}


def cell_fields(cell: Cell) -> dict[str, Any]:
    """Return band, window and area of a cell; `unit` where its edges count a quantity other than Hz, such as bit/s."""
    return ({} if cell.band.unit is None else {"unit": cell.band.unit}) | {
        "low_hz": cell.band.low_hz,
        "high_hz": cell.band.high_hz,
        "start_ns": cell.window.start_ns,
        "end_ns": cell.window.end_ns,
        "area": area_fields(cell.area),
    }
