"""Rows of the detection table that need long runs: files of noise, radar beside other signals, impostors."""

import os
from collections.abc import Iterator
from typing import Final

import numpy as np

from agent.bench.detectionrow import LEVEL, DetectionRow, rate_row, row
from agent.bench.floortrial import PFA, RECEIVERS, false_alarms
from agent.bench.impostors import IMPOSTORS, radars_reported
from agent.bench.radartrial import (
    NOISE_RATE,
    Beside,
    found_in_noise,
    pulses_expected_per_s,
    radar_found,
)
from agent.bench.traffictrial import OnOff, covered
from sim.waveforms.radar import RadarClassName

FILE_RATES: Final = (2e6, 10e6, 30.72e6)
FILE_LENGTHS_S: Final = (0.005, 0.05, 1.0)
SAMPLES_A_FILE: Final = 2.5e5
"""Samples of a false-alarm cell per trial, with at most one file per trial: long files are fewer."""
SHARES: Final = (0.1, 0.5)
UNDER: Final = (Beside.ALWAYS_ON, Beside.NEIGHBOUR, Beside.TDD)
BESIDE_LEAST: Final = 0.97
IMPOSTOR_RATE: Final = 10_000_000
IMPOSTOR_SNR_DB: Final = 20.0


def file_rows(seed: int, trials: int) -> Iterator[DetectionRow]:
    """Measure false alarms on files of noise with a constant offset: blocks over threshold, channels called busy."""
    for receiver in RECEIVERS:
        for rate_hz in FILE_RATES:
            for seconds in FILE_LENGTHS_S:
                files = max(1, min(trials, round(trials * SAMPLES_A_FILE / (rate_hz * seconds))))
                found = false_alarms(seed, receiver, rate_hz=rate_hz, seconds=seconds, files=files)
                what = f"{receiver}, {rate_hz / 1e6:g} MS/s, {seconds * 1e3:g} ms, {files} files"
                yield row("False alarms in files, blocks of 0.1 ms", what, found.over, found.blocks, expected=PFA)
                yield row("Channels called busy in files", what, found.busy, found.channels)


def long_run_rows(seed: int, trials: int) -> Iterator[DetectionRow]:
    """Measure coverage of both intervals of an occupancy: of the sensed stretch, and of the long run it samples."""
    for kind in OnOff:
        for share in SHARES:
            found = covered(seed, kind, share=share, trials=trials)
            what = f"{kind.value}, share {share:g}"
            yield row("Coverage of the long run", what, found.long_run, trials, expected=LEVEL)
            yield row("Stretches held by their own interval", what, found.stretch, trials)


def beside_rows(seed: int, trials: int) -> Iterator[DetectionRow]:
    """Measure detection of bursts of each class at 20 dB, under OFDM in the radar's channel and beside a neighbour."""
    for beside in UNDER:
        for radar_class in RadarClassName:
            rng = np.random.default_rng([seed, list(Beside).index(beside), list(RadarClassName).index(radar_class)])
            hits = sum(bool(radar_found(rng, radar_class, snr_db=20, beside=beside)) for _ in range(trials))
            yield row(
                f"Radar at 20 dB, {beside.value}", f"{radar_class.value} heard", hits, trials, expected=BESIDE_LEAST
            )


def impostor_rows(seed: int, seconds: int) -> Iterator[DetectionRow]:
    """Count radars reported in `seconds` seconds of each signal that is no radar."""
    for index, name in enumerate(IMPOSTORS):
        count = radars_reported(
            seed + index, name, rate_hz=IMPOSTOR_RATE, seconds=seconds, snr_db=IMPOSTOR_SNR_DB
        )  # fmt: skip
        yield rate_row("Radars an hour in what is none", name, count, over=seconds / 3600, trials=seconds)


def noise_rows(seed: int, seconds: int) -> Iterator[DetectionRow]:
    """Count single pulses and radars in uninterrupted noise."""
    pulses, radars = found_in_noise(seed=seed, seconds=seconds, processes=os.cpu_count() or 1)
    for what, found, expected, over in (
        ("single pulses a second", pulses, pulses_expected_per_s(), seconds),
        ("radars an hour", len(radars), None, seconds / 3600),
    ):
        yield rate_row(
            "Radar in nothing but noise", f"{what}, {found} in {seconds} s at {NOISE_RATE / 1e6:g} MS/s", found,
            over=over, trials=seconds, expected=expected,
        )  # fmt: skip
