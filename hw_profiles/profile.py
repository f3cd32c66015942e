"""The profile of one kind of radio: its ranges and steps, against which every setting is checked."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hw_profiles.values import Span, StatedLevel, Steps, Table

SCHEMA_VERSION = 1


class ModelMatch(Table):
    """The units that a profile is for: regular expressions over model and chip names, matched whole."""

    hw_model: str
    chip_model: str = ".*"

    @field_validator("hw_model", "chip_model")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as exc:
            raise ValueError(f"no regular expression: {exc}") from exc
        return value

    def matches(self, *, hw_model: str, chip_model: str) -> bool:
        """Whether a unit with these names is of this kind."""
        named = re.fullmatch(self.hw_model, hw_model), re.fullmatch(self.chip_model, chip_model)
        return all(named)


class GainTable(Table):
    """Receive gains in dB of a range of tuning."""

    lo_hz: Span
    gain_db: Span
    step: int = Field(gt=0)


class Rx(Table):
    """The receiver's ranges; `full_scale` is the amplitude in codes that fills the converter."""

    lo_hz: Span
    bw_hz: Span
    rate_hz: Span
    gain_tables: list[GainTable] = Field(min_length=1)
    adc_bits: int = Field(ge=1, le=16)
    full_scale: int = Field(gt=0)

    @model_validator(mode="after")
    def _within_the_converter(self) -> "Rx":
        if self.full_scale > 1 << (self.adc_bits - 1):
            raise ValueError(f"full_scale {self.full_scale} is more than {self.adc_bits} bits hold")
        return self


class Tx(Table):
    """The transmitter's ranges; `max_output_dbm` is a full-scale tone at least attenuation, before `external_pa_db`."""

    lo_hz: Span
    bw_hz: Span
    rate_hz: Span
    atten_db: Steps
    full_scale: int = Field(gt=0, le=32_768)
    max_output_dbm: StatedLevel
    external_pa_db: float = 0.0
    cyclic_allowed: Literal[False] = False


class Stream(Table):
    """The sample format and transports."""

    sustained_msps_by_transport: dict[str, float]
    kernel_buffers: int = Field(gt=0)
    max_block: int = Field(gt=0)


class Settle(Table):
    """Times after a change until the samples can be believed."""

    lo_us: int = Field(ge=0)
    gain_us: int = Field(ge=0)
    discard_blocks: int = Field(ge=0)


class Timing(Table):
    """Uncertainty of a sample's time, and the drift of an undisciplined host clock."""

    hw_timestamp: bool
    host_uncertainty_us: int = Field(ge=0)
    host_drift_ppb: int = Field(ge=1_000, le=10**9)


class MuteSteps(Table):
    """The steps that mute the radio, in order, and the deadline of its readback.

    `receive_only` is not empty where this kind of radio may never transmit, because no second process can open the
    device to mute it; it gives the reason.
    """

    steps: list[str] = Field(min_length=1)
    readback: bool
    deadline_ms: int = Field(gt=0)
    receive_only: str = ""


class DeviceWatchdog(Table):
    """The mechanism that mutes when the host is gone."""

    heartbeat_ms: int = Field(gt=0)
    on_device: bool


class CalibrationNote(Table):
    """The basis of absolute levels: the reference plane, and the validity in time and temperature."""

    ref: str
    plane: str
    validity_days: int = Field(gt=0)
    temp_range_c: Span


class Connection(Table):
    """The way in which the device is found."""

    uri: str
    timeout_ms: int = Field(gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideProfile:
    """A value outside a radio's profile: the profile's key, the value asked for, and what the profile allows."""

    profile: str
    key: str
    asked: str
    allowed: str

    def __str__(self) -> str:
        """Format as one line for people."""
        return f"profile {self.profile}: {self.key} {self.asked} is outside {self.allowed}; choose a value inside"


class RadioProfile(Table):
    """The profile of one kind of radio."""

    kind: Literal["radio"]
    schema_version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    model_match: ModelMatch
    fw_allow: list[str] = Field(default=[])
    fw_deny: list[str] = Field(default=[])
    libiio_range: tuple[str, str] | None = None
    rx: Rx
    tx: Tx
    stream: Stream
    settle: Settle
    timing: Timing
    mute: MuteSteps
    watchdog: DeviceWatchdog
    calibration: CalibrationNote
    connection: Connection

    @field_validator("libiio_range", mode="before")
    @classmethod
    def _versions(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @property
    def conducted_dbm(self) -> tuple[float, float]:
        """Least and most power in dBm of a full-scale tone at the antenna port at least attenuation, with amplifier."""
        tx = self.tx
        middle_dbm = tx.max_output_dbm.value + tx.external_pa_db
        return middle_dbm - tx.max_output_dbm.uncertainty_db, middle_dbm + tx.max_output_dbm.uncertainty_db

    @property
    def sustained_msps(self) -> float:
        """Highest rate in MS/s that the best of its transports carries without losses."""
        return max(self.stream.sustained_msps_by_transport.values(), default=0.0)

    def firmware_known(self, version: str) -> bool:
        """Whether a firmware version is known to work: on the allow list, if there is one, and not on the deny list."""
        allowed = not self.fw_allow or any(re.fullmatch(p, version) for p in self.fw_allow)
        return allowed and not any(re.fullmatch(p, version) for p in self.fw_deny)

    def libiio_known(self, version: str) -> bool:
        """Whether a libiio version, such as 0.24, is in the profile's range (end excluded), or the profile has none.

        A malformed version is in no range.
        """
        if self.libiio_range is None:
            return True
        least, below = (_version(one) for one in self.libiio_range)
        found = _version(version)
        return bool(found) and least <= found < below

    def check_rx(
        self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, gain_db: float
    ) -> OutsideProfile | None:
        """The first receive setting that is outside the profile; None when there is none."""
        rx = self.rx
        tuned = _first_outside(
            self.id,
            ("rx.lo_hz", center_hz, rx.lo_hz),
            ("rx.rate_hz", sample_rate_hz, rx.rate_hz),
            ("rx.bw_hz", bandwidth_hz, rx.bw_hz),
        )
        if tuned is not None:
            return tuned
        here = [t for t in rx.gain_tables if t.lo_hz.holds(center_hz)]
        if any(t.gain_db.holds(gain_db) and _on_step(gain_db - t.gain_db.low, t.step) for t in here):
            return None
        allowed = "; ".join(f"{t.gain_db} in steps of {t.step}" for t in here) or f"no gain table at {center_hz} Hz"
        return OutsideProfile(profile=self.id, key="rx.gain_tables.gain_db", asked=f"{gain_db:g}", allowed=allowed)

    def check_tx(
        self, *, center_hz: int, sample_rate_hz: int, bandwidth_hz: int, attenuation_db: float
    ) -> OutsideProfile | None:
        """The first transmit setting that is outside the profile; None when there is none."""
        tx = self.tx
        return _first_outside(
            self.id,
            ("tx.lo_hz", center_hz, tx.lo_hz),
            ("tx.rate_hz", sample_rate_hz, tx.rate_hz),
            ("tx.bw_hz", bandwidth_hz, tx.bw_hz),
            ("tx.atten_db", attenuation_db, tx.atten_db),
        )


def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version; () where there are none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _first_outside(profile: str, *asked: tuple[str, float, Span | Steps]) -> OutsideProfile | None:
    for key, value, allowed in asked:
        if not allowed.holds(value):
            return OutsideProfile(profile=profile, key=key, asked=f"{value:.12g}", allowed=str(allowed))
    return None


def _on_step(distance: float, step: float) -> bool:
    return abs(distance / step - round(distance / step)) * step < 1e-3
