"""Outlines to the millimetre: the distance to a side against a search along it; what meets, touches, passes by."""

import math
import random

import pytest
from geographiclib.geodesic import Geodesic

from settlement.chain import rings
from settlement.chain.rings import MARGIN_MM, REACH_MM, Point
from tests.settlement.test_areas import HERE, at

STEP = 1  # 1e-7 degrees of latitude: 11 mm


def metres(a: Point, lat: float, lon: float) -> float:
    found = Geodesic.WGS84.Inverse(a[0] / 1e7, a[1] / 1e7, lat, lon, Geodesic.DISTANCE)
    return float(found["s12"])


def nearest_m(point: Point, a: Point, b: Point) -> float:
    """By ternary search: the distance is convex along the side."""
    line = Geodesic.WGS84.InverseLine(a[0] / 1e7, a[1] / 1e7, b[0] / 1e7, b[1] / 1e7)

    def away(at_m: float) -> float:
        here = line.Position(at_m, Geodesic.STANDARD)
        return metres(point, here["lat2"], here["lon2"])

    low, high = 0.0, line.s13
    while high - low > 1e-3:
        one, other = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, other) if away(one) < away(other) else (one, high)
    return min(away(low), away(high), away(0.0), away(line.s13))


CENTRES = [HERE, (0, 0), (700_000_000, 1_799_000_000), (-890_000_000, 500_000_000)]


@pytest.mark.attack(38)
@pytest.mark.parametrize("size_m", [1.5, 300.0, 30_000.0, 450_000.0])
def test_the_distance_to_a_side_is_never_more_than_it_is_and_less_by_a_millimetre_at_most(size_m: float) -> None:
    rng = random.Random(f"rings {size_m}")
    for centre in CENTRES:
        for _ in range(3):
            a, b, point = (at(rng.uniform(0, 360), rng.uniform(0.5, 1) * size_m, centre) for _ in range(3))
            found, true_m = rings.to_edge_mm(point, a, b), nearest_m(point, a, b)
            assert true_m * 1000 - 2 < found <= true_m * 1000 + 0.01, (centre, a, b, point)


def test_a_corner_of_the_side_and_a_side_that_is_a_point_and_a_point_that_is_far() -> None:
    a, b = at(0, 1_000), at(90, 1_000)
    assert rings.to_edge_mm(a, a, b) == rings.to_edge_mm(b, a, b) == 0
    assert rings.to_edge_mm(b, a, a) == math.floor(rings._solve(b, a)[0] * 1000)
    far = at(200, 3_000_000)
    near_m, length_m = rings._solve(far, a)[0], rings._solve(a, b)[0]
    found = rings.to_edge_mm(far, a, b)
    assert found == math.floor((near_m - length_m) * 1000)
    assert nearest_m(far, a, b) * 1000 - 2 * length_m * 1000 <= found <= nearest_m(far, a, b) * 1000
    long = at(200, 2_500_000)
    assert rings.to_edge_mm(at(20, 2_400_000), HERE, long) == 0, "what may be on it is not said to be off it"


@pytest.mark.attack(38)
def test_the_clearance_is_that_of_the_nearest_side_less_the_margin() -> None:
    rng = random.Random("clearance")
    for _ in range(25):
        count = rng.randrange(3, 9)
        ring = tuple(at(360 * n / count, rng.uniform(2_000, 20_000)) for n in range(count))
        point = at(rng.uniform(0, 360), rng.uniform(0, 25_000))
        _, clear_mm = rings.locate(point, ring)
        assert clear_mm == max(0, min(rings.to_edge_mm(point, a, b) for a, b in rings.edges(ring)) - MARGIN_MM)
    a, b, c = at(0, 9_000), at(120, 9_000), at(240, 9_000)
    assert rings.locate(a, (a, b, c))[1] == 0


@pytest.mark.attack(38)
def test_inside_is_inside_wherever_the_first_corner_is() -> None:
    """A point in an outline is within reach of its first corner, and may be farther than that from the others."""
    reach_m = REACH_MM / 1000 - 1_000
    first, north, south = HERE, at(350, reach_m), at(190, reach_m)
    ring = (first, north, at(270, reach_m / 2), south)
    assert rings.flaw(ring) is None
    near_south = at(192, reach_m * 0.9)
    assert rings._solve(near_south, north)[0] > REACH_MM / 1000
    assert rings.locate(near_south, ring)[0]
    assert not rings.locate(at(10, reach_m * 0.9), ring)[0]


def test_a_turn_is_the_short_way_round() -> None:
    turns = {(350.0, 10.0): 20.0, (10.0, 350.0): -20.0, (0.0, 179.0): 179.0, (0.0, 181.0): -179.0, (5.0, 5.0): 0.0}
    assert {pair: rings._turn(*pair) for pair in turns} == turns
    assert abs(rings._turn(-90.0, 90.0)) == 180.0


# -- sides -------------------------------------------------------------------------------------------------------------


def moved(point: Point, north: int = 0, east: int = 0) -> Point:
    return point[0] + north, point[1] + east


@pytest.mark.attack(14)
@pytest.mark.parametrize("arm_m", [50.0, 5_000.0, 200_000.0])
def test_sides_that_cross_touch_or_come_within_the_margin_are_not_apart(arm_m: float) -> None:
    north, east, south, west = (at(turn, arm_m) for turn in (0, 90, 180, 270))
    assert not rings.apart(north, south, west, east), "a cross"
    assert not rings.apart(north, south, west, HERE), "one ends on the other"
    assert not rings.apart(north, south, west, moved(HERE, east=-STEP)), "one ends 9 mm short of the other"
    assert not rings.apart(north, HERE, moved(HERE, north=-STEP), south), "one goes on 11 mm behind the other"
    assert not rings.apart(north, HERE, HERE, south), "one goes on where the other ends"
    assert rings.apart(north, south, west, at(270, arm_m / 10))
    assert not rings.apart(north, HERE, south, at(180, arm_m / 10)), "of one line nothing is sure"
    shifted = moved(north, east=3_000), moved(south, east=3_000)
    assert rings.apart(north, south, *shifted), "side by side, metres away"
    assert not rings.apart(north, south, moved(north, east=STEP), moved(south, east=STEP)), "side by side, 9 mm away"


@pytest.mark.attack(14)
def test_what_is_on_one_side_is_clear_of_the_line_by_more_than_the_margin() -> None:
    north, south = at(0, 1_000), at(180, 1_000)
    east, far_east, west = at(90, 500), at(80, 900), at(270, 500)
    assert rings._one_side(north, south, east, far_east)
    assert rings._one_side(south, north, east, far_east)
    assert not rings._one_side(north, south, east, west)
    on_line = moved(HERE, east=STEP)
    for beside in (east, west):
        assert not rings._one_side(north, south, beside, on_line), "9 mm from it"
        assert not rings._one_side(south, north, on_line, beside)
    three = moved(HERE, east=3 * STEP)
    assert rings._one_side(north, south, east, three), "26 mm from it"


def test_nothing_is_said_of_sides_as_far_apart_as_a_continent() -> None:
    a, b = at(0, 1_050_000), at(180, 100)
    c, d = at(180, 100.01), at(180, 1_050_000)
    assert not rings.apart(a, b, c, d)
    assert rings.apart(a, at(0, 1_000_000), d, at(180, 1_000_000))


@pytest.mark.attack(14)
def test_sides_of_one_corner_do_not_run_back_along_each_other() -> None:
    tip, left = at(0, 1_000), HERE
    for east, held in ((1, False), (2, False), (3, True), (1_000_000, True)):
        other = moved(tip, east=east)
        for first in ((left, tip), (tip, left)):
            for second in ((left, other), (other, left)):
                assert rings._joined_or_apart(first, second) is held, east
    assert rings._joined_or_apart((left, tip), (left, at(180, 1_000)))
    assert rings._joined_or_apart((left, tip), (left, at(92, 1_000)))
    short = moved(left, east=3)
    assert rings._joined_or_apart((left, tip), (left, short)), "a right angle, 26 mm long"
    assert not rings._joined_or_apart((left, tip), (left, moved(left, north=2, east=2))), "18 mm beside it"
    assert not rings._joined_or_apart((tip, at(180, 1_000)), (at(270, 9), at(90, 9)))


@pytest.mark.attack(64)
def test_outlines_that_touch_at_a_corner_are_not_apart_and_each_is_outside_the_other() -> None:
    corner = HERE
    one = (at(350, 5_000), corner, at(280, 5_000))
    other = (at(170, 5_000), corner, at(100, 5_000))
    assert rings.flaw(one) is None
    assert rings.flaw(other) is None
    assert not rings.rings_apart(one, other)
    assert not rings.rings_apart(other, one)
    away = tuple(at(turn, metres) for turn, metres in ((170, 5_000), (135, 100), (100, 5_000)))
    assert rings.rings_apart(one, away)
    assert not rings.ring_holds(one, other)
