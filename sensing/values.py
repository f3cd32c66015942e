"""Value types of measurements: an interval, a level, a channel."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the bounds that hold the truth with probability `level`."""

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelDb:
    """A level in decibels with its standard uncertainty; `unit` is dBFS, dBm, dBFS/Hz or dBm/Hz."""

    value: float
    sd: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A stretch of spectrum, lower edge included, upper edge not."""

    low_hz: float
    high_hz: float

    def __post_init__(self) -> None:
        if not self.low_hz < self.high_hz:
            raise ValueError(f"channel {self.low_hz:g}-{self.high_hz:g} Hz is empty: give its lower edge first")

    @property
    def width_hz(self) -> float:
        """Bandwidth in Hz."""
        return self.high_hz - self.low_hz
