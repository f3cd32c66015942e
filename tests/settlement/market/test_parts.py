"""One wish, three holders: parts shown and checked, what is left on record; cheating with parts is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.node.partialfill import Filling
from radio.permits import HeldPermit, Permits
from settlement.chain import bodies, records
from settlement.chain.leaf import decode_leaf
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.choice import SpectrumWish
from settlement.pair.effects import SettlementNews
from settlement.pair.parts import CLAUSE
from settlement.records.market import PartOf, ShownPart
from settlement.records.verdict import Verdict
from settlement.state.messages import Message
from tests.settlement.world import AREA, BAND, HOLDER_ACTIONS, NETWORK, NS, T0, USER_ACTIONS, World, fix

MHZ = 1_000_000
HOLDERS = {"north": 3550, "east": 3555, "south": 3560}


def band(low_mhz: int, width_mhz: int = 5) -> Band:
    return Band(low_hz=low_mhz * MHZ, high_hz=(low_mhz + width_mhz) * MHZ)


def declare(world: World, holder: str, offered: Band, price: int = 7) -> None:
    party = world.members[holder].party
    cell = Cell(band=offered, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS))
    body = bodies.Declaration(
        cell=cell,
        commodity="cbrs",
        tier_low=2,
        tier_high=3,
        max_eirp_mdbm=30_000,
        price_form="fixed",
        price=price,
        rule=party.rule.hash,
    )

    def act(step: object) -> None:
        record = party.holder.declare(step, body)  # type: ignore[arg-type]
        for other in world.members.values():
            if other.name != holder:
                step.send(other.hash, record.raw)  # type: ignore[attr-defined]

    world.do(holder, 0.0, act)


@pytest.fixture
def town(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.enrol(**dict.fromkeys(HOLDERS, HOLDER_ACTIONS), alice=USER_ACTIONS, bob=USER_ACTIONS)
    for price, (holder, low_mhz) in enumerate(HOLDERS.items()):
        declare(world, holder, band(low_mhz), price)
    world.carry(0.1)
    return world


def wished(begins_s: int = 10) -> SpectrumWish:
    window = Window(start_ns=T0 + begins_s * NS, end_ns=T0 + (begins_s + 10) * NS)
    return SpectrumWish(band=BAND, window=window, tier=2)


def fill(world: World, filling: Filling, user: str = "alice", at_s: float = 1.0) -> None:
    """Ask until nobody offers any more of what is left, and put that on record."""
    party = world.members[user].party
    while (sid := world.do(user, at_s, lambda step: filling.ask(step, party))) is not None:
        world.carry(at_s)
        pair = party.user.by_sid(sid)
        assert pair is not None
        filling.hear(SettlementNews.SETTLED if pair.in_force else SettlementNews.REFUSED)
    world.do(user, at_s, lambda step: filling.close(step, party))


def recorded(world: World, user: str = "alice") -> list[Verdict]:
    leaves = [decode_leaf(body) for body in world.members[user].party.lineage.bodies()]
    raws = [leaf.record for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted and leaf.record]
    said = [records.parse(raw) for raw in raws]
    found = [world.members[user].party.record_of(records.digest(raw)) for raw, one in zip(raws, said, strict=True)]
    return [one.body for one in found if one is not None and isinstance(one.body, Verdict)]


@pytest.mark.feature("A3")
def test_three_holders_fill_one_wish_and_what_is_left_is_on_record(town: World) -> None:
    filling = Filling(wish=wished(), eirp_mdbm=20_000)
    fill(town, filling)
    party = town.members["alice"].party
    granted = [party.record_of(pair.grant) for pair in party.user.pairs.values() if pair.grant]
    parts = [one.body for one in granted if one is not None]
    assert [(one.wish, one.index) for one in parts] == [(filling.name, n) for n in range(3)]
    assert sorted(one.cell.band.low_hz // MHZ for one in parts) == sorted(HOLDERS.values())
    (said,) = [one for one in recorded(town) if one.clause == CLAUSE]
    assert said.reason == Reason.RESIDUAL.value
    assert said.subject == filling.first
    asked, left = 20 * MHZ * 10 * NS, 5 * MHZ * 10 * NS
    assert said.measured == f"{asked - left} Hz ns filled, left 3565-3570 MHz"
    assert said.required == f"{asked} Hz ns"


@pytest.mark.feature("A3")
def test_a_holder_that_refuses_is_left_out_and_the_rest_is_filled(town: World) -> None:
    """Bob already has all that east offers."""
    only_east = replace(wished(), band=band(HOLDERS["east"]))
    fill(town, Filling(wish=only_east, eirp_mdbm=20_000), "bob")
    filling = Filling(wish=wished(), eirp_mdbm=20_000)
    fill(town, filling)
    assert len(filling.settled) == 2
    (said,) = [one for one in recorded(town) if one.clause == CLAUSE]
    assert "3555-3560 MHz, 3565-3570 MHz" in said.measured


def second_part(town: World, change: Callable[[PartOf, bodies.Request], bodies.Request]) -> Refusal | None:
    """Alice has north's part; what south says to a REQUEST for the second part that was changed."""
    filling = Filling(wish=wished(), eirp_mdbm=20_000)
    alice, south = town.members["alice"], town.members["south"]
    sid = town.do("alice", 1.0, lambda step: filling.ask(step, alice.party))
    town.carry(1.0)
    assert alice.party.user.by_sid(sid).in_force  # type: ignore[union-attr]
    filling.hear(SettlementNews.SETTLED)
    town.do("alice", 1.0, lambda step: filling.ask(step, alice.party))
    alice.outgoing = []
    asked = list(alice.party.user.pairs.values())[-1]
    record = alice.party.record_of(asked.request)
    assert record is not None
    declaration, offer = next(iter(south.party.holder.offers.items()))
    body: bodies.Request = record.body
    assert body.part is not None
    mine = replace(
        body,
        declaration=declaration,
        cell=replace(offer.cell, window=body.cell.window),
        nonce=bytes(16),
        price=offer.price,
    )
    raw = records.sign_record(alice.key, town.frame(), change(body.part, mine))
    return town.give("alice", "south", Message(record=raw).encoded(), 1.0)


def spoiled(record: bytes) -> bytes:
    """A record whose signature has one bit changed."""
    return record[:-1] + bytes([record[-1] ^ 1])


def swapped(part: PartOf, **changes: bytes) -> tuple[ShownPart, ...]:
    return (replace(part.shown[0], **changes), *part.shown[1:])


@pytest.mark.feature("A3")
def test_an_honest_second_part_is_granted(town: World) -> None:
    assert second_part(town, lambda _part, body: body) is None


@pytest.mark.feature("A3")
@pytest.mark.attack(52)
@pytest.mark.parametrize(
    ("change", "reason", "clause"),
    [
        # the artifact of one wish in another
        (lambda part, body: replace(body, part=replace(part, wish=b"another wish 000")), Reason.TERMS, "wish"),
        # a part that shares spectrum with one that is shown
        (
            lambda part, body: replace(body, part=replace(part, whole=replace(part.whole, band=band(3560, 10)))),
            Reason.TERMS,
            "fill.inside",
        ),
        # an ACCEPT where the CONFIRM should be: nothing was settled
        (
            lambda part, body: replace(body, part=replace(part, shown=swapped(part, confirm=part.shown[0].accept))),
            Reason.TYPE,
            "fill.shown[0]",
        ),
        # a signature that does not hold
        (
            lambda part, body: replace(
                body, part=replace(part, shown=swapped(part, grant=spoiled(part.shown[0].grant)))
            ),
            Reason.SIGNATURE,
            "fill.shown[0]",
        ),
        # parts before it that are not shown
        (lambda part, body: replace(body, part=replace(part, index=2)), Reason.TERMS, "part.shown"),
        # it says of what it is a part, and that it is none
        (lambda _part, body: replace(body, partial=0), Reason.TERMS, "partial"),
    ],
)
def test_parts_that_cheat_are_refused(
    town: World, change: Callable[[PartOf, bodies.Request], bodies.Request], reason: Reason, clause: str
) -> None:
    refusal = second_part(town, change)
    assert refusal is not None
    assert (refusal.reason, clause in refusal.clause) == (reason, True), refusal
    assert refusal.measured
    assert refusal.required


@pytest.mark.feature("A3")
@pytest.mark.attack(52)
def test_a_part_that_overlaps_one_that_is_shown_is_refused(town: World) -> None:
    """North offers again what it has granted to alice, under a name of its own: south would fill the same MHz."""
    declare(town, "south", band(HOLDERS["north"]), 2)
    town.carry(0.5)
    offers = town.members["south"].party.holder.offers
    again = next(name for name, offer in offers.items() if offer.cell.band == band(HOLDERS["north"]))
    refusal = second_part(
        town,
        lambda part, body: replace(body, declaration=again, cell=replace(body.cell, band=part_band(part)), part=part),
    )
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.OVERLAP, "fill.overlap")


@pytest.mark.feature("A3")
@pytest.mark.attack(52)
def test_an_artifact_of_one_part_is_not_used_in_two_requests(town: World) -> None:
    """South has granted alice the second part; she asks it for another second part, on the artifact of the first."""
    kept: list[bodies.Request] = []

    def keep(part: PartOf, body: bodies.Request) -> bodies.Request:
        kept.append(replace(body, cell=replace(body.cell, window=seconds(10, 15)), part=part))
        return kept[0]

    assert second_part(town, keep) is None
    twice = replace(kept[0], cell=replace(kept[0].cell, window=seconds(15, 20)), nonce=b"2" * 16)
    raw = records.sign_record(town.members["alice"].key, town.frame(seq=901), twice)
    refusal = town.give("alice", "south", Message(record=raw).encoded(), 1.1)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "fill.own"), refusal
    assert "part 1 granted here" in refusal.measured
    assert refusal.required


def seconds(start_s: int, end_s: int) -> Window:
    return Window(start_ns=T0 + start_s * NS, end_ns=T0 + end_s * NS)


def part_band(part: PartOf) -> Band:
    """The band of the first part that is shown."""
    unproven = records.parse(part.shown[0].grant)
    assert not isinstance(unproven, Refusal)
    low_hz, high_hz = unproven.payload[6][5][1].values()
    return Band(low_hz=low_hz, high_hz=high_hz)


@pytest.mark.feature("A3")
def test_parts_of_somebody_elses_are_refused(town: World) -> None:
    """Bob shows the part that alice has."""
    kept: list[ShownPart] = []

    def keep(part: PartOf, body: bodies.Request) -> bodies.Request:
        kept.extend(part.shown)
        return body

    assert second_part(town, keep) is None
    bob, east = town.members["bob"], town.members["east"]
    declaration, offer = next(iter(east.party.holder.offers.items()))
    whole = Cell(band=BAND, area=AREA, window=wished().window)
    grant = town.members["alice"].party.record_of(records.digest(kept[0].grant))
    assert grant is not None
    body = bodies.Request(
        declaration=declaration,
        cell=replace(offer.cell, window=whole.window),
        commodity="cbrs",
        tier=2,
        eirp_mdbm=20_000,
        price=offer.price,
        partial=1,
        nonce=bytes(16),
        part=PartOf(wish=grant.body.wish, index=1, whole=whole, shown=tuple(kept)),
    )
    raw = records.sign_record(bob.key, town.frame("bob"), body)
    refusal = town.give("bob", "east", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is Reason.PROOF


@pytest.mark.feature("A3")
@pytest.mark.feature("R5")
def test_a_part_that_two_holders_granted_is_used_once(town: World) -> None:
    """A user asks two holders for part 0 of one wish, each of which knows nothing of the other's GRANT."""
    sids = [_part_zero(town, offer) for offer in ("north", "east")]
    party = town.members["alice"].party
    first, second = (party.lineage.get("artifact", sid) for sid in sids)
    assert first is not None
    assert second is not None
    now = fix(2.0).time
    warden = Permits(network=NETWORK, anchors=town.anchors)
    assert isinstance(warden.take(first, now), HeldPermit)
    refused = warden.take(second, now)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.clause) == (Reason.CONFLICT, "permits.part")
    assert isinstance(warden.take(first, now), HeldPermit), "the same settlement again is no second one"
    warden.withdraw(sids[0], refuse(Reason.RELINQUISHED, "gate.6", "given back", "here"))
    assert isinstance(warden.take(second, now), HeldPermit), "a part that was given back may be filled anew"


def _part_zero(town: World, holder: str) -> bytes:
    party = town.members["alice"].party
    offer = next(o for o in party.user.offers.values() if o.holder == town.members[holder].hash)
    whole = Cell(band=BAND, area=AREA, window=wished().window)
    part = PartOf(wish=b"one wish 0000000", index=0, whole=whole, shown=())
    cell = replace(offer.body.cell, window=wished().window)
    sid: bytes = town.do(
        "alice", 1.0, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=2, part=part).sid
    )
    assert town.carry(1.0) == []
    return sid
