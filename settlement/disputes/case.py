"""Gathers everything by which a dispute is judged: the settlement's records, both sides' evidence, the rule. Pure.

From the same records everybody gathers the same case: either party, the authority's desk, an auditor years later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import ClassTerms, Rule
from settlement.records.complaint import Dispute, DisputeAnswer, Ruling
from settlement.records.complaintterms import DisputeTerms
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant

T = TypeVar("T")
LEVELS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Functions that return a record, credential or rule by its hash; None where there is none."""

    record: Callable[[bytes], Record | None]
    subject: Callable[[bytes], Subject | None]
    rule: Callable[[bytes], Rule | None]
    line: Callable[[bytes], tuple[bytes, ...]]
    """Return a credential and those it replaced, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPair:
    """A settlement from its three records, with both parties and the rule that it was made under."""

    grant: Record
    accept: Record
    confirm: Record
    holder: Subject
    user: Subject
    rule: Rule
    terms: ClassTerms

    @property
    def given(self) -> Grant:
        """The settlement's GRANT."""
        body: Grant = self.grant.body
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeCase:
    """One dispute, ready to be judged; `level` counts from 0, `lower` is the newest ruling of a lower level, if any."""

    settled: SettledPair
    dispute: Record
    answer: Record | None
    evidence: tuple[Record, ...]
    level: int
    lower: Record | None
    sources: Sources

    @property
    def body(self) -> Dispute:
        """The body of the dispute."""
        body: Dispute = self.dispute.body
        return body

    @property
    def terms(self) -> DisputeTerms | None:
        """The dispute terms of the class in the rule."""
        return self.settled.terms.disputes

    @property
    def accused(self) -> Subject:
        """The party that the dispute is against."""
        return self.settled.holder if self.body.against == self.settled.holder.hash else self.settled.user

    @property
    def injured(self) -> Subject:
        """The party that is not accused."""
        return self.settled.user if self.accused.hash == self.settled.holder.hash else self.settled.holder

    def cited(self, kind: type[T]) -> list[Record]:
        """Return the cited records of one kind, without those of another settlement."""
        found = [one for one in self.evidence if isinstance(one.body, kind)]
        return [one for one in found if one.sid in (None, self.body.sid)]

    def of(self, record: Record, who: Subject) -> bool:
        """Whether a record is by a party, under this credential or a later one of it."""
        author = record.frame.author or b""
        return who.hash in self.sources.line(author) or author in self.sources.line(who.hash)


def gather_settled(confirm: bytes, sources: Sources) -> SettledPair | Refusal:
    """Return the settlement of a CONFIRM, by its hash, or why a record, a party's credential or the rule is missing."""
    decided = sources.record(confirm)
    if decided is None or not isinstance(decided.body, Confirm):
        return refuse(Reason.UNKNOWN_SID, "case.confirm", confirm.hex()[:16], "the CONFIRM of a settlement on record")
    grant, accept = sources.record(decided.body.grant), sources.record(decided.body.accept)
    if grant is None or accept is None or not isinstance(grant.body, Grant) or not isinstance(accept.body, Accept):
        return refuse(Reason.PROOF, "case.pair", "not on record", "the GRANT and the ACCEPT that the CONFIRM is over")
    holder, user = sources.subject(grant.frame.author or b""), sources.subject(grant.body.user)
    if holder is None or user is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "case.parties", "no credential", "the credentials of both parties")
    rule = sources.rule(grant.body.rule)
    terms = rule.terms(grant.body.commodity) if rule is not None else None
    if rule is None or terms is None:
        return refuse(Reason.RULE_UNKNOWN, "case.rule", grant.body.rule.hex(), "the rule it was settled under")
    return SettledPair(grant=grant, accept=accept, confirm=decided, holder=holder, user=user, rule=rule, terms=terms)


def gather(
    dispute: Record, answer: bytes | None, sources: Sources, ruling_of: Callable[[bytes], bytes | None]
) -> DisputeCase | Refusal:
    """Gather the case of a dispute and its answer (by hash), or return which record is missing or wrong.

    Args: ruling_of: returns the hash of the ruling on an earlier dispute, by that dispute's hash.
    """
    body: Dispute = dispute.body
    settled = gather_settled(body.confirm, sources)
    if isinstance(settled, Refusal):
        return settled
    said = sources.record(answer) if answer is not None else None
    if answer is not None and (said is None or not isinstance(said.body, DisputeAnswer)):
        return refuse(Reason.PROOF, "case.answer", answer.hex()[:16], "an answer on record")
    if said is not None and said.body.dispute != dispute.digest:
        return refuse(Reason.PROOF, "case.answer", said.body.dispute.hex()[:16], "the answer to this dispute")
    level, lower, below = 0, None, body.escalates
    names = [*body.evidence, *(said.body.evidence if said is not None else ())]
    while below is not None and level < LEVELS_MAX:
        earlier = sources.record(below)
        if earlier is None or not isinstance(earlier.body, Dispute):
            return refuse(Reason.PROOF, "case.escalates", below.hex()[:16], "a dispute on record")
        ruled = ruling_of(below)
        found = sources.record(ruled) if ruled is not None else None
        if lower is None and found is not None and isinstance(found.body, Ruling):
            lower = found
        level, below = level + 1, earlier.body.escalates
        names += [one for one in earlier.body.evidence if one not in names]
    evidence = [sources.record(name) for name in names]
    lacking = next((name for name, one in zip(names, evidence, strict=True) if one is None), None)
    if lacking is not None:
        return refuse(Reason.PROOF, "case.evidence", lacking.hex()[:16], "a record that is in evidence")
    return DisputeCase(
        settled=settled,
        dispute=dispute,
        answer=said,
        evidence=tuple(one for one in evidence if one is not None),
        level=level,
        lower=lower,
        sources=sources,
    )


def parties(settled: SettledPair) -> dict[bytes, Any]:
    """Return both parties' credentials, by their hashes."""
    return {settled.holder.hash: settled.holder, settled.user.hash: settled.user}
