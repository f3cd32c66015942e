"""Cost of the Pluto driver: streams through the real libiio from a simulated Pluto in its own process."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hw_profiles.loader import load_limits
from radio import waveform
from radio.drivers.pluto.layout import DAC_FULL_SCALE, PlutoOptions
from radio.drivers.pluto.radio import PlutoRadio
from radio.errors import Disconnected, RadioError, SettingRefused
from radio.mask import Service
from radio.ports import Iq16, RxFlag, RxSettings, Sent, TxSettings
from settlement.chain.scope import Band

CENTER_HZ = 3_555_000_000
BANDWIDTH_HZ = 20_000_000
BLOCK = 262_144
BURST = 262_144
START_S = 20.0
SERVICE = Service.of(load_limits("cbrs-b"))


@contextmanager
def simulated_pluto(*, paced: bool) -> Iterator[str]:
    """Run a simulated Pluto that repeats the same samples; yields its URI. Raises Disconnected."""
    command = [sys.executable, "-P", "-m", "sim.iiod.loop", "paced" if paced else "unpaced"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            uri = process.stdout.readline().strip() if process.stdout is not None else ""
            if not uri:
                raise Disconnected("the simulated Pluto did not come up; see its message above")
            yield uri
        finally:
            process.terminate()


def _tuned(uri: str, rate_hz: int, *, overflow_register: bool) -> PlutoRadio:
    radio = PlutoRadio(uri, options=PlutoOptions(burst_samples=BURST, overflow_register=overflow_register))
    radio.tune_rx(RxSettings(center_hz=CENTER_HZ, sample_rate_hz=rate_hz, bandwidth_hz=BANDWIDTH_HZ, gain_mdb=30_000))
    return radio


def _checked(iq: Iq16, rate_hz: int) -> None:
    """Check a burst as the warden does before sending it; raises SettingRefused."""
    band = Band(low_hz=CENTER_HZ - rate_hz // 2, high_hz=CENTER_HZ + rate_hz // 2)
    allowed = waveform.Allowed(band=band, max_eirp_mdbm=20_000, outside_mdbm_per_mhz=-13_000, service=SERVICE)
    calibration = waveform.Calibration(full_scale=DAC_FULL_SCALE, eirp_mdbm=20_000)
    measured = waveform.measure(
        iq, center_hz=CENTER_HZ, sample_rate_hz=rate_hz, allowed=allowed, calibration=calibration
    )
    refusal = waveform.check(measured, allowed)
    if refusal is not None:
        raise SettingRefused(str(refusal))


class _Sender:
    """Keeps the transmit queue filled from its own thread; every burst is checked before it is sent."""

    def __init__(self, radio: PlutoRadio, rate_hz: int) -> None:
        self._radio, self._rate_hz = radio, rate_hz
        self._stop = threading.Event()
        self.sent = self.underruns = 0
        self.failure: RadioError | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        iq = np.random.default_rng(1).normal(0, 3000, (BURST, 2)).astype(np.int16)
        ends_ns = 0
        while not self._stop.is_set():
            try:
                _checked(iq, self._rate_hz)
                sent = self._offered(iq)
            except RadioError as exc:
                self.failure = exc
                return
            if sent is None:
                return
            self.underruns += bool(ends_ns and sent.start.earliest_ns > ends_ns)
            ends_ns = sent.start.latest_ns + BURST * 1_000_000_000 // self._rate_hz + 1_000_000
            self.sent += sent.samples

    def _offered(self, iq: Iq16) -> Sent | None:
        """Send as soon as the queue has room; None when told to stop before."""
        while not self._stop.is_set():
            try:
                return self._radio.send(iq)
            except SettingRefused:
                self._stop.wait(BURST / self._rate_hz / 4)
        return None


def both_ways(uri: str, *, seconds: float, rate_hz: int) -> dict[str, Any]:
    """Stream in and out together; returns rates, CPU per cent of one core, gaps and underruns. Raises RadioError."""
    radio = _tuned(uri, rate_hz, overflow_register=True)
    radio.tune_tx(
        TxSettings(center_hz=CENTER_HZ, sample_rate_hz=rate_hz, bandwidth_hz=BANDWIDTH_HZ, attenuation_mdb=20_000)
    )
    sender = _Sender(radio, rate_hz)
    sender.start()
    received = gaps = 0
    begun, cpu = time.monotonic(), time.process_time()
    for block in radio.stream(BLOCK):
        received += len(block.iq)
        gaps += bool(block.flags & (RxFlag.GAP | RxFlag.SHORT))
        if time.monotonic() - begun >= seconds:
            break
    lasted, used = time.monotonic() - begun, time.process_time() - cpu
    sender.stop()
    radio.close()
    if sender.failure is not None:
        raise sender.failure
    return {
        "rate_hz": rate_hz,
        "seconds": lasted,
        "rx_msps": received / lasted / 1e6,
        "tx_msps": sender.sent / lasted / 1e6,
        "cpu_percent": 100 * used / lasted,
        "gaps": gaps,
        "underruns": sender.underruns,
    }


def receive_alone(uri: str, *, seconds: float) -> dict[str, Any]:
    """Receive as fast as possible; returns the rate by the clock and by CPU time, and gaps. Raises RadioError."""
    radio = _tuned(uri, 61_440_000, overflow_register=True)
    received = gaps = 0
    begun, cpu = time.monotonic(), time.process_time()
    for block in radio.stream(BLOCK):
        received += len(block.iq)
        gaps += bool(block.flags & (RxFlag.GAP | RxFlag.SHORT))
        if time.monotonic() - begun >= seconds:
            break
    lasted, used = time.monotonic() - begun, time.process_time() - cpu
    radio.close()
    return {
        "seconds": lasted,
        "msps": received / lasted / 1e6,
        "msps_per_cpu": received / used / 1e6,
        "gaps": gaps,
    }
