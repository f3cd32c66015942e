"""A SigMF recording as a looping emitter, scaled to unit mean power."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radio.errors import SourceError
from radio.recording.datatypes import Samples
from radio.recording.reader import Recording as Stored
from radio.recording.reader import open_recording
from radio.signals.shapes import Cplx, unit_power

SAMPLES_MAX = 64_000_000
"""Samples beyond this number are cut: a loop has to fit into memory."""
READ_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRecording:
    """Samples of unit mean power, shape (n,), complex64, read-only, with their metadata."""

    iq: Cplx
    sample_rate_hz: int
    center_hz: int | None
    description: str


def load(meta: Path) -> LoadedRecording:
    """Read a whole recording, with zeros between its captures.

    Raises:
        SourceError: as `radio.recording.reader.open_recording`; or it is tuned to several frequencies, or holds
            nothing but zeros or a value that is no number; the message names the file and the mend.
    """
    stored = open_recording(meta)
    if len({one.center_hz for one in stored.runs}) > 1:
        raise SourceError(f"{meta}: its captures are tuned to several frequencies; split it into one each")
    loud = _placed(stored)
    if not np.isfinite(loud).all():
        raise SourceError(f"{meta}: the data holds values that are not numbers; record it again or cut them out")
    if not loud.any():
        raise SourceError(f"{meta}: the data is all zeros; use a recording with a signal in it")
    iq = unit_power(loud / np.abs(loud.view(np.float32)).max())
    iq.flags.writeable = False
    tuned = any(c.frequency_hz is not None for c in stored.meta.captures)
    return LoadedRecording(
        iq=iq,
        sample_rate_hz=round(stored.sample_rate_hz),
        center_hz=round(stored.center_hz) if tuned else None,
        description=stored.meta.description,
    )


def _placed(stored: Stored) -> Cplx:
    """Every run at its time, zeros in between, at most SAMPLES_MAX."""
    last = stored.runs[-1]
    length = min(SAMPLES_MAX, round(last.start_ns * stored.sample_rate_hz / 1e9) + last.samples)
    loud = np.zeros(length, np.complex64)
    for run in stored.runs:
        at = round(run.start_ns * stored.sample_rate_hz / 1e9)
        for first in range(0, min(run.samples, length - at), READ_SAMPLES):
            count = min(READ_SAMPLES, run.samples - first, length - at - first)
            loud[at + first : at + first + count] = _complex(stored.read(run.first + first, count))
    return loud


def _complex(samples: Samples) -> Cplx:
    if samples.dtype == np.complex64:
        return samples  # type: ignore[return-value]
    return np.ascontiguousarray(samples, dtype=np.float32).view(np.complex64)[:, 0]
