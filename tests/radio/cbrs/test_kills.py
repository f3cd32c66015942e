"""Agent, warden and endpoint killed at each step of a grant: nothing longer or wider than the settlement is told."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.cbrs.book import CbsdBook
from radio.cbrs.outlet import Outlet
from settlement.pair.artifact import VerifiedPermit
from tests.radio.cbrs.kills import run
from tests.radio.test_gate import permit

pytestmark = pytest.mark.feature("R12")
__all__ = ["permit"]
SEEDS = int(os.environ.get("BANDPACT_CBSD_SEEDS", "60"))


def test_nothing_longer_or_wider_is_told_whatever_is_killed(permit: VerifiedPermit, tmp_path: Path) -> None:
    worlds = [run(permit, tmp_path, seed) for seed in range(SEEDS)]
    assert sum(world.gave for world in worlds) > 4 * SEEDS
    assert sum(world.kills for world in worlds) > 5 * SEEDS


def _forgetful(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(CbsdBook, "keep", lambda self: None)


def _no_sum(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(Outlet, "_loud", lambda *_: None)


def _generous(monkey: pytest.MonkeyPatch) -> None:
    import radio.cbrs.outlet as module

    before = module.decide
    monkey.setattr(module, "decide", lambda i: before(module.replace(i, lead_ns=0)))


def _renamed(monkey: pytest.MonkeyPatch) -> None:
    monkey.setattr(Outlet, "_another", lambda *_: None)


def some_seeds(permit: VerifiedPermit, tmp_path: Path) -> None:
    for seed in range(40):
        run(permit, tmp_path, seed)


@pytest.mark.parametrize("weaken", [_forgetful, _no_sum, _generous, _renamed])
def test_the_oracle_finds_a_weakened_warden(
    monkeypatch: pytest.MonkeyPatch, permit: VerifiedPermit, tmp_path: Path, weaken: Callable[[Any], None]
) -> None:
    weaken(monkeypatch)
    with pytest.raises(AssertionError):
        some_seeds(permit, tmp_path)
