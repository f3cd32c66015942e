"""Speed of sensing beside the usual alternatives, on the same samples in the same process.

Every contender runs once in each round; time is the processor time this process used, a contender's figure is its
median, a ratio the median of the rounds' ratios with the range that holds the middle four fifths of them. What else the
machine does in between hits all of them alike.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from sensing.detectors.pulses import PulseFinder
from sensing.frontend import Float32s, FrontEnd, hann
from sensing.products import ProductMaker, ProductSettings
from sensing.survey import Survey, SurveySettings
from sensing.theory import f_threshold, gamma_quantile
from sensing.values import Channel

FULL_SCALE: Final = 2048
CHANNELS: Final = 16
BARE: Final = "scipy.fft, batched"
OURS: Final = ("everything", "full", "mean-only", "pulse search at 61.44 MS/s")
GNU_RADIO: Final = "GNU Radio, FFT and power only"
BARE_BATCH_SAMPLES: Final = 65536
"""Samples per batch of the bare transform: within 3 % of the fastest from 8192 to 131072, at either FFT size."""
SPREAD: Final = (0.1, 0.9)
DECISION_SAMPLES: Final = 32768
RATE_HZ, CENTER_HZ, KEEP_S = 61.44e6, 3.5e9, 60.0
LOOK_SAMPLES: Final = 1 << 17
"""Samples of a look of 2.1 ms; looks follow each other without a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Million samples per second of one contender, and its ratio to its baseline, with its spread."""

    name: str
    msps: float
    baseline: str
    baseline_msps: float
    ratio: float
    ratio_low: float
    ratio_high: float


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, where the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Pipeline:
    """The front end with a decision for each channel in every block, as in a survey."""

    def __init__(self, n_fft: int) -> None:
        weights = np.zeros((n_fft, CHANNELS), np.float32)
        width = n_fft // CHANNELS
        for index in range(CHANNELS):
            weights[index * width : (index + 1) * width, index] = 1 / width
        self._frames = DECISION_SAMPLES // n_fft
        self._front = FrontEnd(n_fft=n_fft, full_scale=FULL_SCALE, frames=self._frames, groups=weights)
        shape = float(self._frames * width)
        self._ratio = f_threshold(shape=shape, reference_shape=shape * CHANNELS, pfa=1e-3)

    def run(self, iq: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return mean, maximum, kurtosis and decisions of shape (blocks, channels)."""
        self._front.feed(iq)
        spectra = self._front.take()
        floor = np.median(spectra.mean) / gamma_quantile(shape=float(max(1, spectra.frames)), q=0.5)
        busy: NDArray[np.bool_] = spectra.groups > np.float32(floor * self._ratio)
        return busy


class Everything:
    """All sensing of a node, and the data products beside it, at 61.44 MS/s.

    Mean, maximum, kurtosis, floor, a decision for each channel on every block, the radar search, and the products that
    `bandpact sense` writes: the survey and the product maker themselves, fed look by look.
    """

    def __init__(self, n_fft: int) -> None:
        width_hz = RATE_HZ / (CHANNELS + 4)
        low_hz = CENTER_HZ - width_hz * CHANNELS / 2
        edges = [low_hz + width_hz * index for index in range(CHANNELS + 1)]
        channels = tuple(Channel(low_hz=low, high_hz=high) for low, high in pairwise(edges))
        self._survey = Survey(
            SurveySettings(
                center_hz=CENTER_HZ, sample_rate_hz=RATE_HZ, full_scale=FULL_SCALE, channels=channels, fft_size=n_fft,
                keep_s=KEEP_S,
            )
        )  # fmt: skip
        self._products = ProductMaker(
            ProductSettings(center_hz=CENTER_HZ, sample_rate_hz=RATE_HZ, full_scale=FULL_SCALE, channels=channels)
        )
        self._at_ns = 0

    def run(self, iq: NDArray[np.int16]) -> int:
        """Process all of `iq`; returns the number of looks."""
        looks = 0
        for first in range(0, len(iq) - LOOK_SAMPLES + 1, LOOK_SAMPLES):
            look = iq[first : first + LOOK_SAMPLES]
            self._survey.feed(look, start_ns=self._at_ns)
            self._products.feed(look, start_ns=self._at_ns)
            self._at_ns += round(LOOK_SAMPLES / RATE_HZ * 1e9)
            looks += 1
        return looks


def contenders(iq: NDArray[np.int16], n_fft: int) -> dict[str, Callable[[], object]]:
    """Return every timed contender by name; each call processes all of `iq`."""
    floats = (iq.astype(np.float32).view(np.complex64)[:, 0] / FULL_SCALE).astype(np.complex64)
    scratch = floats.copy()
    pipeline, everything = Pipeline(n_fft), Everything(n_fft)
    mean_only = FrontEnd(n_fft=n_fft, full_scale=FULL_SCALE, frames=DECISION_SAMPLES // n_fft, moments=False)
    pulses = PulseFinder(sample_rate_hz=61.44e6, full_scale=FULL_SCALE)
    window = hann(n_fft).astype(np.float32)

    def mean() -> None:
        mean_only.feed(iq)
        mean_only.take()

    timed: dict[str, Callable[[], object]] = {
        "everything": lambda: everything.run(iq),
        "full": lambda: pipeline.run(iq),
        "mean-only": mean,
        "pulse search at 61.44 MS/s": lambda: pulses.find(iq),
        "scipy.signal.welch": lambda: signal.welch(floats, nperseg=n_fft),
        "scipy.signal.welch, no overlap": lambda: signal.welch(
            floats, window="hann", nperseg=n_fft, noverlap=0, return_onesided=False, detrend=False
        ),
        BARE: lambda: _bare(floats, n_fft),
        "scipy.fft, batched, in place": lambda: _bare_in_place(scratch, n_fft),
        "numpy loop": lambda: _loop(floats, n_fft, window),
    }
    radio = gnuradio_chain(floats, n_fft)
    return timed if radio is None else {**timed, GNU_RADIO: radio}


def gnuradio_chain(x: NDArray[np.complex64], n_fft: int) -> Callable[[], object] | None:
    """Return GNU Radio's windowed FFT and squared magnitude over `x`, or None where GNU Radio is not installed."""
    try:
        gr, blocks, radio_fft = (importlib.import_module(f"gnuradio.{name}") for name in ("gr", "blocks", "fft"))
    except ImportError:
        return None

    def run() -> None:
        top = gr.top_block()
        top.connect(
            blocks.vector_source_c(x, False, n_fft),
            radio_fft.fft_vcc(n_fft, True, hann(n_fft).tolist(), True, 1),
            blocks.complex_to_mag_squared(n_fft),
            blocks.null_sink(4 * n_fft),
        )
        top.run()

    return run


def _bare(x: NDArray[np.complex64], n_fft: int) -> None:
    batch = BARE_BATCH_SAMPLES // n_fft
    frames = x[: len(x) // (batch * n_fft) * batch * n_fft].reshape(-1, batch, n_fft)
    for rows in frames:
        fft.fft(rows, axis=-1)


def _bare_in_place(x: NDArray[np.complex64], n_fft: int) -> None:
    """Transform `x` in place, keeping its power, so that it can be repeated."""
    batch = BARE_BATCH_SAMPLES // n_fft
    for rows in x[: len(x) // (batch * n_fft) * batch * n_fft].reshape(-1, batch, n_fft):
        fft.fft(rows, axis=-1, overwrite_x=True, norm="ortho")


def _loop(x: NDArray[np.complex64], n_fft: int, window: Float32s) -> Float32s:
    total = np.zeros(n_fft, np.float32)
    for start in range(0, len(x) - n_fft + 1, n_fft):
        total += np.abs(np.fft.fft(x[start : start + n_fft] * window)).astype(np.float32) ** 2
    return total


def speeds(n_fft: int, *, samples: int, rounds: int, seed: int = 1) -> list[Speed]:
    """Time every contender at one FFT size; whole pipelines beside every baseline, parts beside the bare FFT."""
    rng = np.random.default_rng(seed)
    iq = (rng.standard_normal((samples, 2), dtype=np.float32) * 200).astype(np.int16)
    timed = contenders(iq, n_fft)
    spent: dict[str, list[int]] = {name: [] for name in timed}
    for index in range(rounds + 1):
        for name, work in timed.items():
            began = time.process_time_ns()
            work()
            if index:  # the first round is warm-up only
                spent[name].append(time.process_time_ns() - began)
    taken = {name: np.array(times, np.float64) for name, times in spent.items()}
    return [
        _speed(f"{mine}, FFT {n_fft}", taken[mine], base, taken[base], samples)
        for mine in OURS
        for base in taken
        if base not in OURS and (mine in ("everything", "full") or base == BARE)
    ]


def _speed(
    name: str, ours_ns: NDArray[np.float64], baseline: str, theirs_ns: NDArray[np.float64], samples: int
) -> Speed:
    ratio = theirs_ns / ours_ns
    low, high = (float(q) for q in np.quantile(ratio, SPREAD))
    return Speed(
        name=name,
        msps=float(samples / np.median(ours_ns) * 1e3),
        baseline=baseline,
        baseline_msps=float(samples / np.median(theirs_ns) * 1e3),
        ratio=float(np.median(ratio)),
        ratio_low=low,
        ratio_high=high,
    )
