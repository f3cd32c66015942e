"""SigMF metadata as typed values; a field of the wrong type is refused."""

import re
from dataclasses import dataclass
from typing import Any, Final

from radio.errors import SourceError
from radio.recording.datatypes import SampleType, sample_type
from radio.recording.fields import NS, Fields, parsed

RATE_MAX_HZ: Final = 20e9
FREQUENCY_MAX_HZ: Final = 1e12
CHANNELS_MAX: Final = 1024
CAPTURES_MAX: Final = 200_000
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{128}\Z")
_FILE_NAME: Final = re.compile(r"[^/\\\0]{1,255}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPlace:
    """Where a recording was made, WGS 84; accurate to `radius_m`, None where the recorder gave no accuracy."""

    lat_deg: float
    lon_deg: float
    height_m: float | None = None
    radius_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One capture of the metadata: its first sample, its time, and the receiver's settings.

    `utc_ns` is the time of its first sample with `fine_ns`, the last digit that was written, and `bound_ns`, how sure
    the recorder was of it. `lost` says whether samples were lost before it, None where the recorder
    does not know: then a jump in time counts as a loss.
    """

    sample_start: int
    header_bytes: int = 0
    global_index: int | None = None
    utc_ns: int | None = None
    fine_ns: int = 1
    bound_ns: int | None = None
    frequency_hz: float | None = None
    bandwidth_hz: float | None = None
    gain_db: float | None = None
    overload: bool = False
    lost: bool | None = None
    place: RecordedPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An annotation of samples, as far as it states faults of the samples, by name."""

    sample_start: int
    sample_count: int | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScale:
    """What a full-scale sine is at the reference plane in dBm, with its standard uncertainty."""

    full_scale_dbm: float
    sd_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A recording's metadata, typed; indices count complex samples of one channel."""

    kind: SampleType
    sample_rate_hz: float
    channels: int
    offset: int
    trailing_bytes: int
    dataset: str | None
    metadata_only: bool
    sha512: str | None
    full_scale: float
    scale: RecordedScale | None
    description: str
    hardware: str
    captures: tuple[Capture, ...]
    notes: tuple[Note, ...]


def read_metadata(raw: bytes, *, where: str) -> Metadata:
    """Read the bytes of a `.sigmf-meta` file.

    Raises: SourceError, whose message names the first field that cannot be used, and the mend.
    """
    meta = parsed(raw, where=where)
    top = Fields(meta, where=where)
    about = Fields(meta["global"], where=where)
    kind = sample_type(meta["global"].get("core:datatype"), where=where)
    rate_hz = about.number("core:sample_rate", low=1.0, high=RATE_MAX_HZ, mend=_RATE)
    if rate_hz is None:
        raise about.refuse("core:sample_rate", _RATE)
    channels = about.index("core:num_channels", mend="write how many channels are interleaved")
    if channels is not None and not 1 <= channels <= CHANNELS_MAX:
        raise about.refuse("core:num_channels", f"write a number from 1 to {CHANNELS_MAX}")
    digest = about.text("core:sha512", mend="write 128 hexadecimal digits")
    if digest is not None and not _DIGEST.match(digest):
        raise about.refuse("core:sha512", "write 128 hexadecimal digits, or leave it out")
    dataset = about.text("core:dataset", mend="write the name of the data file")
    if dataset is not None and (not _FILE_NAME.match(dataset) or dataset in {".", ".."}):
        raise about.refuse("core:dataset", "write the name of a file beside the metadata, without a folder")
    full_scale = about.number("bandpact:full_scale", low=1e-30, high=1e30, mend="write the amplitude of a full scale")
    place = _place(about, about.number("bandpact:place_radius_m", low=0, high=1e8, mend=_METRES))
    captures = top.objects("captures")
    if len(captures) > CAPTURES_MAX:
        raise SourceError(f"{where}: {len(captures)} captures, more than {CAPTURES_MAX}; split the recording")
    return Metadata(
        kind=kind,
        sample_rate_hz=rate_hz,
        channels=channels or 1,
        offset=about.index("core:offset", mend="write the index of the first sample") or 0,
        trailing_bytes=about.index("core:trailing_bytes", mend="write a number of bytes") or 0,
        dataset=dataset,
        metadata_only=about.flag("core:metadata_only"),
        sha512=digest.lower() if digest else None,
        full_scale=kind.full_scale if full_scale is None else full_scale,
        scale=_scale(about),
        description=about.text("core:description") or "",
        hardware=about.text("core:hw") or "",
        captures=tuple(_capture(one, i, place, where=where) for i, one in enumerate(captures))
        or (Capture(sample_start=about.index("core:offset", mend="") or 0, place=place),),
        notes=tuple(_note(one, i, where=where) for i, one in enumerate(top.objects("annotations"))),
    )


_RATE: Final = f"write the rate in samples a second, from 1 to {RATE_MAX_HZ:g}"
_METRES: Final = "write metres"


def _scale(about: Fields) -> RecordedScale | None:
    dbm = about.number("bandpact:full_scale_dbm", low=-400, high=400, mend="write a level in dBm")
    sd_db = about.number("bandpact:full_scale_sd_db", low=0, high=400, mend="write a standard uncertainty in dB")
    return None if dbm is None or sd_db is None else RecordedScale(full_scale_dbm=dbm, sd_db=sd_db)


def _capture(held: dict[str, Any], index: int, place: RecordedPlace | None, *, where: str) -> Capture:
    fields = Fields(held, where=f"{where}: capture {index + 1}")
    start = fields.index("core:sample_start", mend="write the index of its first sample")
    if start is None:
        raise fields.refuse("core:sample_start", "write the index of its first sample")
    at = fields.instant("core:datetime")
    bound_s = fields.number("bandpact:time_bound_s", low=0, high=1e9, mend="write seconds")
    gain = fields.number("bandpact:gain_db", low=-400, high=400, mend="write a gain in dB")
    settings = Fields(fields.object("ntia-sensor:sigan_settings"), where=f"{where}: capture {index + 1}")
    theirs = settings.number("gain", low=-400, high=400, mend="write a gain in dB")
    return Capture(
        sample_start=start,
        header_bytes=fields.index("core:header_bytes", mend="write a number of bytes") or 0,
        global_index=fields.index("core:global_index", mend="write the index in the original stream"),
        utc_ns=None if at is None else at[0],
        fine_ns=1 if at is None else at[1],
        bound_ns=None if bound_s is None else round(bound_s * NS),
        frequency_hz=fields.number(
            "core:frequency", low=-FREQUENCY_MAX_HZ, high=FREQUENCY_MAX_HZ, mend="write the frequency in hertz"
        ),
        bandwidth_hz=fields.number("bandpact:bandwidth_hz", low=1, high=RATE_MAX_HZ, mend="write hertz"),
        gain_db=theirs if gain is None else gain,
        overload=fields.flag("ntia-sensor:overload"),
        lost=fields.flag("bandpact:lost_before") if fields.has("bandpact:lost_before") else None,
        place=_place(fields, None) or place,
    )


def _place(fields: Fields, radius_m: float | None) -> RecordedPlace | None:
    """The GeoJSON point of a `core:geolocation`."""
    if not fields.has("core:geolocation"):
        return None
    point = fields.object("core:geolocation")
    mend = "write a GeoJSON Point of longitude, latitude and height"
    numbers = point.get("coordinates")
    if point.get("type") != "Point" or not isinstance(numbers, list) or not 2 <= len(numbers) <= 3:
        raise fields.refuse("core:geolocation", mend)
    inner = Fields({str(i): n for i, n in enumerate(numbers)}, where="core:geolocation")
    try:
        lon = inner.number("0", low=-180, high=360, mend=mend)
        lat = inner.number("1", low=-90, high=90, mend=mend)
        height = inner.number("2", low=-1e5, high=1e9, mend=mend)
    except SourceError as exc:
        raise fields.refuse("core:geolocation", mend) from exc
    if lon is None or lat is None:
        raise fields.refuse("core:geolocation", mend)
    return RecordedPlace(lat_deg=lat, lon_deg=lon, height_m=height, radius_m=radius_m)


def _note(held: dict[str, Any], index: int, *, where: str) -> Note:
    fields = Fields(held, where=f"{where}: annotation {index + 1}")
    mend = "write a number of samples"
    return Note(
        sample_start=fields.index("core:sample_start", mend=mend) or 0,
        sample_count=fields.index("core:sample_count", mend=mend),
        flags=tuple(fields.texts("bandpact:flags")),
    )
