"""Carries out commands about promises: move a settlement, raise a dispute, answer one, list disputes.

Each command takes one durable step; what the node is not entitled to say is refused before anything is signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from settlement.chain.scope import Band
from settlement.core.reasons import Refusal
from settlement.disputes.case import SettledPair, gather_settled
from settlement.disputes.table import DisputeState, OpenDispute
from settlement.market.debts import amount_owed
from settlement.pair.holdermove import SubstituteOffer
from settlement.pair.holderpairs import HolderPair
from settlement.party.party import Party
from settlement.records.complaint import COMPENSATES, EVIDENCE_MAX, Dispute, DisputeAnswer
from settlement.state.casefile import case_file
from settlement.state.disputes import (
    all_disputes,
    answer_dispute,
    answers_it,
    raise_dispute,
    settled_here,
    sources_of,
)
from settlement.state.evidence import evidence_for
from settlement.state.outsiders import raise_as_outsider, read_shown
from settlement.state.step import Step


class NotSaid(Exception):
    """The command was refused and nothing was done; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldStep:
    """One step of a command, as reported to the client."""

    step: str
    fields: dict[str, Any]


def _one(prefix: str, names: list[bytes], what: str) -> bytes:
    """Return the one name that begins with the prefix. Raises NotSaid where none or several do."""
    found = [name for name in names if name.hex().startswith(prefix)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(name.hex()[:12] for name in names) or "none"
    raise NotSaid(f"{len(found)} {what} begin with {prefix!r}; there are: {known}")


def _one_dispute(prefix: str, known: dict[bytes, OpenDispute], what: str) -> bytes:
    """Return the dispute whose name begins with the prefix; else that of the settlement whose id begins with it.

    Of a settlement, only its one dispute that was not escalated is meant. Raises NotSaid where none or several fit.
    """
    of_settlement = [
        name
        for name, held in known.items()
        if held.sid.hex().startswith(prefix) and held.state != DisputeState.ESCALATED
    ]
    named = [name for name in known if name.hex().startswith(prefix)]
    return of_settlement[0] if not named and len(of_settlement) == 1 else _one(prefix, list(known), what)


def _decided(party: Party) -> list[bytes]:
    """Return the ids of all settlements of this node that were confirmed, in force or over."""
    mine = [pair.sid for pair in party.user.pairs.values() if pair.decision is not None and pair.grant is not None]
    return mine + [pair.sid for pair in party.holder.pairs.values() if pair.decision is not None]


def _cited(names: list[str]) -> tuple[bytes, ...]:
    """Decode record hashes from hex. Raises NotSaid."""
    try:
        found = tuple(bytes.fromhex(name) for name in names)
    except ValueError as exc:
        raise NotSaid(f"--cite: {exc}; give a record's hash, 64 hexadecimal digits") from exc
    if any(len(name) != 32 for name in found):
        raise NotSaid("--cite: give a record's hash, 64 hexadecimal digits")
    return found


# -- moving a settlement -------------------------------------------------------------------------------------------


def move_settlement(party: Party, step: Step, prefix: str, band: Band | None) -> Iterator[ToldStep]:
    """Move a settlement that this holder granted to its substitute in a band; without a band, only end it."""
    granted = [p.sid for p in party.holder.pairs.values() if p.decision is not None and p.live]
    pair = party.holder.pairs[_one(prefix, granted, "settlements granted here and in force")]
    if band is None:
        party.holder.leases.undeliver(step, pair)
        yield ToldStep(step="undelivered", fields={"sid": pair.sid.hex()})
        return
    me, offers = party.registry.get(party.identity.credential), list(_substitutes(party, pair, band))
    if me is None or not offers:
        raise NotSaid(f"no offer made or heard here holds {band} until the settlement's end; offer it first")
    planned = [(one, party.holder.moves.plan(step, pair, band, one, me=me.name)) for one in offers]
    fit = next(((one, body) for one, body in planned if not isinstance(body, Refusal)), None)
    if fit is None:
        raise NotSaid(f"refused before anything was signed: {planned[0][1]}")
    body = fit[1]
    if isinstance(body, Refusal):
        raise NotSaid(str(body))
    party.holder.moves.move(step, pair, body)
    told = {"sid": pair.sid.hex(), "low_hz": band.low_hz, "high_hz": band.high_hz}
    yield ToldStep(step="moving", fields={**told, "from_ns": body.from_ns, "owed": body.owed or 0})


def _substitutes(party: Party, pair: HolderPair, band: Band) -> Iterator[SubstituteOffer]:
    """Yield offers that hold a band until a settlement's end: this node's own, newest first, then those of others."""
    me, until_ns = party.registry.get(party.identity.credential), pair.cell.window.end_ns
    for name, body in reversed(party.holder.offers.items()):
        if me is not None and body.cell.band.holds(band) and body.cell.window.end_ns >= until_ns:
            yield SubstituteOffer(declaration=name, body=body, by=me.name, own=True)
    for offer in party.user.offers.values():
        by, cell = party.registry.get(offer.holder), offer.body.cell
        if by is not None and cell.band.holds(band) and cell.window.end_ns >= until_ns:
            yield SubstituteOffer(declaration=offer.declaration, body=offer.body, by=by.name, own=False)


# -- disputing a settlement ----------------------------------------------------------------------------------------


def dispute_settlement(
    party: Party, step: Step, *, prefix: str, ground: str, claim: int | None, cite: list[str], escalates: str | None
) -> Iterator[ToldStep]:
    """Dispute a settlement, or escalate a dispute; cites the records in this node's log that bear on the ground."""
    lower: bytes | None = None
    if escalates is not None:
        lower = _one_dispute(escalates, all_disputes(party), "disputes")
        before = all_disputes(party)[lower]
        sid, ground, against = before.sid, before.ground, before.against
        first = party.record_of(lower)
        claim = first.body.claim if claim is None and first is not None else claim
    else:
        sid = _one(prefix, _decided(party), "settlements")
        _, other, _ = settled_here(party, sid)
        against = other or b""
    confirm = settled_here(party, sid)[2] or b""
    settled = gather_settled(confirm, sources_of(party))
    if isinstance(settled, Refusal):
        raise NotSaid(str(settled))
    claim = _claimed(settled, ground, claim)
    body = Dispute(
        sid=sid,
        confirm=confirm,
        rule=settled.given.rule,
        against=against,
        grounds=ground,
        claim=claim,
        evidence=tuple(dict.fromkeys((*evidence_for(party, sid, ground), *_cited(cite)))),
        escalates=lower,
    )
    record = raise_dispute(party, step, body)
    if isinstance(record, Refusal):
        raise NotSaid(f"refused before anything was signed: {record}")
    told = {"dispute": record.digest.hex(), "sid": sid.hex(), "ground": ground, "claim": claim}
    yield ToldStep(step="disputed", fields={**told, "evidence": len(body.evidence)})


def _claimed(settled: SettledPair, ground: str, claim: int | None) -> int:
    """Return the amount claimed: `claim`, or else the most the ground can owe. Raises NotSaid without terms for it."""
    terms = settled.terms.disputes
    if terms is None:
        raise NotSaid(f"the rule has no terms for disputes of class {settled.terms.name}; an authority adds [disputes]")
    if claim is not None:
        return claim
    asked, price, window = terms.ground(ground), settled.given.price, settled.given.cell.window
    owed = (asked.owed, asked.amount) if asked is not None else ("none", 0)
    return max(price, amount_owed(*owed, price=price, window=window, from_ns=window.start_ns))


def dispute_of_others(
    party: Party,
    step: Step,
    *,
    shown: list[str],
    against: str | None,
    ground: str,
    claim: int | None,
    cite: list[str],
    escalates: str | None = None,
) -> Iterator[ToldStep]:
    """Dispute a settlement between two other nodes, as co-signer or auditor, from its records in hex.

    With `escalates`, a dispute that this node raised this way goes to the next level, same ground and same respondent.
    """
    found = read_shown(party, [bytes.fromhex(raw) for raw in shown])
    if isinstance(found, Refusal):
        raise NotSaid(f"the settlement that was shown is not proven here: {found}")
    settled, lower = found.pair, None
    accused = (settled.holder if against == "holder" else settled.user).hash
    if escalates is not None:
        raised = {name: one for name, one in all_disputes(party).items() if one.by in party.own_line}
        lower = _one_dispute(escalates, raised, "disputes that this node raised")
        ground, accused, first = raised[lower].ground, raised[lower].against, party.record_of(lower)
        claim = first.body.claim if claim is None and first is not None else claim
    body = Dispute(
        sid=found.sid,
        confirm=found.confirm,
        rule=settled.given.rule,
        against=accused,
        grounds=ground,
        claim=_claimed(settled, ground, claim),
        evidence=tuple(dict.fromkeys((*_cited(cite), *evidence_for(party, found.sid, ground))))[:EVIDENCE_MAX],
        escalates=lower,
    )
    record = raise_as_outsider(party, step, body, found)
    if isinstance(record, Refusal):
        raise NotSaid(f"refused before anything was signed: {record}")
    told = {"dispute": record.digest.hex(), "sid": found.sid.hex(), "ground": ground, "claim": body.claim}
    side = "holder" if accused == settled.holder.hash else "user"
    yield ToldStep(step="disputed", fields={**told, "evidence": len(body.evidence), "against": side})


def answer_prefix(
    party: Party, step: Step, *, prefix: str, stance: str, cite: list[str], reason: str
) -> Iterator[ToldStep]:
    """Answer a dispute against this node, citing the records in its log that bear on the ground."""
    known = all_disputes(party)
    mine = {name: held for name, held in known.items() if answers_it(party, held) in party.own_line}
    name = _one_dispute(prefix, mine, "disputes that this node may answer")
    held = known[name]
    body = DisputeAnswer(
        dispute=name,
        sid=held.sid,
        confirm=settled_here(party, held.sid)[2] or b"",
        stance=stance,
        evidence=tuple(dict.fromkeys((*evidence_for(party, held.sid, held.ground), *_cited(cite)))),
        reason=reason or None,
    )
    record = answer_dispute(party, step, body)
    if isinstance(record, Refusal):
        raise NotSaid(f"refused before anything was signed: {record}")
    told = {"dispute": name.hex(), "sid": held.sid.hex(), "stance": stance}
    yield ToldStep(step="answered", fields={**told, "evidence": len(body.evidence)})


# -- showing disputes ----------------------------------------------------------------------------------------------


def show_disputes(party: Party, prefix: str, *, case: bool) -> Iterator[ToldStep]:
    """List disputes whose name, or whose settlement's, begins with the prefix; with `case`, the one as a case file."""
    known = all_disputes(party)
    named = {n: held for n, held in known.items() if n.hex().startswith(prefix) or held.sid.hex().startswith(prefix)}
    if not named:
        raise NotSaid(f"no dispute begins with {prefix!r}" if known else "no dispute is on record here")
    for name, held in named.items():
        yield ToldStep(step="dispute", fields=dispute_fields(party, name, held))
    if case:
        newest = [name for name, held in named.items() if held.state != DisputeState.ESCALATED]
        if len(newest) != 1:
            raise NotSaid(f"{len(newest)} disputes begin with {prefix!r} and go on; name one of them")
        file = case_file(party, newest[0])
        if isinstance(file, Refusal):
            raise NotSaid(str(file))
        yield ToldStep(step="case", fields={"dispute": newest[0].hex(), "case": file.encoded().hex()})


def dispute_fields(party: Party, name: bytes, held: OpenDispute) -> dict[str, Any]:
    """Return one dispute as plain values: complainant, respondent, ground, state, ruling and payment."""
    said, answer, ruling = party.record_of(name), party.record_of(held.answer), party.record_of(held.ruling)
    paid = party.record_of(held.paid)
    unheard = held.paid is not None and held.paid in party.holder.leases.debts.open
    return {
        "dispute": name.hex(),
        "sid": held.sid.hex(),
        "state": DisputeState(held.state).name,
        "level": held.level + 1,
        "party": settled_here(party, held.sid)[0] is not None,
        "ground": held.ground,
        "by": _name(party, held.by),
        "against": _name(party, held.against),
        "claim": said.body.claim if said is not None else None,
        "evidence": [_typed(party, one) for one in said.body.evidence] if said is not None else [],
        "answer": answer.body.stance if answer is not None else None,
        "outcome": ruling.body.outcome if ruling is not None else None,
        "why": ruling.body.reason if ruling is not None else None,
        "ordered": ruling.body.compensation if ruling is not None else None,
        "paid": paid.body.amount if paid is not None and not unheard else 0,
        "owed": _unpaid(ruling.body if ruling is not None else None, paid is not None and not unheard),
    }


def _unpaid(ruling: Any, paid: bool) -> int:
    """Return the amount that a ruling orders and that has not been paid."""
    return int(ruling.compensation) if ruling is not None and ruling.outcome == COMPENSATES and not paid else 0


def _name(party: Party, credential: bytes) -> str:
    subject = party.registry.get(credential)
    return subject.name if subject is not None else credential.hex()[:8]


def _typed(party: Party, name: bytes) -> str:
    record = party.record_of(name)
    return f"{record.typ if record is not None else 'record'} {name.hex()[:12]}"


def shown_disputes(party: Party) -> list[dict[str, Any]]:
    """Every dispute on record here, for `bandpact status`."""
    if party.damaged is not None:
        return []
    return [dispute_fields(party, name, held) for name, held in all_disputes(party).items()]
