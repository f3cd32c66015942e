"""Every way a Pluto is known to fail, reproduced in the simulated one and met; judged by the oracle, not the driver."""

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from radio.drivers.pluto.layout import ADC, DAC, PHY
from radio.drivers.pluto.libiio import connect, destroy, open_buffer
from radio.drivers.pluto.radio import PlutoRadio, mute_uri
from radio.errors import Disconnected, HardwareError, ReceiveTimeout, SettingRefused
from radio.ports import RfState, RxFlag
from sim.iiod.context import Firmware
from sim.iiod.faults import Cut, Drop, Fail, Fault, Late, Lie, Overflow, Repeat, Short
from sim.oracle import RadiatedBurst
from tests.radio.plutobench import NOISE, RX, SHORT, TX, Bench, bench

pytestmark = [pytest.mark.feature("R1"), pytest.mark.feature("R3"), pytest.mark.feature("R9"), pytest.mark.timeout(60)]

GAIN_OUT = "WRITE iio:device0 OUTPUT voltage0 hardwaregain"
BURST = NOISE[:19_200]


def transmitting(made: Bench) -> PlutoRadio:
    radio = made.radio()
    radio.tune_rx(RX)
    radio.tune_tx(TX)
    radio.send(BURST)
    assert made.radiates()
    return radio


def silent(made: Bench) -> None:
    now_ns = time.monotonic_ns()
    assert made.after(now_ns) == []


def works_again(made: Bench, radio: PlutoRadio) -> None:
    """The driver comes back by itself when it is used again."""
    made.hosted.ask(lambda server: server.script.clear())
    radio.tune_rx(RX)
    assert radio.receive(1000).iq.shape == (1000, 2)
    radio.tune_tx(TX)
    radio.send(BURST)
    assert made.radiates()
    assert radio.mute() is RfState.OFF
    silent(made)


# -- what leaves a Pluto transmitting ----------------------------------------------------------------------------------


def boot(made: Bench) -> None:
    assert made.radiates()
    made.radio()
    silent(made)


VANISHING = """
import os, signal, sys, time
import numpy as np
from radio.drivers.pluto.radio import PlutoRadio
from tests.radio.plutobench import BURST_TX, SHORT
radio = PlutoRadio(sys.argv[1], options=SHORT)
radio.tune_tx(BURST_TX)
radio.send(np.full((96_000, 2), 3000, dtype=np.int16))
print("sent", flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


@contextmanager
def client(made: Bench, signal_name: str) -> "Iterator[subprocess.Popen[str]]":
    """A driver in a process of its own that transmits and then sends itself a signal."""
    command = [sys.executable, "-c", VANISHING, made.uri, signal_name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        yield process
        process.kill()


def crash(made: Bench) -> None:
    with client(made, "SIGKILL") as process:
        process.wait(timeout=10)
    until_only_leakage(made)
    assert mute_uri(made.uri) is RfState.OFF
    silent(made)


def hang(made: Bench) -> None:
    with client(made, "SIGSTOP"):
        until_only_leakage(made)
        assert mute_uri(made.uri) is RfState.OFF
        silent(made)


def until_only_leakage(made: Bench) -> None:
    """Wait until the finite burst has played; its oscillator stays on, for the client is gone."""
    while kinds(made) != {"lo_leakage"}:
        assert kinds(made) <= {"lo_leakage", "burst"}
    assert made.radiates()


def hang_with_a_cyclic_buffer(made: Bench) -> None:
    with cyclic(made):
        begun_ns = time.monotonic_ns()
        while max((one.start_ns for one in played(made)), default=0) < begun_ns + 400_000_000:
            pass
        assert mute_uri(made.uri) is RfState.OFF
        silent(made)


def played(made: Bench) -> list[RadiatedBurst]:
    """Every stretch of samples that has left the antenna so far."""
    return [one for one in made.air.emissions() if one.kind == "burst"]


@contextmanager
def cyclic(made: Bench) -> Iterator[None]:
    """Another program's buffer that repeats for ever."""
    context = connect(made.uri, timeout_ms=300)
    raw(context, PHY, "voltage0", "sampling_frequency", "2400000")  # no more than one process can both play and measure
    dac = context.find_device(DAC)
    for channel in ("voltage0", "voltage1"):
        dac.find_channel(channel, True).enabled = True
    buffer = open_buffer(dac, 19_200, cyclic=True)
    try:
        buffer.write(bytearray(np.full((19_200, 2), 9000, dtype=np.int16).tobytes()))
        buffer.push()
        yield
    finally:
        destroy(buffer)


def kinds(made: Bench) -> set[str]:
    """What kinds of emission go on now."""
    return {one.kind for one in made.after(time.monotonic_ns())}


def host_lost(made: Bench) -> None:
    """The device does not learn that its host is gone: buffers stay open, the oscillator on, until somebody mutes."""
    with client(made, "SIGKILL") as process:
        process.wait(timeout=10)
    until_only_leakage(made)
    assert made.hosted.ask(lambda server: server.open_buffers) == 1
    assert mute_uri(made.uri) is RfState.OFF
    silent(made)


def raw(context: Any, device: str, channel: str, attribute: str, text: str) -> None:
    context.find_device(device).find_channel(channel, True).attrs[attribute].value = text


def closing_a_buffer_selects_the_tone_generators(made: Bench) -> None:
    radio = made.radio()
    radio.tune_tx(TX)
    context = connect(made.uri, timeout_ms=300)
    raw(context, DAC, "altvoltage0", "raw", "1")
    raw(context, DAC, "altvoltage0", "scale", "0.5")
    while kinds(made) != {"lo_leakage"}:
        pass
    radio._close_transmit()
    assert "tone" in kinds(made)
    assert radio.rf_state() is RfState.ON
    assert radio.mute() is RfState.OFF
    silent(made)


def tuning_does_not_power_up(made: Bench) -> None:
    radio = made.radio()
    context = connect(made.uri, timeout_ms=300)
    raw(context, PHY, "altvoltage1", "frequency", "3555000000")
    raw(context, PHY, "voltage0", "hardwaregain", "0")
    silent(made)
    radio.tune_tx(TX)
    assert made.radiates()


# -- faults the driver must meet ---------------------------------------------------------------------------------------


def nothing_listens(made: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Disconnected):
        PlutoRadio(f"ip:127.0.0.1:{port}", options=SHORT)


def print_stalls(made: Bench) -> None:
    made.hosted.fault(Fault(command="PRINT", action=Late(20.0)))
    begun = time.monotonic()
    with pytest.raises(Disconnected):
        PlutoRadio(made.uri, options=SHORT)
    assert time.monotonic() - begun < 3


def control_drops(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.ask(lambda server: [server.drop(number) for number in server.connections])
    assert radio.mute() is RfState.OFF
    silent(made)
    works_again(made, radio)


def control_drops_for_good(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.fault(Fault(command="", action=Drop(), times=10**6))
    assert radio.mute() is RfState.UNKNOWN
    assert radio.rf_state() is RfState.UNKNOWN
    assert made.radiates()
    works_again(made, radio)


def late_reply(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.fault(Fault(command="READ iio:device0 OUTPUT altvoltage0 frequency", action=Late(0.8)))
    with pytest.raises(HardwareError):
        radio.tune_rx(replace(RX, center_hz=3_560_000_000))
    silent(made)
    works_again(made, radio)


def late_reply_to_a_mute(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.fault(Fault(command=GAIN_OUT, action=Late(0.8)))
    assert radio.mute() is RfState.OFF
    silent(made)
    works_again(made, radio)


def buffer_drops_in_the_middle(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    made.hosted.fault(Fault(command="READBUF", action=Cut()))
    block = radio.receive(19_200)
    assert RxFlag.GAP in block.flags
    assert len(block.iq) == 19_200
    blocks = radio.stream(19_200)
    assert RxFlag.GAP not in next(blocks).flags
    made.hosted.fault(Fault(command="READBUF", action=Cut()))
    after = [next(blocks) for _ in range(2)]
    assert [RxFlag.GAP in one.flags for one in after] == [True, False]
    assert after[1].sequence == after[0].sequence + 1
    blocks.close()  # type: ignore[attr-defined]


def readbuf_stalls(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.fault(Fault(command="READBUF", action=Late(20.0)))
    begun = time.monotonic()
    with pytest.raises(ReceiveTimeout):
        radio.receive(1000)
    assert time.monotonic() - begun < 4
    silent(made)
    works_again(made, radio)


def short_read(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    made.hosted.fault(Fault(command="READBUF", action=Short(100)))
    block = radio.receive(1000)
    assert len(block.iq) == 100
    assert RxFlag.SHORT in block.flags


def device_times_out(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    made.hosted.fault(Fault(command="READBUF", action=Fail(110)))
    block = radio.receive(1000)
    assert len(block.iq) == 1000
    assert RxFlag.GAP in block.flags
    made.hosted.fault(Fault(command="READBUF", action=Fail(110), times=10))
    with pytest.raises(ReceiveTimeout):
        radio.receive(1000)


def overflow(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    blocks = radio.stream(19_200)
    assert not next(blocks).flags & RxFlag.GAP
    made.hosted.fault(Fault(command="READBUF", action=Overflow(0.2)))
    assert RxFlag.GAP in next(blocks).flags
    assert not next(blocks).flags & RxFlag.GAP
    blocks.close()  # type: ignore[attr-defined]


def overflow_nobody_tells_of(made: Bench) -> None:
    radio = PlutoRadio(made.uri, options=replace(SHORT, overflow_register=False))
    made.radios.append(radio)
    radio.tune_rx(RX)
    blocks = radio.stream(19_200)
    assert all(RxFlag.OVERFLOW_UNKNOWN in one.flags for one in itertools.islice(blocks, 3))
    blocks.close()  # type: ignore[attr-defined]


def duplicates(made: Bench) -> None:
    radio = made.radio()
    radio.tune_rx(RX)
    blocks = radio.stream(19_200)
    first = next(blocks)
    made.hosted.fault(Fault(command="READBUF", action=Repeat()))
    second, third = next(blocks), next(blocks)
    assert np.array_equal(first.iq, second.iq)
    assert second.flags & (RxFlag.GAP | RxFlag.STALE) == RxFlag.GAP | RxFlag.STALE
    assert not third.flags & (RxFlag.GAP | RxFlag.STALE)
    blocks.close()  # type: ignore[attr-defined]


def stale_after_retune(made: Bench) -> None:
    """A raw client is given samples of the old setting after a retune; the driver never is."""
    radio = made.radio()
    radio.tune_rx(RX)
    blocks = radio.stream(19_200)
    loud = float(np.mean(next(blocks).iq.astype(float) ** 2))
    waiting_ns = time.monotonic_ns() + 60_000_000
    while time.monotonic_ns() < waiting_ns:
        pass
    radio.tune_rx(replace(RX, gain_mdb=20_000))
    fresh = next(blocks)
    assert fresh.settings.gain_mdb == 20_000
    assert RxFlag.GAP in fresh.flags
    assert float(np.mean(fresh.iq.astype(float) ** 2)) < loud / 10
    blocks.close()  # type: ignore[attr-defined]


def attribute_error(made: Bench) -> None:
    for number in (5, 22):
        radio = transmitting(made)
        made.hosted.fault(Fault(command="WRITE iio:device0 OUTPUT altvoltage1 frequency", action=Fail(number)))
        with pytest.raises(HardwareError):
            radio.tune_tx(replace(TX, center_hz=3_560_000_000))
        silent(made)
        works_again(made, radio)


def readback_lies(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.fault(Fault(command="WRITE iio:device0 OUTPUT altvoltage1 frequency", action=Lie()))
    with pytest.raises(HardwareError, match="reads back"):
        radio.tune_tx(replace(TX, center_hz=3_560_000_000))
    silent(made)
    made.hosted.ask(lambda server: server.script.clear())
    radio.tune_tx(TX)
    made.hosted.fault(Fault(command=GAIN_OUT, action=Lie(), times=99))
    made.hosted.fault(Fault(command="WRITE iio:device0 OUTPUT altvoltage1 powerdown", action=Lie(), times=99))
    assert radio.mute() is RfState.ON
    assert made.radiates()
    works_again(made, radio)


def busy(made: Bench) -> None:
    radio = made.radio()
    with cyclic(made):
        with pytest.raises(HardwareError, match="16"):
            radio.tune_tx(TX)
        silent(made)
    works_again(made, radio)


def transmit_error(made: Bench) -> None:
    radio = transmitting(made)
    for action in (Fail(5), Drop()):
        made.hosted.fault(Fault(command="WRITEBUF", action=action))
        with pytest.raises(HardwareError):
            radio.send(BURST)
        silent(made)
        works_again(made, radio)
        radio.tune_tx(TX)


def wrong_firmware(made: Bench) -> None:
    with pytest.raises(HardwareError, match="this firmware has no"):
        PlutoRadio(made.uri, options=SHORT)
    silent(made)


def reboot(made: Bench) -> None:
    radio = transmitting(made)
    made.hosted.ask(lambda server: server.reboot())
    assert made.radiates()
    with pytest.raises(Disconnected):
        radio.receive(1000)
    silent(made)
    works_again(made, radio)


def one_context_only(made: Bench) -> None:
    """As on USB: without a second connection to mute by, it receives and does not transmit."""
    radio = made.radio()
    silent(made)
    radio.tune_rx(RX)
    assert len(radio.receive(1000).iq) == 1000
    with pytest.raises(SettingRefused, match="second connection"):
        radio.tune_tx(TX)
    silent(made)


class HeldAir:
    """An antenna whose samples are not worked out before it is told so, as on a machine with too much to do."""

    def __init__(self, made: Bench) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self._antenna = made.server.pluto._antenna
        made.hosted.ask(lambda server: setattr(server, "_antenna", self))

    def look(self, start_ns: int, samples: int) -> "bytes | memoryview":
        self.asked.set()
        self.go_on.wait(30)
        return self._antenna.look(start_ns, samples)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._antenna, name)


def slow_air(made: Bench) -> None:
    """Samples that wait to be worked out hold up no mute: not the radio, only its simulation, has to compute them."""
    radio = transmitting(made)
    held = HeldAir(made)
    reading = threading.Thread(target=lambda: next(iter(radio.stream(1920))), daemon=True)
    reading.start()
    try:
        assert held.asked.wait(10)
        while not waiting(made):
            pass
        assert radio.mute() is RfState.OFF
        silent(made)
    finally:
        held.go_on.set()
        reading.join(10)


def waiting(made: Bench) -> int:
    """How many full receive buffers nobody has read."""
    return made.hosted.ask(
        lambda server: sum(
            len(one.queue.waiting(now_ns=time.monotonic_ns())) for one in server._buffers if one.device == ADC
        )
    )


ROWS: dict[str, tuple[Callable[[Bench], None], dict[str, Any]]] = {
    "boot": (boot, {}),
    "exit, SIGKILL of a client": (crash, {}),
    "SIGSTOP, hang": (hang, {}),
    "SIGSTOP, hang with a cyclic buffer": (hang_with_a_cyclic_buffer, {"quiet": False}),
    "host power or cable lost": (host_lost, {"keepalive_s": 70.0}),
    "closing a buffer": (closing_a_buffer_selects_the_tone_generators, {}),
    "setting tx_lo": (tuning_does_not_power_up, {}),
    "nothing listening": (nothing_listens, {}),
    "PRINT stalls": (print_stalls, {}),
    "control drops": (control_drops, {}),
    "control drops for good": (control_drops_for_good, {}),
    "late reply": (late_reply, {}),
    "late reply to a mute": (late_reply_to_a_mute, {}),
    "buffer drops mid-READBUF": (buffer_drops_in_the_middle, {}),
    "READBUF stalls": (readbuf_stalls, {}),
    "short read": (short_read, {}),
    "device timeout": (device_times_out, {}),
    "overflow": (overflow, {}),
    "overflow, register not to be believed": (overflow_nobody_tells_of, {}),
    "duplicates": (duplicates, {}),
    "stale buffer after retune": (stale_after_retune, {}),
    "attribute error": (attribute_error, {}),
    "readback lie": (readback_lies, {}),
    "busy": (busy, {}),
    "TX error or drop": (transmit_error, {}),
    "wrong firmware": (
        wrong_firmware,
        {"firmware": Firmware(lacks=frozenset({f"{PHY}/altvoltage1/powerdown"}))},
    ),
    "wrong firmware, a channel missing": (
        wrong_firmware,
        {"firmware": Firmware(lacks=frozenset({f"{PHY}/altvoltage1"}))},
    ),
    "wrong firmware, a device missing": (wrong_firmware, {"firmware": Firmware(lacks=frozenset({DAC}))}),
    "reboot": (reboot, {}),
    "an air that computes long": (slow_air, {}),
    "one context only": (one_context_only, {"contexts_max": 1}),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_fault(row: str) -> None:
    scenario, server = ROWS[row]
    with bench(**server) as made:
        scenario(made)
