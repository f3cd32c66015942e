"""The settings and the results of a survey."""

from dataclasses import dataclass, field
from enum import Enum

from hw_profiles.calibration import Scale
from sensing.detectors.radar import Incumbent
from sensing.flags import SampleFlag
from sensing.frontend import Float32s
from sensing.rhythm import Period
from sensing.values import Channel, Interval, LevelDb


class ChannelState(Enum):
    """The state of a channel."""

    BUSY = "busy"
    FREE = "free"
    UNKNOWN = "unknown"


class Anchor(Enum):
    """The evidence that the quietest level of a channel is idle, on which the word "free" rests.

    `CALIBRATION`: it is the calibrated receiver's own noise. `TIME`: a signal in the band was seen to rise from it or
    fall back to it. `FREQUENCY`: a steady signal on it is narrower than the band. `RECEIVER`: it is weak and has the
    shape over frequency of a receiver's filter. `NONE`: no evidence; a signal that fills the band all the time would
    look the same.
    """

    CALIBRATION = "calibration"
    TIME = "contrast in time"
    FREQUENCY = "contrast in frequency"
    RECEIVER = "receiver's filter"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveySettings:
    """What to survey and how strictly; `pfa` is per channel and block, `full_scale` in the samples' units.

    `bandwidth_hz` is the receiver's analogue bandwidth: bins outside it take no part in the floor.
    None where it is not known. `flatness_db` is how far the floor of a part of the band may be off; it sets the SNR
    wall. `keep_s` is how long ago a look may be and still count, None for all there is room for; `again_s` for how long
    what was heard is judged anew by a floor that is found later, None likewise. `incumbent_bands` are where a radar can
    be an incumbent: elsewhere a train like one is a pulse report; None is anywhere.
    `detector` is which of `sensing.detectors.registry` decides on the channels.
    """

    center_hz: float
    sample_rate_hz: float
    full_scale: float
    channels: tuple[Channel, ...]
    bandwidth_hz: float | None = None
    fft_size: int = 1024
    block_us: float = 100.0
    pfa: float = 1e-3
    detector: str = "channel"
    flatness_db: float = 1.0
    calibration: Scale | None = None
    radar: bool = True
    keep_s: float | None = None
    again_s: float | None = None
    incumbent_bands: tuple[Channel, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLook:
    """One channel in one look: `busy` is None when the look cannot tell."""

    channel: Channel
    busy: bool | None
    busy_fraction: float
    power: LevelDb
    snr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """One look: `psd` shape (fft_size,), linear power per Hz relative to full scale, lowest frequency first.

    `silent` are the samples, from and up to, that say nothing: zeros, one value over and over, no numbers.
    """

    start_ns: int
    end_ns: int
    channels: tuple[ChannelLook, ...]
    psd: Float32s
    noise_floor: LevelDb
    incumbents: tuple[Incumbent, ...]
    flags: SampleFlag
    silent: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """The results for one channel; `headroom_db` is from its mean power to the converter's full scale.

    `occupancy` is the busy share of the time of this survey, gaps between looks included; `long_run` the share in the
    long run, of which the survey is a sample. `anchor` is the evidence for its floor. `threshold` is the power density,
    over the whole channel, from which one block counts as busy.
    """

    channel: Channel
    state: ChannelState
    occupancy: Interval
    noise_floor: LevelDb
    sensitivity_limit: LevelDb
    headroom_db: float
    period: Period | None
    bursty: bool
    flags: SampleFlag
    long_run: Interval = field(default_factory=lambda: Interval(value=0.0, low=0.0, high=1.0))
    anchor: Anchor = Anchor.NONE
    threshold: LevelDb = field(default_factory=lambda: LevelDb(value=float("nan"), sd=float("inf"), unit="dBFS/Hz"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyReport:
    """The results of a survey so far; `sro` is the mean occupancy of its channels, `psd` averages all usable looks.

    `whole` is False where it went on for so long that its beginning is forgotten.
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
    whole: bool = True
    pulse_trains: tuple[Incumbent, ...] = ()
