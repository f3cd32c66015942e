"""The edges of what one author may take: of a user's patience, of blocked bands, of computing time and of the log."""

from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from settlement.chain.codec import encode
from settlement.chain.scope import Area, Band
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal
from settlement.pair.blocks import BLOCK_MAX_NS, BLOCKED, Block, Blocks, stored_block
from settlement.pair.patience import GROWTH, PAUSE_LEAST_NS, PAUSE_MAX_NS, STORE, Failing, Patience
from settlement.pair.work import StoredStateError, Work
from settlement.state.shares import FREE_WORK_NS, Allowance, Share, Shares
from tests.settlement.world import AREA, LOWER, NS, T0, UPPER, fix

USER, PEER, OTHER = b"u" * 32, b"p" * 32, b"o" * 32


@dataclass
class Kept:
    """What a step is told to remember, and when it is."""

    now: Fix = field(default_factory=lambda: fix(0.0))
    held: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        self.held[kind, key] = value

    def drop(self, kind: str, key: bytes) -> None:
        del self.held[kind, key]

    @property
    def work(self) -> Work:
        return cast("Work", self)


# -- patience ----------------------------------------------------------------------------------------------------------


def patience(count: int, until_ns: int) -> Patience:
    return Patience([(USER, encode(Failing(count=count, until_ns=until_ns)))])


@pytest.mark.attack(67)
def test_a_user_waits_to_the_last_instant_and_no_wait_is_longer_than_any_may_be() -> None:
    now = fix(0.0).time
    longest_ns = now.latest_ns + PAUSE_MAX_NS
    refused = Refusal(
        reason=Reason.BUDGET, clause="request.patience", measured="3 reservations not taken up",
        required=f"a REQUEST after {longest_ns} ns",
    )  # fmt: skip
    assert patience(3, longest_ns).judge(USER, now) == refused
    assert patience(3, longest_ns + 1).judge(USER, now) is None
    assert patience(3, now.earliest_ns).judge(USER, now) is not None
    assert patience(3, now.earliest_ns - 1).judge(USER, now) is None
    assert patience(3, longest_ns).judge(OTHER, now) is None


@pytest.mark.attack(67)
def test_each_failure_halves_what_may_be_open_and_makes_the_wait_longer() -> None:
    assert [patience(count, 0).open_max(USER, 1 << 20) for count in (1, 2, 16, 17, 99)] == [
        1 << 19,
        1 << 18,
        16,
        16,
        16,
    ]
    assert patience(5, 0).open_max(USER, 4) == 1
    assert patience(5, 0).open_max(OTHER, 4) == 4
    kept, held = Kept(), Patience([])
    latest_ns = kept.now.time.latest_ns
    for count, pause_ns in enumerate((0, PAUSE_LEAST_NS * GROWTH, PAUSE_LEAST_NS * GROWTH**2), start=1):
        held.failed(kept.work, USER, 1)
        assert kept.held[STORE, USER] == encode(Failing(count=count, until_ns=latest_ns + pause_ns))
    held.taken_up(kept.work, USER)
    assert kept.held[STORE, USER] == encode(Failing(count=1, until_ns=latest_ns + pause_ns))
    held.taken_up(kept.work, USER)
    assert kept.held == {}
    held.taken_up(kept.work, USER)
    four = patience(4, 7)
    four.taken_up(kept.work, USER)
    assert kept.held == {(STORE, USER): encode(Failing(count=2, until_ns=7))}


def test_what_is_stored_wrong_is_named() -> None:
    with pytest.raises(StoredStateError, match=r"stored patience: .*schema\.patience"):
        Patience([(USER, b"\xa0")])
    end = bytes(8)
    for key, value in ((b"\xa0", end), (b"\xa0", end + encode(AREA)), (encode(LOWER), end + b"\xa0")):
        with pytest.raises(StoredStateError, match=r"stored blocked: "):
            stored_block(key, value)


# -- blocked bands -----------------------------------------------------------------------------------------------------


def block(until_ns: int, author: bytes | None = None, area: Area | None = None, band: Band = LOWER) -> Block:
    return Block(band=band, until_ns=until_ns, author=author, area=area)


@pytest.mark.attack(64)
def test_a_block_is_read_back_as_it_was_kept() -> None:
    for one in (block(T0 + NS), block(T0 + NS, PEER, AREA)):
        kept = Kept()
        one.keep(kept.work)
        (((_, key), value),) = kept.held.items()
        assert stored_block(key, value) == one
    kept = Kept()
    block(T0 + NS).keep(kept.work)
    assert kept.held == {(BLOCKED, encode(LOWER)): (T0 + NS).to_bytes(8, "big")}


@pytest.mark.attack(64)
def test_the_longest_word_on_a_band_counts_whatever_was_said_last() -> None:
    blocks, kept = Blocks([]), Kept()
    blocks.add(kept.work, block(T0 + 9 * NS, PEER, AREA))
    blocks.add(kept.work, block(T0 + 5 * NS, PEER, AREA))
    assert blocks.bands() == {LOWER: T0 + 9 * NS}, "a shorter word does not shorten its author's own"
    blocks.add(kept.work, block(T0 + 7 * NS, OTHER, AREA))
    blocks.add(kept.work, block(T0 + 3 * NS, OTHER, AREA, UPPER))
    assert blocks.bands() == {LOWER: T0 + 9 * NS, UPPER: T0 + 3 * NS}
    most_ns = kept.now.time.latest_ns + BLOCK_MAX_NS
    blocks.add(kept.work, block(most_ns + 1, PEER, AREA))
    assert blocks.bands()[LOWER] == most_ns


@pytest.mark.attack(64)
def test_stored_blocks_are_cut_at_the_first_look_with_a_trusted_clock() -> None:
    kept = Kept()
    block(2**63 - 1).keep(kept.work)
    blocks = Blocks([(key, value) for (_, key), value in kept.held.items()])
    trusted = kept.now
    kept.now = replace(trusted, time=replace(trusted.time, trusted=False))
    blocks.tick(kept.work)
    assert blocks.bands() == {LOWER: 2**63 - 1}, "an untrusted clock cuts nothing"
    kept.now = trusted
    blocks.tick(kept.work)
    assert blocks.bands() == {LOWER: trusted.time.latest_ns + BLOCK_MAX_NS}


# -- shares ------------------------------------------------------------------------------------------------------------

ALLOWED = Allowance(work=Share(per_s=3, burst=10), log=Share(per_s=160, burst=1600))


def said(shares: Shares, now_ns: int = 0) -> tuple[str, str, str] | None:
    refusal = shares.judge(PEER, now_ns)
    assert refusal is None or refusal.reason is Reason.BUDGET
    return None if refusal is None else (refusal.clause, refusal.measured, refusal.required)


@pytest.mark.attack(66)
def test_a_debt_is_told_with_its_unit_and_the_wait() -> None:
    shares = Shares(allowance=ALLOWED)
    shares.charge(PEER, 0, work_ns=11, log_bytes=0, moves=False)
    assert said(shares) == ("share.work", "10 ns of work used up, 333333333 ns to wait", "<= 3 ns of work a second")
    shares = Shares(allowance=ALLOWED)
    shares.charge(PEER, 0, work_ns=0, log_bytes=1601, moves=False)
    assert said(shares) == (
        "share.log", "1600 bytes of log used up, 6250000 ns to wait", "<= 160 bytes of log a second",
    )  # fmt: skip


@pytest.mark.attack(66)
def test_a_purse_that_is_empty_is_not_looked_into_and_one_with_anything_is() -> None:
    shares = Shares(allowance=Allowance(work=Share(per_s=1, burst=10)))
    shares.charge(PEER, 0, work_ns=10, log_bytes=0, moves=False)
    assert said(shares, 0) is not None
    assert said(shares, 1) is None


@pytest.mark.attack(66)
def test_a_disk_that_runs_low_leaves_a_sixteenth_and_never_nothing() -> None:
    for share, left in ((ALLOWED.log, (10, 100)), (Share(per_s=15, burst=15), (1, 1))):
        shares = Shares(allowance=Allowance(log=share), tight=True)
        shares.charge(PEER, 0, work_ns=0, log_bytes=left[1], moves=False)
        told = ("share.log", f"{left[1]} bytes of log used up, 0 ns to wait", f"<= {left[0]} bytes of log a second")
        assert said(shares) == told


@pytest.mark.attack(58)
def test_only_what_moves_a_settlement_on_has_its_first_milliseconds_free() -> None:
    for moves, work_ns, spent_ns in ((True, FREE_WORK_NS, 0), (True, FREE_WORK_NS + 5, 5), (False, 5, 5)):
        for burst, held in ((spent_ns, False), (spent_ns + 1, True)):
            shares = Shares(allowance=Allowance(work=Share(per_s=1, burst=burst)))
            shares.charge(PEER, 0, work_ns=work_ns, log_bytes=0, moves=moves)
            assert (said(shares) is None) is held, (moves, work_ns, burst)


MOVES = Allowance(log=Share(per_s=1, burst=1), moves=Share(per_s=1, burst=1))


def free(shares: Shares, peer: bytes, now_ns: int, log_bytes: int = 1) -> bool:
    """Whether one more record that moves a settlement costs its neighbour none of its one byte of log."""
    shares.charge(peer, now_ns, work_ns=0, log_bytes=log_bytes, moves=True)
    return shares.judge(peer, now_ns) is None


@pytest.mark.attack(66)
def test_so_many_records_that_move_a_settlement_are_free_for_each_neighbour_by_itself() -> None:
    shares = Shares(allowance=MOVES)
    assert free(shares, PEER, 0), "its only one"
    assert free(shares, OTHER, 0), "another neighbour has one of its own"
    assert not free(shares, PEER, 0)
    assert not free(shares, OTHER, 0)


@pytest.mark.attack(66)
def test_a_record_that_was_not_free_leaves_no_debt_in_how_many_are() -> None:
    shares = Shares(allowance=MOVES)
    assert free(shares, PEER, 0)
    for _ in range(3):
        free(shares, PEER, 0, log_bytes=0)
    assert not free(shares, PEER, NS - 1)
    shares = Shares(allowance=MOVES)
    assert free(shares, PEER, 0)
    for _ in range(3):
        free(shares, PEER, 0, log_bytes=0)
    assert free(shares, PEER, NS), "one a second"


def test_messages_turned_away_are_counted_over_all_neighbours_and_no_meter_reads_nothing() -> None:
    shares = Shares(allowance=ALLOWED)
    for peer in (PEER, OTHER):
        shares.charge(peer, 0, work_ns=11, log_bytes=0, moves=False)
        assert shares.judge(peer, 0) is not None
        assert shares.judge(peer, 0) is not None
    assert shares.counted() == {"work": 4}
    assert shares.worked_ns() == 0
    assert Shares(meter=lambda: 7).worked_ns() == 7
