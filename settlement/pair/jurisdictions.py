"""Checks that a settlement respects every authority in whose area its cell lies: representation and terms.

    (1) each jurisdiction of the rule that the cell touches is represented: its authority's credential is in the
        holder's or the user's chain, or the rule requires a co-signature of that authority
    (2) if the cell touches two or more, all of them name the same policy of reconciliation
    (3) the terms by this policy are met: by "stricter" the strictest of all, by "lead:NAME" those of NAME
    (4) the GRANT names the records of all jurisdictions that the cell touches

Pure, and the same for holder, user, co-signer, warden and auditor: the rule contains every jurisdiction as its
authority signed it, verified together with the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from settlement.chain.records import digest, parse
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rule
from settlement.records.jurisdiction import LEAD, STRICTER, Jurisdiction, JurisdictionTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedJurisdiction:
    """A jurisdiction that a cell touches, with its authority's credential and the hash of its record."""

    record: bytes
    authority: bytes
    body: Jurisdiction


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionCase:
    """A settlement as input to the jurisdiction checks; `named` is what the GRANT names, None before the GRANT.

    `chains` are the credentials, as bytes, of holder and user, each from the root down.
    """

    cell: Cell
    commodity: str
    eirp_mdbm: int
    price: int
    named: tuple[bytes, ...] | None
    chains: tuple[tuple[bytes, ...], ...]


@lru_cache(maxsize=256)
def _read(record: bytes) -> Jurisdiction | None:
    unproven = parse(record)
    opened = unproven if isinstance(unproven, Refusal) else unproven.opened()
    body = None if isinstance(opened, Refusal) else opened.body
    return body if isinstance(body, Jurisdiction) else None


def jurisdictions_of(rule: Rule) -> tuple[TouchedJurisdiction, ...]:
    """Return every jurisdiction of a rule."""
    found = [(link, _read(link.record)) for link in rule.jurisdictions or ()]
    return tuple(
        TouchedJurisdiction(record=digest(link.record), authority=digest(link.chain[-1]), body=body)
        for link, body in found
        if body is not None
    )


def touched_by(rule: Rule, cell: Cell) -> tuple[TouchedJurisdiction, ...]:
    """Return the jurisdictions of a rule that a cell touches, or may touch."""
    return tuple(one for one in jurisdictions_of(rule) if one.body.area.overlaps(cell.area))


def judge_jurisdictions(case: JurisdictionCase, rule: Rule) -> Refusal | None:
    """Run checks (1) to (4); None for a rule without jurisdictions, and where the cell touches none."""
    touched = touched_by(rule, case.cell)
    names = tuple(one.record for one in touched)
    if case.named is not None and case.named != names:
        measured = ", ".join(name.hex()[:16] for name in case.named) or "none"
        return refuse(
            Reason.JURISDICTION, "jurisdiction.named", measured, ", ".join(n.hex()[:16] for n in names) or "none"
        )
    return _represented(touched, case, rule) or _reconciled(touched, case)


def represented_by(one: TouchedJurisdiction, chains: Sequence[Sequence[bytes]], rule: Rule, cell: Cell) -> str | None:
    """Return how an authority is represented in a settlement: by credential or co-signature; None where it is not."""
    if any(digest(raw) == one.authority for chain in chains for raw in chain):
        return "credential"
    for shard in rule.coordination or ():
        touches = (shard.band is None or shard.band.overlaps(cell.band)) and (
            shard.area is None or shard.area.overlaps(cell.area)
        )
        if touches and one.authority in shard.authorities and shard.need >= len(shard.authorities):
            return "co-signature"
    return None


def _represented(touched: Sequence[TouchedJurisdiction], case: JurisdictionCase, rule: Rule) -> Refusal | None:
    for one in touched:
        if represented_by(one, case.chains, rule, case.cell) is None:
            required = f"a credential or co-signature of its authority, {one.authority.hex()[:16]}"
            measured = f"{one.body.name} ({one.body.clause}) is not represented"
            return refuse(Reason.JURISDICTION, "jurisdiction.represented", measured, required)
    return None


def _reconciled(touched: Sequence[TouchedJurisdiction], case: JurisdictionCase) -> Refusal | None:
    policies = {one.body.reconciliation for one in touched}
    said = ", ".join(f"{one.body.name}: {one.body.reconciliation or 'none'}" for one in touched)
    if len(touched) > 1 and (len(policies) > 1 or None in policies):
        return refuse(Reason.JURISDICTION, "jurisdiction.policy", said, "one policy that all of them name")
    policy = next(iter(policies), None) if len(touched) > 1 else STRICTER
    binding = touched
    if policy is not None and policy.startswith(LEAD):
        binding = tuple(one for one in touched if one.body.name == policy.removeprefix(LEAD))
        if not binding:
            return refuse(Reason.JURISDICTION, "jurisdiction.policy", said, "one of them to lead")
    for one in binding:
        refusal = _inside(one, case)
        if refusal is not None:
            return refusal
    return None


def _inside(one: TouchedJurisdiction, case: JurisdictionCase) -> Refusal | None:
    """Refuse a settlement outside one jurisdiction's terms; to check several is to apply the strictest of each term."""
    terms = next((t for t in one.body.classes if t.commodity == case.commodity), None)
    clause = f"jurisdiction.{one.body.name}"
    if terms is None:
        allowed = ", ".join(t.commodity for t in one.body.classes)
        return refuse(Reason.JURISDICTION, f"{clause}.class", case.commodity, f"{allowed}, by {one.body.clause}")
    window, effective = case.cell.window, one.body.effective
    if not effective.holds(window):
        measured = f"{window.start_ns} to {window.end_ns} ns"
        return refuse(Reason.JURISDICTION, f"{clause}.effective", measured, f"while {one.body.clause} is in force")
    return _terms(terms, case, clause, one.body.clause)


def _terms(terms: JurisdictionTerms, case: JurisdictionCase, clause: str, by: str) -> Refusal | None:
    length_ns = case.cell.window.end_ns - case.cell.window.start_ns
    checks = (
        ("eirp", case.eirp_mdbm <= terms.max_eirp_mdbm, f"{case.eirp_mdbm} mdBm", f"<= {terms.max_eirp_mdbm} mdBm"),
        ("window", length_ns <= terms.max_window_ns, f"{length_ns} ns", f"<= {terms.max_window_ns} ns"),
        (
            "price",
            terms.price_low <= case.price <= terms.price_high,
            case.price,
            f"{terms.price_low}-{terms.price_high}",
        ),
    )
    reasons = {"eirp": Reason.POWER, "window": Reason.TERMS, "price": Reason.PRICE}
    for name, held, measured, required in checks:
        if not held:
            return refuse(reasons[name], f"{clause}.{name}", measured, f"{required}, by {by}")
    return None
