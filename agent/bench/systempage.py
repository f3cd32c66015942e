"""The page on real radio systems: one line per system, rate and way of sensing, one column per level."""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.bench.detectionrow import DetectionRow, row
from agent.bench.systems import SYSTEMS
from agent.bench.systemtrial import FILE_S, HELD, NODE_S, RADARS, RATES_HZ, STATE_GROUPS
from sensing.results import ChannelState

PAGE: Final = "sensing-systems.md"
TITLE: Final = """# Real systems, and what sensing says of their channels

Written by `bandpact bench detection --part systems`: here by
`{words}`. Each system is made by its public standard (`sim/waveforms`, `radio/signals`), put into
white noise, made whole numbers of 12 bits, and surveyed with its own width as one channel. It is drawn anew, with other
data and times, for each trial; the levels of a trial share what was sent, not the noise.

- **Level**: power while the system is on, over the noise in its own width; of a TDD cell at full load, of impulses at
  their peak.
- **File**: {file_ms:g} ms without a gap, as `bandpact sense` takes a file. **Node**: 2.25 ms of every 20 ms, for
  {node_ms:g} ms, with a node's transform; left out where that has fewer than three bins in the channel.
- **Free, unknown, busy**: in how many trials each was said. Only trials count in which a block that was listened to
  holds a tenth or more of the energy of the system's fullest block. "Free" is the wrong verdict; in brackets its share
  with the exact binomial interval, 95 %.
- **Share held**: of the trials in which an interval narrower than 0 to 1 was given, those in which it holds the share
  of blocks in use that the system's own samples show. Blocks with less than a tenth of the fullest one's energy may
  count or not, those with less than a thousandth do not.
- **Radars**: trials at the end of which one was reported, all levels together. None of these systems is one.
"""


def page(rows: Sequence[DetectionRow], words: str) -> str:
    """Return the whole page from the rows of the part `systems`, made by these words of the command."""
    known = {(one.group, one.condition, one.x): one for one in rows}
    conditions = tuple(dict.fromkeys(one.condition for one in rows))
    levels = tuple(sorted({one.x for one in rows if one.x is not None}))
    text = TITLE.format(words=words, file_ms=1e3 * FILE_S, node_ms=1e3 * NODE_S)
    text += f"\n{_missing()}\n\n## Free / unknown / busy\n\n{_head('System', 'Width, kHz', levels)}"
    for way in dict.fromkeys(condition.rsplit(", ", 1)[1] for condition in conditions):
        cells = [_verdicts(_together(rows, way, level), way, level) for level in levels]
        text += f"| **All, {way}** | | {' | '.join(cells)} |\n"
    for condition in conditions:
        cells = [_verdicts(known, condition, level) for level in levels]
        text += f"| {condition} | {_width_khz(condition):g} | {' | '.join(cells)} |\n"
    text += f"\n## Share held\n\n{_head('System', 'Radars', levels)}"
    for condition in conditions:
        cells = [_count(known.get((HELD, condition, level))) for level in levels]
        found = [known[RADARS, condition, level] for level in levels]
        radars = f"{sum(_hits(one) for one in found)} of {sum(one.trials for one in found)}"
        text += f"| {condition} | {radars} | {' | '.join(cells)} |\n"
    return text


def _head(first: str, second: str, levels: Sequence[float]) -> str:
    names = [first, second, *(f"{level:g} dB" for level in levels)]
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n"


def _width_khz(condition: str) -> float:
    name, rate, _ = condition.rsplit(", ", 2)
    return SYSTEMS[name].width_at(1e6 * float(rate.split()[0])) / 1e3


def _hits(one: DetectionRow) -> int:
    return round(one.found * one.trials)


def _verdicts(known: Mapping[tuple[str, str, float | None], DetectionRow], condition: str, level: float) -> str:
    """Return how often the verdict was free, unknown and busy, and the interval of the first."""
    found = {state: known.get((group, condition, level)) for state, group in STATE_GROUPS.items()}
    free = found[ChannelState.FREE]
    if free is None:
        return "not heard"
    counts = "/".join(str(_hits(one)) for one in found.values() if one is not None)
    return f"{counts} ({free.low:.2g} to {free.high:.2g})"


def _together(
    rows: Sequence[DetectionRow], way: str, level: float
) -> Mapping[tuple[str, str, float | None], DetectionRow]:
    """Sum the verdicts on all systems at a level and way of sensing, as one row of each group."""
    found: dict[tuple[str, str, float | None], DetectionRow] = {}
    for group in STATE_GROUPS.values():
        some = [one for one in rows if one.group == group and one.x == level and one.condition.endswith(f", {way}")]
        if some:
            found[group, way, level] = row(group, way, sum(map(_hits, some)), sum(one.trials for one in some), x=level)
    return found


def _count(one: DetectionRow | None) -> str:
    return "no interval" if one is None else f"{_hits(one)} of {one.trials}"


def _missing() -> str:
    """Return which systems do not fit into which rates."""
    absent = [
        f"{name} ({' and '.join(f'{rate / 1e6:g}' for rate in RATES_HZ if not system.fits(rate))})"
        for name, system in SYSTEMS.items()
        if not all(system.fits(rate) for rate in RATES_HZ)
    ]
    return f"Wider than nine tenths of the rate in MS/s, and therefore not there: {'; '.join(absent)}."
