"""The first draft of a radio's table, by every driver that can write one, is a table that its own section takes."""

from pathlib import Path

import pytest

from agent.desk.drafts import NodeDraft, node_table
from hw_profiles.loader import load_radio
from radio.drivers.registry import DRIVERS, parted
from settlement.chain.scope import Band

UNITS = ("ip:192.168.2.1", "usb:", "pluto:ip:192.168.2.1", "soapy:driver=hackrf", "soapy:driver=uhd,serial=30AD")
WIDE = Band(low_hz=3_550_000_000, high_hz=3_700_000_000)


def drafted(unit: str) -> dict[str, object]:
    draft = NodeDraft(
        role="user", network="n", anchor="", rule=Path("rule"), listen="tcp://127.0.0.1:4700",
        radio=unit, simulated=False, lat_e7=0, lon_e7=0,
    )  # fmt: skip
    return node_table(draft.rule, draft, name="n", band=WIDE, radius_mm=1000)


@pytest.mark.feature("R13")
@pytest.mark.parametrize("unit", UNITS)
def test_a_drafted_table_is_one_that_its_driver_and_profile_take(unit: str) -> None:
    table = drafted(unit)
    radio = table["radio"]
    assert isinstance(radio, dict)
    driver, rest = parted(unit)
    section = DRIVERS[driver](**radio)
    assert (section.driver, section.where) == (driver, rest)
    assert section.real
    assert section.arm_for_s == 0
    profile = load_radio(section.profile)
    assert section.sample_rate_hz in range(profile.rx.rate_hz.low, profile.rx.rate_hz.high + 1)
    assert (section.adc_full_scale, section.tx_full_scale) == (profile.rx.full_scale, profile.tx.full_scale)


@pytest.mark.feature("R13")
@pytest.mark.parametrize("unit", UNITS)
def test_the_drafted_channels_are_inside_what_the_radio_hears(unit: str) -> None:
    """Of a band wider than the radio, whose middle is 55 MHz above the channels."""
    table = drafted(unit)
    radio, channels = table["radio"], table["channels"]
    assert isinstance(radio, dict)
    assert isinstance(channels, list)
    half_hz = radio["rx_bandwidth_hz"] // 2
    assert channels[0]["low_hz"] == WIDE.low_hz >= radio["rx_center_hz"] - half_hz
    assert channels[-1]["high_hz"] <= radio["rx_center_hz"] + half_hz


@pytest.mark.parametrize("unit", ["sim:x", "soapy:driver=lime", "soapy:serial=1"])
def test_a_radio_without_a_draft_says_so(unit: str) -> None:
    driver, rest = parted(unit)
    with pytest.raises(ValueError, match="by hand"):
        DRIVERS[driver].draft(rest, center_hz=0, simulated=False)


@pytest.mark.parametrize("unit", ["ip:192.168.2.1", "soapy:driver=uhd"])
def test_a_radio_that_is_not_on_loopback_is_not_simulated(unit: str) -> None:
    driver, rest = parted(unit)
    with pytest.raises(ValueError, match="can be simulated"):
        DRIVERS[driver].draft(rest, center_hz=0, simulated=True)
