"""Scripted faults of a simulated Pluto: on which connection and command, how often, and with what effect."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Drop:
    """Cut the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Late:
    """Execute the command and answer, so many seconds late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error and do nothing."""

    errno: int


@dataclass(frozen=True, slots=True)
class Lie:
    """Answer success and do nothing."""


@dataclass(frozen=True, slots=True)
class Short:
    """Return only so many samples of a buffer."""

    samples: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Return the previous buffer again."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop the connection in the middle of a buffer's samples."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Lose so many seconds of samples; `flagged` if the status register tells."""

    seconds: float
    flagged: bool = True


@dataclass(frozen=True, slots=True)
class Reboot:
    """Lose power and restart: every connection is closed, settings are those at boot."""


Action: TypeAlias = Drop | Late | Fail | Lie | Short | Repeat | Cut | Overflow | Reboot


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Acts on commands that begin with `command` from the `nth` (1 is the first) on, for `times` of them.

    `connection` counts connections in the order in which they came, 1 first; None is any.
    """

    command: str
    action: Action
    nth: int = 1
    times: int = 1
    connection: int | None = None

    def matches(self, connection: int, line: str) -> bool:
        """Whether the fault applies to this command of this connection."""
        return self.connection in (None, connection) and line.upper().startswith(self.command.upper())


class Script:
    """The faults still to come. Counting begins when a fault is added."""

    def __init__(self) -> None:
        self._pending: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        self._pending.append((fault, 0))

    def clear(self) -> None:
        """Remove all faults."""
        self._pending.clear()

    def due(self, connection: int, line: str) -> Action | None:
        """Count a command; returns the fault to apply to it, None without one."""
        found: Action | None = None
        left: list[tuple[Fault, int]] = []
        for fault, seen in self._pending:
            count = seen + fault.matches(connection, line)
            hit = count > seen and count >= fault.nth
            if hit and found is None:
                found = fault.action
            if count < fault.nth + fault.times - 1:
                left.append((fault, count))
        self._pending = left
        return found
