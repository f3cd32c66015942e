"""Lists REQUESTs that a group must approve before their GRANT, as a node shows them: holder, user, votes, outcome."""

from typing import Any

from settlement.party.party import Party
from settlement.quorum.group import quorum_of
from settlement.quorum.outcome import approving
from settlement.records.conduct.quorum import group_of, proposal_of
from settlement.state.assembly import VOTES

APPROVALS_MAX = 8


def approvals_shown(party: Party) -> list[dict[str, Any]]:
    """The newest approvals whose windows are not over, the newest last."""
    names = [name for name in party.assembly.states if name in party.assembly.approvals]
    newest = sorted(names, key=lambda name: party.lineage.index_of(name) or 0)[-APPROVALS_MAX:]
    return [approval_fields(party, name) for name in newest]


def approval_fields(party: Party, name: bytes) -> dict[str, Any]:
    """Return one approval as plain values: the REQUEST, its parties, votes for and against, own vote, whether granted.

    `required` is the quorum of votes for it, needed for any certificate; the rule's function may ask for more.
    """
    asked = proposal_of(party, name)
    if asked is None or asked.body.approval is None:
        return {"approval": name.hex(), "state": "unknown"}
    body, terms = asked.body, asked.body.approval
    group = group_of(party, body.membership)
    held = [party.record_of(record) for _, record in party.lineage.items_from(VOTES, name)]
    votes = {one.frame.author: one.body.choice == approving(name) for one in held if one is not None}
    mine = next((choice for author, choice in votes.items() if author in party.own_line), None)
    return {
        "approval": name.hex(),
        "request": (body.subject or b"").hex(),
        "state": party.assembly.states[name].value,
        "holder": _name(party, asked.frame.author),
        "user": _name(party, terms.user),
        "group": body.members,
        "epoch": body.epoch,
        "function": body.function,
        "need": body.need,
        "low_hz": terms.cell.band.low_hz,
        "high_hz": terms.cell.band.high_hz,
        "unit": terms.cell.band.unit,
        "start_ns": terms.cell.window.start_ns,
        "end_ns": terms.cell.window.end_ns,
        "commodity": terms.commodity,
        "price": terms.price,
        "vote_by_ns": body.vote_by_ns,
        "votes_for": sum(votes.values()),
        "votes_against": len(votes) - sum(votes.values()),
        "required": quorum_of(len(group.members), group.faulty) if group is not None else None,
        "own_vote": None if mine is None else "for" if mine else "against",
        "taken_back": name in party.assembly.withdrawn,
        "granted": _granted(party, body.subject),
    }


def _granted(party: Party, request: bytes | None) -> bool:
    """Return whether the REQUEST was granted; False also where this node is no party to the settlement."""
    if any(pair.request == request for pair in party.holder.pairs.values()):
        return True
    return any(pair.request == request and pair.grant is not None for pair in party.user.pairs.values())


def _name(party: Party, credential: bytes | None) -> str:
    subject = party.registry.get(credential)
    return subject.name if subject is not None else (credential or b"").hex()[:16]
