"""Verifies a directory's answer: each entry from its bytes, under the roots that the client trusts."""

from collections.abc import Iterable, Sequence

from agent.words.celltext import window_text
from settlement.chain.admission import Admitted, prove
from settlement.chain.credentials import Registry
from settlement.core.reasons import Refusal
from settlement.market.directory import DirectoryEntry, DirectoryQuery, fits
from settlement.records.market import Declaration, Intent


def judged(
    entries: Sequence[DirectoryEntry], query: DirectoryQuery, network: str, anchors: Iterable[bytes]
) -> tuple[list[dict[str, object]], list[str]]:
    """Return a row for each entry that verifies, and the reason for each other one."""
    registry = Registry(network, anchors)
    rows: list[dict[str, object]] = []
    broken = []
    for entry in entries:
        author = registry.admit_chain(entry.chain)
        proven = author if isinstance(author, Refusal) else prove(entry.record, registry)
        if not isinstance(proven, Admitted):
            broken.append(str(proven))
            continue
        body = proven.record.body
        if not isinstance(body, Declaration | Intent) or not fits(query, body):
            broken.append(f"{proven.record.typ} by {proven.author.name}: not what was asked for")
            continue
        rows.append(
            {
                "who": proven.author.name,
                "record": proven.record.digest.hex(),
                "commodity": body.commodity,
                "band": str(body.cell.band),
                "price": body.price,
                "window": window_text(body.cell.window),
            }
        )
    return rows, broken
