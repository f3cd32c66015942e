"""A SigMF recording as a looping emitter: read, brought to unit mean power, ready to be resampled."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sigmf
from numpy.typing import NDArray
from sigmf.error import SigMFError
from sigmf.hashing import calculate_sha512
from sigmf.validate import jsonschema

from radio.errors import SourceError
from sim.waveforms.shaping import Cplx, unit_power

DATATYPES: dict[str, tuple[str, float]] = {"cu8": ("u1", 127.5), "ci16_le": ("<i2", 0.0), "cf32_le": ("<f4", 0.0)}
"""SigMF datatype: numpy type of one rail, and the value that means zero."""
SAMPLES_MAX = 64_000_000
"""More than this is cut: a loop has to fit into memory."""

NOT_SIGMF = (
    ValueError, RecursionError, TypeError, KeyError, AttributeError, SigMFError, jsonschema.ValidationError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Samples of unit mean power, shape (n,), complex64, read-only, with what the metadata says of them."""

    iq: Cplx
    sample_rate_hz: int
    center_hz: int | None
    description: str


def load(meta: Path) -> Recording:
    """Read a recording whole.

    Raises:
        SourceError: metadata missing or unreadable, data missing or truncated, datatype unknown, or nothing but
            zeros or not-a-numbers in it; the message names the file and the mend.
    """
    header = _header(meta)
    rail, zero, rate_hz = _described(meta, header)
    pairs = _samples(meta.with_suffix(".sigmf-data"), rail, header)
    scaled = pairs.astype(np.float32) - np.float32(zero)
    if not np.isfinite(scaled).all():
        raise SourceError(f"{meta}: the data holds values that are not numbers; record it again or cut them out")
    iq = unit_power(np.ascontiguousarray(scaled).view(np.complex64).reshape(-1))
    if not iq.any():
        raise SourceError(f"{meta}: the data is all zeros; use a recording with a signal in it")
    iq.flags.writeable = False
    captures = header.get_captures()
    center = captures[0].get("core:frequency") if captures else None
    return Recording(
        iq=iq,
        sample_rate_hz=rate_hz,
        center_hz=None if center is None else round(center),
        description=str(header.get_global_info().get("core:description", "")),
    )


def _header(meta: Path) -> sigmf.SigMFFile:
    if not meta.name.endswith(".sigmf-meta"):
        raise SourceError(f"{meta}: not a SigMF recording; name its .sigmf-meta file")
    try:
        text = meta.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise SourceError(f"{meta}: no such file; check the path") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SourceError(f"{meta}: cannot be read ({exc}); check its permissions and that it is SigMF JSON") from exc
    try:
        header = sigmf.SigMFFile(metadata=json.loads(text))
        header.validate()
    except (
        ValueError,
        RecursionError,
        TypeError,
        KeyError,
        AttributeError,
        SigMFError,
        jsonschema.ValidationError,
    ) as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise SourceError(f"{meta}: not valid SigMF metadata ({reason}); mend it with the sigmf tools") from exc
    return header


def _described(meta: Path, header: sigmf.SigMFFile) -> tuple[np.dtype[np.generic], float, int]:
    info = header.get_global_info()
    datatype = str(info.get("core:datatype"))
    if datatype not in DATATYPES:
        raise SourceError(f"{meta}: core:datatype is {datatype}; convert it to one of {', '.join(DATATYPES)}")
    if info.get("core:num_channels", 1) != 1:
        raise SourceError(f"{meta}: core:num_channels is {info['core:num_channels']}; split it into single channels")
    rate = info.get("core:sample_rate")
    if not isinstance(rate, int | float) or not rate >= 1:
        raise SourceError(f"{meta}: core:sample_rate is {rate}; set it to the rate in samples a second")
    rail, zero = DATATYPES[datatype]
    return np.dtype(rail), zero, round(rate)


def _samples(data: Path, rail: np.dtype[np.generic], header: sigmf.SigMFFile) -> NDArray[np.generic]:
    """The rails as pairs, shape (n, 2), in the file's own type."""
    try:
        size = data.stat().st_size
        flat = np.fromfile(data, dtype=rail, count=min(size // rail.itemsize, 2 * SAMPLES_MAX))
    except FileNotFoundError as exc:
        raise SourceError(f"{data}: no such file; put the recording's data beside its metadata") from exc
    except OSError as exc:
        raise SourceError(f"{data}: cannot be read ({exc.strerror}); check its permissions") from exc
    if size == 0 or size % (2 * rail.itemsize):
        raise SourceError(f"{data}: truncated, {size} bytes are no whole number of samples; copy it again")
    _check_length(data, size // (2 * rail.itemsize), header)
    return flat.reshape(-1, 2)


def _check_length(data: Path, samples: int, header: sigmf.SigMFFile) -> None:
    """Refuse a file that ends before what its metadata speaks of: the last capture, an annotation or a hash."""
    named = [capture.get("core:sample_start", 0) + 1 for capture in header.get_captures()]
    named += [note.get("core:sample_start", 0) + note.get("core:sample_count", 0) for note in header.get_annotations()]
    if samples < max(named, default=0):
        raise SourceError(f"{data}: truncated, {samples} samples, its metadata speaks of {max(named)}; copy it again")
    stated = header.get_global_info().get("core:sha512")
    if stated is not None and stated != calculate_sha512(filename=data):
        raise SourceError(f"{data}: damaged or truncated, its SHA-512 is not the one in the metadata; copy it again")
