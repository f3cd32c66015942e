"""The metadata of a recording: SigMF fields, NTIA's extensions, and bandpact's own under `bandpact:`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.sense.sources import NS, Origin, Tuning
from hw_profiles.calibration import Scale
from radio.recording.fields import written_time

SIGMF_VERSION: Final = "1.2.6"
BANDPACT: Final = {"name": "bandpact", "version": "1.1.0", "optional": True}
NTIA: Final = tuple(
    {"name": f"ntia-{name}", "version": version, "optional": True}
    for name, version in (("core", "v2.0.0"), ("sensor", "v2.0.0"), ("environment", "v1.0.0"))
)
"""NTIA/sigmf-ns-ntia as of ntia-sensor v2.0.0, which added the calibration; the place is `core:geolocation`."""
ALGORITHM: Final = {"name": "ntia-algorithm", "version": "v2.0.0", "optional": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleStretch:
    """Samples without a gap at one tuning: first index, count, start from the source's (ns), what is doubtful.

    `late_ns` widens the source's time bound for this stretch.
    """

    first: int
    samples: int
    start_ns: int
    late_ns: int
    tuning: Tuning
    lost_before: bool
    overload: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBasis:
    """Calibration of the levels: scale, reference plane, time and temperature of its measurement."""

    scale: Scale
    reference: str = ""
    utc_ns: int | None = None
    temperature_c: float | None = None
    noise_figure_db: float | None = None
    enbw_hz: float | None = None


def global_of(
    origin: Origin, *, kind: str, rate_hz: float, name: str, full_scale: float, digest: str, measured: LevelBasis | None
) -> dict[str, Any]:
    """Return the `global` object."""
    held: dict[str, Any] = {
        "core:datatype": kind,
        "core:sample_rate": rate_hz,
        "core:version": SIGMF_VERSION,
        "core:num_channels": 1,
        "core:recorder": "bandpact",
        "core:description": f"{'simulated, ' if origin.simulated else ''}recorded from {name}",
        "core:sha512": digest,
        "core:extensions": [*NTIA, BANDPACT],
        "ntia-core:classification": "UNCLASSIFIED",
        "bandpact:full_scale": full_scale,
    }
    if origin.device:
        model, _, serial = origin.device.rpartition(" ")
        spec = {"id": serial or origin.device} | ({"model": model} if model else {})
        held["core:hw"] = origin.device
        held["ntia-sensor:sensor"] = {"sensor_spec": spec, "signal_analyzer": {"sigan_spec": spec}}
        if measured is not None and measured.temperature_c is not None:
            held["ntia-sensor:sensor"]["environment"] = {"temperature": measured.temperature_c}
    if origin.place is not None:
        held["core:geolocation"] = point_of(origin)
        if origin.place.radius_m is not None:
            held["bandpact:place_radius_m"] = origin.place.radius_m
    if measured is not None:
        held["bandpact:full_scale_dbm"] = measured.scale.offset_db
        held["bandpact:full_scale_sd_db"] = measured.scale.sd_db
    return held


def point_of(origin: Origin) -> dict[str, Any]:
    """Return the place as a GeoJSON point."""
    place = origin.place
    if place is None:
        return {}
    height = [] if place.height_m is None else [place.height_m]
    return {"type": "Point", "coordinates": [place.lon_deg, place.lat_deg, *height]}


def capture_of(stretch: SampleStretch, origin: Origin, measured: LevelBasis | None) -> dict[str, Any]:
    """Return one capture: time with its bound, tuning, and whether samples are missing before it."""
    tuning = stretch.tuning
    held: dict[str, Any] = {
        "core:sample_start": stretch.first,
        "core:global_index": round(stretch.start_ns * tuning.sample_rate_hz / NS),
        "core:frequency": tuning.center_hz,
        "ntia-sensor:duration": round(stretch.samples / tuning.sample_rate_hz * 1000),
        "ntia-sensor:overload": stretch.overload,
    }
    if origin.utc_ns is not None:
        held["core:datetime"] = written_time(origin.utc_ns + stretch.start_ns)
        if origin.bound_ns is not None:
            held["bandpact:time_bound_s"] = (origin.bound_ns + stretch.late_ns) / NS
        else:
            held["bandpact:time_bound_s"] = None
    if tuning.bandwidth_hz is not None:
        held["bandpact:bandwidth_hz"] = tuning.bandwidth_hz
    if tuning.gain_db is not None:
        held["bandpact:gain_db"] = tuning.gain_db
        held["ntia-sensor:sigan_settings"] = {"gain": tuning.gain_db}
    if stretch.first:
        held["bandpact:lost_before"] = stretch.lost_before
    if measured is not None:
        held["ntia-sensor:sensor_calibration"] = _calibration(measured)
    return held


def _calibration(measured: LevelBasis) -> dict[str, Any]:
    held: dict[str, Any] = {"gain": -measured.scale.offset_db}
    if measured.reference:
        held["reference"] = measured.reference
    if measured.utc_ns is not None:
        held["datetime"] = written_time(measured.utc_ns)
    if measured.temperature_c is not None:
        held["temperature"] = measured.temperature_c
    if measured.noise_figure_db is not None:
        held["noise_figure"] = measured.noise_figure_db
    if measured.enbw_hz is not None:
        held["enbw"] = measured.enbw_hz
    return held


def encoded(about: Mapping[str, Any], captures: Sequence[Any], annotations: Sequence[Any]) -> bytes:
    """Return the metadata file's bytes."""
    whole = {"global": about, "captures": list(captures), "annotations": list(annotations)}
    return (json.dumps(whole, indent=2, allow_nan=False) + "\n").encode()
