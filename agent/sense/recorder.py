"""Records a source as SigMF: each gap begins a capture, each finding is an annotation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.sense.header import LevelBasis, SampleStretch, capture_of, encoded, global_of
from agent.sense.session import SensePlan, Surveys
from agent.sense.sources import NS, Look, Origin, Source, limited
from radio.recording.writer import RecordingWriter
from sensing.detectors.radar import Incumbent
from sensing.flags import ELSEWHERE, SampleFlag, names
from sensing.frontend import Iq
from sensing.survey import LookResult

KEPT: Final = (
    SampleFlag.CLIPPED
    | SampleFlag.GAP
    | SampleFlag.OWN_TX
    | SampleFlag.STALE
    | SampleFlag.GAIN_STEP
    | SampleFlag.OVERFLOW_UNKNOWN
    | ELSEWHERE
)
"""Flags that only the driver can know: they are stored with the samples, and trusted when read again."""
SLACK_NS: Final = 2_000


class RecordRefused(ValueError):
    """The recording cannot be written there; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A finished recording."""

    meta: Path
    samples: int
    annotations: int
    captures: int


@dataclass(slots=True)
class _Notes:
    """Annotations being built: a run of similar looks becomes one."""

    done: list[dict[str, Any]] = field(default_factory=list)
    open: dict[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)

    def look(self, look: Look, result: LookResult, *, first: int) -> None:
        """Add one look's findings; `first` is its first sample in the recording."""
        after = first + len(look.iq)
        seen: list[tuple[object, ...]] = [
            ("busy", c.channel.low_hz, c.channel.high_hz) for c in result.channels if c.busy
        ]
        doubts = result.flags & ~SampleFlag.UNCALIBRATED
        if doubts:
            seen.append(("doubt", names(doubts), names(look.flags & KEPT)))
        for key in [key for key, (_, end) in self.open.items() if key not in seen or end != first]:
            self._close(key)
        for key in seen:
            self.open[key] = (self.open.get(key, (first, 0))[0], after)

    def radar(self, one: Incumbent, stretches: list[SampleStretch]) -> None:
        """Note a radar over the samples in which it was heard."""
        for stretch in stretches:
            rate = stretch.tuning.sample_rate_hz
            start = max(0, round((one.start_ns - stretch.start_ns) * rate / NS))
            end = min(stretch.samples, max(start + 1, round((one.end_ns - stretch.start_ns) * rate / NS)))
            if start < end and abs(stretch.tuning.center_hz - (one.low_hz + one.high_hz) / 2) <= rate / 2:
                label = f"radar {one.kind}"
                self.done.append(_annotation(stretch.first + start, end - start, one.low_hz, one.high_hz, label))

    def finish(self) -> list[dict[str, Any]]:
        """Return all annotations in time order, as SigMF requires."""
        for key in list(self.open):
            self._close(key)
        return sorted(self.done, key=lambda one: int(one["core:sample_start"]))

    def _close(self, key: tuple[object, ...]) -> None:
        start, after = self.open.pop(key)
        match key:
            case ("busy", float(low), float(high)):
                self.done.append(_annotation(start, after - start, low, high, "busy"))
            case (_, tuple(doubts), tuple(kept)):
                held = {"core:sample_start": start, "core:sample_count": after - start}
                note = held | {"core:comment": ", ".join(str(one) for one in doubts)}
                self.done.append(note | ({"bandpact:flags": list(kept)} if kept else {}))
            case _:
                raise TypeError(key)


def _annotation(start: int, count: int, low_hz: float, high_hz: float, label: str) -> dict[str, Any]:
    return {
        "core:sample_start": start,
        "core:sample_count": count,
        "core:freq_lower_edge": low_hz,
        "core:freq_upper_edge": high_hz,
        "core:label": label,
    }


def record(
    source: Source,
    plan: SensePlan,
    path: Path,
    *,
    origin: Origin | None = None,
    measured: LevelBasis | None = None,
    stamp: Mapping[str, Any] | None = None,
) -> Recorded:
    """Record until the source or the plan's time ends; the files appear only once they are whole.

    Args: origin adds to what the source knows of its place; measured is what its levels rest on; stamp are
    more fields of its `global`, such as its licence.

    Raises: RecordRefused when the files exist already or cannot be written; RadioError, SourceError of the source.
    """
    surveys, notes = Surveys(source, plan), _Notes()
    stretches: list[SampleStretch] = []
    try:
        with RecordingWriter(path) as out:
            kind = "ci16_le"
            for look in limited(source, plan.duration_s):
                kind, raw = _bytes_of(look.iq)
                out.write(raw)
                first = stretches[-1].first + stretches[-1].samples if stretches else 0
                _extend(stretches, look, first)
                notes.look(look, surveys.feed(look), first=first)
            if not stretches:
                raise RecordRefused(f"{path}: the source gave no samples; record for longer")
            for result in surveys.results():
                for one in result.report.incumbents:
                    notes.radar(one, stretches)
            annotations = notes.finish()
            known = _known(source.origin, origin)
            captures = [capture_of(one, known, measured) for one in stretches]

            def metadata(digest: str) -> bytes:
                about = global_of(
                    known,
                    kind=kind,
                    rate_hz=stretches[0].tuning.sample_rate_hz,
                    name=source.name,
                    full_scale=source.full_scale,
                    digest=digest,
                    measured=measured,
                )
                return encoded(about | dict(stamp or {}), captures, annotations)

            out.finish(metadata)
    except FileExistsError as exc:
        raise RecordRefused(f"{exc.filename}: exists already; choose another name") from exc
    except OSError as exc:
        raise RecordRefused(f"{path}: cannot be written ({exc.strerror}); choose another place") from exc
    total = stretches[-1].first + stretches[-1].samples
    return Recorded(meta=out.path, samples=total, annotations=len(annotations), captures=len(captures))


def _known(source: Origin, given: Origin | None) -> Origin:
    """Return the source's own origin, with the place replaced where one was given."""
    if given is None:
        return source
    return replace(source, place=given.place or source.place, device=source.device or given.device)


def _extend(stretches: list[SampleStretch], look: Look, first: int) -> None:
    """Extend the last capture, or begin one where time or tuning jumps, or samples are missing."""
    clipped = bool(look.flags & SampleFlag.CLIPPED)
    last = stretches[-1] if stretches else None
    if last is not None and last.tuning == look.tuning and not look.flags & SampleFlag.GAP:
        due_ns = last.start_ns + round(last.samples * NS / last.tuning.sample_rate_hz)
        if abs(look.start_ns - due_ns) <= SLACK_NS + max(last.late_ns, look.late_ns):
            grown = last.samples + len(look.iq)
            stretches[-1] = replace(last, samples=grown, overload=last.overload or clipped)
            return
    stretches.append(
        SampleStretch(
            first=first,
            samples=len(look.iq),
            start_ns=look.start_ns,
            late_ns=look.late_ns,
            tuning=look.tuning,
            lost_before=bool(look.flags & SampleFlag.GAP),
            overload=clipped,
        )
    )


def _bytes_of(iq: Iq) -> tuple[str, bytes]:
    if iq.dtype == np.int16:
        return "ci16_le", iq.astype("<i2", copy=False).tobytes()
    return "cf32_le", iq.astype("<c8", copy=False).tobytes()
