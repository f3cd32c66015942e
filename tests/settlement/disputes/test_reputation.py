"""Reputation: prior, decay, bounded influence, continuity over a key's turn; told again from the log; budgets by it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.audit.kept import compare
from settlement.chain import bodies
from settlement.chain.codec import encode
from settlement.core.reasons import Reason
from settlement.market.reputation import (
    NOTHING,
    WeighedConduct,
    faded,
    halved,
    reputation_ppm,
    share_by_reputation_ppm,
    weighed,
)
from settlement.pair.work import STORED_LIMIT
from settlement.records.complaintterms import ReputationTerms
from settlement.records.sizes import PPM
from settlement.state import reputation
from settlement.state.reputation import REPUTATION, reputation_in
from tests.settlement.disputes.court import Court
from tests.settlement.test_succession import turn
from tests.settlement.world import NETWORK, NS, T0, UPPER

HOUR_NS = 3600 * NS
TERMS = ReputationTerms(prior_good=1000, prior_bad=1000, half_life_ns=HOUR_NS, complaint=2000, partner_max=4000)
WEIGHTS, TIMES = st.integers(0, 10**6), st.integers(0, 10**17)


def of(good: int, bad: int = 0, at_ns: int = 0) -> WeighedConduct:
    return WeighedConduct(good=good, bad=bad, as_of_ns=at_ns)


@pytest.mark.feature("M5")
@given(WEIGHTS, TIMES, TIMES)
def test_a_weight_only_fades_and_is_halved_by_its_half_life(value: int, a_ns: int, b_ns: int) -> None:
    early, late = sorted((a_ns, b_ns))
    assert 0 <= halved(value, late, HOUR_NS) <= halved(value, early, HOUR_NS) <= value
    assert halved(value, HOUR_NS, HOUR_NS) == value // 2


@pytest.mark.feature("M5")
@given(st.lists(st.tuples(WEIGHTS, WEIGHTS), max_size=5), WEIGHTS, st.integers(1, 3000))
def test_one_counterparty_moves_nobody_further_than_its_bound(held: list[tuple[int, int]], bad: int, most: int) -> None:
    terms = replace(TERMS, partner_max=most)
    others = [of(good, worse) for good, worse in held]
    before, after = reputation_ppm(terms, others, 0), reputation_ppm(terms, [*others, of(0, bad)], 0)
    assert 0 < after <= before < PPM
    # Whatever one says, no more than `most` is added to the side that it speaks for.
    floor = reputation_ppm(replace(terms, prior_bad=terms.prior_bad + most), others, 0)
    assert after >= floor - 1


@pytest.mark.feature("M5")
def test_the_formula_by_hand() -> None:
    assert reputation_ppm(TERMS, [], 0) == PPM // 2 == TERMS.prior_ppm
    assert reputation_ppm(TERMS, [of(2000)], 0) == 3 * PPM // 4
    assert reputation_ppm(TERMS, [of(2000)], HOUR_NS) == 2 * PPM // 3
    assert reputation_ppm(TERMS, [of(0, 2000)], 0) == PPM // 4
    assert reputation_ppm(TERMS, [of(9000)], 0) == 5 * PPM // 6  # 4000 of 9000 count
    assert reputation_ppm(TERMS, [of(9000), of(9000)], 0) == 9 * PPM // 10
    struck = weighed(of(0, 2000), TERMS, good=0, bad=-2000, now_ns=0)
    assert (struck.good, struck.bad) == (0, 0)
    assert weighed(NOTHING, TERMS, good=0, bad=-5, now_ns=7).bad == 0
    assert faded(of(8, 8, 5), TERMS, 0).as_of_ns == 5  # a clock that went back gives nothing


@pytest.mark.feature("M5")
def test_a_share_of_a_budget_begins_at_the_prior() -> None:
    assert share_by_reputation_ppm(200_000, PPM // 2, PPM // 2) == 200_000
    assert share_by_reputation_ppm(200_000, 3 * PPM // 4, PPM // 2) == 600_000
    assert share_by_reputation_ppm(200_000, PPM // 4, PPM // 2) == 100_000
    assert share_by_reputation_ppm(200_000, 0, PPM // 2) == 0


def now(court: Court, who: str, whose: str, at_s: float) -> int:
    """What one thinks of the other."""
    party, other = court.world.members[who].party, court.world.members[whose].party.identity.credential
    return reputation_in(party.lineage, TERMS, party.registry.line(other), T0 + round(at_s * NS))


def told_again(court: Court) -> None:
    for who, member in court.world.members.items():
        member.party.lineage.close()
        told = compare(court.world.folder / f"{who}.db", network=NETWORK, anchors=court.world.anchors)
        assert told.differences == (), who


@pytest.mark.feature("M5")
def test_what_was_kept_counts_for_both_and_what_was_not_by_the_air_time_lost(tmp_path: Path) -> None:
    court = Court(tmp_path, reputation=TERMS)
    kept = court.settle()
    report = lambda step: court.alice.user.report_usage(step, kept, used=None, airtime_ns=0, bursts=0)  # noqa: E731
    court.world.do("alice", 5.0, report)
    court.world.do("alice", 5.1, report)  # once is enough
    assert court.world.carry(5.1) == []
    assert now(court, "holder", "alice", 5.1) == pytest.approx(2 * PPM // 3, abs=100)
    assert now(court, "alice", "holder", 5.1) == pytest.approx(2 * PPM // 3, abs=100)
    told_again(court)


@pytest.mark.feature("M5")
def test_an_end_for_nobody_costs_what_was_not_delivered_and_a_ruling_a_complaint(tmp_path: Path) -> None:
    court = Court(tmp_path, reputation=TERMS)
    court.settle()
    court.break_off(20.5)  # silent by 21 s, of a window from 2 to 40 s: half of it
    court.world.carry(20.5)
    assert now(court, "alice", "holder", 20.5) == pytest.approx(PPM // 2, abs=200)
    report = lambda step: court.alice.user.report_usage(step, court.sid, used=None, airtime_ns=0, bursts=0)  # noqa: E731
    court.world.do("alice", 21.0, report)
    court.world.carry(21.0)
    assert now(court, "alice", "holder", 21.0) == pytest.approx(PPM // 2, abs=200)  # a report makes nothing good
    raised = court.dispute(at_s=22.0)
    court.world.carry(22.0)
    assert court.rule(raised.digest, 25.0) is None  # type: ignore[union-attr]
    court.world.carry(25.0)
    assert now(court, "alice", "holder", 25.0) == pytest.approx(PPM * 1500 // 5000, abs=2000)
    before = now(court, "alice", "holder", 30.0)
    assert turn(court.world, "holder", 30.0) is None
    court.world.carry(30.0)
    assert court.holder.former
    assert now(court, "alice", "holder", 30.0) == before  # a new key is no new identity
    told_again(court)


@pytest.mark.feature("M5")
@pytest.mark.attack(53)
def test_a_new_identity_begins_with_the_priors_share_of_a_budget(tmp_path: Path) -> None:
    budget = bodies.Budget(
        level="operator", commodity="cbrs", window_ns=3600 * NS, amount_hz_s=10**9, first_share_ppm=400_000, step_ppm=0
    )
    court = Court(tmp_path, reputation=TERMS, budgets=(budget,))
    court.settle(end_s=40.0)  # 10 MHz for 38 s, of 400 MHz s that a newcomer may take
    bob = court.world.members["bob"].party
    offer = next(iter(bob.user.offers.values()))
    window = replace(offer.body.cell.window, start_ns=T0 + 2 * NS, end_ns=T0 + 43 * NS)
    cell = replace(offer.body.cell, band=UPPER, window=window)
    court.world.do("bob", 1.5, lambda step: bob.user.request(step, offer, cell, eirp_mdbm=20_000, tier=3))
    (refusal,) = court.world.carry(1.5)
    assert (refusal.reason, refusal.clause) == (Reason.REPUTATION, "budget.share")
    assert refusal.required == "<= 400000000 Hz s"


@pytest.mark.feature("M5")
@pytest.mark.attack(58)
def test_a_reputation_is_read_of_its_own_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each REQUEST the rows of everybody that a node ever dealt with were read: 50 ms at 60,000 of them."""
    court = Court(tmp_path)
    log, me = court.holder.lineage, court.alice.identity.credential
    row = encode(of(3000, 500), limit=STORED_LIMIT)
    with log.transaction():
        for number in range(50):
            log.put(REPUTATION, bytes([number]) * 32 + bytes(32), row)
        log.put(REPUTATION, me + bytes(32), row)
    read: list[int] = []
    kept = reputation.stored_as
    monkeypatch.setattr(reputation, "stored_as", lambda *args: read.append(1) or kept(*args))
    monkeypatch.setattr(type(log), "items", lambda *_: pytest.fail("all rows are read"))
    found = reputation_in(log, TERMS, (me,), 0)
    assert found == reputation_ppm(TERMS, [of(3000, 500)], 0)
    assert read == [1]
