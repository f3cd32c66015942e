"""The attributes of an ADALM-Pluto Rev C with stock firmware: value at boot, shared file, read error.

Compared attribute by attribute with a real unit's description in tests; `docs/pluto-sim.md` lists what differs.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sim.iiod import devicetree
from sim.iiod.protocol import Name

PHY: Final = "ad9361-phy"
XADC: Final = "xadc"
ADC: Final = "cf-ad9361-lpc"
DAC: Final = "cf-ad9361-dds-core-lpc"
RX_PORTS: Final = (
    *("A_BALANCED", "B_BALANCED", "C_BALANCED"),
    *("A_N", "A_P", "B_N", "B_P", "C_N", "C_P"),
    *("TX_MONITOR1", "TX_MONITOR2", "TX_MONITOR1_2"),
)
TX_PORTS: Final = ["A", "B"]
CALIBRATIONS: Final = ["auto", "manual", "manual_tx_quad", "tx_quad", "rf_dc_offs", "rssi_gain_step"]
MODES: Final = ["manual", "fast_attack", "slow_attack", "hybrid"]
STATES: Final = ["sleep", "wait", "alert", "fdd", "pinctrl", "pinctrl_fdd_indep"]
GOVERNORS: Final = ["nominal", "highest_osr"]
RATE: Final = "30720000"
TONES: Final = {"altvoltage0": "I_F1", "altvoltage1": "I_F2", "altvoltage2": "Q_F1", "altvoltage3": "Q_F2"}
SUPPLIES: Final = (
    ("voltage0", "vccint", "1387"),
    ("voltage1", "vccaux", "2455"),
    ("voltage2", "vccbram", "1383"),
    ("voltage3", "vccpint", "1387"),
    ("voltage4", "vccpaux", "2453"),
    ("voltage5", "vccoddr", "1856"),
    ("voltage6", "vrefp", "1721"),
    ("voltage7", "vrefn", "14"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One attribute: its value at boot, the file that several channels may share, and its read error."""

    name: Name
    text: str
    file: str = ""
    error: int = 0


@dataclass(frozen=True, slots=True)
class _Channel:
    """The device and channel of attributes; `label` is the channel's name beside its id."""

    device: str
    kind: str
    channel: str
    label: str = ""

    def own(self, attribute: str, text: str, error: int = 0) -> Shown:
        """An attribute with a file of its own."""
        direction = "in" if self.kind == "input" else "out"
        parts = (direction, self.channel, self.label, attribute)
        return Shown(self._name(attribute), text, "_".join(part for part in parts if part), error)

    def common(self, attribute: str, text: str, error: int = 0) -> Shown:
        """An attribute that all channels of this kind share."""
        direction = "in" if self.kind == "input" else "out"
        bare = self.channel.rstrip("0123456789")
        return Shown(self._name(attribute), text, f"{direction}_{bare}_{attribute}", error)

    def _name(self, attribute: str) -> Name:
        return Name(device=self.device, kind=self.kind, channel=self.channel, attribute=attribute)


def labels(*, two: bool) -> dict[tuple[str, str, str], str]:
    """Names of channels besides their ids, by device, kind and id."""
    tones = {(DAC, "output", channel): f"TX1_{rest}" for channel, rest in TONES.items()}
    if two:
        tones |= {
            (DAC, "output", f"altvoltage{number + 4}"): f"TX2_{rest}" for number, rest in enumerate(TONES.values())
        }
    supplies = {(XADC, "input", channel): name for channel, name, _ in SUPPLIES}
    oscillators = {(PHY, "output", "altvoltage0"): "RX_LO", (PHY, "output", "altvoltage1"): "TX_LO"}
    return {**oscillators, **tones, **supplies}


def _receiver(channel: str, *, first: bool) -> Iterator[Shown]:
    """One receive path; channels that carry no samples have the common settings only."""
    at = _Channel(PHY, "input", channel)
    for attribute, text in (
        ("bb_dc_offset_tracking_en", "1"),
        ("filter_fir_en", "0"),
        ("gain_control_mode_available", " ".join(MODES)),
        ("quadrature_tracking_en", "1"),
        ("rf_bandwidth", "18000000"),
        ("rf_bandwidth_available", "[200000 1 56000000]"),
        ("rf_dc_offset_tracking_en", "1"),
        ("rf_port_select_available", " ".join(RX_PORTS)),
        ("sampling_frequency", RATE),
        ("sampling_frequency_available", "[2083333 1 61440000]"),
    ):
        yield at.common(attribute, text)
    if first:
        for attribute, text in (
            ("gain_control_mode", "slow_attack"),
            ("hardwaregain", "71.000000 dB"),
            ("hardwaregain_available", "[-3 1 71]"),
            ("rf_port_select", "A_BALANCED"),
            ("rssi", "115.00 dB"),
        ):
            yield at.own(attribute, text)


def _transmitter(channel: str, *, first: bool) -> Iterator[Shown]:
    at = _Channel(PHY, "output", channel)
    for attribute, text in (
        ("filter_fir_en", "0"),
        ("rf_bandwidth", "18000000"),
        ("rf_bandwidth_available", "[200000 1 40000000]"),
        ("rf_port_select_available", " ".join(TX_PORTS)),
        ("sampling_frequency", RATE),
        ("sampling_frequency_available", "[2083333 1 61440000]"),
    ):
        yield at.common(attribute, text)
    if first:
        for attribute, text in (
            ("hardwaregain", "-10.000000 dB"),
            ("hardwaregain_available", "[-89.750000 0.250000 0.000000]"),
            ("rf_port_select", "A"),
            ("rssi", "0.00 dB"),
        ):
            yield at.own(attribute, text)


def _oscillator(channel: str, label: str, hertz: str, saved: str) -> Iterator[Shown]:
    at = _Channel(PHY, "output", channel, label)
    yield at.own("external", "0")
    yield at.own("fastlock_load", "0")
    yield at.own("fastlock_recall", "", errno.EINVAL)
    yield at.own("fastlock_save", f"0 {','.join([saved] * 16)}")
    yield at.own("fastlock_store", "0")
    yield at.own("frequency", hertz)
    yield at.own("frequency_available", "[325000000 1 3800000000]")
    yield at.own("powerdown", "0")


def _phy(*, two: bool) -> Iterator[Shown]:
    yield from _oscillator("altvoltage1", "TX_LO", "2450000000", "193")
    yield from _oscillator("altvoltage0", "RX_LO", "2400000000", "79")
    yield from _receiver("voltage0", first=True)
    yield from _transmitter("voltage0", first=True)
    if two:
        yield from _receiver("voltage1", first=True)
        yield from _transmitter("voltage1", first=True)
    # Converters beside the radio's own: one in, two out.
    yield from _receiver("voltage2", first=False)
    aux = _Channel(PHY, "input", "voltage2")
    yield from (aux.own("offset", "57"), aux.own("raw", "975"), aux.own("scale", "0.305250"))
    for channel in ("voltage2", "voltage3"):
        yield from _transmitter(channel, first=False)
        out = _Channel(PHY, "output", channel)
        yield from (out.own("raw", "306"), out.own("scale", "1.000000"))
    yield _Channel(PHY, "input", "temp0").own("input", "36842")
    yield _Channel(PHY, "input", "out").own("voltage_filter_fir_en", "0")
    yield from _phy_device()
    yield from _phy_debug(two=two)


def _phy_device() -> Iterator[Shown]:
    for attribute, text, error in (
        ("calib_mode", "auto", 0),
        ("calib_mode_available", " ".join(CALIBRATIONS), 0),
        ("dcxo_tune_coarse", "", errno.ENODEV),
        ("dcxo_tune_coarse_available", "[0 0 0]", 0),
        ("dcxo_tune_fine", "", errno.ENODEV),
        ("dcxo_tune_fine_available", "[0 0 0]", 0),
        ("ensm_mode", "fdd", 0),
        ("ensm_mode_available", " ".join(STATES), 0),
        ("filter_fir_config", "FIR Rx: 0,0 Tx: 0,0", 0),
        ("gain_table_config", "", errno.EIO),
        ("multichip_sync", "", errno.EACCES),
        (
            "rssi_gain_step_error",
            "\n".join(
                f"{name}: {' '.join(['0'] * count)}"
                for name, count in (("lna_error", 4), ("mixer_error", 16), ("gain_step_calib_reg_val", 5))
            ),
            0,
        ),
        ("rx_path_rates", "", 0),
        ("trx_rate_governor", "nominal", 0),
        ("trx_rate_governor_available", " ".join(GOVERNORS), 0),
        ("tx_path_rates", "", 0),
        ("xo_correction", "40000000", 0),
        ("xo_correction_available", "[39992000 1 40008000]", 0),
    ):
        yield Shown(Name(device=PHY, kind="device", attribute=attribute), text.strip(), attribute, error)


def _phy_debug(*, two: bool) -> Iterator[Shown]:
    plain = dict.fromkeys(("digital_tune", "calibration_switch_control", "multichip_sync", "bist_timing_analysis"), "0")
    plain |= dict.fromkeys(("gpo_set", "bist_tone", "bist_prbs", "loopback", "initialize"), "0")
    tree = devicetree.settings()
    if two:
        tree["adi,2rx-2tx-mode-enable"] = "1"
    values = {**plain, "gaininfo_rx1": "71 76 0 0 0 0 0 0", **tree, "direct_reg_access": "0x0"}
    for attribute, text in values.items():
        yield Shown(Name(device=PHY, kind="debug", attribute=attribute), text)
    yield Shown(Name(device=PHY, kind="debug", attribute="gaininfo_rx2"), "", "", errno.EINVAL)


def _xadc() -> Iterator[Shown]:
    for channel, name, raw in SUPPLIES:
        at = _Channel(XADC, "input", channel, name)
        yield from (at.own("raw", raw), at.own("scale", "0.732421875"))
    outside = _Channel(XADC, "input", "voltage8")
    yield from (outside.own("raw", "3296"), outside.own("scale", "0.244140625"))
    heat = _Channel(XADC, "input", "temp0")
    yield from (heat.own("offset", "-2219"), heat.own("raw", "2700"), heat.own("scale", "123.040771484"))
    yield Shown(Name(device=XADC, kind="device", attribute="sampling_frequency"), "961538", "sampling_frequency")


def _streams(*, two: bool) -> Iterator[Shown]:
    rates = f"{RATE} {int(RATE) // 8} "
    for channel in _rails(two=two):
        out = _Channel(DAC, "output", channel)
        yield from (out.own("calibphase", "0.000000"), out.own("calibscale", "1.000000"))
        yield from (out.common("sampling_frequency", RATE), out.common("sampling_frequency_available", rates))
    for (_, _, channel), label in labels(two=two).items():
        if label.startswith("TX") and label != "TX_LO":
            tone = _Channel(DAC, "output", channel, label)
            yield tone.own("frequency", "9279985")
            yield tone.own("phase", "90000" if "_I_" in label else "0")
            yield from (tone.own("raw", "1"), tone.own("scale", "0.000000"))
            yield tone.common("sampling_frequency", RATE)
    yield from _buffer(DAC, "0x90162")
    for channel in _rails(two=two):
        into = _Channel(ADC, "input", channel)
        yield from (into.own("calibbias", "0"), into.own("calibphase", "0.000000"), into.own("calibscale", "1.000000"))
        yield into.common("samples_pps", "", errno.ENODEV)
        yield from (into.common("sampling_frequency", RATE), into.common("sampling_frequency_available", rates))
    noise = "CH0 : PN9 : Out of Sync : PN Error\nCH1 : PN9 : Out of Sync : PN Error"
    yield Shown(Name(device=ADC, kind="debug", attribute="pseudorandom_err_check"), noise)
    yield from _buffer(ADC, "0x0")


def _rails(*, two: bool) -> list[str]:
    return [f"voltage{number}" for number in range(4 if two else 2)]


def _buffer(device: str, register: str) -> Iterator[Shown]:
    for attribute, text in (("data_available", "0"), ("length_align_bytes", "8"), ("watermark", "2048")):
        yield Shown(Name(device=device, kind="buffer", attribute=attribute), text)
    yield Shown(Name(device=device, kind="debug", attribute="direct_reg_access"), register)


def shown(*, two: bool) -> list[Shown]:
    """Every attribute in description order; `two` for a unit with its second channels in use (2R2T)."""
    return [*_phy(two=two), *_xadc(), *_streams(two=two)]
