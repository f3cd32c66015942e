"""Filters entries of lineages for an auditor: by settlement, author, type, reason or time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audit.lineages import AuditError, is_bundle, lineages, logs_in_bundle, trust
from agent.words.celltext import about
from settlement.audit.verify import entries, leaves
from settlement.chain.admission import proven
from settlement.chain.bodies import BODIES, Abort, Envelope, Evidence, Gate, Preempt, Relinquish, Revocation, Verdict
from settlement.chain.credentials import Registry
from settlement.chain.leaf import Leaf
from settlement.chain.lineage import LineageError
from settlement.core.reasons import Reason
from settlement.records.observation import HEARD_AFTER_END


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Criteria of entries: beginning of the id, type, reason, author's name, UTC ns (end excluded); None admits all."""

    sid: str | None = None
    typ: str | None = None
    reason: str | None = None
    node: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Return whether the filter admits a row."""
        at_ns = row["arrived_ns"]
        return (
            (self.sid is None or str(row["sid"] or "").startswith(self.sid))
            and (self.typ is None or row["type"] == self.typ)
            and (self.reason is None or row["reason"] == self.reason)
            and (self.node is None or row["author"] == self.node)
            and (self.since_ns is None or at_ns >= self.since_ns)
            and (self.until_ns is None or at_ns < self.until_ns)
        )


def wanted(
    *,
    sid: str | None,
    typ: str | None,
    reason: str | None,
    node: str | None,
    since_ns: int | None,
    until_ns: int | None,
) -> EntryFilter:
    """Build a filter from a user's options. Raises AuditError for an unknown type or reason."""
    if typ is not None and typ not in BODIES:
        raise AuditError(f"--type {typ}: no such type; there are {', '.join(sorted(BODIES))}")
    if reason is not None and reason.upper() not in Reason.__members__:
        raise AuditError(f"--reason {reason}: no such reason; there are {', '.join(sorted(Reason.__members__))}")
    if sid is not None and not set(sid.lower()) <= set("0123456789abcdef"):
        raise AuditError(f"--sid {sid}: not hexadecimal")
    return EntryFilter(
        sid=sid.lower() if sid else None,
        typ=typ,
        reason=reason.upper() if reason else None,
        node=node,
        since_ns=since_ns,
        until_ns=until_ns,
    )


def _logs(path: Path) -> Iterator[tuple[str, Iterable[Leaf]]]:
    """Yield name and entries of each lineage at `path`, files or a bundle. Raises AuditError."""
    if is_bundle(path):
        for log in logs_in_bundle(path):
            yield log.origin.rpartition("/")[2], leaves(log.entries)
        return
    for one in lineages(path):
        yield one.stem, entries(one)


def shown(
    path: Path, wanted: EntryFilter, *, anchors: Sequence[str] | None, network: str | None
) -> list[dict[str, Any]]:
    """Return the entries of the lineages at `path` that the filter admits, in order. Raises AuditError."""
    name, trusted = trust(path, anchors, network)
    rows: list[dict[str, Any]] = []
    try:
        for log, found in _logs(path):
            registry, known = Registry(name, trusted), dict[bytes, dict[str, Any]]()
            every = (_entry(log, n, leaf, registry, known) for n, leaf in enumerate(found))
            rows += [row for row in every if wanted.takes(row)]
    except LineageError as exc:
        raise AuditError(str(exc)) from exc
    return rows


def _says(body: object) -> str:
    """Return a record's content as text: its reason if it has one, then band, power, place and times."""
    return ", ".join(part for part in (_reason(body), about(body)) if part)


def _reason(body: object) -> str:
    match body:
        case Verdict():
            return f"{body.reason} [{body.clause}] {body.measured}"
        case Abort() | Evidence() | Preempt() | Relinquish():
            return body.reason
        case Gate():
            return f"{body.previous} to {body.state} {body.reason}".strip()
        case Revocation():
            return f"list {body.version}"
        case Envelope():
            heard = [one for one in body.channels if HEARD_AFTER_END in one.flags]
            return ", ".join(f"{one.band} {' '.join(one.flags)}" for one in heard)
        case _:
            return ""


def _of_record(leaf: Leaf, registry: Registry, known: dict[bytes, dict[str, Any]]) -> dict[str, Any]:
    """Return an entry's record as plain values; a repeated record is named by hash only, as it was described before."""
    record = proven(leaf.record, registry) if leaf.record is not None else None
    if record is None:
        return known.get(leaf.subject) or {"type": None, "author": None, "sid": None, "says": ""}
    author = registry.get(record.frame.author)
    sid = record.sid.hex() if record.sid else None
    told = {"type": record.typ, "author": author.name if author else None, "sid": sid, "says": _says(record.body)}
    return known.setdefault(leaf.subject, told)


def _entry(log: str, number: int, leaf: Leaf, registry: Registry, known: dict[bytes, dict[str, Any]]) -> dict[str, Any]:
    return {
        "log": log,
        "entry": number,
        "arrived_ns": leaf.arrived_earliest_ns,
        **_of_record(leaf, registry, known),
        "admitted": bool(leaf.admitted),
        "reason": leaf.reason,
        "clause": leaf.clause,
        "measured": leaf.measured,
        "required": leaf.required,
        "digest": leaf.subject.hex(),
    }
