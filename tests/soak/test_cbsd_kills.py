"""Two thousand seeds of base stations below a warden, an agent and an endpoint that are killed at every step."""

import os
from pathlib import Path

import pytest

from settlement.pair.artifact import VerifiedPermit
from tests.radio.cbrs.kills import run
from tests.radio.test_gate import permit

__all__ = ["permit"]
SEEDS = int(os.environ.get("BANDPACT_CBSD_SEEDS", "2000"))


@pytest.mark.feature("R12")
@pytest.mark.timeout(3600)
def test_two_thousand_seeds_tell_nothing_longer_or_wider(permit: VerifiedPermit, tmp_path: Path) -> None:
    worlds = [run(permit, tmp_path, seed) for seed in range(10_000, 10_000 + SEEDS)]
    assert sum(world.gave for world in worlds) > 4 * SEEDS
    assert sum(world.kills for world in worlds) > 4 * SEEDS
