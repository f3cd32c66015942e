"""Measures detection against theory and writes the published table with its pictures."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import log1p
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from agent.bench.detectionrow import DetectionRow
from agent.bench.floortrial import PFA, RECEIVERS, false_alarms
from agent.bench.radartrial import NOISE_RATE, found_in_noise, heard_in_looks, pulses_expected_per_s, radar_found
from sensing.detectors.channel import ChannelCells, ChannelDetector
from sensing.detectors.decision import Cells
from sensing.detectors.energy import EnergyDetector
from sensing.floor import noise_floor
from sensing.occupancy import channel_occupancy
from sensing.theory import energy_snr_needed, f_pd
from sim.waveforms.radar import Radar, RadarClassName, draw

LEVEL: Final = 0.95
HEADING: Final = ("| Condition | Expected | Found | Interval | Trials |", "|---|---|---|---|---|")
BINS, REFERENCES = 4, 32
RADAR_SNR_DB: Final = (10, 12, 14, 16, 18, 20)
CHANNEL_SNR_DB: Final = (-10, -7, -4, -1, 2, 5)
SURVEYED: Final = ((2e6, 0.005), (2e6, 0.1), (10e6, 0.005), (10e6, 0.05), (30.72e6, 0.02))
OFFSETS_DB: Final = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that was measured, and from which seed."""

    rows: tuple[DetectionRow, ...]
    seed: int


def row(
    group: str, condition: str, hits: int, trials: int, *, expected: float | None = None, x: float | None = None
) -> DetectionRow:
    """A counted share with its exact (Clopper-Pearson) interval."""
    low = float(stats.beta.ppf((1 - LEVEL) / 2, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf((1 + LEVEL) / 2, hits + 1, trials - hits)) if hits < trials else 1.0
    return DetectionRow(
        group=group, condition=condition, expected=expected, found=hits / trials, low=low, high=high, trials=trials, x=x
    )


def measure(*, trials: int, seed: int, noise_s: int) -> Results:
    """Run every measurement; `trials` is for each radar point, the cheap ones take hundreds of times as many.

    `noise_s` is how many seconds of noise are searched for radar, on all cores.
    """
    rng = np.random.default_rng(seed)
    rows = [
        *_false_alarms(rng, 1000 * trials),
        *_energy_detection(rng, 100 * trials),
        *_survey_false_alarms(seed, trials),
        *_channel_detection(rng, 20 * trials),
        *_floor_coverage(rng, 20 * trials),
        *_occupancy_coverage(rng, 20 * trials),
        *_radar(rng, trials),
        *_looks(rng, trials),
        *_noise(seed, noise_s),
    ]
    return Results(rows=tuple(rows), seed=seed)


def _cells(rng: np.random.Generator, averages: int, trials: int, snr: float) -> Cells:
    return Cells(
        power=rng.gamma(averages, (1 + snr) / averages, (trials, BINS)),
        reference=rng.gamma(averages, 1 / averages, (trials, REFERENCES)),
    )


def _false_alarms(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    for averages in (1, 16, 64):
        for pfa in (1e-2, 1e-3):
            seen = _cells(rng, averages, trials, 0.0)
            hits = int(EnergyDetector(averages=averages, pfa=pfa).decide(seen).present.sum())
            yield row(
                "False alarms, energy, noise estimated", f"K = {averages}, design {pfa:g}", hits, trials, expected=pfa
            )


def _energy_detection(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    for averages in (1, 16, 64):
        centre = energy_snr_needed(samples=averages * BINS, pfa=1e-2, pd=0.9)
        for offset in OFFSETS_DB:
            snr = centre * 10 ** (offset / 10)
            hits = int(
                EnergyDetector(averages=averages, pfa=1e-2).decide(_cells(rng, averages, trials, snr)).present.sum()
            )
            theory = f_pd(shape=averages * BINS, reference_shape=averages * REFERENCES, pfa=1e-2, snr=snr)
            db = 10 * np.log10(snr)
            yield row(
                "Detection, energy, Pfa 0.01", f"K = {averages}, SNR {db:.1f} dB", hits, trials, expected=theory, x=db
            )


def _survey_false_alarms(seed: int, trials: int) -> Iterator[DetectionRow]:
    """Files of noise through the survey: blocks over their threshold, and channels called busy."""
    for receiver in RECEIVERS:
        for rate_hz, seconds in SURVEYED:
            files = max(1, trials // round(max(1.0, rate_hz * seconds / 2e5)))
            found = false_alarms(seed, receiver, rate_hz=rate_hz, seconds=seconds, files=files)
            what = f"{receiver}, {rate_hz / 1e6:g} MS/s, {seconds * 1e3:g} ms"
            yield row("False alarms, survey, blocks of 0.1 ms", what, found.over, found.blocks, expected=PFA)
            yield row("Channels called busy in noise", what, found.busy, found.channels)


def _channel_detection(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    """The survey's detector on one channel of 16 groups: a signal over all of it, in one group, and one that lasts."""
    averages, groups, length = 32.0, 16, 64
    for snr_db in CHANNEL_SNR_DB:
        for what, share, blocks in (
            ("whole channel", 1.0, 1),
            ("one group of 16", 1 / groups, 1),
            ("lasting", 1.0, length),
        ):
            power = rng.gamma(averages, 1 / averages, (trials // blocks * blocks, groups))
            power[:, : round(share * groups)] *= 1 + 10 ** (snr_db / 10)
            known = np.full(groups, averages * 400)
            seen = ChannelCells(
                power=power, floor=np.ones(groups), bins=np.ones(groups), shapes=np.full(groups, averages),
                reference=known, least=np.ones(groups),
            )  # fmt: skip
            decision = ChannelDetector(pfa=PFA, uneven_db=0.15).decide(seen)
            hit = decision.present if blocks > 1 else decision.statistic > decision.threshold
            yield row(
                "Detection, survey's detector, Pfa 0.001", f"{what}, SNR there {snr_db} dB", int(hit.sum()), len(hit)
            )


def _floor_coverage(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    for averages in (16, 64):
        for share in (0.0, 0.2, 0.4, 0.6, 0.8):
            hits, worst = 0, 0.0
            for _ in range(trials):
                psd = rng.gamma(averages, 1 / averages, 1024)
                busy = rng.permutation(1024)[: int(share * 1024)]
                psd[busy] *= 1 + 10 ** (rng.uniform(3, 30, len(busy)) / 10)
                floor = noise_floor(psd, averages=averages)
                error = abs(10 * float(np.log10(floor.power)))
                hits += error <= 1.96 * floor.se_db
                worst = max(worst, error)
            condition = f"K = {averages}, {share:.0%} occupied, worst error {worst:.2f} dB"
            yield row("Coverage of the floor's interval", condition, hits, trials, expected=LEVEL)


def _occupancy_coverage(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    regular = np.ones(999)
    irregular = rng.choice([0.2, 0.5, 1.0, 3.0], 999)
    for name, gaps in (("regular", regular), ("irregular", irregular)):
        times = None if name == "regular" else np.concatenate(([0.0], np.cumsum(gaps)))
        for p in (0.01, 0.1, 0.3, 0.5):
            for lam in (0.0, 0.5, 0.9):
                rows = _chains(rng, p, lam, gaps, trials)
                intervals = (channel_occupancy(one, times_s=times) for one in rows)
                hits = sum(i.low <= p <= i.high for i in intervals)
                condition = f"{name} revisits, p = {p:g}, lag-1 {lam:g}"
                yield row("Coverage of the occupancy interval", condition, hits, trials, expected=LEVEL)


def _chains(
    rng: np.random.Generator, p: float, lam: float, gaps: NDArray[np.float64], trials: int
) -> NDArray[np.bool_]:
    """Two-state Markov chains, shape (trials, len(gaps) + 1)."""
    busy = np.empty((trials, len(gaps) + 1), np.bool_)
    busy[:, 0] = rng.random(trials) < p
    for i, keep in enumerate(lam**gaps):
        busy[:, i + 1] = rng.random(trials) < np.where(busy[:, i], p + keep * (1 - p), p * (1 - keep))
    return busy


def _radar(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    for radar_class in RadarClassName:
        for snr_db in RADAR_SNR_DB:
            count = trials * (5 if snr_db == RADAR_SNR_DB[-1] else 1)
            found = [radar_found(rng, radar_class, snr_db=snr_db) for _ in range(count)]
            group = f"Radar {radar_class.value}"
            expected = 0.99 if snr_db == RADAR_SNR_DB[-1] else None
            hits = sum(1 for one in found if one)
            yield row(group, f"heard at {snr_db} dB peak SNR in 1 MHz", hits, count, expected=expected, x=float(snr_db))
            if expected:
                right = sum(1 for one in found if radar_class.value in one)
                yield row(group, f"class named rightly at {snr_db} dB", right, count)


def _looks(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    """One burst of P0N#1 in a node's looks: how often a radar that comes back every second is heard the first time."""
    long = Radar(radar_class=RadarClassName.P0N1, pulse_s=1.5e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=40)
    for snr_db, traffic_db in ((20, None), (26, None), (26, 6), (26, 12)):
        beside = "" if traffic_db is None else f", OFDM {traffic_db} dB over noise in its place"
        for what, radars in (
            ("40 pulses", [long] * trials),
            ("any", [draw(rng, RadarClassName.P0N1) for _ in range(trials)]),
        ):
            hits = sum(heard_in_looks(rng, one, snr_db=snr_db, traffic_db=traffic_db) for one in radars)
            yield row(
                "Radar P0N#1, one burst in looks of 2.25 ms every 20 ms", f"{what}, {snr_db} dB{beside}", hits, trials
            )


def _noise(seed: int, seconds: int) -> Iterator[DetectionRow]:
    pulses, radars = found_in_noise(seed=seed, seconds=seconds, processes=os.cpu_count() or 1)
    for what, found, expected, over in (
        ("single pulses a second", pulses, pulses_expected_per_s(), seconds),
        ("radars an hour", len(radars), None, seconds / 3600),
    ):
        low, high = poisson_interval(found)
        yield DetectionRow(
            group="Radar in nothing but noise",
            condition=f"{what}, {found} in {seconds} s at {NOISE_RATE / 1e6:g} MS/s",
            expected=expected,
            found=found / over,
            low=low / over,
            high=high / over,
            trials=seconds,
        )


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact interval of a Poisson mean of which `count` was seen; from 0 to a one-sided bound where that is none."""
    if count == 0:
        return 0.0, -log1p(-LEVEL)
    return float(stats.chi2.ppf((1 - LEVEL) / 2, 2 * count)) / 2, float(
        stats.chi2.ppf((1 + LEVEL) / 2, 2 * count + 2)
    ) / 2


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write `sensing-table.md` and its pictures; returns what was written."""
    from agent.bench.detectionplots import write_pictures

    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "sensing-table.md"
    table.write_text(_markdown(results), encoding="utf-8")
    return [table, *write_pictures(results.rows, folder)]


def _markdown(results: Results) -> str:
    lines = [
        "# Detection, measured",
        "",
        f"Written by `bandpact bench detection`, seed {results.seed}. Intervals are 95 %, exact binomial or Poisson.",
        "",
    ]
    for group in dict.fromkeys(one.group for one in results.rows):
        lines += [
            "",
            f"## {group}",
            "",
            "| Condition | Expected | Found | Interval | Trials |",
            "|---|---|---|---|---|",
        ]
        for one in (one for one in results.rows if one.group == group):
            expected = "" if one.expected is None else f"{one.expected:.4g}"
            found = f"{one.found:.4g} | {one.low:.4g} to {one.high:.4g} | {one.trials}"
            lines.append(f"| {one.condition} | {expected} | {found} |")
    return "\n".join(lines) + "\n"
