"""Rows of the benchmark table about the log: durable entries, proofs, verification."""

from collections.abc import Iterator
from typing import Any

from agent.bench.table.benchrow import BenchRow, Target

AREA = "Log and records"
INSERT, SIGNATURE = "a bare durable INSERT of as many bytes", "bare Ed25519 verification"


def chain_rows(found: Any) -> Iterator[BenchRow]:
    """From `bench chain`."""
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
