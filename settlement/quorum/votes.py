"""One vote of a member on a proposal: a second is refused. Pure."""

from settlement.core.reasons import Reason, Refusal, refuse


def may_vote(first: bytes | None, choice: bytes) -> Refusal | None:
    """May a member vote so? Not once it has voted, not even for the same again: what was signed is what is sent.

    Args: first: what it voted for before on this proposal in this epoch, from what is durable; None before any vote.
    """
    if first is None:
        return None
    return refuse(Reason.EQUIVOCATION, "vote.once", choice.hex()[:16], f"{first.hex()[:16]}, the vote that was cast")
