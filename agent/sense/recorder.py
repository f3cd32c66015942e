"""Writes what a source gives as SigMF, with an annotation for everything sensing noticed."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.sense.session import SensePlan, survey_settings
from agent.sense.sources import Look, Source
from sensing.detectors.radar import Incumbent
from sensing.flags import SampleFlag, names
from sensing.frontend import Iq
from sensing.survey import LookResult, Survey

SIGMF_VERSION: Final = "1.2.6"
EXTENSION: Final = {"name": "bandpact", "version": "1.0.0", "optional": True}
SUFFIXES: Final = (".sigmf-meta", ".sigmf-data")


class RecordRefused(ValueError):
    """The recording cannot be written there; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A finished recording."""

    meta: Path
    samples: int
    annotations: int


@dataclass(slots=True)
class _Notes:
    """Annotations in the making: a run of busy looks of a channel becomes one."""

    rate: float
    done: list[dict[str, Any]] = field(default_factory=list)
    open: dict[int, tuple[int, int]] = field(default_factory=dict)
    labels: dict[int, tuple[float, float]] = field(default_factory=dict)

    def look(self, result: LookResult, *, first: int, count: int) -> None:
        """Take what one look of `count` samples from `first` found."""
        for index, channel in enumerate(result.channels):
            self.labels[index] = (channel.channel.low_hz, channel.channel.high_hz)
            if channel.busy:
                start, _ = self.open.get(index, (first, 0))
                self.open[index] = (start, first + count)
            elif index in self.open:
                self._close(index)
        doubts = result.flags & ~SampleFlag.UNCALIBRATED
        if doubts:
            text = ", ".join(names(doubts))
            self.done.append({"core:sample_start": first, "core:sample_count": count, "core:comment": text})

    def radar(self, one: Incumbent) -> None:
        """Note a radar over the time it was heard."""
        start = max(0, round(one.start_ns * self.rate / 1e9))
        count = max(1, round((one.end_ns - one.start_ns) * self.rate / 1e9))
        self.done.append(_annotation(start, count, one.low_hz, one.high_hz, f"radar {one.kind}"))

    def finish(self) -> list[dict[str, Any]]:
        """Every annotation in the order of time, as SigMF asks for."""
        for index in list(self.open):
            self._close(index)
        return sorted(self.done, key=lambda one: int(one["core:sample_start"]))

    def _close(self, index: int) -> None:
        start, stop = self.open.pop(index)
        self.done.append(_annotation(start, stop - start, *self.labels[index], "busy"))


def _annotation(start: int, count: int, low_hz: float, high_hz: float, label: str) -> dict[str, Any]:
    return {
        "core:sample_start": start,
        "core:sample_count": count,
        "core:freq_lower_edge": low_hz,
        "core:freq_upper_edge": high_hz,
        "core:label": label,
    }


def record(source: Source, plan: SensePlan, path: Path) -> Recorded:
    """Record until the source or the plan's time ends; both files appear only once they are whole.

    Raises: RecordRefused when the files exist already or cannot be written.
    """
    meta, data = (path.with_suffix(suffix) for suffix in SUFFIXES)
    if meta.exists() or data.exists():
        raise RecordRefused(f"{meta}: exists already; choose another name")
    part = data.with_name(data.name + ".part")
    survey = Survey(survey_settings(source, plan))
    notes = _Notes(rate=source.sample_rate_hz)
    try:
        with part.open("xb") as stream:
            total, kind, digest = _copy(source, plan, survey, notes, stream)
        for one in survey.report(0).incumbents:
            notes.radar(one)
        annotations = notes.finish()
        part.replace(data)
        header = _header(source, kind, digest, annotations)
        meta.write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise RecordRefused(f"{path}: cannot be written ({exc.strerror}); choose another place") from exc
    return Recorded(meta=meta, samples=total, annotations=len(annotations))


def _copy(source: Source, plan: SensePlan, survey: Survey, notes: _Notes, stream: Any) -> tuple[int, str, str]:
    digest = hashlib.sha512()
    total, kind = 0, "ci16_le"
    for look in _limited(source, plan.duration_s):
        kind, raw = _bytes_of(look.iq)
        digest.update(raw)
        stream.write(raw)
        result = survey.feed(look.iq, start_ns=look.start_ns, flags=look.flags)
        notes.look(result, first=total, count=len(look.iq))
        total += len(look.iq)
    return total, kind, digest.hexdigest()


def _limited(source: Source, duration_s: float | None) -> Iterator[Look]:
    left = None if duration_s is None else round(duration_s * source.sample_rate_hz)
    for look in source.looks():
        if left is None:
            yield look
            continue
        if left <= 0:
            return
        yield Look(iq=look.iq[:left], start_ns=look.start_ns, flags=look.flags)
        left -= len(look.iq)


def _bytes_of(iq: Iq) -> tuple[str, bytes]:
    if iq.dtype == np.int16:
        return "ci16_le", iq.astype("<i2", copy=False).tobytes()
    return "cf32_le", iq.astype("<c8", copy=False).tobytes()


def _header(source: Source, kind: str, digest: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    about = {
        "core:datatype": kind,
        "core:sample_rate": source.sample_rate_hz,
        "core:version": SIGMF_VERSION,
        "core:num_channels": 1,
        "core:recorder": "bandpact",
        "core:description": f"recorded from {source.name}",
        "core:sha512": digest,
        "core:extensions": [EXTENSION],
        "bandpact:full_scale": source.full_scale,
    }
    captures = [{"core:sample_start": 0, "core:frequency": source.center_hz}]
    return {"global": about, "captures": captures, "annotations": annotations}
