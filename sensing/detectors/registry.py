"""The detectors of busy channels by name. To add one: its file, and a line here.

docs/adding-a-detector.md says how, and which contract it is held to. What decides on pulses is `radar.RadarDetector`.
"""

from typing import Final, Protocol

from sensing.detectors.channel import ChannelCells, ChannelDecision, ChannelDetector

USUAL: Final = "channel"


class ChannelDecider(Protocol):
    """The interface of a detector that decides on the blocks of one channel and states its thresholds.

    Made with `pfa`, false alarms per channel and block, and `uneven_db`, how far the floor of a part of the band may be
    off.
    """

    def __init__(self, *, pfa: float, uneven_db: float = 0.0) -> None: ...

    def decide(self, seen: ChannelCells) -> ChannelDecision:
        """One decision for each block; `decision.Detector` states the contract."""
        ...

    def sure(self, seen: ChannelCells, *, pfa: float) -> float:
        """The ratio of `statistic` beyond which a block is over the threshold that it would have at another `pfa`."""
        ...

    def whole_threshold(self, seen: ChannelCells) -> float:
        """The ratio to the floor over which the energy of the whole channel makes a block busy."""
        ...

    def whole_shape(self, seen: ChannelCells) -> float:
        """Independent averages behind the energy of the whole channel."""
        ...


DECIDERS: Final[dict[str, type[ChannelDecider]]] = {
    USUAL: ChannelDetector,
}
