"""Firmware that unmutes by itself, rates a Pluto does not have, and receivers that do not hear."""

import time
from dataclasses import replace

import numpy as np
import pytest

from hw_profiles.loader import load_radio
from radio.drivers.deafness import gains_to_try_db, hears, still
from radio.drivers.pluto.layout import DAC, PHY
from radio.errors import HardwareError, SettingRefused
from radio.ports import RfState, RxFlag
from sim.iiod.context import Firmware
from sim.iiod.faults import Fault, Lie
from tests.radio import foreign
from tests.radio.plutobench import NOISE, RX, TX, Bench, bench

pytestmark = [pytest.mark.feature("R1"), pytest.mark.feature("R3"), pytest.mark.timeout(60)]

RESETS = [frozenset({"hardwaregain"}), frozenset({"powerdown"}), frozenset({"hardwaregain", "powerdown"})]
ENOUGH = 16_384


def resetting(what: frozenset[str]) -> Firmware:
    return Firmware(serial="SIM-p", rate_resets=what)


@pytest.mark.parametrize("what", RESETS, ids=["gain", "oscillator", "both"])
def test_tuning_the_receiver_never_returns_with_rf_on(what: frozenset[str]) -> None:
    with bench(firmware=resetting(what)) as made:
        radio = made.radio()
        for rate_hz in (1_920_000, 4_000_000, 1_920_000):
            radio.tune_rx(replace(RX, sample_rate_hz=rate_hz))
            tuned_ns = time.monotonic_ns()
            assert radio.rf_state() is RfState.OFF
            assert not made.after(tuned_ns)
            assert radio.drift() is None


@pytest.mark.parametrize("what", RESETS, ids=["gain", "oscillator", "both"])
def test_the_transmitter_comes_up_at_its_quietest_whatever_the_rate_resets(what: frozenset[str]) -> None:
    """10 dB below full output would show: the oscillator leaks 20 dB below it."""
    with bench(firmware=resetting(what)) as made:
        radio = made.radio()
        began_ns = time.monotonic_ns()
        radio.tune_tx(replace(TX, attenuation_mdb=60_000))
        radio.send(NOISE[:1920])
        assert radio.mute() is RfState.OFF
        loudest = max((one.eirp_dbm for one in made.after(began_ns) if one.center_hz == TX.center_hz), default=-99.0)
        assert loudest < 20 - 60 + 5


def test_a_gain_that_a_firmware_does_not_let_down_again_is_not_transmitted_with() -> None:
    with bench(firmware=resetting(RESETS[0])) as made:
        radio = made.radio()
        made.hosted.fault(
            Fault(command="WRITE iio:device0 OUTPUT voltage0 hardwaregain", action=Lie(), nth=2, times=99)
        )
        with pytest.raises(HardwareError):
            radio.tune_tx(replace(TX, attenuation_mdb=60_000))
        made.hosted.ask(lambda server: server.script.clear())
        assert radio.mute() is RfState.OFF
        assert not made.radiates()


@pytest.mark.parametrize("rate_hz", [65_104, 100_000, 520_834, 520_999])
def test_a_rate_below_the_least_is_refused_in_one_line_and_leaves_all_as_it_was(rate_hz: int) -> None:
    for profile in (None, load_radio("pluto-ad9363")):
        with bench() as made:
            radio = made.radio(profile=profile)
            for tune, settings in ((radio.tune_rx, RX), (radio.tune_tx, TX)):
                with pytest.raises(SettingRefused, match=str(rate_hz)) as told:
                    tune(replace(settings, sample_rate_hz=rate_hz))  # type: ignore[operator,type-var]
                assert "521" in str(told.value)
                assert "\n" not in str(told.value)
            radio.tune_rx(replace(RX, sample_rate_hz=521_000, bandwidth_hz=200_000))
            assert len(radio.receive(1000).iq) == 1000


def test_another_programs_cyclic_buffer_is_named_and_nothing_is_sent(made: Bench) -> None:
    radio = made.radio()
    held = made.hosted.ask(lambda server: server._open(99, _cyclic()))
    assert held == 0
    try:
        with pytest.raises(HardwareError, match="end that program") as told:
            radio.tune_tx(TX)
        assert "\n" not in str(told.value)
        assert not made.radiates()
    finally:
        made.hosted.ask(lambda server: server._closed_by(99, DAC))
    radio.tune_tx(TX)
    radio.close()


def _cyclic() -> "object":
    from sim.iiod.protocol import Open

    return Open(DAC, 1024, "00000003", True)


# -- hearing ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> "object":
    with bench() as one:
        yield one


LEFT = {
    "powerdown": (PHY, "altvoltage0", True, "powerdown", "1"),
    "loopback": (PHY, "", False, "loopback", "1"),
    "state": (PHY, "", False, "ensm_mode", "alert"),
    "port": (PHY, "voltage0", False, "rf_port_select", "C_P"),
    "gain": (PHY, "voltage0", False, "gain_control_mode", "hybrid"),
    "tracking": (PHY, "voltage0", False, "rf_dc_offset_tracking_en", "0"),
    "sample scale": (("cf-ad9361-lpc"), "voltage1", False, "calibscale", "0"),
    "test noise": (PHY, "", False, "bist_prbs", "1"),
    "rate of the interface": ("cf-ad9361-lpc", "voltage0", False, "sampling_frequency", "3840000"),
}


@pytest.mark.parametrize("what", list(LEFT))
def test_what_another_program_left_is_put_right_when_tuning(made: Bench, what: str) -> None:
    made.hosted.ask(lambda server: server.reboot())
    foreign.write(made.uri, *LEFT[what])
    radio = made.radio()
    radio.tune_rx(RX)
    block = radio.receive(ENOUGH)
    assert not block.flags & (RxFlag.DEAF | RxFlag.MOVED)
    assert np.std(block.iq, axis=0).min() > 2
    radio.close()


@pytest.mark.parametrize("command", ["altvoltage0 powerdown", "loopback"])
def test_a_receiver_that_cannot_be_switched_on_is_refused_or_deaf(made: Bench, command: str) -> None:
    """Firmware that says it was done, or lacks the attribute: refused by readback, or found by listening."""
    made.hosted.ask(lambda server: server.reboot())
    kind = "powerdown" if "powerdown" in command else "loopback"
    foreign.write(made.uri, *LEFT[kind])
    radio = made.radio()
    where = "OUTPUT " if kind == "powerdown" else "DEBUG "
    made.hosted.fault(Fault(command=f"WRITE iio:device0 {where}{command}", action=Lie(), times=99))
    with pytest.raises(HardwareError, match="reads back"):
        radio.tune_rx(RX)
    made.hosted.ask(lambda server: server.script.clear())
    radio.close()


@pytest.mark.parametrize("lacks", ["altvoltage0/powerdown", "/loopback", "/ensm_mode"])
def test_a_firmware_that_does_not_tell_is_deaf_by_what_is_heard(lacks: str) -> None:
    with bench(firmware=Firmware(serial="SIM-p", lacks=frozenset({f"{PHY}/{lacks}"}))) as made:

        def deafen(server: object, end: object) -> None:
            server.pluto.front_end = lambda: end  # type: ignore[attr-defined]

        from sim.iiod.frontend import ReceivePath

        radio = made.radio()
        made.hosted.ask(lambda server: deafen(server, ReceivePath(oscillator=False)))
        radio.tune_rx(RX)
        assert RxFlag.DEAF in radio.receive(ENOUGH).flags
        assert RxFlag.DEAF in next(iter(radio.stream(19_200))).flags
        made.hosted.ask(lambda server: deafen(server, ReceivePath()))
        radio.tune_rx(RX)
        assert RxFlag.DEAF not in radio.receive(ENOUGH).flags


def test_the_test_leaves_the_gain_as_it_was_tuned(made: Bench) -> None:
    radio = made.radio()
    for gain_mdb in (0, 30_000, 71_000):
        held = radio.tune_rx(replace(RX, gain_mdb=gain_mdb))
        assert held.gain_mdb == gain_mdb
        assert not radio.receive(1000).flags & (RxFlag.MOVED | RxFlag.DEAF)
    radio.close()


RNG = np.random.default_rng(3)


def noise(codes: float, samples: int = 2048) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]]":
    return np.clip(np.rint(RNG.normal(0, codes, (samples, 2))), -2048, 2047).astype(np.int16)


@pytest.mark.parametrize(
    ("low", "high", "heard"),
    [
        (noise(1.3), noise(40), True),
        (noise(0.2), noise(2), True),
        (noise(0.45), noise(0.45), False),
        (noise(40), noise(40), False),
        (noise(0) + 7, noise(0) + 900, False),
        (noise(600), noise(6000), True),
        (np.zeros((0, 2), np.int16), noise(40), False),
        (noise(0), noise(0), False),
    ],
)
def test_hearing_is_noise_that_grows_with_the_gain(low: object, high: object, heard: bool) -> None:
    assert hears(low, high, full_scale=2048) is heard  # type: ignore[arg-type]


def test_gains_are_of_the_table() -> None:
    assert gains_to_try_db(-3, 71) == (41, 71)
    assert gains_to_try_db(-10, 62) == (32, 62)
    assert gains_to_try_db(0, 20) == (0, 20)
    assert still(noise(0.45))
    assert not still(noise(3))
