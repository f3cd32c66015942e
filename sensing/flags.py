"""Flags for faults of samples, and of the numbers computed from them."""

from enum import Flag, auto


class SampleFlag(Flag):
    """Faults of samples; a channel with one of `VOIDING` is never reported free."""

    NONE = 0
    CLIPPED = auto()
    GAP = auto()
    DC_SPIKE = auto()
    IQ_IMAGE = auto()
    OWN_TX = auto()
    STALE = auto()
    GAIN_STEP = auto()
    UNCALIBRATED = auto()
    BELOW_QUANTISATION = auto()
    NON_FINITE = auto()
    FULL_BAND = auto()
    OVERFLOW_UNKNOWN = auto()
    MOVED = auto()
    DEAF = auto()


ELSEWHERE = SampleFlag.MOVED | SampleFlag.DEAF
"""Faults of a receiver that is not as tuned, or does not hear: its samples are not of the band."""

UNUSABLE = SampleFlag.OWN_TX | SampleFlag.STALE | SampleFlag.BELOW_QUANTISATION | ELSEWHERE
"""Samples with one of these say nothing about the band: they are counted and excluded from every estimate."""

VOIDING = (
    SampleFlag.CLIPPED
    | SampleFlag.OWN_TX
    | SampleFlag.STALE
    | SampleFlag.BELOW_QUANTISATION
    | SampleFlag.NON_FINITE
    | SampleFlag.FULL_BAND
    | ELSEWHERE
)
"""With one of these a quiet channel is "unknown"; a busy one stays busy."""

WIDENING = (
    SampleFlag.GAP
    | SampleFlag.GAIN_STEP
    | SampleFlag.OWN_TX
    | SampleFlag.STALE
    | SampleFlag.BELOW_QUANTISATION
    | ELSEWHERE
)
"""Looks with one of these widen the interval by their share: a part of their time was not seen."""


def names(flags: SampleFlag) -> tuple[str, ...]:
    """Names of the flags that are set, in order of definition."""
    return tuple(flag.name for flag in SampleFlag if flag in flags and flag.name)
