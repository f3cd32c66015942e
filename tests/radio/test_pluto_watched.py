"""A Pluto that others change behind our back: found, muted, latched with what was read; judged by the oracle."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hw_profiles.loader import load_radio
from radio.drivers.pluto.layout import ADC, DAC, PHY
from radio.drivers.pluto.radio import PlutoRadio
from radio.errors import Disconnected
from radio.link import GateChange
from radio.ports import Drift, RfState, RxFlag
from sim.iiod.context import Firmware
from sim.iiod.faults import Drop, Fault
from tests.radio import foreign
from tests.radio.plutobench import RX, TX, Bench, bench
from tests.radio.test_warden import Bench as WardenBench
from tests.radio.test_warden import FakeRadio


def drift_of(radio: PlutoRadio) -> Drift | None:
    """What reads otherwise than it was set; asked again where a busy machine let an answer come after its deadline."""
    for _ in range(3):
        with contextlib.suppress(Disconnected):
            return radio.drift()
    return radio.drift()


pytestmark = [pytest.mark.feature("R1"), pytest.mark.feature("R3"), pytest.mark.timeout(120)]

NS = 10**9
PATIENCE_NS = 20 * NS
FIR = "\n".join(["RX 3 GAIN -6 DEC 2", "TX 3 GAIN 0 INT 2", *["7,7"] * 32])
Foreign = tuple[str, str, bool, str, str]

TRANSMITTING: dict[str, Foreign] = {
    "LO": (PHY, "altvoltage1", True, "frequency", "3700000000"),
    "a little beside": (PHY, "altvoltage1", True, "frequency", "3555000100"),
    "gain": (PHY, "voltage0", True, "hardwaregain", "0"),
    "a quarter of a dB": (PHY, "voltage0", True, "hardwaregain", "-9.75"),
    "rate": (PHY, "voltage0", True, "sampling_frequency", "3000000"),
    "rate of the interface": (DAC, "voltage0", True, "sampling_frequency", str(TX.sample_rate_hz // 8)),
    "bandwidth": (PHY, "voltage0", True, "rf_bandwidth", "18000000"),
    "filter": (PHY, "", False, "filter_fir_config", FIR),
    "crystal": (PHY, "", False, "xo_correction", "40004000"),
    "state": (PHY, "", False, "ensm_mode", "alert"),
    "port": (PHY, "voltage0", True, "rf_port_select", "B"),
    "tone": (DAC, "altvoltage2", True, "scale", "0.5"),
    "tone switch": (DAC, "altvoltage0", True, "raw", "1"),
    "sample scale": (DAC, "voltage1", True, "calibscale", "1.9"),
    "test tone": (PHY, "", False, "bist_tone", "1 0 0 0"),
    "loopback": (PHY, "", False, "loopback", "2"),
    "oscillator from outside": (PHY, "altvoltage1", True, "external", "1"),
    "calibration": (PHY, "", False, "calib_mode", "manual_tx_quad"),
}
CLOSED: dict[str, Foreign] = {
    "powerdown": (PHY, "altvoltage1", True, "powerdown", "0"),
    "gain": (PHY, "voltage0", True, "hardwaregain", "-10"),
    "LO": (PHY, "altvoltage1", True, "frequency", "3700000000"),
    "tone": (DAC, "altvoltage0", True, "scale", "0.5"),
    "tone switch": (DAC, "altvoltage3", True, "raw", "1"),
    "test tone": (PHY, "", False, "bist_tone", "1 0 0 0"),
    "setting up anew": (PHY, "", False, "initialize", "1"),
}
RECEIVING: dict[str, Foreign] = {
    "LO": (PHY, "altvoltage0", True, "frequency", "3600000000"),
    "gain": (PHY, "voltage0", False, "hardwaregain", "0"),
    "gain by the device": (PHY, "voltage0", False, "gain_control_mode", "fast_attack"),
    "powerdown": (PHY, "altvoltage0", True, "powerdown", "1"),
    "state": (PHY, "", False, "ensm_mode", "alert"),
    "loopback": (PHY, "", False, "loopback", "1"),
}
RECEIVING_SLOWLY: dict[str, Foreign] = {
    "port": (PHY, "voltage0", False, "rf_port_select", "B_BALANCED"),
    "quadrature": (PHY, "voltage0", False, "quadrature_tracking_en", "0"),
    "offset": (PHY, "voltage0", False, "bb_dc_offset_tracking_en", "0"),
    "bandwidth": (PHY, "voltage0", False, "rf_bandwidth", "200000"),
    "rate": (PHY, "voltage0", False, "sampling_frequency", "3000000"),
    "rate of the interface": (ADC, "voltage0", False, "sampling_frequency", str(RX.sample_rate_hz // 8)),
    "sample scale": (ADC, "voltage0", False, "calibscale", "0.1"),
}


@pytest.fixture(scope="module")
def made() -> Iterator[Bench]:
    with bench() as one:
        yield one


@pytest.mark.parametrize("what", list(TRANSMITTING))
def test_a_transmitter_that_somebody_moved_is_found(made: Bench, what: str) -> None:
    made.hosted.ask(lambda server: server.reboot())
    radio = made.radio()
    radio.tune_tx(TX)
    assert drift_of(radio) is None
    device, _, _, attribute, _ = TRANSMITTING[what]
    foreign.write(made.uri, *TRANSMITTING[what])
    found = drift_of(radio)
    assert found is not None
    assert device in found.read
    assert attribute in found.read
    assert not found.silenced
    assert radio.mute() is RfState.OFF
    assert not made.radiates()
    # What was left is put right by the next tuning, or that refuses; it never comes up otherwise.
    radio.tune_tx(TX) if what != "crystal" else None
    assert drift_of(radio) is None or what == "crystal"
    radio.close()


@pytest.mark.parametrize("what", list(CLOSED))
def test_a_muted_transmitter_that_somebody_moved_is_found(made: Bench, what: str) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    assert drift_of(radio) is None
    foreign.write(made.uri, *CLOSED[what])
    found = drift_of(radio)
    assert found is not None
    assert radio.mute() is RfState.OFF
    assert not made.radiates()
    assert drift_of(radio) is None
    radio.close()


@pytest.mark.parametrize("what", [*RECEIVING, *RECEIVING_SLOWLY])
def test_a_receiver_that_somebody_moved_gives_flagged_blocks(made: Bench, what: str) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    assert not radio.receive(1000).flags & (RxFlag.MOVED | RxFlag.DEAF)
    foreign.write(made.uri, *(RECEIVING | RECEIVING_SLOWLY)[what])
    for _ in range(1 if what in RECEIVING else 200):
        block = radio.receive(1000)
        if block.flags & RxFlag.MOVED:
            break
    assert block.flags & RxFlag.MOVED
    assert radio.receiver_moved
    radio.tune_rx(RX)
    assert not radio.receive(1000).flags & (RxFlag.MOVED | RxFlag.DEAF)
    radio.close()


def test_a_stream_tells_of_a_moved_receiver_too(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    blocks = radio.stream(19_200)
    assert not next(blocks).flags & RxFlag.MOVED
    foreign.write(made.uri, *RECEIVING["LO"])
    assert any(next(blocks).flags & RxFlag.MOVED for _ in range(8))
    blocks.close()  # type: ignore[attr-defined]
    radio.close()


def test_a_mute_by_another_is_told_apart_from_a_move(made: Bench) -> None:
    radio = made.radio()
    radio.tune_tx(TX)
    foreign.write(made.uri, PHY, "altvoltage1", True, "powerdown", "1")
    foreign.write(made.uri, PHY, "voltage0", True, "hardwaregain", "-89.75")
    found = radio.drift()
    assert found is not None
    assert found.silenced
    foreign.write(made.uri, PHY, "altvoltage1", True, "frequency", "3700000000")
    found = radio.drift()
    assert found is not None
    assert not found.silenced
    radio.close()


def test_a_stored_profile_that_is_recalled_is_a_move(made: Bench) -> None:
    radio = made.radio()
    at = (PHY, "altvoltage1", True)
    foreign.write(made.uri, *at, "frequency", "3700000000")
    foreign.write(made.uri, *at, "fastlock_store", "1")
    radio.tune_tx(TX)
    assert radio.drift() is None
    foreign.write(made.uri, *at, "fastlock_recall", "1")
    found = radio.drift()
    assert found is not None
    assert "3700000000" in found.read
    radio.close()


def test_a_watch_that_lost_its_device_mutes_it_before_it_looks_again(made: Bench) -> None:
    """The device may have been off and on in between, and comes up transmitting."""
    radio = made.radio()
    radio.tune_rx(RX)
    assert radio.drift() is None
    made.hosted.ask(lambda server: server.reboot())
    assert made.radiates()
    for _ in range(3):
        try:
            assert radio.drift() is None
        except Disconnected:
            continue
    assert not made.radiates()
    radio.tune_tx(TX)
    assert radio.drift() is None
    made.hosted.fault(Fault(command="READ", action=Drop()))
    with pytest.raises(Disconnected):
        radio.drift()
    radio.close()


def test_one_who_asks_holds_up_no_mute(made: Bench) -> None:
    radio = made.radio()
    radio.tune_tx(TX)
    with radio._watch._lock:
        pass
    assert radio._watch._at is None or radio._watch._at is not radio._silencer._attributes
    assert radio.drift() is None
    assert radio._watch._context is not radio._silencer._context
    radio.close()


# -- the second transmitter -------------------------------------------------------------------------------------------


def test_every_path_of_a_2r2t_unit_is_muted_and_watched() -> None:
    with bench(firmware=Firmware(serial="SIM-p", two_channels=True)) as made:
        assert made.radiates()
        second = (PHY, "voltage1", True, "hardwaregain")
        tone = (DAC, "altvoltage6", True)
        radio = made.radio()
        assert not made.radiates()
        value = made.hosted.ask(
            lambda server: {n: v for n, v in server.pluto.values.items() if n.channel == "voltage1"}
        )
        assert "-89.750000 dB" in value.values()
        radio.tune_tx(TX)
        foreign.write(made.uri, *second, "-10")
        found = radio.drift()
        assert found is not None
        assert "voltage1" in found.read
        foreign.write(made.uri, *tone, "raw", "1")
        foreign.write(made.uri, *tone, "scale", "0.5")
        assert radio.rf_state() is RfState.ON
        assert radio.mute() is RfState.OFF
        assert not made.radiates()
        # The oscillator alone brings the second path up: nothing of it is left open.
        foreign.write(made.uri, PHY, "altvoltage1", True, "powerdown", "0")
        assert not made.radiates()
        foreign.write(made.uri, *second, "0")
        assert made.radiates()
        assert radio.rf_state() is RfState.ON


# -- the whole warden -------------------------------------------------------------------------------------------------


@contextmanager
def guarded(folder: Path, made: Bench) -> Iterator[WardenBench]:
    """A warden on the simulated Pluto, its gate open, with an agent that says that it lives."""
    radio = made.radio(profile=load_radio("pluto-ad9363"))
    radio.clock = time.monotonic_ns  # type: ignore[attr-defined]
    held = WardenBench(folder, profile=load_radio("pluto-ad9363"), radio=radio)  # type: ignore[arg-type]
    try:
        yield held
    finally:
        held.warden.close()


def until(held: WardenBench, state: str) -> GateChange:
    deadline_ns = time.monotonic_ns() + PATIENCE_NS
    while time.monotonic_ns() < deadline_ns:
        held.beat()
        found = [one for one in held.heard if isinstance(one, GateChange) and not one.asked]
        if found and found[-1].state == state:
            return found[-1]
    pytest.fail(f"waited in vain for {state}: {held.changes()}")


def opened(held: WardenBench) -> None:
    held.permit()
    until(held, "OPEN")


Way = Callable[[str, str, str, bool, str, str], None]
WAYS: dict[str, Way] = {"iio_attr": foreign.iio_attr, "pylibiio": foreign.write}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("what", ["LO", "gain"])
def test_an_open_gate_closes_for_good_when_another_program_moves_the_transmitter(
    tmp_path: Path, way: str, what: str
) -> None:
    with bench() as made, guarded(tmp_path, made) as held:
        opened(held)
        device, channel, output, attribute, text = TRANSMITTING[what]
        if what == "gain":
            held.radio.tune_tx(replace(held.radio._tx, attenuation_mdb=20_000))  # type: ignore[attr-defined]
        WAYS[way](made.uri, device, channel, output, attribute, text)
        change = until(held, "LATCHED")
        assert change.reason == "DRIVER"
        assert f"{channel}/{attribute} reads" in change.measured
        assert f"{channel}/{attribute}" in change.required
        assert change.muted_ns is not None
        assert not made.after(change.muted_ns)
        for _ in range(20):
            held.beat()
        assert held.changes()[-1][0] == "LATCHED"
        assert not made.radiates()


@pytest.mark.parametrize("what", ["powerdown", "tone", "setting up anew"])
def test_a_closed_gate_latches_and_mutes_again_and_again(tmp_path: Path, what: str) -> None:
    with bench() as made, guarded(tmp_path, made) as held:
        held.beat()
        for _ in range(2):
            foreign.write(made.uri, PHY, "voltage0", True, "hardwaregain", "0")
            foreign.write(made.uri, *CLOSED[what])
            until(held, "LATCHED")
            deadline_ns = time.monotonic_ns() + PATIENCE_NS
            while made.radiates() and time.monotonic_ns() < deadline_ns:
                held.say()
            assert not made.radiates()


def test_a_gate_that_another_program_muted_opens_again(tmp_path: Path) -> None:
    """The agent's own guard and the device's dead-man mute, too: that is no reason to stay shut."""
    with bench() as made, guarded(tmp_path, made) as held:
        opened(held)
        foreign.write(made.uri, PHY, "altvoltage1", True, "powerdown", "1")
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while ("ARMED", "DRIVER") not in held.changes() and time.monotonic_ns() < deadline_ns:
            held.beat()
        assert ("ARMED", "DRIVER") in held.changes()
        until(held, "OPEN")


def test_what_is_asked_of_a_device_that_cannot_be_asked_is_not_asked() -> None:
    assert not hasattr(FakeRadio(), "drift")


def test_a_device_that_answers_no_more_latches_an_open_gate(tmp_path: Path) -> None:
    with bench() as made, guarded(tmp_path, made) as held:
        opened(held)
        made.hosted.fault(Fault(command="READ iio:device0 OUTPUT altvoltage1 frequency", action=Drop(), times=50))
        change = until(held, "LATCHED")
        assert change.reason == "DRIVER"
        made.hosted.ask(lambda server: server.script.clear())
        assert held.warden.clear() is RfState.OFF
        assert not made.radiates()


def test_power_stays_where_it_was_settled_while_nobody_meddles(tmp_path: Path) -> None:
    with bench() as made, guarded(tmp_path, made) as held:
        opened(held)
        end_ns = time.monotonic_ns() + NS
        while time.monotonic_ns() < end_ns:
            held.beat()
        assert held.changes()[-1][0] == "OPEN"
