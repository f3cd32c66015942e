"""When each base station may transmit and when it must be silent, as the warden tells the receiver, and the verdicts.

Kept for the node's own receiver: `due` are the spans that it has not been told of, `heard` takes in what it found. A
finding can only take something away. Spans begin with the first heartbeat that was answered well, not with the grant.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from radio.cbrs.book import Out
from radio.cbrs.byear import DEAF_NS, EarKey, EarVerdict, StationSpan
from radio.cbrs.permission import Ask, Given
from settlement.core.fixes import TimeFix

NS = 1_000_000_000
AGAIN_NS = 10 * NS
"""Interval at which every span is told again: a restarted receiver knows none."""
AT_ONCE = 8
KEPT_MAX = 1024
NOT_HEARD = "no word from the node's receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarWord:
    """The receiver's verdict on a base station's silence, and when it came (monotonic ns)."""

    verdict: EarVerdict
    detail: str
    at_ns: int


@dataclass(slots=True)
class StationEnds:
    """All spans of a warden, by base station and band. `silent_within_ns`: how long a station may take to be silent."""

    silent_within_ns: int
    spans: dict[EarKey, StationSpan] = field(default_factory=dict)
    words: dict[EarKey, EarWord] = field(default_factory=dict)
    _due: dict[EarKey, None] = field(default_factory=dict)
    _again_ns: int = 0

    def given(self, ask: Ask, answer: Given, window_end_ns: int, now: TimeFix, mono_ns: int) -> None:
        """Note a successful heartbeat: the base station may be on until the transmitExpireTime sent."""
        silent_ns = answer.transmit_until_ns + self.silent_within_ns
        self._note(
            StationSpan(
                device=ask.device,
                sid=answer.sid,
                low_hz=ask.low_hz,
                high_hz=ask.high_hz,
                since_ns=mono_ns,
                # Early bound for when it may still be on, late bound for when it must be silent.
                on_until_ns=mono_ns + answer.transmit_until_ns - now.latest_ns,
                silent_from_ns=mono_ns + silent_ns - now.earliest_ns,
                alone_until_ns=mono_ns + window_end_ns - now.latest_ns,
            ),
            mono_ns,
        )

    def restored(self, out: Out, now: TimeFix, mono_ns: int) -> None:
        """Add an entry of the book from before a restart: the station may still be on, its signal is not learnt."""
        span = StationSpan(
            device=out.device,
            sid=out.sid,
            low_hz=out.low_hz,
            high_hz=out.high_hz,
            since_ns=mono_ns,
            on_until_ns=mono_ns,
            silent_from_ns=mono_ns + out.silent_by_ns - now.earliest_ns,
            alone_until_ns=mono_ns + out.silent_by_ns - now.earliest_ns,
        )
        self._note(span, mono_ns)

    def ended(self, device: str, low_hz: int, high_hz: int, mono_ns: int) -> None:
        """Note that a device was told that its grant ended or is suspended, or that it gave the grant back."""
        span = self.spans.get((device, low_hz, high_hz))
        if span is None or span.on_until_ns <= mono_ns:
            return
        silent_ns = min(span.silent_from_ns, mono_ns + self.silent_within_ns)
        self._set(replace(span, on_until_ns=mono_ns, silent_from_ns=silent_ns))

    def _note(self, span: StationSpan, mono_ns: int) -> None:
        before = self.spans.get(span.key)
        if before is not None and mono_ns <= before.silent_from_ns:
            on_ns, silent_ns = (
                max(before.on_until_ns, span.on_until_ns),
                max(before.silent_from_ns, span.silent_from_ns),
            )
            span = replace(span, since_ns=before.since_ns, on_until_ns=on_ns, silent_from_ns=silent_ns)
        elif before is None and len(self.spans) >= KEPT_MAX:
            oldest = min(self.spans.values(), key=lambda one: one.silent_from_ns)
            del self.spans[oldest.key]
            self.words.pop(oldest.key, None)
        self.words.pop(span.key, None)
        self._set(span)

    def _set(self, span: StationSpan) -> None:
        self.spans[span.key] = span
        self._due[span.key] = None

    def due(self, mono_ns: int) -> list[StationSpan]:
        """Spans to send to the receiver now, a few at a time; return those that were not sent with `untold`."""
        if mono_ns >= self._again_ns:
            self._again_ns = mono_ns + AGAIN_NS
            self._due.update(dict.fromkeys(self.spans))
        told = [key for key, _ in zip(self._due, range(AT_ONCE), strict=False)]
        for key in told:
            del self._due[key]
        return [self.spans[key] for key in told if key in self.spans]

    def untold(self, spans: Iterable[StationSpan]) -> None:
        """Queue spans again that could not be sent to the receiver."""
        self._due.update(dict.fromkeys(span.key for span in spans))

    def heard(self, key: EarKey, verdict: EarVerdict, detail: str, mono_ns: int) -> bool:
        """Note the receiver's verdict; returns False where no base station of that key had to be silent."""
        span = self.spans.get(key)
        if span is None or mono_ns < span.silent_from_ns:
            return False
        self.words[key] = EarWord(verdict=verdict, detail=detail, at_ns=mono_ns)
        return True

    def word(self, span: StationSpan, mono_ns: int) -> EarWord | None:
        """The receiver's verdict on a station's silence; None before its end, or while listening has not finished."""
        known = self.words.get(span.key)
        if known is None and mono_ns > span.silent_from_ns + 2 * DEAF_NS:
            return EarWord(verdict=EarVerdict.NOT_CHECKED, detail=NOT_HEARD, at_ns=mono_ns)
        return known

    def shown(self, mono_ns: int) -> list[dict[str, Any]]:
        """For the status command: every base station whose end is past or near, with the verdict."""
        made = []
        for span in sorted(self.spans.values(), key=lambda one: one.key):
            word = self.word(span, mono_ns)
            state = "may be on" if mono_ns < span.silent_from_ns else "ended"
            found = {"verdict": None, "detail": ""} if word is None else asdict(word) | {"verdict": word.verdict.value}
            made.append(
                {
                    "device": span.device,
                    "low_hz": span.low_hz,
                    "high_hz": span.high_hz,
                    "state": state,
                    "ended_s": max(0, mono_ns - span.silent_from_ns) / NS,
                    "verdict": found["verdict"],
                    "detail": found["detail"],
                }
            )
        return made
