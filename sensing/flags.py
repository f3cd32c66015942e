"""What can be wrong with samples or with the numbers made from them."""

from enum import Flag, auto


class SampleFlag(Flag):
    """Reasons for doubt; a channel that carries one of `VOIDING` is never reported free."""

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
"""Samples of a receiver that is not as it was tuned, or does not hear: nobody listened to the band."""

UNUSABLE = SampleFlag.OWN_TX | SampleFlag.STALE | SampleFlag.BELOW_QUANTISATION | ELSEWHERE
"""Samples with one of these say nothing about the band: they are counted and left out of every estimate."""

VOIDING = (
    SampleFlag.CLIPPED
    | SampleFlag.OWN_TX
    | SampleFlag.STALE
    | SampleFlag.BELOW_QUANTISATION
    | SampleFlag.NON_FINITE
    | SampleFlag.FULL_BAND
    | ELSEWHERE
)
"""With one of these a quiet channel is "unknown", a busy one stays busy."""

WIDENING = (
    SampleFlag.GAP
    | SampleFlag.GAIN_STEP
    | SampleFlag.OWN_TX
    | SampleFlag.STALE
    | SampleFlag.BELOW_QUANTISATION
    | ELSEWHERE
)
"""The interval grows by the share of looks with one of these: their time was not seen, or not wholly."""


def names(flags: SampleFlag) -> tuple[str, ...]:
    """Names of the flags that are set, in order of definition."""
    return tuple(flag.name for flag in SampleFlag if flag in flags and flag.name)
