"""What one author fills is its own share: of offers, settlements, co-signatures, heads, proofs, replies; of the log."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.records import sign_record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason
from settlement.pair import coordinator as coordinating
from settlement.pair import holderpairs
from settlement.pair.coordinator import Coordinated, Coordinator
from settlement.pair.patience import GROWTH, PAUSE_MAX_NS, Patience
from settlement.pair.table import HolderState
from settlement.records.conduct.market import OFFERS_MAX
from settlement.records.handover import Vacated
from settlement.records.registry import RECORDS
from settlement.records.row import Charge
from settlement.state import oldreplies, witness
from settlement.state.messages import Message, decode_message
from settlement.state.shares import Allowance, Share, Shares
from settlement.state.step import REPLIED, REPLY, Step
from tests.settlement.world import AREA, HOLDER_ACTIONS, LOWER, NS, T0, UPPER, USER_ACTIONS, World, fix, offered


def four(folder: Path) -> World:
    world = World(folder)
    world.enrol(holder=HOLDER_ACTIONS, greedy=HOLDER_ACTIONS, alice=USER_ACTIONS, bob=USER_ACTIONS)
    return world


def offer(number: int, **changes: Any) -> bodies.Declaration:
    """One of many offers: each a millisecond longer than the one before."""
    window = Window(start_ns=T0, end_ns=T0 + 300 * NS + number * 1_000_000)
    return bodies.Declaration(
        cell=Cell(band=LOWER, area=AREA, window=window), commodity="cbrs", tier_low=2, tier_high=3,
        max_eirp_mdbm=30_000, price_form="fixed", price=7, rule=changes["rule"],
    )  # fmt: skip


def says(world: World, author: str, to: str, body: Any, seq: int, at_s: float = 1.0) -> Any:
    raw = sign_record(world.members[author].key, world.frame(author, seq=seq, at=fix(at_s)), body)
    return world.give(author, to, Message(record=raw).encoded(), at_s)


@pytest.mark.attack(65)
@pytest.mark.parametrize("restarts", [False, True])
def test_one_holders_offers_leave_room_for_anothers(tmp_path: Path, restarts: bool) -> None:
    world = four(tmp_path)
    rule = world.members["alice"].party.rule.hash
    told = [says(world, "greedy", "alice", offer(n, rule=rule), 500 + n) for n in range(300)]
    assert [one.reason if one else None for one in told] == [None] * OFFERS_MAX + [Reason.BUDGET] * (300 - OFFERS_MAX)
    assert (told[-1].clause, str(OFFERS_MAX) in told[-1].required) == ("declaration.held", True)
    if restarts:
        world.members["alice"].party.lineage.close()
        world.members["alice"] = world.member_again("alice")
    world.offer(1.5)
    assert world.carry(1.5) == []
    offers = world.members["alice"].party.user.offers.values()
    assert sum(1 for one in offers if one.holder == world.members["holder"].hash) == 1
    assert len(offers) == OFFERS_MAX + 1
    world.do("alice", 302.0, world.members["alice"].party.tick)
    assert len(world.members["alice"].party.user.offers) == 0
    assert world.members["alice"].party.lineage.items("heard") == []


@pytest.mark.attack(65)
def test_an_offer_made_anew_takes_the_place_of_the_old(tmp_path: Path) -> None:
    world = four(tmp_path)
    rule = world.members["alice"].party.rule.hash
    for n in range(2 * OFFERS_MAX):
        anew = offer(0, rule=rule)
        window = replace(anew.cell.window, start_ns=T0 + n)
        assert says(world, "holder", "alice", replace(anew, cell=replace(anew.cell, window=window)), 500 + n) is None
    assert len(world.members["alice"].party.user.offers) == 1
    assert len(world.members["alice"].party.lineage.items("heard")) == 1
    world.request("alice", 1.1, LOWER, 2.0, 9.0)


@pytest.mark.attack(65)
def test_what_is_over_is_forgotten_of_whoever_has_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holderpairs, "KEPT_MAX", 4)
    world = offered(tmp_path)
    for number, name in enumerate(["bob", *["alice"] * 7]):
        at_s = 1.0 + 2 * number
        world.request(name, at_s, LOWER, at_s + 0.5, at_s + 1.5)
        assert world.carry(at_s) == []
        world.do("holder", at_s + 1.8, world.members["holder"].party.tick)
    pairs = world.members["holder"].party.holder.pairs.values()
    assert sorted(p.user == world.members["bob"].hash for p in pairs) == [False, False, False, True]


@pytest.mark.attack(65)
def test_one_holder_has_its_own_share_of_co_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinating, "EACH_MAX", 3)
    made = Coordinator(stored=[])
    for n in range(3):
        cell = Cell(band=LOWER, area=AREA, window=Window(start_ns=n, end_ns=n + 1))
        made.known[bytes([n])] = Coordinated(sid=bytes([n]), holder=b"greedy", cell=cell, until_ns=T0)
    now = TimeFix(earliest_ns=5, latest_ns=5, source=TimeSource.SIMULATED, trusted=True)
    grant, asks = (
        cast_grant(),
        {name: made._own_share(cast_grant(), subject(name), now) for name in ("greedy", "other")},
    )
    assert grant is not None
    assert asks["other"] is None
    assert asks["greedy"] is not None
    assert asks["greedy"].reason is Reason.BUDGET
    late = TimeFix(earliest_ns=T0 + 1, latest_ns=T0 + 1, source=TimeSource.SIMULATED, trusted=True)
    assert made._own_share(cast_grant(), subject("greedy"), late) is None


def cast_grant() -> Any:
    return type("Asked", (), {"sid": b"new"})()


def subject(name: str) -> Any:
    return type("Known", (), {"hash": name.encode()})()


@pytest.mark.attack(65)
def test_heads_of_one_log_are_kept_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "HEADS_EACH", 5)
    world = offered(tmp_path)
    party = world.members["holder"].party
    head = type("Head", (), {})()

    def remember(step: Step) -> None:
        for size in range(1, 40):
            head.size = size
            party.witness._remember(step, world.members["bob"].hash, head, f"note {size}")
        head.size = 1
        party.witness._remember(step, world.members["alice"].hash, head, "hers")

    world.do("holder", 1.0, remember)
    keys = [key for key, _ in party.lineage.items(witness.HEADS)]
    bobs = [int.from_bytes(key[32:], "big") for key in keys if key.startswith(world.members["bob"].hash)]
    assert bobs == [35, 36, 37, 38, 39]
    assert len(keys) == 6


@pytest.mark.attack(65)
def test_proofs_against_one_author_are_few(tmp_path: Path) -> None:
    """Whoever contradicts itself without end is proven to, and not at this node's cost for ever."""
    world = offered(tmp_path)
    body = bodies.Envelope(
        kind="place", observed=Window(start_ns=T0, end_ns=T0 + 1), valid_until_ns=T0 + 60 * NS, level_ppm=900_000,
        looks=1, channels=(), incumbents=(),
    )  # fmt: skip
    for looks in range(60):
        refusal = says(world, "bob", "holder", replace(body, looks=looks), 700)
        assert (refusal.reason if refusal else None) is (Reason.EQUIVOCATION if looks else None)
    db = world.members["holder"].party.lineage._db
    ((proofs,),) = db.execute("SELECT count(*) FROM leaf WHERE typ='evidence'")
    assert proofs == witness.PROOFS_EACH


@pytest.mark.attack(65)
def test_answers_nobody_can_ask_for_again_are_swept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldreplies, "REPLY_KEPT_NS", 60 * NS)
    world = offered(tmp_path)
    holder = world.members["holder"].party
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    world.carry(1.0)
    for n in range(5):
        world.request("bob", 1.2 + n / 100, LOWER, 2.0, 9.0)
        assert [one.reason for one in world.carry(1.2 + n / 100)] == [Reason.CONFLICT]
    assert len(holder.lineage.items(REPLY)) == 7
    world.do("holder", 20.0, holder.tick)
    world.do("holder", 100.0, holder.tick)
    left = {key for key, _ in holder.lineage.items(REPLY)}
    (pair,) = holder.holder.pairs.values()
    assert left == {pair.request, pair.accept}, "the answers of a settlement that is remembered stay"
    assert {key[8:] for key, _ in holder.lineage.items(REPLIED)} == left


# -- reservations that are not taken up --------------------------------------------------------------------------------


def ask(world: World, name: str, at_s: float, band: Band, start_s: float, *, accepts: bool) -> Reason | None:
    """One REQUEST; whoever accepts carries it through, whoever does not lets the GRANT lie."""
    sid = world.request(name, at_s, band, start_s, start_s + 0.5)
    if accepts:
        refusals = world.carry(at_s)
        world.members[name].outgoing = []
        return refusals[0].reason if refusals else None
    sent, world.members[name].outgoing = world.members[name].outgoing, []
    refusal = world.give(name, "holder", sent[0].data, at_s)
    world.members["holder"].outgoing = []
    assert sid
    return refusal.reason if refusal else None


@pytest.mark.attack(67)
@pytest.mark.attack(40)
@pytest.mark.parametrize("restarts", [False, True])
def test_whoever_never_accepts_is_not_listened_to_and_honest_ones_are(tmp_path: Path, restarts: bool) -> None:
    """The abuser asks five times a second for all there is; after its first few every honest REQUEST is granted."""
    world = offered(tmp_path)
    holder, granted, refused, abused = world.members["holder"].party, [], [], 0
    for tick in range(300):
        at_s = 1.0 + tick / 5
        world.do("holder", at_s, holder.tick)
        taken = ask(world, "bob", at_s, Band(low_hz=LOWER.low_hz, high_hz=UPPER.high_hz), at_s + 0.6, accepts=False)
        abused += taken is None
        if restarts and tick == 100:
            holder.lineage.close()
            world.members["holder"] = world.member_again("holder")
            holder = world.members["holder"].party
        if tick % 5 == 0:
            (granted if ask(world, "alice", at_s + 0.01, LOWER, at_s + 0.3, accepts=True) is None else refused).append(
                at_s
            )
    assert abused <= 4
    assert len(granted) >= 60 - abused, "each of the abuser's first few cost one at most"
    late = [at_s for at_s in refused if at_s > 12.0]
    assert late == [], "and none after them"
    waits = holder.holder.patience.judge(world.members["bob"].hash, fix(60.0).time)
    assert waits is not None
    assert (waits.reason, waits.clause) == (Reason.BUDGET, "request.patience")
    assert waits.measured
    assert waits.required


class Kept:
    """A step that remembers nothing but what was put."""

    def __init__(self, at_s: float) -> None:
        self.now, self.rows = fix(at_s), dict[bytes, bytes]()

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        self.rows[key] = value

    def drop(self, kind: str, key: bytes) -> None:
        self.rows.pop(key, None)


@pytest.mark.attack(67)
def test_a_pause_grows_is_bounded_survives_a_restart_and_is_forgiven() -> None:
    patience, step = Patience([]), Kept(0.0)
    work: Any = step
    patience.failed(work, b"user", NS)
    assert patience.judge(b"user", fix(0.1).time) is None, "one may be lost on the way"
    assert patience.open_max(b"user", 8) == 4
    patience.failed(work, b"user", NS)
    assert patience.judge(b"user", fix(GROWTH - 0.1).time) is not None
    assert patience.judge(b"user", fix(GROWTH + 0.1).time) is None
    assert Patience(step.rows.items()).judge(b"user", fix(1.0).time) is not None
    for _ in range(40):
        patience.failed(work, b"user", NS)
    assert patience.judge(b"user", fix(PAUSE_MAX_NS / NS - 1).time) is not None
    assert patience.judge(b"user", fix(PAUSE_MAX_NS / NS + 1).time) is None
    assert patience.judge(b"user", fix(-7.0).time) is None, "a clock that went back does not make it longer"
    assert patience.open_max(b"user", 8) == 1
    for _ in range(7):
        patience.taken_up(work, b"user")
    assert patience.open_max(b"user", 8) == 8
    assert step.rows == {}
    patience.failed(work, b"old", NS)
    patience.succeeded(work, b"old", b"new")
    assert patience.open_max(b"new", 8) == 4


def test_an_abort_that_is_the_holders_doing_counts_against_nobody(tmp_path: Path) -> None:
    world = offered(tmp_path)
    holder = world.members["holder"].party
    ask(world, "bob", 1.0, LOWER, 3.0, accepts=False)
    world.do(
        "holder", 1.1,
        lambda s: holder.holder.preempt(s, LOWER, tier=1, reason="INCUMBENT", until_ns=T0 + 2 * NS, evidence=None),
    )  # fmt: skip
    (pair,) = holder.holder.pairs.values()
    assert pair.state == HolderState.ABORTED
    assert holder.holder.patience.open_max(world.members["bob"].hash, 8) == 8


# -- the log -----------------------------------------------------------------------------------------------------------


def unsigned(world: World, number: int, size: int = 60_000) -> bytes:
    """A record of that size that says it is bob's and is signed by nobody."""
    body = bodies.Rotation(successor=bytes([number % 251]) * 28_000, proof=bytes(64))
    raw = bytearray(sign_record(world.members["bob"].key, world.frame("bob", seq=900 + number), body))
    raw[-1] ^= 1
    return bytes(raw[:size])


@pytest.mark.attack(66)
def test_of_bodies_nobody_signed_a_hash_is_logged_and_no_more(tmp_path: Path) -> None:
    world = offered(tmp_path)
    party = world.members["holder"].party
    before = party.lineage._one("SELECT sum(length(body)) FROM leaf")
    strangers = [unsigned(world, n) for n in range(40)]
    strangers += [b"\xff" * 190_000, b"noise" * 300, Message(record=b"").encoded()]
    unknown = sign_record(world.members["bob"].key, replace(world.frame("bob"), author=bytes(32)), world.asked())
    reasons = set()
    for data in (*strangers, unknown):
        refusal = world.give("bob", "holder", data if data in strangers[40:] else Message(record=data).encoded(), 1.0)
        assert refusal is not None
        reasons.add(refusal.reason)
    assert reasons >= {Reason.ROTATION, Reason.UNKNOWN_AUTHOR, Reason.FORBIDDEN_TYPE}
    grown = party.lineage._one("SELECT sum(length(body)) FROM leaf") - before
    assert grown < 44 * 600
    ((kept,),) = party.lineage._db.execute("SELECT count(*) FROM leaf WHERE admitted=0 AND length(body) > 1000")
    assert kept == 0


@pytest.mark.attack(66)
def test_what_its_author_signed_is_kept_when_it_is_refused(tmp_path: Path) -> None:
    world = offered(tmp_path)
    refusal = says(world, "bob", "holder", offer(0, rule=bytes(32)), 900)
    assert refusal.reason is Reason.SCOPE
    body = world.members["holder"].party.lineage.leaf_body(world.members["holder"].party.lineage.size - 1)
    assert len(body) > 500


@pytest.mark.attack(66)
def test_a_neighbours_quota_of_the_log_is_its_own(tmp_path: Path) -> None:
    world = offered(tmp_path)
    holder = world.members["holder"].party
    holder.shares = Shares(allowance=Allowance(log=Share(per_s=1000, burst=10_000)))
    size = holder.lineage.size
    told = [world.give("bob", "holder", b"noise %d" % n, 1.0) for n in range(200)]
    assert told[0] is not None
    assert told[0].reason is Reason.MALFORMED
    assert told[-1] is not None
    assert (told[-1].reason, told[-1].clause) == (Reason.BUDGET, "share.log")
    assert holder.lineage.size - size < 30
    assert holder.shares.counted()["log"] > 170
    world.request("alice", 1.1, LOWER, 3.0, 9.0)
    assert world.carry(1.1) == [], "nobody else's"
    later = world.give("bob", "holder", b"noise", 9.0)
    assert later is not None
    assert later.reason is Reason.MALFORMED


TIGHT = Allowance(log=Share(per_s=1000, burst=10_000))


@pytest.mark.attack(66)
def test_a_record_that_nobody_judges_is_not_free(tmp_path: Path) -> None:
    """Any user may say that its radio is silent for a HANDOVER that nobody knows, 8 KB each time."""
    world = offered(tmp_path)
    holder = world.members["holder"].party
    holder.shares = Shares(allowance=TIGHT)
    told = [
        says(
            world, "bob", "holder",
            Vacated(sid=bytes(32), handover=bytes(32), silent_earliest_ns=T0, silent_latest_ns=T0, lease=bytes(8000)),
            900 + number,
        )
        for number in range(5)
    ]  # fmt: skip
    assert [one.clause if one is not None else None for one in told] == [None, None, *["share.log"] * 3]


@pytest.mark.attack(66)
def test_what_lies_beside_a_record_that_moves_a_settlement_is_not_free(tmp_path: Path) -> None:
    world = offered(tmp_path)
    holder, bob = world.members["holder"].party, world.members["bob"]
    holder.shares = Shares(allowance=TIGHT)
    channel = bodies.ChannelObservation(band=LOWER, state="busy", floor_unit="x" * 16, flags=("y" * 32,) * 8)
    seen = bodies.Envelope(
        kind="place", observed=Window(start_ns=T0, end_ns=T0 + NS), valid_until_ns=T0 + 60 * NS, level_ppm=900_000,
        looks=1, channels=(channel,) * 30, incumbents=(), modality="energy",
    )  # fmt: skip
    beside = tuple(sign_record(bob.key, world.frame("bob", seq=800 + number), seen) for number in range(2))
    assert sum(map(len, beside)) > 10_000
    world.request("bob", 1.0, LOWER, 2.0, 9.0)
    (asked,) = bob.outgoing
    bob.outgoing = []
    message = decode_message(asked.data)
    assert isinstance(message, Message)
    assert world.give("bob", "holder", replace(message, beside=beside).encoded(), 1.0) is None
    late = world.give("bob", "holder", b"noise", 1.0)
    assert late is not None
    assert (late.reason, late.clause) == (Reason.BUDGET, "share.log")


@pytest.mark.attack(66)
def test_records_that_move_settlements_are_free_so_many_a_second(tmp_path: Path) -> None:
    """A user gives one settlement back over and over: each is a new record, answered by a signed receipt."""
    world = offered(tmp_path)
    holder = world.members["holder"].party
    sid = world.request("bob", 1.0, LOWER, 2.0, 9.0)
    assert world.carry(1.0) == []
    confirm = holder.holder.pairs[sid].decision
    assert confirm is not None
    holder.shares = Shares(allowance=replace(TIGHT, moves=Share(per_s=10, burst=20)))
    back = bodies.Relinquish(sid=sid, confirm=confirm, reason="")
    told = [says(world, "bob", "holder", back, 900 + number) for number in range(60)]
    free = next(number for number, one in enumerate(told) if one is not None)
    assert 20 < free < 40
    assert {one.clause for one in told[free:] if one is not None} == {"share.log"}


@pytest.mark.attack(66)
def test_settling_is_free_of_the_quota_and_a_disk_that_runs_low_shrinks_it(tmp_path: Path) -> None:
    world = offered(tmp_path)
    holder = world.members["holder"].party
    holder.shares = Shares(allowance=Allowance(log=Share(per_s=1, burst=1)))
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    assert world.carry(1.0) == []
    shares = Shares(allowance=Allowance(log=Share(per_s=160, burst=1600)))
    shares.charge(b"peer", 0, work_ns=0, log_bytes=200, moves=False)
    assert shares.judge(b"peer", 0) is None
    shares.tight = True
    shares.charge(b"peer", 0, work_ns=0, log_bytes=200, moves=False)
    assert shares.judge(b"peer", 0) is not None


@pytest.mark.attack(66)
def test_only_what_a_table_bounds_is_free_of_the_quota() -> None:
    """Each of these is taken once in one state of a pair, an auction or a proposal; all else is paid for."""
    free = {row.name for row in RECORDS.values() if row.charge is Charge.MOVES}
    assert free == {
        "request", "grant", "accept", "confirm", "abort", "coordination", "renew", "relinquish",
        "bid", "reveal", "tally", "ballot", "outcome", "reclaim",
    }  # fmt: skip
