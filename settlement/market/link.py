"""A link between two places as an area: a strip on both sides of the line between its ends. Pure."""

from geographiclib.geodesic import Geodesic

from settlement.chain.scope import Area, Corner

Place = tuple[int, int]
"""Latitude and longitude, degrees x 1e7."""


def corridor(a: Place, b: Place, half_mm: int) -> Area:
    """Return the strip within `half_mm` of the geodesic between two places, as an outline of four corners.

    It reaches `half_mm` beyond each end, so that a station at an end is inside. For two equal places, or a width of 0,
    the outline is not valid; `Area.flaw` reports that.
    """
    line = Geodesic.WGS84.Inverse(a[0] / 1e7, a[1] / 1e7, b[0] / 1e7, b[1] / 1e7)
    half_m = half_mm / 1000
    corners = []
    for place, ahead, azimuth in ((a, -1, line["azi1"]), (b, 1, line["azi2"])):
        end = _along(place, azimuth if ahead > 0 else azimuth + 180, half_m)
        corners += [_along(end, azimuth + side, half_m) for side in (90 * ahead, -90 * ahead)]
    return Area(outline=tuple(Corner(lat_e7=lat, lon_e7=lon) for lat, lon in corners))


def _along(place: Place, azimuth_deg: float, metres: float) -> Place:
    found = Geodesic.WGS84.Direct(place[0] / 1e7, place[1] / 1e7, azimuth_deg, metres)
    return round(found["lat2"] * 1e7), round(found["lon2"] * 1e7)
