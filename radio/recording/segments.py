"""Locates each capture's samples in the data file and in time; gaps between captures are kept."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from radio.errors import SourceError
from radio.recording.fields import NS
from radio.recording.metadata import Capture, Metadata, RecordedPlace

LEAST_GAP_NS: Final = 2_000
"""Largest time in ns between the end of one capture and the start of the next at which they count as contiguous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The samples of one capture: their index among all readable samples and in the file, and their start time.

    `gap` says that it does not follow the one before in time: its start is by the clock where the captures tell the
    time, and where that is wrong or missing follows the one before. `lost` says that this was not meant to be.
    """

    first: int
    samples: int
    byte: int
    start_ns: int
    gap: bool
    lost: bool
    center_hz: float
    bandwidth_hz: float | None
    gain_db: float | None
    overload: bool
    utc_ns: int | None
    bound_ns: int | None
    place: RecordedPlace | None


def lay_out(meta: Metadata, data_bytes: int, *, where: str) -> tuple[Segment, ...]:
    """Segments of a data file of `data_bytes`, in file order; samples before the first capture belong to none.

    Raises: SourceError where captures are out of order or the file ends before them.
    """
    size = meta.kind.sample_bytes * meta.channels
    headers = sum(c.header_bytes for c in meta.captures)
    payload = data_bytes - meta.trailing_bytes - headers
    if payload <= 0 or payload % size:
        what = f"{data_bytes} bytes"
        if headers or meta.trailing_bytes:
            what += f", {headers + meta.trailing_bytes} of them no samples,"
        raise SourceError(f"{where}: {what} are no whole number of samples, it is truncated; copy it again")
    total = payload // size
    starts = _starts(meta, total, where=where)
    centers = _centers(meta.captures, where=where)
    made: list[Segment] = []
    first = header = 0
    before: Capture | None = None
    for index, capture in enumerate(meta.captures):
        header += capture.header_bytes
        samples = (starts[index + 1] if index + 1 < len(starts) else total) - starts[index]
        start_ns, gap = _when(made[-1] if made else None, before, capture, meta.sample_rate_hz)
        if not samples:
            continue
        made.append(
            Segment(
                first=first,
                samples=samples,
                byte=header + starts[index] * size,
                start_ns=start_ns,
                gap=gap,
                lost=gap if capture.lost is None else capture.lost,
                center_hz=centers[index],
                bandwidth_hz=capture.bandwidth_hz,
                gain_db=capture.gain_db,
                overload=capture.overload,
                utc_ns=capture.utc_ns,
                bound_ns=capture.bound_ns,
                place=capture.place,
            )
        )
        first += samples
        before = capture
    return tuple(made)


def _starts(meta: Metadata, total: int, *, where: str) -> list[int]:
    """First sample of each capture, counted from the file's own first."""
    starts = [c.sample_start - meta.offset for c in meta.captures]
    if starts[0] < 0:
        raise SourceError(f"{where}: a capture begins before core:offset {meta.offset}; mend its core:sample_start")
    if any(b < a for a, b in pairwise(starts)):
        raise SourceError(f"{where}: its captures are not in the order of core:sample_start; sort them")
    if starts[-1] >= total:
        raise SourceError(
            f"{where}: truncated, {total} samples, and a capture begins at sample {starts[-1]}; copy it again"
        )
    return starts


def _centers(captures: tuple[Capture, ...], *, where: str) -> list[float]:
    """The centre frequency of each capture, Hz: its own, else the one before's, 0 (baseband) where none is stated."""
    known = {c.frequency_hz for c in captures if c.frequency_hz is not None}
    if len(known) <= 1:
        return [next(iter(known), 0.0)] * len(captures)
    centers: list[float] = []
    for capture in captures:
        if capture.frequency_hz is None and not centers:
            raise SourceError(f"{where}: its first capture has no core:frequency and others do; write it in hertz")
        centers.append(centers[-1] if capture.frequency_hz is None else capture.frequency_hz)
    return centers


def _when(last: Segment | None, before: Capture | None, capture: Capture, rate_hz: float) -> tuple[int, bool]:
    """A capture's start in ns from the first capture's, and whether there is a gap before it."""
    if last is None or before is None:
        return 0, False
    next_ns = last.start_ns + round(last.samples * NS / rate_hz)
    counted = _lost_by_index(before, capture)
    if counted is not None:
        return next_ns + max(0, round(counted * NS / rate_hz)), counted != 0 or bool(capture.lost)
    if before.utc_ns is None or capture.utc_ns is None:
        return next_ns, bool(capture.lost)
    told_ns = capture.utc_ns - before.utc_ns - round(last.samples * NS / rate_hz)
    slack_ns = max(LEAST_GAP_NS, before.fine_ns, capture.fine_ns)
    if abs(told_ns) <= slack_ns:
        return next_ns, bool(capture.lost)
    return next_ns + max(0, told_ns), True


def _lost_by_index(before: Capture, capture: Capture) -> int | None:
    """Number of samples that the recorder counted as lost between two captures; None where it did not count."""
    if before.global_index is None and capture.global_index is None:
        return None
    was = before.sample_start if before.global_index is None else before.global_index
    now = capture.sample_start if capture.global_index is None else capture.global_index
    return (now - was) - (capture.sample_start - before.sample_start)


def runs(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Join segments that are contiguous and have one setting: each result may be processed as one."""
    joined: list[Segment] = []
    for one in segments:
        last = joined[-1] if joined else None
        if last is not None and not one.gap and _setting(one) == _setting(last):
            joined[-1] = replace(last, samples=last.samples + one.samples)
        else:
            joined.append(one)
    return tuple(joined)


def _setting(one: Segment) -> tuple[object, ...]:
    return one.center_hz, one.bandwidth_hz, one.gain_db, one.overload
