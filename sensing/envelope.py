"""Capability envelopes: the capacity of a place, the ranges of a unit, and what both allow together.

Every dimension is a quantity with its unit, interval, sample count, doubts and validity. As it ages towards the end of
its validity an interval opens and its confidence fades; after it nothing is claimed.
"""

from dataclasses import dataclass, replace
from typing import Final

from sensing.flags import VOIDING, SampleFlag
from sensing.results import ChannelReport, ChannelState, SurveyReport
from sensing.values import Channel, Interval

Z95: Final = 1.959964
CONFIDENCE_AT_END: Final = 0.25
"""Share of the initial confidence that is left when the validity ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredQuantity:
    """A measured value with its unit, interval, sample count, doubts and validity."""

    value: float
    low: float
    high: float
    unit: str
    level: float = 0.95
    samples: int = 0
    flags: SampleFlag = SampleFlag.NONE
    measured_ns: int
    valid_until_ns: int

    def confidence(self, now_ns: int) -> float:
        """Confidence at a time: decays from `level` to CONFIDENCE_AT_END of it over the validity, exponentially.

        0 outside the validity, and with a flag of `VOIDING`.
        """
        if not self.measured_ns <= now_ns < self.valid_until_ns or self.flags & VOIDING:
            return 0.0
        age = (now_ns - self.measured_ns) / (self.valid_until_ns - self.measured_ns)
        return float(self.level * CONFIDENCE_AT_END**age)

    def aged(self, now_ns: int) -> "MeasuredQuantity":
        """The quantity at a later time: its interval is divided by the share of confidence kept, infinite with none."""
        kept = self.confidence(now_ns) / self.level
        if kept <= 0.0:
            return replace(self, low=float("-inf"), high=float("inf"))
        return replace(
            self, low=self.value - (self.value - self.low) / kept, high=self.value + (self.high - self.value) / kept
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceEnvelope:
    """The measured state of a channel at a place."""

    channel: Channel
    state: ChannelState
    occupancy: MeasuredQuantity
    noise_floor: MeasuredQuantity
    headroom: MeasuredQuantity
    usable_bandwidth: MeasuredQuantity
    incumbent_probability: MeasuredQuantity
    sensitivity_limit: MeasuredQuantity


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEnvelope:
    """The ranges of a radio: tuning range, widest signal, highest EIRP, and its uncertainty of time and place."""

    low_hz: float
    high_hz: float
    bandwidth: MeasuredQuantity
    eirp: MeasuredQuantity
    clock_bound: MeasuredQuantity
    position_error: MeasuredQuantity


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeEnvelope:
    """The spectrum that may be allocated: the channel within the unit's range, within the limits of both."""

    channel: Channel
    usable_bandwidth: MeasuredQuantity
    eirp: MeasuredQuantity
    incumbent_probability: MeasuredQuantity
    confidence: float
    valid_until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAllocatable:
    """Why no spectrum may be allocated: a stable reason and the numbers behind it."""

    reason: str
    measured: float
    required: float


def place_envelope(report: SurveyReport, index: int, *, measured_ns: int, valid_until_ns: int) -> PlaceEnvelope:
    """The envelope of one channel of a survey; a radar detected in it gives its incumbent probability."""
    channel = report.channels[index]

    def quantity(interval: Interval, unit: str) -> MeasuredQuantity:
        return MeasuredQuantity(
            value=interval.value, low=interval.low, high=interval.high, unit=unit, level=interval.level,
            samples=report.blocks, flags=channel.flags, measured_ns=measured_ns, valid_until_ns=valid_until_ns,
        )  # fmt: skip

    idle = 1 - channel.occupancy.value
    return PlaceEnvelope(
        channel=channel.channel,
        state=channel.state,
        occupancy=quantity(channel.occupancy, "ratio"),
        noise_floor=quantity(_spread(channel.noise_floor.value, channel.noise_floor.sd), channel.noise_floor.unit),
        headroom=quantity(_spread(channel.headroom_db, channel.noise_floor.sd), "dB"),
        usable_bandwidth=quantity(
            _scaled(channel.occupancy, channel.channel.width_hz, value=idle * channel.channel.width_hz), "Hz"
        ),
        incumbent_probability=quantity(_incumbent_probability(report, channel), "ratio"),
        sensitivity_limit=quantity(
            _spread(channel.sensitivity_limit.value, channel.sensitivity_limit.sd), channel.sensitivity_limit.unit
        ),
    )


def composite_envelope(
    place: PlaceEnvelope, unit: UnitEnvelope, *, now_ns: int, incumbent_probability_max: float = 0.01
) -> CompositeEnvelope | NotAllocatable:
    """Combine both; refused where the unit cannot tune, the place was not sensed, or an incumbent may be there."""
    low, high = max(place.channel.low_hz, unit.low_hz), min(place.channel.high_hz, unit.high_hz)
    if low >= high:
        return NotAllocatable(reason="TUNING", measured=place.channel.low_hz, required=unit.high_hz)
    confidence = min(place.occupancy.confidence(now_ns), unit.bandwidth.confidence(now_ns))
    if confidence <= 0.0 or place.state is ChannelState.UNKNOWN:
        return NotAllocatable(reason="NOT_SENSED", measured=confidence, required=CONFIDENCE_AT_END)
    incumbent = place.incumbent_probability.aged(now_ns)
    if incumbent.value > incumbent_probability_max:
        return NotAllocatable(reason="INCUMBENT", measured=incumbent.value, required=incumbent_probability_max)
    narrowest = min(place.usable_bandwidth, unit.bandwidth, key=lambda q: q.value)
    return CompositeEnvelope(
        channel=Channel(low_hz=low, high_hz=high),
        usable_bandwidth=replace(narrowest.aged(now_ns), value=min(narrowest.value, high - low)),
        eirp=unit.eirp.aged(now_ns),
        incumbent_probability=incumbent,
        confidence=confidence,
        valid_until_ns=min(place.occupancy.valid_until_ns, unit.bandwidth.valid_until_ns),
    )


def claims_too_much(place: PlaceEnvelope, *, level_dbm: float, confidence: float) -> bool:
    """Whether a detection at `level_dbm`, below the sensitivity limit, is claimed with more confidence than chance."""
    return level_dbm < place.sensitivity_limit.value and confidence > 0.5


def _incumbent_probability(report: SurveyReport, channel: ChannelReport) -> Interval:
    """The confidence of the surest radar that overlaps the channel; without one, 0 to 3 / (looks + 3).

    That upper end is the rule of three: the share of looks with a radar in them when none of them had one.
    """
    inside = [
        one.confidence
        for one in report.incumbents
        if one.low_hz < channel.channel.high_hz and channel.channel.low_hz < one.high_hz
    ]
    if inside:
        return max(inside, key=lambda c: c.value)
    return Interval(value=0.0, low=0.0, high=3 / (report.looks + 3))


def _spread(value: float, sd: float) -> Interval:
    return Interval(value=value, low=value - Z95 * sd, high=value + Z95 * sd)


def _scaled(occupancy: Interval, width: float, *, value: float) -> Interval:
    return Interval(value=value, low=(1 - occupancy.high) * width, high=(1 - occupancy.low) * width)
