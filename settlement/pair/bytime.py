"""Which of many windows share an instant with another: found among a few that lie near it, not by asking all of them.

Windows of like length stand together, and among those each stands by when it begins, in steps as long as the longest of
them. So whatever touches a window begins in one of its own steps, or in the step before: a look takes as many lookups
as the window has steps, for each length that there is.
"""

from settlement.chain.scope import Window


class ByTime:
    """Keys by their windows; those found come in the order in which they were first put in."""

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[Window, int]] = {}
        """The window of each key, and its number in order."""
        self._steps: dict[int, dict[int, set[bytes]]] = {}
        """By the bits of a window's length, then by the step it begins in."""
        self._next = 0

    def put(self, key: bytes, window: Window) -> None:
        """Put a key in, or give it another window; it keeps its place in the order."""
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
        """Take a key out."""
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
        """The keys whose windows share an instant with this one."""
        found: list[bytes] = []
        for bits, steps in self._steps.items():
            first, last = (window.start_ns >> bits) - 1, window.end_ns >> bits
            # A long window has more steps than there are windows: then those are gone through.
            near = range(first, last + 1) if last - first < len(steps) else steps
            found += [key for step in near for key in steps.get(step, ()) if window.overlaps(self._places[key][0])]
        return sorted(found, key=lambda key: self._places[key][1])


def _step(window: Window) -> tuple[int, int]:
    """The bits of a window's length, and the number of the step of that length in which it begins."""
    bits = max(0, window.end_ns - window.start_ns).bit_length()
    return bits, window.start_ns >> bits
