"""Geometry of outlines on WGS-84: where a point lies against an outline, and whether two outlines meet.

An outline is a ring of corners in degrees x 1e7, joined by shortest geodesics, that does not touch itself; its sense
of rotation does not matter. Nothing is projected: azimuths and distances are solved on the ellipsoid (Karney 2013,
through geographiclib), so dateline and poles need no special case. Three facts suffice, all of which hold for
distances below a quarter of the globe, and `flaw` keeps outlines far below:

- seen from a point beside it, a geodesic subtends less than 180 degrees: the turns from corner to corner add up to
  a full turn inside, to nothing outside
- the distance to a point is convex along a geodesic: its slope anywhere bounds the least distance from below
- the two sides of a geodesic are convex: a segment whose ends are on one side does not cross it

Whatever lies within MARGIN_MM of an edge is undecided.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from geographiclib.geodesic import Geodesic

Point = tuple[int, int]
Ring = tuple[Point, ...]
"""Corners as (latitude, longitude), degrees x 1e7."""

CORNERS_MIN, CORNERS_MAX = 3, 32
REACH_MM = 500_000_000
"""Largest distance of a corner from the first corner, mm."""
MARGIN_MM = 20
"""Distance from an edge, mm, within which a point is undecided: 1e-7 degrees is 11 mm; solutions are exact to nm."""
_FAR_M = 2_000_000.0
_STEPS_MAX, _STEP_M = 8, 1e-4
_MIDDLE_RADIUS_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563


@lru_cache(maxsize=8192)
def _solve(a: Point, b: Point) -> tuple[float, float]:
    """Distance in metres and azimuth at `a` in degrees."""
    found = Geodesic.WGS84.Inverse(a[0] / 1e7, a[1] / 1e7, b[0] / 1e7, b[1] / 1e7, Geodesic.DISTANCE | Geodesic.AZIMUTH)
    return float(found["s12"]), float(found["azi1"])


@lru_cache(maxsize=8192)
def _cartesian(a: Point) -> tuple[float, float, float]:
    """Earth-centred coordinates in metres (the ellipsoid, EPSG method 9602 at height 0)."""
    lat, lon = math.radians(a[0] / 1e7), math.radians(a[1] / 1e7)
    squared = _FLATTENING * (2 - _FLATTENING)
    normal = _MIDDLE_RADIUS_M / math.sqrt(1 - squared * math.sin(lat) ** 2)
    flat = normal * math.cos(lat)
    return flat * math.cos(lon), flat * math.sin(lon), normal * (1 - squared) * math.sin(lat)


def _chord_m(a: Point, b: Point) -> float:
    """Straight distance through the Earth in metres: never longer than the geodesic, and fast to compute."""
    return math.dist(_cartesian(a), _cartesian(b))


def _turn(start: float, end: float) -> float:
    """Return the turn from one azimuth to another, -180 to 180 degrees."""
    return (end - start + 180.0) % 360.0 - 180.0


def edges(ring: Ring) -> Iterator[tuple[Point, Point]]:
    """Yield the sides of a ring, the closing side last."""
    return zip(ring, (*ring[1:], ring[0]), strict=True)


def to_edge_mm(point: Point, a: Point, b: Point) -> int:
    """Return a lower bound, tight to the millimetre, of the distance from a point to the geodesic from `a` to `b`."""
    length_m = _solve(a, b)[0]
    near_m, far_m = _solve(point, a)[0], _solve(point, b)[0]
    if near_m > _FAR_M or length_m < 1e-3:
        return max(0, math.floor((near_m - length_m) * 1000))
    line = Geodesic.WGS84.InverseLine(a[0] / 1e7, a[1] / 1e7, b[0] / 1e7, b[1] / 1e7)
    at_m = min(max((near_m**2 + length_m**2 - far_m**2) / (2 * length_m), 0.0), length_m)
    best_m = 0.0
    for _ in range(_STEPS_MAX):
        here = line.Position(at_m, Geodesic.STANDARD)
        out = Geodesic.WGS84.Inverse(here["lat2"], here["lon2"], point[0] / 1e7, point[1] / 1e7)
        distance_m = float(out["s12"])
        slope = math.cos(math.radians(float(out["azi1"]) - float(here["azi2"])))
        left_m = length_m - at_m if slope > 0 else at_m
        best_m = max(best_m, distance_m - abs(slope) * left_m)
        before_m, at_m = at_m, min(max(at_m + distance_m * slope, 0.0), length_m)
        if abs(at_m - before_m) < _STEP_M:
            break
    return max(0, math.floor(best_m * 1000))


def locate(point: Point, ring: Ring) -> tuple[bool, int]:
    """Whether a point is inside a ring, and its least distance from the edge in mm. Below 1 mm it is undecided."""
    seen = [_solve(point, corner) for corner in ring]
    turned = sum(_turn(a[1], b[1]) for a, b in zip(seen, (*seen[1:], seen[0]), strict=True))
    bounds = sorted(
        ((seen[n][0] + seen[(n + 1) % len(ring)][0] - _solve(a, b)[0]) / 2, a, b)
        for n, (a, b) in enumerate(edges(ring))
    )
    nearest_mm = math.inf
    for bound_m, a, b in bounds:
        if bound_m * 1000 >= nearest_mm:
            break
        nearest_mm = min(nearest_mm, to_edge_mm(point, a, b))
    # A point inside is within REACH_MM of the first corner; further away the sum of turns means nothing.
    inside = abs(turned) > 180.0 and seen[0][0] * 1000 <= REACH_MM
    return inside, max(0, int(nearest_mm) - MARGIN_MM)


def _one_side(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether `c` and `d` are surely on the same side of the geodesic through `a` and `b`."""
    along = _solve(a, b)[1]
    offsets = [s * math.sin(math.radians(azimuth - along)) for s, azimuth in (_solve(a, c), _solve(a, d))]
    clear = MARGIN_MM / 1000
    return min(offsets) > clear or max(offsets) < -clear


def apart(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the geodesics from `a` to `b` and from `c` to `d` surely do not meet."""
    halves_m = (_solve(a, b)[0] + _solve(c, d)[0]) / 2 + MARGIN_MM / 1000
    if all(_chord_m(p, q) > halves_m for p in (a, b) for q in (c, d)):
        return True  # no point of a geodesic is further from its nearer end than half its length
    if {a, b} & {c, d}:
        return False
    if any(_chord_m(p, q) > _FAR_M for p in (a, b) for q in (c, d)):
        return False
    return _one_side(a, b, c, d) or _one_side(c, d, a, b)


@lru_cache(maxsize=1024)
def flaw(ring: Ring) -> str | None:
    """Return why a ring is not a valid outline; None when it is one."""
    if not CORNERS_MIN <= len(ring) <= CORNERS_MAX:
        return f"{len(ring)} corners, not {CORNERS_MIN} to {CORNERS_MAX}"
    if len(set(ring)) != len(ring):
        return "a corner comes twice; the last one joins the first by itself"
    if max(_solve(ring[0], corner)[0] for corner in ring) * 1000 > REACH_MM:
        return f"a corner is more than {REACH_MM // 1_000_000} km from the first"
    sides = list(edges(ring))
    for n, first in enumerate(sides):
        for m in range(n + 1, len(sides)):
            if not _joined_or_apart(first, sides[m]):
                return f"sides {n + 1} and {m + 1} touch or cross"
    return None


def _joined_or_apart(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    """Whether two sides of a ring fit: with a common corner they do not run back along each other, else do not meet."""
    shared = set(first) & set(second)
    if not shared:
        return apart(*first, *second)
    (corner,) = shared
    one = first[0] if first[1] == corner else first[1]
    other = second[0] if second[1] == corner else second[1]
    (one_m, one_azimuth), (other_m, other_azimuth) = _solve(corner, one), _solve(corner, other)
    between = abs(_turn(one_azimuth, other_azimuth))
    return between > 90.0 or min(one_m, other_m) * math.sin(math.radians(between)) > MARGIN_MM / 1000


def _middle(a: Point, b: Point) -> Point:
    line = Geodesic.WGS84.InverseLine(a[0] / 1e7, a[1] / 1e7, b[0] / 1e7, b[1] / 1e7)
    here = line.Position(line.s13 / 2)
    return round(here["lat2"] * 1e7), round(here["lon2"] * 1e7)


@lru_cache(maxsize=1024)
def ring_holds(outer: Ring, inner: Ring) -> bool:
    """Whether the inner outline is surely inside the outer one. They may share corners and whole sides."""
    corners, sides = set(outer), {frozenset(side) for side in edges(outer)}
    own = [side for side in edges(inner) if frozenset(side) not in sides]
    for corner in set(inner) - corners:
        if not surely_inside(corner, outer):
            return False
    for a, b in own:
        if not all(_clear(a, b, c, d) for c, d in edges(outer)):
            return False
        if {a, b} <= corners and not surely_inside(_middle(a, b), outer):
            return False
    return bool(own) or set(inner) == corners


def _clear(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two sides of different outlines surely meet nowhere but in a corner that both have."""
    return _joined_or_apart((a, b), (c, d)) if {a, b} & {c, d} else apart(a, b, c, d)


def surely_inside(point: Point, ring: Ring, radius_mm: int = 0) -> bool:
    """Whether the whole disc around a point is surely inside a ring."""
    inside, clearance_mm = locate(point, ring)
    return inside and clearance_mm > 0 and clearance_mm >= radius_mm


def surely_outside(point: Point, ring: Ring, radius_mm: int = 0) -> bool:
    """Whether the disc around a point surely shares no point with a ring."""
    inside, clearance_mm = locate(point, ring)
    return not inside and clearance_mm > radius_mm


@lru_cache(maxsize=1024)
def rings_apart(one: Ring, other: Ring) -> bool:
    """Whether two outlines surely share no point."""
    reach = [max(_solve(ring[0], corner)[0] for corner in ring) for ring in (one, other)]
    if _solve(one[0], other[0])[0] > sum(reach) + MARGIN_MM / 1000:
        return True
    if not all(apart(a, b, c, d) for a, b in edges(one) for c, d in edges(other)):
        return False
    return surely_outside(one[0], other) and surely_outside(other[0], one)


def farthest_mm(point: Point, ring: Ring) -> int:
    """Return an upper bound of the distance from a point to any place in a ring, mm."""
    farthest_m = max(_solve(point, corner)[0] for corner in ring)
    if farthest_m > _FAR_M:  # beyond this, distance is not surely convex along a side
        farthest_m = _solve(point, ring[0])[0] + max(_solve(ring[0], corner)[0] for corner in ring)
    return math.ceil(farthest_m * 1000) + MARGIN_MM
