"""The warden goes by the newest rule in force that it has seen, and by no lower authority's wider one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.permits import HeldPermit, Permits
from radio.rulebook import RuleBook, RulesLost, SeenFile
from settlement.chain.bodies import (
    Budget,
    ClassTerms,
    DeskTerms,
    Level,
    Modality,
    Recognition,
    Rule,
    Shard,
    StockWitness,
)
from settlement.chain.codec import kinds_of
from settlement.chain.credentials import Registry
from settlement.chain.records import digest
from settlement.chain.ruling import HeldRule, read_held, verify_rule
from settlement.chain.scope import Area, Band, Window
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.governing.limits import wider_rule
from settlement.governing.soundness import flaw
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import AuctionRule
from settlement.records.authority import JurisdictionLink, LongLeases
from settlement.records.classterms import LicenceTerms, RetentionTerms
from settlement.records.complaintterms import DisputeTerms, FallbackTerms, GroundTerms, ReputationTerms
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import Tariff, TierTerms
from tests.settlement import world as made_by
from tests.settlement.collusion import Collusion, other_cell
from tests.settlement.world import AREA, BAND, LAT, LON, LOWER, NETWORK, NS, RULE, T0, TERMS, fix

SECOND_AT_S = 2.0
LOUDER = replace(TERMS, max_eirp_mdbm=30_000)
QUIET = replace(RULE, outside_authorisation=1, classes=(replace(TERMS, max_eirp_mdbm=25_000),))


def after(first: Collusion, **changes: Any) -> Rule:
    """What follows a rule, from two seconds on."""
    start = replace(RULE.effective, start_ns=T0 + round(SECOND_AT_S * NS))
    return replace(first.rule, version=2, previous=digest(first.rule_raw), effective=start, **changes)


def under(first: Collusion, folder: Path, rule: Rule, at_s: float, **changes: Any) -> Collusion:
    """The same pair, settled `at_s` under another rule of the same root."""
    late = {"granted_at": fix(at_s), "accepted_at": fix(at_s + 0.1), "confirmed_at": fix(at_s + 0.2)}
    window = Window(start_ns=T0 + round((at_s + 1) * NS), end_ns=T0 + round((at_s + 11) * NS))
    return Collusion(folder, rule=rule, **{**late, "grant": {"cell": other_cell(window=window)}, **changes})


def book(made: Collusion, path: Path | None = None, configured: Collusion | None = None) -> RuleBook:
    opened = RuleBook(registry=Registry(NETWORK, made.anchors), file=SeenFile(path) if path is not None else None)
    assert opened.open(held(configured) if configured is not None else None) is None
    return opened


def held(made: Collusion) -> HeldRule:
    found = read_held(made.rule_raw, made.rule_chain, Registry(NETWORK, made.anchors))
    assert isinstance(found, HeldRule)
    return found


def permits(made: Collusion, opened: RuleBook | None = None) -> Permits:
    return Permits(network=NETWORK, anchors=made.anchors, book=opened)


def reason(outcome: HeldPermit | Refusal | None) -> Reason | None:
    return outcome.reason if isinstance(outcome, Refusal) else None


@pytest.mark.attack(59)
def test_a_superseded_rule_is_refused_from_the_first_instant_of_the_next_one(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    second = under(first, tmp_path / "two", after(first), SECOND_AT_S + 1)
    warden = permits(first, book(first, configured=first))
    assert isinstance(warden.take(second.artifact(), fix(3.5).time), HeldPermit)
    backdated = replace_nonce(first, tmp_path / "three")
    assert reason(warden.take(backdated.artifact(), fix(3.5).time)) is Reason.RULE_UNKNOWN
    assert reason(warden.take(backdated.artifact())) is Reason.RULE_UNKNOWN, "nor without a clock"
    assert reason(warden.take(backdated.artifact(), fix(3.5, trusted=False).time)) is Reason.RULE_UNKNOWN


def replace_nonce(first: Collusion, folder: Path) -> Collusion:
    """The pair settles once more, as if it had been before the second rule."""
    return Collusion(folder, rule=first.rule, grant={"challenge": b"c" * 32})


@pytest.mark.attack(59)
def test_a_rule_announced_ahead_supersedes_nothing_yet(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    second = under(first, tmp_path / "two", after(first), 3.0)
    opened = book(first, configured=first)
    warden = permits(first, opened)
    assert warden.rule(second.rule_raw, second.rule_chain) is None
    assert isinstance(warden.take(first.artifact(), fix(1.5).time), HeldPermit)


@pytest.mark.attack(59)
def test_what_was_taken_before_goes_on_over_rule_and_restart_and_nothing_else_does(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    second = under(first, tmp_path / "two", after(first), 3.0)
    path = tmp_path / "seen"
    warden = permits(first, book(first, path, first))
    artifact = first.artifact()
    assert isinstance(warden.take(artifact, fix(1.5).time), HeldPermit)
    assert warden.rule(second.rule_raw, second.rule_chain) is None
    warden.close()
    again = permits(first, book(first, path, first))
    assert isinstance(again.take(artifact, fix(3.5).time), HeldPermit)
    assert reason(again.take(first.artifact(), fix(3.5).time)) is Reason.RULE_UNKNOWN, "another CONFIRM"
    other = replace_nonce(first, tmp_path / "three")
    assert reason(again.take(other.artifact(), fix(3.5).time)) is Reason.RULE_UNKNOWN
    again.close()
    fresh = permits(first, book(first, configured=first))
    assert isinstance(fresh.take(other.artifact(), fix(3.5).time), HeldPermit), (
        "one that never heard of the second rule"
    )


def test_a_file_that_is_damaged_is_not_forgotten(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    path = tmp_path / "seen"
    opened = book(first, path, first)
    opened.close()
    data = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for broken in (b"", data[:-1], b"\xa0" + data):
        path.write_bytes(broken)
        with pytest.raises(RulesLost):
            RuleBook(registry=Registry(NETWORK, first.anchors), file=SeenFile(path)).open(None)
    path.write_bytes(data)
    stranger = RuleBook(registry=Registry(NETWORK, [bytes(32)]), file=SeenFile(path)).open(None)
    assert reason(stranger) is Reason.UNKNOWN_AUTHOR


def test_a_full_disk_is_told_and_the_chain_still_held(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one")
    file = SeenFile(tmp_path / "no such folder" / "seen")
    opened = RuleBook(registry=Registry(NETWORK, first.anchors), file=file)
    assert opened.open(held(first)) is None
    opened.close()
    assert file.fault is not None
    assert opened.knows(digest(first.rule_raw))


FOLLOWS: dict[str, tuple[dict[str, Any], Reason]] = {
    "the same version": ({"version": 1}, Reason.ROLLBACK),
    "a jump": ({"version": 2**63}, Reason.FAST_FORWARD),
    "another predecessor": ({"previous": bytes(32)}, Reason.ROLLBACK),
    "another name": ({"name": "other"}, Reason.RULE_UNKNOWN),
}


@pytest.mark.attack(59)
@pytest.mark.parametrize("name", FOLLOWS)
def test_what_does_not_follow_is_refused_by_the_warden(tmp_path: Path, name: str) -> None:
    changes, expected = FOLLOWS[name]
    first = Collusion(tmp_path / "one")
    other = under(first, tmp_path / "two", replace(after(first), **changes), 3.0)
    warden = permits(first, book(first, configured=first))
    assert reason(warden.take(other.artifact(), fix(3.5).time)) is expected
    assert reason(warden.rule(other.rule_raw, other.rule_chain)) is expected


@pytest.mark.attack(59)
def test_after_its_rule_is_over_nothing_new_is_taken(tmp_path: Path) -> None:
    short = replace(RULE, effective=Window(start_ns=T0 - NS, end_ns=T0 + 2 * NS))
    made = Collusion(tmp_path, rule=short)
    warden = permits(made, book(made, configured=made))
    assert reason(warden.take(made.artifact(), fix(2.5).time)) is Reason.RULE_UNKNOWN
    assert isinstance(warden.take(made.artifact(), fix(1.5).time), HeldPermit)


@pytest.mark.attack(59)
def test_a_lease_attested_in_the_future_reaches_no_further_from_here(tmp_path: Path) -> None:
    late = {"granted_at": fix(9.0), "accepted_at": fix(9.1), "confirmed_at": fix(9.2)}
    made = Collusion(tmp_path, **late)
    warden = permits(made, book(made, configured=made))
    assert reason(warden.take(made.artifact(), fix(3.0).time)) is Reason.LEASE
    assert isinstance(warden.take(made.artifact(), fix(9.3).time), HeldPermit)


# -- a lower authority only narrows ----------------------------------------------------------------------------------


SMALL = Area(lat_e7=LAT, lon_e7=LON, radius_mm=1_000_000)
SHARD = Shard(name="all", mode=1, authorities=(), need=1)
BUDGET = Budget(
    level="operator", commodity="cbrs", window_ns=3600 * NS, amount_hz_s=10**12, first_share_ppm=1000, step_ppm=10
)
DESK = DeskTerms(
    time_sources=(TimeSource.KERNEL,),
    position_sources=(PositionSource.SURVEYED,),
    time_bound_ns_max=NS,
    position_radius_mm_max=1000,
)
REPUTATION = ReputationTerms(prior_good=2, prior_bad=1, half_life_ns=NS, complaint=1000, partner_max=5000)
FALLBACK = FallbackTerms(number=1, scope="any", notice_ns=NS, owed="none", amount=0)
DISPUTES = DisputeTerms(
    grounds=(GroundTerms(name="fallback not kept", owed="none", amount=0),), levels=("authority",),
    raise_ns=NS, answer_ns=NS, rule_ns=NS, escalate_ns=NS, pay_ns=NS,
)  # fmt: skip
LICENCE = LicenceTerms(use=("research",), keep_ns=NS, aggregate="parties", redistribute="none")
KEPT = RetentionTerms(what="envelopes", keep_ns=NS)
HANDING = HandingTerms(kinds=("sublease",), depth=1, consent=1)
AUCTION = AuctionRule(
    members="town", functions=("second price",), bids_ns_min=NS, reveals_ns_min=NS, settle_ns=NS, deposit_min=1,
    bidders_max=4,
)  # fmt: skip
APPROVAL = ApprovalRule(members="town", function="k of n", need=2, vote_ns=TERMS.accept_ns - 1)
UPPER_RULE = replace(
    RULE,
    validity_ns_max=3600 * NS,
    witness_quorum=1,
    outside_authorisation=1,
    incumbent_calendar=1,
    confidence_ppm_min=500_000,
    coordination=(SHARD,),
    budgets=(BUDGET,),
    modalities=(Modality(name="radar", reliability_ppm=900_000),),
    desk=DESK,
    admission=1,
    reputation=REPUTATION,
    jurisdictions=(JurisdictionLink(record=b"the rule of the area", chain=(b"its authority",)),),
    levels=(
        Level(name="authority", response="obey", weight_ppm=1_000_000, admits=("rule", "envelope", "ruling")),
        Level(name="operator", response="consider", weight_ppm=500_000, admits=("request", "grant")),
    ),
    classes=(
        replace(
            TERMS, price_low=5, rounds_max=2, max_ahead_ns=NS, on_incumbent=0, envelope_required=1,
            price_forms=("fixed", "parametric"), tariff=Tariff(base=5, per_mhz_s=1), currency="USD",
            fallbacks=(FALLBACK,), disputes=DISPUTES, schema=bytes(32), licence=LICENCE, retention=(KEPT,),
            handing=HANDING, auction=AUCTION, approval=APPROVAL, coalition=APPROVAL,
        ),
    ),
)  # fmt: skip
TIER = TierTerms(tier=1, displaces=(2,), condition="none", notice_ns=0, owed="none", amount=0)


def terms(**changes: Any) -> dict[str, Any]:
    return {"classes": (replace(UPPER_RULE.classes[0], **changes),)}


def operator(**changes: Any) -> dict[str, Any]:
    return {"levels": (UPPER_RULE.levels[0], replace(UPPER_RULE.levels[1], **changes))}


WIDER: dict[str, dict[str, Any]] = {
    "effective": {"effective": replace(RULE.effective, end_ns=RULE.effective.end_ns + 1)},
    "bands": {"bands": (replace(BAND, high_hz=BAND.high_hz + 1),)},
    "area": {"area": Area(lat_e7=LAT, lon_e7=LON, radius_mm=20_000_001)},
    "classes": {"classes": (*UPPER_RULE.classes, replace(TERMS, name="game"))},
    "cbrs.max_window_ns": terms(max_window_ns=TERMS.max_window_ns + 1),
    "cbrs.max_eirp_mdbm": terms(max_eirp_mdbm=30_001),
    "cbrs.accept_ns": terms(accept_ns=NS + 1),
    "cbrs.confirm_ns": terms(confirm_ns=NS + 1),
    "cbrs.lease_ns": terms(lease_ns=3 * NS + 1),
    "cbrs.vacate_ns": terms(vacate_ns=NS),
    "cbrs.price_high": terms(price_high=101),
    "cbrs.price_low": terms(price_low=4),
    "cbrs.tiers": terms(tiers=(TIER,)),
    "cbrs.price_forms": terms(price_forms=("fixed", "auction")),
    "cbrs.tariff": terms(tariff=None),
    "cbrs.currency": terms(currency="EUR"),
    "cbrs.fallbacks": terms(fallbacks=None),
    "cbrs.disputes": terms(disputes=replace(DISPUTES, raise_ns=1)),
    "cbrs.schema": terms(schema=bytes([1]) * 32),
    "cbrs.licence": terms(licence=replace(LICENCE, keep_ns=2 * NS)),
    "cbrs.retention": terms(retention=None),
    "cbrs.unit": terms(unit="bit/s"),
    "cbrs.users": terms(users=2),
    "cbrs.handing.kinds": terms(handing=replace(HANDING, kinds=("transfer",))),
    "cbrs.handing.depth": terms(handing=replace(HANDING, depth=2)),
    "cbrs.handing.consent": terms(handing=replace(HANDING, consent=0)),
    "cbrs.auction": terms(auction=replace(AUCTION, deposit_min=0)),
    "cbrs.approval": terms(approval=replace(APPROVAL, need=1)),
    "cbrs.coalition": terms(coalition=replace(APPROVAL, need=1)),
    "cbrs.out_of_band_mdbm_per_mhz": terms(out_of_band_mdbm_per_mhz=99_000),
    "cbrs.raster_hz": terms(raster_hz=1_000_000),
    "cbrs.time_unit_ns": terms(time_unit_ns=1),
    "cbrs.rounds_max": terms(rounds_max=3),
    "cbrs.max_ahead_ns": terms(max_ahead_ns=None),
    "cbrs.on_incumbent": terms(on_incumbent=1),
    "cbrs.envelope_required": terms(envelope_required=None),
    "levels.guest": {"levels": (*UPPER_RULE.levels, Level(name="guest", response="obey", weight_ppm=0, admits=()))},
    "levels.operator.response": operator(response="obey"),
    "levels.operator.weight_ppm": operator(weight_ppm=500_001),
    "levels.operator.admits": operator(admits=("request", "grant", "rule")),
    "time_sources": {"time_sources": (TimeSource.SIMULATED, TimeSource.KERNEL)},
    "position_sources": {"position_sources": (PositionSource.SIMULATED, PositionSource.GPS)},
    "time_bound_ns_max": {"time_bound_ns_max": RULE.time_bound_ns_max + 1},
    "position_radius_mm_max": {"position_radius_mm_max": RULE.position_radius_mm_max + 1},
    "record_age_ns_max": {"record_age_ns_max": RULE.record_age_ns_max + 1},
    "sensing_age_ns_max": {"sensing_age_ns_max": RULE.sensing_age_ns_max + 1},
    "witness_quorum": {"witness_quorum": 0},
    "stock_witnesses": {"stock_witnesses": (StockWitness(name="w.example", key=bytes(range(32))),)},
    "outside_authorisation": {"outside_authorisation": 0},
    "incumbent_calendar": {"incumbent_calendar": None},
    "admission": {"admission": None},
    "reputation": {"reputation": replace(REPUTATION, prior_good=3)},
    "jurisdictions": {"jurisdictions": None},
    "long_leases.most_ns": {"long_leases": LongLeases(most_ns=3600 * NS, protected=())},
    "confidence_ppm_min": {"confidence_ppm_min": None},
    "coordination.all": {"coordination": (replace(SHARD, need=0),)},
    "budgets.cbrs": {"budgets": (replace(BUDGET, amount_hz_s=BUDGET.amount_hz_s + 1),)},
    "modalities.radar": {"modalities": (Modality(name="radar", reliability_ppm=900_001),)},
    "modalities": {"modalities": None},
    "validity_ns_max": {"validity_ns_max": None},
    "desk.time_bound_ns_max": {"desk": replace(DESK, time_bound_ns_max=NS + 1)},
    "desk.time_sources": {"desk": replace(DESK, time_sources=(TimeSource.GPS,))},
}
NARROWER: dict[str, dict[str, Any]] = {
    "untouched": {},
    "less band": {"bands": (LOWER,)},
    "less place": {"area": SMALL},
    "less power": terms(max_eirp_mdbm=0),
    "a stricter mask": terms(out_of_band_mdbm_per_mhz=-40_000),
    "a coarser raster": terms(raster_hz=10_000_000),
    "more witnesses": {"witness_quorum": 2},
    "more co-signatures": {"coordination": (replace(SHARD, need=2),)},
    "a smaller budget": {"budgets": (replace(BUDGET, amount_hz_s=1, first_share_ppm=1),)},
    "fewer levels": {"levels": UPPER_RULE.levels[1:]},
    "record only": operator(response="record only", weight_ppm=0, admits=("request",)),
    "nothing for desks": {"desk": None},
    "no auction, and no lease that changes hands": terms(auction=None, handing=None),
    "a shorter time": {"effective": replace(RULE.effective, end_ns=RULE.effective.end_ns - 1)},
}


@pytest.mark.attack(59)
@pytest.mark.parametrize("axis", WIDER)
def test_each_axis_that_widens_is_named(axis: str) -> None:
    refusal = wider_rule(replace(UPPER_RULE, **WIDER[axis]), UPPER_RULE)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, f"rule.wider.{axis}")


@pytest.mark.parametrize("name", NARROWER)
def test_what_narrows_is_let_through(name: str) -> None:
    assert wider_rule(replace(UPPER_RULE, **NARROWER[name]), UPPER_RULE) is None


def test_every_key_of_a_rule_is_held_against_the_rule_above() -> None:
    axes = {axis.split(".")[0] for axis in WIDER}
    of_class = {axis.removeprefix("cbrs.").split(".")[0] for axis in WIDER if axis.startswith("cbrs.")} | {
        "recognition"
    }
    assert {name for name, _ in kinds_of(Rule)} - {"name", "version", "previous"} <= axes
    assert {name for name, _ in kinds_of(ClassTerms)} - {"name", "matching"} <= of_class, "matching orders offers only"
    own = replace(UPPER_RULE, classes=(replace(UPPER_RULE.classes[0], recognition=(Recognition(kind="handshake"),)),))
    assert wider_rule(UPPER_RULE, own) is not None
    assert wider_rule(own, UPPER_RULE) is None


def test_leases_change_hands_only_where_the_rule_above_lets_them() -> None:
    upper = replace(UPPER_RULE, **terms(handing=None))
    refusal = wider_rule(UPPER_RULE, upper)
    assert refusal is not None
    assert (refusal.clause, refusal.required) == ("rule.wider.cbrs.handing", "none")


@pytest.mark.parametrize("name", ["fallbacks", "disputes", "retention", "handing", "auction", "tiers"])
def test_what_the_rule_above_does_not_give_no_lower_one_gives(name: str) -> None:
    given = {"tiers": (TIER,)}.get(name, getattr(UPPER_RULE.classes[0], name))
    refusal = wider_rule(replace(UPPER_RULE, **terms(**{name: given})), replace(UPPER_RULE, **terms(**{name: None})))
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, f"rule.wider.cbrs.{name}")


NESTED: dict[str, dict[str, Any]] = {
    "fallbacks": {"number": 2, "scope": "pool", "notice_ns": 0, "owed": "fixed", "amount": 1, "pool": ("x",)},
    "disputes": {
        "grounds": (GroundTerms(name="fallback not kept", owed="fixed", amount=1),), "levels": ("operator",),
        "raise_ns": 2 * NS, "answer_ns": 2 * NS, "rule_ns": 2 * NS, "escalate_ns": 2 * NS, "pay_ns": 2 * NS,
    },
    "approval": {"members": "others", "function": "unanimous", "need": 1, "vote_ns": 1},
    "coalition": {"members": "others", "function": "unanimous", "need": 1, "vote_ns": 1},
    "auction": {
        "members": "others", "functions": ("first price",), "bids_ns_min": 1, "reveals_ns_min": 1, "settle_ns": 0,
        "deposit_min": 0, "bidders_max": 2, "forfeit": "price",
    },
    "licence": {"use": ("any",), "keep_ns": 2 * NS, "aggregate": "public", "redistribute": "parties"},
    "retention": {"what": "usage", "keep_ns": 1},
    "tiers": {
        "tier": 2, "displaces": (3,), "condition": "emergency", "notice_ns": 1, "owed": "fixed", "amount": 1,
        "levels": ("operator",), "after_ns": 1,
    },
    "tariff": {"base": 0, "per_mhz_s": 0, "free_eirp_mdbm": 1, "per_db_ppm": 1, "hour_ppm": (1,) * 24},
}  # fmt: skip
"""Every key inside a term of a class with another value, one at a time."""


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in NESTED.items() for key in keys])
def test_no_key_inside_a_term_is_changed_below(name: str, key: str) -> None:
    held = {"tiers": (TIER,)}.get(name, getattr(UPPER_RULE.classes[0], name))
    upper = replace(UPPER_RULE, **terms(**{name: held}))
    one = held[0] if isinstance(held, tuple) else held
    changed = replace(one, **{key: NESTED[name][key]})
    refusal = wider_rule(replace(upper, **terms(**{name: (changed,) if isinstance(held, tuple) else changed})), upper)
    assert refusal is not None
    assert refusal.clause == f"rule.wider.cbrs.{name}"


def test_every_key_inside_a_term_has_a_case() -> None:
    for name, cases in NESTED.items():
        held = {"tiers": (TIER,)}.get(name, getattr(UPPER_RULE.classes[0], name))
        one = held[0] if isinstance(held, tuple) else held
        assert {field for field, _ in kinds_of(type(one))} == set(cases), name


def test_no_lower_rule_says_how_reputation_counts() -> None:
    refusal = wider_rule(UPPER_RULE, replace(UPPER_RULE, reputation=None))
    assert refusal is not None
    assert refusal.clause == "rule.wider.reputation"


def test_what_the_rule_above_leaves_open_may_be_closed() -> None:
    assert wider_rule(UPPER_RULE, replace(UPPER_RULE, budgets=None, coordination=None, modalities=None)) is None
    assert wider_rule(replace(RULE, desk=DESK), RULE) is not None


@pytest.mark.attack(59)
@pytest.mark.parametrize("name", ["no outside authorisation", "louder", "any mask", "as a successor"])
def test_a_delegated_authoritys_wider_rule_is_refused_by_the_warden(tmp_path: Path, name: str) -> None:
    first = Collusion(tmp_path / "one", rule=QUIET)
    wide = {
        "no outside authorisation": replace(QUIET, outside_authorisation=0),
        "louder": replace(QUIET, classes=(LOUDER,)),
        "any mask": replace(QUIET, classes=(replace(QUIET.classes[0], out_of_band_mdbm_per_mhz=99_000),)),
        "as a successor": after(first, outside_authorisation=0),
    }[name]
    lower = under(first, tmp_path / "two", wide, 3.0, by_another=True)
    warden = permits(first, book(first, configured=first))
    assert reason(warden.take(lower.artifact(), fix(3.5).time)) is Reason.SCOPE
    assert reason(warden.rule(lower.rule_raw, lower.rule_chain)) is Reason.SCOPE


@pytest.mark.attack(59)
def test_a_delegated_authority_may_narrow_and_the_one_above_may_take_it_back(tmp_path: Path) -> None:
    first = Collusion(tmp_path / "one", rule=QUIET)
    narrow = after(first, witness_quorum=0, classes=(replace(QUIET.classes[0], max_eirp_mdbm=21_000),))
    lower = under(first, tmp_path / "two", narrow, 3.0, by_another=True)
    opened = book(first, configured=first)
    warden = permits(first, opened)
    assert isinstance(warden.take(lower.artifact(), fix(3.5).time), HeldPermit)
    start = replace(RULE.effective, start_ns=T0 + 5 * NS)
    third = replace(QUIET, version=3, previous=digest(lower.rule_raw), effective=start)
    root = under(first, tmp_path / "three", third, 6.0)
    assert isinstance(warden.take(root.artifact(), fix(6.5).time), HeldPermit)
    wide = replace(third, version=4, previous=digest(root.rule_raw), outside_authorisation=0)
    again = under(first, tmp_path / "four", wide, 7.0, by_another=True)
    assert reason(warden.take(again.artifact(), fix(7.5).time)) is Reason.SCOPE


# -- a rule holds in itself, inside its authority --------------------------------------------------------------------


UNSOUND: dict[str, dict[str, Any]] = {
    "effective": {"effective": Window(start_ns=T0, end_ns=T0)},
    "bands[0]": {"bands": (Band(low_hz=BAND.low_hz, high_hz=BAND.low_hz),)},
    "classes": {"classes": (TERMS, TERMS)},
    "levels": {"levels": (*RULE.levels, RULE.levels[0])},
    "classes[0].raster_hz": {"classes": (replace(TERMS, raster_hz=0),)},
    "classes[0].time_unit_ns": {"classes": (replace(TERMS, time_unit_ns=0),)},
    "classes[0].max_window_ns": {"classes": (replace(TERMS, max_window_ns=2**62),)},
    "classes[0].max_eirp_mdbm": {"classes": (replace(TERMS, max_eirp_mdbm=-(10**6)),)},
    "classes[0].accept_ns": {"classes": (replace(TERMS, accept_ns=2**62),)},
    "classes[0].confirm_ns": {"classes": (replace(TERMS, confirm_ns=0),)},
    "classes[0].lease_ns": {"classes": (replace(TERMS, lease_ns=0),)},
    "classes[0].vacate_ns": {"classes": (replace(TERMS, vacate_ns=2**62),)},
    "classes[0].price_high": {"classes": (replace(TERMS, price_low=101),)},
    "classes[0].out_of_band_mdbm_per_mhz": {"classes": (replace(TERMS, out_of_band_mdbm_per_mhz=10**6),)},
    "classes[0].max_ahead_ns": {"classes": (replace(TERMS, max_ahead_ns=2**62),)},
    "levels[0].response": {"levels": (replace(RULE.levels[0], response="sing"),)},
    "levels[0].admits": {"levels": (replace(RULE.levels[0], admits=("song",)),)},
    "time_sources": {"time_sources": (0,)},
    "position_sources": {"position_sources": (99,)},
    "time_bound_ns_max": {"time_bound_ns_max": 0},
    "position_radius_mm_max": {"position_radius_mm_max": 0},
    "record_age_ns_max": {"record_age_ns_max": 2**62},
    "sensing_age_ns_max": {"sensing_age_ns_max": 0},
    "budgets[0].window_ns": {"budgets": (replace(BUDGET, window_ns=0),)},
    "coordination": {"coordination": (SHARD, SHARD)},
    "coordination[0].need": {"coordination": (replace(SHARD, mode=0, authorities=(bytes(32),), need=2),)},
    "coordination[0].authorities": {"coordination": (replace(SHARD, authorities=(bytes(32),)),)},
    "coordination[0].band": {"coordination": (replace(SHARD, band=Band(low_hz=2, high_hz=1)),)},
    "modalities": {"modalities": (UPPER_RULE.modalities or ()) * 2},
}


@pytest.mark.parametrize("key", UNSOUND)
def test_a_rule_that_means_nothing_is_refused_by_its_key(tmp_path: Path, key: str) -> None:
    made = Collusion(tmp_path, rule=replace(RULE, **UNSOUND[key]))
    complaint = flaw(made.rule)
    assert complaint is not None
    assert (complaint.reason, complaint.clause) == (Reason.TERMS, f"rule.{key}")
    refusal = verify_rule(made.rule_raw, made.rule_chain, Registry(NETWORK, made.anchors))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.TERMS
    assert reason(made.verdict() if isinstance(made.verdict(), Refusal) else None) is Reason.TERMS


def test_the_usual_rules_hold() -> None:
    assert flaw(RULE) is None
    assert flaw(UPPER_RULE) is None


BEYOND: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "may not rule": ({}, {"actions": ("issue", "offer")}, "rule.scope"),
    "band": ({}, {"bands": (LOWER,)}, "rule.bands[0]"),
    "area": ({}, {"area": SMALL}, "rule.area"),
    "class": ({"classes": (TERMS,)}, {"classes": ("game",)}, "rule.classes[0].name"),
    "power": ({}, {"max_eirp_mdbm": 29_999}, "rule.classes[0].max_eirp_mdbm"),
}


@pytest.mark.attack(59)
@pytest.mark.parametrize("name", BEYOND)
def test_no_authority_rules_beyond_its_own_scope(tmp_path: Path, name: str) -> None:
    changes, narrowed, clause = BEYOND[name]
    if name == "class":
        with pytest.MonkeyPatch.context() as patch:
            usual = made_by.scope
            patch.setattr(made_by, "scope", lambda a, **c: usual(a, **{"classes": ("cbrs", "game"), **c}))
            made = Collusion(tmp_path, rule=replace(RULE, **changes), by_another=True, another_scope=narrowed)
    else:
        made = Collusion(tmp_path, rule=replace(RULE, **changes), by_another=True, another_scope=narrowed)
    refusal = verify_rule(made.rule_raw, made.rule_chain, Registry(NETWORK, made.anchors))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, clause)


def test_area_of_the_rule_itself() -> None:
    assert flaw(replace(RULE, area=Area(lat_e7=LAT, lon_e7=LON))) is not None
    assert flaw(replace(RULE, area=AREA)) is None


SHORT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bands": ({"bands": (LOWER,), "classes": ("cbrs", "game")}, {"bands": (LOWER,)}),
    "area": ({"area": SMALL, "classes": ("cbrs", "game")}, {"area": SMALL}),
    "classes": ({"classes": ("cbrs",)}, {}),
}


@pytest.mark.attack(59)
@pytest.mark.attack(64)
@pytest.mark.parametrize("axis", SHORT)
def test_nobody_narrows_a_rule_where_it_has_no_authority(tmp_path: Path, axis: str) -> None:
    """A lower authority of a part of the band or the area would end the rule for everybody else."""
    narrowed, changes = SHORT[axis]
    usual = made_by.scope
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_by, "scope", lambda a, **c: usual(a, **{"classes": ("cbrs", "game"), **c}))
        game = replace(QUIET.classes[0], name="game")
        first = Collusion(tmp_path / "one", rule=replace(QUIET, classes=(*QUIET.classes, game)))
        left = {"classes": QUIET.classes} if axis == "classes" else changes
        lower = Collusion(tmp_path / "two", rule=after(first, **left), by_another=True, another_scope=narrowed)
    opened = book(first, configured=first)
    refusal = permits(first, opened).rule(lower.rule_raw, lower.rule_chain)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, f"rule.reach.{axis}")
    assert refusal.measured
    assert "as the rule" in refusal.required
