"""Whether a GRANT, an ACCEPT and a CONFIRM form one settlement, and one that its holder was entitled to make.

A user profits from showing a settled part of a whole to another holder. So the part is checked as its artifact would
be, except for the evidence beside it: log, witnesses, co-signatures and group decisions.
"""

from collections.abc import Sequence

from settlement.chain.admission import Admitted, RuleInForce, timeless
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.terms import deal_of_grant, judge_terms
from settlement.pair.transmit import lease_limit
from settlement.pair.windows import accepted_from
from settlement.pair.work import settlement_id
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant


def judge_shown(proven: Sequence[Admitted], rule: RuleInForce) -> Refusal | None:
    """Refuse unless a proven GRANT, ACCEPT and CONFIRM are a settlement under a rule, by authors who may sign them."""
    grant, accept, confirm = proven
    if grant.record.body.handover is not None:
        return refuse(Reason.SCOPE, "shown.handover", "granted under a HANDOVER", "a part by a holder of the licence")
    beyond = next((why for one in proven if (why := timeless(one, rule)) is not None), None)
    return (
        beyond
        or one_settlement(grant, accept, confirm, cosigned=True)
        or judge_terms(deal_of_grant(grant.record), rule.rule, holder=grant.author, user=accept.author)
    )


def one_settlement(grant: Admitted, accept: Admitted, confirm: Admitted, *, cosigned: bool) -> Refusal | None:
    """Refuse unless the records have one id and one hash chain, and are in time.

    The CONFIRM must be before `accept_by` and `confirm_by`; with `cosigned`, the ACCEPT before `accept_by` is enough.
    """
    given: Grant = grant.record.body
    taken: Accept = accept.record.body
    decided: Confirm = confirm.record.body
    in_time = accept if cosigned else confirm
    own_sid = settlement_id(grant.author.hash, accept.author.hash, given.nonce, given.cell)
    checks = (
        ("sid", {given.sid, taken.sid, decided.sid} == {own_sid}, Reason.TERMS),
        ("user", given.user == accept.author.hash, Reason.BINDING),
        ("accept_over", taken.grant == grant.record.digest, Reason.TERMS),
        ("confirm_over", (decided.grant, decided.accept) == (grant.record.digest, accept.record.digest), Reason.TERMS),
        ("fence", decided.fence == given.fence, Reason.FENCE),
        ("lease", decided.transmit_until_ns <= lease_limit(confirm.record, given.cell, given.lease_ns), Reason.LEASE),
        ("accept_by", in_time.record.frame.attestation.latest_ns < given.accept_by_ns, Reason.TIMEOUT),
        ("confirm_by", confirm.record.frame.attestation.latest_ns < given.confirm_by_ns, Reason.TIMEOUT),
    )
    for clause, held, reason in checks:
        if not held:
            return refuse(reason, f"artifact.{clause}", "does not hold", "one settlement, one chain of hashes")
    return accepted_from(accept.record, given.cell)
