"""Circles and outlines: inside, outside or undecided; delegation refuses what it cannot decide, conflict assumes it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from geographiclib.geodesic import Geodesic
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from settlement.chain import rings
from settlement.chain.codec import decode, encode
from settlement.chain.scope import Area, Band, Cell, Corner, Window, wider_than
from settlement.core.fixes import PositionFix, PositionSource
from settlement.core.reasons import Reason, Refusal, RefusedError
from settlement.pair.artifact import VerifiedPermit, verify
from tests.settlement.world import LOWER, NETWORK, NS, T0, UPPER, scope, trio

HERE = (369_500_000, -763_000_000)
Polar = tuple[float, float]


def at(azimuth: float, metres: float, centre: rings.Point = HERE) -> rings.Point:
    found = Geodesic.WGS84.Direct(centre[0] / 1e7, centre[1] / 1e7, azimuth, metres)
    return round(found["lat2"] * 1e7), round(found["lon2"] * 1e7)


def outline(*corners: rings.Point) -> Area:
    return Area(outline=tuple(Corner(lat_e7=lat, lon_e7=lon) for lat, lon in corners))


def circle(centre: rings.Point, metres: float) -> Area:
    return Area(lat_e7=centre[0], lon_e7=centre[1], radius_mm=round(metres * 1000))


def fixed(point: rings.Point, radius_mm: int = 0) -> PositionFix:
    return PositionFix(
        lat_e7=point[0], lon_e7=point[1], radius_mm=radius_mm, source=PositionSource.SURVEYED, trusted=True
    )


def verdict(area: Area, point: rings.Point, radius_mm: int = 0) -> Reason | None:
    refusal = area.place(fixed(point, radius_mm), "x")
    return refusal.reason if refusal else None


def square(half_m: float, centre: rings.Point = HERE) -> Area:
    return outline(*(at(45 + 90 * n, half_m * math.sqrt(2), centre) for n in range(4)))


stars = st.lists(st.floats(2_000, 20_000), min_size=3, max_size=12)
"""Radii of a star-shaped outline; with three or more corners no side passes behind its centre."""
points = st.tuples(st.floats(0, 360), st.floats(0, 25_000))


def star(radii: list[float], scale: float = 1.0) -> list[rings.Point]:
    return [at(360 * n / len(radii), r * scale) for n, r in enumerate(radii)]


def plane(corners: list[Polar]) -> list[tuple[float, float]]:
    return [(r * math.sin(math.radians(a)), r * math.cos(math.radians(a))) for a, r in corners]


def flat_side(point: tuple[float, float], ring: list[tuple[float, float]]) -> tuple[bool, float]:
    """Even-odd rule and distance to the edge in the plane: right to centimetres at these sizes."""
    inside, nearest, (x, y) = False, math.inf, point
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
        along = min(max(along, 0.0), 1.0)
        nearest = min(nearest, math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)))
    return inside, nearest


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(stars, points)
def test_a_point_against_an_outline_agrees_with_the_plane(radii: list[float], where: Polar) -> None:
    inside, clear_mm = rings.locate(at(*where), tuple(star(radii)))
    flat = plane([(360 * n / len(radii), r) for n, r in enumerate(radii)])
    expected, away_m = flat_side(plane([where])[0], flat)
    assume(away_m > 1.0)
    assert inside == expected
    assert abs(clear_mm / 1000 - away_m) < 0.5


@pytest.mark.feature("S3")
@pytest.mark.attack(38)
def test_the_disc_decides() -> None:
    area = square(10_000)
    assert verdict(area, HERE, 9_000_000) is None
    assert verdict(area, at(90, 9_000), 900_000) is None
    assert verdict(area, at(90, 9_000), 1_100_000) is Reason.SPATIAL_UNDECIDED
    assert verdict(area, at(90, 11_000), 900_000) is Reason.SPATIAL_OUTSIDE
    assert verdict(area, at(90, 11_000), 1_100_000) is Reason.SPATIAL_UNDECIDED
    assert verdict(area, area.ring[2]) is Reason.SPATIAL_UNDECIDED
    assert verdict(area, at(0, 9_999_000)) is Reason.SPATIAL_OUTSIDE
    refusal = area.place(replace(fixed(HERE), trusted=False), "x")
    assert refusal is not None
    assert refusal.reason is Reason.POSITION_UNTRUSTED


@pytest.mark.parametrize("centre", [(0, 1_800_000_000), (899_900_000, 0), (-900_000_000, 0), (0, 0)])
def test_dateline_poles_and_equator_are_places_like_any_other(centre: rings.Point) -> None:
    big, small = square(50_000, centre), square(20_000, centre)
    assert big.flaw() is None
    assert verdict(big, centre, 1000) is None
    assert verdict(big, at(10, 80_000, centre)) is Reason.SPATIAL_OUTSIDE
    assert big.holds(small)
    assert not small.holds(big)
    antipode = (-centre[0], (centre[1] + 3_600_000_000) % 3_600_000_000 - 1_800_000_000)
    assert verdict(big, antipode, 1000) is Reason.SPATIAL_OUTSIDE
    assert not big.overlaps(square(50_000, at(90, 200_000, centre)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(stars, st.floats(0.3, 0.99), points)
def test_an_outline_drawn_in_is_held_and_holds_nothing_more(radii: list[float], scale: float, where: Polar) -> None:
    whole, drawn_in = outline(*star(radii)), outline(*star(radii, scale))
    assert whole.holds(whole)
    assert whole.holds(drawn_in)
    assert not drawn_in.holds(whole)
    assert whole.overlaps(drawn_in)
    if verdict(drawn_in, at(*where)) is None:
        assert verdict(whole, at(*where)) is None


areas = st.one_of(
    st.builds(lambda r, p: outline(*star_at(r, at(*p))), stars, points),
    st.builds(lambda p, r: circle(at(*p), r), points, st.floats(1_000, 40_000)),
)


def star_at(radii: list[float], centre: rings.Point) -> list[rings.Point]:
    return [at(360 * n / len(radii), r, centre) for n, r in enumerate(radii)]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(areas, areas, st.lists(points, min_size=8, max_size=8))
def test_what_one_holds_is_in_it_and_what_is_apart_shares_nothing(one: Area, other: Area, where: list[Polar]) -> None:
    spots = [at(*p) for p in where] + [other.anchor, one.anchor]
    spots += list(other.ring) + list(one.ring)
    if one.holds(other):
        assert one.overlaps(other)
        assert not any(verdict(other, s) is None and verdict(one, s) is Reason.SPATIAL_OUTSIDE for s in spots)
    if not one.overlaps(other):
        assert not other.overlaps(one)
        assert not any(verdict(one, s) is None and verdict(other, s) is None for s in spots)
    both = [s for s in spots if verdict(one, s) is None and verdict(other, s) is None]
    outside = [s for s in spots if verdict(other, s) is None and verdict(one, s) is Reason.SPATIAL_OUTSIDE]
    assert not both or one.overlaps(other)
    assert not outside or not one.holds(other)


def test_circles_and_outlines_hold_each_other_only_for_sure() -> None:
    ten = square(10_000)
    assert ten.holds(circle(HERE, 9_990))
    assert not ten.holds(circle(HERE, 10_010))
    assert circle(HERE, 14_150).holds(ten)
    assert not circle(HERE, 14_140).holds(ten)
    assert not ten.overlaps(circle(at(90, 20_000), 9_990))
    assert ten.overlaps(circle(at(90, 20_000), 10_010))
    assert ten.overlaps(circle(HERE, 100))
    assert circle(HERE, 15_000_000).holds(ten)
    assert not circle(at(90, 15_000_000), 15_000_000).holds(ten)


def test_a_part_may_share_corners_and_sides_with_the_whole() -> None:
    whole = square(10_000)
    a, b, c, d = whole.ring
    half, corner_cut = outline(a, b, c), outline(a, b, HERE)
    assert whole.holds(half)
    assert whole.holds(corner_cut)
    assert whole.holds(outline(c, d, a, b))
    assert whole.holds(outline(d, c, b, a))
    assert not half.holds(whole)
    assert not half.holds(outline(c, d, a))
    assert half.overlaps(outline(c, d, a)), "neighbours that touch are not surely apart"
    dented = outline(a, b, HERE, c, d)
    assert whole.holds(dented)
    assert not dented.holds(whole)
    assert not dented.holds(outline(a, b, c)), "its third side runs outside the dent"
    assert not whole.holds(outline(a, b, at(180, 20_000)))


def test_an_arm_that_crosses_without_a_corner_inside_overlaps() -> None:
    tall = outline(at(350, 30_000), at(10, 30_000), at(170, 30_000), at(190, 30_000))
    wide = outline(at(80, 30_000), at(100, 30_000), at(260, 30_000), at(280, 30_000))
    assert tall.overlaps(wide)
    assert not tall.holds(wide)


FLAWS = {
    "crosses": [at(0, 9_000), at(180, 9_000), at(90, 9_000), at(270, 9_000)],
    "comes twice": [at(0, 9_000), at(120, 9_000), at(240, 9_000), at(0, 9_000)],
    "further": [at(0, 9_000), at(120, 9_000), at(240, 600_000)],
    "touch": [at(0, 9_000), at(0, 4_000), at(0, 100)],
}


@pytest.mark.parametrize("name", FLAWS)
def test_what_is_no_outline_is_not_decoded_and_not_signed(name: str) -> None:
    area = outline(*FLAWS[name])
    assert area.flaw() is not None
    with pytest.raises(RefusedError, match="MALFORMED"):
        encode(area)


@pytest.mark.parametrize(
    "fields",
    [{"lat_e7": 1}, {}, {"lat_e7": 1, "lon_e7": 1, "radius_mm": 1, "outline": square(1_000).outline}],
    ids=["half a circle", "nothing", "both"],
)
def test_an_area_is_one_of_the_two(fields: dict[str, object]) -> None:
    with pytest.raises(RefusedError, match="MALFORMED"):
        encode(Area(**fields))  # type: ignore[arg-type]


def test_an_outline_travels() -> None:
    area = square(10_000)
    back = decode(Area, encode(area), "area")
    assert not isinstance(back, Refusal)
    assert back == area
    assert "4 corners" in str(area)


@pytest.mark.feature("G3")
@pytest.mark.attack(14)
def test_delegation_from_circle_to_outline_and_on_only_narrows() -> None:
    parent = scope(("issue",), depth=3)
    county = replace(parent, area=square(10_000), depth=2)
    town = replace(county, area=circle(HERE, 9_000), depth=1)
    assert wider_than(county, parent) is None
    assert wider_than(town, county) is None
    refusal = wider_than(replace(town, area=circle(HERE, 10_001)), county)
    assert refusal is not None
    assert refusal.clause == "scope.area"
    assert wider_than(replace(county, area=square(15_000)), parent) is not None


@pytest.mark.feature("S3")
@pytest.mark.attack(38)
def test_a_settlement_of_an_outlined_cell_from_request_to_permit(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.offer()
    world.carry(0.1)

    def ask(area: Area, band: Band = LOWER, user: str = "alice", at_s: float = 1.0) -> tuple[bytes, Reason | None]:
        party = world.members[user].party
        offer = next(iter(party.user.offers.values()))
        cell = Cell(band=band, area=area, window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 12 * NS))
        sid: bytes = world.do(
            user, at_s, lambda s: party.user.request(s, offer, cell, eirp_mdbm=20_000).sid, honest=False
        )
        refusals = world.carry(at_s)
        return sid, refusals[0].reason if refusals else None

    # Everyone stands at HERE: on a square's west side, 1 km west of it, or well inside.
    assert ask(square(5_000, at(90, 5_000)))[1] is Reason.SPATIAL_UNDECIDED
    assert ask(square(4_000, at(90, 5_000)), at_s=1.1)[1] is Reason.SPATIAL_OUTSIDE
    assert ask(square(30_000), at_s=1.2)[1] is Reason.SCOPE
    sid, refused = ask(square(10_000, at(90, 1_000)), at_s=1.3)
    assert refused is None
    artifact = world.members["alice"].party.lineage.get("artifact", sid)
    assert artifact is not None
    permit = verify(artifact, network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
    assert permit.cell.area.place(fixed(HERE, 1000), "gate.10") is None
    assert ask(square(500), user="bob", at_s=1.4)[1] is Reason.CONFLICT
    assert ask(square(500), UPPER, "bob", at_s=1.5)[1] is None
