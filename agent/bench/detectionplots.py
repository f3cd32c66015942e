"""Pictures of the detection table."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from agent.bench.detectionrow import FLOOR_COVERAGE, DetectionRow
from agent.words.figures import Figure
from hw_profiles.wholefile import WholeFile

MARKS = ("o", "s", "^", "D", "v")
COLOURS = ("#00204d", "#b5492b", "#2f8f7a", "#c99a00", "#7a5ea8")
COVERAGE = (FLOOR_COVERAGE, "Coverage of the occupancy interval")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def pictures(rows: Sequence[DetectionRow], folder: Path) -> list[WholeFile]:
    """Draw detection against theory, radar against level, and coverage, as SVG; one without its rows is left out."""
    energy = [r for r in rows if r.group.startswith("Detection, energy")]
    radar = [r for r in rows if r.group.startswith("Radar ") and r.x is not None]
    coverage = [r for r in rows if r.group in COVERAGE]
    with mpl.rc_context({"svg.hashsalt": "bandpact"}):
        drawn = [_energy(energy, folder / "sensing-energy.svg")] if energy else []
        drawn += [_radar(radar, folder / "sensing-radar.svg")] if radar else []
        if {r.group for r in coverage} == set(COVERAGE):
            drawn.append(_coverage(coverage, folder / "sensing-coverage.svg"))
    return drawn


def _whole(figure: Figure, path: Path) -> WholeFile:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg")
    return WholeFile(path=path, data=drawn.getvalue())


def _energy(rows: Sequence[DetectionRow], path: Path) -> WholeFile:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(dict.fromkeys(r.condition.split(",")[0] for r in rows)):
        mine = [r for r in rows if r.condition.split(",")[0] == name]
        x = [r.x or 0.0 for r in mine]
        axes.plot(x, [r.expected or 0.0 for r in mine], color=COLOURS[i], linewidth=1)
        axes.errorbar(x, [r.found for r in mine], yerr=_bars(mine), fmt=MARKS[i], color=COLOURS[i], label=name)
    axes.set(
        xlabel="SNR in dB",
        ylabel="detected",
        title="Energy detector, Pfa 0.01: counted (marks), theory (lines)",
        ylim=(0, 1.02),
    )
    axes.legend()
    return _whole(figure, path)


def _radar(rows: Sequence[DetectionRow], path: Path) -> WholeFile:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(dict.fromkeys(r.group for r in rows)):
        mine = [r for r in rows if r.group == name]
        x = [r.x or 0.0 for r in mine]
        # a little apart, so that marks and bars at the same level are all seen
        x = [at + 0.08 * (i - 2) for at in x]
        axes.errorbar(
            x,
            [r.found for r in mine],
            yerr=_bars(mine),
            marker=MARKS[i],
            markersize=5,
            linestyle=LINES[i],
            linewidth=1.2,
            capsize=2,
            color=COLOURS[i],
            label=name.removeprefix("Radar "),
        )
    axes.axhline(0.99, linewidth=0.8, color="#7c7b78")
    axes.annotate("99 %", (20.3, 0.985), ha="right", va="top", fontsize=8, color="#55544f")
    axes.set(
        xlabel="peak SNR in 1 MHz, dB", ylabel="bursts heard", title="Radar classes, 95 % intervals", ylim=(0, 1.03)
    )
    axes.legend(loc="lower right")
    return _whole(figure, path)


def _coverage(rows: Sequence[DetectionRow], path: Path) -> WholeFile:
    figure = Figure(figsize=(7, 0.22 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    bars = [[r.found - r.low for r in rows], [r.high - r.found for r in rows]]
    axes.errorbar([r.found for r in rows], places, xerr=bars, fmt="o", color=COLOURS[0])
    axes.axvspan(0.93, 0.97, color="#d3c065", alpha=0.3)
    axes.set_yticks(list(places), [r.condition for r in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axhline(sum(r.group == FLOOR_COVERAGE for r in rows) - 0.5, linewidth=0.8, color="#7c7b78")
    axes.set(
        xlabel="share of 95 % intervals that hold the truth",
        title="Floor (above, with gain and temperature) and occupancy (below); wanted: the band",
    )
    return _whole(figure, path)


def _bars(rows: Sequence[DetectionRow]) -> list[list[float]]:
    return [[r.found - r.low for r in rows], [r.high - r.found for r in rows]]
