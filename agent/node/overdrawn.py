"""Limits how often messages over a sender's share are reported: reporting each would itself be a load."""

from dataclasses import dataclass, field

from settlement.core.reasons import Reason, Refusal

OVER = "share."
"""Prefix of the clauses that refuse a message before it is examined."""
AGAIN_NS = 10_000_000_000


@dataclass(slots=True)
class Overdrawn:
    """The time at which each neighbour was last reported as over its share."""

    _said_ns: dict[bytes, int] = field(default_factory=dict)

    def told(self, peer: bytes, refusal: Refusal, now_ns: int) -> bool:
        """Return whether a peer was reported as over its share in the last AGAIN_NS, and note it as reported if not.

        False for a refusal that is not about the peer's share. `now_ns` is monotonic.
        """
        if refusal.reason is not Reason.BUDGET or not refusal.clause.startswith(OVER):
            return False
        if now_ns < self._said_ns.get(peer, now_ns - AGAIN_NS) + AGAIN_NS:
            return True
        self._said_ns[peer] = now_ns
        return False
