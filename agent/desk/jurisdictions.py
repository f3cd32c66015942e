"""Jurisdictions at an authority's desk: signs them, and reads signed ones for a rule that holds them."""

from pathlib import Path

from agent.config.settings import ConfigError
from agent.desk.folder import Desk
from hw_profiles.smallfile import read_small, read_small_text
from hw_profiles.wholefile import WholeFile
from settlement.chain import records
from settlement.chain.codec import decode, encode
from settlement.chain.credentials import Registry
from settlement.chain.names import names_flaw
from settlement.core.reasons import Refusal
from settlement.governing.jurisdictionfile import read_jurisdiction
from settlement.governing.jurisdictions import prove_links
from settlement.governing.plainfile import RuleFileError
from settlement.governing.soundness import may_rule
from settlement.records.authority import JurisdictionLink, Rule
from settlement.records.jurisdiction import LEAD, Jurisdiction

LINK_LIMIT = 96 * 1024
"""Largest size in bytes: a jurisdiction and nine credentials, each as large as a record may be."""


def checked_jurisdiction(path: Path) -> Jurisdiction:
    """Read a jurisdiction's file, checked key by key. Raises ConfigError, which names the key."""
    try:
        return read_jurisdiction(read_small_text(path))
    except (OSError, UnicodeDecodeError) as exc:
        said = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: {said}; give a jurisdiction in TOML") from exc
    except RuleFileError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def sign_jurisdiction(desk: Desk, path: Path, out: Path) -> tuple[bytes, Jurisdiction]:
    """Check and sign this authority's terms for its area; returns the record's hash. Raises ConfigError.

    The file that is written holds the record and this authority's credentials. One that is there is never overwritten.
    """
    body = checked_jurisdiction(path)
    refusal, wrong = may_rule(desk.me.scope), names_flaw((body.name,))
    if refusal is not None or wrong is not None:
        raise ConfigError(f"{path}: {refusal or wrong}")
    if not desk.me.scope.area.holds(body.area):
        raise ConfigError(f"{path}: area: SCOPE: {body.area}; required: inside {desk.me.scope.area}, this authority's")
    strange = [one.commodity for one in body.classes if one.commodity not in desk.me.scope.classes]
    if strange:
        had = ", ".join(desk.me.scope.classes)
        raise ConfigError(f"{path}: classes: SCOPE: {strange[0]}; this authority has {had}")

    def linked(raw: bytes) -> WholeFile:
        link = JurisdictionLink(record=raw, chain=desk.me.chain)
        return WholeFile(path=out, data=encode(link, limit=LINK_LIMIT), replace=False)

    return records.digest(desk.sign(body, out=linked)), body


def read_link(path: Path) -> JurisdictionLink:
    """Read a signed jurisdiction with its authority's credentials. Raises RuleFileError."""
    try:
        link = decode(JurisdictionLink, read_small(path), "jurisdiction", limit=LINK_LIMIT)
    except OSError as exc:
        raise RuleFileError(f"{path}: {exc.strerror}; give what authority jurisdiction sign wrote") from exc
    if isinstance(link, Refusal):
        raise RuleFileError(f"{path}: {link}; give what authority jurisdiction sign wrote")
    return link


def judge_jurisdictions_of(desk: Desk, rule: Rule) -> str | None:
    """Return the fault in a rule's jurisdictions, with its key; None where each is proven and they are consistent."""
    links = rule.jurisdictions or ()
    registry = Registry(desk.network, desk.registry.anchors)
    registry.admit_chain(desk.me.chain)
    for number in range(len(links)):
        refusal = prove_links(links[: number + 1], registry)
        if refusal is not None:
            return f"jurisdictions[{number}]: {refusal}"
    found = [_body(link) for link in links]
    names = {one.name for one in found}
    wrong = names_flaw(names)
    if wrong is not None:
        return f"jurisdictions: {wrong}"
    for number, one in enumerate(found):
        key, policy = f"jurisdictions[{number}]", one.reconciliation or ""
        if policy.startswith(LEAD) and policy.removeprefix(LEAD) not in names:
            return f"{key}.reconciliation: {policy!r} is led by none of {', '.join(sorted(names))}"
        if not one.area.overlaps(rule.area):
            return f"{key}.area: {one.area} shares nothing with the rule's, {rule.area}"
        if not {terms.commodity for terms in one.classes} & {terms.name for terms in rule.classes}:
            return f"{key}.classes: none of {', '.join(terms.name for terms in rule.classes)}, the rule's"
    return None


def unreconciled(rule: Rule) -> list[str]:
    """Return pairs of jurisdictions without a common policy, as warnings: a cell that touches both is refused."""
    found = [_body(link) for link in rule.jurisdictions or ()]
    return [
        f"jurisdictions: {one.name} ({one.reconciliation or 'no policy'}) and {other.name} "
        f"({other.reconciliation or 'no policy'}) name no one policy: what touches both is refused"
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if one.reconciliation != other.reconciliation or one.reconciliation is None
    ]


def _body(link: JurisdictionLink) -> Jurisdiction:
    unproven = records.parse(link.record)
    opened = unproven if isinstance(unproven, Refusal) else unproven.opened()
    if isinstance(opened, Refusal) or not isinstance(opened.body, Jurisdiction):
        raise TypeError("a link that was not proven")
    return opened.body
