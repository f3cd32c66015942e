"""One settlement over two classes: every part is confirmed, or none stands, whoever holds them and whatever is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.permits import Permits
from settlement.chain.codec import decode
from settlement.chain.records import Attestation, digest, sign_record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.market.link import corridor
from settlement.pair.artifact import Artifact, Companion, verify
from settlement.pair.effects import HandPermit
from settlement.pair.table import HolderState, UserState
from settlement.pair.work import answer_to, settlement_id
from settlement.records.conduct.together import AskedPart, ask_whole
from settlement.records.decision import Confirm
from settlement.records.grant import Accept, Grant
from settlement.records.market import Request
from settlement.records.wholeparts import LaterPart
from settlement.state.messages import Message
from tests.settlement.market.classed import BACKHAUL, LINK, classed, enrolled, offered, window
from tests.settlement.quorum.forgery import body_of
from tests.settlement.world import BAND, LAT, LON, LOWER, NS, T0, World, fix

CAPACITY = replace(LINK, high_hz=10**7)
ONE, TWO = ("holder",), ("holder", "carrier")


STRIP = corridor((LAT, LON), (LAT + 1_000_000, LON), 2_000_000)


def town(folder: Path, holders: tuple[str, ...]) -> tuple[World, bytes, bytes]:
    """Spectrum by the first holder and backhaul over a link by the last, both offered to alice and bob."""
    world = enrolled(classed(folder, BACKHAUL), holders, ("alice", "bob"))
    band = offered(world, holders[0], BAND, "cbrs", ("alice", "bob"))
    strip = Cell(band=LINK, area=STRIP, window=Window(start_ns=T0, end_ns=T0 + 300 * NS))
    link = offered(world, holders[-1], LINK, "backhaul", ("alice", "bob"), currency="EUR", price=9, cell=strip)
    return world, band, link


def asked(world: World, user: str, names: tuple[bytes, ...], bands: tuple[Band, ...]) -> list[AskedPart]:
    offers = [world.members[user].party.user.offers[name] for name in names]
    return [
        AskedPart(
            offer=offer,
            cell=Cell(band=band, area=offer.body.cell.area, window=window()),
            eirp_mdbm=20_000,
            tier=2,
            price=offer.body.price,
        )
        for offer, band in zip(offers, bands, strict=True)
    ]


def ask(world: World, user: str, names: tuple[bytes, ...], *bands: Band, at_s: float = 1.0) -> bytes:
    party = world.members[user].party
    parts = asked(world, user, names, bands or (LOWER, CAPACITY))
    whole: bytes = world.do(user, at_s, lambda step: ask_whole(party, step, parts))
    return whole


def states(world: World, user: str, whole: bytes) -> list[UserState]:
    return [UserState(pair.state) for pair in world.members[user].party.user.parts_of(whole)]


def permits(world: World, user: str) -> list[HandPermit]:
    return [one for one in world.members[user].effects if isinstance(one, HandPermit)]


def tick(world: World, at_s: float) -> list[Refusal]:
    for name, member in world.members.items():
        world.do(name, at_s, member.party.tick)
    return world.carry(at_s)


@pytest.mark.feature("A5")
@pytest.mark.parametrize("holders", [ONE, TWO])
def test_both_classes_settle_as_one_and_only_then_the_radio_may(tmp_path: Path, holders: tuple[str, ...]) -> None:
    world, band, link = town(tmp_path, holders)
    whole = ask(world, "alice", (band, link))
    assert not world.carry(1.1)
    assert states(world, "alice", whole) == [UserState.SETTLED, UserState.SETTLED]
    (permit,) = permits(world, "alice")  # backhaul has none
    assert Permits(network="test-net", anchors=world.anchors).take(permit.artifact).permit.cell.band == LOWER  # type: ignore[union-attr]
    for pair in world.members["alice"].party.user.parts_of(whole):
        artifact = world.members["alice"].party.lineage.get("artifact", pair.sid)
        assert artifact is not None
        assert not isinstance(verify(artifact, network="test-net", anchors=world.anchors), Refusal)
    confirmed = [p for h in holders for p in world.members[h].party.holder.pairs.values()]
    assert {p.state for p in confirmed} == {HolderState.CONFIRMED}
    assert len(confirmed) == 2


@pytest.mark.feature("A5")
def test_one_holder_confirms_both_in_one_step(tmp_path: Path) -> None:
    world, band, link = town(tmp_path, ONE)
    ask(world, "alice", (band, link))
    world.carry(1.1)
    events = [n.name for n in world.members["holder"].notices if n.name in ("part waits", "settled")]
    assert events == ["part waits", "settled", "settled"]


@pytest.mark.feature("A5")
def test_an_artifact_without_every_other_part_opens_nothing(tmp_path: Path) -> None:
    world, band, link = town(tmp_path, TWO)
    ask(world, "alice", (band, link))
    world.carry(1.1)
    (permit,) = permits(world, "alice")
    whole = decode(Artifact, permit.artifact, "artifact", limit=1 << 20)
    assert isinstance(whole, Artifact)
    fields = {name: getattr(whole, name) for name in Artifact.__dataclass_fields__}
    alone = Artifact(**{**fields, "companions": None}).encoded()
    refused = Permits(network="test-net", anchors=world.anchors).take(alone)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.clause) == (Reason.INCOMPLETE, "artifact.whole")
    assert whole.companions is not None
    twisted = replace(whole.companions[0], confirm=whole.confirm)
    refused = Permits(network="test-net", anchors=world.anchors).take(
        Artifact(**{**fields, "companions": (twisted,)}).encoded()
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.PROOF


@pytest.mark.feature("A5")
@pytest.mark.parametrize("holders", [ONE, TWO])
@pytest.mark.parametrize("taken", [0, 1])
def test_a_part_that_is_not_to_be_had_rolls_all_back(tmp_path: Path, holders: tuple[str, ...], taken: int) -> None:
    world, band, link = town(tmp_path, holders)
    party, name = world.members["bob"].party, (band, link)[taken]
    part = asked(world, "bob", (name,), ((LOWER, CAPACITY)[taken],))[0]
    world.do("bob", 0.5, lambda s: party.user.request(s, part.offer, part.cell, eirp_mdbm=20_000, price=part.price))
    world.carry(0.6)
    whole = ask(world, "alice", (band, link))
    refusals = world.carry(1.1)
    assert [one.reason for one in refusals] == [Reason.CONFLICT]
    for n in range(8):
        tick(world, 1.2 + n / 2)
    assert set(states(world, "alice", whole)) == {UserState.REFUSED}
    assert not permits(world, "alice")
    held = [p for h in holders for p in world.members[h].party.holder.pairs.values() if p.whole == whole]
    assert {p.state for p in held} == {HolderState.ABORTED}


@pytest.mark.feature("A5")
def test_where_the_first_part_cannot_be_confirmed_the_later_one_is_given_back(tmp_path: Path) -> None:
    """The carrier confirms the last part; then the ACCEPT of the first is lost until it is too late."""
    world, band, link = town(tmp_path, TWO)
    whole = ask(world, "alice", (band, link))
    lost = world.members["holder"].hash
    for n in range(12):
        at_s = 1.1 + n / 10
        for name, member in world.members.items():
            waiting, member.outgoing = member.outgoing, []
            names = {m.hash: key for key, m in world.members.items()}
            for out in waiting:
                late = name == "alice" and out.to == lost and b"bandpact/accept" in out.data
                if not late:
                    world.give(name, names[out.to], out.data, at_s)
    carrier = world.members["carrier"].party.holder
    assert {p.state for p in carrier.pairs.values()} == {HolderState.CONFIRMED}
    assert states(world, "alice", whole) == [UserState.ACCEPTED, UserState.SETTLED]
    assert not permits(world, "alice")
    for n in range(8):
        tick(world, 4.0 + n / 2)
    assert states(world, "alice", whole) == [UserState.ABORTED, UserState.ENDED]
    assert {p.state for p in carrier.pairs.values()} == {HolderState.ENDED}
    assert not permits(world, "alice")


@pytest.mark.feature("A5")
def test_the_first_holder_confirms_nothing_before_it_is_shown_the_others(tmp_path: Path) -> None:
    """A user who accepts first to last gets its ABORT."""
    world, band, link = town(tmp_path, TWO)
    whole = ask(world, "alice", (band, link))
    party = world.members["alice"].party
    names = {m.hash: key for key, m in world.members.items()}
    for out in world.members["alice"].outgoing:
        world.give("alice", names[out.to], out.data, 1.1)
    world.members["alice"].outgoing = []
    grants = {name: list(world.members[name].outgoing) for name in TWO}
    for name in TWO:
        world.members[name].outgoing = []
    (out,) = [one for one in grants["holder"] if b"bandpact/grant" in one.data]
    world.give("holder", "alice", out.data, 1.2)
    first = party.user.parts_of(whole)[0]
    assert first.state == UserState.REQUESTED
    assert first.grant is not None
    admitted = party.admitted_of(first.grant)
    assert admitted is not None
    world.do("alice", 1.3, lambda step: party.user.accept(step, first, admitted), honest=False)
    refusals = world.carry(1.4)
    assert refusals[0].reason is Reason.INCOMPLETE
    assert refusals[0].clause == "whole.later"
    assert {p.state for p in world.members["holder"].party.holder.pairs.values()} == {HolderState.ABORTED}


@pytest.mark.feature("A5")
@pytest.mark.parametrize("what", ["price", "nonce"])
def test_a_whole_whose_id_is_not_over_its_parts_is_refused(tmp_path: Path, what: str) -> None:
    world, band, link = town(tmp_path, ONE)
    party = world.members["alice"].party
    parts = asked(world, "alice", (band, link), (LOWER, CAPACITY))
    honest: Any = party.user.request

    def twisted(step: Any, offer: Any, cell: Any, *, whole: Any, **fields: Any) -> Any:
        other = {"nonce": bytes(16)} if what == "nonce" else {"terms": (whole.terms[0], bytes(32))}
        return honest(step, offer, cell, whole=replace(whole, **other), **fields)

    party.user.request = twisted  # type: ignore[method-assign]
    world.do("alice", 1.0, lambda step: ask_whole(party, step, parts))
    refusals = world.carry(1.1)
    assert {one.clause for one in refusals} <= {"whole.id", "whole.terms"}
    assert not world.members["holder"].party.holder.pairs


def feigned(
    world: World, request: Request, link: bytes, *, by: str = "alice", confirmed_s: float | None = None, **changes: Any
) -> tuple[bytes, bytes, bytes]:
    """GRANT, ACCEPT and CONFIRM of alice's later part; all three signed by alice herself, or two `by` somebody else."""
    alice, other = world.members["alice"], world.members[by]
    assert request.whole is not None
    offer = alice.party.user.offers[link].body
    cell = Cell(band=CAPACITY, area=offer.cell.area, window=window())
    nonce, me, at_ns = b"n" * 16, alice.hash, T0 + NS
    given = {
        "sid": settlement_id(other.hash, me, nonce, cell), "request": bytes(32), "user": me, "nonce": nonce,
        "cell": cell,
        "commodity": "backhaul", "tier": 2, "max_eirp_mdbm": 20_000, "price": offer.price,
        "accept_by_ns": at_ns + NS, "confirm_by_ns": at_ns + 2 * NS, "challenge": bytes(32),
        "rule": alice.party.rule.hash, "fence": 1, "lease_ns": NS,
        "whole": request.whole.id, "place": 1, "parts": 2,
    }  # fmt: skip
    grant = Grant(**{**given, **changes})
    made = [sign_record(other.key, world.frame(by, seq=901), grant)]
    name = digest(made[0])
    accept = Accept(sid=grant.sid, grant=name, answer=answer_to(grant.challenge, name))
    made.append(sign_record(alice.key, world.frame("alice", seq=902), accept))
    confirm = Confirm(sid=grant.sid, grant=name, accept=digest(made[1]), transmit_until_ns=at_ns + NS, fence=1)
    frame = world.frame(by, seq=903)
    if confirmed_s is not None:
        frame = replace(frame, attestation=Attestation.of(fix(confirmed_s)))
    made.append(sign_record(other.key, frame, confirm))
    return made[0], made[1], made[2]


@pytest.mark.attack(61)
@pytest.mark.parametrize("changes", [{}, {"handover": bytes(32)}])
def test_a_user_cannot_confirm_the_other_part_to_itself(tmp_path: Path, changes: dict[str, Any]) -> None:
    """It would have the frequencies without ever settling what it was granted them with."""
    world, band, link = town(tmp_path, TWO)
    alice, holder = world.members["alice"].party, world.members["holder"].party
    ask(world, "alice", (band, link))
    alice_out, world.members["alice"].outgoing = world.members["alice"].outgoing, []
    (mine,) = [one for one in alice_out if one.to == world.members["holder"].hash]
    assert world.give("alice", "holder", mine.data, 1.1) is None
    pair = next(one for one in alice.user.pairs.values() if one.holder == world.members["holder"].hash)
    request = alice.record_of(pair.request)
    (given,) = holder.holder.pairs.values()
    assert request is not None
    shown = feigned(world, request.body, link, **changes)
    later = LaterPart(place=1, grant=shown[0], accept=shown[1], confirm=shown[2])
    granted = holder.record_of(given.grant)
    assert granted is not None
    accept = Accept(
        sid=given.sid, grant=given.grant, answer=answer_to(granted.body.challenge, given.grant), later=(later,)
    )
    said = sign_record(world.members["alice"].key, world.frame("alice", seq=904, at=fix(1.2)), accept)
    refusal = world.give("alice", "holder", Message(record=said).encoded(), 1.2)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, "whole.shown[1]")
    assert holder.holder.pairs[given.sid].state != HolderState.CONFIRMED


def settled_in_two(tmp_path: Path) -> tuple[World, bytes, Artifact, Request]:
    """Alice's spectrum and her link, settled together: the link's offer, her artifact of the first and its REQUEST."""
    world, band, link = town(tmp_path, TWO)
    ask(world, "alice", (band, link))
    world.carry(1.1)
    (permit,) = permits(world, "alice")
    whole = decode(Artifact, permit.artifact, "artifact", limit=1 << 20)
    alice = world.members["alice"].party
    pair = next(one for one in alice.user.pairs.values() if one.sid == permit.sid)
    request = alice.record_of(pair.request)
    assert isinstance(whole, Artifact)
    assert request is not None
    return world, link, whole, request.body


@pytest.mark.attack(61)
def test_no_companion_counts_that_its_holder_could_not_grant(tmp_path: Path) -> None:
    """The warden is shown the very part that alice confirmed to herself."""
    world, link, whole, request = settled_in_two(tmp_path)
    grant, accept, confirm = feigned(world, request, link)
    own = Companion(grant=grant, accept=accept, confirm=confirm, chain=world.chains["alice"])
    refused = Permits(network="test-net", anchors=world.anchors).take(replace(whole, companions=(own,)).encoded())
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.clause) == (Reason.SCOPE, "artifact.companions[0]")


def with_companion(
    tmp_path: Path,
    *,
    by: str = "carrier",
    credentials_of: str = "carrier",
    chain: tuple[bytes, ...] | None = None,
    torn: int | None = None,
    order: tuple[int, int, int] = (0, 1, 2),
    **changes: Any,
) -> Any:
    """What a verifier makes of alice's artifact with the carrier's part as its companion, made anew with changes.

    Args: by: who signs it; credentials_of, chain: whose credentials stand beside it, or which; torn: which of its
        records, 0 to 2, is none; order: which of them stands where GRANT, ACCEPT and CONFIRM are to stand.
    """
    world, link, whole, request = settled_in_two(tmp_path)
    records = feigned(world, request, link, by=by, **changes)
    made = [records[place] for place in order]
    if torn is not None:
        made[torn] = made[torn][:-1] + bytes([made[torn][-1] ^ 1])
    other = Companion(
        grant=made[0], accept=made[1], confirm=made[2], chain=world.chains[credentials_of] if chain is None else chain
    )
    return verify(replace(whole, companions=(other,)).encoded(), network="test-net", anchors=world.anchors)


@pytest.mark.parametrize("torn", [0, 1, 2])
def test_a_companion_whose_record_is_not_signed_is_named(tmp_path: Path, torn: int) -> None:
    found = with_companion(tmp_path, torn=torn)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.SIGNATURE, "artifact.companions[0]")


def test_a_companion_whose_holder_has_no_credential_is_named(tmp_path: Path) -> None:
    found = with_companion(tmp_path, chain=(b"\xa0",))
    assert isinstance(found, Refusal)
    assert found.clause == "artifact.companions[0]"


@pytest.mark.parametrize("order", [(1, 1, 2), (0, 0, 2), (0, 2, 2), (0, 1, 0), (0, 1, 1), (0, 0, 0), (1, 2, 0)])
def test_a_companion_is_a_grant_an_accept_and_a_confirm(tmp_path: Path, order: tuple[int, int, int]) -> None:
    found = with_companion(tmp_path, order=order)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.INCOMPLETE, "artifact.companions[0]")
    types = [("grant", "accept", "confirm")[place] for place in order]
    assert (found.measured, found.required) == (", ".join(types), "a part of this whole")


@pytest.mark.parametrize(
    "changes", [{"whole": bytes(32)}, {"parts": 3}, {"user": bytes(32)}, {"whole": None, "place": None, "parts": None}]
)
def test_a_companion_of_another_whole_or_for_another_user_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = with_companion(tmp_path, **changes)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.INCOMPLETE, "artifact.companions[0]")


def test_a_companion_is_by_the_holder_whose_credentials_stand_beside_it(tmp_path: Path) -> None:
    """The artifact names the first holder's credentials too: what that one signs proves nothing for the carrier."""
    found = with_companion(tmp_path, by="holder")
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.PROOF, "artifact.companions[0]")
    assert found.required == "one settlement, of the same user"


@pytest.mark.attack(61)
def test_a_companion_is_confirmed_by_who_granted_it(tmp_path: Path) -> None:
    """The first holder, whose credentials are in the artifact, confirms what only the carrier has granted."""
    world, link, whole, request = settled_in_two(tmp_path)
    grant, accept, confirm = feigned(world, request, link, by="carrier")
    said = sign_record(world.members["holder"].key, world.frame("holder", seq=905), body_of(confirm))
    other = Companion(grant=grant, accept=accept, confirm=said, chain=world.chains["carrier"])
    found = verify(replace(whole, companions=(other,)).encoded(), network="test-net", anchors=world.anchors)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.PROOF, "artifact.companions[0]")
    assert found.measured == digest(grant).hex()[:16]


@pytest.mark.parametrize(("confirmed_s", "reason"), [(2.5, None), (3.5, Reason.TIMEOUT)])
def test_a_companion_is_confirmed_as_late_as_a_part_may_be(
    tmp_path: Path, confirmed_s: float, reason: Reason | None
) -> None:
    """A part waits for the others: until `confirm_by`, not only until `accept_by`."""
    found = with_companion(tmp_path, confirmed_s=confirmed_s)
    assert (found.reason if isinstance(found, Refusal) else None) is reason, found


@pytest.mark.attack(61)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"price": 10**9}, Reason.PRICE),
        ({"lease_ns": 10**12}, Reason.LEASE),
        ({"fence": 2}, Reason.FENCE),
        ({"accept_by_ns": T0 + NS}, Reason.TIMEOUT),
        ({"rule": bytes(32)}, Reason.RULE_UNKNOWN),
        ({"handover": bytes(32)}, Reason.SCOPE),
    ],
)
def test_a_companion_by_its_holder_is_held_to_all_terms(
    tmp_path: Path, changes: dict[str, Any], reason: Reason | None
) -> None:
    found = with_companion(tmp_path, **changes)
    assert (found.reason if isinstance(found, Refusal) else None) is reason
