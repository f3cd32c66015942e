"""Deletes old stored answers, except those of settlements that this node still stores."""

from settlement.core.fixes import TimeFix
from settlement.state.nodestate import NodeState
from settlement.state.step import REPLIED, REPLY, Step

REPLY_KEPT_NS, REPLY_SWEEP_NS = 3600 * 1_000_000_000, 10_000_000_000
"""How long an answer is kept, and how often old ones are deleted, ns."""
REPLIES_AT_ONCE = 256


def are_due(state: NodeState, now: TimeFix) -> bool:
    """Whether the next deletion is due."""
    return now.earliest_ns - REPLY_KEPT_NS >= state.swept_ns + REPLY_SWEEP_NS


def sweep(state: NodeState, step: Step) -> None:
    """Delete some old answers, where that is due."""
    if not are_due(state, step.now.time):
        return
    lineage, pairs = state.lineage, state.holder.pairs
    before_ns = state.swept_ns = step.now.time.earliest_ns - REPLY_KEPT_NS
    old = lineage.items_below(REPLIED, before_ns.to_bytes(8, "big"), REPLIES_AT_ONCE)
    needed = {name for pair in pairs.values() for name in (pair.request, pair.accept)} if old else set()
    for key, _ in old:
        subject = key[8:]
        lineage.drop(REPLIED, key)
        said = state.record_of(subject) if subject not in needed else None
        sid = said.sid if said is not None else None
        if subject in needed or (sid is not None and (sid in pairs or state.user.by_sid(sid))):
            step.put(REPLIED, step.now.time.latest_ns.to_bytes(8, "big") + subject, b"")
        else:
            lineage.drop(REPLY, subject)
