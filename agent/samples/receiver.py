"""Converts what the radio receives for a program: shifted to the permit's centre, at the program's rate, on time.

Pure: stretches of the stream and monotonic time are arguments. The stream never stops: where the radio lost samples,
or gives none, zeros take their place and are counted.
"""

from collections import deque

import numpy as np

from agent.samples.counts import Counts
from agent.samples.levels import from_codes
from agent.samples.plan import NS, DoorPlan
from agent.samples.resampler import Mixer, Resampler
from radio.ports import Iq16
from radio.signals.shapes import Cplx

SILENT_NS = 150_000_000
"""Time in ns without samples from the radio after which zeros are inserted."""
FILL_NS = 20_000_000
KEPT_NS = 250_000_000
UNASKED_NS = 20_000_000
GONE_NS = 1_000_000_000
"""Time in ns without a read after which the program counts as gone; unread samples are then not counted."""


class ReceiveStream:
    """The receiver's stream for one program."""

    def __init__(self, plan: DoorPlan, counts: Counts, *, now_ns: int) -> None:
        self._plan, self._counts = plan, counts
        self.center_hz = plan.radio_center_hz
        self._mixer = Mixer(shift_hz=0, rate_hz=plan.radio_hz)
        self._resampler = Resampler(from_hz=plan.radio_hz, to_hz=plan.program_hz)
        self._ready: deque[Cplx] = deque()
        self.size = 0
        self._next_ns = self._fed_ns = now_ns
        self._read_ns: int | None = None
        self._filled = True

    def centre(self, center_hz: int) -> None:
        """Shift this frequency to the centre from now on: the permit's, or the radio's own."""
        if center_hz != self.center_hz:
            self.center_hz = center_hz
            self._mixer = Mixer(shift_hz=center_hz - self._plan.radio_center_hz, rate_hz=self._plan.radio_hz)

    def present(self, now_ns: int) -> bool:
        """Return whether a program read recently."""
        return self._read_ns is not None and now_ns - self._read_ns < GONE_NS

    def read_at(self, now_ns: int) -> None:
        """Note that the program read at an instant."""
        self._read_ns = now_ns

    def feed(self, iq: Iq16, earliest_ns: int, now_ns: int, *, gap: bool) -> None:
        """Add a stretch received from `earliest_ns` on; `gap`: samples before it were lost."""
        rate = self._plan.radio_hz
        away = (earliest_ns - self._next_ns) * rate // NS
        end_ns = earliest_ns + len(iq) * NS // rate
        self._fed_ns = now_ns
        if self._filled and away < 0:
            iq = iq[-away:]  # zeros were inserted in its place already
        if not len(iq):
            return
        if away > 0 and (gap or self._filled):
            self._zeros(min(away, rate), now_ns, lost=not self._filled)
        self._next_ns, self._filled = end_ns, False
        self._put(from_codes(iq, self._plan.rx_full_scale), now_ns)

    def tick(self, now_ns: int) -> None:
        """Insert zeros where the radio gives nothing."""
        if now_ns - self._fed_ns <= SILENT_NS:
            return
        self._filled = True
        missing_ns = now_ns - FILL_NS - self._next_ns
        if missing_ns > 0:
            self._next_ns += missing_ns
            self._zeros(min(missing_ns, NS) * self._plan.radio_hz // NS, now_ns, lost=False)

    def _zeros(self, count: int, now_ns: int, *, lost: bool) -> None:
        filled = count * self._plan.program_hz // self._plan.radio_hz
        if lost:
            self._counts.lost += filled
        else:
            self._counts.silence += filled
        self._put(np.zeros(count, np.complex64), now_ns)

    def _put(self, samples: Cplx, now_ns: int) -> None:
        out = self._resampler.feed(self._mixer.feed(samples))
        if not len(out):
            return
        self._ready.append(out)
        self.size += len(out)
        present = self.present(now_ns)
        limit = self._plan.program_hz * (KEPT_NS if present else UNASKED_NS) // NS
        while self.size > limit and len(self._ready) > 1:
            dropped = len(self._ready.popleft())
            self.size -= dropped
            if present:
                self._counts.unread += dropped

    def take(self, most: int) -> Cplx:
        """Return at most `most` of the program's samples, shape (n,), the oldest first."""
        parts: list[Cplx] = []
        while most > 0 and self._ready:
            first = self._ready.popleft()
            if len(first) > most:
                self._ready.appendleft(first[most:])
                first = first[:most]
            parts.append(first)
            most -= len(first)
            self.size -= len(first)
            self._counts.given += len(first)
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.complex64)
