"""Audits many logs in parallel, each by itself; one row per log, stored as it is done."""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.audit.lineages import AuditError, NotALineage, lineages, verify
from agent.campaign.outcome import RunOutcome
from agent.campaign.runs import CampaignProgress
from agent.campaign.spec import CampaignError
from agent.campaign.store import CampaignStore
from agent.campaign.workers import made

FLEET_TABLE: Final = "logs.parquet"
VERIFIED: Final = frozenset({"VERIFIED", "NOT_SEALED"})
CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LogToAudit:
    """One log: its path, the hash of its content (a changed log is audited again), and its network and anchors."""

    path: str
    content: str
    network: str | None
    anchors: tuple[str, ...]

    @property
    def key(self) -> str:
        """The log's name in the table."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


def _content(path: Path) -> str:
    """Return the hash of a log with the files that belong to it: write-ahead log, seal, root."""
    held = hashlib.sha256()
    beside = (path.with_name(path.name + "-wal"), path.with_suffix(".seal"), path.with_suffix(".root"))
    for one in (path, *beside):
        if not one.is_file():
            continue
        held.update(f"{one.name}:{one.stat().st_size}\n".encode())
        with one.open("rb") as file:
            while data := file.read(CHUNK):
                held.update(data)
    return held.hexdigest()


def logs_in(paths: Iterable[Path], *, network: str | None, anchors: Iterable[str]) -> list[LogToAudit]:
    """Return every log in these folders and files, each once. Raises CampaignError where one of them has none."""
    found: dict[Path, LogToAudit] = {}
    trusted = tuple(anchors)
    for path in paths:
        for log in _logs(path):
            if log not in found:
                found[log] = LogToAudit(path=str(log), content=_content(log), network=network, anchors=trusted)
    return [found[log] for log in sorted(found)]


def _logs(path: Path) -> Iterator[Path]:
    """Yield logs and bundles of a file, a node's or a trial's folder, or a folder of such folders."""
    if path.is_file():
        yield path.resolve()
        return
    here = sorted(one.resolve() for kind in ("*.db", "*.bundle") for one in path.rglob(kind)) if path.is_dir() else []
    if here:
        yield from here
        return
    try:
        yield from (one.resolve() for one in lineages(path))
    except AuditError as exc:
        raise CampaignError(f"{path}: no log is there: {exc}") from exc


def audit_one(log: LogToAudit) -> RunOutcome:
    """Audit one log; an error becomes its outcome, none is raised."""
    began_s, figures = time.monotonic(), dict[str, float]()
    try:
        found = verify(Path(log.path), anchors=list(log.anchors) or None, network=log.network)
        rows = found["lineages"]
        outcome = str(found["outcome"])
        why = "; ".join([*(one for row in rows for one in row["problems"]), *found["problems"]][:3])
        figures = {"entries": float(sum(row["records"] for row in rows)), "settlements": float(found["settlements"])}
    except NotALineage as exc:
        outcome, why = "NOT_A_LINEAGE", str(exc)
    except Exception as exc:  # noqa: BLE001 - one log of thousands ends the audit of none of the others
        outcome, why = "error", f"{exc!r:.300}" if not isinstance(exc, AuditError) else str(exc)
    took_s = round(time.monotonic() - began_s, 3)
    return RunOutcome(key=log.key, outcome=outcome, why=why, took_s=took_s, host=socket.gethostname(), figures=figures)


def audit_fleet(
    logs: list[LogToAudit],
    store: CampaignStore | None,
    *,
    jobs: int,
    scheduler: str | None,
    tell: Callable[[str], None],
) -> dict[str, RunOutcome]:
    """Audit the logs not done yet; returns outcomes by key. Raises CampaignError, OSError."""
    by_key = {log.key: log for log in logs}
    done = {} if store is None else {key: one for key, one in store.done.items() if key in by_key}
    left = [log for key, log in by_key.items() if key not in done or done[key].outcome == "error"]
    progress = CampaignProgress(len(by_key), len(by_key) - len(left), tell)
    for one in made(audit_one, left, jobs=jobs, scheduler=scheduler) if left else ():
        if store is not None:
            store.keep(one)
        done[one.key] = one
        progress.one(one.outcome)
    return done


def write_fleet(logs: list[LogToAudit], done: dict[str, RunOutcome], folder: Path) -> Path:
    """Write a Parquet table with one row for each log. Raises OSError."""
    import pyarrow as pa
    from pyarrow import parquet

    rows: list[dict[str, Any]] = [
        {
            "log": log.path,
            "content_sha256": log.content,
            **{name: value for name, value in asdict(done[log.key]).items() if name != "figures"},
            "entries": done[log.key].figures.get("entries"),
            "settlements": done[log.key].figures.get("settlements"),
        }
        for log in logs
        if log.key in done
    ]
    target = folder / FLEET_TABLE
    fresh = target.with_suffix(".new")
    parquet.write_table(pa.Table.from_pylist(rows), fresh)
    fresh.replace(target)
    return target
