"""Measures detection against theory and writes the published table with its pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.bench.detectionlong import beside_rows, file_rows, impostor_rows, long_run_rows, noise_rows
from agent.bench.detectionrow import FLOOR_COVERAGE, LEVEL, DetectionRow, row
from agent.bench.floortrial import PFA, RECEIVERS, false_alarms, floor_errors
from agent.bench.radartrial import heard_in_looks, radar_found
from agent.bench.systempage import PAGE, page
from agent.bench.systemtrial import SYSTEM_GROUPS, system_rows
from hw_profiles.wholefile import WholeFile, write_together
from sensing.detectors.channel import ChannelCells, ChannelDetector
from sensing.detectors.decision import Cells
from sensing.detectors.energy import EnergyDetector
from sensing.occupancy import channel_occupancy
from sensing.theory import energy_snr_needed, f_pd
from sim.waveforms.radar import Radar, RadarClassName, draw

HEADING: Final = "| Condition | Expected | Found | Interval | Trials |\n|---|---|---|---|---|\n"
TITLE: Final = """# Detection, measured

Written by `bandpact bench detection`, a section with the words under its heading (seed 1 where there are none).
Intervals are 95 %, exact binomial or Poisson.
"""
BINS, REFERENCES = 4, 32
RADAR_SNR_DB: Final = (10, 12, 14, 16, 18, 20)
CHANNEL_SNR_DB: Final = (-10, -7, -4, -1, 2, 5)
SURVEYED: Final = ((2e6, 0.005), (2e6, 0.1), (10e6, 0.005), (10e6, 0.05), (30.72e6, 0.02))
OFFSETS_DB: Final = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Size of a run: `trials` for each radar point, others scale with it; seconds of noise, or of each impostor."""

    trials: int
    noise_s: int
    seed: int

    def rng(self, part: str) -> np.random.Generator:
        """Return one part's random generator, independent of which other parts run."""
        return np.random.default_rng([self.seed, *part.encode()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The measured rows, and for each group the command's words that repeat it."""

    rows: tuple[DetectionRow, ...]
    made_by: Mapping[str, str]


def _cells(rng: np.random.Generator, averages: int, trials: int, snr: float) -> Cells:
    return Cells(
        power=rng.gamma(averages, (1 + snr) / averages, (trials, BINS)),
        reference=rng.gamma(averages, 1 / averages, (trials, REFERENCES)),
    )


def _energy(effort: Effort) -> Iterator[DetectionRow]:
    rng = effort.rng("energy")
    yield from _false_alarms(rng, 1000 * effort.trials)
    yield from _energy_detection(rng, 100 * effort.trials)


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
    """Measure false alarms: noise through the survey, blocks over their threshold, channels called busy."""
    for receiver in RECEIVERS:
        for rate_hz, seconds in SURVEYED:
            files = max(1, trials // round(max(1.0, rate_hz * seconds / 2e5)))
            found = false_alarms(seed, receiver, rate_hz=rate_hz, seconds=seconds, files=files)
            what = f"{receiver}, {rate_hz / 1e6:g} MS/s, {seconds * 1e3:g} ms"
            yield row("False alarms, survey, blocks of 0.1 ms", what, found.over, found.blocks, expected=PFA)
            yield row("Channels called busy in noise", what, found.busy, found.channels)


def _channel_detection(rng: np.random.Generator, trials: int) -> Iterator[DetectionRow]:
    """Measure detection in one channel of 16 groups: a signal over all of it, in one group, and a long one."""
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


def _floor_coverage(rng: np.random.Generator, files: int) -> Iterator[DetectionRow]:
    for seconds in (0.1, 0.4):
        for used in (0, 1, 2):
            found = floor_errors(rng, seconds=seconds, files=files, used=used)
            hits = sum(abs(error) <= 1.96 * sd for error, sd in found)
            worst = max(abs(error) for error, _ in found)
            condition = f"{seconds:g} s at 2 MS/s, {used} of 4 channels in use, worst error {worst:.2f} dB"
            yield row(FLOOR_COVERAGE, condition, hits, len(found))


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
    """Return two-state Markov chains, shape (trials, len(gaps) + 1)."""
    busy = np.empty((trials, len(gaps) + 1), np.bool_)
    busy[:, 0] = rng.random(trials) < p
    for i, keep in enumerate(lam**gaps):
        busy[:, i + 1] = rng.random(trials) < np.where(busy[:, i], p + keep * (1 - p), p * (1 - keep))
    return busy


def _radar(effort: Effort) -> Iterator[DetectionRow]:
    rng, trials = effort.rng("radar"), effort.trials
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


def _looks(effort: Effort) -> Iterator[DetectionRow]:
    """Measure how often a single burst of a P0N#1 radar, which sends one each second, is detected in a node's looks."""
    rng, trials = effort.rng("looks"), effort.trials
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


Part = Callable[[Effort], Iterator[DetectionRow]]
PARTS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "energy": _energy,
        "survey": lambda effort: _survey_false_alarms(effort.seed, effort.trials),
        "channel": lambda effort: _channel_detection(effort.rng("channel"), 20 * effort.trials),
        "floor": lambda effort: _floor_coverage(effort.rng("floor"), effort.trials),
        "occupancy": lambda effort: _occupancy_coverage(effort.rng("occupancy"), 20 * effort.trials),
        "radar": _radar,
        "looks": _looks,
        "noise": lambda effort: noise_rows(effort.seed, effort.noise_s),
        "files": lambda effort: file_rows(effort.seed, effort.trials),
        "long-run": lambda effort: long_run_rows(effort.seed, effort.trials),
        "beside": lambda effort: beside_rows(effort.seed, effort.trials),
        "impostors": lambda effort: impostor_rows(effort.seed, effort.noise_s),
        "systems": lambda effort: system_rows(effort.seed, effort.trials),
    }
)
"""All parts that can be measured, in the order of the table."""
USUAL: Final = ("energy", "survey", "channel", "floor", "occupancy", "radar", "looks", "noise")
"""Parts measured when none is named; the others take hours for a meaningful result."""


def measure(effort: Effort, *, parts: Sequence[str] = USUAL) -> Results:
    """Measure these parts. Raises KeyError for one that is not in `PARTS`."""
    rows: list[DetectionRow] = []
    made_by: dict[str, str] = {}
    for name in parts:
        found = list(PARTS[name](effort))
        rows += found
        words = f"--part {name} --trials {effort.trials} --noise-s {effort.noise_s} --seed {effort.seed}"
        made_by |= {one.group: words for one in found}
    return Results(rows=tuple(rows), made_by=made_by)


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write `sensing-table.md` and its pictures; sections of parts that were not measured stay as they are.

    The part `systems` is written to `sensing-systems.md`.
    """
    from agent.bench.detectionplots import pictures

    folder.mkdir(parents=True, exist_ok=True)
    files: list[WholeFile] = []
    systems = [one for one in results.rows if one.group.startswith(SYSTEM_GROUPS)]
    if systems:
        text = page(systems, results.made_by[systems[0].group])
        files.append(WholeFile(path=folder / PAGE, data=text.encode()))
    groups = {group: words for group, words in results.made_by.items() if not group.startswith(SYSTEM_GROUPS)}
    if groups:
        table = folder / "sensing-table.md"
        known = _sections(table.read_text(encoding="utf-8")) if table.exists() else {}
        for group, words in groups.items():
            known[group] = _section([one for one in results.rows if one.group == group], words)
        text = TITLE + "".join(f"\n\n## {group}\n\n{known[group]}" for group in known)
        files.append(WholeFile(path=table, data=text.encode()))
    files += pictures(results.rows, folder)
    write_together(files)
    return [one.path for one in files]


def _sections(text: str) -> dict[str, str]:
    """Return the text under each heading."""
    found = {}
    for one in text.split("\n## ")[1:]:
        group, _, rest = one.partition("\n")
        found[group] = rest.strip("\n") + "\n"
    return found


def _section(rows: Sequence[DetectionRow], words: str) -> str:
    lines = []
    for one in rows:
        expected = "" if one.expected is None else f"{one.expected:.4g}"
        found = f"{one.found:.4g} | {one.low:.4g} to {one.high:.4g} | {one.trials}"
        lines.append(f"| {one.condition} | {expected} | {found} |\n")
    return f"`{words}`\n\n{HEADING}{''.join(lines)}"
