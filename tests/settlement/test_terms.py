"""Tests that two parties cannot agree on more than rule and credentials allow: every verifier checks every term."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.permits import HeldPermit, Permits
from settlement.audit.findings import Audited
from settlement.audit.verify import audit_lineage
from settlement.chain.bodies import Grant, LongLeases, Renew
from settlement.chain.scope import Area, Band, Window
from settlement.core.reasons import Reason, Refusal
from settlement.governing.limits import wider_rule
from settlement.governing.soundness import flaw
from settlement.pair.artifact import VerifiedPermit
from settlement.pair.terms import deal_of_request, judge_terms, lease_ceiling_ns
from settlement.pair.transmit import LEASE_MAX_NS
from settlement.state.messages import Message
from tests.settlement.bundles import sealed
from tests.settlement.collusion import CELL, Collusion, other_cell
from tests.settlement.world import AREA, BAND, LAT, LON, NETWORK, NS, RULE, T0, TERMS, UPPER, World, fix, offered, scope

CENTURY_NS = 100 * 365 * 86_400 * NS
SMALL = Area(lat_e7=LAT, lon_e7=LON, radius_mm=1_000_000)
WIDER = Area(lat_e7=LAT, lon_e7=LON, radius_mm=20_000_001)
CBRS_AND_GAME = ("cbrs", "game")
GAME = replace(TERMS, name="game")


def rule(**terms: Any) -> dict[str, Any]:
    return {"rule": replace(RULE, classes=(replace(TERMS, **terms),))}


def window(length_ns: int, start_ns: int = T0 + 2 * NS) -> dict[str, Any]:
    return {"cell": other_cell(window=Window(start_ns=start_ns, end_ns=start_ns + length_ns))}


BEYOND: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "a window of a hundred years": ({"grant": window(CENTURY_NS)}, Reason.TERMS, "terms.window"),
    "a window a unit too long": ({"grant": window(600 * NS + 1_000_000)}, Reason.TERMS, "terms.window"),
    "half a unit of time": ({"grant": window(10 * NS + 500_000)}, Reason.TERMS, "terms.window"),
    "no time at all": ({"grant": window(0)}, Reason.TERMS, "terms.window"),
    "too far ahead": (
        {**rule(max_ahead_ns=10 * NS), "grant": window(NS, T0 + 30 * NS)},
        Reason.TERMS,
        "request.ahead",
    ),
    "a lease of 200 s": ({"grant": {"lease_ns": 200 * NS}}, Reason.LEASE, "terms.lease"),
    "a lease a nanosecond too long": ({"grant": {"lease_ns": 3 * NS + 1}}, Reason.LEASE, "terms.lease"),
    "no lease": ({"grant": {"lease_ns": 0}}, Reason.LEASE, "terms.lease"),
    "a CONFIRM that leases longer": (
        {"confirm": {"transmit_until_ns": T0 + 5 * NS + 1}},
        Reason.LEASE,
        "artifact.lease",
    ),
    "off the raster below": (
        {"grant": {"cell": other_cell(band=Band(low_hz=BAND.low_hz + 1, high_hz=BAND.low_hz + 10_000_000))}},
        Reason.TERMS,
        "terms.raster",
    ),
    "off the raster above": (
        {"grant": {"cell": other_cell(band=Band(low_hz=BAND.low_hz, high_hz=BAND.low_hz + 10_000_001))}},
        Reason.TERMS,
        "terms.raster",
    ),
    "a price of 10^9": ({"grant": {"price": 10**9}}, Reason.PRICE, "terms.price"),
    "a price one too high": ({"grant": {"price": 101}}, Reason.PRICE, "terms.price"),
    "a price one too low": ({**rule(price_low=8), "grant": {"price": 7}}, Reason.PRICE, "terms.price"),
    "a class the rule has not": ({"grant": {"commodity": "5g"}}, Reason.SCOPE, "capability.8.class"),
    "a class the rule alone has not": (
        {"user_scope": {"classes": ("cbrs",)}, "rule": replace(RULE, classes=(GAME,)), "root": True},
        Reason.TERMS,
        "terms.class",
    ),
    "a class the user has not": (
        {
            "rule": replace(RULE, classes=(TERMS, GAME)),
            "root": True,
            "holder_scope": {"classes": CBRS_AND_GAME},
            "grant": {"commodity": "game"},
        },
        Reason.SCOPE,
        "terms.user.class",
    ),
    "a tier the user has not": (
        {"holder_scope": {"tier": 1}, "grant": {"tier": 1}},
        Reason.TIER,
        "terms.user.tier",
    ),
    "a tier the holder has not": (
        {"holder_scope": {"tier": 3}, "grant": {"tier": 2}},
        Reason.TIER,
        "capability.8.tier",
    ),
    "louder than the class": (
        {**rule(max_eirp_mdbm=19_999), "grant": {"max_eirp_mdbm": 20_000}},
        Reason.POWER,
        "terms.eirp",
    ),
    "louder than the user": ({"user_scope": {"max_eirp_mdbm": 19_999}}, Reason.POWER, "terms.user.eirp"),
    "louder than the holder": ({"holder_scope": {"max_eirp_mdbm": 19_999}}, Reason.POWER, "capability.8.eirp"),
    "outside the user's band": ({"user_scope": {"bands": (UPPER,)}}, Reason.SCOPE, "terms.user.band"),
    "outside the holder's band": ({"holder_scope": {"bands": (UPPER,)}}, Reason.SCOPE, "capability.8.band"),
    "outside the rule's band": ({"rule": replace(RULE, bands=(UPPER,))}, Reason.SCOPE, "terms.rule.band"),
    "outside the user's area": ({"user_scope": {"area": SMALL}}, Reason.SCOPE, "terms.user.area"),
    "outside the holder's area": ({"holder_scope": {"area": SMALL}}, Reason.SCOPE, "capability.8.area"),
    "outside the rule's area": ({"rule": replace(RULE, area=SMALL)}, Reason.SCOPE, "terms.rule.area"),
    "after the user's credential": (
        {"user_life": {"expires_s": T0 // NS + 11}},
        Reason.SCOPE,
        "terms.user.life",
    ),
    "after the holder's credential": (
        {"holder_life": {"expires_s": T0 // NS + 11}},
        Reason.SCOPE,
        "terms.holder.life",
    ),
    "a year to accept": (
        {"grant": {"accept_by_ns": T0 + 10**9 * NS, "confirm_by_ns": T0 + 10**9 * NS}},
        Reason.TERMS,
        "terms.accept_by",
    ),
    "a year to confirm": ({"grant": {"confirm_by_ns": T0 + 10**9 * NS}}, Reason.TERMS, "terms.confirm_by"),
}


def collusion(folder: Path, changes: dict[str, Any]) -> Collusion:
    changes = dict(changes)
    if changes.pop("root", False):
        return TwoClasses(folder, **changes)
    return Collusion(folder, **changes)


class TwoClasses(Collusion):
    """Under a root that governs two classes."""

    def __post_init__(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            wide = lambda actions, **changes: scope(actions, **{"classes": CBRS_AND_GAME, **changes})  # noqa: E731
            patch.setattr("tests.settlement.world.scope", wide)
            super().__post_init__()


@pytest.mark.attack(61)
@pytest.mark.parametrize("name", BEYOND)
def test_an_artifact_beyond_its_terms_is_refused_by_everyone(tmp_path: Path, name: str) -> None:
    changes, reason, clause = BEYOND[name]
    made = collusion(tmp_path, changes)
    verdict = made.verdict()
    assert isinstance(verdict, Refusal), verdict
    assert (verdict.reason, verdict.clause) == (reason, clause)
    taken = Permits(network=NETWORK, anchors=made.anchors).take(made.artifact(), fix(1.3).time)
    assert isinstance(taken, Refusal)
    assert taken.reason is reason


AT_THE_EDGE: dict[str, dict[str, Any]] = {
    "untouched": {},
    "the longest window": {"grant": window(600 * NS)},
    "one unit of time": {"grant": window(1_000_000)},
    "as far ahead as may be": {**rule(max_ahead_ns=10 * NS), "grant": window(NS, T0 + 11 * NS - 1000)},
    "the dearest": {"grant": {"price": 100}},
    "for nothing": {"grant": {"price": 0}},
    "as loud as the class": {**rule(max_eirp_mdbm=20_000)},
    "as loud as the user": {"user_scope": {"max_eirp_mdbm": 20_000}},
    "a shorter lease": {"grant": {"lease_ns": NS}},
    "until the credentials end": {
        "user_life": {"expires_s": T0 // NS + 12},
        "holder_life": {"expires_s": T0 // NS + 12},
    },
    "the rule's whole area": {"rule": replace(RULE, area=AREA)},
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_an_artifact_at_the_edge_of_its_terms_verifies(tmp_path: Path, name: str) -> None:
    verdict = Collusion(tmp_path, **AT_THE_EDGE[name]).verdict()
    assert isinstance(verdict, VerifiedPermit), verdict


# -- the same by holder and user, record by record


GRANTED: dict[str, tuple[dict[str, Any], Reason]] = {
    "lease": ({"lease_ns": 200 * NS}, Reason.LEASE),
    "accept_by": ({"accept_by_ns": T0 + 10**6 * NS}, Reason.TERMS),
    "confirm_by": ({"confirm_by_ns": T0 + 10**6 * NS}, Reason.TERMS),
}


@pytest.mark.attack(61)
@pytest.mark.parametrize("name", GRANTED)
def test_a_user_accepts_no_grant_beyond_its_class(tmp_path: Path, name: str) -> None:
    changes, reason = GRANTED[name]
    world = offered(tmp_path)
    world.request("alice", 1.0, UPPER, 3.0, 9.0)
    holder = world.members["holder"]
    holder.party.holder.grant = lambda work, admitted, *_: _granting(world, work, admitted, changes)  # type: ignore[method-assign,assignment]
    assert [r.reason for r in world.carry(1.0)] == [reason]
    assert [p.accept for p in world.members["alice"].party.user.pairs.values()] == [None]


def _granting(world: World, work: Any, admitted: Any, changes: dict[str, Any]) -> Any:
    """The GRANT as this holder's code makes it, changed before it is signed."""
    holder = world.members["holder"].party.holder

    class Changed:
        def __getattr__(self, name: str) -> Any:
            return getattr(work, name)

        def sign(self, body: Any) -> Any:
            return work.sign(replace(body, **changes) if isinstance(body, Grant) else body)

    return type(holder).grant(holder, Changed(), admitted)  # type: ignore[arg-type]


@pytest.mark.attack(61)
@pytest.mark.parametrize("over_ns", [0, 1])
def test_a_renewal_is_no_longer_than_the_class_for_user_warden_and_auditor(tmp_path: Path, over_ns: int) -> None:
    world = offered(tmp_path)
    artifact = world.settle(band=UPPER, start_s=2.0, end_s=60.0)
    alice = world.members["alice"].party
    (pair,) = alice.user.pairs.values()
    assert pair.decision is not None
    decision, now = pair.decision, fix(4.0)
    until_ns = now.time.latest_ns + 3 * NS + over_ns
    body = Renew(sid=pair.sid, confirm=decision, number=1, transmit_until_ns=until_ns, fence=90)
    raw = world.do("holder", 4.0, lambda step: step.sign(body)).raw
    refusal = world.give("holder", "alice", Message(record=raw).encoded(), 4.0)
    permits = Permits(network=NETWORK, anchors=world.anchors)
    assert isinstance(permits.take(artifact, fix(1.5).time), HeldPermit)
    changed = permits.change(raw, pair.sid, now.time)
    audited = audited_log(world, "holder")
    assert len(audited.held) > 5, audited.findings.problems
    found = [p for p in audited.findings.problems if "LEASE" in p]
    if over_ns:
        assert refusal is not None
        assert refusal.reason is Reason.LEASE
        assert isinstance(changed, Refusal)
        assert changed.reason is Reason.LEASE
        assert found
    else:
        assert refusal is None
        assert isinstance(changed, HeldPermit)
        assert found == []


@pytest.mark.attack(61)
def test_an_auditor_finds_a_grant_beyond_its_terms(tmp_path: Path) -> None:
    world = offered(tmp_path)
    world.request("alice", 1.0, UPPER, 3.0, 9.0)
    holder = world.members["holder"]
    holder.party.holder.grant = lambda work, admitted, *_: _granting(world, work, admitted, {"price": 10**9})  # type: ignore[method-assign,assignment]
    world.carry(1.0)
    audited = audited_log(world, "holder")
    assert any("PRICE" in problem for problem in audited.findings.problems)


def audited_log(world: World, name: str) -> Audited:
    """A member's log, closed and judged by an auditor."""
    (world.folder / "sealed").mkdir()
    (path,) = sealed(world, world.folder / "sealed", name)
    return audit_lineage(path, network=NETWORK, anchors=world.anchors)


Change = Callable[[Any], Any]
ASKED: dict[str, tuple[Change, Reason]] = {
    "class": (lambda r: replace(r, commodity="5g"), Reason.TERMS),
    "raster": (lambda r: replace(r, cell=other_cell(band=Band(low_hz=1, high_hz=2))), Reason.SCOPE),
    "price": (lambda r: replace(r, price=101), Reason.PRICE),
    "tier": (lambda r: replace(r, tier=1), Reason.TIER),
    "eirp": (lambda r: replace(r, eirp_mdbm=30_001), Reason.POWER),
    "area": (lambda r: replace(r, cell=other_cell(area=WIDER)), Reason.SCOPE),
}


@pytest.mark.attack(61)
@pytest.mark.parametrize("name", ASKED)
def test_a_holder_judges_what_is_asked_by_the_same_terms(tmp_path: Path, name: str) -> None:
    change, reason = ASKED[name]
    world = offered(tmp_path)
    body = replace(world.asked(), cell=CELL)
    registry = world.members["holder"].party.registry
    parties = {n: registry.get(world.members[n].hash) for n in ("holder", "alice")}
    holder, alice = parties["holder"], parties["alice"]
    assert holder is not None
    assert alice is not None
    now = fix(1.0).time
    assert judge_terms(deal_of_request(body, now), RULE, holder=holder, user=alice) is None
    refusal = judge_terms(deal_of_request(change(body), now), RULE, holder=holder, user=alice)
    assert refusal is not None
    assert refusal.reason is reason


def test_a_long_lease_is_a_term_of_the_rule_and_stops_at_protected_areas() -> None:
    far = Area(lat_e7=LAT + 100_000_000, lon_e7=LON, radius_mm=1_000_000)
    for long, most_ns in (
        (None, LEASE_MAX_NS),
        (LongLeases(most_ns=86_400 * NS, protected=()), 86_400 * NS),
        (LongLeases(most_ns=3600 * NS, protected=(far,)), 3600 * NS),
        (LongLeases(most_ns=86_400 * NS, protected=(far, SMALL)), LEASE_MAX_NS),
    ):
        assert lease_ceiling_ns(replace(RULE, long_leases=long), CELL) == most_ns
        terms = replace(TERMS, lease_ns=3600 * NS)
        found = flaw(replace(RULE, classes=(terms,), long_leases=long))
        assert (found is None) == (long is not None), "beyond 240 s only where the rule says so"


@pytest.mark.parametrize("longer", [False, True])
def test_a_settlement_has_the_lease_that_its_rule_allows(tmp_path: Path, longer: bool) -> None:
    long = LongLeases(most_ns=3600 * NS, protected=() if longer else (SMALL,))
    terms = replace(TERMS, lease_ns=3600 * NS)
    made = Collusion(tmp_path, grant={"lease_ns": 900 * NS}, rule=replace(RULE, classes=(terms,), long_leases=long))
    found = Permits(network=NETWORK, anchors=made.anchors).take(made.artifact(), fix(1.3).time)
    assert isinstance(found, HeldPermit) == longer, found


def test_a_lower_authority_makes_leases_no_longer_and_protects_no_less() -> None:
    upper = replace(RULE, long_leases=LongLeases(most_ns=3600 * NS, protected=(SMALL,)), incumbent_calendar=1)
    fine = replace(upper, long_leases=LongLeases(most_ns=1800 * NS, protected=(AREA,)))
    assert wider_rule(fine, upper) is None
    assert wider_rule(replace(upper, long_leases=None), upper) is None
    for change, axis in (
        ({"incumbent_calendar": None}, "incumbent_calendar"),
        ({"long_leases": LongLeases(most_ns=3601 * NS, protected=(AREA,))}, "long_leases.most_ns"),
        ({"long_leases": LongLeases(most_ns=NS, protected=())}, "long_leases.protected"),
    ):
        refusal = wider_rule(replace(upper, **change), upper)
        assert refusal is not None
        assert refusal.clause == f"rule.wider.{axis}"
    refusal = wider_rule(upper, replace(upper, long_leases=None))
    assert refusal is not None
    assert refusal.clause == "rule.wider.long_leases.most_ns"
