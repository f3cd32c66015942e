"""Exports a dispute in this node's log, with all its proofs, as a case file for the authority that rules on it."""

from settlement.chain.credentials import Subject
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import DisputeCase
from settlement.disputes.casefile import CaseChain, CaseFile, CaseRule, CaseRuled
from settlement.state.disputes import case_of, dispute_of
from settlement.state.nodestate import ROTATED, NodeState


def case_file(state: NodeState, name: bytes) -> CaseFile | Refusal:
    """Return the case file of a dispute in this node's log."""
    held = dispute_of(state, name)
    if held is None:
        return refuse(Reason.UNKNOWN_SID, "dispute.case", name.hex()[:16], "a dispute on record")
    found = case_of(state, name, held.answer)
    if isinstance(found, Refusal):
        return found
    rule = state.rules.known(found.settled.given.rule)
    if rule is None:
        return refuse(Reason.RULE_UNKNOWN, "case.rule", found.settled.given.rule.hex(), "the rule it was settled under")
    below, ruled, records = found.body.escalates, list[CaseRuled](), _records(found)
    while below is not None:
        lower, record = dispute_of(state, below), state.record_of(below)
        if lower is None or record is None:
            break
        records[below] = record.raw
        decided = state.record_of(lower.ruling)
        if lower.ruling is not None and decided is not None:
            ruled.append(CaseRuled(dispute=below, ruling=lower.ruling))
            records[lower.ruling] = decided.raw
        below = lower.escalates
    chains = _chains(state, found, list(records))
    return CaseFile(
        dispute=name,
        answer=held.answer,
        records=tuple(records.values()),
        chains=tuple(CaseChain(credentials=chain) for chain in chains),
        rules=(CaseRule(record=rule.raw, chain=rule.chain),),
        ruled=tuple(ruled),
        rotations=tuple(raw for _, raw in state.lineage.items(ROTATED)) or None,
    )


def _records(found: DisputeCase) -> dict[bytes, bytes]:
    settled = found.settled
    all_of_it = [settled.grant, settled.accept, settled.confirm, found.dispute, *found.evidence]
    all_of_it += [one for one in (found.answer, found.lower) if one is not None]
    return {one.digest: one.raw for one in all_of_it}


def _chains(state: NodeState, found: DisputeCase, names: list[bytes]) -> list[tuple[bytes, ...]]:
    """Return the credential chains of all signers, the shortest first: issuers before those that they issued."""
    authors = [one.frame.author for one in map(state.record_of, names) if one is not None]
    subjects: dict[bytes, Subject] = {found.settled.holder.hash: found.settled.holder}
    subjects[found.settled.user.hash] = found.settled.user
    for author in authors:
        subject = state.registry.get(author)
        if subject is not None:
            subjects[subject.hash] = subject
    return sorted({one.chain for one in subjects.values()}, key=lambda chain: (len(chain), chain))
