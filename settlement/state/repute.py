"""Applies each logged record, received or signed by this node, to the reputations."""

from settlement.chain.records import Record
from settlement.state.nodestate import NodeState
from settlement.state.reputation import WEIGHTY, TwoParties, event_of, weigh
from settlement.state.step import Step


def weigh_record(state: NodeState, step: Step, record: Record, *, own: bool) -> None:
    """Apply a record that was just logged to the reputations, where the rule has terms and it concerns one."""
    terms = state.rule.rule.reputation
    if terms is None or not isinstance(record.body, WEIGHTY) or record.sid is None:
        return
    event = event_of(record.body, two_parties(state, record.sid), terms, own=own)
    if event is not None:
        weigh(state.lineage.get, step.put, terms, event, step.now.time.latest_ns)


def two_parties(state: NodeState, sid: bytes) -> TwoParties | None:
    """Return holder, user and window of a settlement of this node; None if it has no such settlement."""
    given, asked = state.holder.pairs.get(sid), state.user.by_sid(sid)
    if given is not None:
        grant = state.record_of(given.grant)
        holder = grant.frame.author if grant is not None else None
        return TwoParties(holder=holder, user=given.user, window=given.cell.window) if holder is not None else None
    request = state.record_of(asked.request) if asked is not None else None
    user = request.frame.author if request is not None else None
    if asked is None or user is None:
        return None
    return TwoParties(holder=asked.holder, user=user, window=asked.cell.window)
