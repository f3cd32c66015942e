"""An open recording: reads samples in blocks from the file, never all of them into memory.

`open_recording` is the one door to a stranger's recording: sensing, replay and the simulation go through it.
"""

import os
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from radio.errors import SourceError
from radio.recording.container import Stored, find
from radio.recording.datatypes import Samples
from radio.recording.fields import written_time
from radio.recording.metadata import Metadata, Note, RecordedPlace, RecordedScale
from radio.recording.segments import Segment, lay_out, runs

CLIPPED: Final = "CLIPPED"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Recording:
    """An open recording; `full_scale` is the amplitude of a full-scale sine in the units that `read` returns.

    `runs` are the stretches without a gap and at one setting; `channel` is which of `meta.channels` interleaved ones
    is read, from 0.
    """

    path: Path
    meta: Metadata
    segments: tuple[Segment, ...]
    runs: tuple[Segment, ...]
    channel: int
    _stored: Stored = field(repr=False)
    _doubtful: tuple[Note, ...] = field(repr=False)

    @property
    def datatype(self) -> str:
        """SigMF's name of the sample type."""
        return self.meta.kind.name

    @property
    def sample_rate_hz(self) -> float:
        """Sample rate, complex samples per second."""
        return self.meta.sample_rate_hz

    @property
    def samples(self) -> int:
        """Number of samples that can be read."""
        return self.segments[-1].first + self.segments[-1].samples

    @property
    def full_scale(self) -> float:
        """Amplitude of a full-scale sine, in the units that `read` returns."""
        return self.meta.full_scale

    @property
    def scale(self) -> RecordedScale | None:
        """The level of a full-scale sine in dBm, where the recorder stated it."""
        return self.meta.scale

    @property
    def center_hz(self) -> float:
        """The centre frequency at its start, Hz; 0 where the metadata does not state it."""
        return self.segments[0].center_hz

    @property
    def datetime(self) -> str | None:
        """UTC of the first sample, as in the metadata; None where it does not state it."""
        utc_ns = self.segments[0].utc_ns
        return None if utc_ns is None else written_time(utc_ns)

    @property
    def place(self) -> RecordedPlace | None:
        """Where the recording was made; None where the metadata does not state it."""
        return self.segments[0].place

    def doubts(self, start: int, count: int) -> frozenset[str]:
        """Names of the faults that the recorder noted for `count` samples from `start` on, counted as `read` counts."""
        skipped = self.meta.captures[0].sample_start
        found: set[str] = set()
        for note in self._doubtful:
            first = note.sample_start - skipped
            last = self.samples if note.sample_count is None else first + note.sample_count
            if first < start + count and start < last:
                found.update(note.flags)
        if not self._clipping_noted and any(
            one.overload and one.first < start + count and start < one.first + one.samples for one in self.segments
        ):
            found.add(CLIPPED)
        return frozenset(found)

    @property
    def _clipping_noted(self) -> bool:
        """Whether the recorder marked the clipped samples; if not, an overload counts against its whole capture."""
        return any(CLIPPED in note.flags for note in self._doubtful)

    def read(self, start: int, count: int) -> Samples:
        """Read samples from `start`, fewer at the end: int16 (n, 2) for integers that fit, else complex64 (n,).

        Raises: SourceError when the file has shrunk or cannot be read any more.
        """
        parts = [
            self._part(one, max(start, one.first), min(start + count, one.first + one.samples))
            for one in self.segments
            if one.first < start + count and start < one.first + one.samples
        ]
        if not parts:
            return self.meta.kind.decode(np.zeros((0, 2), self.meta.kind.component))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)  # type: ignore[return-value]

    def _part(self, one: Segment, first: int, last: int) -> Samples:
        size = self.meta.kind.sample_bytes * self.meta.channels
        wanted = (last - first) * size
        at = self._stored.start + one.byte + (first - one.first) * size
        try:
            raw = os.pread(self._stored.descriptor, wanted, at)
            while len(raw) < wanted:
                more = os.pread(self._stored.descriptor, wanted - len(raw), at + len(raw))
                if not more:
                    raise SourceError(f"{self._stored.data}: has become shorter while it was read; copy it again")
                raw += more
        except OSError as exc:
            raise SourceError(f"{self._stored.data}: cannot be read ({exc.strerror}); copy it again") from exc
        pairs = np.frombuffer(raw, self.meta.kind.component).reshape(last - first, self.meta.channels, 2)
        return self.meta.kind.decode(pairs[:, self.channel, :])


def open_recording(path: Path) -> Recording:
    """Open `NAME.sigmf-meta` with its data, or the archive `NAME.sigmf`; `…#2` reads the second interleaved channel.

    Raises: SourceError, whose message names what is wrong and the mend.
    """
    path, wanted = _named_channel(path)
    stored = find(path)
    try:
        meta = stored.meta
        channel = _channel_of(path, meta, wanted)
        segments = lay_out(meta, stored.size, where=str(stored.data))
        _check_whole(stored)
    except BaseException:
        os.close(stored.descriptor)
        raise
    opened = Recording(
        path=path,
        meta=meta,
        segments=segments,
        runs=runs(segments),
        channel=channel,
        _stored=stored,
        _doubtful=tuple(note for note in meta.notes if note.flags),
    )
    weakref.finalize(opened, os.close, stored.descriptor)
    return opened


def _channel_of(path: Path, meta: Metadata, wanted: int | None) -> int:
    """Index of the interleaved channel to read, from 0. Raises SourceError where none of several was named."""
    if wanted is None and meta.channels > 1:
        last = meta.channels
        choice = f"choose one as {path.name}#1 to #{last}, or split it into single channels"
        raise SourceError(f"{path}: {last} channels are interleaved; {choice}")
    if wanted is not None and not 0 <= wanted < meta.channels:
        raise SourceError(f"{path}: has no channel {wanted + 1}; choose one from 1 to {meta.channels}")
    return wanted or 0


def _named_channel(path: Path) -> tuple[Path, int | None]:
    name, mark, number = path.name.rpartition("#")
    if not mark or not number.isascii() or not number.isdigit() or len(number) > 6:
        return path, None
    return path.with_name(name) if name else path, int(number) - 1


def _check_whole(stored: Stored) -> None:
    """Refuse data that differs from its hash, or, without a hash, ends before its annotations do."""
    meta = stored.meta
    if meta.sha512 is not None:
        if stored.sha512() != meta.sha512:
            raise SourceError(f"{stored.data}: truncated or changed, its checksum does not hold; copy it again")
        return
    size = meta.kind.sample_bytes * meta.channels
    headers = sum(c.header_bytes for c in meta.captures)
    total = (stored.size - meta.trailing_bytes - headers) // size
    named = max((n.sample_start - meta.offset + (n.sample_count or 0) for n in meta.notes), default=0)
    if total < named:
        raise SourceError(
            f"{stored.data}: truncated, {total} samples, and its annotations speak of {named}; copy it again"
        )
