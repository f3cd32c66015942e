"""One simulated Pluto without sockets: its attributes with their interdependence, connected to an antenna."""

import errno
import math
from typing import Final

from radio.ports import RxSettings, TxSettings
from sim.device import Output
from sim.iiod import rules
from sim.iiod.antenna import Antenna, AntennaRefused
from sim.iiod.attributes import ADC, DAC, PHY, Shown, labels, shown
from sim.iiod.context import IDS, Firmware, xml_of
from sim.iiod.frontend import ReceivePath
from sim.iiod.protocol import Name
from sim.iiod.rules import Invalid

STATUS_REGISTER: Final = 0x80000088
OVERFLOW_BIT, UNDERFLOW_BIT = 4, 1
DECIMATION: Final = 8
QUIET: Final = {"hardwaregain": "-89.750000 dB", "powerdown": "1"}
RECEIVER: Final = frozenset(
    {
        rules.RATE_RX,
        rules.RATE_TX,
        rules.RATE_ADC,
        rules.GAIN_RX,
        rules.LO_RX,
        rules.XO,
        rules.BAND_RX,
        rules.LO_DOWN_RX,
        rules.PORT_RX,
        rules.STATE,
        rules.LOOPBACK,
        rules.SCALE_I,
        rules.SCALE_Q,
    }
)
"""Attributes that decide which samples the receiver gives."""


class Pluto:
    """The attributes of one unit. Reading and writing return the protocol's answers: text or a negative errno."""

    def __init__(self, firmware: Firmware, antenna: Antenna, *, quiet: bool = False) -> None:
        """Boot; `quiet` for a unit muted by its start-up script, else transmitting as stock firmware does."""
        self.firmware = firmware
        self.labels = labels(two=firmware.two_channels)
        self.attributes: list[Shown] = [one for one in shown(two=firmware.two_channels) if firmware.shows(one.name)]
        self.xml = xml_of(firmware, self.attributes)
        self._antenna = antenna
        self._quiet = quiet
        self._streaming = False
        self.registers: dict[int, int] = {}
        self.register = 0
        self.values: dict[Name, str] = {}
        self._errors = {one.name: one.error for one in self.attributes if one.error}
        self._same = _same_files(self.attributes)
        self._channels = {(n.device, n.kind, n.channel) for n in self._same}
        self._rules = rules.of([one.name for one in self.attributes])
        self._told: tuple[RxSettings | None, Output | None] = (None, None)
        self.fastlock: dict[tuple[str, int], str] = {}
        self.boot()

    def boot(self) -> None:
        """Set all attributes as after power-on."""
        self.values = {one.name: one.text for one in self.attributes if self._same[one.name] == one.name}
        if self._quiet:
            for name in rules.GAINS_TX:
                if name in self.values:
                    self.values[name] = QUIET["hardwaregain"]
            if rules.DOWN in self.values:
                self.values[rules.DOWN] = QUIET["powerdown"]
        self._streaming = False
        self.registers = {STATUS_REGISTER: 0}
        self._told = (None, None)
        self._tell_receiver()
        self._tell_transmitter()

    def initialise(self) -> None:
        """Reset the radio chip, as its driver does on request: all chip attributes as after power-on."""
        self.values |= {
            one.name: one.text for one in self.attributes if one.name.device == PHY and one.name in self.values
        }

    @property
    def chip_rate_hz(self) -> int:
        """The chip's sample rate, common to both directions."""
        return int(self.value(rules.RATE_RX, "30720000"))

    @property
    def decimation(self) -> int:
        """Number of chip samples per sample of a receive buffer."""
        return DECIMATION if self.value(rules.RATE_ADC, "") == rules.DIVIDED else 1

    @property
    def interpolation(self) -> int:
        """Number of chip samples per sample of a transmit buffer."""
        return DECIMATION if self.value(rules.RATE_DAC, "") == rules.DIVIDED else 1

    @property
    def rate_hz(self) -> int:
        """Sample rate of receive buffers."""
        return self.chip_rate_hz // self.decimation

    @property
    def transmit_rate_hz(self) -> int:
        """Sample rate of transmit buffers."""
        return self.chip_rate_hz // self.interpolation

    def front_end(self) -> ReceivePath:
        """The present receive path between antenna and samples."""
        return ReceivePath(
            awake=self.value(rules.STATE, "fdd") in rules.RECEIVING,
            oscillator=self.value(rules.LO_DOWN_RX, "0") == "0",
            port=self.value(rules.PORT_RX, "A_BALANCED") == "A_BALANCED",
            digital_loop=self.value(rules.LOOPBACK, "0") == "1",
            scale=(float(self.value(rules.SCALE_I, "1")), float(self.value(rules.SCALE_Q, "1"))),
        )

    def device_of(self, name_or_id: str) -> str | None:
        """The name of a device that the firmware has; None without it."""
        devices = dict.fromkeys(device for device, _, _ in self._channels)
        return next((d for d in devices if name_or_id in (d, IDS[d])), None)

    def resolve(self, asked: Name) -> Name | int:
        """The attribute with these ids or names, or the error that a daemon answers."""
        device = self.device_of(asked.device)
        if device is None:
            return -errno.ENODEV
        channel = asked.channel
        if channel:
            named = {n: c for (d, k, c), n in self.labels.items() if (d, k) == (device, asked.kind)}
            channel = named.get(channel, channel)
            if (device, asked.kind, channel) not in self._channels:
                return -errno.ENXIO
        found = Name(device=device, kind=asked.kind, channel=channel, attribute=asked.attribute)
        return self._same.get(found, -errno.ENOENT)

    def read(self, asked: Name) -> str | int:
        """Return an attribute's text, or a negative errno."""
        name = self.resolve(asked)
        if isinstance(name, int):
            return name
        if name in self._errors and not self.values[name]:
            return -self._errors[name]
        if name.attribute == "direct_reg_access":
            return f"0x{self.registers.get(self.register, 0):X}"
        return rules.shown(self, name)

    def write(self, asked: Name, text: str) -> int:
        """Set an attribute; returns 0 or a negative errno. A value that the hardware refuses changes nothing."""
        name = self.resolve(asked)
        if isinstance(name, int):
            return name
        rule = self._rules.get(name)
        if rule is None:
            return -errno.EACCES
        before = dict(self.values)
        try:
            rule(self, name, text)
            self._reset_by_rate(before)
            self._tell_receiver()
            self._tell_transmitter()
        except Invalid as exc:
            self.values = before
            return int(exc.args[0])
        except (AntennaRefused, ValueError):
            self.values = before
            return -errno.EINVAL
        return 0

    def _reset_by_rate(self, before: dict[Name, str]) -> None:
        """Reset the attributes that this firmware resets when the sample rate changes."""
        if before.get(rules.RATE_RX) == self.values.get(rules.RATE_RX):
            return
        for one in self.attributes:
            transmitter = one.name in (rules.DOWN, *rules.GAINS_TX)
            if transmitter and one.name.attribute in self.firmware.rate_resets:
                self.values[one.name] = one.text

    def hears_otherwise(self, asked: Name) -> bool:
        """Whether writing this attribute changes what the receiver takes from then on."""
        return self.resolve(asked) in RECEIVER

    def stream(self, on: bool) -> None:
        """Make an open transmit buffer, or else the tone generators, the source of samples."""
        self._streaming = on
        self._tell_transmitter()

    def raise_flag(self, bit: int) -> None:
        """Set a bit of the status register, as an overflow or underflow does."""
        self.registers[STATUS_REGISTER] |= bit

    def value(self, name: Name, otherwise: str) -> str:
        """An attribute's value; `otherwise` where this firmware lacks it."""
        return self.values.get(name, otherwise)

    def _tell_receiver(self) -> None:
        settings = RxSettings(
            center_hz=self._swings(rules.LO_RX, "2400000000"),
            sample_rate_hz=self.chip_rate_hz,
            bandwidth_hz=int(self.value(rules.BAND_RX, "18000000")),
            gain_mdb=min(71_000, max(0, round(float(self.value(rules.GAIN_RX, "0 dB").split()[0]) * 1000))),
        )
        if settings != self._told[0]:
            self._antenna.receiver(settings)
            self._told = (settings, self._told[1])

    def _tell_transmitter(self) -> None:
        settings = TxSettings(
            center_hz=self._swings(rules.LO_TX, "2450000000"),
            sample_rate_hz=self.chip_rate_hz,
            bandwidth_hz=int(self.value(rules.BAND_TX, "18000000")),
            attenuation_mdb=self._attenuation_mdb(rules.GAINS_TX[0]),
        )
        on = self.value(rules.DOWN, "0") == "0" and self.value(rules.STATE, "fdd") in rules.TRANSMITTING
        dds_db, dds_hz = self._dds("TX1")
        second = rules.GAINS_TX[1] in self.values
        other_db, other_hz = self._dds("TX2") if second else (None, 0)
        output = Output(
            settings=settings,
            lo_on=on,
            streaming=self._streaming,
            dds_db=dds_db,
            dds_hz=dds_hz,
            second_attenuation_mdb=self._attenuation_mdb(rules.GAINS_TX[1]) if second else None,
            second_dds_db=other_db,
            second_dds_hz=other_hz,
        )
        if output != self._told[1]:
            self._antenna.output(output)
            self._told = (self._told[0], output)

    def _swings(self, name: Name, otherwise: str) -> int:
        """True frequency of an oscillator: its setting, corrected for the error in the stated crystal frequency."""
        believed_hz = int(self.value(rules.XO, str(rules.TRUE_XO_HZ)))
        return round(int(self.value(name, otherwise)) * rules.TRUE_XO_HZ / believed_hz)

    def _attenuation_mdb(self, name: Name) -> int:
        return round(-float(self.value(name, "-10 dB").split()[0]) * 1000)

    def _dds(self, path: str) -> tuple[float | None, int]:
        """Level relative to full scale of all tone generators of one path, and the loudest one's frequency."""
        tones: list[tuple[float, int]] = []
        for (device, _, channel), label in self.labels.items():
            if device == DAC and label.startswith(path):
                read = {a: self.value(rules.tone(channel, a), "0") for a in ("raw", "scale", "frequency")}
                if read["raw"] == "1" and float(read["scale"]) > 0:
                    tones.append((float(read["scale"]), int(read["frequency"])))
        # The chip's own test tone, when enabled on the transmit side.
        words = self.value(rules.TEST_TONE, "0").split()
        if words[0] == "1" and path == "TX1":
            tones.append((1.0, (int(words[1]) + 1 if len(words) > 1 else 1) * self.chip_rate_hz // 32))
        if not tones:
            return None, 0
        amplitude = min(1.0, sum(scale for scale, _ in tones))
        return round(20 * math.log10(amplitude), 6), max(tones)[1]


def _same_files(attributes: list[Shown]) -> dict[Name, Name]:
    """For every attribute the first one that shares its file: the two are the same."""
    first: dict[tuple[str, str, str], Name] = {}
    return {
        one.name: first.setdefault((one.name.device, one.name.kind, one.file or one.name.attribute), one.name)
        for one in attributes
    }


__all__ = ["ADC", "DAC", "OVERFLOW_BIT", "UNDERFLOW_BIT", "Pluto"]
