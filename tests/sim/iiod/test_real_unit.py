"""The simulated Pluto against a real Rev C's public description, attribute by attribute; differences are listed."""

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sim.iiod.antenna import LoopAntenna
from sim.iiod.context import Firmware
from sim.iiod.pluto import Pluto
from sim.iiod.protocol import Name

pytestmark = pytest.mark.feature("R2")

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("BANDPACT_PLUTO_XML", ROOT.parent / "shared" / "pluto" / "real-unit-rev-c.xml"))
PAGE = ROOT / "docs" / "pluto-sim.md"
OWN = {"hw_serial", "uri", "ip,ip-addr"}
"""What every unit has of its own."""
KINDS = {"attribute": "device", "debug-attribute": "debug", "buffer-attribute": "buffer"}
Described = dict[Name, tuple[str, str | None]]


def described(root: ET.Element) -> Described:
    """Every attribute with its file and, where it is told, its value."""
    found: Described = {}
    for device in root.findall("device"):
        named = str(device.get("name"))
        for channel in device.findall("channel"):
            for one in channel.findall("attribute"):
                name = Name(
                    device=named,
                    kind=str(channel.get("type")),
                    channel=str(channel.get("id")),
                    attribute=str(one.get("name")),
                )
                found[name] = (str(one.get("filename")), one.get("value"))
        for tag, kind in KINDS.items():
            for one in device.findall(tag):
                found[Name(device=named, kind=kind, attribute=str(one.get("name")))] = ("", one.get("value"))
    return found


def layout(root: ET.Element) -> dict[tuple[str | None, ...], tuple[str | None, ...]]:
    """Every channel with its name and scan element, every device with its id."""
    found: dict[tuple[str | None, ...], tuple[str | None, ...]] = {}
    for device in root.findall("device"):
        found[(device.get("name"),)] = (device.get("id"),)
        for channel in device.findall("channel"):
            scan = channel.find("scan-element")
            told = () if scan is None else (scan.get("index"), scan.get("format"))
            found[(device.get("name"), channel.get("type"), channel.get("id"))] = (channel.get("name"), *told)
    return found


def listed() -> dict[str, tuple[str, str]]:
    """The page's table: attribute, the real unit's value, the simulated one's."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]*)` \| `([^`]*)` \|", PAGE.read_text(), re.MULTILINE)
    return {name: (real, ours) for name, real, ours in rows}


def spoken(name: Name) -> str:
    return " ".join(part for part in (name.device, name.kind, name.channel, name.attribute) if part)


@pytest.fixture(scope="module")
def real() -> ET.Element:
    if not REAL.is_file():
        pytest.skip(f"{REAL} is not here: the public description of a real unit")
    return ET.fromstring(REAL.read_text())


@pytest.fixture(scope="module")
def pluto() -> Pluto:
    return Pluto(Firmware(), LoopAntenna(bytes(4096)))


def test_devices_channels_and_files_are_a_real_units(real: ET.Element, pluto: Pluto) -> None:
    ours = ET.fromstring(pluto.xml)
    assert layout(ours) == layout(real)
    theirs, mine = described(real), described(ours)
    assert set(mine) == set(theirs)
    assert {name: file for name, (file, _) in mine.items()} == {name: file for name, (file, _) in theirs.items()}


def test_values_at_boot_are_a_real_units_but_for_those_listed(real: ET.Element, pluto: Pluto) -> None:
    differing: dict[str, tuple[str, str]] = {}
    for name, (_, value) in described(real).items():
        read = pluto.read(name)
        ours = "ERROR" if isinstance(read, int) else read.replace("\n", " ")
        theirs = str(value).replace("\n", " ")
        if ours != theirs:
            differing[spoken(name)] = (theirs, ours)
    mine = Firmware().context_attributes()
    for one in real.findall("context-attribute"):
        key, theirs = str(one.get("name")), str(one.get("value"))
        if key not in OWN and mine.get(key) != theirs:
            differing[f"context {key}"] = (theirs, mine.get(key, ""))
    assert differing == listed()


def test_the_page_lists_nothing_twice_and_nothing_unsaid() -> None:
    assert listed(), "docs/pluto-sim.md has no table of differences"
    assert all(real != ours for real, ours in listed().values())
