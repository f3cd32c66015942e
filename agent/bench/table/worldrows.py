"""Rows of the benchmark table on virtual time and identity directories."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Virtual time"
TIMES_REAL = 700.0
CITY_MEMBERS = 256


def world_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench world`: virtual seconds per second of one core, and seeds that broke an invariant."""
    said = f"{found['seeds']} random worlds of {found['members_mean']:g} members, {found['settled']} settlements"
    plain, city = found["plain"], found["city"]
    for what, one, limit in (
        ("a plain neighbourhood for a day", plain, TIMES_REAL),
        ("a city", city, TIMES_REAL if city["members"] >= CITY_MEMBERS else None),
    ):
        yield BenchRow(
            area=AREA,
            what=f"virtual time over processor time, one core: {what}, {one['members']} members",
            unit="× real",
            ours=one["virtual_over_cpu"],
            target=Target(limit=limit, least=True) if limit is not None else None,
            note=f"{one['hours']} h in {one['cpu_s']:g} s: {one['settled']} settlements, {one['renewed']} renewals, "
            f"{one['messages']} messages; {one['peak_mib']:g} MiB at most; every invariant on, {one['broken']} broken",
        )
    yield BenchRow(
        area=AREA,
        what="virtual time over processor time, one core: random worlds of seconds, all of them faults",
        unit="× real",
        ours=found["virtual_over_cpu"],
        note=f"{said}, every fault and every invariant on",
    )
    yield BenchRow(
        area=AREA,
        what="seeds with a broken invariant",
        unit=f"of {found['seeds']}",
        ours=found["broken"],
        target=Target(limit=0),
        note=said,
    )


LOOKUP_US, FLAT = 1000.0, 1.1


def identity_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench identities`: processor time, log and memory of a node, and directory lookup time."""
    many, few = f"{found['identities']:,}", f"at {found['beside']:,} identities"
    note = f"{found['neighbours']} neighbours, least of {found['nodes']} nodes each"
    for key, what, unit in (
        ("cpu_ms", "processor time of a node", "ms"),
        ("log_bytes", "log of a node", "bytes"),
        ("memory_mib", "memory of a node", "MiB"),
    ):
        yield BenchRow(
            area=AREA,
            what=f"{what}, {many} identities in a signed directory",
            unit=unit,
            ours=found[f"large_{key}"],
            target=Target(limit=FLAT, by_ratio=True),
            anchor=few,
            beside=found[f"small_{key}"],
            note=note,
        )
    yield BenchRow(
        area=AREA,
        what=f"status lookup, p99, among {many} identities",
        unit="µs",
        ours=found["large_lookup_p99_us"],
        target=Target(limit=LOOKUP_US),
        anchor=few,
        beside=found["small_lookup_p99_us"],
        note=f"p50 {found['large_lookup_p50_us']:g}; directory of {found['directory_bytes'] / 2**20:.1f} MiB, "
        "each answer proven in its tree; by processor time",
    )
