"""An index of time windows: finds those that overlap a given window without comparing with all of them.

Windows are grouped by length (a power of two), and within a group by the step of that length in which they begin. So a
window that overlaps another begins in one of the other's steps, or in the step before: a query takes as many lookups
as the window has steps, for each length in use.
"""

from settlement.chain.scope import Window


class ByTime:
    """Keys with their windows; a query returns keys in the order in which they were first added."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[Window, int]] = {}
        """The window of each key, and its number in order."""
        self._steps: dict[int, dict[int, set[bytes]]] = {}
        """Keys by the bit length of their window, then by the step in which the window begins."""
        self._next = 0

    def put(self, key: bytes, window: Window) -> None:
        """Add a key, or change its window; a changed key keeps its place in the order."""
        number = self._next
        if key in self._places:
            held, number = self._places[key]
            if held == window:
                return
            self._take_out(key, held)
        else:
            self._next += 1
        self._places[key] = window, number
        bits, step = _step(window)
        self._steps.setdefault(bits, {}).setdefault(step, set()).add(key)

    def drop(self, key: bytes) -> None:
        """Remove a key."""
        window, _ = self._places.pop(key)
        self._take_out(key, window)

    def _take_out(self, key: bytes, window: Window) -> None:
        bits, step = _step(window)
        steps = self._steps[bits]
        steps[step].discard(key)
        if not steps[step]:
            del steps[step]
        if not steps:
            del self._steps[bits]

    def touching(self, window: Window) -> list[bytes]:
        """Return the keys whose windows overlap this one."""
        found: list[bytes] = []
        for bits, steps in self._steps.items():
            first, last = (window.start_ns >> bits) - 1, window.end_ns >> bits
            # A long window may have more steps than there are windows: then all of those are searched.
            near = range(first, last + 1) if last - first < len(steps) else steps
            found += [key for step in near for key in steps.get(step, ()) if window.overlaps(self._places[key][0])]
        return sorted(found, key=lambda key: self._places[key][1])


def _step(window: Window) -> tuple[int, int]:
    """Return the bit length of a window, and the number of the step of that length in which it begins."""
    bits = max(0, window.end_ns - window.start_ns).bit_length()
    return bits, window.start_ns >> bits
