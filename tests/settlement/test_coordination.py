"""Co-signatures where infrastructure is shared: one authority, sharded, or neighbour to neighbour."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, records
from settlement.chain.codec import decode, encode
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Area, Band
from settlement.core.reasons import Reason, Refusal
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, VerifiedPermit, verify
from settlement.pair.table import HolderState, UserState
from settlement.state.messages import Message, decode_message
from tests.settlement.test_rulefile import TEXT
from tests.settlement.world import LAT, LON, LOWER, NETWORK, RULE, UPPER, USER_ACTIONS, World, fix, held, scope

HOLDER = ("offer", "grant", "coordinate", "observe")
ROTA = ("coordinate", "observe")
FAR = Area(lat_e7=LAT + 50_000_000, lon_e7=LON, radius_mm=1000)
NAMES = ("holder", "mill", "alice", "bob", "rota", "beacon")


class Shared(World):
    """Two holders, two users and two authorities that may co-sign; the rule is signed once they have credentials."""

    def __init__(self, folder: Path, shards: Any) -> None:
        super().__init__(folder)
        actions = ("issue", "rule", *HOLDER, "request")
        body = bodies.Credential(level="authority", scope=scope(actions, depth=2))
        from settlement.chain.credentials import Registry, issue
        from tests.settlement.world import claims

        self.root = issue(
            self.root_key, None, body, claims(self.root_key.public, "root", "root"), network=NETWORK, fix=fix(-9)
        )
        self.anchors = [records.digest(self.root)]
        self.authority = held(Registry(NETWORK, self.anchors).admit(self.root))
        roles = {"holder": HOLDER, "mill": HOLDER, "rota": ROTA, "beacon": ROTA}
        for name in NAMES:
            allowed = roles.get(name, USER_ACTIONS)
            self.chains[name] = (self.root, self.credential(name, allowed, tier=1 if allowed == HOLDER else 2))
        by_name = {name: records.digest(self.chains[name][-1]) for name in NAMES}
        frame = Frame(
            network=NETWORK, author=self.authority.hash, seq=next(self.numbers), attestation=Attestation.of(fix(-9))
        )
        rule = replace(RULE, coordination=tuple(shards(by_name)))
        self.rule_raw = sign_record(self.root_key, frame, rule)
        self.members = {name: self.member(name) for name in NAMES}
        for holder in ("holder", "mill"):
            self.offer(0.0, holder)
            self.carry(0.1)

    def ask(self, user: str, holder: str, band: Band, at_s: float = 1.0) -> bytes:
        """Ask a holder for a band; returns the settlement's id."""
        party = self.members[user].party
        offer = next(o for o in party.user.offers.values() if o.holder == self.members[holder].hash)
        cell = replace(offer.body.cell, band=band, window=window(at_s + 1, at_s + 9))
        sid: bytes = self.do(user, at_s, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000).sid)
        return sid

    def states(self, sid: bytes, user: str, holder: str) -> tuple[int, int]:
        pair = self.members[user].party.user.by_sid(sid)
        assert pair is not None
        return self.members[holder].party.holder.pairs[sid].state, pair.state

    def permit(self, sid: bytes, user: str) -> tuple[bytes, VerifiedPermit | Refusal]:
        artifact = self.members[user].party.lineage.get("artifact", sid)
        assert artifact is not None
        return artifact, verify(artifact, network=NETWORK, anchors=self.anchors)


def window(start_s: float, end_s: float) -> Any:
    from settlement.chain.scope import Window

    return Window(start_ns=fix(start_s).time.middle_ns, end_ns=fix(end_s).time.middle_ns)


def shard(name: str, *authorities: bytes, need: int = 1, **where: Any) -> bodies.Shard:
    mode = 0 if authorities else 1
    return bodies.Shard(name=name, mode=mode, authorities=authorities, need=need, **where)


SETTLED = (HolderState.CONFIRMED, UserState.SETTLED)
ABORTED = (HolderState.ABORTED, UserState.ABORTED)


@pytest.mark.feature("S8")
def test_one_authority_co_signs_before_the_decision(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    assert world.carry(1.0) == []
    assert world.states(sid, "alice", "holder") == SETTLED
    assert sid in world.members["rota"].party.coordinator.known
    artifact, permit = world.permit(sid, "alice")
    assert isinstance(permit, VerifiedPermit), permit
    parts = decode(Artifact, artifact, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(parts, Artifact)
    assert len(parts.coordination or ()) == 1
    bare = verify(replace(parts, coordination=None).encoded(), network=NETWORK, anchors=world.anchors)
    assert isinstance(bare, Refusal)
    assert bare.reason is Reason.QUORUM


@pytest.mark.feature("S8")
def test_an_authority_signs_each_part_of_the_spectrum_once(tmp_path: Path) -> None:
    """Two holders that offer the same band grant overlapping cells; the authority they share lets one of them."""
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    first = world.ask("alice", "holder", LOWER)
    assert world.carry(1.0) == []
    second = world.ask("bob", "mill", Band(low_hz=LOWER.low_hz + 5_000_000, high_hz=LOWER.high_hz + 5_000_000))
    refusals = world.carry(1.1)
    assert [r.reason for r in refusals] == [Reason.CONFLICT]
    assert world.states(first, "alice", "holder") == SETTLED
    assert world.states(second, "bob", "mill") == ABORTED
    beside = world.ask("bob", "mill", UPPER, 1.2)
    assert world.carry(1.2) == []
    assert world.states(beside, "bob", "mill") == SETTLED


@pytest.mark.feature("S8")
@pytest.mark.parametrize(
    ("where", "band", "asked"),
    [
        ("band", LOWER, {"rota"}),
        ("band", UPPER, {"beacon"}),
        ("band", Band(low_hz=LOWER.low_hz, high_hz=UPPER.high_hz), {"rota", "beacon"}),
        ("area", LOWER, {"rota"}),
        ("none touched", LOWER, set()),
    ],
)
def test_shards_by_sub_band_and_by_area(tmp_path: Path, where: str, band: Band, asked: set[str]) -> None:
    def shards(by: dict[str, bytes]) -> list[bodies.Shard]:
        if where == "band":
            return [shard("low", by["rota"], band=LOWER), shard("high", by["beacon"], band=UPPER)]
        if where == "area":
            return [shard("here", by["rota"], area=RULE.area), shard("there", by["beacon"], area=FAR)]
        return [shard("there", by["beacon"], area=FAR)]

    world = Shared(tmp_path, shards)
    sid = world.ask("alice", "holder", band)
    assert world.carry(1.0) == []
    assert world.states(sid, "alice", "holder") == SETTLED
    signed = {name for name in ("rota", "beacon") if sid in world.members[name].party.coordinator.known}
    assert signed == asked
    assert isinstance(world.permit(sid, "alice")[1], VerifiedPermit)


@pytest.mark.feature("S8")
def test_some_of_several_authorities_are_enough_where_the_rule_says_so(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"], by["beacon"], need=1)])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "beacon", 1.0)
    assert world.states(sid, "alice", "holder") == SETTLED


def deaf(world: World, name: str, at_s: float) -> None:
    """Carry everything but what goes to one member, until nothing moves."""
    lost = world.members[name].hash
    for _ in range(12):
        for member in world.members.values():
            member.outgoing = [o for o in member.outgoing if o.to != lost]
        waiting = [(n, m.outgoing) for n, m in world.members.items() if m.outgoing]
        names = {member.hash: n for n, member in world.members.items()}
        for sender, outgoing in waiting:
            world.members[sender].outgoing = []
            for one in outgoing:
                world.give(sender, names[one.to], one.data, at_s)


@pytest.mark.feature("S7")
@pytest.mark.feature("S8")
def test_without_the_authority_it_is_aborted_at_confirm_by_and_asked_again_before(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "rota", 1.0)
    assert world.states(sid, "alice", "holder") == (HolderState.COORDINATING, UserState.ACCEPTED)
    holder = world.members["holder"].party
    world.do("holder", 1.5, holder.tick)
    assert [o for o in world.members["holder"].outgoing if o.to == world.members["rota"].hash], "asked again"
    deaf(world, "rota", 1.5)
    world.do("holder", 2.5, holder.tick)
    assert world.states(sid, "alice", "holder")[0] == HolderState.COORDINATING, "accept_by does not end it"
    world.members["holder"].outgoing = []
    world.do("holder", 3.1, holder.tick)
    deaf(world, "rota", 3.1)
    assert world.states(sid, "alice", "holder") == ABORTED
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    assert pair.ended == Reason.QUORUM.value
    again = world.ask("bob", "holder", LOWER, 3.2)
    assert world.carry(3.2) == []
    assert world.states(again, "bob", "holder") == SETTLED, "the cell is free again"


@pytest.mark.feature("S10")
def test_a_lost_decision_is_told_again_to_whoever_asks_again(tmp_path: Path) -> None:
    """Also where it was taken long after the ACCEPT it answers."""
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "alice", 1.0)
    lost(world, "alice")
    world.do("alice", 1.5, world.members["alice"].party.tick)  # asks for the GRANT again
    (question,) = world.members["alice"].outgoing
    world.members["alice"].outgoing = []
    world.give("alice", "holder", question.data, 1.5)
    (grant,) = world.members["holder"].outgoing
    world.members["holder"].outgoing = []
    assert world.give("holder", "alice", grant.data, 1.5) is None
    deaf(world, "alice", 1.5)
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.CONFIRMED
    world.do("alice", 1.95, world.members["alice"].party.tick)
    assert [r.reason for r in world.carry(1.95)] == [Reason.REPLAY]
    assert world.states(sid, "alice", "holder") == SETTLED


def lost(world: World, name: str) -> None:
    for member in world.members.values():
        member.outgoing = [o for o in member.outgoing if o.to != world.members[name].hash]


@pytest.mark.feature("S8")
def test_neighbours_co_sign_without_any_authority(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("street", need=1)])
    sid = world.ask("alice", "holder", LOWER)
    assert world.carry(1.0) == []
    assert world.states(sid, "alice", "holder") == SETTLED
    assert sid in world.members["mill"].party.coordinator.known
    assert isinstance(world.permit(sid, "alice")[1], VerifiedPermit)
    taken = world.ask("bob", "mill", LOWER, 1.1)
    (refusal,) = world.carry(1.1)
    assert (refusal.reason, refusal.clause) == (Reason.CONFLICT, "request.elsewhere")
    assert taken not in world.members["mill"].party.holder.pairs


def test_a_neighbour_does_not_sign_for_what_it_holds_itself(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("street", need=1)])
    for user, holder in (("alice", "holder"), ("bob", "mill")):
        world.ask(user, holder, LOWER)
    world.carry(1.0)
    confirmed = [
        pair.sid
        for name in ("holder", "mill")
        for pair in world.members[name].party.holder.pairs.values()
        if pair.state == HolderState.CONFIRMED
    ]
    assert len(confirmed) <= 1


@pytest.mark.feature("S7")
def test_an_abort_frees_what_was_signed_for(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("low", by["rota"]), shard("also", by["beacon"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "beacon", 1.0)
    assert sid in world.members["rota"].party.coordinator.known
    world.do("holder", 3.1, world.members["holder"].party.tick)
    world.carry(3.1)
    assert world.states(sid, "alice", "holder") == ABORTED
    assert not world.members["rota"].party.coordinator.known
    other = world.ask("bob", "mill", LOWER, 3.2)
    assert world.carry(3.2) == []
    assert world.states(other, "bob", "mill") == SETTLED


@pytest.mark.feature("S10")
def test_the_same_question_gets_the_same_answer_after_a_restart(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "rota", 1.0)
    world.do("holder", 1.5, world.members["holder"].party.tick)
    (question,) = [o for o in world.members["holder"].outgoing if o.to == world.members["rota"].hash]
    world.members["holder"].outgoing = []
    assert world.give("holder", "rota", question.data, 1.5) is None
    (first,) = world.members["rota"].outgoing
    world.members["rota"].party.lineage.close()
    world.members["rota"] = world.member_again("rota")
    assert sid in world.members["rota"].party.coordinator.known
    refusal = world.give("holder", "rota", question.data, 1.6)
    assert refusal is not None
    assert refusal.reason is Reason.REPLAY
    (again,) = world.members["rota"].outgoing
    assert again.data == first.data


def question(world: Shared, sid: bytes) -> Message:
    holder = world.members["holder"].party
    pair = holder.holder.pairs[sid]
    grant, accept = holder.record_bytes(pair.grant), holder.record_bytes(pair.accept)
    assert grant is not None
    assert accept is not None
    return Message(record=grant, beside=(accept,))


FALSE: dict[str, tuple[Any, Reason]] = {
    "without its ACCEPT": (lambda m: replace(m, beside=None), Reason.PROOF),
    "with the GRANT for an ACCEPT": (lambda m: replace(m, beside=(m.record,)), Reason.TYPE),
    "with what is no record": (lambda m: replace(m, beside=(b"\x00",)), Reason.MALFORMED),
}


@pytest.mark.parametrize("change", FALSE)
def test_a_question_that_is_not_whole_is_refused(tmp_path: Path, change: str) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "rota", 1.0)
    altered, reason = FALSE[change]
    refusal = world.give("holder", "rota", altered(question(world, sid)).encoded(), 1.2)
    assert refusal is not None
    assert refusal.reason is reason
    assert not world.members["rota"].party.coordinator.known


def word_on(sid: bytes, asked: Message, name: str) -> bodies.Coordination:
    """A co-signature over what a holder asked about, for that shard."""
    return bodies.Coordination(
        sid=sid,
        grant=records.digest(asked.record),
        accept=records.digest((asked.beside or ())[0]),
        shards=(name,),
        until_ns=fix(99.0).time.latest_ns,
    )


def test_who_has_no_say_is_not_heard(tmp_path: Path) -> None:
    """Neither bob, whom nobody asked, nor an answer over something else, nor one that comes after the decision."""
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "rota", 1.0)
    asked = question(world, sid)
    body = word_on(sid, asked, "all")

    def says(name: str, said: bodies.Coordination, at_s: float) -> Reason | None:
        record = world.do(name, at_s, lambda step: step.sign(said), honest=False)
        refusal = world.give(name, "holder", Message(record=record.raw).encoded(), at_s)
        return refusal.reason if refusal else None

    assert says("beacon", body, 1.1) is Reason.UNKNOWN_SID
    assert says("bob", body, 1.2) is Reason.SCOPE
    assert says("rota", replace(body, accept=bytes(32)), 1.3) is Reason.TERMS
    assert says("rota", replace(body, until_ns=fix(3.0).time.latest_ns), 1.4) is Reason.TERMS
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.COORDINATING
    world.members["holder"].outgoing = []
    world.do("holder", 3.1, world.members["holder"].party.tick)
    assert says("rota", body, 3.2) is Reason.OUT_OF_ORDER


def test_a_co_signature_for_another_shard_does_not_count(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    deaf(world, "rota", 1.0)
    asked = question(world, sid)
    body = word_on(sid, asked, "elsewhere")
    record = world.do("rota", 1.1, lambda step: step.sign(body))
    assert world.give("rota", "holder", Message(record=record.raw).encoded(), 1.1) is None
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.COORDINATING


def test_a_user_takes_no_confirm_without_its_co_signatures(tmp_path: Path) -> None:
    world = Shared(tmp_path, lambda by: [shard("all", by["rota"])])
    sid = world.ask("alice", "holder", LOWER)
    confirm = None
    for _ in range(12):
        waiting = [(n, m.outgoing) for n, m in world.members.items() if m.outgoing]
        names = {member.hash: n for n, member in world.members.items()}
        for sender, outgoing in waiting:
            world.members[sender].outgoing = []
            for one in outgoing:
                message = decode_message(one.data)
                assert isinstance(message, Message)
                if names[one.to] == "alice" and message.proof is not None:
                    confirm = message
                    continue
                world.give(sender, names[one.to], one.data, 1.0)
    assert confirm is not None
    assert confirm.beside
    refusal = world.give("holder", "alice", encode(replace(confirm, beside=None), limit=1 << 20), 1.1)
    assert refusal is not None
    assert refusal.reason is Reason.QUORUM
    assert world.states(sid, "alice", "holder")[1] == UserState.ACCEPTED


# -- the rule's text -------------------------------------------------------------------------------------------------

ONE = f"""
[[coordination]]
name = "low"
mode = "authority"
authorities = ["{"ab" * 32}"]
need = 1
band = {{ low_hz = 3_550_000_000, high_hz = 3_560_000_000 }}
[[coordination]]
name = "street"
mode = "neighbours"
need = 2
area = {{ lat_e7 = 1, lon_e7 = 2, radius_mm = 3 }}
"""
MISTAKES = {
    'mode = "neighbours"': ('mode = "anybody"', r"coordination\[1\].mode"),
    'name = "street"': ('name = "low"', r"coordination\[1\].name: 'low' names a shard before it"),
    "need = 1\n": ("need = 2\n", r"coordination\[0\].need: 2 is outside 1 to 1"),
    f'["{"ab" * 32}"]': ('["ab"]', r"coordination\[0\].authorities\[0\]"),
    "need = 2\n": ('need = 2\nauthorities = ["x"]\n', r"coordination\[1\].authorities: neighbours have none"),
    "high_hz = 3_560_000_000": ("high_hz = 1", r"coordination\[0\].band"),
    "radius_mm = 3": ('radius_mm = "wide"', r"coordination\[1\].area.radius_mm"),
    'name = "low"': ('name = "low"\ncolour = 1', r"coordination\[0\].colour: no such key"),
}


@pytest.mark.feature("S8")
def test_shards_are_written_in_the_rule() -> None:
    low, street = read_rule(TEXT + ONE).coordination or ()
    assert (low.mode, low.need, low.authorities, low.area) == (0, 1, (bytes.fromhex("ab" * 32),), None)
    assert low.band == Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
    assert (street.mode, street.need, street.authorities, street.band) == (1, 2, (), None)


@pytest.mark.parametrize("old", MISTAKES)
def test_a_mistake_in_a_shard_is_named_by_its_key(old: str) -> None:
    new, named = MISTAKES[old]
    assert old in ONE
    with pytest.raises(RuleFileError, match=named):
        read_rule(TEXT + ONE.replace(old, new, 1))
