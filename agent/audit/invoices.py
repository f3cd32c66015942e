"""The invoice of lineages in files: read, proven by their anchors, and summed up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.audit.lineages import lineages, trust
from settlement.audit.invoice import invoice
from settlement.audit.lease import read_entries
from settlement.audit.verify import raw_entries
from settlement.chain.credentials import Registry


def invoiced(path: Path, anchors: Sequence[str] | None, network: str | None) -> list[dict[str, Any]]:
    """The lines of the invoice, as plain values. Raises AuditError where there is no lineage at `path`."""
    name, trusted = trust(path, anchors, network)
    logs = {str(one): read_entries(enumerate(raw_entries(one)), Registry(name, trusted)) for one in lineages(path)}
    return [line.as_json() for line in invoice(logs)]
