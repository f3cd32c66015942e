"""The jurisdictions of a rule: each as its own authority signed it, and verified with the rule. Pure."""

from collections.abc import Sequence

from settlement.chain.admission import prove
from settlement.chain.credentials import Registry
from settlement.chain.entitlement import CORNERS_MAX, corners_in
from settlement.chain.records import parse
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import JurisdictionLink
from settlement.records.jurisdiction import Jurisdiction


def prove_links(links: Sequence[JurisdictionLink], registry: Registry) -> Refusal | None:
    """Verify the jurisdictions of a rule; return the first refusal, or None.

    Each must be signed by the last authority of its credential chain; that authority may rule in the jurisdiction's
    area; no name is there twice. The credentials in `links` are read with the network and anchors of `registry` and
    then forgotten: a credential does not become known because a rule contains it.
    """
    names: set[str] = set()
    beside = Registry(registry.network, registry.anchors)
    crowded = _crowded(links)
    if crowded is not None:
        return crowded
    for number, link in enumerate(links):
        here = f"rule.jurisdictions[{number}]"
        authority = beside.admit_chain(link.chain)
        if isinstance(authority, Refusal):
            return authority
        admitted = prove(link.record, beside)
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


def _crowded(links: Sequence[JurisdictionLink]) -> Refusal | None:
    """Refuse more than CORNERS_MAX corners of outlines in all credentials and jurisdictions of a rule together.

    They are counted in bytes whose signatures are not checked yet, before any geometry is solved, which is costly.
    """
    corners = 0
    for raw in {raw for link in links for raw in (link.record, *link.chain)}:
        unproven = parse(raw)
        opened = unproven if isinstance(unproven, Refusal) else unproven.opened()
        if isinstance(opened, Refusal):
            return opened
        corners += corners_in(opened.body)
    if corners > CORNERS_MAX:
        return refuse(Reason.TERMS, "rule.jurisdictions.corners", corners, f"<= {CORNERS_MAX} in all of them")
    return None
