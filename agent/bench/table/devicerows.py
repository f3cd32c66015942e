"""Rows of the benchmark table on a working node: silence after a cause, idle cost, the Pluto driver."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

SILENCE, COST, DRIVER = "Cause to RF off, by the oracle", "A node that runs, senses and transmits", "Pluto driver"
START = "What a user waits for"
DECIDED_MS, LOST_MS = 1.0, 250.0
CBRS_MS, DFS_MS = 60_000.0, 10_200.0
PLUTO_MSPS = 61.44


def gate_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench gate`: each cause's 99th percentile, or largest with too few rounds for one."""
    for one in found["causes"]:
        decided = one.get("after_decision_ms")
        took = decided if decided is not None else one["after_cause_ms"]
        which = "p99" if took["p99"] is not None else "max"
        yield BenchRow(
            area=SILENCE,
            what=f"{one['cause']}, after the {'decision' if decided is not None else 'cause'}, {which}",
            unit="ms",
            ours=took[which],
            target=Target(limit=DECIDED_MS if decided is not None else LOST_MS),
            anchor="CBRS asks 60 s" if decided is not None else "DFS asks 200 ms + 10 s",
            beside=CBRS_MS if decided is not None else DFS_MS,
            note=f"median {took['median']:g}, of {took['count']}"
            + (f"; after the cause {one['after_cause_ms'][which]:g}" if decided is not None else ""),
        )


def node_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench node`: share of a core and memory of both processes of both sides."""
    for part, limits in found["targets"].items():
        for whose, row in (("settled", found[part]), ("granting", found["granting"][part])):
            yield BenchRow(
                area=COST,
                what=f"{part} of the {whose} node, share of a core",
                unit="%",
                ours=round(100 * row["cpu_share"], 2),
                target=Target(limit=100 * limits["cpu_share"]),
                note=f"over {found['seconds']:g} s; {_loop_note(part, row)}",
            )
            yield BenchRow(
                area=COST,
                what=f"{part} of the {whose} node, memory",
                unit="MB",
                ours=row["memory_mb"],
                target=Target(limit=limits["memory_mb"]),
                note=_memory_note(found) if part == "agent" else "resident",
            )


def _loop_note(part: str, row: Any) -> str:
    """Return where a process spends its time: in its loop, or beside it."""
    loop, beside = 100 * row["loop_share"], 100 * max(0.0, row["cpu_share"] - row["loop_share"])
    beside_it = "sensing each look" if part == "agent" else "the radio's threads"
    return f"{loop:.1f} its loop, {beside:.1f} {beside_it}"


def _memory_note(found: Any) -> str:
    """Return how much of the memory the loops of sensing take."""
    if found["linked"]:
        return f"resident; the loops are linked, their compiler would add {found['compiler_mb']:g}"
    return f"resident, {found['compiler_mb']:g} of it numba and LLVM: the loops are not linked here"


def start_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench start`: the help text, and a node from its command to its event `ready`."""
    for name, what in (("help", "bandpact --help"), ("ready", "bandpact run, until the node is ready")):
        row = found[name]
        yield BenchRow(
            area=START,
            what=f"{what}, median",
            unit="s",
            ours=row["median_s"],
            target=Target(limit=found["targets"][f"{name}_s"]),
            note=f"at most {row['max_s']:g}, of {row['count']}",
        )


def radio_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench radio`: both ways at 4 MS/s, and receiving alone beside a Pluto's full rate."""
    both, alone = found["both_ways"], found["receive_alone"]
    yield BenchRow(
        area=DRIVER,
        what=f"both ways at {both['rate_hz'] / 1e6:g} MS/s, share of a core",
        unit="%",
        ours=round(both["cpu_percent"], 1),
        note=f"{both['gaps']} gaps, {both['underruns']} underruns in {both['seconds']:.1f} s",
    )
    yield BenchRow(
        area=DRIVER,
        what="gaps and underruns, both ways",
        unit="",
        ours=both["gaps"] + both["underruns"],
        target=Target(limit=0),
    )
    yield BenchRow(
        area=DRIVER,
        what="in alone, by the clock",
        unit="MS/s",
        ours=round(alone["msps"], 1),
        target=Target(limit=1, least=True, by_ratio=True),
        anchor="a Pluto's full rate",
        beside=PLUTO_MSPS,
        note=f"{alone['msps_per_cpu']:.0f} MS for each second of CPU",
    )
