"""The effect of writing each Pluto attribute, and the attributes whose reading depends on others.

Long because the attributes are coupled: what one takes depends on the others, and is read beside them.
"""

import errno
import re
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from sim.iiod import fir
from sim.iiod.attributes import ADC, CALIBRATIONS, DAC, GOVERNORS, MODES, PHY, RX_PORTS, STATES, TX_PORTS
from sim.iiod.context import Firmware
from sim.iiod.protocol import Name

RATE_HZ: Final = (520_834, 61_440_000)
RATE_WITHOUT_FIR_HZ: Final = 25_000_000 // 12
BANDWIDTH_HZ: Final = (200_000, 56_000_000)
STOCK_LO_HZ: Final = (325_000_000, 3_800_000_000)
STOCK_BANDWIDTH_HZ: Final = 20_000_000
LO_HZ: Final = (70_000_000, 6_000_000_000)
ATTENUATION_DB: Final = (-89.75, 0.0)
STEPS_PER_DB: Final = 4
DIVIDED: Final = "divided"
"""Value held by a sample interface's rate while it decimates or interpolates by eight."""
RECEIVING: Final = ("fdd", "pinctrl_fdd_indep")
TRANSMITTING: Final = ("fdd", "pinctrl_fdd_indep")
SWITCH: Final = {"0": "0", "1": "1", "n": "0", "y": "1", "N": "0", "Y": "1", "on": "1", "of": "0"}
"""The first one or two characters of a switch's text, as the kernel reads it; the rest is ignored."""


class Chip(Protocol):
    """A unit as the rules see it: its attributes, its registers, its stored profiles."""

    firmware: Firmware
    values: dict[Name, str]
    registers: dict[int, int]
    register: int
    fastlock: dict[tuple[str, int], str]

    @property
    def transmit_rate_hz(self) -> int:
        """Sample rate of transmit buffers."""

    def value(self, name: Name, otherwise: str) -> str:
        """An attribute's value; `otherwise` where this firmware lacks it."""

    def initialise(self) -> None:
        """Reset the chip."""


def _phy(kind: str, channel: str, attribute: str) -> Name:
    return Name(device=PHY, kind=kind, channel=channel, attribute=attribute)


GAIN_RX: Final = _phy("input", "voltage0", "hardwaregain")
MODE: Final = _phy("input", "voltage0", "gain_control_mode")
PORT_RX: Final = _phy("input", "voltage0", "rf_port_select")
RATE_RX: Final = _phy("input", "voltage0", "sampling_frequency")
BAND_RX: Final = _phy("input", "voltage0", "rf_bandwidth")
FIR_RX: Final = _phy("input", "voltage0", "filter_fir_en")
FIR: Final = _phy("input", "out", "voltage_filter_fir_en")
GAINS_TX: Final = (_phy("output", "voltage0", "hardwaregain"), _phy("output", "voltage1", "hardwaregain"))
RATE_TX: Final = _phy("output", "voltage0", "sampling_frequency")
BAND_TX: Final = _phy("output", "voltage0", "rf_bandwidth")
FIR_TX: Final = _phy("output", "voltage0", "filter_fir_en")
LO_RX: Final = _phy("output", "altvoltage0", "frequency")
LO_TX: Final = _phy("output", "altvoltage1", "frequency")
LO_DOWN_RX: Final = _phy("output", "altvoltage0", "powerdown")
DOWN: Final = _phy("output", "altvoltage1", "powerdown")
STATE: Final = Name(device=PHY, kind="device", attribute="ensm_mode")
TAPS: Final = Name(device=PHY, kind="device", attribute="filter_fir_config")
LOOPBACK: Final = Name(device=PHY, kind="debug", attribute="loopback")
XO: Final = Name(device=PHY, kind="device", attribute="xo_correction")
TRUE_XO_HZ: Final = 40_000_000
"""The true frequency of this unit's crystal."""
TEST_TONE: Final = Name(device=PHY, kind="debug", attribute="bist_tone")
INITIALISE: Final = Name(device=PHY, kind="debug", attribute="initialize")
RATE_ADC: Final = Name(device=ADC, kind="input", channel="voltage0", attribute="sampling_frequency")
RATE_DAC: Final = Name(device=DAC, kind="output", channel="voltage0", attribute="sampling_frequency")
SCALE_I: Final = Name(device=ADC, kind="input", channel="voltage0", attribute="calibscale")
SCALE_Q: Final = Name(device=ADC, kind="input", channel="voltage1", attribute="calibscale")


def tone(channel: str, attribute: str) -> Name:
    """An attribute of a tone generator."""
    return Name(device=DAC, kind="output", channel=channel, attribute=attribute)


class Invalid(Exception):
    """The attribute refuses the value; the argument is the negative errno."""


Rule = Callable[[Chip, Name, str], None]


# -- reading -------------------------------------------------------------------------------------------------------


def shown(pluto: Chip, name: Name) -> str:
    """An attribute's text as it reads now; some depend on others."""
    held = pluto.values[name]
    rate = int(pluto.value(RATE_RX, "30720000"))
    if name in (RATE_ADC, RATE_DAC):
        return str(rate // 8 if held == DIVIDED else rate)
    if name.device in (ADC, DAC) and name.attribute == "sampling_frequency_available":
        return f"{rate} {rate // 8} "
    if name.device == DAC and name.attribute == "sampling_frequency":
        return str(pluto.transmit_rate_hz)
    if name.device == PHY:
        return _of_the_chip(pluto, name, held, rate)
    return held


def _of_the_chip(pluto: Chip, name: Name, held: str, rate: int) -> str:
    match name.attribute:
        case "tx_path_rates" | "rx_path_rates":
            # Slow converters are clocked higher above the rate, so that long filters have the time they need.
            fast = rate * (4 if rate > RATE_HZ[1] // 3 else 8)
            if name.attribute == "tx_path_rates":
                return f"BBPLL:983040002 DAC:{fast} T2:{fast} T1:{fast // 2} TF:{fast // 4} TXSAMP:{rate}"
            return f"BBPLL:983040002 ADC:{2 * fast} R2:{fast} R1:{fast // 2} RF:{fast // 4} RXSAMP:{rate}"
        case "frequency_available":
            low, high = _lo_range(pluto)
            return f"[{low} 1 {high}]"
        case "hardwaregain_available" if name.kind == "input":
            low, high = _gains(pluto)
            return f"[{low} 1 {high}]"
        case "sampling_frequency_available":
            return f"[{_least_rate(pluto)} 1 {RATE_HZ[1]}]"
    return held


def _lo_range(pluto: Chip) -> tuple[int, int]:
    return STOCK_LO_HZ if pluto.firmware.chip_model.startswith("ad9363") else LO_HZ


def _gains(pluto: Chip) -> tuple[int, int]:
    """The range of the gain table for the present tuning."""
    at_hz = int(pluto.value(LO_RX, "2400000000"))
    if at_hz <= 1_300_000_000:
        return -1, 73
    return (-3, 71) if at_hz <= 4_000_000_000 else (-10, 62)


def _least_rate(pluto: Chip) -> int:
    return RATE_HZ[0] if pluto.value(FIR, "0") == "1" else RATE_WITHOUT_FIR_HZ


# -- writing -------------------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    found = re.match(r"\s*-?\d+(\.\d+)?", text)
    if found is None:
        raise Invalid(-errno.EINVAL)
    return float(found.group())


def _within(low: float, high: float, text: str) -> int:
    number = round(_number(text))
    if not low <= number <= high:
        raise Invalid(-errno.EINVAL)
    return number


def _whole(low: int, high: int) -> Rule:
    def rule(pluto: Chip, name: Name, text: str) -> None:
        pluto.values[name] = str(_within(low, high, text))

    return rule


def _decimal(low: float, high: float) -> Rule:
    def rule(pluto: Chip, name: Name, text: str) -> None:
        level = _number(text)
        if not low <= level <= high:
            raise Invalid(-errno.EINVAL)
        pluto.values[name] = f"{level:.6f}"

    return rule


def _one_of(words: Iterable[str]) -> Rule:
    def rule(pluto: Chip, name: Name, text: str) -> None:
        if text not in words:
            raise Invalid(-errno.EINVAL)
        pluto.values[name] = text

    return rule


def _switch(pluto: Chip, name: Name, text: str) -> None:
    held = SWITCH.get(text[:1], SWITCH.get(text[:2].lower()))
    if held is None:
        raise Invalid(-errno.EINVAL)
    pluto.values[name] = held


def _calibration(pluto: Chip, name: Name, text: str) -> None:
    """Store the calibration mode; a requested calibration runs once and leaves the mode as it is."""
    word, *phase = text.split() or [""]
    if word not in CALIBRATIONS or len(phase) > (word in {"tx_quad", "manual_tx_quad"}):
        raise Invalid(-errno.EINVAL)
    if word in {"auto", "manual", "manual_tx_quad"}:
        pluto.values[name] = word


def _frequency(pluto: Chip, name: Name, text: str) -> None:
    pluto.values[name] = str(_within(*_lo_range(pluto), text))


def _bandwidth(pluto: Chip, name: Name, text: str) -> None:
    """Accept the bandwidths of the other chips; an AD9363 limits it to its own."""
    wanted = _within(*BANDWIDTH_HZ, text)
    stock = pluto.firmware.chip_model.startswith("ad9363")
    pluto.values[name] = str(min(wanted, STOCK_BANDWIDTH_HZ) if stock else wanted)


def _rate(pluto: Chip, _name: Name, text: str) -> None:
    """Set the sample rate of both directions."""
    held = str(_within(_least_rate(pluto), RATE_HZ[1], text))
    for one in (RATE_RX, RATE_TX):
        if one in pluto.values:
            pluto.values[one] = held


def _interface_rate(pluto: Chip, name: Name, text: str) -> None:
    """Set the divider for the chip's rate or an eighth of it; any other rate is set in the chip."""
    wanted, rate = _within(RATE_HZ[0] // 8, RATE_HZ[1], text), int(pluto.value(RATE_RX, "30720000"))
    if abs(wanted - rate // 8) <= 1:
        pluto.values[name] = DIVIDED
        return
    if wanted != rate:
        _rate(pluto, RATE_RX, text)
    pluto.values[name] = str(wanted)


def _fir(pluto: Chip, name: Name, text: str) -> None:
    _switch(pluto, name, text)
    on = pluto.values[name]
    if name == FIR:
        for one in (FIR_RX, FIR_TX):
            pluto.values[one] = on
    else:
        both = {pluto.values.get(one) for one in (FIR_RX, FIR_TX)}
        pluto.values[FIR] = "1" if both == {"1"} else "0"
    if int(pluto.value(RATE_RX, "30720000")) < _least_rate(pluto):
        raise Invalid(-errno.EINVAL)


def _taps(pluto: Chip, name: Name, text: str) -> None:
    try:
        pluto.values[name] = str(fir.parse(text))
    except fir.NoFilter as exc:
        raise Invalid(-errno.EINVAL) from exc


def _gain_rx(pluto: Chip, name: Name, text: str) -> None:
    mode = Name(device=PHY, kind="input", channel=name.channel, attribute="gain_control_mode")
    if pluto.values.get(mode) != "manual":
        raise Invalid(-errno.EINVAL)
    pluto.values[name] = f"{_within(*_gains(pluto), text)}.000000 dB"


def _gain_tx(pluto: Chip, name: Name, text: str) -> None:
    gain_db = _number(text)
    if not ATTENUATION_DB[0] <= gain_db <= ATTENUATION_DB[1]:
        raise Invalid(-errno.EINVAL)
    pluto.values[name] = f"{round(gain_db * STEPS_PER_DB) / STEPS_PER_DB:.6f} dB"


def _fastlock(pluto: Chip, name: Name, text: str) -> None:
    """Profiles 0 to 7 of an oscillator: `store` saves its frequency, `recall` restores it."""
    profile = _within(0, 7, text)
    frequency = Name(device=PHY, kind="output", channel=name.channel, attribute="frequency")
    if name.attribute == "fastlock_store":
        pluto.fastlock[name.channel, profile] = pluto.values[frequency]
    elif (name.channel, profile) not in pluto.fastlock:
        raise Invalid(-errno.EINVAL)
    else:
        pluto.values[frequency] = pluto.fastlock[name.channel, profile]
    pluto.values[name] = str(profile)


def _access(pluto: Chip, _name: Name, text: str) -> None:
    """`ADDRESS` chooses a register to read, `ADDRESS VALUE` writes it; status bits clear where a one is written."""
    words = [int(word, 0) for word in text.split()]
    pluto.register = words[0]
    if len(words) > 1:
        held = pluto.registers.get(words[0], 0)
        pluto.registers[words[0]] = held & ~words[1] if words[0] == 0x80000088 else words[1]


def _test_tone(pluto: Chip, name: Name, text: str) -> None:
    """`MODE FREQUENCY LEVEL MASK`, mode 0 off, 1 on the transmit side, 2 on the receive side."""
    words = text.split()
    if not words or not all(word.isdigit() for word in words) or words[0] not in "012":
        raise Invalid(-errno.EINVAL)
    pluto.values[name] = text


def _initialise(pluto: Chip, _name: Name, text: str) -> None:
    if text == "1":
        pluto.initialise()


_BY_ATTRIBUTE: dict[tuple[str, str], Rule] = {
    (PHY, "frequency"): _frequency,
    (PHY, "rf_bandwidth"): _bandwidth,
    (PHY, "sampling_frequency"): _rate,
    (PHY, "powerdown"): _switch,
    (PHY, "external"): _switch,
    (PHY, "fastlock_store"): _fastlock,
    (PHY, "fastlock_recall"): _fastlock,
    (PHY, "bb_dc_offset_tracking_en"): _switch,
    (PHY, "rf_dc_offset_tracking_en"): _switch,
    (PHY, "quadrature_tracking_en"): _switch,
    (PHY, "filter_fir_en"): _fir,
    (PHY, "voltage_filter_fir_en"): _fir,
    (PHY, "gain_control_mode"): _one_of(MODES),
    (PHY, "filter_fir_config"): _taps,
    (PHY, "ensm_mode"): _one_of(STATES),
    (PHY, "calib_mode"): _calibration,
    (PHY, "trx_rate_governor"): _one_of(GOVERNORS),
    (PHY, "xo_correction"): _whole(39_992_000, 40_008_000),
    (PHY, "loopback"): _one_of(("0", "1", "2")),
    (PHY, "bist_prbs"): _one_of(("0", "1", "2")),
    (PHY, "bist_tone"): _test_tone,
    (PHY, "initialize"): _initialise,
    (PHY, "direct_reg_access"): _access,
    (ADC, "direct_reg_access"): _access,
    (DAC, "direct_reg_access"): _access,
    (ADC, "calibbias"): _whole(-32_768, 32_767),
    (ADC, "calibphase"): _decimal(-2, 2),
    (ADC, "calibscale"): _decimal(-2, 2),
    (ADC, "watermark"): _whole(1, 2**24),
    (DAC, "calibphase"): _decimal(-2, 2),
    (DAC, "calibscale"): _decimal(-2, 2),
    (DAC, "watermark"): _whole(1, 2**24),
    (DAC, "raw"): _one_of(("0", "1")),
    (DAC, "scale"): _decimal(0, 1),
    (DAC, "frequency"): _whole(0, 30_720_000),
    (DAC, "phase"): _whole(0, 360_000),
}


def of(names: Iterable[Name]) -> dict[Name, Rule]:
    """For each writable attribute of these, its rule."""
    found: dict[Name, Rule] = {}
    for name in names:
        rule = _BY_ATTRIBUTE.get((name.device, name.attribute))
        if name.attribute in ("hardwaregain", "rf_port_select") and name.device == PHY:
            outward = name.kind == "output"
            gain = _gain_tx if outward else _gain_rx
            rule = gain if name.attribute == "hardwaregain" else _one_of(TX_PORTS if outward else RX_PORTS)
        elif name.attribute == "sampling_frequency" and name.device in (ADC, DAC):
            rule = _interface_rate if name.channel.startswith("voltage") else None
        elif name.kind == "debug" and name.attribute.startswith("adi,"):
            rule = _whole(-(2**31), 2**31)
        if rule is not None:
            found[name] = rule
    return found
