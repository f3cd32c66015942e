"""Kill -9 at the steps around a settlement, real processes: the offer, the renewals, the early end."""

from pathlib import Path

import pytest

from tests.settlement.test_kills import POINTS, kill_and_compare

LATER = [("holder", "ended"), ("alice", "renewed"), ("alice", "ended"), ("alice", "offer"), ("holder", "offered")]


@pytest.mark.feature("S7")
@pytest.mark.attack(47)
@pytest.mark.parametrize(("who", "step", "point"), [(who, step, point) for who, step in LATER for point in POINTS])
def test_killed_around_a_settlement_both_agree(tmp_path: Path, who: str, step: str, point: str) -> None:
    kill_and_compare(tmp_path, who, step, point)
