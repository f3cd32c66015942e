"""Every refusal of a trial, each once: by the logs, the wardens, and the mesh's connection checks.

Result, banner, metrics and page all count and list these.
"""

from collections import Counter
from dataclasses import dataclass

from agent.trial.collect import Collected
from settlement.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEntry:
    """One refusal: time (s of the trial), the refusing node, the author, and the reason."""

    at_s: float
    node: str
    peer: str
    reason: str
    detail: str


def all_refusals(c: Collected) -> list[RefusalEntry]:
    """Return all refusals, by time."""
    found = [*_logged(c), *_by_wardens(c), *_at_doors(c)]
    return sorted(found, key=lambda one: one.at_s)


def _logged(c: Collected) -> list[RefusalEntry]:
    return [
        RefusalEntry(
            at_s=c.seconds(leaf.arrived_earliest_ns),
            node=node,
            peer=c.name_of(leaf.peer) if leaf.peer is not None else "",
            reason=leaf.reason or "",
            detail=f"[{leaf.clause}] {leaf.measured}" + (f" (required: {leaf.required})" if leaf.required else ""),
        )
        for node, leaves in c.leaves.items()
        for leaf in leaves
        if not leaf.admitted
    ]


def _by_wardens(c: Collected) -> list[RefusalEntry]:
    return [
        RefusalEntry(
            at_s=(event["mono_ns"] - c.finished.zero_ns) / 1e9,
            node=node,
            peer="own agent",
            reason=event["reason"],
            detail=f"[{event.get('clause', '')}] {event.get('measured', '')}",
        )
        for node, events in c.events.items()
        for event in events
        if event["event"] == "gate" and event["asked"]
    ]


def _at_doors(c: Collected) -> list[RefusalEntry]:
    """Return the refused connections of strangers, which a node counts until it ends."""
    return [
        RefusalEntry(
            at_s=(event["mono_ns"] - c.finished.zero_ns) / 1e9,
            node=node,
            peer="a stranger",
            reason=reason,
            detail="turned away at the door",
        )
        for node, events in c.events.items()
        for event in events
        if event["event"] == "closed"
        for reason, count in event["denied"].items()
        for _ in range(count)
    ]


def counted(c: Collected) -> Counter[str]:
    """Return how often each reason occurred."""
    return Counter(one.reason for one in all_refusals(c))


def blocked(c: Collected) -> dict[str, object]:
    """Return the same counts under the metrics' names; a repeated record is answered, and is no offence."""
    counts = counted(c)
    replays = counts.pop(Reason.REPLAY.value, 0)
    return {
        "invalid_actions_blocked": counts.total(),
        "blocked_by_reason": dict(sorted(counts.items())),
        "replays_answered": replays,
    }
