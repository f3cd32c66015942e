"""Rows of the benchmark table on the log: durable entries, proofs, verification, audit."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Log and records"
INSERT, SIGNATURE = "a bare durable INSERT of as many bytes", "bare Ed25519 verification"


def chain_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench chain`."""
    size = f"log of {found['entries']:,} entries"
    yield BenchRow(
        area=AREA, what="one durable entry, p50", unit="µs", ours=found["append_p50_us"], anchor=INSERT,
        beside=found["bare_commit_p50_us"], note=f"{size}; p99 {found['append_p99_us']:g}",
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what=f"entries a second, {found['group']} in a commit", unit="/s", ours=found["group_commit_per_s"],
        note=size,
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what="inclusion proof, p50", unit="µs", ours=found["inclusion_p50_us"],
        note=f"{size}; its check {found['inclusion_verify_p50_us']:g}, p99 {found['inclusion_p99_us']:g}",
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what="records verified whole, one core", unit="/s", ours=found["verify_per_s"], anchor=SIGNATURE,
        beside=found["bare_verify_per_s"],
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what=f"records verified whole, {found['cores']} cores", unit="/s",
        ours=found["verify_all_cores_per_s"], anchor=SIGNATURE, beside=found["bare_verify_all_cores_per_s"],
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what="memory while the log grew tenfold", unit="MiB", ours=found["rss_full_mib"],
        target=Target(limit=1.1, by_ratio=True), anchor="at a tenth of the entries", beside=found["rss_tenth_mib"],
        note=size,
    )  # fmt: skip


MILLION, AUDIT_S = 1_000_000, 60.0


def audit_rows(found: Any) -> Iterator[BenchRow]:
    """Yield the rows of `bench audit`: time for a million entries at the measured rate, and memory growth."""
    each_us, bare_us = found["cpu_us_per_entry"], found["bare_verify_us"]
    on_cores = MILLION / 1e6 / found["cores"]
    yield BenchRow(
        area=AREA, what=f"audit of a million entries, {found['cores']} cores", unit="s",
        ours=round(MILLION * found["wall_us_per_entry"] / 1e6, 1), target=Target(limit=AUDIT_S),
        anchor="their bare signatures alone, every core busy", beside=round(bare_us * on_cores, 1),
        note=f"at the rate of {found['entries']:,} entries; processor time {each_us * on_cores:.0f} s a core: "
        f"{found['here_us_per_entry']:g} µs an entry in the reader, {found['others_us_per_entry']:g} beside",
    )  # fmt: skip
    yield BenchRow(
        area=AREA, what="memory of an audit, log four times as long", unit="MiB", ours=found["rss_full_mib"],
        target=Target(limit=1.1, by_ratio=True), anchor="at a quarter of the entries", beside=found["rss_quarter_mib"],
        note=f"{found['entries']:,} entries",
    )  # fmt: skip
