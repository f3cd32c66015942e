"""Bargaining by COUNTERs: whose turn it is, how many rounds there are, and the next price of each side. Pure.

A REQUEST under a negotiated price opens it. The holder answers a price that is too low for it with COUNTER 1, the user
that with COUNTER 2, and so on up to the class's `rounds_max`. A GRANT takes the last price that the user put down; the
holder grants it as soon as it reaches what the holder put down last, or the least that the holder takes. Every price
binds who put it down until its `answer_by_ns`.
"""

from dataclasses import dataclass

from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.market import Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Bargain:
    """The state of bargaining over one REQUEST: each side's last price, and the record to be answered."""

    last: bytes
    round: int
    user_price: int
    holder_price: int | None = None
    answer_by_ns: int = 0


def judge_turn(body: Counter, at: Bargain, *, by_holder: bool, rounds_max: int, now: TimeFix) -> Refusal | None:
    """Refuse a COUNTER that does not answer the last record, or is late, in the wrong round or by the wrong side."""
    if body.answers != at.last:
        return refuse(
            Reason.OUT_OF_ORDER, "counter.answers", body.answers.hex()[:16], f"{at.last.hex()[:16]}, the last"
        )
    if body.round != at.round + 1 or (body.round % 2 == 1) is not by_holder:
        said = f"round {body.round} by the {'holder' if by_holder else 'user'}"
        turn = "holder" if at.round % 2 == 0 else "user"
        return refuse(Reason.ROUNDS, "counter.turn", said, f"round {at.round + 1}, the {turn}'s")
    if body.round > rounds_max:
        return refuse(Reason.ROUNDS, "counter.rounds", body.round, f"<= {rounds_max}")
    return deadline_open(now, at.answer_by_ns, "counter.answer_by") if at.answer_by_ns else None


def meets(at: Bargain, least: int) -> bool:
    """Whether the holder grants at the user's price."""
    return at.user_price >= (least if at.holder_price is None else min(least, at.holder_price))


def holder_price(at: Bargain, *, asked: int, least: int, rounds_max: int) -> int:
    """Return a holder's next price: half way from its last price to the user's; its least in its last round."""
    before = asked if at.holder_price is None else at.holder_price
    if at.round + 2 >= rounds_max:
        return max(least, min(before, at.user_price) if at.user_price >= least else least)
    return max(least, (before + at.user_price + 1) // 2)


def user_price(at: Bargain, *, most: int, rounds_max: int) -> int | None:
    """Return a user's next price, or the holder's price to accept it; None where the user gives up.

    It takes a price it can pay as soon as half way would come within a tenth of it, or no round is left to haggle in.
    """
    offered = at.holder_price if at.holder_price is not None else most
    middle = (at.user_price + offered) // 2
    last_turn = at.round + 3 > rounds_max
    if offered <= most and (last_turn or (offered - middle) * 10 <= offered):
        return offered
    put = min(most, middle)
    return put if put > at.user_price else None
