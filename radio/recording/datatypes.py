"""SigMF sample types: the ones that can be read, their decoding, and the reasons to refuse the others."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from radio.errors import SourceError

Samples: TypeAlias = NDArray[np.int16] | NDArray[np.complex64]
"""int16 of shape (n, 2) for integer types that fit, complex64 of shape (n,) for all others."""

LARGEST: Final = 1e15
"""Largest float sample, some 300 dB over full scale; a larger one is read as NaN."""
_NAME: Final = re.compile(r"(c|r)(f|i|u)(64|32|16|8)(_le|_be)?\Z")


@dataclass(frozen=True, slots=True)
class SampleType:
    """One SigMF datatype: its numpy component type, and the amplitude of a full-scale sine once it is decoded."""

    name: str
    component: np.dtype[Any]
    full_scale: float
    decode: Callable[[NDArray[Any]], Samples]

    @property
    def whole(self) -> bool:
        """Whether the samples are decoded to int16."""
        return self.decode in {_int16, _doubled}

    @property
    def sample_bytes(self) -> int:
        """Bytes of one complex sample."""
        return 2 * self.component.itemsize


def _int16(raw: NDArray[Any]) -> Samples:
    return np.ascontiguousarray(raw, dtype=np.int16)


def _doubled(raw: NDArray[Any]) -> Samples:
    """Decode 8-bit offset binary, whose zero lies between two codes, to int16 in half codes."""
    return raw.astype(np.int16) * np.int16(2) - np.int16(255)


def _float32(raw: NDArray[Any]) -> Samples:
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = np.ascontiguousarray(raw, dtype=np.float32)
        if max(np.fmax.reduce(pairs, axis=None, initial=0), -np.fmin.reduce(pairs, axis=None, initial=0)) > LARGEST:
            pairs = np.where(np.abs(pairs) > LARGEST, np.float32(np.nan), pairs)
    return pairs.view(np.complex64)[:, 0]


def _centred(raw: NDArray[Any]) -> Samples:
    """Decode 16- or 32-bit offset binary, whose zero lies between two codes."""
    middle = (2 ** (8 * raw.dtype.itemsize) - 1) / 2
    return _float32(raw.astype(np.float64) - middle)


_DECODERS: Final[dict[tuple[str, str], tuple[float, Callable[[NDArray[Any]], Samples]]]] = {
    ("f", "32"): (1.0, _float32),
    ("f", "64"): (1.0, _float32),
    ("i", "8"): (128.0, _int16),
    ("i", "16"): (32768.0, _int16),
    ("i", "32"): (2.0**31, _float32),
    ("u", "8"): (255.0, _doubled),
    ("u", "16"): (32767.5, _centred),
    ("u", "32"): ((2.0**32 - 1) / 2, _centred),
}
READ: Final = "cf32_le cf64_le ci8 ci16_le ci32_le cu8 cu16_le cu32_le, and _be"


def sample_type(name: object, *, where: str) -> SampleType:
    """The sample type of a SigMF datatype name; raises SourceError, which says what to convert the file to."""
    if not isinstance(name, str):
        raise SourceError(f"{where}: core:datatype is {name!r}; write the type of its samples, one of {READ}")
    match = _NAME.match(name)
    if match is None or (match[2], match[3]) not in _DECODERS:
        raise SourceError(f"{where}: core:datatype {name!r} is not known here; convert it to one of {READ}")
    if match[1] == "r":
        raise SourceError(
            f"{where}: core:datatype {name!r}, real samples without I and Q, is not known here; convert it to {READ}"
        )
    if match[3] != "8" and match[4] is None:
        raise SourceError(f"{where}: core:datatype {name!r} does not say its byte order; write {name}_le or {name}_be")
    full_scale, decode = _DECODERS[match[2], match[3]]
    order = ">" if match[4] == "_be" else "<"
    component = np.dtype(f"{order}{match[2]}{int(match[3]) // 8}")
    return SampleType(name=name, component=component, full_scale=full_scale, decode=decode)
