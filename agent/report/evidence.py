"""Reads the evidence of a run with real radios, from folders, logs and events: only what was signed or noted."""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.audit.lineages import lineages, trust
from agent.audit.sources import AuditError, found_at
from agent.node.events import BEFORE, FILE, WATERFALL
from agent.report.data import WaterfallPicture
from settlement.audit.crosscheck import cross_check
from settlement.audit.findings import Audited, Findings
from settlement.audit.lease import LogEntry, read_entries
from settlement.audit.verify import audit_lineage, raw_entries
from settlement.chain.credentials import Registry, Subject

READY = "ready"
WATERFALL_MAX = 256 << 20
"""Most bytes of an unpacked waterfall."""
_UNREAD = (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, MemoryError,
           RecursionError, SyntaxError, tokenize.TokenError)  # fmt: skip
"""Exceptions that numpy raises for a malformed file: it parses an array's header as Python text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLog:
    """One node's evidence: its audited log with every entry, its events, its identity."""

    name: str
    role: str
    path: Path
    audited: Audited
    entries: tuple[LogEntry, ...]
    events: tuple[dict[str, Any], ...]
    """Events with `utc_ns`, where the node noted the time when it started."""
    owner: Subject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogs:
    """All logs of one network, and the faults found between them."""

    network: str
    logs: tuple[NodeLog, ...]
    crossed: Findings
    registry: Registry

    def name_of(self, credential: bytes | None) -> str:
        """Return a node's name by its credential."""
        subject = self.registry.get(credential) if credential is not None else None
        return subject.name if subject is not None else credential.hex()[:8] if credential is not None else ""


def gather(sources: Sequence[Path], *, anchors: Sequence[str] | None = None, network: str | None = None) -> RunLogs:
    """Read and audit every log of the sources, each log once. Raises AuditError."""
    trusted = [(source, *trust(source, anchors, network)) for source in sources]
    names = {name for _, name, _ in trusted}
    if len(names) != 1:
        raise AuditError(f"these are of {len(names)} networks ({', '.join(sorted(names))}); report them one by one")
    roots = sorted({root for _, _, known in trusted for root in known})
    name = names.pop()
    registry = Registry(name, roots)
    paths = list(dict.fromkeys(path.resolve() for source in sources for path in lineages(source)))
    logs = [_log(path, _beside(path), name, roots, registry) for path in paths]
    if len({log.audited.origin for log in logs}) < len(logs):
        raise AuditError("two of these are one node's log; give each node once")
    crossed = cross_check([log.audited for log in logs])
    return RunLogs(network=name, logs=tuple(logs), crossed=crossed, registry=registry)


def _log(path: Path, beside: dict[str, Path], network: str, roots: list[bytes], registry: Registry) -> NodeLog:
    audited = audit_lineage(path, network=network, anchors=roots)
    own = Registry(network, roots)
    entries = tuple(read_entries(enumerate(raw_entries(path)), own))
    for subject in own.subjects():
        registry.admit_chain(subject.chain)
    owner = own.get(audited.owner) if audited.owner is not None else None
    return NodeLog(
        name=owner.name if owner is not None else path.stem,
        role=_role(owner),
        path=path,
        audited=audited,
        entries=entries,
        events=tuple(_timed(_events(beside))),
        owner=owner,
    )


def _role(owner: Subject | None) -> str:
    actions = owner.scope.actions if owner is not None else ()
    return "holder" if "grant" in actions else "user" if "request" in actions else "unknown"


def _beside(log: Path) -> dict[str, Path]:
    """Return the files that belong to a log: in its node's folder, or under its node's name in a folder of many."""
    folder, many = log.parent, log.name not in ("lineage.db", "sealed.db")
    found = {name: folder / (f"{log.stem}.{name}" if many else name) for name in (BEFORE, FILE, WATERFALL)}
    return {name: path for name, path in found.items() if path.is_file()}


def _events(beside: dict[str, Path]) -> Iterator[dict[str, Any]]:
    for name in (BEFORE, FILE):
        path = beside.get(name)
        for line in path.read_bytes().splitlines() if path is not None else ():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a last line that was cut short, or text not written by this program
            if isinstance(event, dict) and _instant(event.get("mono_ns")):
                yield event if _instant(event.get("utc_ns", 0)) else {k: v for k, v in event.items() if k != "utc_ns"}


def _instant(value: object) -> bool:
    """Return whether a value is a number of nanoseconds."""
    return type(value) is int and 0 <= value < 1 << 63


def _timed(events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Add UTC to events, from the time noted at the node's last start; events before the first start use that one."""
    listed = list(events)
    known = next((_offset(one) for one in listed if _offset(one) is not None), None)
    for event in listed:
        known = _offset(event) or known
        yield event if known is None else {**event, "utc_ns": event["mono_ns"] + known}


def _offset(event: dict[str, Any]) -> int | None:
    utc_ns = event.get("utc_ns")
    return utc_ns - event["mono_ns"] if event.get("event") == READY and isinstance(utc_ns, int) else None


def heard_by(log: NodeLog, zero_ns: int) -> WaterfallPicture | None:
    """Return a node's waterfall, where it left one and noted the time; seconds since `zero_ns` (UTC)."""
    path = _beside(log.path).get(WATERFALL)
    offset = next((one["utc_ns"] - one["mono_ns"] for one in reversed(log.events) if "utc_ns" in one), None)
    if path is None or offset is None:
        return None
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > WATERFALL_MAX:
                raise AuditError(f"{path}: more than {WATERFALL_MAX} bytes; take it away, the report does without")
        with np.load(path) as saved:
            level, times_ns, edges = saved["level_db"], saved["times_ns"], saved["edges_hz"]
        wrong = _misshapen(level, times_ns, edges)
    except _UNREAD as exc:
        raise AuditError(f"{path}: {exc}; take it away, the report does without") from exc
    if wrong:
        raise AuditError(f"{path}: {wrong}; take it away, the report does without")
    if not len(times_ns) or not np.isfinite(level).any():
        return None
    times_s = (times_ns.astype(np.int64) + offset - zero_ns) / 1e9
    return WaterfallPicture(
        node=log.name, level_db=level, times_s=times_s, low_hz=float(edges[0]), high_hz=float(edges[1])
    )


HIGHEST_HZ, LATEST_NS, LOUDEST_DB = 1e12, float(1 << 62), 1e4


def _misshapen(level: NDArray[Any], times_ns: NDArray[Any], edges: NDArray[Any]) -> str:
    """Return why arrays are no waterfall; "" where they are one."""
    if any(one.dtype.kind not in "fiu" for one in (level, times_ns, edges)):
        return "not the numbers of a waterfall"
    fits = level.ndim == 2 and times_ns.ndim == edges.ndim == 1 and len(level) == len(times_ns) and len(edges) == 2
    if not fits or level.shape[1] == 0:
        return "not the shape of a waterfall"
    if not 0 < edges[0] < edges[1] < HIGHEST_HZ:  # False for NaN too
        return "not the edges of a band"
    if len(times_ns) and not (times_ns.min() >= 0 and times_ns.max() < LATEST_NS and (np.diff(times_ns) >= 0).all()):
        return "not times that go on"
    heard = level[np.isfinite(level)]
    return "not levels in dB" if np.isposinf(level).any() or (np.abs(heard) > LOUDEST_DB).any() else ""


def folder_for(sources: Sequence[Path]) -> Path:
    """Return the report's default folder: beside the first source."""
    first = sources[0]
    return (first if first.is_dir() else found_at(first).path.parent) / "report"
