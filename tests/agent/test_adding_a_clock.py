"""A kind of clock source is a module and an entry: the configuration checks its keys, and the node listens to it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

import agent.config
from agent.timekeeping.registry import CLOCKS
from tests.agent.test_service import config

CLOCK = '''
"""A scratch clock: exact, and asked on the spot."""

from typing import ClassVar, Literal

from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeFix, TimeSource


class ScratchSource:
    """Says the monotonic clock's own time."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, monotonic_ns: int) -> Reading:
        fix = TimeFix(earliest_ns=monotonic_ns, latest_ns=monotonic_ns, source=TimeSource.SIMULATED, trusted=True)
        return Reading(name=self.name, at_ns=monotonic_ns, standing=SourceStanding.GOOD, time=fix, note="scratch")


class ScratchClock(ClockSourceSection):
    """A scratch clock with a `pace`."""

    counts_as: ClassVar[TimeSource] = TimeSource.SIMULATED
    kind: Literal["scratch"]
    name: str = "scratch"
    pace: int = 1

    @property
    def best_us(self) -> float:
        return 0.0

    def asked(self) -> ScratchSource:
        return ScratchSource(self.name)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The recipe: (1) the module, (2) the entry."""
    (tmp_path / "scratch_clock.py").write_text(CLOCK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(CLOCKS, "scratch", importlib.import_module("scratch_clock").ScratchClock)
    monkeypatch.setattr(agent.config, "settings", sys.modules["agent.config.settings"])
    monkeypatch.delitem(sys.modules, "agent.config.settings")
    importlib.import_module("agent.config.settings")
    yield tmp_path
    sys.modules.pop("scratch_clock", None)


def node(folder: Path, **source: object) -> Path:
    path = folder / "node.toml"
    values = config(folder)
    path.write_text(tomli_w.dumps({**values, "clock": {**values["clock"], "sources": [{"kind": "scratch", **source}]}}))
    return path


@pytest.mark.feature("S6")
def test_a_module_and_an_entry_make_a_clock_source(added: Path) -> None:
    from agent.timekeeping.assembly import timekeeper

    settings = importlib.import_module("agent.config.settings")
    held = settings.load(node(added, pace=2))
    assert held.clock.sources[0].pace == 2
    keeper = timekeeper(held)
    try:
        keeper.fix()
        assert [one.name for one in keeper.state().sources] == ["scratch"]
    finally:
        keeper.close()
    with pytest.raises(settings.ConfigError, match=r"pace: Input should be a valid integer"):
        settings.load(node(added, pace="x"))
