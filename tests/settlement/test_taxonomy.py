"""Tests that the record taxonomy comes from the rule: a changed rule file changes how a node treats the same bytes."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.chain import bodies, entitlement
from settlement.chain.admission import Admitted, Context, RuleInForce, admit, prove
from settlement.chain.bodies import BODIES, PPM, Revocation
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Attestation, Frame, Record, sign_record
from settlement.chain.status import bits_of
from settlement.chain.taxonomy import TABLE, Behaviour, Kind, Response, behaviour_of, kind_of
from settlement.chain.weights import Kept, kept_by, observation_weight_ppm
from settlement.core.reasons import Reason, Refusal
from settlement.governing.rulefile import read_rule
from settlement.state.messages import Message
from tests.settlement.test_rulefile import TEXT
from tests.settlement.world import LOWER, NETWORK, NS, RULE, T0, UPPER, World, fix, trio

COAST = (
    TEXT.replace('"gps", "chrony"', '"simulated"')
    .replace('"surveyed"', '"simulated"')
    .replace("witness_quorum = 1", "witness_quorum = 0")
    .replace('name = "guest"', 'name = "operator"', 1)
    .replace('level = "guest"', 'level = "nobody"')
    .replace("weight_ppm = 0", "weight_ppm = 500_000")
)
CONSIDERED = COAST.replace('response = "record only"', 'response = "consider"').replace('["envelope"]', '["*"]')


def under(folder: Path, text: str) -> World:
    """The same people with the same keys, under a rule as somebody wrote it."""
    folder.mkdir()
    world = trio(folder, rule=read_rule(text))
    world.offer(honest=False)
    world.carry(0.1)
    return world


def told(world: World, sender: str, raw: bytes, at_s: float = 1.1) -> Reason | None:
    refusal = world.give(sender, "holder", Message(record=raw).encoded(), at_s)
    return refusal.reason if refusal else None


def by(world: World, name: str, body: object, seq: int = 900) -> bytes:
    member = world.members[name]
    here = Attestation.of(fix(1.0))
    frame = Frame(network=NETWORK, author=member.hash, seq=seq, previous=bytes(32), attestation=here)
    return sign_record(member.key, frame, body)


RADAR = bodies.Envelope(
    kind="place",
    observed=bodies.Window(start_ns=T0, end_ns=T0 + NS),
    valid_until_ns=T0 + 100 * NS,
    level_ppm=950_000,
    looks=10,
    channels=(
        bodies.ChannelObservation(band=LOWER, state="busy", floor_unit="dBm/Hz", flags=()),
        bodies.ChannelObservation(band=UPPER, state="free", floor_unit="dBm/Hz", flags=()),
    ),
    incumbents=("radar",),
)
EDITS = {
    "consider": ("consider", '["*"]', None, None, 250_000),
    "obey": ("obey", '["*"]', None, Reason.INCUMBENT, 250_000),
    "record only": ("record only", '["*"]', None, Reason.SCOPE, 0),
    "not admitted": ("consider", '["request"]', Reason.SCOPE, None, 250_000),
}


@pytest.mark.feature("G2")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_rule_file_changes_what_a_node_does_with_the_same_bytes(tmp_path: Path, edit: str) -> None:
    response, admits, verdict, then, weight = EDITS[edit]
    plain = under(tmp_path / "plain", CONSIDERED)
    raw = by(plain, "bob", RADAR)
    text = COAST.replace('response = "record only"', f'response = "{response}"').replace('["envelope"]', admits)
    text += '[[modalities]]\nname = "energy"\nreliability_ppm = 500_000\n'
    edited = under(tmp_path / "edited", text)
    assert by(edited, "bob", RADAR) == raw
    assert told(edited, "bob", raw) is verdict
    asked_of = edited if edited.members["alice"].party.user.offers else None
    if asked_of is not None:
        asked_of.request("alice", 1.2, LOWER, 3.0, 5.0, honest=False)
        (message,) = asked_of.members["alice"].outgoing
        refusal = asked_of.give("alice", "holder", message.data, 1.2)
        assert (refusal.reason if refusal else None) is then
    rule = read_rule(text)
    assert observation_weight_ppm(rule, level="operator", modality="energy", consistency_ppm=PPM) == weight


@pytest.mark.feature("G2")
def test_an_obeyed_sensor_displaces_and_a_considered_one_does_not(tmp_path: Path) -> None:
    for response, still in (("consider", True), ("obey", False)):
        world = under(tmp_path / response, CONSIDERED.replace('response = "consider"', f'response = "{response}"'))
        sid = world.request("alice", 1.0, LOWER, 2.0, 4.0)
        assert world.carry(1.0) == []
        assert told(world, "bob", by(world, "bob", RADAR)) is None
        assert world.members["holder"].party.holder.pairs[sid].live is still


@pytest.mark.feature("G2")
def test_a_directive_binds_only_where_the_rule_says_obey(tmp_path: Path) -> None:
    list_body = Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=bits_of((3,), 32))
    for response, expected in (("obey", None), ("consider", Reason.SCOPE), ("obey after check", None)):
        text = CONSIDERED.replace('response = "obey"', f'response = "{response}"')
        world = under(tmp_path / response, text)
        assert told(world, "bob", world.by_authority(list_body, 0.5)) is expected
        held = world.members["holder"].party.status.held(world.authority.hash)
        assert (held is None) is (expected is not None)


@pytest.mark.feature("G2")
def test_obey_after_check_needs_a_list_that_vouches(tmp_path: Path) -> None:
    world = trio(tmp_path, status_index={"bob": 3})
    checked = replace(RULE, levels=(RULE.levels[0], replace(RULE.levels[1], response="obey after check")))
    context = replace(world.members["holder"].party.context, rule=RuleInForce(hash=bytes(32), rule=checked))

    def verdict(name: str) -> Reason | None:
        outcome = admit(by(world, name, RADAR), context, now=fix(1.1).time, transport_key=None)
        return outcome.reason if isinstance(outcome, Refusal) else None

    assert [verdict(name) for name in ("alice", "bob")] == [Reason.STATUS_UNKNOWN] * 2
    fresh = Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=bits_of((), 32))
    assert told(world, "bob", world.by_authority(fresh, 0.5)) is None
    assert verdict("bob") is None
    assert verdict("alice") is Reason.STATUS_UNKNOWN, "a credential no list can speak of cannot be vouched for"


def test_every_type_has_a_kind_and_every_pair_a_behaviour() -> None:
    assert set(TABLE) == {(r, k) for r in Response for k in Kind}
    for typ in set(BODIES) - {"credential"}:
        assert behaviour_of(RULE, "authority", typ) is Behaviour.ACT
        assert behaviour_of(RULE, "nobody", typ) is Behaviour.KEEP
        weighed = Behaviour.KEEP if kind_of(typ) is Kind.DIRECTIVE else Behaviour.ACT
        expected = Behaviour.WEIGH if kind_of(typ) is Kind.OBSERVATION else weighed
        assert behaviour_of(RULE, "operator", typ) is expected
    odd = replace(RULE, levels=(replace(RULE.levels[0], response="salute"),))
    assert behaviour_of(odd, "authority", "revocation") is Behaviour.KEEP


def test_the_same_request_bytes_under_two_rules(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.offer(honest=False)
    world.carry(0.1)
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (pair,) = world.members["alice"].party.user.pairs.values()
    raw = world.members["alice"].party.record_bytes(pair.request)
    assert raw is not None
    context: Context = world.members["holder"].party.context
    muted = replace(RULE, levels=(RULE.levels[0], replace(RULE.levels[1], response="record only")))
    for rule, clause in ((RULE, None), (muted, "capability.7.response")):
        under_it = replace(context, rule=RuleInForce(hash=context.rule.hash, rule=rule), rule_at=None)
        outcome = admit(raw, under_it, now=fix(1.0).time, transport_key=None)
        if clause is None:
            assert isinstance(outcome, Admitted)
        else:
            assert isinstance(outcome, Refusal)
            assert (outcome.reason, outcome.clause, outcome.measured) == (Reason.SCOPE, clause, "operator: record only")


# -- reputation ----------------------------------------------------------------------------------------------------


def admitted_records(world: World, name: str) -> list[Record]:
    party = world.members[name].party
    leaves = [decode_leaf(b) for b in party.lineage.bodies()]
    found = [party.record_of(leaf.subject) for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted]
    return [record for record in found if record is not None]


@pytest.mark.feature("G10")
@pytest.mark.feature("M5")
def test_reputation_is_what_the_admitted_records_say(tmp_path: Path) -> None:
    world = trio(tmp_path)
    world.offer(honest=False)
    world.carry(0.1)
    sid = world.request("alice", 1.0, LOWER, 2.0, 4.0)
    assert world.carry(1.0) == []
    world.request("bob", 1.1, UPPER, 2.0, 4.0)
    (message,) = world.members["bob"].outgoing
    world.members["bob"].outgoing = []
    assert world.give("bob", "holder", message.data, 1.1) is None
    world.members["holder"].outgoing = []  # the GRANT is lost, nobody accepts
    world.do("holder", 3.5, world.members["holder"].party.tick)
    alice = world.members["alice"].party
    for at_s in (3.6, 3.7):
        world.do("alice", at_s, lambda step: alice.user.report_usage(step, sid, used=None, airtime_ns=1 * NS, bursts=1))
        world.carry(at_s)
    holder, log = world.members["holder"], world.members["holder"].party.lineage
    kept = kept_by(admitted_records(world, "holder"))
    assert kept == {world.members["alice"].hash: Kept(fulfilled=1), world.members["bob"].hash: Kept(failed=1)}
    for who, record in kept.items():
        assert log.counted(f"fulfilled:{who.hex()}") == record.fulfilled
        assert log.counted(f"failed:{who.hex()}") == record.failed
    assert holder.party.record_of(sid) is None


def test_who_was_found_to_speak_speaks_no_other_type_under_no_other_rule_and_for_nobody_else(tmp_path: Path) -> None:
    world = trio(tmp_path)
    party = world.members["holder"].party
    raw = by(world, "alice", RADAR)
    known = prove(raw, party.registry)
    assert isinstance(known, Admitted)
    record, alice, rule = known.record, known.author, party.rule.rule
    assert entitlement.capability(record, alice, rule) is None
    assert entitlement.capability(record, alice, rule) is None, "as it was found before"
    silent = replace(rule, levels=tuple(replace(level, admits=("request",)) for level in rule.levels))
    unknown = replace(alice, level="nobody")
    powerless = replace(alice, scope=replace(alice.scope, actions=()))
    for author, under_it in ((alice, silent), (unknown, rule)):
        for _ in range(2):
            refusal = entitlement.capability(record, author, under_it)
            assert refusal is not None
            assert refusal.clause == "capability.7"
    request = replace(record, typ="grant")
    assert entitlement.capability(request, powerless, rule).clause == "capability.6"  # type: ignore[union-attr]
    kept = len(entitlement._SPEAKS)
    for _ in range(50):
        assert entitlement.capability(record, replace(alice), replace(rule)) is None
    assert len(entitlement._SPEAKS) == kept, "read anew it is the same party under the same rule"
    for number in range(2 * entitlement.SPEAKS_KEPT):
        assert entitlement.capability(record, replace(alice, hash=number.to_bytes(32)), rule) is None
    assert len(entitlement._SPEAKS) <= entitlement.SPEAKS_KEPT
