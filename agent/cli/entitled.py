"""Text of credentials and rules for people, in their units."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.words.units import length_text, place_text, power_text, time_text

if TYPE_CHECKING:
    from settlement.chain.bodies import ClassTerms, Rule
    from settlement.chain.credentials import Subject
    from settlement.chain.scope import Area, Scope

NS = 1_000_000_000


def instant_text(utc_ns: int) -> str:
    """Return an instant for people, in UTC, such as `2026-12-28 18:00 UTC`."""
    return datetime.fromtimestamp(utc_ns / NS, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def area_text(area: "Area") -> str:
    """Return an area for people, such as `20 km round 36.95 N 76.3 W`."""
    at = place_text(*area.anchor)
    if area.outline is None:
        return f"{length_text(area.radius_mm or 0)} round {at}"
    return f"an outline of {len(area.outline)} corners from {at}"


def scope_text(scope: "Scope") -> str:
    """Return a scope as text: area, bands, class, EIRP, actions and tier."""
    bands = ", ".join(map(str, scope.bands))
    loud = f"up to {power_text(scope.max_eirp_mdbm)}, tier {scope.tier}"
    return f"{bands}; {area_text(scope.area)}; class {', '.join(scope.classes)}; {loud}; {', '.join(scope.actions)}"


def entitled(subject: "Subject") -> str:
    """Return a credential as text: holder, scope, validity."""
    return f"{subject.name} may: {scope_text(subject.scope)}; until {instant_text(subject.expires_ns)}"


def ruled(rule: "Rule") -> list[str]:
    """Return a rule as text: one line for the rule and one for each class."""
    bands = ", ".join(map(str, rule.bands))
    shards = ", ".join(f"{shard.name} by {shard.need or 'nobody'}" for shard in rule.coordination or ()) or "nobody"
    until = f"{instant_text(rule.effective.start_ns)} to {instant_text(rule.effective.end_ns)}"
    lines = [
        f"{rule.name} {rule.version}: {bands}; {area_text(rule.area)}; {until}",
        f"  witnesses {rule.witness_quorum}; co-signed: {shards}; budgets {len(rule.budgets or ())}",
    ]
    for terms in rule.classes:
        times = f"windows up to {time_text(terms.max_window_ns / NS)}, leases of {time_text(terms.lease_ns / NS)}"
        loud = f"up to {power_text(terms.max_eirp_mdbm)}, outside {power_text(terms.out_of_band_mdbm_per_mhz)}/MHz"
        lines.append(f"  {terms.name}: {loud}; {times}; price {terms.price_low} to {terms.price_high}")
        lines += _decided(terms)
    if rule.jurisdictions:
        lines.append(f"  jurisdictions: {len(rule.jurisdictions)}, each as its own authority signed it")
    return lines


def _decided(terms: "ClassTerms") -> list[str]:
    """Return one line for each decision that a group makes in a class."""
    said = []
    if terms.auction is not None:
        asked = terms.auction
        times = f"bids for {time_text(asked.bids_ns_min / NS)}, reveals for {time_text(asked.reveals_ns_min / NS)}"
        said.append(
            f"    auctions ({', '.join(asked.functions)}) certified by {asked.members}; {times} at least; "
            f"deposit from {asked.deposit_min}"
        )
    for what, asked_for in (("approval", terms.approval), ("coalition", terms.coalition)):
        if asked_for is not None:
            need = f", {asked_for.need}" if asked_for.need else ""
            said.append(
                f"    every GRANT by {what} of {asked_for.members}: {asked_for.function}{need}, "
                f"within {time_text(asked_for.vote_ns / NS)}"
            )
    return said
