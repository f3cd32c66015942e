"""The jurisdictions of a rule: each stands in it as its own authority signed it, and is proven with the rule. Pure."""

from collections.abc import Sequence

from settlement.chain.admission import prove
from settlement.chain.credentials import Registry
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import JurisdictionLink
from settlement.records.jurisdiction import Jurisdiction


def prove_links(links: Sequence[JurisdictionLink], registry: Registry) -> Refusal | None:
    """None where each is signed by the authority of its chain, which may rule in that area; once each."""
    names: set[str] = set()
    for number, link in enumerate(links):
        here = f"rule.jurisdictions[{number}]"
        authority = registry.admit_chain(link.chain)
        if isinstance(authority, Refusal):
            return authority
        admitted = prove(link.record, registry)
        if isinstance(admitted, Refusal):
            return admitted
        body = admitted.record.body
        if not isinstance(body, Jurisdiction) or admitted.author.hash != authority.hash:
            return refuse(
                Reason.JURISDICTION, here, admitted.record.typ, "a jurisdiction by the authority of its chain"
            )
        if "rule" not in authority.scope.actions or not authority.scope.area.holds(body.area):
            return refuse(
                Reason.SCOPE, f"{here}.area", body.area, f"an authority that may rule there: {authority.name}"
            )
        if body.name in names:
            return refuse(Reason.JURISDICTION, f"{here}.name", body.name, "each jurisdiction once")
        names.add(body.name)
    return None
