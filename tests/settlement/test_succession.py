"""A node takes up a new key while it runs: what was settled goes on, the rest is signed anew, and its log holds."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.audit.bundle import AuditedBundle, make_bundle, verify_bundle
from settlement.audit.crosscheck import cross_check
from settlement.audit.verify import audit_lineage
from settlement.chain import bodies
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.lineage import Lineage
from settlement.chain.records import digest, sign_record
from settlement.chain.rotation import rotation_of
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.table import HolderState, UserState
from settlement.party.party import Party
from settlement.party.succession import announce, rotate, undecided
from settlement.state.messages import Message
from settlement.state.step import Identity
from tests.settlement.world import (
    HOLDER_ACTIONS,
    LOWER,
    NETWORK,
    NS,
    RULE,
    UPPER,
    USER_ACTIONS,
    Member,
    World,
    claims,
    fix,
    scope,
    seed,
    trio,
)

ROLES = {"holder": (HOLDER_ACTIONS, 1), "alice": (USER_ACTIONS, 2), "bob": (USER_ACTIONS, 2)}


def successor(world: World, name: str, number: int = 1, **changes: Any) -> tuple[SigningKey, bytes]:
    """A new key for a member and the credential that the authority issued for it."""
    actions, tier = ROLES[name]
    key = SigningKey.from_seed(seed(f"{name}-{number}"))
    body = bodies.Credential(
        level="operator",
        scope=scope(actions, tier=tier),
        transport_key=world.transport(name),
        device=f"device-{name}",
    )
    named = claims(key.public, changes.pop("subject", name), "root")
    raw = issue(
        world.root_key,
        world.authority,
        replace(body, **changes),
        named,
        network=NETWORK,
        fix=fix(-1),
        seq=next(world.numbers),
    )
    return key, raw


def turn(world: World, name: str, at_s: float, number: int = 1) -> Refusal | None:
    key, raw = successor(world, name, number)
    party = world.members[name].party
    refusal: Refusal | None = world.do(name, at_s, lambda step: rotate(party, step, key, raw))
    if refusal is None:
        world.members[name] = replace(world.members[name], key=key)
    return refusal


def restarted(world: World, name: str, *, knows: tuple[bytes, ...] = ()) -> Member:
    """The member from what it left: its keys, its log, and the credentials it was configured with at first."""
    old = world.members[name].party
    former = [*old.former.values()]
    old.lineage.close()
    registry = world.registry()
    for raw in knows:
        registry.admit(raw)
    party = Party(
        identity=old.identity,
        registry=registry,
        rule=old.rule,
        rule_raw=world.rule_raw,
        rule_chain=(world.root,),
        lineage=Lineage(world.folder / f"{name}.db", origin=origin_of(NETWORK, old.identity.key.public)),
        entropy=lambda n: seed(f"{name}-after")[:n],
        former=former,
    )
    world.members[name] = replace(world.members[name], party=party)
    return world.members[name]


def carry(world: World, at_s: float) -> list[Reason]:
    """Deliver everything; an authority's word that comes back is only a replay."""
    return [r.reason for r in world.carry(at_s) if r.reason is not Reason.REPLAY]


def offers_of(world: World, name: str) -> int:
    return len(world.members[name].party.user.offers)


@pytest.fixture(params=[0, 2], ids=["no witnesses", "two witnesses"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=request.param))
    for name in world.members:
        world.do(name, -6.0, world.members[name].party.hello)
    world.carry(-6.0)
    return world


def whole(world: World, tmp_path: Path) -> None:
    """Every log holds for an auditor who has the anchors alone, and they agree; so does a bundle of them."""
    audits = []
    for name, member in world.members.items():
        member.party.lineage.seal(member.party.identity.key, tmp_path / f"sealed-{name}.db")
        audits.append(audit_lineage(tmp_path / f"sealed-{name}.db", network=NETWORK, anchors=world.anchors))
    assert [a.findings.problems for a in audits] == [[]] * len(audits)
    assert cross_check(audits).problems == []
    packed = make_bundle([tmp_path / f"sealed-{name}.db" for name in world.members], network=NETWORK)
    assert isinstance(packed, bytes)
    verdict = verify_bundle(packed, network=NETWORK, anchors=world.anchors)
    assert isinstance(verdict, AuditedBundle)
    assert verdict.ok, [log.findings.problems for log in verdict.logs]


@pytest.mark.feature("G9")
def test_a_user_turns_its_key_and_goes_on(world: World, tmp_path: Path) -> None:
    world.settle()
    alice = world.members["alice"].party
    (before,) = alice.user.pairs.values()
    old = alice.identity
    assert turn(world, "alice", 2.0) is None
    assert carry(world, 2.0) == []
    assert alice.identity.credential != old.credential
    for other in ("holder", "bob"):
        assert world.members[other].party.registry.successor(old.credential) == alice.identity.credential
    world.do("holder", 3.6, world.members["holder"].party.tick)
    assert carry(world, 3.6) == []
    assert alice.user.pairs[before.request].renewals == 1, "the lease of what was settled goes on"
    world.request("alice", 3.7, UPPER, 5.0, 12.0)
    assert carry(world, 3.7) == []
    states = {p.state for p in alice.user.pairs.values()}
    assert states == {UserState.SETTLED}
    new = next(p for p in alice.user.pairs.values() if p.request != before.request)
    permit = verify(alice.lineage.get("artifact", new.sid) or b"", network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
    assert permit.user.hash == alice.identity.credential
    world.do("alice", 5.0, lambda step: alice.user.relinquish(step, before.sid, "done"))
    assert carry(world, 5.0) == []
    assert world.members["holder"].party.holder.pairs[before.sid].state == HolderState.ENDED
    whole(world, tmp_path)


@pytest.mark.feature("G9")
def test_a_holder_turns_its_key_twice_and_goes_on(world: World, tmp_path: Path) -> None:
    world.settle()
    holder, alice = world.members["holder"].party, world.members["alice"].party
    (first,) = alice.user.pairs.values()
    for number in (1, 2):
        assert turn(world, "holder", 1.5 + number / 10, number) is None
        assert carry(world, 1.5 + number / 10) == []
    line = alice.registry.line(holder.identity.credential)
    assert len(line) == 3
    assert {alice.registry.newest(one) for one in line} == {holder.identity.credential}
    assert offers_of(world, "alice") == 0, "nobody asks for what the old key offered"
    world.do("holder", 3.6, holder.tick)
    assert carry(world, 3.6) == []
    assert alice.user.pairs[first.request].renewals == 1
    world.offer(3.7)
    world.carry(3.7)
    sid = world.request("bob", 3.8, UPPER, 5.0, 12.0)
    assert carry(world, 3.8) == []
    artifact = world.members["bob"].party.lineage.get("artifact", sid)
    permit = verify(artifact or b"", network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
    assert permit.holder.hash == holder.identity.credential
    world.request("bob", 3.9, LOWER, 5.0, 11.0)
    assert carry(world, 3.9) == [Reason.CONFLICT], "what the old key settled is still taken"
    whole(world, tmp_path)


@pytest.mark.feature("G9")
@pytest.mark.parametrize("name", ["alice", "holder"])
def test_both_sides_know_the_new_key_after_a_restart(world: World, tmp_path: Path, name: str) -> None:
    world.settle()
    chain = world.chains[name]
    for number in (1, 2):
        assert turn(world, name, 1.5 + number / 10, number) is None
        world.carry(1.5 + number / 10)
    other = "holder" if name == "alice" else "alice"
    mine = world.members[name].party.identity.credential
    for one in (name, other):
        again = restarted(world, one, knows=chain)
        assert again.party.damaged is None
        assert again.party.registry.line(mine)[-1] == digest(chain[1])
        world.do(one, 2.0, again.party.hello)
        assert carry(world, 2.0) == []
        assert again.party.halted is None
    world.do("holder", 3.6, world.members["holder"].party.tick)
    assert carry(world, 3.6) == []
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.renewals == 1
    whole(world, tmp_path)


def test_who_was_away_hears_of_it_when_it_is_back(world: World) -> None:
    world.settle()
    old = world.members["alice"].hash
    assert turn(world, "alice", 2.0) is None
    world.members["alice"].outgoing = [o for o in world.members["alice"].outgoing if o.to != world.members["bob"].hash]
    bob = world.members["bob"].party
    world.members["holder"].outgoing = []
    alice = world.members["alice"].party
    assert bob.registry.successor(old) is None
    world.do("alice", 2.5, lambda step: announce(alice, step))
    world.carry(2.5)
    assert bob.registry.successor(old) == alice.identity.credential


def test_nothing_changes_while_something_is_undecided(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.in_doubt()
    for name in ("alice", "holder"):
        party = world.members[name].party
        before, size = party.identity, party.lineage.size
        refusal = turn(world, name, 1.1)
        assert refusal is not None
        assert (refusal.reason, refusal.clause) == (Reason.OUT_OF_ORDER, "rotation.undecided")
        assert undecided(party) is not None
        assert (party.identity, party.lineage.size) == (before, size)


@pytest.mark.attack(22)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subject": "bob"}, Reason.ROTATION),
        ({"transport_key": bytes(32)}, Reason.BINDING),
        ({"device": "another"}, Reason.BINDING),
        ({"scope": scope(USER_ACTIONS, tier=1)}, Reason.ROTATION),
    ],
)
def test_a_credential_that_is_no_successor_is_not_taken_up(
    tmp_path: Path, changes: dict[str, Any], reason: Reason
) -> None:
    world = trio(tmp_path)
    party = world.members["alice"].party
    before, size = party.identity, party.lineage.size
    key, raw = successor(world, "alice", **changes)
    refusal = world.do("alice", 1.0, lambda step: rotate(party, step, key, raw))
    assert refusal.reason is reason
    other, raw = SigningKey.from_seed(seed("other")), successor(world, "alice")[1]
    refusal = world.do("alice", 1.0, lambda step: rotate(party, step, other, raw))
    assert refusal.reason is Reason.ROTATION
    assert (party.identity, party.lineage.size) == (before, size)


def test_a_step_that_fails_leaves_the_old_key_in_force(tmp_path: Path) -> None:
    world = trio(tmp_path)
    party = world.members["alice"].party
    before, origin = party.identity, party.lineage.origin
    key, raw = successor(world, "alice")

    def torn(step: Any) -> None:
        assert rotate(party, step, key, raw) is None
        raise RuntimeError("power gone")

    with pytest.raises(RuntimeError):
        world.do("alice", 1.0, torn)
    assert (party.identity, party.lineage.origin, party.former) == (before, origin, {})
    assert party.registry.successor(before.credential) is None
    world.settle()
    assert turn(world, "alice", 2.0) is None


@pytest.mark.attack(53)
def test_a_new_key_is_no_new_identity(tmp_path: Path) -> None:
    budget = bodies.Budget(
        level="operator", commodity="cbrs", window_ns=3600 * NS, amount_hz_s=300_000_000, first_share_ppm=200_000,
        step_ppm=0,
    )  # fmt: skip
    world = trio(tmp_path, rule=replace(RULE, budgets=(budget,)))
    world.settle(end_s=7.0)  # 10 MHz x 5 s of the 60 it may have
    assert turn(world, "alice", 1.5) is None
    world.carry(1.5)
    world.request("alice", 1.6, UPPER, 2.0, 4.0)
    assert carry(world, 1.6) == [Reason.REPUTATION]


@pytest.mark.attack(50)
def test_a_log_that_claims_a_name_it_did_not_have_is_found(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.settle()
    assert turn(world, "alice", 2.0) is None
    world.carry(2.0)
    alice = world.members["alice"].party
    path = tmp_path / "sealed.db"
    alice.lineage.seal(alice.identity.key, path)
    cut = tmp_path / "cut.db"
    shutil.copy(path, cut)
    old = next(iter(alice.former.values()))
    forged = Lineage(cut, origin=alice.lineage.origin)
    with forged.transaction():
        forged.rename(origin_of(NETWORK, old.key.public))
        forged.stand(old.key)
    forged.close()
    problems = audit_lineage(cut, network=NETWORK, anchors=world.anchors).findings.problems
    assert problems, "the log of before, put back under its old name, holds entries of a later one"
    assert isinstance(old, Identity)


@pytest.mark.attack(22)
@pytest.mark.attack(45)
@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"transport_key": seed("alice-transport")}, "rotation.transport"),
        ({"device": "device-alice"}, "rotation.device"),
    ],
)
def test_no_successor_takes_a_neighbours_key_on_the_wire_or_its_radio(
    tmp_path: Path, changes: dict[str, Any], clause: str
) -> None:
    """Whoever issued the successor may be in league with it: alice stays who she is to the holder."""
    world = trio(tmp_path)
    bob, holder = world.members["bob"], world.members["holder"].party
    key, raw = successor(world, "bob", **changes)
    said = sign_record(bob.key, world.frame("bob", seq=700), rotation_of(bob.hash, raw, key, NETWORK))
    refusal = world.give("bob", "holder", Message(record=said).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.BINDING, clause)
    known = holder.registry.by_transport(world.transport("alice"))
    assert known is not None
    assert known.name == "alice"
    assert {one.name for one in holder.witness.neighbours()} == {"alice", "bob"}


def test_a_transport_key_stays_with_whoever_was_known_by_it_first(tmp_path: Path) -> None:
    world = trio(tmp_path)
    registry = world.members["holder"].party.registry
    before = registry.by_transport(world.transport("alice"))
    _, raw = successor(world, "bob", transport_key=world.transport("alice"))
    assert isinstance(registry.admit(raw), Subject)
    assert registry.by_transport(world.transport("alice")) == before
    renewed = world.credential("alice", USER_ACTIONS)
    assert renewed != world.chains["alice"][1]
    assert registry.admit(renewed) == registry.by_transport(world.transport("alice")), "the same key pair anew"
