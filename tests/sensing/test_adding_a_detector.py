"""docs/adding-a-detector.md, followed: a file and an entry make a detector; survey and `sense` use it by its name."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from agent.cli.main import app
from sensing.detectors.registry import DECIDERS
from tests.sensing.test_detector_contract import channel_cells

DETECTOR = '''
"""A scratch detector: the usual one, which takes nothing for busy that is not twice over its threshold."""

from dataclasses import dataclass, replace

from sensing.detectors.channel import ChannelCells, ChannelDecision, ChannelDetector

ASKED = []


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchDetector(ChannelDetector):
    """Energy over twice the F threshold."""

    def decide(self, seen: ChannelCells) -> ChannelDecision:
        """One decision for each block."""
        ASKED.append(len(seen.power))
        made = ChannelDetector(pfa=self.pfa, uneven_db=self.uneven_db).decide(seen)
        return replace(made, threshold=2 * made.threshold)
'''
RUN = CliRunner()


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The recipe: (1) the detector's file, (2) the entry; gives how many blocks it was asked about, each time."""
    (tmp_path / "scratch_detector.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("scratch_detector")
    monkeypatch.setitem(DECIDERS, "scratch", module.ScratchDetector)
    yield module.ASKED
    sys.modules.pop("scratch_detector", None)


@pytest.mark.feature("E1")
def test_two_files_make_a_detector_that_sense_uses(added: list[int]) -> None:
    done = RUN.invoke(app, ["sense", "sim:", "--for", "30ms", "--detector", "scratch", "--json"])
    assert done.exit_code in (0, 3), done.output
    assert added, "the survey asked it"
    assert json.loads(done.stdout)


@pytest.mark.feature("E2")
def test_it_is_held_to_the_contract_of_all(added: list[int]) -> None:
    decision = DECIDERS["scratch"](pfa=1e-2).decide(channel_cells(np.random.default_rng(9), 20_000))
    assert int(decision.present.sum()) <= stats.binom.ppf(0.9995, 20_000, decision.pfa)
    assert added == [20_000]


def test_one_that_is_not_there_is_named() -> None:
    done = RUN.invoke(app, ["sense", "sim:", "--detector", "scratch"])
    assert done.exit_code == 2
    assert "--detector scratch: no such detector; give one of: channel" in done.stderr
