"""Leases that change hands and jurisdictions of the rule in force, as plain values for status and page."""

from typing import Any

from agent.node.cellviews import area_fields, cell_fields
from agent.node.handovers import standing_of
from settlement.chain.records import digest
from settlement.pair.jurisdictions import jurisdictions_of, touched_by
from settlement.party.party import Party
from settlement.records.grant import Grant
from settlement.records.handover import Handover

HANDOVERS_MAX = 32
GIVEN, RECEIVED = "given", "received"


def handovers_shown(party: Party) -> list[dict[str, Any]]:
    """Every lease that this node hands on (`given`) or has from another (`received`), the newest last.

    Each with its kind, from whom to whom, its band, window and area, how far it has got, and why it failed if it did.
    """
    given = []
    for handover, handing in party.holder.handings.known.items():
        standing = standing_of(party, handover)
        given.append(
            {
                "handover": handover.hex(),
                "role": GIVEN,
                "kind": handing.kind,
                "settlement": handing.sid.hex(),
                "child": None if standing.child is None else standing.child.hex(),
                "by": _name(party, party.identity.credential),
                "to": _name(party, handing.to),
                **cell_fields(handing.cell),
                "eirp_mdbm": handing.max_eirp_mdbm,
                "stage": standing.stage.value,
                "why": standing.why,
            }
        )
    received = []
    for pair in party.user.busy.values():
        grant = party.record_of(pair.grant)
        named = grant.body.handover if grant is not None and isinstance(grant.body, Grant) else None
        record = party.record_of(named)
        if grant is None or named is None or record is None or not isinstance(record.body, Handover):
            continue
        received.append(
            {
                "handover": named.hex(),
                "role": RECEIVED,
                "kind": record.body.kind,
                "settlement": record.body.sid.hex(),
                "child": pair.sid.hex(),
                "by": _name(party, grant.frame.author),
                "to": _name(party, party.identity.credential),
                **cell_fields(pair.cell),
                "eirp_mdbm": grant.body.max_eirp_mdbm,
                "stage": "settled" if pair.in_force else "asked for",
                "why": "",
            }
        )
    return [*given, *received][-HANDOVERS_MAX:]


def jurisdictions_shown(party: Party) -> list[dict[str, Any]]:
    """Each jurisdiction of the rule in force: authority, clause, area, terms, and the settlements here that touch it.

    `represented` says whether this node's own credential comes from that authority.
    """
    rule, me = party.rule.rule, party.registry.get(party.identity.credential)
    cells = [(pair.sid, pair.cell) for pair in party.user.busy.values()]
    cells += [(pair.sid, pair.cell) for pair in party.holder.busy.values()]
    touching = [(sid, {one.record for one in touched_by(rule, cell)}) for sid, cell in cells]
    mine = {digest(raw) for raw in me.chain} if me is not None else set()
    return [
        {
            "name": one.body.name,
            "clause": one.body.clause,
            "authority": _name(party, one.authority),
            "represented": one.authority in mine,
            "area": area_fields(one.body.area),
            "from_ns": one.body.effective.start_ns,
            "until_ns": one.body.effective.end_ns,
            "reconciliation": one.body.reconciliation,
            "classes": [
                {
                    "commodity": terms.commodity,
                    "max_eirp_mdbm": terms.max_eirp_mdbm,
                    "max_window_ns": terms.max_window_ns,
                    "price_low": terms.price_low,
                    "price_high": terms.price_high,
                }
                for terms in one.body.classes
            ],
            "settlements": sorted(sid.hex() for sid, records in touching if one.record in records),
        }
        for one in jurisdictions_of(rule)
    ]


def _name(party: Party, credential: bytes | None) -> str:
    subject = party.registry.get(credential)
    return subject.name if subject is not None else (credential or b"").hex()[:8]
