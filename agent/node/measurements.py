"""Received power per channel for a SAS above that asks for it, from the same report as the place envelope.

A channel is reported only where the envelope gives its state: a channel that is unknown, overloaded, or received
without calibration (dBFS is no dBm) is left out. The reported power is the upper end of its 95 % interval, and never
below the upper end of the envelope's own noise floor.
"""

import math
from collections.abc import Iterator

from agent.node.integers import SIGMAS, channel
from hw_profiles.calibration import Scale
from radio.link import PowerMeasured
from sensing.flags import VOIDING
from sensing.survey import ChannelReport, ChannelState, SurveyReport
from settlement.chain.bodies import ChannelObservation

EVERY_NS = 10_000_000_000
VALID_NS = 60_000_000_000
"""Validity of a measurement in ns, that of a place envelope."""
CALIBRATED = "dBm/Hz"
MEAN_SD_DB = 0.5


def received(report: SurveyReport, scale: Scale | None) -> Iterator[PowerMeasured]:
    """Yield the power of each reportable channel of a survey; nothing without a calibration."""
    if scale is None:
        return
    for one in report.channels:
        most_db = _most_db(one, channel(one), scale)
        if most_db is not None:
            yield PowerMeasured(
                low_hz=int(one.channel.low_hz),
                high_hz=int(one.channel.high_hz),
                most_mdbm=math.ceil(1000 * most_db),
                until_ns=report.now_ns + VALID_NS,
            )


def _most_db(one: ChannelReport, said: ChannelObservation, scale: Scale) -> float | None:
    """Return the upper bound on the mean received power in dBm; None where it cannot be told."""
    floor = said.floor_mdb
    if (
        said.state == ChannelState.UNKNOWN.value
        or one.flags & VOIDING
        or floor is None
        or said.floor_unit != CALIBRATED
    ):
        return None
    mean_db = scale.offset_db - one.headroom_db + SIGMAS * math.hypot(scale.sd_db, MEAN_SD_DB)
    floor_db = floor.high / 1000 + 10 * math.log10(one.channel.width_hz)
    return max(mean_db, floor_db) if math.isfinite(mean_db) else None
