"""Interfaces of clock sources: the configuration section of every kind, and how it is read."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

from agent.config.section import Section
from agent.timekeeping.values import Reading
from settlement.core.fixes import TimeSource


class Source(Protocol):
    """A source of time, place or both that pushes a reading when it has one."""

    name: str

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Push readings until cancelled."""
        ...


class AskedSource(Protocol):
    """A source that returns a reading for any instant without blocking."""

    name: str

    def ask(self, monotonic_ns: int) -> Reading:
        """Return the reading at an instant of the monotonic clock."""
        ...


class ClockSourceSection(Section, ABC):
    """One of `[[clock.sources]]`. Each kind adds its own keys in a class of its own, beside what reads it."""

    counts_as: ClassVar[TimeSource]
    """What a rule calls time from such a source."""

    kind: str
    name: str

    @property
    @abstractmethod
    def best_us(self) -> float:
        """Smallest bound of this source, us."""

    def listening(self, *, drift_ppb: int) -> Source | None:
        """Return the source that pushes readings by itself; None for a kind that is asked.

        Args: drift_ppb: the most by which the host's clock drifts.
        """
        del drift_ppb
        return None

    def asked(self) -> AskedSource | None:
        """Return the source that answers for any instant without blocking; None for a kind that pushes."""
        return None
