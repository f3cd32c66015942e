"""A clock source as a node's configuration names it: what every kind has, and how it is listened to."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

from agent.config.section import Section
from agent.timekeeping.values import Reading
from settlement.core.fixes import TimeSource


class Source(Protocol):
    """Something that knows the time, the place or both, and says so when it has news."""

    name: str

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Say what there is to say, for ever."""
        ...


class AskedSource(Protocol):
    """Something that answers for any instant without waiting."""

    name: str

    def ask(self, monotonic_ns: int) -> Reading:
        """What it says at an instant of the monotonic clock."""
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
        """The smallest bound it can have, us."""

    def listening(self, *, drift_ppb: int) -> Source | None:
        """What runs beside the node and hears it, where it speaks by itself.

        Args: drift_ppb is the most by which the host's clock drifts.
        """
        del drift_ppb
        return None

    def asked(self) -> AskedSource | None:
        """What answers for any instant without waiting, where it is of that kind."""
        return None
