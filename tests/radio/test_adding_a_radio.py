"""docs/adding-a-radio.md, followed: a driver file, a profile and an entry make a radio; no other file is touched."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

import agent.config
from agent.cli.main import app
from agent.config.settings import ConfigError, load_layers
from agent.node.emergencystop import stop_radio
from hw_profiles.loader import load_radio
from radio.drivers.registry import DRIVERS, unit_at
from radio.ports import RfState
from tests.agent.test_service import TUNED, config

DRIVER = '''
"""A scratch radio: noise out of a generator, on a bench of its own."""

from typing import ClassVar, Literal, Self

from radio.drivers.section import RadioSection
from radio.ports import RfState
from sim.source import open_receiver

MUTED = []


class ScratchSection(RadioSection):
    """A scratch radio by `slot`."""

    written: ClassVar[str] = "scratch:SLOT"
    driver: Literal["scratch"] = "scratch"
    slot: int

    @property
    def where(self) -> str:
        return f"slot {self.slot}"

    @classmethod
    def at(cls, rest: str, serial: str | None = None) -> Self:
        return cls(slot=int(rest), rx_center_hz=0, sample_rate_hz=0, rx_bandwidth_hz=0)

    @classmethod
    def open_receiver(cls, rest: str):
        return open_receiver("")

    def open(self, profile):
        return (self.slot, profile.id)

    def silence(self) -> RfState:
        MUTED.append(self.slot)
        return RfState.OFF

    def rf_state(self) -> RfState:
        return RfState.OFF

    def same_unit(self, other: RadioSection) -> bool:
        return isinstance(other, ScratchSection) and other.slot == self.slot
'''
RUN = CliRunner()
PROFILES = Path(__file__).resolve().parents[2] / "hw_profiles"


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The recipe: (1) the driver file, (2) a profile, (3) the entry."""
    (tmp_path / "scratch_driver.py").write_text(DRIVER)
    text = (PROFILES / "pluto-ad9363.toml").read_text().replace('id = "pluto-ad9363"', 'id = "scratch"')
    (tmp_path / "scratch.toml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(DRIVERS, "scratch", importlib.import_module("scratch_driver").ScratchSection)
    # The table of drivers is read when the configuration's schema is made; the module itself comes back afterwards.
    monkeypatch.setattr(agent.config, "settings", sys.modules["agent.config.settings"])
    monkeypatch.delitem(sys.modules, "agent.config.settings")
    importlib.import_module("agent.config.settings")
    yield tmp_path
    sys.modules.pop("scratch_driver", None)


def node(folder: Path, **radio: object) -> Path:
    path = folder / "node.toml"
    path.write_text(tomli_w.dumps(config(folder, radio={**TUNED, "profile": str(folder / "scratch.toml"), **radio})))
    return path


@pytest.mark.feature("R13")
def test_three_files_make_a_radio(added: Path) -> None:
    settings = importlib.import_module("agent.config.settings")
    held = settings.load_layers([node(added, driver="scratch", slot=3)]).radio
    assert (held.driver, held.where, held.real) == ("scratch", "slot 3", True)
    assert held.open(load_radio(held.profile)) == (3, "scratch")
    with pytest.raises(settings.ConfigError, match=r"node\.toml:\d+: radio\.slot: Input should be a valid integer"):
        settings.load_layers([node(added, driver="scratch", slot="x")])
    with pytest.raises(settings.ConfigError, match=r"radio\.uri: this key is not known"):
        settings.load_layers([node(added, driver="scratch", slot=1, uri="ip:1")])


@pytest.mark.feature("R13")
def test_every_command_opens_it_by_its_name(added: Path) -> None:
    done = RUN.invoke(app, ["sense", "scratch:1", "--for", "20ms", "--json"])
    assert done.exit_code in (0, 3), done.output
    assert stop_radio(unit_at("scratch:7")).rf is RfState.OFF
    assert importlib.import_module("scratch_driver").MUTED == [7]


@pytest.mark.feature("R5")
def test_a_driver_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="radio: no such driver; there are sim, pluto"):
        load_layers([node(tmp_path, driver="hackrf")])
    assert "scratch" not in DRIVERS
