"""One simulated Pluto without its sockets: the attribute store with ranges and coupling, tied to an antenna."""

import errno
import math
import re
from collections.abc import Callable
from typing import Final

from radio.ports import RxSettings, TxSettings
from sim.device import Output
from sim.iiod.antenna import Antenna, AntennaRefused
from sim.iiod.context import ADC, DAC, DDS, IDS, NAMES, PHY, Firmware, at_boot, xml_of
from sim.iiod.protocol import Name

MODES: Final = ("manual", "fast_attack", "slow_attack", "hybrid")
STATES: Final = ("sleep", "wait", "alert", "fdd")
RATE_HZ: Final = (520_834, 61_440_000)
RATE_WITHOUT_FIR_HZ: Final = 25_000_000 // 12
LO_HZ: Final = (70_000_000, 6_000_000_000)
BANDWIDTH_HZ: Final = (200_000, 56_000_000)
GAIN_DB: Final = (0, 71)
ATTENUATION_DB: Final = (-89.75, 0.0)
STEPS_PER_DB: Final = 4
STATUS_REGISTER: Final = 0x80000088
OVERFLOW_BIT, UNDERFLOW_BIT = 4, 1
DAC_RATES: Final = 8
QUIET: Final = {"hardwaregain": "-89.750000 dB", "powerdown": "1"}

_GAIN_RX = Name(device=PHY, kind="input", channel="voltage0", attribute="hardwaregain")
_MODE = Name(device=PHY, kind="input", channel="voltage0", attribute="gain_control_mode")
_GAIN_TX = Name(device=PHY, kind="output", channel="voltage0", attribute="hardwaregain")
_LO_RX = Name(device=PHY, kind="output", channel="altvoltage0", attribute="frequency")
_LO_TX = Name(device=PHY, kind="output", channel="altvoltage1", attribute="frequency")
_DOWN = Name(device=PHY, kind="output", channel="altvoltage1", attribute="powerdown")
_FIR = Name(device=PHY, kind="input", channel="out", attribute="voltage_filter_fir_en")
_RATE_RX = Name(device=PHY, kind="input", channel="voltage0", attribute="sampling_frequency")
_RATE_TX = Name(device=PHY, kind="output", channel="voltage0", attribute="sampling_frequency")
_BAND_RX = Name(device=PHY, kind="input", channel="voltage0", attribute="rf_bandwidth")
_BAND_TX = Name(device=PHY, kind="output", channel="voltage0", attribute="rf_bandwidth")
_STATE = Name(device=PHY, kind="device", attribute="ensm_mode")
_PATH = Name(device=PHY, kind="device", attribute="tx_path_rates")
_XO = Name(device=PHY, kind="device", attribute="xo_correction")
_TAPS = Name(device=PHY, kind="device", attribute="filter_fir_config")
_LOOPBACK = Name(device=PHY, kind="debug", attribute="loopback")
_LO_DOWN_RX = Name(device=PHY, kind="output", channel="altvoltage0", attribute="powerdown")
RECEIVER: Final = frozenset((_RATE_RX, _RATE_TX, _GAIN_RX, _LO_RX, _BAND_RX))


class _Invalid(Exception):
    """A value the attribute does not take; the argument is the negative errno."""


class Pluto:
    """Attributes of one unit. Reading and writing return what the protocol answers: text or a negative errno."""

    def __init__(self, firmware: Firmware, antenna: Antenna, *, quiet: bool = False) -> None:
        """Boot it; `quiet` as one whose own start-up script has muted it, else transmitting as stock firmware does."""
        self.firmware = firmware
        self._antenna = antenna
        self._quiet = quiet
        self._streaming = False
        self.registers: dict[int, int] = {}
        self.register = 0
        self.values: dict[Name, str] = {}
        self._rules = _rules()
        self._told: tuple[RxSettings | None, Output | None] = (None, None)
        self.boot()

    def boot(self) -> None:
        """Come up as after power-on."""
        self.values = {name: text for name, text in at_boot().items() if self.firmware.shows(name)}
        if self._quiet:
            for name in (_GAIN_TX, _DOWN):
                self.values[name] = QUIET[name.attribute]
        self._streaming = False
        self.registers = {STATUS_REGISTER: 0}
        self._told = (None, None)
        self._tell_receiver()
        self._tell_transmitter()

    @property
    def xml(self) -> bytes:
        """The context description."""
        return xml_of(self.firmware, list(self.values))

    @property
    def rate_hz(self) -> int:
        """The one sample rate of both directions."""
        return int(self._value(_RATE_RX, "30720000"))

    def device_of(self, name_or_id: str) -> str | None:
        """Return the name of a device that the firmware has."""
        shown = {name.device for name in self.values}
        return next((d for d in shown if name_or_id in (d, IDS[d])), None)

    def resolve(self, asked: Name) -> Name | int:
        """Return the attribute that is meant, by ids or names, or the error a daemon answers."""
        device = self.device_of(asked.device)
        if device is None:
            return -errno.ENODEV
        channel = asked.channel
        if channel:
            known = {one.channel for one in self.values if (one.device, one.kind) == (device, asked.kind)}
            named = {n: c for (d, k, c), n in NAMES.items() if (d, k) == (device, asked.kind)}
            channel = named.get(channel, channel)
            if channel not in known:
                return -errno.ENXIO
        found = Name(device=device, kind=asked.kind, channel=channel, attribute=asked.attribute)
        return found if found in self.values else -errno.ENOENT

    def read(self, asked: Name) -> str | int:
        """Return an attribute's text, or a negative errno."""
        name = self.resolve(asked)
        if isinstance(name, int):
            return name
        if name == _PATH:
            rate = self.rate_hz
            dac = rate * DAC_RATES
            return f"BBPLL:983040000 DAC:{dac} T2:{dac // 2} T1:{dac // 4} TF:{dac // 8} TXSAMP:{rate}"
        if name.attribute == "direct_reg_access":
            return f"0x{self.registers.get(self.register, 0):X}"
        return self.values[name]

    def write(self, asked: Name, text: str) -> int:
        """Set an attribute; returns 0 or a negative errno. What the hardware refuses changes nothing."""
        name = self.resolve(asked)
        if isinstance(name, int):
            return name
        rule = self._rules.get(name)
        if rule is None:
            return -errno.EACCES
        before = dict(self.values)
        try:
            rule(self, name, text)
            self._apply(name)
        except _Invalid as exc:
            self.values = before
            return int(exc.args[0])
        except (AntennaRefused, ValueError):
            self.values = before
            return -errno.EINVAL
        return 0

    def hears_otherwise(self, asked: Name) -> bool:
        """Whether writing this attribute changes what the receiver takes from then on."""
        return self.resolve(asked) in RECEIVER

    def stream(self, on: bool) -> None:
        """Have an open transmit buffer be the source of samples, or the tone generators."""
        self._streaming = on
        self._tell_transmitter()

    def raise_flag(self, bit: int) -> None:
        """Set a bit of the status register, as an overflow or underflow does."""
        self.registers[STATUS_REGISTER] |= bit

    def _value(self, name: Name, otherwise: str) -> str:
        return self.values.get(name, otherwise)

    def _apply(self, name: Name) -> None:
        if name in (_RATE_RX, _RATE_TX):
            for one in (_RATE_RX, _RATE_TX):
                self.values[one] = self.values[name]
        if name in RECEIVER:
            self._tell_receiver()
        if name in (_RATE_RX, _RATE_TX, _GAIN_TX, _LO_TX, _BAND_TX, _DOWN, _STATE) or name.channel in DDS:
            self._tell_transmitter()

    def _tell_receiver(self) -> None:
        gain_db = float(self._value(_GAIN_RX, "0 dB").split()[0])
        settings = RxSettings(
            center_hz=int(self._value(_LO_RX, str(LO_HZ[0]))),
            sample_rate_hz=self.rate_hz,
            bandwidth_hz=int(self._value(_BAND_RX, str(BANDWIDTH_HZ[0]))),
            gain_mdb=round(gain_db * 1000),
        )
        if settings != self._told[0]:
            self._antenna.receiver(settings)
            self._told = (settings, self._told[1])

    def _tell_transmitter(self) -> None:
        gain_db = float(self._value(_GAIN_TX, "-10 dB").split()[0])
        settings = TxSettings(
            center_hz=int(self._value(_LO_TX, "2450000000")),
            sample_rate_hz=self.rate_hz,
            bandwidth_hz=int(self._value(_BAND_TX, str(BANDWIDTH_HZ[0]))),
            attenuation_mdb=round(-gain_db * 1000),
        )
        on = self._value(_DOWN, "0") == "0" and self._value(_STATE, "fdd") == "fdd"
        dds_db, dds_hz = self._dds()
        output = Output(settings=settings, lo_on=on, streaming=self._streaming, dds_db=dds_db, dds_hz=dds_hz)
        if output != self._told[1]:
            self._antenna.output(output)
            self._told = (self._told[0], output)

    def _dds(self) -> tuple[float | None, int]:
        """Level against full scale of all tone generators together, and the loudest's frequency."""
        tones: list[tuple[float, int]] = []
        for channel in DDS:
            read = {a: self._value(_dds(channel, a), "0") for a in ("raw", "scale", "frequency")}
            if read["raw"] == "1" and float(read["scale"]) > 0:
                tones.append((float(read["scale"]), int(read["frequency"])))
        if not tones:
            return None, 0
        amplitude = min(1.0, sum(scale for scale, _ in tones))
        return round(_decibels(amplitude), 6), max(tones)[1]


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude)


def _dds(channel: str, attribute: str) -> Name:
    return Name(device=DAC, kind="output", channel=channel, attribute=attribute)


Rule = Callable[[Pluto, Name, str], None]


def _whole(low: int, high: int) -> Rule:
    def rule(pluto: Pluto, name: Name, text: str) -> None:
        number = round(float(text))
        if not low <= number <= high:
            raise _Invalid(-errno.EINVAL)
        pluto.values[name] = str(number)

    return rule


def _one_of(*words: str) -> Rule:
    def rule(pluto: Pluto, name: Name, text: str) -> None:
        if text not in words:
            raise _Invalid(-errno.EINVAL)
        pluto.values[name] = text

    return rule


def _rate(pluto: Pluto, name: Name, text: str) -> None:
    low = RATE_HZ[0] if pluto.values.get(_FIR) == "1" else RATE_WITHOUT_FIR_HZ
    _whole(low, RATE_HZ[1])(pluto, name, text)


def _fir(pluto: Pluto, name: Name, text: str) -> None:
    off = text in ("0", "False")
    if off and pluto.rate_hz < RATE_WITHOUT_FIR_HZ:
        raise _Invalid(-errno.EINVAL)
    pluto.values[name] = "0" if off else "1"


def _number(text: str) -> float:
    found = re.match(r"\s*-?\d+(\.\d+)?", text)
    if found is None:
        raise _Invalid(-errno.EINVAL)
    return float(found.group())


def _gain_rx(pluto: Pluto, name: Name, text: str) -> None:
    gain_db = _number(text)
    if pluto.values.get(_MODE) != "manual" or not GAIN_DB[0] <= gain_db <= GAIN_DB[1]:
        raise _Invalid(-errno.EINVAL)
    pluto.values[name] = f"{round(gain_db)}.000000 dB"


def _gain_tx(pluto: Pluto, name: Name, text: str) -> None:
    gain_db = _number(text)
    if not ATTENUATION_DB[0] <= gain_db <= ATTENUATION_DB[1]:
        raise _Invalid(-errno.EINVAL)
    pluto.values[name] = f"{round(gain_db * STEPS_PER_DB) / STEPS_PER_DB:.6f} dB"


def _scale(pluto: Pluto, name: Name, text: str) -> None:
    level = _number(text)
    if not 0 <= level <= 1:
        raise _Invalid(-errno.EINVAL)
    pluto.values[name] = f"{level:.6f}"


def _access(pluto: Pluto, _name: Name, text: str) -> None:
    """`ADDRESS` chooses a register to read, `ADDRESS VALUE` writes it; status bits clear where a one is written."""
    words = [int(word, 0) for word in text.split()]
    pluto.register = words[0]
    if len(words) > 1:
        held = pluto.registers.get(words[0], 0)
        pluto.registers[words[0]] = held & ~words[1] if words[0] == STATUS_REGISTER else words[1]


def _taps(_pluto: Pluto, _name: Name, text: str) -> None:
    if not text.startswith("RX "):
        raise _Invalid(-errno.EINVAL)


def _rules() -> dict[Name, Rule]:
    """What each attribute that can be written does with a value."""
    rules: dict[Name, Rule] = {
        _GAIN_RX: _gain_rx,
        _MODE: _one_of(*MODES),
        _GAIN_TX: _gain_tx,
        _LO_RX: _whole(*LO_HZ),
        _LO_TX: _whole(*LO_HZ),
        _DOWN: _one_of("0", "1"),
        _LO_DOWN_RX: _one_of("0", "1"),
        _FIR: _fir,
        _RATE_RX: _rate,
        _RATE_TX: _rate,
        _BAND_RX: _whole(*BANDWIDTH_HZ),
        _BAND_TX: _whole(*BANDWIDTH_HZ),
        _STATE: _one_of(*STATES),
        _XO: _whole(30_000_000, 50_000_000),
        _TAPS: _taps,
        _LOOPBACK: _one_of("0", "1", "2"),
    }
    for channel in DDS:
        rules[_dds(channel, "raw")] = _one_of("0", "1")
        rules[_dds(channel, "scale")] = _scale
        rules[_dds(channel, "frequency")] = _whole(0, 30_720_000)
        rules[_dds(channel, "phase")] = _whole(0, 360_000)
    for device in (ADC, DAC):
        rules[Name(device=device, kind="debug", attribute="direct_reg_access")] = _access
    return rules
