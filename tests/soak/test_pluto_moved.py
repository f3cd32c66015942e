"""Measures how long RF stays where another program retuned the radio, over many gate openings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from radio.priority import before_others, like_others
from tests.radio import foreign
from tests.radio.plutobench import bench
from tests.radio.test_pluto_watched import TRANSMITTING, guarded, opened, until

ROUNDS = int(os.environ.get("BANDPACT_MOVES", "100"))
LIMIT_NS = 100_000_000
ELSEWHERE_HZ = 3_700_000_000


@pytest.fixture
def like_a_warden() -> Iterator[None]:
    """The priority a warden's process has."""
    before_others()
    yield
    like_others()


@pytest.mark.feature("R3")
@pytest.mark.usefixtures("like_a_warden")
def test_rf_is_off_within_a_heartbeat_of_being_moved(tmp_path: Path) -> None:
    took_ns = []
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with bench() as made, guarded(folder, made) as held:
            opened(held)
            way = foreign.iio_attr if number % 2 else foreign.write
            way(made.uri, *TRANSMITTING["LO"])
            until(held, "LATCHED")
            there = [one for one in made.air.emissions() if abs(one.center_hz - ELSEWHERE_HZ) < 5_000_000]
            took_ns.append(max(one.end_ns for one in there) - min(one.start_ns for one in there))
    took_ns.sort()
    print(f"{ROUNDS} moves: RF there for p50 {took_ns[len(took_ns) // 2] / 1e6:.1f} ms, max {took_ns[-1] / 1e6:.1f} ms")
    assert took_ns[len(took_ns) // 2] <= LIMIT_NS
