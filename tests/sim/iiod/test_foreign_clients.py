"""Other people's programs on the simulated Pluto: libiio's own, Debian's daemon, GNU Radio, SoapyPlutoSDR's calls."""

import ctypes
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.drivers.pluto.layout import ADC, DAC, PHY
from radio.drivers.pluto.libiio import connect, destroy, open_buffer
from radio.ports import RxFlag
from sim.iiod.context import Firmware
from tests.radio.foreign import absent, program
from tests.radio.plutobench import RX, Bench, bench
from tests.sim.iiod.test_attributes import WIZARD

pytestmark = [pytest.mark.feature("R2"), pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]
SYSTEM = "/usr/bin/python3"


@pytest.fixture(scope="module")
def made() -> Iterator[Bench]:
    with bench() as one:
        yield one


def run(name: str, *arguments: str, data: bytes | None = None) -> bytes:
    done = subprocess.run([program(name), *arguments], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def has(module: str) -> bool:
    """Whether the system's own Python has a module."""
    tried = subprocess.run([SYSTEM, "-c", f"import {module}"], capture_output=True, timeout=60, check=False)
    return tried.returncode == 0


# -- libiio's own programs --------------------------------------------------------------------------------------------


def test_iio_info_reads_everything(made: Bench) -> None:
    told = run("iio_info", "-u", made.uri).decode()
    assert "4 devices" in told
    for line in ("rf_port_select", "quadrature_tracking_en", "vccpint", "temp0", "samples_pps", "gaininfo_rx1"):
        assert line in told
    errors = [line.strip() for line in told.splitlines() if "ERROR" in line]
    # As on a real unit: those that cannot be read just now, each with the kernel's error.
    assert len(errors) == 9, errors


def test_iio_attr_reads_and_writes_channels_devices_and_debug(made: Bench) -> None:
    made.hosted.ask(lambda server: server.reboot())
    uri = ("-u", made.uri)
    assert run("iio_attr", *uri, "-c", "-i", PHY, "voltage0", "rf_port_select").split() == [b"A_BALANCED"]
    run("iio_attr", *uri, "-c", "-o", PHY, "TX_LO", "frequency", "3700000000")
    assert run("iio_attr", *uri, "-c", "-o", PHY, "altvoltage1", "frequency").split() == [b"3700000000"]
    run("iio_attr", *uri, "-d", PHY, "ensm_mode", "alert")
    assert b"alert" in run("iio_attr", *uri, "-d", PHY, "ensm_mode")
    run("iio_attr", *uri, "-D", PHY, "loopback", "1")
    assert b"1" in run("iio_attr", *uri, "-D", PHY, "loopback")
    assert b"SIM-p" in run("iio_attr", *uri, "-C", "hw_serial")
    made.hosted.ask(lambda server: server.reboot())


@pytest.mark.parametrize(
    ("channels", "each"), [((), 4), (("voltage0", "voltage1"), 4), (("voltage0",), 2), (("voltage1",), 2)]
)
def test_iio_readdev_reads_both_channels_or_one(made: Bench, channels: tuple[str, ...], each: int) -> None:
    samples = run("iio_readdev", "-u", made.uri, "-b", "1024", "-s", "4096", ADC, *channels)
    assert len(samples) == 4096 * each
    assert np.frombuffer(samples, "<i2").std() > 0


@pytest.mark.parametrize(("channels", "each"), [(("voltage0", "voltage1"), 4), (("voltage0",), 2)])
def test_iio_writedev_plays_both_channels_or_one(made: Bench, channels: tuple[str, ...], each: int) -> None:
    made.hosted.ask(lambda server: server.reboot())
    before = len([one for one in made.air.emissions() if one.kind == "burst"])
    data = np.full(8192 * each // 2, 8000, "<i2").tobytes()
    run("iio_writedev", "-u", made.uri, "-b", "4096", "-s", "8192", DAC, *channels, data=data)
    assert len([one for one in made.air.emissions() if one.kind == "burst"]) > before


# -- Debian's own daemon between --------------------------------------------------------------------------------------


def test_debians_daemon_before_it_and_the_driver_through_both() -> None:
    program("iiod")
    apart = [program("unshare"), "-rn"]
    if subprocess.run([*apart, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode:
        absent("no network namespace may be made here: run as root, or allow unprivileged user namespaces")
    command = [*apart, sys.executable, "-m", "tests.sim.iiod.fronted"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "devices 4 temp True",
        "received 4096",
        "radiates True True",
        "muted True True",
    ], done.stdout


# -- GNU Radio --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "taps"), [(2_500_000, "auto"), (1_000_000, "auto"), (2_500_000, "file")])
def test_gnu_radio_receives_and_transmits_at_its_rate(made: Bench, tmp_path: Path, rate_hz: int, taps: str) -> None:
    if not has("gnuradio.iio"):
        absent("GNU Radio is not here: apt-get install gnuradio")
    made.hosted.ask(lambda server: server.reboot())
    file = tmp_path / "filter.ftr"
    file.write_text(WIZARD)
    script = Path(__file__).with_name("gnuradioclient.py")
    command = [SYSTEM, str(script), made.uri, str(rate_hz), "auto" if taps == "auto" else str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(("received", "sent"))]
    assert [line[0] for line in lines] == ["received", "sent"], done.stdout + done.stderr
    assert int(lines[0][1]) == 65_536
    assert float(lines[0][2]) > 0
    assert made.hosted.ask(lambda server: (server.pluto.rate_hz, server.pluto.transmit_rate_hz)) == (rate_hz, rate_hz)
    played = [one for one in made.air.emissions() if one.kind == "burst" and one.center_hz == 2_460_000_000]
    assert played


# -- SoapyPlutoSDR ----------------------------------------------------------------------------------------------------


class Soapy:
    """SoapyPlutoSDR's own sequence of calls on libiio and libad9361, as its public source has them.

    Debian has SoapySDR without a module for this device, so the sequence is made by hand, on the real libraries.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._chip = ctypes.CDLL("libad9361.so.0")
        except OSError:
            absent("libad9361 is not here: apt-get install libad9361-0")
        self._chip.ad9361_set_bb_rate.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
        self._context = connect(uri, timeout_ms=2500)
        self.phy, self.rx, self.tx = (self._context.find_device(name) for name in (PHY, ADC, DAC))
        self._try(self.phy, False, "rf_port_select", "A_BALANCED")
        self._try(self.phy, False, "gain_control_mode", "manual")
        self._try(self.phy, True, "rf_port_select", "A")

    @staticmethod
    def _try(device: Any, output: bool, attribute: str, text: str, channel: str = "voltage0") -> None:
        """Write and, as it does, not look whether that was refused."""
        try:
            device.find_channel(channel, output).attrs[attribute].value = text
        except OSError:
            return

    def set_rate(self, output: bool, rate_hz: int) -> int:
        """`setSampleRate`, then what `getSampleRate` reads."""
        divided = rate_hz < 25e6 / 48
        chip_hz = rate_hz * 8 if divided else rate_hz
        stream = self.tx if output else self.rx
        self._try(self.phy, output, "sampling_frequency", str(chip_hz))
        self._try(stream, output, "sampling_frequency", str(rate_hz))
        assert self._chip.ad9361_set_bb_rate(self.phy._device, chip_hz) == 0
        return int(stream.find_channel("voltage0", output).attrs["sampling_frequency"].value)

    def tune(self, output: bool, center_hz: int, bandwidth_hz: int, gain_db: int) -> None:
        """`setFrequency`, `setBandwidth`, `setGainMode`, `setGain`."""
        oscillator = "altvoltage1" if output else "altvoltage0"
        self._try(self.phy, True, "frequency", str(center_hz), oscillator)
        self._try(self.phy, output, "rf_bandwidth", str(bandwidth_hz))
        if not output:
            self._try(self.phy, False, "gain_control_mode", "manual")
        self._try(self.phy, output, "hardwaregain", str(gain_db - 89 if output else gain_db))

    def oscillator(self, output: bool, *, on: bool) -> None:
        """What `setupStream` does before it opens a buffer, and `closeStream` after it has closed one."""
        self._try(self.phy, True, "powerdown", "0" if on else "1", "altvoltage1" if output else "altvoltage0")

    def play(self, pieces: list[bytes], channels: int = 2) -> None:
        """A transmit stream of buffers of 4096 samples."""
        for channel in self.tx.channels:
            channel.enabled = channel.scan_element and channel.id in [f"voltage{one}" for one in range(channels)]
        buffer = open_buffer(self.tx, 4096)
        try:
            for piece in pieces:
                buffer.write(bytearray(piece))
                buffer.push()
        finally:
            destroy(buffer)

    def read(self, samples: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
        """A stream of one buffer."""
        for channel in self.rx.channels:
            channel.enabled = channel.id in ("voltage0", "voltage1")
        buffer = open_buffer(self.rx, samples)
        try:
            buffer.refill()
            return np.frombuffer(buffer.read(), "<i2").reshape(-1, 2)
        finally:
            destroy(buffer)


@pytest.mark.parametrize("rate_hz", [600_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000])
def test_soapyplutosdrs_calls_set_the_rate_of_both_directions(made: Bench, rate_hz: int) -> None:
    made.hosted.ask(lambda server: server.reboot())
    soapy = Soapy(made.uri)
    assert soapy.set_rate(False, rate_hz) == rate_hz
    assert soapy.set_rate(True, rate_hz) == rate_hz
    soapy.tune(False, 3_555_000_000, 1_000_000, 60)
    soapy.tune(True, 3_555_000_000, 1_000_000, 0)
    assert soapy.read(4096).std() > 1
    assert made.hosted.ask(lambda server: server.pluto.rate_hz) == rate_hz


def test_soapyplutosdrs_slow_rates_use_the_divider(made: Bench) -> None:
    made.hosted.ask(lambda server: server.reboot())
    soapy = Soapy(made.uri)
    # The first call finds the filter off, which its library then switches on: only the second reaches so low.
    soapy.set_rate(False, 250_000)
    assert soapy.set_rate(False, 250_000) == 250_000
    assert made.hosted.ask(lambda server: (server.pluto.rate_hz, server.pluto.chip_rate_hz)) == (250_000, 2_000_000)
    soapy.tune(False, 3_555_000_000, 200_000, 60)
    assert len(soapy.read(2048)) == 2048


def test_soapyplutosdr_leaves_both_oscillators_off_and_the_driver_finds_a_receiver_that_hears(made: Bench) -> None:
    made.hosted.ask(lambda server: server.reboot())
    soapy = Soapy(made.uri)
    soapy.set_rate(True, 2_000_000)
    soapy.tune(True, 3_555_000_000, 2_000_000, 80)
    soapy.oscillator(True, on=True)
    before_ns = time.monotonic_ns()
    soapy.play([np.full(8192, 8000, "<i2").tobytes()] * 4)
    assert [one for one in made.after(before_ns) if one.kind == "burst"]
    soapy.oscillator(True, on=False)
    assert not made.radiates()
    soapy.tune(False, 3_555_000_000, 2_000_000, 60)
    soapy.oscillator(False, on=True)
    assert soapy.read(4096).std() > 1
    # A rate that is changed while a stream is open: its buffer is closed and another opened.
    assert soapy.set_rate(False, 1_000_000) == 1_000_000
    assert soapy.read(16_384).std() > 1
    soapy.oscillator(False, on=False)
    assert soapy.read(4096).std() < 1
    radio = made.radio()
    radio.tune_rx(RX)
    look = radio.receive(4096)
    assert not look.flags & (RxFlag.DEAF | RxFlag.MOVED)
    assert look.iq.std() > 1
    # Another client closes its stream while the driver listens: what follows is never a quiet band.
    soapy.oscillator(False, on=False)
    assert radio.receive(4096).flags & (RxFlag.DEAF | RxFlag.MOVED)
    radio.close()


def test_soapyplutosdrs_streams_carry_both_channels_of_a_2r2t_unit() -> None:
    with bench(firmware=Firmware(serial="SIM-p", two_channels=True)) as both:
        soapy = Soapy(both.uri)
        soapy.set_rate(False, 2_000_000)
        soapy.tune(False, 3_555_000_000, 2_000_000, 60)
        for channel in soapy.rx.channels:
            channel.enabled = True
        buffer = open_buffer(soapy.rx, 4096)
        buffer.refill()
        rails = np.frombuffer(buffer.read(), "<i2").reshape(-1, 4)
        destroy(buffer)
        assert len(rails) == 4096
        assert rails[:, :2].std() > 1
        soapy.tune(True, 3_555_000_000, 2_000_000, 80)
        before_ns = time.monotonic_ns()
        soapy.play([np.full(4 * 4096, 8000, "<i2").tobytes()] * 2, channels=4)
        assert [one for one in both.after(before_ns) if one.kind == "burst"]


def test_soapyplutosdrs_settings_are_taken_as_the_chips_driver_takes_them(made: Bench) -> None:
    """Its switches are words that the kernel does not know; a calibration that is asked for leaves the mode."""
    made.hosted.ask(lambda server: server.reboot())
    soapy = Soapy(made.uri)
    tracking = soapy.phy.find_channel("voltage2", False).attrs["quadrature_tracking_en"]
    for text, read in (("0", "0"), ("yes", "1"), ("off", "0"), ("On", "1"), ("no", "0")):
        tracking.value = text
        assert tracking.value == read
    for text in ("true", "False", "", "2"):
        with pytest.raises(OSError, match="Invalid argument"):
            tracking.value = text
    mode = soapy.phy.attrs["calib_mode"]
    for text, read in (("manual", "manual"), ("rf_dc_offs", "manual"), ("tx_quad 3", "manual"), ("auto", "auto")):
        mode.value = text
        assert mode.value == read
    with pytest.raises(OSError, match="Invalid argument"):
        mode.value = "rf_dc_offs 3"
