"""A SigMF recording, read as it is or played through the receiver's port.

The samples stay in a memory map; a recording whose length, checksum or type does not hold is refused when it is opened.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radio.errors import EndOfRecording, SettingRefused, SourceError
from radio.ports import Iq16, RxBlock, RxFlag, RxSettings, Span

SAMPLE_TYPES: Final[dict[str, tuple[str, float]]] = {
    "cu8": ("u1", 255.0),
    "ci8": ("i1", 128.0),
    "ci16_le": ("<i2", 32768.0),
    "ci16_be": (">i2", 32768.0),
    "cf32_le": ("<f4", 1.0),
    "cf32_be": (">f4", 1.0),
}
"""Each datatype's component and the amplitude of a full-scale sine in the units `Recording.read` gives."""

FULL_SCALE_KEY: Final = "bandpact:full_scale"
HASH_CHUNK: Final = 1 << 22
REPLAY_FULL_SCALE: Final = 32767


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An opened recording; `full_scale` is the amplitude of a full-scale sine in the units `read` gives."""

    path: Path
    datatype: str
    center_hz: float
    sample_rate_hz: float
    samples: int
    full_scale: float
    datetime: str | None
    components: NDArray[Any] = field(repr=False)

    def read(self, start: int, count: int) -> NDArray[np.int16] | NDArray[np.complex64]:
        """Samples from `start`, fewer at the end: int16 (n, 2) for integer types, complex64 (n,) for floats."""
        raw = self.components[start : start + count]
        if self.datatype == "cu8":
            return raw.astype(np.int16) * np.int16(2) - np.int16(255)
        if self.datatype.startswith("cf32"):
            return np.ascontiguousarray(raw, dtype=np.float32).view(np.complex64)[:, 0]
        return np.ascontiguousarray(raw, dtype=np.int16)


def open_recording(path: Path) -> Recording:
    """Open `NAME.sigmf-meta` and the data beside it.

    Raises: SourceError, whose message names what is wrong and the mend.
    """
    meta = _metadata(path)
    about = meta.get("global", {})
    datatype = about.get("core:datatype")
    if datatype not in SAMPLE_TYPES:
        known = ", ".join(SAMPLE_TYPES)
        raise SourceError(f"{path}: datatype {datatype!r} is not known here; convert it to one of {known}")
    if about.get("core:num_channels", 1) != 1:
        raise SourceError(f"{path}: {about['core:num_channels']} channels interleaved; split it into single channels")
    component, full_scale = SAMPLE_TYPES[datatype]
    components = _components(path, component, about.get("core:sha512"))
    return Recording(
        path=path,
        datatype=datatype,
        center_hz=_center(path, meta),
        sample_rate_hz=_number(path, about, "core:sample_rate"),
        samples=len(components),
        full_scale=float(about.get(FULL_SCALE_KEY, full_scale)),
        datetime=next((c.get("core:datetime") for c in meta.get("captures", [])), None),
        components=components,
    )


def _metadata(path: Path) -> dict[str, Any]:
    if path.suffix != ".sigmf-meta":
        raise SourceError(f"{path}: not a SigMF recording; name its .sigmf-meta file")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise SourceError(f"{path}: no such recording; check the path") from exc
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read ({exc.strerror}); check its permissions") from exc
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{path}: not valid JSON ({exc}); record or copy it again") from exc
    if not isinstance(meta, dict) or not isinstance(meta.get("global"), dict):
        raise SourceError(f"{path}: has no SigMF global object; record or copy it again")
    return meta


def _number(path: Path, about: dict[str, Any], key: str) -> float:
    value = about.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise SourceError(f"{path}: {key} is {value!r}; write the rate in samples a second into the metadata")
    return float(value)


def _center(path: Path, meta: dict[str, Any]) -> float:
    centers = {c.get("core:frequency") for c in meta.get("captures", []) if isinstance(c, dict)}
    centers.discard(None)
    if len(centers) > 1:
        raise SourceError(f"{path}: its captures are tuned to {len(centers)} frequencies; split it into one each")
    center = next(iter(centers), 0.0)
    if not isinstance(center, int | float):
        raise SourceError(f"{path}: core:frequency is {center!r}; write it in hertz")
    return float(center)


def _components(path: Path, component: str, sha512: str | None) -> NDArray[Any]:
    data = path.with_suffix(".sigmf-data")
    kind = np.dtype(component)
    try:
        size = data.stat().st_size
        if size == 0 or size % (2 * kind.itemsize):
            raise SourceError(f"{data}: {size} bytes are no whole number of samples, it is truncated; copy it again")
        if sha512 is not None and _sha512(data) != sha512:
            raise SourceError(f"{data}: truncated or changed, its checksum does not hold; copy it again")
        return np.memmap(data, dtype=kind, mode="r", shape=(size // (2 * kind.itemsize), 2))
    except FileNotFoundError as exc:
        raise SourceError(f"{data}: the samples are missing; put them beside the metadata") from exc
    except OSError as exc:
        raise SourceError(f"{data}: cannot be read ({exc.strerror}); check its permissions") from exc


def _sha512(path: Path) -> str:
    digest = hashlib.sha512()
    with path.open("rb") as stream:
        while chunk := stream.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class ReplayReceiver:
    """Plays a recording once as a `radio.ports.Receiver`; times count from `start_ns` by the sample rate."""

    def __init__(self, recording: Recording, *, start_ns: int = 0) -> None:
        """Args: start_ns is the monotonic time given to the first sample."""
        self._recording = recording
        self._start_ns = start_ns
        self._next = 0
        self._sequence = 0
        self._settings = RxSettings(
            center_hz=round(recording.center_hz),
            sample_rate_hz=round(recording.sample_rate_hz),
            bandwidth_hz=round(recording.sample_rate_hz),
            gain_mdb=0,
        )

    @property
    def settings(self) -> RxSettings:
        """The only setting this source has."""
        return self._settings

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Accept the recording's own frequency and rate.

        Raises: SettingRefused for any other.
        """
        own = self._settings
        if (settings.center_hz, settings.sample_rate_hz) != (own.center_hz, own.sample_rate_hz):
            raise SettingRefused(
                f"{self._recording.path}: recorded at {own.center_hz} Hz and {own.sample_rate_hz} S/s; tune to these"
            )
        return own

    def receive(self, samples: int) -> RxBlock:
        """The next samples; the last block is short.

        Raises: EndOfRecording when none are left.
        """
        if self._next >= self._recording.samples:
            raise EndOfRecording(f"{self._recording.path}: all {self._recording.samples} samples were played")
        iq, flags = _as_int16(self._recording.read(self._next, samples), self._recording.full_scale)
        at = self._start_ns + round(self._next / self._recording.sample_rate_hz * 1e9)
        self._next += len(iq)
        self._sequence += 1
        return RxBlock(
            iq=iq,
            sequence=self._sequence - 1,
            start=Span(earliest_ns=at, latest_ns=at),
            settings=self._settings,
            full_scale=self._full_scale(),
            flags=flags | RxFlag.UNCALIBRATED | (RxFlag.SHORT if len(iq) < samples else RxFlag.NONE),
        )

    def _full_scale(self) -> int:
        floats = self._recording.datatype.startswith("cf32")
        return REPLAY_FULL_SCALE if floats else round(self._recording.full_scale)


def _as_int16(iq: NDArray[np.int16] | NDArray[np.complex64], full_scale: float) -> tuple[Iq16, RxFlag]:
    """Read-only int16 pairs; samples that are no numbers become zeros and a gap, louder ones than full scale clip."""
    flags = RxFlag.NONE
    if iq.dtype == np.complex64:
        pairs = np.ascontiguousarray(iq).view(np.float32).reshape(-1, 2) * np.float32(REPLAY_FULL_SCALE / full_scale)
        if not np.isfinite(pairs).all():
            flags |= RxFlag.GAP
            pairs = np.nan_to_num(pairs, nan=0.0, posinf=0.0, neginf=0.0)
        if np.abs(pairs).max(initial=0.0) > REPLAY_FULL_SCALE:
            flags |= RxFlag.CLIPPED
        out = np.rint(np.clip(pairs, -REPLAY_FULL_SCALE, REPLAY_FULL_SCALE)).astype(np.int16)
    else:
        out = np.array(iq, dtype=np.int16)
    out.flags.writeable = False
    return out, flags
