"""Writes data products as SigMF, whose samples are the values, described by NTIA's `ntia-algorithm`; or as JSON."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.sense.header import ALGORITHM, LevelBasis, SampleStretch, capture_of, encoded, global_of
from agent.sense.session import SensePlan, Surveys
from agent.sense.sources import Look, Origin, Source, Tuning
from hw_profiles.calibration import Scale
from hw_profiles.wholefile import WholeFile, write_together, write_whole
from radio.recording.container import DATA, META
from radio.recording.writer import RecordingWriter, base_of
from sensing.flags import UNUSABLE, SampleFlag
from sensing.products import APD_HIGH_DB, APD_LOW_DB, DETECTORS, ChannelProduct, ProductMaker, Products, ProductSettings
from sensing.survey import LookResult

PARTS_MS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One product: its description in `ntia-algorithm` terms, and its values, shape (series, length)."""

    about: dict[str, Any]
    values: NDArray[np.float32]


class ProductMakers:
    """A product maker for each tuning of a source, fed with the same looks as the surveys."""

    def __init__(self, source: Source, plan: SensePlan) -> None:
        """Set up the makers. Raises: sensing.zoom.ZoomImpossible, sensing.layout.ChannelOutside."""
        surveys = Surveys(source, plan)
        self.scales: dict[Tuning, Scale | None] = {}
        self._makers: dict[Tuning, ProductMaker] = {}
        self._began: dict[Tuning, tuple[int, int]] = {}
        for tuning in source.tunings:
            settings = surveys.settings(tuning)
            if settings is None:
                continue
            self.scales[tuning] = settings.calibration
            self._makers[tuning] = ProductMaker(
                ProductSettings(
                    center_hz=settings.center_hz,
                    sample_rate_hz=settings.sample_rate_hz,
                    full_scale=settings.full_scale,
                    channels=settings.channels,
                    dft_size=settings.fft_size,
                )
            )

    def add(self, look: Look, result: LookResult) -> None:
        """Add one look with its survey's flags."""
        self._began.setdefault(look.tuning, (look.start_ns, look.late_ns))
        self._makers[look.tuning].feed(
            look.iq,
            start_ns=look.start_ns,
            usable=not result.flags & UNUSABLE,
            overload=bool(result.flags & SampleFlag.CLIPPED),
        )

    def made(self) -> dict[Tuning, tuple[Products, tuple[int, int]]]:
        """Return each tuning's products, and its first look's start (ns from the start, and its possible delay)."""
        return {t: (m.products(), self._began.get(t, (0, 0))) for t, m in self._makers.items()}


def graphs(products: Products, scale: Scale | None) -> Iterator[Graph]:
    """Yield every product of one tuning, in the order of a file."""
    offset = 0.0 if scale is None else scale.offset_db
    unit = "dBFS" if scale is None else "dBm"
    spectrum, size = products.spectrum, len(products.spectrum.mean)
    yield Graph(
        about={
            "name": "power_spectral_density",
            "description": f"statistics over {spectrum.dfts} transforms, at baseband of "
            f"{products.settings.center_hz / 1e6:g} MHz",
            "series": ["max", "mean", "median"],
            "length": size,
            "x_units": "Hz",
            "x_start": [spectrum.low_hz],
            "x_stop": [spectrum.low_hz + (size - 1) * spectrum.step_hz],
            "x_step": [spectrum.step_hz],
            "y_units": f"{unit}/Hz",
            "processing": ["psd_dft"],
        },
        values=_db(np.stack([spectrum.maximum, spectrum.mean, spectrum.median])) + np.float32(offset),
    )
    for channel in products.channels:
        yield from _channel(channel, offset, unit)


def _channel(one: ChannelProduct, offset: float, unit: str) -> Iterator[Graph]:
    where = f"{one.channel.low_hz / 1e6:.6g}-{one.channel.high_hz / 1e6:.6g} MHz"
    start_ms = (one.frame_ns - (one.frame_ns[0] if len(one.frame_ns) else 0)) / 1e6
    even = len(start_ms) > 1 and bool(np.all(np.abs(np.diff(start_ms) - PARTS_MS) < 1e-3))
    axis: dict[str, Any] = {"x_axis": [round(float(ms), 6) for ms in start_ms]}
    if even:
        axis = {"x_start": [0.0], "x_stop": [float(start_ms[-1])], "x_step": [PARTS_MS]}
    yield Graph(
        about={
            "name": "power_vs_time",
            "description": f"mean and maximum power in {where} of each 10 ms",
            "series": ["max", "mean"],
            "length": len(one.frame_ns),
            "x_units": "ms",
            **axis,
            "y_units": unit,
            "processing": ["channel_filter"],
        },
        values=_db(np.stack([one.power_max, one.power_mean])) + np.float32(offset),
    )
    if one.periodic is not None:
        parts = one.periodic.shape[1]
        yield Graph(
            about={
                "name": "periodic_frame_power",
                "description": f"each part of a 10 ms frame over all frames, in {where}",
                "series": list(DETECTORS),
                "length": parts,
                "x_units": "ms",
                "x_start": [0.0],
                "x_stop": [PARTS_MS * (parts - 1) / parts],
                "x_step": [PARTS_MS / parts],
                "y_units": unit,
                "processing": ["channel_filter"],
            },
            values=_db(one.periodic) + np.float32(offset),
        )
    yield Graph(
        about={
            "name": "amplitude_probability_distribution",
            "description": f"percent of {one.samples} samples above each level, in {where}",
            "series": ["percent exceeding"],
            "length": len(one.apd_percent),
            "x_units": unit,
            "x_start": [APD_LOW_DB + offset],
            "x_stop": [APD_HIGH_DB + offset],
            "x_step": [1.0],
            "y_units": "percent",
            "processing": ["channel_filter"],
        },
        values=one.apd_percent.astype(np.float32)[None, :],
    )


def _db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float32] = np.maximum(10 * np.log10(power), np.float32(-400)).astype(np.float32)
    return levels


def write_products(source: Source, makers: ProductMakers, path: Path, *, measured: LevelBasis | None = None) -> Path:
    """Write all products as `.json`, as one `.sigmf` archive, or as a pair of SigMF files; returns the path to name.

    Raises: OSError where it cannot be written; then nothing is there.
    """
    made = makers.made()
    if path.suffix == ".json":
        whole = {"source": source.name, "tunings": [_plain(p, makers.scales[t]) for t, (p, _) in made.items()]}
        write_whole(path, (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode())
        return path
    values: list[NDArray[np.float32]] = []
    about: list[dict[str, Any]] = []
    captures: list[dict[str, Any]] = []
    processing: list[dict[str, Any]] = []
    for tuning, (products, (start_ns, late_ns)) in made.items():
        first = sum(v.size for v in values)
        for graph in graphs(products, makers.scales[tuning]):
            values.append(graph.values)
            about.append(graph.about)
        stretch = SampleStretch(
            first=first,
            samples=round(products.seconds * tuning.sample_rate_hz),
            start_ns=start_ns,
            late_ns=late_ns,
            tuning=tuning,
            lost_before=False,
            overload=products.overload,
        )
        captures.append(_capture(stretch, source.origin, measured))
        processing = processing or _processing(products)
    data = b"".join(v.astype("<f4").tobytes() for v in values)
    held = global_of(
        source.origin,
        kind="rf32_le",
        rate_hz=source.tunings[0].sample_rate_hz,
        name=source.name,
        full_scale=1.0,
        digest=hashlib.sha512(data).hexdigest(),
        measured=measured,
    )
    held["core:description"] = f"measurement products of {source.name}"
    held["core:extensions"] = [*held["core:extensions"], ALGORITHM]
    held |= {"ntia-algorithm:data_products": about, "ntia-algorithm:processing_info": processing}
    raw = encoded(held, captures, [])
    return _written(path, data, raw)


def _written(path: Path, data: bytes, raw: bytes) -> Path:
    base, archive = base_of(path)
    if archive:
        with RecordingWriter(path) as out:
            out.write(data)
            out.finish(lambda _digest: raw)
        return out.path
    meta = base.with_name(base.name + META)
    write_together(
        [
            WholeFile(path=base.with_name(base.name + DATA), data=data, replace=False),
            WholeFile(path=meta, data=raw, replace=False),
        ]
    )
    return meta


def _capture(stretch: SampleStretch, origin: Origin, measured: LevelBasis | None) -> dict[str, Any]:
    """Return a tuning's products as a capture: its index counts values, not samples."""
    held = capture_of(stretch, origin, measured)
    del held["core:global_index"]
    held.pop("bandpact:lost_before", None)
    return held


def _processing(products: Products) -> list[dict[str, Any]]:
    """Return the transforms and filters behind the products, in `ntia-algorithm` terms."""
    spectrum, channels = products.spectrum, products.channels
    width = max(c.channel.width_hz for c in channels)
    return [
        {
            "type": "DFT",
            "id": "psd_dft",
            "equivalent_noise_bandwidth": spectrum.enbw_hz,
            "samples": len(spectrum.mean),
            "dfts": spectrum.dfts,
            "window": "hann",
            "baseband": True,
        },
        {
            "type": "DigitalFilter",
            "id": "channel_filter",
            "filter_type": "FIR",
            "frequency_cutoff": width / 2,
            "attenuation_cutoff": 3.0,
            "description": "by fast convolution, power falling as a raised cosine over 1/16 of the channel's width",
        },
    ]


def _plain(products: Products, scale: Scale | None) -> dict[str, Any]:
    """Return one tuning's products for JSON: each description with its values by series."""
    listed = []
    for graph in graphs(products, scale):
        rows = {s: [_number(v) for v in row] for s, row in zip(graph.about["series"], graph.values, strict=True)}
        listed.append(graph.about | {"values": rows})
    return {
        "center_hz": products.settings.center_hz,
        "sample_rate_hz": products.settings.sample_rate_hz,
        "seconds": products.seconds,
        "overload": products.overload,
        "scale_sd_db": None if scale is None else scale.sd_db,
        "products": listed,
    }


def _number(value: np.float32) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def shown(makers: ProductMakers) -> Sequence[str]:
    """Return a line for people on each tuning's products."""
    lines = []
    for tuning, (products, _) in makers.made().items():
        frames = len(products.channels[0].frame_ns) if products.channels else 0
        lines.append(
            f"Products at {tuning.center_hz / 1e6:g} MHz: spectra over {products.spectrum.dfts} transforms, "
            f"{frames} frames of 10 ms in each of {len(products.channels)} channels"
        )
    return lines
