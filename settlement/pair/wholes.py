"""A settlement over several classes (a whole), all parts or none: its id, its proofs, and one decision for all parts.

The parts are in an order in which each holder's parts are together. Once every part is granted, the user ACCEPTs from
the last holder to the first; each ACCEPT shows the CONFIRMs of all later holders. A holder confirms all its parts of a
whole in one step, or none. So the first part is confirmed only if every other part is: its CONFIRM is the commit point
of the whole. Before it no part permits transmission; if it cannot come, the user gives the later parts back.
"""

import hashlib
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Any

import cbor2

from settlement.chain import codec
from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.scope import Cell
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.holderdecision import DecisionKeeper
from settlement.pair.holderpairs import HolderPair
from settlement.pair.settledrecords import judge_shown
from settlement.pair.table import Event, HolderState
from settlement.pair.userpairs import UserPair
from settlement.pair.work import Work
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant
from settlement.records.market import Request
from settlement.records.wholeparts import LaterPart, WholeOf

OPEN = (HolderState.RESERVED, HolderState.COORDINATING)
Prove = Callable[[bytes], Admitted | Refusal]


def terms_hash(commodity: str, cell: Cell, tier: int, eirp_mdbm: int, price: int) -> bytes:
    """Return SHA-256 over the terms of one part."""
    return hashlib.sha256(cbor2.dumps([commodity, codec.to_map(cell), tier, eirp_mdbm, price])).digest()


def whole_id(user: bytes, nonce: bytes, declarations: Sequence[bytes], terms: Sequence[bytes]) -> bytes:
    """Return the id of a whole: SHA-256 over its user, a nonce and every part."""
    named = [b"bandpact/1/whole", user, nonce, list(declarations), list(terms)]
    return hashlib.sha256(cbor2.dumps(named)).digest()


def judge_whole(body: Request, user: bytes) -> Refusal | None:
    """Refuse a REQUEST that does not match its stated part of a whole, whose id is over all its parts."""
    whole = body.whole
    if whole is None:
        return None
    if body.part is not None or body.counter is not None:
        return refuse(
            Reason.TERMS, "whole.part", "a part of a wish, or at a COUNTER's price", "a part of a whole alone"
        )
    here = terms_hash(body.commodity, body.cell, body.tier, body.eirp_mdbm, body.price)
    if (body.declaration, here) != (whole.declarations[whole.index], whole.terms[whole.index]):
        return refuse(Reason.TERMS, "whole.terms", f"another {body.commodity} part", "what this REQUEST asks for")
    named = whole_id(user, whole.nonce, whole.declarations, whole.terms)
    return None if named == whole.id else refuse(Reason.PROOF, "whole.id", whole.id.hex()[:16], named.hex()[:16])


def named_part(body: Request) -> dict[str, Any]:
    """Return the fields with which a GRANT of this REQUEST names its whole and its part."""
    whole = body.whole
    return {} if whole is None else {"whole": whole.id, "place": whole.index, "parts": len(whole.terms)}


def own_part(body: Request, offers: Container[bytes]) -> dict[str, Any]:
    """Return the fields with which a holder stores the whole and part of this REQUEST, and its own number of parts."""
    whole = body.whole
    if whole is None:
        return {}
    own = sum(1 for one in whole.declarations if one in offers)
    return {"whole": whole.id, "place": whole.index, "own_parts": own}


def judge_later(
    whole: WholeOf, shown: Sequence[LaterPart], mine: set[int], user: bytes, prove: Prove, *, rule: RuleInForce
) -> Refusal | None:
    """Refuse an ACCEPT that does not show every later part of other holders as confirmed, each as the rule allows.

    Args: mine: the places of this holder's own parts. user: the user that accepts. prove: verifies a record's
    signature.
    """
    by = {one.place: one for one in shown}
    for place in range(whole.index + 1, len(whole.terms)):
        if place in mine:
            continue
        if place not in by:
            measured = f"part {place} not shown"
            return refuse(Reason.INCOMPLETE, "whole.later", measured, "the CONFIRM of every later part")
        wrong = _judge_shown(by[place], whole, user, prove, rule)
        if wrong is not None:
            return wrong
    return None


def _judge_shown(shown: LaterPart, whole: WholeOf, user: bytes, prove: Prove, rule: RuleInForce) -> Refusal | None:
    here = f"whole.shown[{shown.place}]"
    proven = [prove(raw) for raw in (shown.grant, shown.accept, shown.confirm)]
    wrong = next((one for one in proven if isinstance(one, Refusal)), None)
    if wrong is not None:
        return replace(wrong, clause=here)
    admitted = [one for one in proven if isinstance(one, Admitted)]
    found = part_flaw(admitted, here, whole, shown.place, user) or judge_shown(admitted, rule)
    return None if found is None else replace(found, clause=here)


def part_flaw(proven: Sequence[Admitted], here: str, whole: WholeOf, place: int, user: bytes) -> Refusal | None:
    """Return why a proven GRANT, ACCEPT and CONFIRM are not a confirmed part of a whole; None where they are."""
    grant, accept, confirm = (one.record for one in proven)
    given, taken, decided = grant.body, accept.body, confirm.body
    if not (isinstance(given, Grant) and isinstance(taken, Accept) and isinstance(decided, Confirm)):
        return refuse(Reason.TYPE, here, f"{grant.typ}, {accept.typ}, {confirm.typ}", "grant, accept, confirm")
    if (given.whole, given.place, given.parts) != (whole.id, place, len(whole.terms)):
        measured = f"part {given.place} of {given.whole.hex()[:16] if given.whole else 'no whole'}"
        return refuse(Reason.INCOMPLETE, here, measured, f"part {place} of {whole.id.hex()[:16]}")
    said = terms_hash(given.commodity, given.cell, given.tier, given.max_eirp_mdbm, given.price)
    if said != whole.terms[place]:
        return refuse(Reason.TERMS, here, f"other terms of {given.commodity}", "the terms of the whole")
    chained = (
        taken.grant == grant.digest
        and (decided.grant, decided.accept) == (grant.digest, accept.digest)
        and confirm.frame.author == grant.frame.author
        and given.user == user == accept.frame.author
    )
    return None if chained else refuse(Reason.PROOF, here, given.sid.hex()[:16], "one settlement, of the user who asks")


class WholeDecisions(DecisionKeeper):
    """Decides a holder's parts of a whole together: all confirmed in one step, or all aborted."""

    def confirm(self, work: Work, pair: HolderPair, accept: bytes, event: Event, cosigned: tuple[bytes, ...]) -> None:
        """Sign the CONFIRM, the commit point; a part of a whole waits for this holder's other parts."""
        if pair.whole is None:
            super().confirm(work, pair, accept, event, cosigned)
            return
        ready: dict[str, Any] = {"accept": accept, "ready": 1}
        if event is Event.ACCEPT:
            now_ns = work.now.time.latest_ns
            noticed: dict[str, Any] = {"asked": (), "noticed_ns": now_ns, "notice_since_ns": now_ns}
            pair = self._pairs.move(work, pair, Event.ASKING, **ready, **noticed)
        else:
            pair = replace(pair, **ready)
            self._pairs.save(work, pair)
        parts = [one for one in self._parts(pair) if one.ready]
        if len(parts) < (pair.own_parts or 1):
            work.event("part waits", sid=pair.sid, band=pair.cell.band)
            return
        late = [one for one in parts if deadline_open(work.now.time, one.confirm_by_ns or 0, "whole.confirm_by")]
        if late:
            self.abort(work, late[0], Event.DEADLINE, Reason.INCOMPLETE, late[0].accept)
            return
        for part in parts:
            super().confirm(work, part, part.accept or b"", Event.COORDINATED, part.cosigned or ())

    def abort(self, work: Work, pair: HolderPair, event: Event, reason: Reason, accept: bytes | None = None) -> None:
        """Sign the ABORT, the other final decision; none of this holder's parts of the whole is then confirmed."""
        late = pair.ready and event is Event.DEADLINE
        super().abort(work, pair, event, Reason.INCOMPLETE if late else reason, accept)
        if pair.whole is None:
            return
        for other in self._parts(pair):
            if other.sid != pair.sid and other.state in OPEN:
                super().abort(work, other, Event.BARRED, Reason.INCOMPLETE, other.accept)

    def _parts(self, pair: HolderPair) -> list[HolderPair]:
        """Return this holder's parts of the whole, in order."""
        same = [p for p in self._pairs.busy.values() if (p.whole, p.user) == (pair.whole, pair.user)]
        return sorted(same, key=lambda one: one.place or 0)


# -- the user ----------------------------------------------------------------------------------------------------------


def in_order(holders: Sequence[bytes]) -> list[int]:
    """Return the places of parts with each holder's together, in the order in which the holders first appear."""
    first = {holder: n for n, holder in reversed(list(enumerate(holders)))}
    return sorted(range(len(holders)), key=lambda n: (first[holders[n]], n))


def stood(parts: Sequence[UserPair]) -> bool:
    """Whether the first part, and so the whole, was ever confirmed."""
    return any(part.place == 0 and part.transmit_until_ns is not None for part in parts)
