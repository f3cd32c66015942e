"""One vote of a member on a proposal: a second is refused. Pure."""

from settlement.core.reasons import Reason, Refusal, refuse


def may_vote(first: bytes | None, choice: bytes) -> Refusal | None:
    """Refuse a vote of a member that has voted on the proposal before, even for the same choice again.

    The stored vote is sent again instead.

    Args: first: the choice of its stored vote on this proposal in this epoch; None before any vote.
    """
    if first is None:
        return None
    return refuse(Reason.EQUIVOCATION, "vote.once", choice.hex()[:16], f"{first.hex()[:16]}, the vote that was cast")
