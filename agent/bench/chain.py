"""Speed of log and records beside their bounds, measured in the same run: a bare commit, a bare signature check.

The log is first filled to its full size, so that every figure is that of a large log; compared figures are measured
in turns, so that both see the same machine state.
"""

import os
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from hw_profiles.memory import peak_mib
from settlement.chain import cose, keys, merkle
from settlement.chain.bodies import Accept
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import RECEIVED, admitted_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, Frame, Record, Unproven, aad, parse, sign_record
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource

NETWORK = "bench"
DISTINCT = 512
NS = 1_000_000_000
BASE_NS = 1_700_000_000 * NS
CHUNK = 256
# The first commits on a fresh file pay for its growth; they are not counted.
WARM_UP = 20


@dataclass(slots=True)
class Figures:
    """All measured values by name; times in microseconds unless the name says otherwise."""

    values: dict[str, Any] = field(default_factory=dict)

    def note(self, **values: Any) -> None:
        """Store measured values."""
        self.values.update(values)


def _fix(at_ns: int) -> Fix:
    clock = TimeFix(earliest_ns=at_ns, latest_ns=at_ns, source=TimeSource.SIMULATED, trusted=True)
    place = PositionFix(lat_e7=0, lon_e7=0, radius_mm=1, source=PositionSource.SIMULATED, trusted=True)
    return Fix(time=clock, position=place)


def make_records(key: SigningKey, count: int) -> list[Record]:
    """Return distinct signed records of the commonest size. Raises TypeError when one does not verify."""
    author, records = bytes(32), []
    for number in range(count):
        frame = Frame(
            network=NETWORK,
            author=author,
            seq=number + 1,
            previous=bytes(32),
            attestation=Attestation.of(_fix(BASE_NS + number)),
        )
        raw = sign_record(key, frame, Accept(sid=number.to_bytes(32, "big"), grant=bytes(32), answer=bytes(32)))
        unproven = parse(raw)
        record = unproven.prove(key.public, NETWORK) if isinstance(unproven, Unproven) else unproven
        if not isinstance(record, Record):
            raise TypeError(f"the bench made a record that does not hold: {record}")
        records.append(record)
    return records


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _append(log: Lineage, record: Record, at_ns: int) -> None:
    log.append(admitted_leaf(record.raw, origin=RECEIVED, now=_fix(at_ns).time), record)


def fill(log: Lineage, records: list[Record], size: int, group: int, figures: Figures) -> None:
    """Group-commit up to `size` entries; notes the memory at a tenth of them and at the end."""
    start, began = log.size, time.perf_counter()
    early: float | None = None
    while log.size < size:
        with log.transaction():
            for _ in range(min(group, size - log.size)):
                _append(log, records[log.size % len(records)], BASE_NS + log.size)
        if early is None and log.size >= size // 10:
            early = _rss_mib()
    spent_s = time.perf_counter() - began
    figures.note(
        entries=log.size,
        group=group,
        group_commit_per_s=round((log.size - start) / spent_s),
        fill_s=round(spent_s, 1),
        rss_tenth_mib=round(early or _rss_mib(), 1),
        rss_full_mib=round(_rss_mib(), 1),
        rss_peak_mib=round(peak_mib(), 1),
    )


def _bare(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE leaf(idx INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return db


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e6


def commits(log: Lineage, records: list[Record], folder: Path, rounds: int, figures: Figures) -> None:
    """Time single durable entries, in turns with a bare durable INSERT of as many bytes."""
    bare = _bare(folder / "bare.db")
    body = bytes(len(log.leaf_body(0)))

    def insert() -> None:
        with bare:
            bare.execute("INSERT INTO leaf(body) VALUES(?)", (body,))

    def append() -> None:
        with log.transaction():
            _append(log, records[log.size % len(records)], BASE_NS + log.size)

    pairs = [(_timed(insert), _timed(append)) for _ in range(rounds + WARM_UP)][WARM_UP:]
    bare.close()
    base, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    figures.note(
        bare_commit_p50_us=round(base, 1),
        append_p50_us=round(ours, 1),
        append_over_bare=round(ours / base, 2),
        append_p99_us=round(sorted(o for _, o in pairs)[int(len(pairs) * 0.99)], 1),
    )


def proofs(log: Lineage, rounds: int, figures: Figures) -> None:
    """Time inclusion proofs of random entries, each verified, and consistency proofs from random earlier sizes."""
    chosen = random.Random(1)
    spent, worked, checked, across = [], [], [], []
    head = log.head()
    for _ in range(rounds):
        index = chosen.randrange(log.size)
        began, busy_ns = time.perf_counter(), time.thread_time_ns()
        path = log.inclusion(index)
        worked.append((time.thread_time_ns() - busy_ns) / 1e3)
        spent.append((time.perf_counter() - began) * 1e6)
        leaf = merkle.leaf_hash(log.leaf_body(index))
        began = time.perf_counter()
        refusal = merkle.verify_inclusion(leaf, index, head.size, path, head.root)
        checked.append((time.perf_counter() - began) * 1e6)
        if refusal is not None:
            raise RuntimeError(f"proof of entry {index} does not hold: {refusal}")
        old = chosen.randrange(1, log.size)
        across.append(_timed(lambda old=old: log.consistency(old, log.size)))  # type: ignore[misc]
    figures.note(
        inclusion_p50_us=round(statistics.median(spent), 1),
        inclusion_p99_us=round(sorted(spent)[int(rounds * 0.99)], 1),
        inclusion_cpu_p99_us=round(sorted(worked)[int(rounds * 0.99)], 1),
        inclusion_verify_p50_us=round(statistics.median(checked), 1),
        consistency_p50_us=round(statistics.median(across), 1),
        proof_hashes=len(path),
    )


def _check_records(public: bytes, raws: list[bytes]) -> float:
    """Return the seconds to parse and verify records from bytes."""
    began = time.perf_counter()
    for raw in raws:
        unproven = parse(raw)
        if not isinstance(unproven, Unproven) or not isinstance(
            unproven.prove(public, NETWORK, verify=keys.verify_anew), Record
        ):
            raise TypeError("a record of the bench does not hold")
    return time.perf_counter() - began


def _check_signatures(public: bytes, signed: list[tuple[bytes, bytes]]) -> float:
    """Return the seconds of the bare signature checks of the same records."""
    began = time.perf_counter()
    for signature, message in signed:
        if not keys.verify_anew(public, signature, message):
            raise TypeError("a signature of the bench does not hold")
    return time.perf_counter() - began


def _busy(check: Callable[..., float], public: bytes, what: object) -> float:
    """Return a check's processor time in seconds, without that of other processes."""
    began = time.process_time()
    check(public, what)
    return time.process_time() - began


def _signed_bytes(raw: bytes) -> tuple[bytes, bytes]:
    message = cose.parse(raw)
    if not isinstance(message, cose.Unverified):
        raise TypeError("a record of the bench does not hold")
    return message.signature, cose.to_be_signed(message.protected, message.payload, aad(NETWORK))


def verification(key: SigningKey, records: list[Record], rounds: int, figures: Figures) -> None:
    """Time the verification of records beside bare signature checks, in turns, on one core and on all of them."""
    raws = [record.raw for record in records][:CHUNK]
    signed = [_signed_bytes(raw) for raw in raws]
    workers = os.cpu_count() or 1
    cpu = [
        (_busy(_check_signatures, key.public, signed), _busy(_check_records, key.public, raws)) for _ in range(rounds)
    ]
    base_cpu_s, ours_cpu_s = (min(side) for side in zip(*cpu, strict=True))
    one = [(_check_signatures(key.public, signed), _check_records(key.public, raws)) for _ in range(rounds)]
    base_s, ours_s = (min(side) for side in zip(*one, strict=True))
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_check_signatures, [key.public] * workers, [signed] * workers))
        began = time.perf_counter()
        list(pool.map(_check_signatures, [key.public] * workers * rounds, [signed] * workers * rounds))
        base_all_s = time.perf_counter() - began
        began = time.perf_counter()
        list(pool.map(_check_records, [key.public] * workers * rounds, [raws] * workers * rounds))
        ours_all_s = time.perf_counter() - began
    total = len(raws) * workers * rounds
    figures.note(
        cores=workers,
        bare_verify_per_s=round(len(raws) / base_s),
        verify_per_s=round(len(raws) / ours_s),
        verify_over_bare=round(base_s / ours_s, 2),
        verify_over_bare_cpu=round(base_cpu_s / ours_cpu_s, 2),
        bare_verify_all_cores_per_s=round(total / base_all_s),
        verify_all_cores_per_s=round(total / ours_all_s),
        verify_over_bare_all_cores=round(base_all_s / ours_all_s, 2),
    )


def start_check(log: Lineage, public: bytes, figures: Figures) -> None:
    """Time a start: the whole file is read and compared with its tree and its signed heads."""
    began = time.perf_counter()
    refusal = log.verify(public)
    if refusal is not None:
        raise RuntimeError(f"the log of the bench does not hold: {refusal}")
    figures.note(start_check_s=round(time.perf_counter() - began, 2), file_mib=round(log.path.stat().st_size / 2**20))


def run(folder: Path, *, size: int, group: int, rounds: int) -> dict[str, Any]:
    """Measure everything on a log of `size` entries in `folder`."""
    figures = Figures()
    key = SigningKey.from_seed(bytes(range(32)))
    records = make_records(key, DISTINCT)
    log = Lineage(folder / "lineage.db", origin=f"bandpact/{NETWORK}/bench")
    fill(log, records, size, group, figures)
    commits(log, records, folder, rounds, figures)
    proofs(log, rounds, figures)
    with log.transaction():
        log.checkpoint(key)
    start_check(log, key.public, figures)
    log.close()
    verification(key, records, max(3, rounds // 50), figures)
    return figures.values
