"""Builds the SAS-CBSD measurement report from received powers with their uncertainty. Pure.

(1) a power is the mean over its band, the upper end of its interval, rounded up to a whole dBm
(2) the form has -100 to -25 dBm: what is weaker is told as -100, what is louder as -25
(3) what is no longer valid is not told, and without anything to tell there is no report
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from radio.cbrs.fields import ITEMS_MAX, Item

WEAKEST_DBM, LOUDEST_DBM = -100, -25
KIND: Final = "rcvdPowerMeasReports"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPower:
    """The upper bound of the mean power received in a band, mdBm; valid until `until_ns` (monotonic)."""

    low_hz: int
    high_hz: int
    most_mdbm: int
    until_ns: int


def report_of(powers: Iterable[ReceivedPower], mono_ns: int) -> Item | None:
    """The measReport of all powers still valid, by frequency; None where there is none."""
    rows = [
        {
            "measFrequency": one.low_hz,
            "measBandwidth": one.high_hz - one.low_hz,
            "measRcvdPower": min(LOUDEST_DBM, max(WEAKEST_DBM, math.ceil(one.most_mdbm / 1000))),
        }
        for one in sorted(powers, key=lambda one: one.low_hz)
        if mono_ns < one.until_ns and one.low_hz < one.high_hz
    ]
    return {KIND: rows[:ITEMS_MAX]} if rows else None
