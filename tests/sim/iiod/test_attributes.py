"""What the simulated Pluto does with what clients write: ADI's filters, all rates, an AD9363's ranges, coupling."""

import errno

import numpy as np
import pytest

from sim.iiod import fir
from sim.iiod.antenna import LoopAntenna
from sim.iiod.attributes import ADC, DAC, PHY
from sim.iiod.context import Firmware
from sim.iiod.host import Hosted
from sim.iiod.pluto import Pluto
from sim.iiod.protocol import Name
from sim.iiod.server import IiodServer
from tests.sim.iiod.test_protocol import answers

pytestmark = pytest.mark.feature("R2")

WIZARD = """# Generated with AD9361 Filter Design Wizard 16.1.3
# MATLAB 9.9.0, 28-Nov-2020 10:11:12
# Inputs:
# Data Sample Frequency = 2500000 Hz
TX 3 GAIN 0 INT 2
RX 3 GAIN 0 DEC 2
RTX 960000000 40000000 20000000 10000000 5000000 2500000
RRX 960000000 80000000 20000000 10000000 5000000 2500000
BWTX 3000000
BWRX 2500000
""" + "\n".join(f"{tap},{-tap}" for tap in range(-32, 32))
TAPS = Name(device=PHY, kind="device", attribute="filter_fir_config")


def at(device: str, kind: str, channel: str, attribute: str) -> Name:
    return Name(device=device, kind=kind, channel=channel, attribute=attribute)


RATE = at(PHY, "input", "voltage0", "sampling_frequency")
RATE_TX = at(PHY, "output", "voltage0", "sampling_frequency")
ADC_RATE = at(ADC, "input", "voltage0", "sampling_frequency")
DAC_RATE = at(DAC, "output", "voltage1", "sampling_frequency")
LO = at(PHY, "output", "altvoltage1", "frequency")


@pytest.fixture
def pluto() -> Pluto:
    return Pluto(Firmware(), LoopAntenna(bytes(4096)))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_filter_file_of_the_makers_own_tools_is_taken(pluto: Pluto, end: str) -> None:
    assert pluto.write(TAPS, WIZARD.replace("\n", end)) == 0
    assert pluto.read(TAPS) == "FIR Rx: 64,2 Tx: 64,2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment alone",
        "RX 3 GAIN 0 DEC 2\n" + "1,1\n" * 15,
        "RX 3 GAIN 0 DEC 3\n" + "1,1\n" * 16,
        "RX 3 GAIN 0 DEC 2\n" + "1,1\n" * 144,
        "RX 3 GAIN 0 DEC 2\nhello\n" + "1,1\n" * 16,
        "1,1\n" * 16,
    ],
)
def test_what_is_no_filter_is_refused_and_changes_nothing(pluto: Pluto, text: str) -> None:
    assert pluto.write(TAPS, text) == -errno.EINVAL
    assert pluto.read(TAPS) == "FIR Rx: 0,0 Tx: 0,0"
    with pytest.raises(fir.NoFilter):
        fir.parse(text)


@pytest.mark.parametrize("name", [RATE, RATE_TX, ADC_RATE, DAC_RATE])
def test_any_of_the_rates_sets_the_rate(pluto: Pluto, name: Name) -> None:
    assert pluto.write(name, "2500000") == 0
    assert {pluto.read(one) for one in (RATE, RATE_TX, ADC_RATE, DAC_RATE)} == {"2500000"}
    assert pluto.read(at(ADC, "input", "voltage1", "sampling_frequency_available")) == "2500000 312500 "


def test_an_eighth_of_the_rate_switches_the_divider_and_the_rate_itself_switches_it_off(pluto: Pluto) -> None:
    pluto.write(RATE, "4000000")
    assert pluto.write(ADC_RATE, "500000") == 0
    assert (pluto.rate_hz, pluto.transmit_rate_hz, pluto.read(RATE)) == (500_000, 4_000_000, "4000000")
    assert pluto.write(DAC_RATE, "500000") == 0
    assert pluto.transmit_rate_hz == 500_000
    assert pluto.write(RATE, "8000000") == 0
    assert pluto.read(ADC_RATE) == "1000000"
    assert pluto.write(ADC_RATE, "8000000") == 0
    assert pluto.rate_hz == 8_000_000


def test_the_least_rate_depends_on_the_filter(pluto: Pluto) -> None:
    on = at(PHY, "input", "out", "voltage_filter_fir_en")
    assert pluto.write(RATE, "1000000") == -errno.EINVAL
    assert pluto.read(at(PHY, "input", "voltage0", "sampling_frequency_available")) == "[2083333 1 61440000]"
    assert (pluto.write(TAPS, WIZARD), pluto.write(on, "1"), pluto.write(RATE, "1000000")) == (0, 0, 0)
    assert pluto.read(at(PHY, "output", "voltage0", "filter_fir_en")) == "1"
    assert pluto.write(on, "0") == -errno.EINVAL
    assert pluto.read(on) == "1"


@pytest.mark.parametrize(
    ("hertz", "taken"), [("324999999", False), ("325000000", True), ("3800000000", True), ("3800000001", False)]
)
def test_a_stock_chip_tunes_as_far_as_its_data_sheet_says(pluto: Pluto, hertz: str, taken: bool) -> None:
    assert (pluto.write(LO, hertz) == 0) is taken


def test_a_stock_chip_holds_at_most_20_mhz(pluto: Pluto) -> None:
    wide = at(PHY, "input", "voltage0", "rf_bandwidth")
    assert pluto.write(wide, "56000000") == 0
    assert pluto.read(wide) == "20000000"
    other = Pluto(Firmware(chip_model="ad9364"), LoopAntenna(bytes(4096)))
    assert (other.write(wide, "56000000"), other.read(wide), other.write(LO, "5900000000")) == (0, "56000000", 0)


def test_gains_are_of_the_table_of_the_range_tuned_to(pluto: Pluto) -> None:
    gains, lo = at(PHY, "input", "voltage0", "hardwaregain_available"), at(PHY, "output", "altvoltage0", "frequency")
    assert pluto.read(gains) == "[-3 1 71]"
    pluto.write(lo, "700000000")
    assert pluto.read(gains) == "[-1 1 73]"


def test_what_cannot_be_read_or_written_gives_the_kernels_errors(pluto: Pluto) -> None:
    assert pluto.read(Name(device=PHY, kind="device", attribute="dcxo_tune_coarse")) == -errno.ENODEV
    assert pluto.read(Name(device=PHY, kind="device", attribute="multichip_sync")) == -errno.EACCES
    assert pluto.write(at("xadc", "input", "temp0", "raw"), "1") == -errno.EACCES
    assert pluto.write(at(PHY, "input", "voltage0", "rf_port_select"), "Z") == -errno.EINVAL


def test_channels_that_share_a_file_are_one_attribute(pluto: Pluto) -> None:
    tracking = at(PHY, "input", "voltage2", "quadrature_tracking_en")
    assert pluto.write(tracking, "0") == 0
    assert pluto.read(at(PHY, "input", "voltage0", "quadrature_tracking_en")) == "0"


def test_one_channel_alone_is_read_and_written() -> None:
    loop = np.arange(64, dtype="<i2").reshape(-1, 2)
    antenna = LoopAntenna(loop.tobytes())
    hosted = Hosted(IiodServer(Pluto(Firmware(), antenna), antenna, paced=False))
    try:
        for mask, rail in (("00000001", 0), ("00000002", 1)):
            said = f"OPEN cf-ad9361-lpc 8 {mask}\r\nREADBUF cf-ad9361-lpc 16\r\n".encode()
            found = answers(hosted.port, said)
            head = f"0\n16\n{mask}\n".encode()
            assert found.startswith(head)
            assert set(np.frombuffer(found[len(head) :], dtype="<i2") % 2) == {rail}
        out = b"OPEN cf-ad9361-dds-core-lpc 4 00000001\r\nWRITEBUF cf-ad9361-dds-core-lpc 8\r\n" + bytes(8)
        assert answers(hosted.port, out) == b"0\n0\n8\n"
        assert answers(hosted.port, b"OPEN cf-ad9361-lpc 8 00000004\r\n") == b"-22\n"
    finally:
        hosted.stop()
