"""Recomputes a node's stored state from its log alone, record by record.

The log determines: settlements of both sides, offers made and heard, rules, status lists, rotations, reviews, reports
of use, suspended and used budgets, fences, and the records of fulfilment. State that changes with time alone may have
moved on (a window that is over, an answer that never came). The log does not determine bands blocked for an incumbent,
the time of the last sending, and the witnesses' own notes; only the owner's signature covers these.

No signature is checked here: the audit has done that, entry by entry, before.
"""

from settlement.chain import codec
from settlement.chain.leaf import OWN, Leaf
from settlement.chain.records import Attestation, Unproven, parse
from settlement.core.fixes import TimeFix, TimeSource
from settlement.pair.holder import OFFERS
from settlement.pair.user import HEARD
from settlement.records.authority import Credential
from settlement.records.conduct.fulfilment import reweighed
from settlement.records.conduct.registry import conduct_of
from settlement.records.conduct.replay import Fields, Retelling, Row, Said
from settlement.records.quorum import Proposal
from settlement.records.registry import RECORDS
from settlement.state.assembly import PROPOSED, WITHDRAWN, proposal_over_ns

__all__ = ["Fields", "Row", "Said", "over_ns", "read", "take"]


def read(leaf: Leaf) -> Said | None:
    """Return the decoded record of an entry; None for an entry without a readable record and for a root credential."""
    unproven = parse(leaf.record) if leaf.record is not None else None
    if not isinstance(unproven, Unproven) or unproven.author is None or leaf.record is None:
        return None
    return Said(
        raw=leaf.record,
        digest=leaf.subject,
        typ=unproven.typ,
        author=unproven.author,
        body=codec.from_map(unproven.schema, unproven.payload.get(6), unproven.typ),
        own=leaf.origin == OWN,
        arrived=TimeFix(
            earliest_ns=leaf.arrived_earliest_ns,
            latest_ns=leaf.arrived_latest_ns,
            source=TimeSource.SIMULATED,
            trusted=True,
        ),
        rule=leaf.rule,
        signed_ns=codec.from_map(Attestation, unproven.payload.get(5), "attestation").latest_ns,
    )


def over_ns(told: Retelling, row: Row) -> int | None:
    """Return when (UTC, ns) a row is obsolete and may have been deleted; None for a row that is kept."""
    if row in told.pairs:
        return int(told.pairs[row]["cell"].window.end_ns)
    if row[0] in (OFFERS, HEARD):
        return int(told.said[row[1]].body.cell.window.end_ns)
    if row[0] in (PROPOSED, WITHDRAWN):
        asked = told.said[row[1]].body
        return proposal_over_ns(asked) if isinstance(asked, Proposal) else None
    return None


def take(told: Retelling, leaf: Leaf) -> None:
    """Apply one more entry, by the conduct of its type."""
    said = read(leaf)
    if said is None:
        if leaf.admitted and leaf.record is not None:
            told.registry.admit(leaf.record)
        return
    conduct = conduct_of(RECORDS[said.typ])
    if not leaf.admitted:
        conduct.turned_down(told, said, leaf.reason, leaf.clause)
        return
    if isinstance(said.body, Credential):
        told.registry.admit(said.raw)
        return
    told.said[said.digest] = said
    (conduct.own if said.own else conduct.heard)(told, said)
    reweighed(told, said)
