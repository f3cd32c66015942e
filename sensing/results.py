"""What a survey is told and what it answers."""

from dataclasses import dataclass, field
from enum import Enum

from hw_profiles.calibration import Scale
from sensing.detectors.radar import Incumbent
from sensing.flags import SampleFlag
from sensing.frontend import Float32s
from sensing.rhythm import Period
from sensing.values import Channel, Interval, Level


class ChannelState(Enum):
    """What may be said of a channel."""

    BUSY = "busy"
    FREE = "free"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveySettings:
    """What is looked at and how strictly; `pfa` is per channel and block, `full_scale` in the samples' units.

    `bandwidth_hz` is the receiver's analogue bandwidth: bins outside it take no part in the floor.
    `incumbent_bands` are where a radar can be an incumbent: elsewhere a train like one is a pulse report; None is
    anywhere. `flatness_db` is how much the idle level may differ across the band; it sets the SNR wall.
    """

    center_hz: float
    sample_rate_hz: float
    full_scale: float
    channels: tuple[Channel, ...]
    bandwidth_hz: float | None = None
    fft_size: int = 1024
    block_us: float = 100.0
    pfa: float = 1e-3
    flatness_db: float = 1.0
    calibration: Scale | None = None
    radar: bool = True
    incumbent_bands: tuple[Channel, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLook:
    """One channel in one look: `busy` is None when the look cannot tell."""

    channel: Channel
    busy: bool | None
    busy_fraction: float
    power: Level
    snr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """One look: `psd` shape (fft_size,), linear power per Hz relative to full scale, lowest frequency first."""

    start_ns: int
    end_ns: int
    channels: tuple[ChannelLook, ...]
    psd: Float32s
    noise_floor: Level
    incumbents: tuple[Incumbent, ...]
    flags: SampleFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """All that is known of a channel; `headroom_db` is from its mean power to the converter's full scale."""

    channel: Channel
    state: ChannelState
    occupancy: Interval
    noise_floor: Level
    sensitivity_limit: Level
    headroom_db: float
    period: Period | None
    bursty: bool
    flags: SampleFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyReport:
    """A survey so far; `sro` is the mean occupancy of its channels, `psd` averages all usable looks.

    `pulse_trains` are trains of pulses like a radar's that are no incumbent: in a band that can hold none, or going on
    for longer than a burst.
    """

    now_ns: int
    looks: int
    blocks: int
    channels: tuple[ChannelReport, ...]
    sro: Interval
    incumbents: tuple[Incumbent, ...]
    overload: bool
    flags: SampleFlag
    psd: Float32s = field(repr=False)
    peak_psd: Float32s = field(repr=False)
    pulse_trains: tuple[Incumbent, ...] = ()
