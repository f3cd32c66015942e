"""Records of authorities (status list, key rotation, rule): each is applied and passed on to neighbours once."""

from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.rotation import judge_rotation
from settlement.core.reasons import Reason, Refusal
from settlement.governing.soundness import may_rule
from settlement.pair.effects import HandRule
from settlement.pair.holder import OFFERS
from settlement.pair.user import HEARD
from settlement.records.authority import Revocation, Rotation, Rule
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.verdict import REVIEW_OPENED, Verdict
from settlement.state.nodestate import REVIEW, ROTATED, STATUS, NodeState
from settlement.state.rules import RULE, HeldRule, read_held

# -- revocation --------------------------------------------------------------------------------------------------------


def _judge_revocation(case: RecordCase) -> Refusal | None:
    return case.state.status.judge(case.author, case.body, case.now)


def _revoked(case: RecordCase, _decided: None) -> None:
    """Store a status list and pass it on. Settlements with a revoked user stay in force, but are put under review."""
    state, step, now = case.state, case.step, case.now
    step.put(STATUS, case.author.hash, case.record.raw)
    state.take_status(case.admitted)
    signed = case.record.frame.attestation
    step.event("status list", author=case.author.name, took_ms=(now.middle_ns - signed.latest_ns) / 1e6)
    for pair in state.holder.pairs.values():
        other = state.registry.get(pair.user)
        revoked = state.status.standing(other, state.registry, now) if other and pair.live else None
        if revoked is None or revoked.reason is not Reason.REVOKED or state.lineage.get(REVIEW, pair.sid):
            continue
        step.put(REVIEW, pair.sid, case.record.digest)
        step.sign(
            Verdict(
                subject=pair.decision or pair.grant,
                reason=Reason.REVOKED.value,
                clause=REVIEW_OPENED,
                measured=revoked.measured,
                required=revoked.required,
            )
        )
        step.event("review", sid=pair.sid, reason=Reason.REVOKED.value)
    case.pass_on()


def _replaced(state: NodeState, record: Record) -> bool:
    """Whether a newer list of the same issuer is stored."""
    return state.lineage.get(STATUS, record.frame.author or b"") != record.raw


def _listed(told: Retelling, said: Said) -> None:
    told.rows[STATUS, said.author] = said.raw


# -- rotation ----------------------------------------------------------------------------------------------------------


def _judge_rotation(case: RecordCase) -> Subject | Refusal:
    return judge_rotation(case.author, case.body, case.state.registry)


def _rotated(case: RecordCase, successor: Subject) -> None:
    """Replace a credential by its successor and pass the rotation on.

    Offers under the old key are dropped, as they will not be granted; the log heads seen from it, and the holder's
    record of a user's unanswered GRANTs, move to the new key.
    """
    state, step, old = case.state, case.step, case.author
    step.put(ROTATED, old.hash, case.record.raw)
    state.registry.rotate(old, successor)
    state.witness.succeeded(step, old.hash, successor.hash)
    state.holder.patience.succeeded(step, old.hash, successor.hash)
    for digest in [d for d, offer in state.user.offers.items() if offer.holder == old.hash]:
        del state.user.offers[digest]
        step.lineage.drop(HEARD, digest)
    step.event("rotated", author=old.name)
    case.pass_on()


def _turned(told: Retelling, said: Said) -> None:
    told.rows[ROTATED, said.author] = said.raw
    old = told.registry.get(said.author)
    new = judge_rotation(old, said.body, told.registry) if old is not None else None
    if old is not None and isinstance(new, Subject):
        told.registry.rotate(old, new)


def _own_turned(told: Retelling, said: Said) -> None:
    _turned(told, said)
    for row in [row for row in told.rows if row[0] == OFFERS]:
        del told.rows[row]


def _others_turned(told: Retelling, said: Said) -> None:
    _turned(told, said)
    for digest in [d for kind, d in told.rows if kind == HEARD and told.said[d].author == said.author]:
        del told.rows[HEARD, digest]


# -- rule --------------------------------------------------------------------------------------------------------------


def _judge_rule(case: RecordCase) -> HeldRule | Refusal:
    """Judge a rule: by an authority that may make rules, following the newest rule known here, and sound.

    The cheap checks come first.
    """
    stray = may_rule(case.author.scope) or case.state.rules.follows(case.body)
    if stray is not None:
        return stray
    new = read_held(case.record.raw, case.author.chain, case.state.registry)
    return new if isinstance(new, Refusal) else case.state.rules.judge(new) or new


def _ruled(case: RecordCase, new: HeldRule) -> None:
    """Store a new rule, hand it to the warden and pass it on; it is in force in its window, by this node's clock."""
    case.state.rules.take(new)
    case.step.put(RULE, new.key, new.raw)
    body = new.rule.rule
    case.step.event("rule", rule=body.name, version=body.version, from_ns=body.effective.start_ns)
    case.step.ask(HandRule(record=new.raw, chain=new.chain))
    case.pass_on()


def _in_chain(told: Retelling, said: Said) -> None:
    told.rows[RULE, said.body.version.to_bytes(8, "big")] = said.raw


CONDUCT = (
    Conduct(
        body=Revocation,
        judge=_judge_revocation,
        act=_revoked,
        keeps=(STATUS, REVIEW),
        heard=_listed,
        replaced=_replaced,
    ),
    Conduct(
        body=Rotation, judge=_judge_rotation, act=_rotated, keeps=(ROTATED,), own=_own_turned, heard=_others_turned
    ),
    Conduct(body=Rule, judge=_judge_rule, act=_ruled, keeps=(RULE,), heard=_in_chain),
)
