"""Rows of the benchmark table on sensing: speed from `bench sensing`, rates from `bench detection`."""

from collections.abc import Iterator, Sequence
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

SPEED, RATES = "Sensing, speed", "Sensing, what it finds"
BARE = "scipy.fft, batched"
PLAIN_MSPS, EVERYTHING_MSPS = 245.0, 123.0
RADAR_SHARE, TRAFFIC_SHARE = 0.99, 0.97
COUNTED = "95 % interval"
WITHIN = ("False alarms", "Coverage", "Detection, energy")
"""Groups of the detection table with an expected share, by theory or design."""


def speed_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of one core: each pipeline beside the bare transform, and the whole beside welch."""
    for one in found:
        name = one["name"]
        whole, plain = name.startswith("everything"), name.startswith("full")
        if one["baseline"] != BARE and not (plain and one["baseline"] == "scipy.signal.welch"):
            continue
        limit = EVERYTHING_MSPS if whole else PLAIN_MSPS if plain else None
        what = {"everything": "all that a node runs", "full": "mean, maximum, kurtosis, decision"}
        head, _, tail = name.partition(", ")
        yield BenchRow(
            area=SPEED,
            what=f"{what.get(head, head)}, {tail}",
            unit="MS/s",
            ours=one["msps"],
            target=Target(limit=limit, least=True) if limit is not None and one["baseline"] == BARE else None,
            anchor=one["baseline"],
            beside=one["baseline_msps"],
            note=f"ratio {one['ratio_low']:g} to {one['ratio_high']:g} in 4 of 5 rounds",
        )


def rate_rows(found: Any) -> Iterator[BenchRow]:
    """Yield radar detection, and in how many conditions a counted share contradicts the expected one."""
    radars = [one for one in found if one["group"].startswith("Radar") and one["expected"] and one["trials"] > 0]
    for one in radars:
        if one["condition"].startswith("heard at"):
            yield _share(one, f"{one['group']}, {one['condition']}", RADAR_SHARE)
    for one in found:
        if "OFDM" in one["condition"]:
            yield _share(one, f"{one['group']}: {one['condition']}", TRAFFIC_SHARE)
    for head in WITHIN:
        rows = [one for one in found if one["group"].startswith(head) and one["expected"] is not None]
        if rows:
            yield _contradicted(head, rows)


def _share(one: Any, what: str, least: float) -> BenchRow:
    return BenchRow(
        area=RATES,
        what=what,
        unit="of all",
        ours=one["found"],
        target=Target(limit=least, least=True),
        note=f"{COUNTED} {one['low']:.3f} to {one['high']:.3f}, {one['trials']} trials",
    )


def _contradicted(head: str, rows: Sequence[Any]) -> BenchRow:
    """Return contradictions among 95 % intervals; the target is the number exceeded by chance once in a hundred."""
    from scipy.stats import binom

    out = [one for one in rows if not one["low"] <= one["expected"] <= one["high"]]
    most = int(binom.ppf(0.99, len(rows), 0.05))
    named = "; ".join(f"{one['condition']}: {one['found']:.4g} for {one['expected']:.4g}" for one in out[:3])
    return BenchRow(
        area=RATES,
        what=f"{head}: conditions outside their {COUNTED}",
        unit=f"of {len(rows)}",
        ours=len(out),
        target=Target(limit=most),
        anchor="expected by chance",
        beside=round(len(rows) * 0.05, 1),
        note=named,
    )


def _where(found: Any) -> str:
    """Return what limits the speed, by the stages of a profile."""
    shares = sorted(found["shares"].items(), key=lambda one: -one[1])
    parts = ", ".join(f"{stage} {share:.0%}" for stage, share in shares)
    return (
        f"profile of one core: {parts}; bare transforms {found['transforms']:.0%} of all, "
        f"{found['calls_a_look']:,} calls a look of 131,072 samples"
    )


def load_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench load`: two cores at once, and continuous pulses, both beside one core in noise."""
    head, size = "all that a node runs", f"FFT {found['n_fft']}"
    yield BenchRow(
        area=SPEED,
        what=f"{head}, two cores at once, {size}",
        unit="MS/s",
        ours=found["two_cores_msps"],
        target=Target(limit=PLAIN_MSPS, least=True),
        anchor="one core, same samples",
        beside=found["one_core_msps"],
        note=f"by processor time; {_where(found)}",
        why="" if found["two_cores_msps"] is not None else "this machine has one core",
    )
    yield BenchRow(
        area=SPEED,
        what=f"{head}, {found['pulses_a_look']} pulses a look, {size}",
        unit="MS/s",
        ours=found["dense_msps"],
        target=Target(limit=0.5, least=True, by_ratio=True),
        anchor="the same in noise",
        beside=found["one_core_msps"],
        note="by processor time",
    )
