"""Handles GRANT (at the user, or at a co-signer that is asked), ACCEPT and co-signatures (at the holder)."""

from dataclasses import dataclass

from settlement.chain.admission import Admitted
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.coordinator import Cosigning
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import Event, HolderState, UserState
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.pair.userpairs import UserPair
from settlement.pair.windows import still_here
from settlement.records.conduct import cosignatures, decided, envelopes, handover, recognition, together
from settlement.records.conduct.alarms import UNSURE, keep_evidence, verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.grant import Accept, Coordination, Grant
from settlement.records.market import Request
from settlement.state import budget
from settlement.state.impediment import barred
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState

FATAL = frozenset(
    {
        Reason.TIMEOUT,
        Reason.CHALLENGE,
        Reason.INCOMPLETE,
        Reason.TERMS,
        Reason.ENVELOPE,
        Reason.SPATIAL_OUTSIDE,
        Reason.SPATIAL_UNDECIDED,
    }
)
"""Reasons to refuse an ACCEPT that no later ACCEPT can remove: the holder aborts the settlement."""
_KEPT_OF_GRANT = ("user", "request", "cell", "commodity", "accept_by_ns", "challenge", "fence", "tier")

# -- grant -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A GRANT to accept, and the hashes of the records it derives from, where its class requires them."""

    pair: UserPair
    derived_from: tuple[bytes, ...] | None


def _judge_grant(case: RecordCase) -> Taking | Cosigning | Refusal:
    """Judge a GRANT: to this node it answers a REQUEST; to another node it asks this one to co-sign."""
    state, admitted = case.state, case.admitted
    if cosignatures.is_question(state, admitted):
        beyond = judge_granted(state, admitted, case.message)
        return beyond or cosignatures.judge_question(state, admitted, case.message, case.now)
    asked = state.record_of(case.body.request)
    pair = state.user.judge_grant(admitted, asked.body if asked else None, case.now)
    if isinstance(pair, Refusal):
        return pair
    return (
        still_here(case.step.now.position, case.body.cell.area)
        or judge_granted(state, admitted, case.message)
        or envelopes.judge_grant(state, admitted)
        or recognition.judge_grant(state, admitted)
        or Taking(pair=pair, derived_from=recognition.derived_from(state, case.record))
    )


def judge_granted(state: NodeState, admitted: Admitted, message: Message) -> Refusal | None:
    """Refuse a GRANT that breaks the rule it names or exceeds a credential, whatever holder and user agreed on."""
    body: Grant = admitted.record.body
    held, user = state.rules.known(body.rule), state.registry.get(body.user)
    if held is None:
        return refuse(Reason.RULE_UNKNOWN, "grant.rule", body.rule.hex()[:16], "a rule known here")
    if user is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "grant.user", body.user.hex()[:16], "an admitted credential")
    beyond = judge_terms(deal_of_grant(admitted.record), held.rule.rule, holder=admitted.author, user=user)
    return (
        beyond or decided.judge_grant(state, admitted.record, message) or handover.judge_under(state, admitted.record)
    )


def _answer_grant(case: RecordCase, taken: Taking | Cosigning) -> None:
    match taken:
        case Taking(pair=pair, derived_from=derived_from):
            if pair.whole is not None:
                together.granted(case.state, case.step, pair, case.record.digest)
            else:
                case.state.user.accept(case.step, pair, case.admitted, derived_from)
        case Cosigning():
            case.state.coordinator.sign(case.step, taken)


def _refuse_to_cosign(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused co-signing with a signed verdict.

    No verdict where the same GRANT may be judged otherwise later; a stored answer is sent again.
    """
    subject = case.record.digest
    if not cosignatures.is_question(case.state, case.admitted):
        return
    if refusal.reason in UNSURE or case.step.send_again(case.author.hash, subject):
        return
    case.step.send(case.author.hash, case.step.sign(verdict_on(subject, refusal)).raw)


def _granted(told: Retelling, said: Said) -> None:
    body = said.body
    told.pairs[HOLDER, body.sid] = {
        **{name: getattr(body, name) for name in _KEPT_OF_GRANT},
        "state": HolderState.RESERVED,
        "grant": said.digest,
        "renewals": 0,
        "accept": None,
        "decision": None,
        "transmit_until_ns": None,
    }
    told.counters["fence"] += 1
    asked = told.said.get(body.request)
    for account in told.accounts(asked) if asked is not None and isinstance(asked.body, Request) else ():
        cost = budget.cost_hz_s(asked.body.cell) if asked is not None else 0
        for name in (account.whole, account.own):
            row = budget.SPENT, name
            told.rows[row] = budget.spent_more(told.rows.get(row), account.window, cost)


# -- accept ------------------------------------------------------------------------------------------------------------


def _judge_accept(case: RecordCase) -> HolderPair | Refusal:
    """Judge an ACCEPT: the rule of its GRANT is still in force, and recognition and the parts of a whole are right."""
    state = case.state
    pair = state.holder.judge_accept(case.admitted, case.now)
    if isinstance(pair, Refusal):
        return pair
    granted = state.record_of(pair.grant)
    if granted is None or granted.body.rule != state.rule.hash:
        was = "unknown" if granted is None else granted.body.rule.hex()[:16]
        return refuse(Reason.TERMS, "accept.rule", was, f"the rule in force, {state.rule.hash.hex()[:16]}")
    return (
        recognition.judge_accept(state, granted, case.record) or together.judge_accept(state, pair, case.record) or pair
    )


def _accepted(case: RecordCase, pair: HolderPair) -> None:
    case.state.holder.cosigning.accepted(case.step, pair, case.record.digest)


def _refuse_accept(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused ACCEPT of this holder's GRANT: with the stored answer, or with an ABORT.

    It is aborted only for a reason in FATAL; for any other a later ACCEPT may still come.
    """
    state, step = case.state, case.step
    pair = state.holder.pairs.get(case.body.sid)
    if pair is None or pair.user != case.author.hash:
        return
    if refusal.reason is Reason.EQUIVOCATION:
        keep_evidence(state, step, case.admitted)
    if pair.accept is not None and step.send_again(pair.user, pair.accept):
        return  # the stored answer was sent again, with its proof
    if pair.state == HolderState.ABORTED:
        said = state.record_bytes(pair.decision)
        if said is not None:
            step.send(pair.user, said)
    elif pair.decision is not None:
        return  # the CONFIRM is sent with its log proof, once enough witnesses have cosigned
    elif refusal.reason in FATAL:
        state.holder.decisions.abort(step, pair, Event.BARRED, refusal.reason, case.record.digest)


# -- coordination ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """A co-signature for a settlement of this holder; `barred`: why that may no longer be confirmed, or None."""

    pair: HolderPair
    barred: Reason | None


def _judge_coordination(case: RecordCase) -> Counting | Refusal:
    state = case.state
    known = state.holder.pairs.get(case.body.sid)
    granted = state.record_of(known.grant) if known is not None else None
    pair = state.holder.cosigning.judge(case.admitted, granted.body if granted else None)
    if isinstance(pair, Refusal):
        return pair
    return Counting(pair=pair, barred=barred(state, pair, case.now) if pair.decision is None else None)


def _count(case: RecordCase, counting: Counting) -> None:
    holder, pair = case.state.holder, counting.pair
    if counting.barred is None:
        holder.cosigning.coordinated(case.step, pair, case.admitted, case.state.admitted_of)
    else:
        holder.decisions.abort(case.step, pair, Event.BARRED, counting.barred, pair.accept)


CONDUCT = (
    Conduct[Taking | Cosigning](
        body=Grant,
        judge=_judge_grant,
        act=_answer_grant,
        refused=_refuse_to_cosign,
        own=_granted,
        heard=lambda told, said: told.as_user(said.body.sid, grant=said.digest),
    ),
    Conduct(
        body=Accept,
        judge=_judge_accept,
        act=_accepted,
        refused=_refuse_accept,
        own=lambda told, said: told.as_user(said.body.sid, state=UserState.ACCEPTED, accept=said.digest),
        heard=lambda told, said: told.as_holder(said.body.sid, accept=said.digest),
    ),
    Conduct(body=Coordination, judge=_judge_coordination, act=_count),
)
