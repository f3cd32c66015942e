"""Re-checks the handed-on leases of one log, as their user, holder and next user check them.

A HANDOVER contains the artifact of its parent lease, so that nothing beside the log and the anchors is needed. Checked
are: every lease above was granted under the rule that the log has for that time; each link is no wider than the one
above; every consent that was needed is in the log before the CONFIRM.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from settlement.chain.admission import RuleInForce
from settlement.chain.credentials import Registry
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import verify
from settlement.pair.handover import ParentLease, consent_needed, judge_above, judge_granted_under, judge_handover
from settlement.records.authority import ClassTerms
from settlement.records.decision import Confirm
from settlement.records.grant import Grant
from settlement.records.handover import Consent, Handover


@dataclass(frozen=True, slots=True)
class _Link:
    """A HANDOVER without its artifact, with its parent lease, and whether that lease's holder has to consent."""

    handover: Record
    parent: ParentLease
    asks: bool


@dataclass(slots=True)
class HandedLeases:
    """The state of changing leases, as the entries of one log give it so far."""

    _links: dict[bytes, _Link] = field(default_factory=dict)
    _consents: dict[bytes, set[bytes]] = field(default_factory=dict)
    _under: dict[bytes, bytes] = field(default_factory=dict)
    """The HANDOVER of each GRANT under one, by the GRANT's hash."""

    def judge(
        self, record: Record, rules: Sequence[RuleInForce], rule: RuleInForce, registry: Registry, *, own: bool
    ) -> Refusal | None:
        """Return why an admitted record should have been refused, or None; `own`: the log's owner signed it."""
        match record.body:
            case Handover():
                return self._handover(record, rules, rule, registry)
            case Consent():
                self._consents.setdefault(record.body.handover, set()).add(record.frame.author or b"")
                return None
            case Grant():
                return self._grant(record, rule.rule.terms(record.body.commodity))
            case Confirm() if own:
                return self._confirm(record)
            case _:
                return None

    def _handover(
        self, record: Record, rules: Sequence[RuleInForce], rule: RuleInForce, registry: Registry
    ) -> Refusal | None:
        body: Handover = record.body
        lease = verify(body.artifact, network=registry.network, anchors=registry.anchors)
        if isinstance(lease, Refusal):
            return lease
        parent, terms = lease.as_parent, rule.rule.terms(body.commodity)
        slim = replace(record, raw=b"", body=replace(body, artifact=b""))
        self._links[record.digest] = _Link(slim, replace(parent, rules=()), consent_needed(parent, terms))
        return judge_handover(record, parent, terms) or judge_above(rules, parent.rules)

    def _grant(self, grant: Record, terms: ClassTerms | None) -> Refusal | None:
        link = self._links.get(grant.body.handover or b"")
        if link is None:
            return None
        self._under[grant.digest] = link.handover.digest
        return judge_granted_under(grant, link.handover, link.parent, terms)

    def _confirm(self, confirm: Record) -> Refusal | None:
        """Refuse a CONFIRM to the next user without the consent of the lease's holder, where that is needed."""
        name = self._under.get(confirm.body.grant)
        link = self._links.get(name or b"")
        if name is None or link is None or not link.asks or link.parent.holder in self._consents.get(name, ()):
            return None
        return refuse(Reason.CONSENT, "handing.consent", "none", "the CONSENT of the settlement's holder")
