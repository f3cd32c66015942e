"""One trial of radar detection: a radar drawn from its class, at a level in a 1 MHz filter, through the real search."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from enum import Enum
from functools import partial
from math import exp
from multiprocessing import get_context
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from radio.signals import ofdm
from sensing.detectors.pulse import Pulse
from sensing.detectors.pulses import SHORT_THRESHOLD, PulseFinder
from sensing.detectors.radar import Incumbent, RadarDetector, Stretch
from sim.waveforms.radar import Radar, RadarClassName, draw, render

RATE: Final = 30_720_000
NOISE_RATE: Final = 10_000_000
NOISE_PIECE_S: Final = 60
FULL_SCALE: Final = 2048
NOISE_RMS: Final = 10.0
LOOK_S: Final = 0.02
TRIAL_LOOK_SAMPLES: Final = 69_120
TRIAL_FRAME_NS: Final = 20_000_000


def peak_in_a_megahertz(radar: Radar) -> float:
    """Return the peak power of a unit-power pulse after an ideal 1 MHz filter at its centre."""
    fast, samples = 4 * RATE, 1 << 15
    x = render(radar, sample_rate_hz=fast, start=-4000, samples=samples)
    spectrum = np.fft.fft(x)
    spectrum[np.abs(np.fft.fftfreq(samples, 1 / fast)) > 0.5e6] = 0
    return float(np.max(np.abs(np.fft.ifft(spectrum)) ** 2))


class Beside(Enum):
    """Other signals beside the radar."""

    NOTHING = "noise"
    TDD = "TDD OFDM 12 dB over noise in its channel"
    ALWAYS_ON = "OFDM 12 dB over noise in its channel, always on"
    NEIGHBOUR = "a filtered neighbour 40 dB over noise, 10 MHz away"
    RAISED = "noise 6 dB higher between its pulses and in them, a millisecond at a time"


def radar_found(
    rng: np.random.Generator,
    radar_class: RadarClassName,
    *,
    snr_db: float,
    beside: Beside = Beside.NOTHING,
    bend: float = 0.0,
) -> set[str]:
    """Return the kinds of radar detected in one burst of a radar of the class.

    The radar is anywhere in the inner half of the band, within 3 MHz of the centre beside traffic; sweeps wider than
    half the band are centred. `bend` makes its sweep non-linear.
    """
    radar = replace(draw(rng, radar_class), bend=bend)
    samples = next_fast_len(int(RATE * (radar.burst_s + 0.003)))  # traffic is filtered by one transform of all samples
    x = render(radar, sample_rate_hz=RATE, start=-int(rng.uniform(0.3e-3, 2e-3) * RATE), samples=samples)
    room = 0.25 if beside in {Beside.NOTHING, Beside.RAISED} else 3e6 / RATE
    offset = rng.uniform(-room, room) if radar.chirp_hz < RATE / 2 else 0.0
    on = np.flatnonzero(x)
    x[on] *= np.exp(2j * np.pi * offset * on).astype(np.complex64)
    x *= np.float32(np.sqrt(10 ** (snr_db / 10) * 1e6 / RATE / peak_in_a_megahertz(radar)))
    return _kinds(_digital((x + traffic(rng, beside, samples) + _noise(rng, samples)).astype(np.complex64)))


def traffic(rng: np.random.Generator, beside: Beside, samples: int) -> NDArray[np.complex64]:
    """Return the signals beside the radar, shape (samples,), over noise of unit power."""
    if beside is Beside.NOTHING:
        return np.zeros(samples, np.complex64)
    if beside is Beside.RAISED:
        steps = np.repeat(rng.integers(0, 2, samples // (RATE // 1000) + 1), RATE // 1000)[:samples]
        louder: NDArray[np.complex64] = _noise(rng, samples) * np.sqrt(3 * steps).astype(np.float32)
        return louder
    duplex = ofdm.Duplex.TDD if beside is Beside.TDD else ofdm.Duplex.FDD
    iq = ofdm.generate(rng, sample_rate_hz=RATE, bandwidth_hz=10_000_000, samples=samples, duplex=duplex)
    level_db, at_hz = (40, 10e6) if beside is Beside.NEIGHBOUR else (12, 0.0)
    moved = iq * np.exp(2j * np.pi * at_hz / RATE * np.arange(samples)).astype(np.complex64)
    scaled: NDArray[np.complex64] = moved * np.float32(np.sqrt(10 ** (level_db / 10) * 9e6 / RATE))
    return scaled


def coincident(rng: np.random.Generator, *, offsets_hz: tuple[float, ...], snr_db: float) -> NDArray[np.int16]:
    """Return a burst of P0N#1 at each of the offsets, all their pulses at the same times."""
    radar = Radar(radar_class=RadarClassName.P0N1, pulse_s=1.5e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=20)
    samples = int(RATE * (radar.burst_s + 0.003))
    pulses = render(radar, sample_rate_hz=RATE, start=-RATE // 1000, samples=samples)
    amplitude = np.sqrt(10 ** (snr_db / 10) * 1e6 / RATE / peak_in_a_megahertz(radar))
    turns = np.arange(samples) / RATE
    x = sum((pulses * amplitude * np.exp(2j * np.pi * at * turns) for at in offsets_hz), _noise(rng, samples))
    return _digital(np.asarray(x, np.complex64))


def heard_in_looks(rng: np.random.Generator, radar: Radar, *, snr_db: float, traffic_db: float | None) -> bool:
    """Return whether one burst of a radar is detected in a node's short looks, at a random time offset.

    `traffic_db`: power over the noise of a continuous 10 MHz OFDM signal at the radar's frequency.
    """
    detector, finder = RadarDetector(band_hz=RATE), PulseFinder(sample_rate_hz=RATE, full_scale=FULL_SCALE)
    amplitude = np.float32(np.sqrt(10 ** (snr_db / 10) * 1e6 / RATE / peak_in_a_megahertz(radar)))
    frame = round(TRIAL_FRAME_NS * 1e-9 * RATE)
    at = int(rng.integers(frame)) - TRIAL_LOOK_SAMPLES
    while at < radar.burst_s * RATE:
        x = render(radar, sample_rate_hz=RATE, start=at, samples=TRIAL_LOOK_SAMPLES) * amplitude
        if traffic_db is not None:
            power = 10 ** (traffic_db / 10) * 10e6 / RATE
            x = x + ofdm.generate(
                rng, sample_rate_hz=RATE, bandwidth_hz=10_000_000, samples=TRIAL_LOOK_SAMPLES, duplex=ofdm.Duplex.FDD
            ) * np.float32(np.sqrt(power))
        pulses = finder.find(_digital((x + _noise(rng, TRIAL_LOOK_SAMPLES)).astype(np.complex64)))
        if _trains(detector, pulses, round(at / RATE * 1e9), length_s=TRIAL_LOOK_SAMPLES / RATE):
            return True
        at += frame
    return False


def found_in_noise(*, seed: int, seconds: int, processes: int = 1) -> tuple[int, list[str]]:
    """Return the number of single pulses, and all radar kinds, found in uninterrupted noise at `NOISE_RATE`.

    The noise is made in pieces of `NOISE_PIECE_S`, each with its own random numbers, whatever the number of processes.
    """
    pieces = range(-(-seconds // NOISE_PIECE_S))
    each = partial(_piece_of_noise, seed, seconds=min(seconds, NOISE_PIECE_S))
    if processes == 1:
        found = [each(piece) for piece in pieces]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(each, pieces))
    return sum(pulses for pulses, _ in found), [kind for _, kinds in found for kind in kinds]


def pulses_in_noise(seed: int, piece: int, *, seconds: int) -> Iterator[tuple[Pulse, ...]]:
    """Yield the pulses of every `LOOK_S` of one piece of contiguous noise."""
    rng = np.random.default_rng([seed, piece])
    finder = PulseFinder(sample_rate_hz=NOISE_RATE, full_scale=FULL_SCALE)
    rails = np.empty(2 * int(NOISE_RATE * LOOK_S), np.float32)
    for index in range(round(seconds / LOOK_S)):
        rng.standard_normal(dtype=np.float32, out=rails)
        np.multiply(rails, np.float32(NOISE_RMS * np.sqrt(0.5)), out=rails)
        codes = np.rint(rails, out=rails).astype(np.int16)
        yield finder.find(codes.reshape(-1, 2), contiguous=index > 0)


def _piece_of_noise(seed: int, piece: int, *, seconds: int) -> tuple[int, list[str]]:
    detector = RadarDetector(band_hz=NOISE_RATE)
    pulses, kinds = 0, []
    for index, heard in enumerate(pulses_in_noise(seed, piece, seconds=seconds)):
        pulses += len(heard)
        found = _trains(detector, heard, round(index * LOOK_S * 1e9), contiguous=index > 0)
        kinds += [one.kind for one in found]
    return pulses, kinds


def found_in_looks(rng: np.random.Generator, *, looks: int) -> tuple[int, list[str]]:
    """Return the number of single pulses, and all radar kinds, found in short looks at noise with gaps between.

    Each look is `TRIAL_LOOK_SAMPLES` at `RATE`, `TRIAL_FRAME_NS` after the one before.
    """
    finder, detector = PulseFinder(sample_rate_hz=RATE, full_scale=FULL_SCALE), RadarDetector(band_hz=RATE)
    pulses, kinds = 0, []
    for index in range(looks):
        heard = finder.find(_digital(_noise(rng, TRIAL_LOOK_SAMPLES)))
        pulses += len(heard)
        kinds += [
            one.kind for one in _trains(detector, heard, index * TRIAL_FRAME_NS, length_s=TRIAL_LOOK_SAMPLES / RATE)
        ]
    return pulses, kinds


def _trains(
    detector: RadarDetector,
    pulses: tuple[Pulse, ...],
    start_ns: int,
    *,
    length_s: float = LOOK_S,
    contiguous: bool = False,
) -> tuple[Incumbent, ...]:
    length_ns = round(length_s * 1e9)
    seen = Stretch(pulses=pulses, start_ns=start_ns, length_ns=length_ns, contiguous=contiguous)
    return detector.decide(seen).incumbents


def pulses_expected_per_s() -> float:
    """Return how often noise passes the short search's threshold: two thirds of its cells are independent."""
    return NOISE_RATE / 0.5e6 * 1e6 * 2 / 3 * exp(-SHORT_THRESHOLD)


def _kinds(iq: NDArray[np.int16]) -> set[str]:
    finder, detector = PulseFinder(sample_rate_hz=RATE, full_scale=FULL_SCALE), RadarDetector(band_hz=RATE)
    step = int(RATE * LOOK_S)
    kinds: set[str] = set()
    for start in range(0, len(iq), step):
        pulses = finder.find(iq[start : start + step], contiguous=start > 0)
        found = _trains(detector, pulses, round(start / RATE * 1e9), contiguous=start > 0)
        kinds |= {one.kind for one in found}
    return kinds


def _noise(rng: np.random.Generator, samples: int) -> NDArray[np.complex64]:
    z: NDArray[np.complex64] = rng.standard_normal(2 * samples, dtype=np.float32).view(np.complex64)
    return z * np.float32(np.sqrt(0.5))


def _digital(z: NDArray[np.complex64]) -> NDArray[np.int16]:
    rails = z.view(np.float32) * np.float32(NOISE_RMS)
    pairs: NDArray[np.int16] = np.clip(np.rint(rails), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16).reshape(-1, 2)
    return pairs
