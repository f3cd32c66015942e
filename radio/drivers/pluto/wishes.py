"""The expected readback of each Pluto attribute for the settings that the driver made. Pure.

Anything else was not done by this program: another client of the device, its firmware, or a fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from radio.drivers.pluto.layout import (
    ADC_RATE,
    ADC_SCALES,
    CALIBRATION,
    CRYSTAL,
    DAC_RATE,
    DAC_SCALES,
    FILTER,
    FILTER_ON,
    LOOPBACK,
    POWERDOWN,
    RX_BAND,
    RX_DOWN,
    RX_EXTERNAL,
    RX_GAIN,
    RX_LO,
    RX_MODE,
    RX_PORT,
    RX_PROFILE,
    RX_RATE,
    RX_TRACKING,
    SILENT_DB,
    STATE,
    TEST_NOISE,
    TEST_TONE,
    TX_BAND,
    TX_EXTERNAL,
    TX_LO,
    TX_PORT,
    TX_PROFILE,
    TX_RATE,
    Attribute,
)
from radio.ports import RxSettings, TxSettings

LO_STEP_HZ: Final = 8
"""Largest difference in Hz between a synthesizer's readback and the frequency asked, by rounding twice."""
RATE_STEP_HZ: Final = 4
BAND_STEP: Final = 0.02
GAIN_STEP_DB: Final = 0.01
SCALE_STEP: Final = 0.001


@dataclass(frozen=True, slots=True)
class Wish:
    """The expected reading of an attribute: an exact text, or (`step` not None) a number within `step` of it."""

    text: str
    step: float | None = None

    def holds(self, read: str) -> bool:
        """Whether a reading is as expected."""
        if self.step is None:
            return read == self.text
        number = _number(read)
        return number is not None and abs(number - float(self.text)) <= self.step


Wishes: TypeAlias = Mapping[Attribute, Wish]
Readings: TypeAlias = Mapping[Attribute, str]


def _number(read: str) -> float | None:
    words = read.split()
    try:
        return float(words[0]) if words else None
    except ValueError:
        return None


def _near(value: float, step: float) -> Wish:
    return Wish(f"{value:.12g}", step)


PLAIN: Final[Wishes] = {
    STATE: Wish("fdd"),
    LOOPBACK: Wish("0"),
    TEST_TONE: Wish("0"),
    TEST_NOISE: Wish("0"),
}
"""Expected in both directions: transmit and receive run, no loopback, no signal from the chip's self-test."""

PLAIN_RX: Final[Wishes] = {
    RX_DOWN: Wish("0"),
    RX_EXTERNAL: Wish("0"),
    RX_MODE: Wish("manual"),
    RX_PORT: Wish("A_BALANCED"),
    **dict.fromkeys(RX_TRACKING, Wish("1")),
    **dict.fromkeys(ADC_SCALES, _near(1.0, SCALE_STEP)),
}
PLAIN_TX: Final[Wishes] = {
    TX_EXTERNAL: Wish("0"),
    TX_PORT: Wish("A"),
    CALIBRATION: Wish("auto"),
    **dict.fromkeys(DAC_SCALES, _near(1.0, SCALE_STEP)),
}
KEPT: Final = (CRYSTAL, FILTER, FILTER_ON, TX_PROFILE)
"""Attributes without a prescribed value, which must stay as the driver left them while it transmits."""
KEPT_RX: Final = (CRYSTAL, FILTER, FILTER_ON, RX_PROFILE)
KEPT_MUTED: Final = (CRYSTAL, TX_LO, TX_PROFILE)
QUICK: Final = (RX_LO, RX_GAIN, RX_DOWN, RX_MODE, STATE, LOOPBACK)
"""Attributes read after every block; the others are read less often."""


def receiver(settings: RxSettings) -> dict[Attribute, Wish]:
    """The expected readback of a receiver with these settings."""
    return {
        **PLAIN,
        **PLAIN_RX,
        RX_RATE: _near(settings.sample_rate_hz, RATE_STEP_HZ),
        ADC_RATE: _near(settings.sample_rate_hz, RATE_STEP_HZ),
        RX_BAND: _near(settings.bandwidth_hz, settings.bandwidth_hz * BAND_STEP),
        RX_LO: _near(settings.center_hz, LO_STEP_HZ),
        RX_GAIN: _near(settings.gain_mdb / 1000, GAIN_STEP_DB),
    }


def muted(attenuations: tuple[Attribute, ...], tones: tuple[Attribute, ...]) -> dict[Attribute, Wish]:
    """The expected readback of a muted transmitter, all paths."""
    return {
        **dict.fromkeys(attenuations, _near(SILENT_DB, GAIN_STEP_DB)),
        **dict.fromkeys(tones, _near(0, 0)),
        POWERDOWN: Wish("1"),
        TEST_TONE: Wish("0"),
    }


def transmitter(
    settings: TxSettings, attenuations: tuple[Attribute, ...], tones: tuple[Attribute, ...]
) -> dict[Attribute, Wish]:
    """The expected readback of a transmitter with these settings: the first path on, every other one muted."""
    first, *others = attenuations
    return {
        **PLAIN,
        **PLAIN_TX,
        TX_LO: _near(settings.center_hz, LO_STEP_HZ),
        first: _near(-settings.attenuation_mdb / 1000, GAIN_STEP_DB),
        **dict.fromkeys(others, _near(SILENT_DB, GAIN_STEP_DB)),
        POWERDOWN: Wish("0"),
        TX_BAND: _near(settings.bandwidth_hz, settings.bandwidth_hz * BAND_STEP),
        TX_RATE: _near(settings.sample_rate_hz, RATE_STEP_HZ),
        DAC_RATE: _near(settings.sample_rate_hz, RATE_STEP_HZ),
        **dict.fromkeys(tones, _near(0, 0)),
    }


def unlike(read: Readings, wishes: Wishes) -> list[Attribute]:
    """Attributes that read otherwise than expected; an attribute that was not read does not count."""
    return [one for one, wish in wishes.items() if one in read and not wish.holds(read[one])]


def silenced(read: Readings, wishes: Wishes, attenuations: tuple[Attribute, ...]) -> bool:
    """Whether the only difference is a mute (full attenuation or powered down), with nothing else changed."""
    quieter = {one for one in attenuations if _near(SILENT_DB, GAIN_STEP_DB).holds(read.get(one, ""))}
    if read.get(POWERDOWN) == "1":
        quieter.add(POWERDOWN)
    found = unlike(read, wishes)
    return bool(found) and set(found) <= quieter
