"""What a Pluto is: model, chip, firmware, libiio and serial are held against its profile; the unknown stays silent."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hw_profiles.loader import load_radio
from radio.drivers.pluto import libiio
from radio.drivers.pluto.libiio import serials
from radio.drivers.pluto.radio import PlutoRadio, mute_uri
from radio.drivers.pluto.unit import Unit
from radio.errors import Disconnected, HardwareError, SettingRefused
from radio.ports import RfState
from sim.iiod.context import Firmware
from tests.radio.plutobench import RX, SHORT, TX, bench

pytestmark = [pytest.mark.feature("R1"), pytest.mark.timeout(60)]

STOCK = load_radio("pluto-ad9363")
MODEL = "Analog Devices PlutoSDR Rev.C (Z7010-AD9363A)"
ABOUT = {"hw_model": MODEL, "hw_serial": "1044", "fw_version": "v0.38", "ad9361-phy,model": "ad9363a"}
LIBRARY = ("0.24",)
OTHERS: dict[str, tuple[Firmware, str]] = {
    "another board": (Firmware(serial="SIM-p", hw_model="Analog Devices AD-FMCOMMS2-EBZ"), "model"),
    "another chip": (Firmware(serial="SIM-p", chip_model="ad9364"), "ad9364"),
    "no model": (Firmware(serial="SIM-p", hw_model=""), "unknown"),
}


@pytest.mark.parametrize("what", list(OTHERS))
def test_a_unit_that_the_profile_is_not_for_is_muted_and_refused(what: str) -> None:
    firmware, said = OTHERS[what]
    with bench(firmware=firmware) as made:
        assert made.radiates()
        with pytest.raises(SettingRefused, match=said) as told:
            made.radio(profile=STOCK)
        assert "\n" not in str(told.value)
        assert "pluto-ad9363" in str(told.value)
        assert not made.radiates()


@pytest.mark.parametrize("what", ["another board", "no model"])
def test_a_unit_that_no_profile_is_for_receives_and_does_not_transmit(what: str) -> None:
    with bench(firmware=OTHERS[what][0]) as made:
        radio = made.radio()
        radio.tune_rx(RX)
        assert len(radio.receive(1000).iq) == 1000
        with pytest.raises(SettingRefused, match="does not transmit"):
            radio.tune_tx(TX)
        assert not made.radiates()


def _denied(**profile: Any) -> Callable[[], Unit]:
    return lambda: Unit.of(ABOUT, LIBRARY, profile=STOCK.model_copy(update=profile))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_denied(fw_deny=["v0.38"]), "firmware 'v0.38'"),
        (_denied(fw_allow=["v0.3[0-7]"]), "firmware 'v0.38'"),
        (_denied(libiio_range=("0.25", "1.0")), "libiio 0.24"),
        (_denied(libiio_range=("0.10", "0.24")), "libiio 0.24"),
        (
            lambda: Unit.of(
                {**ABOUT, "fw_version": ""}, LIBRARY, profile=STOCK.model_copy(update={"fw_allow": ["v.*"]})
            ),
            "unknown",
        ),
        (lambda: Unit.of(ABOUT, ("0.24", "1.0"), profile=STOCK), "libiio 1.0"),
        (lambda: Unit.of({}, LIBRARY, profile=STOCK), "model 'unknown'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(make: Callable[[], Unit], said: str) -> None:
    with pytest.raises(SettingRefused, match=said):
        make()


def test_versions_are_compared_as_numbers() -> None:
    profile = STOCK.model_copy(update={"libiio_range": ("0.9", "0.30")})
    assert profile.libiio_known("0.24")
    assert profile.libiio_known("v0.10.3")
    assert not profile.libiio_known("0.30")
    assert not profile.libiio_known("git")


def test_a_stock_unit_is_known() -> None:
    unit = Unit.of(ABOUT, LIBRARY, profile=STOCK)
    assert (unit.identity, unit.silent_because) == ("pluto 1044", "")
    assert Unit.of(ABOUT, LIBRARY, profile=None).silent_because == ""


@pytest.mark.parametrize("serial", ["", "  ", "00000000", "ffffffff", "unknown"])
def test_units_without_a_serial_number_share_no_identity_and_do_not_transmit(serial: str) -> None:
    first, second = (Unit.of({**ABOUT, "hw_serial": serial}, LIBRARY, profile=STOCK) for _ in range(2))
    assert first.identity != second.identity
    assert "serial" in first.silent_because


def test_two_units_without_serial_numbers_are_two() -> None:
    with bench(firmware=Firmware(serial="")) as one, bench(firmware=Firmware(serial="")) as other:
        first, second = one.radio(profile=STOCK), other.radio(profile=STOCK)
        assert first.device_id != second.device_id
        assert first.device_id == first.device_id
        first.tune_rx(RX)
        with pytest.raises(SettingRefused, match="serial"):
            first.tune_tx(TX)
        with pytest.raises(SettingRefused, match="serial"):
            PlutoRadio(one.uri, serial="", options=SHORT)
        with pytest.raises(SettingRefused, match="serial"):
            mute_uri(one.uri, serial="1044")


def test_another_unit_at_the_same_address_is_not_taken_for_the_first() -> None:
    """Units share one default address; one may be unplugged and another put in its place."""
    with bench() as made:
        radio = made.radio()
        radio.tune_tx(TX)

        def swap(server: Any) -> None:
            pluto = server.pluto
            before, pluto.firmware = pluto.firmware, replace(pluto.firmware, serial="SIM-other")
            pluto.xml = pluto.xml.replace(before.serial.encode(), b"SIM-other")
            server.reboot()

        made.hosted.ask(swap)
        assert made.radiates()
        assert radio.mute() is RfState.UNKNOWN
        assert not made.radiates()
        with pytest.raises(HardwareError, match="SIM-other"):
            radio._silencer._take(radio._silencer._fresh())
        with pytest.raises(Disconnected):
            radio.drift()
        with pytest.raises(HardwareError):
            radio.tune_tx(TX)
        assert not made.radiates()


class Scanned:
    """What libiio finds by itself."""

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def scan_contexts(self) -> dict[str, str]:
        return self._found


def test_serial_numbers_are_read_from_what_libiio_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    about = "0456:b673 (Analog Devices Inc. PlutoSDR (ADALM-PLUTO)), serial={}"
    found = {"usb:1.4.5": about.format("1044ab"), "usb:1.5.5": about.format(""), "ip:pluto.local": "no number"}
    monkeypatch.setattr(libiio, "binding", lambda _: Scanned(found))
    assert serials() == {"1044ab": "usb:1.4.5"}
    monkeypatch.setattr(libiio, "binding", lambda _: Scanned(found | {"usb:1.9.5": about.format("1044ab")}))
    with pytest.raises(SettingRefused, match="1044ab"):
        serials()


def test_a_device_that_came_back_under_another_usb_number_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as made:
        at = {"SIM-p": made.uri}
        monkeypatch.setattr("radio.drivers.pluto.radio.serials", lambda: dict(at))
        radio = PlutoRadio("", serial="SIM-p", options=SHORT)
        made.radios.append(radio)
        radio.tune_rx(RX)
        with bench() as moved:
            made.hosted.stop()
            at["SIM-p"] = moved.uri
            assert moved.radiates()
            assert radio.mute() is RfState.OFF
            assert not moved.radiates()
            radio.tune_rx(RX)
            assert len(radio.receive(1000).iq) == 1000
