"""Heartbeat numbers that a Pluto's dead-man repeats to the host, as phases of tone generators that are off. Pure."""

from collections import deque
from typing import Final

NUMBERS: Final = 359
STEP: Final = 1000
"""Phases are in thousandths of a degree; the device rounds them by a few thousandths."""
KEPT: Final = NUMBERS // 2


class Beats:
    """The heartbeat numbers written, and when. A number is used again only after half of all others were."""

    def __init__(self, *, after: str = "") -> None:
        """Start; the first numbers keep away from `after`, which the dead-man repeated last, for another host."""
        number = round(int(after) / STEP) if after.isdigit() else 0
        self._number = (number + NUMBERS // 2) % NUMBERS if after.isdigit() else 0
        self._beaten: deque[tuple[int, int]] = deque(maxlen=KEPT)

    def next(self, now_ns: int) -> str:
        """The next heartbeat number to write at monotonic time `now_ns`."""
        self._number = self._number % NUMBERS + 1
        self._beaten.append((self._number, now_ns))
        return str(self._number * STEP)

    def answered(self, repeated: str, *, since_ns: int) -> bool:
        """Whether the number that the dead-man repeats was written at or after `since_ns` (monotonic)."""
        if not repeated.isdigit():
            return False
        return any(
            at_ns >= since_ns and abs(int(repeated) - number * STEP) < STEP // 2 for number, at_ns in self._beaten
        )
