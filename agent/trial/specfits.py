"""Checks that a scenario's tables agree with each other, before a trial begins; errors name the key."""

from collections.abc import Iterator, Sequence
from typing import Any

from agent.trial.spec import TrialSpec
from agent.words.units import band_text
from settlement.chain.scope import Window
from settlement.core.reasons import Refusal
from settlement.disputes.grounds import GROUNDS_JUDGED
from settlement.quorum.outcome import judge_need
from settlement.records.jurisdiction import LEAD, STRICTER
from settlement.records.quorum import GroupMember, MemberList
from sim.scenario import Scenario, ScenarioError


def judge_fits(scenario: Scenario, spec: TrialSpec) -> None:
    """Check all tables against each other. Raises ScenarioError for the first key in conflict."""
    scenario.first("holder")
    for wrong in _unheard(scenario):
        raise ScenarioError(wrong)
    for wrong in _misfits(scenario, spec):
        raise ScenarioError(f"[trial] {wrong}")


def _misfits(scenario: Scenario, spec: TrialSpec) -> Iterator[str]:
    nodes = sorted(node.name for node in scenario.nodes)
    for key, name in _named(spec):
        if name not in nodes:
            yield f"{key}: unknown node {name!r}; the scenario has {', '.join(nodes)}"
    low_hz, high_hz = spec.band_hz
    if low_hz >= high_hz:
        yield f"band_hz: {low_hz} to {high_hz}; give the lower edge first"
    yield from _roles(scenario, spec)
    yield from _bands(spec)
    yield from _times(spec)
    yield from _terms(spec)
    yield from _consents(spec)
    for n, one in enumerate(spec.jurisdictions):
        policy = one.reconciliation
        leads = policy is not None and policy.startswith(LEAD) and policy[len(LEAD) :] in _jurisdictions(spec)
        if policy not in (None, STRICTER) and not leads:
            names = ", ".join(f"{LEAD}{name}" for name in _jurisdictions(spec))
            yield f"jurisdictions[{n}].reconciliation: {policy!r}; give {STRICTER}, {names}, or leave it out"


def _named(spec: TrialSpec) -> Iterator[tuple[str, str]]:
    """Yield every node that the table names, with the key that names it."""
    kinds: list[tuple[str, Sequence[Any]]] = [("offers", spec.offers), ("wants", spec.wants), ("hands", spec.hands)]
    kinds += [("programs", spec.programs), ("auctions", spec.auctions), ("bids", spec.bids), ("acts", spec.acts)]
    kinds += [("group.members", spec.group.members)] if spec.group is not None else []
    kinds += [("cbrs.stations", spec.cbrs.stations)] if spec.cbrs is not None else []
    for kind, rows in kinds:
        for n, row in enumerate(rows):
            yield f"{kind}[{n}].node", row.node
    yield from ((f"hands[{n}].to", one.to) for n, one in enumerate(spec.hands))
    yield from ((f"acts[{n}].user", one.user) for n, one in enumerate(spec.acts) if one.user is not None)
    for n, one in enumerate(spec.jurisdictions):
        yield from ((f"jurisdictions[{n}].nodes", name) for name in one.nodes)
    yield from ((f"node_tiers.{name}", name) for name in spec.node_tiers)


def _jurisdictions(spec: TrialSpec) -> list[str]:
    return [one.name for one in spec.jurisdictions]


def _roles(scenario: Scenario, spec: TrialSpec) -> Iterator[str]:
    """Check that there is a holder with an offer, and that each node's role allows what it does."""
    asked: list[tuple[str, Sequence[Any], str]] = [("offers", spec.offers, "holder"), ("wants", spec.wants, "user")]
    asked += [("auctions", spec.auctions, "holder"), ("bids", spec.bids, "user")]
    for kind, rows, role in asked:
        for n, row in enumerate(rows):
            if scenario.node(row.node).role != role:
                yield f"{kind}[{n}].node: {row.node} is no {role}; name one, or give it that role"


def _bands(spec: TrialSpec) -> Iterator[str]:
    """Check that everything offered, requested, sold and bid for lies in the rule's band."""
    rows = [(f"offers[{n}]", one.low_hz, one.high_hz) for n, one in enumerate(spec.offers)]
    rows += [(f"auctions[{n}]", one.low_hz, one.high_hz) for n, one in enumerate(spec.auctions)]
    rows += [(f"bids[{n}]", one.low_hz, one.high_hz) for n, one in enumerate(spec.bids)]
    rows += [
        (f"wants[{n}].bands_hz[{m}]", *band) for n, one in enumerate(spec.wants) for m, band in enumerate(one.bands_hz)
    ]
    low_hz, high_hz = spec.band_hz
    for key, low, high in rows:
        if low >= high:
            yield f"{key}: {low} to {high} Hz; give the lower edge first"
        if not low_hz <= low < high <= high_hz:
            yield f"{key}: {band_text(low, high)} is not inside band_hz, {band_text(low_hz, high_hz)}"


def _unheard(scenario: Scenario) -> Iterator[str]:
    """Yield emitters whose centre lies outside the radios' received band: no node could hear them."""
    radio = scenario.radio
    low_hz, high_hz = radio.center_hz - radio.sample_rate_hz // 2, radio.center_hz + radio.sample_rate_hz // 2
    for n, one in enumerate(scenario.emitters):
        if not low_hz <= one.center_hz <= high_hz:
            wanted = f"is not inside {band_text(low_hz, high_hz)}, which the radios hear"
            yield f"emitters[{n}].center_hz: {one.name}'s {one.center_hz / 1e6:g} MHz {wanted}; see [radio]"


def _times(spec: TrialSpec) -> Iterator[str]:
    for n, want in enumerate(spec.wants):
        if not want.ask_s < want.end_s or not want.start_s < want.end_s:
            yield f"wants[{n}].end_s: not after ask_s and start_s; make it later"
    begun = [("acts", "at_s", [one.at_s for one in spec.acts]), ("hands", "at_s", [one.at_s for one in spec.hands]),
             ("wants", "ask_s", [one.ask_s for one in spec.wants]),
             ("offers", "after_s", [one.after_s for one in spec.offers]),
             ("auctions", "after_s", [one.after_s for one in spec.auctions]),
             ("bids", "after_s", [one.after_s for one in spec.bids])]  # fmt: skip
    for kind, key, values in begun:
        for n, at_s in enumerate(values):
            if at_s >= spec.duration_s:
                yield f"{kind}[{n}].{key}: {at_s:g} s; the trial is over at {spec.duration_s:g} s (duration_s)"


def _terms(spec: TrialSpec) -> Iterator[str]:
    """Check that whatever is requested by number or name is in the rule's catalogue."""
    disputes, catalogue = spec.terms.disputes, [one.number for one in spec.terms.fallbacks]
    for n, want in enumerate(spec.wants):
        if want.fallback is not None and want.fallback not in catalogue:
            known = ", ".join(map(str, catalogue)) or "none"
            yield f"wants[{n}].fallback: {want.fallback}; [[trial.terms.fallbacks]] has {known}"
    grounds = [one.name for one in disputes.grounds] if disputes is not None else []
    for n, name in enumerate(grounds):
        if name not in GROUNDS_JUDGED:
            yield f"terms.disputes.grounds[{n}].name: {name!r}; one of {', '.join(GROUNDS_JUDGED)}"
    for n, act in enumerate(spec.acts):
        if act.do == "dispute" and act.ground not in grounds:
            known = ", ".join(grounds) or "none"
            yield f"acts[{n}].ground: {act.ground!r}; [trial.terms.disputes] has {known}"
    least = spec.terms.auction.deposit_min if spec.terms.auction is not None else 0
    for n, sold in enumerate(spec.auctions):
        if sold.deposit < least:
            yield f"auctions[{n}].deposit: {sold.deposit}; [trial.terms.auction] asks for {least} at least"


def _consents(spec: TrialSpec) -> Iterator[str]:
    """Check that the required number of approvers exists, and that no disjoint group could approve too."""
    for key in ("approval", "coalition"):
        asked = getattr(spec.terms, key)
        if asked is None or spec.group is None:
            continue
        members = tuple(
            GroupMember(role="witness", credential=bytes(31) + bytes([n]), key=bytes(32), weight=one.weight)
            for n, one in enumerate(spec.group.members)
        )
        whole = Window(start_ns=0, end_ns=1)
        group = MemberList(name=spec.group.name, epoch=1, effective=whole, faulty=spec.group.faulty, members=members)
        refusal = judge_need(asked.function, asked.need, group)
        if isinstance(refusal, Refusal):
            yield f"terms.{key}.need: {refusal.measured}; required: {refusal.required}"
