"""The numbers a host beats with and a Pluto's own dead-man repeats: phases of tone generators that are off. Pure."""

from collections import deque
from typing import Final

NUMBERS: Final = 359
STEP: Final = 1000
"""Phases are thousandths of a degree; the device rounds them by a few."""
KEPT: Final = NUMBERS // 2


class Beats:
    """Which numbers were beaten when. No number comes again before half of all others did."""

    def __init__(self, *, after: str = "") -> None:
        """Begin; `after` is what the dead-man repeated last, for somebody else, which the first beats are far from."""
        number = round(int(after) / STEP) if after.isdigit() else 0
        self._number = (number + NUMBERS // 2) % NUMBERS if after.isdigit() else 0
        self._beaten: deque[tuple[int, int]] = deque(maxlen=KEPT)

    def next(self, now_ns: int) -> str:
        """The next number to write, at a monotonic time."""
        self._number = self._number % NUMBERS + 1
        self._beaten.append((self._number, now_ns))
        return str(self._number * STEP)

    def answered(self, repeated: str, *, since_ns: int) -> bool:
        """Whether what the dead-man repeats was beaten since then, whatever was beaten after it."""
        if not repeated.isdigit():
            return False
        return any(
            at_ns >= since_ns and abs(int(repeated) - number * STEP) < STEP // 2 for number, at_ns in self._beaten
        )
