"""Computes the invoice of lineages in files or a bundle, from records verified by their anchors."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.audit.lineages import is_bundle, lineages, logs_in_bundle, trust
from settlement.audit.invoice import invoice
from settlement.audit.lease import read_entries
from settlement.audit.verify import raw_entries
from settlement.chain.credentials import Registry


def invoiced(path: Path, anchors: Sequence[str] | None, network: str | None) -> list[dict[str, Any]]:
    """Return the invoice's lines as plain values. Raises AuditError where there is no lineage at `path`."""
    name, trusted = trust(path, anchors, network)
    logs = {log: read_entries(enumerate(found), Registry(name, trusted)) for log, found in _logs(path)}
    return [line.as_json() for line in invoice(logs)]


def _logs(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    if is_bundle(path):
        yield from ((log.origin, log.entries) for log in logs_in_bundle(path))
    else:
        yield from ((str(one), raw_entries(one)) for one in lineages(path))
