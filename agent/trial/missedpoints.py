"""Lists what a scenario was to show and did not, so that a passed trial is not mistaken for proof of it."""

from typing import Any

from agent.trial.spec import TrialSpec


def points_missed(spec: TrialSpec, shown: dict[str, Any]) -> list[str]:
    """Return one line for each thing not shown; `shown` is the trial's `scenario` in JSON."""
    said = []
    if any(want.partial for want in spec.wants) and not any(len(wish["parts"]) > 1 for wish in shown["wishes"]):
        said.append("no wish was filled by more than one holder: partial fill is not shown")
    if any(want.emergency for want in spec.wants) and not any(one["owed"] for one in shown["displaced"]):
        said.append("no weaker tier was displaced: tiers and compensation are not shown")
    if sum(one["owed"] for one in shown["displaced"]) > sum(one["settled"] for one in shown["displaced"]):
        said.append("not all that is owed to the displaced was heard of by them when the trial ended")
    several = [one for one in shown.get("jurisdictions", []) if len(one["clauses"]) > 1]
    if len(spec.jurisdictions) > 1 and not several:
        said.append("no settlement touched two jurisdictions: their reconciliation is not shown")
    handed = shown.get("handed_on", [])
    if len(handed) < len(spec.hands):
        said.append(f"{len(handed)} of {len(spec.hands)} leases changed hands: the rest is not shown")
    if not all(one["silent_before_open"] for one in handed):
        said.append("a lease changed hands and its new user was not on the air, or before the old one was silent")
    sold = [one for one in shown["auctions"] if one["settled"]]
    if spec.auctions and not all(one["settled"][0]["user"] == one["winner"] for one in sold):
        said.append("what was auctioned was settled with another than the winner")
    if len(sold) < len(spec.auctions):
        said.append("no winner of an auction settled what it had won: the auction is not shown")
    said += _consent_missed(spec, shown)
    said += _disputes_missed(spec, shown)
    if spec.terms.suspends and not shown["suspended"]:
        said.append("no lease was suspended: waiting an incumbent out is not shown")
    return said


def _consent_missed(spec: TrialSpec, shown: dict[str, Any]) -> list[str]:
    """Return what a scenario's approvals were to show and did not."""
    rows = shown.get("approvals", [])
    if spec.terms.approval is None and spec.terms.coalition is None:
        return []
    what = "approval" if spec.terms.coalition is None else "coalition"
    return [] if any(one["granted"] for one in rows) else [f"nothing was granted by {what}: it is not shown"]


def _disputes_missed(spec: TrialSpec, shown: dict[str, Any]) -> list[str]:
    """Return what a scenario's acts were to show and did not."""
    doing, said = {act.do for act in spec.acts}, []
    rulings = [one["ruling"] for one in shown.get("disputes", []) if one["ruling"] is not None]
    if "fallback" in doing and not (shown.get("moved") or shown.get("broken")):
        said.append("no settlement was moved or broken off: fallbacks are not shown")
    if "dispute" in doing and not shown.get("disputes"):
        said.append("nothing was disputed: disputes are not shown")
    if "ruling" in doing and not rulings:
        said.append("nothing was ruled: rulings are not shown")
    if any(one["settled"] < one["owed"] for one in rulings):
        said.append("not all that was ruled was heard of by its payee when the trial ended")
    return said
