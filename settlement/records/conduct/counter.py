"""Handles bargaining by COUNTERs: a REQUEST opens it; a REQUEST that names a COUNTER takes that COUNTER's price.

Until then nothing is reserved. Each side finds the prices in its own log, from a COUNTER back to the REQUEST, so that
nothing is lost in a restart. Turns and prices are computed by `settlement.market.bargain`.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from settlement.chain.records import Record
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.bargain import Bargain, holder_price, judge_turn, meets, user_price
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.userpairs import UserPair
from settlement.pair.work import settlement_id
from settlement.records.conduct.alarms import verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.market import Counter, Request
from settlement.state.nodestate import NodeState

LEAST = "least"
"""Stored rows: the lowest price that this holder accepts under each of its offers; no other node is told."""
ROUNDS_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Haggling:
    """A COUNTER to sign, in answer to the record `answers`; `request` opened the bargain, `pair` is a user's."""

    request: Request
    answers: bytes
    round: int
    price: int
    pair: UserPair | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingPrice:
    """A user takes the holder's price, by a REQUEST that names the COUNTER."""

    pair: UserPair
    request: Request
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingUp:
    """A user gives up: no acceptable price is left to propose."""

    pair: UserPair
    price: int


def history(state: NodeState, last: bytes) -> tuple[Record, list[Record]] | None:
    """Return the REQUEST that opened a bargain and its COUNTERs, in order, up to the record `last`; else None."""
    said: list[Record] = []
    name = last
    for _ in range(ROUNDS_MAX + 1):
        record = state.record_of(name)
        if record is None:
            return None
        if isinstance(record.body, Request):
            return record, said[::-1]
        if not isinstance(record.body, Counter):
            return None
        said.append(record)
        name = record.body.answers
    return None


def _bargain(opened: Record, said: list[Record]) -> Bargain:
    """Return the state of a bargain after the given COUNTERs."""
    at = Bargain(last=opened.digest, round=0, user_price=opened.body.price)
    for record in said:
        body = record.body
        at = replace(at, last=record.digest, round=body.round, answer_by_ns=body.answer_by_ns)
        at = replace(at, holder_price=body.price) if body.round % 2 else replace(at, user_price=body.price)
    return at


# -- the holder --------------------------------------------------------------------------------------------------------


def least_of(state: NodeState, declaration: bytes, asked: int) -> int:
    """Return the lowest price that a holder accepts under an offer; the offer's price (`asked`) where none was set."""
    raw = state.lineage.get(LEAST, declaration)
    return asked if raw is None else int.from_bytes(raw, "big")


def judge_opening(case: RecordCase) -> Haggling | Refusal | None:
    """Return the answer to a REQUEST's price: None if it is high enough or fixed, a COUNTER to sign, or a refusal."""
    state, body = case.state, case.body
    offer = state.holder.offers[body.declaration]
    if body.counter is not None:
        return _judge_taken(case)
    least = least_of(state, body.declaration, offer.price)
    if offer.price_form != "negotiated" or body.price >= min(least, offer.price):
        return None
    rounds_max = _rounds_max(state, body.commodity)
    if not rounds_max:
        return refuse(Reason.PRICE, "request.price", body.price, offer.price)
    at = Bargain(last=case.record.digest, round=0, user_price=body.price)
    price = holder_price(at, asked=offer.price, least=least, rounds_max=rounds_max)
    return Haggling(request=body, answers=at.last, round=1, price=price)


def _judge_taken(case: RecordCase) -> Refusal | None:
    """Refuse a REQUEST at a COUNTER's price unless the COUNTER is this holder's, to this user, and still binds.

    Every other field must be as in the first REQUEST.
    """
    state, body = case.state, case.body
    told = history(state, body.counter)
    if told is None or not told[1] or told[1][-1].frame.author not in state.own_line:
        return refuse(Reason.PRICE, "request.counter", body.counter.hex()[:16], "a COUNTER of this holder")
    opened, counter = told[0], told[1][-1]
    first: Request = opened.body
    if opened.frame.author not in state.registry.line(case.author.hash):
        return refuse(Reason.PRICE, "request.counter", body.counter.hex()[:16], "a COUNTER to this user")
    same = replace(first, price=counter.body.price, counter=counter.digest)
    if body != same:
        return refuse(Reason.PRICE, "request.price", body.price, f"{counter.body.price}, and all else as asked first")
    return deadline_open(case.now, counter.body.answer_by_ns, "request.counter_by")


def _rounds_max(state: NodeState, commodity: str) -> int:
    terms = state.rule.rule.terms(commodity)
    return (terms.rounds_max or 0) if terms is not None else 0


def put_down(case: RecordCase, decided: Haggling) -> Record:
    """Sign a COUNTER and send it to the other side; it binds this node for the class's `accept_ns`."""
    state, step = case.state, case.step
    terms = state.rule.rule.terms(decided.request.commodity)
    body = Counter(
        declaration=decided.request.declaration,
        answers=decided.answers,
        round=decided.round,
        cell=decided.request.cell,
        commodity=decided.request.commodity,
        price=decided.price,
        answer_by_ns=step.now.time.latest_ns + (terms.accept_ns if terms is not None else 0),
        rule=state.rule.hash,
    )
    record = step.sign(body)
    step.send(case.author.hash, record.raw)
    step.event("countered", price=decided.price, round=decided.round, band=body.cell.band)
    return record


# -- a COUNTER that came -----------------------------------------------------------------------------------------------


def _judge_counter(case: RecordCase) -> Haggling | TakingPrice | GivingUp | Refusal:
    body: Counter = case.body
    told = history(case.state, body.answers)
    if told is None:
        return refuse(Reason.OUT_OF_ORDER, "counter.answers", body.answers.hex()[:16], "a REQUEST or COUNTER known")
    opened, said = told
    first: Request = opened.body
    about = (first.declaration, first.cell, first.commodity)
    if (body.declaration, body.cell, body.commodity) != about:
        return refuse(Reason.TERMS, "counter.cell", body.cell.band, f"{first.cell.band}, as asked first")
    if opened.frame.author in case.state.own_line:
        return _to_user(case, opened, said)
    return _to_holder(case, opened, said)


def _to_holder(case: RecordCase, opened: Record, said: list[Record]) -> Haggling | Refusal:
    state, body, first = case.state, case.body, opened.body
    if opened.frame.author not in state.registry.line(case.author.hash):
        return refuse(Reason.UNKNOWN_SID, "counter.author", case.author.name, "the user who asked")
    sid = settlement_id(state.identity.credential, case.author.hash, first.nonce, first.cell)
    if sid in state.holder.pairs:
        return refuse(Reason.OUT_OF_ORDER, "counter.granted", sid.hex()[:16], "a COUNTER before the GRANT")
    at = _bargain(opened, said)
    rounds_max = _rounds_max(state, first.commodity)
    refusal = judge_turn(body, at, by_holder=False, rounds_max=rounds_max, now=case.now)
    offer = state.holder.offers.get(first.declaration)
    if refusal is not None or offer is None:
        return refusal or refuse(Reason.TERMS, "counter.declaration", first.declaration.hex(), "an offer that stands")
    if body.round + 1 > rounds_max:
        return refuse(Reason.ROUNDS, "counter.rounds", body.round + 1, f"<= {rounds_max}, the answer to it among them")
    after = replace(at, last=case.record.digest, round=body.round, user_price=body.price)
    least = least_of(state, first.declaration, offer.price)
    price = body.price
    if not meets(after, least):
        price = holder_price(after, asked=offer.price, least=least, rounds_max=rounds_max)
    return Haggling(request=first, answers=case.record.digest, round=body.round + 1, price=price)


def _to_user(case: RecordCase, opened: Record, said: list[Record]) -> Haggling | TakingPrice | GivingUp | Refusal:
    state, body, first = case.state, case.body, opened.body
    pair = state.user.pairs.get(opened.digest)
    if pair is None or pair.holder != case.author.hash:
        return refuse(Reason.UNKNOWN_SID, "counter.author", case.author.name, "the holder that was asked")
    moved = next_user(UserState(pair.state), Event.COUNTER)
    if isinstance(moved, Refusal):
        return moved
    at = _bargain(opened, said)
    rounds_max = _rounds_max(state, first.commodity)
    refusal = judge_turn(body, at, by_holder=True, rounds_max=rounds_max, now=case.now)
    if refusal is not None:
        return refusal
    after = replace(at, last=case.record.digest, round=body.round, holder_price=body.price)
    most = first.price if pair.price_max is None else pair.price_max
    price = user_price(after, most=most, rounds_max=rounds_max)
    if price is None:
        return GivingUp(pair=pair, price=body.price)
    if price == body.price:
        return TakingPrice(pair=pair, request=first, price=price)
    return Haggling(
        request=first,
        answers=case.record.digest,
        round=body.round + 1,
        price=price,
        pair=pair,
    )


def _answer(case: RecordCase, decided: Haggling | TakingPrice | GivingUp) -> None:
    match decided:
        case Haggling(pair=None):
            put_down(case, decided)
        case Haggling(pair=pair) if pair is not None:
            record = put_down(case, decided)
            case.state.user.bargains_on(case.step, pair, record, record.body.answer_by_ns)
        case TakingPrice():
            taken = replace(decided.request, price=decided.price, counter=case.record.digest)
            case.state.user.takes_price(case.step, decided.pair, taken)
        case GivingUp(pair=pair, price=price):
            case.state.user.declines(case.step, pair, price)
        case Haggling():
            raise ValueError("a COUNTER of a user without its settlement")
        case other:
            assert_never(other)


def _refuse_counter(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused COUNTER with a signed verdict; the same bytes get the same answer."""
    author = case.author.hash
    if not case.step.send_again(author, case.record.digest):
        case.step.send(author, case.step.sign(verdict_on(case.record.digest, refusal)).raw)


CONDUCT = (
    Conduct[Haggling | TakingPrice | GivingUp](
        body=Counter, judge=_judge_counter, act=_answer, refused=_refuse_counter
    ),
)
