"""Compares a node's stored state with the state recomputed from its log alone, and names each row that differs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settlement.audit.retold import over_ns, take
from settlement.audit.verify import kept_rows, leaves, raw_entries
from settlement.chain.codec import decode
from settlement.chain.credentials import Registry
from settlement.chain.prunedleaf import PrunedLeaf, decode_pruned, is_pruned
from settlement.chain.records import digest
from settlement.chain.weights import FAILED, FULFILLED
from settlement.core.reasons import Refusal
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.holder import HolderPair
from settlement.pair.table import HolderState, UserState
from settlement.pair.user import STORE as USER
from settlement.pair.user import UserPair
from settlement.pair.work import STORED_LIMIT
from settlement.records.conduct.registry import CONDUCTS
from settlement.records.conduct.replay import Fields, Retelling, Row
from settlement.records.registry import TYPE_OF
from settlement.state.messages import decode_message
from settlement.state.retention import KINDS
from settlement.state.step import SWEPT

REPLY = "reply"
WHOLE = frozenset(kind for conduct in CONDUCTS.values() for kind in conduct.keeps)
COUNTED = ("fence", FULFILLED, FAILED)
ABSENT = "no such row"
_FORMS: dict[str, Any] = {HOLDER: HolderPair, USER: UserPair}
# Changes of state that time alone causes, without a record in the log: the end of a window, an answer that did not
# come in time, and the wait for co-signatures.
_LATER = {
    (HOLDER, HolderState.RESERVED, HolderState.COORDINATING),
    (HOLDER, HolderState.CONFIRMED, HolderState.ENDED),
    (HOLDER, HolderState.SUSPENDED, HolderState.ENDED),
    (USER, UserState.REQUESTED, UserState.REFUSED),
    (USER, UserState.ACCEPTED, UserState.ABORTED),
    (USER, UserState.SETTLED, UserState.ENDED),
    (USER, UserState.SUSPENDED, UserState.ENDED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One stored row that differs from the recomputed one."""

    row: str
    kept: str
    retold: str

    def __str__(self) -> str:
        """Return the difference as one line for people."""
        return f"{self.row}: kept is {self.kept}, the log makes it {self.retold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many rows and counters the log determines, which of them differ, and how many it does not determine."""

    checked: int
    differences: tuple[Difference, ...]
    unsaid: int


def compare(path: Path, *, network: str, anchors: Iterable[bytes]) -> Compared:
    """Recompute a log file's state and counters from its entries and compare them. Raises LineageError."""
    retold = Retelling(Registry(network, anchors))
    own: set[bytes] = set()
    gone: set[str] = set()
    for body in raw_entries(path):
        if is_pruned(body):
            stub = decode_pruned(body)
            gone |= {stub.kind} if isinstance(stub, PrunedLeaf) else set()
            continue
        for leaf in leaves((body,)):
            take(retold, leaf)
            own.add(leaf.subject)
    rows, counters = _tellable(*kept_rows(path), retold, gone)
    swept_ns = int.from_bytes(rows.get((SWEPT, b""), b""), "big")
    over = {row: over_ns(retold, row) for row in retold.pairs.keys() | retold.rows.keys()}
    forgotten = {row for row, over_ns in over.items() if row not in rows and over_ns is not None and over_ns < swept_ns}
    found = [
        *_pairs(rows, retold, forgotten),
        *_whole(rows, retold, forgotten),
        *_replies(rows, retold, own),
        *_counters(counters, retold),
    ]
    said = [row for row in rows if row[0] in WHOLE or row[0] in _FORMS or row[0] == REPLY]
    counted = [name for name in counters if name.startswith(COUNTED)]
    unsaid = len(rows) - len(said) + len(counters) - len(counted)
    return Compared(checked=len(said) + len(counted), differences=tuple(found), unsaid=unsaid)


def _tellable(
    rows: dict[Row, bytes], counters: dict[str, int], retold: Retelling, gone: set[str]
) -> tuple[dict[Row, bytes], dict[str, int]]:
    """Return rows and counters without those that rest on deleted entries: the log no longer decides them."""
    types = [TYPE_OF[KINDS[kind]] for kind in gone if kind in KINDS]
    kinds = {kind for typ in types for kind in CONDUCTS[typ].keeps}
    for row in [row for row in retold.rows if row[0] in kinds]:
        del retold.rows[row]
    if types:
        for name in [*retold.counters]:
            del retold.counters[name]
        counters = {name: value for name, value in counters.items() if not name.startswith(COUNTED)}
    return {row: value for row, value in rows.items() if row[0] not in kinds}, counters


def _named(row: Row) -> str:
    return f"{row[0]} {row[1].hex()[:16]}"


def _shown(value: Any) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)


def _pairs(rows: dict[Row, bytes], retold: Retelling, gone: set[Row]) -> Iterator[Difference]:
    for row in sorted(({r for r in rows if r[0] in _FORMS} | set(retold.pairs)) - gone):
        fields, raw = retold.pairs.get(row), rows.get(row)
        if fields is None or raw is None:
            kept, made = ("there", ABSENT) if fields is None else (ABSENT, "a settlement")
            yield Difference(row=_named(row), kept=kept, retold=made)
            continue
        held = decode(_FORMS[row[0]], raw, row[0], limit=STORED_LIMIT)
        if isinstance(held, Refusal):
            yield Difference(row=_named(row), kept=str(held), retold="a settlement")
        else:
            yield from _fields(row, held, fields)


def _fields(row: Row, held: HolderPair | UserPair, fields: Fields) -> Iterator[Difference]:
    for name, value in fields.items():
        kept = getattr(held, name)
        later = name == "state" and (row[0], value, kept) in _LATER
        if kept != value and not later:
            yield Difference(row=f"{_named(row)} {name}", kept=_shown(kept), retold=_shown(value))
    if isinstance(held, HolderPair):
        yield from _busy(row, held)


def _busy(row: Row, held: HolderPair) -> Iterator[Difference]:
    """Yield a settlement whose cell is stored as free too early.

    After an ABORT it is free at once; after an early end not before its last lease is over; else not before its window
    is.
    """
    least_ns = {
        HolderState.RESERVED: held.cell.window.end_ns,
        HolderState.COORDINATING: held.cell.window.end_ns,
        HolderState.CONFIRMED: held.cell.window.end_ns,
        HolderState.SUSPENDED: held.cell.window.end_ns,
        HolderState.ENDED: min(held.cell.window.end_ns, held.transmit_until_ns or 0),
    }.get(HolderState(held.state), 0)
    if held.busy_until_ns < least_ns:
        kept = f"busy until {held.busy_until_ns} ns"
        yield Difference(row=f"{_named(row)} busy_until_ns", kept=kept, retold=f"busy until {least_ns} ns or later")


def _whole(rows: dict[Row, bytes], retold: Retelling, gone: set[Row]) -> Iterator[Difference]:
    for row in sorted(({r for r in rows if r[0] in WHOLE} | set(retold.rows)) - gone):
        if row not in rows or row not in retold.rows:
            kept, made = (ABSENT, "there") if row not in rows else ("there", ABSENT)
            yield Difference(row=_named(row), kept=kept, retold=made)
        elif retold.rows[row] not in (None, rows[row]):
            yield Difference(row=_named(row), kept=_shown(rows[row]), retold=_shown(retold.rows[row]))


def _replies(rows: dict[Row, bytes], retold: Retelling, own: set[bytes]) -> Iterator[Difference]:
    """Yield stored answers whose record is not in the log, and GRANTs without a stored answer to their REQUEST."""
    for row in sorted(r for r in rows if r[0] == REPLY):
        message = decode_message(rows[row])
        if isinstance(message, Refusal) or digest(message.record) not in own:
            yield Difference(row=_named(row), kept="an answer with another record", retold="one of this log's")
    for (kind, sid), pair in sorted(retold.pairs.items()):
        forgotten = (kind, sid) not in rows  # and with it the answer
        if kind == HOLDER and not forgotten and (REPLY, pair["request"]) not in rows:
            yield Difference(row=_named((REPLY, pair["request"])), kept=ABSENT, retold="a GRANT")


def _counters(counters: dict[str, int], retold: Retelling) -> Iterator[Difference]:
    for name in sorted({n for n in counters if n.startswith(COUNTED)} | set(retold.counters)):
        kept, made = counters.get(name, 0), retold.counters[name]
        if kept != made:
            yield Difference(row=f"counter {name[:48]}", kept=str(kept), retold=str(made))
