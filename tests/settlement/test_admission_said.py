"""What each clause of admission says, all four values of it, and the last instant, place and figure it lets through."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.admission import (
    Admitted,
    Context,
    RuleInForce,
    _age,
    _ahead,
    _clock_of,
    _named,
    admit,
    author_inside,
    confidence,
    prove,
    proven,
    timeless,
)
from settlement.chain.credentials import Subject
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, Record, make_record, sign_record
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.chain.status import StatusLists
from settlement.core.fixes import PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import verify_rule
from tests.settlement.test_attested import fix as _fix
from tests.settlement.world import AREA, LAT, LON, LOWER, NETWORK, NS, RULE, T0, World, fix, offered, scope, seed, trio

HERE = Attestation.of(_fix(1.0))
Said = tuple[Reason, str, str, str] | None
PLACE = f"circle of 20000000 mm round {LAT / 1e7:.7f}, {LON / 1e7:.7f}"


def said(found: object) -> Said:
    return (found.reason, found.clause, found.measured, found.required) if isinstance(found, Refusal) else None


def made(body: Any, attestation: Attestation = HERE, **changes: Any) -> Record:
    frame = Frame(network=NETWORK, author=bytes(32), seq=9, previous=bytes(32), attestation=attestation)
    return make_record(SigningKey.from_seed(seed("alice")), replace(frame, **changes), body)


def instant(at_ns: int, **changes: Any) -> TimeFix:
    return TimeFix(earliest_ns=at_ns, latest_ns=at_ns, source=TimeSource.SIMULATED, trusted=True, **changes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


# -- (9) ---------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(36)
@pytest.mark.attack(37)
def test_a_source_that_is_not_believed_is_named_and_so_are_those_that_are() -> None:
    rule = replace(RULE, time_sources=(TimeSource.GPS, 200), position_sources=(PositionSource.SURVEYED,))
    assert said(confidence(HERE, rule)) == (
        Reason.TIME_UNTRUSTED, "confidence.9.source", "simulated", "gps, 200")  # fmt: skip
    timed = replace(rule, time_sources=(TimeSource.SIMULATED,))
    assert said(confidence(HERE, timed)) == (
        Reason.POSITION_UNTRUSTED, "confidence.9.place", "simulated", "surveyed")  # fmt: skip
    assert _named(TimeSource, (1, 77)) == f"{TimeSource(1).name.lower()}, 77"


@pytest.mark.attack(36)
@pytest.mark.attack(38)
def test_a_bound_at_the_rules_limit_holds_and_one_ns_or_mm_more_does_not() -> None:
    def judged(width_ns: int, radius_mm: int) -> Said:
        here = replace(HERE, latest_ns=HERE.earliest_ns + width_ns, radius_mm=radius_mm)
        return said(confidence(here, RULE))

    assert judged(2_000_000, 50_000) is None
    assert judged(2_000_001, 50_000) == (
        Reason.TIME_UNTRUSTED, "confidence.9.bound", "1000001 ns", "<= 1000000 ns")  # fmt: skip
    assert judged(2_000_000, 50_001) == (
        Reason.POSITION_UNTRUSTED, "confidence.9.radius", "50001 mm", "<= 50000 mm")  # fmt: skip


@pytest.mark.attack(39)
def test_a_place_finer_than_its_source_counts_as_its_class_can_be() -> None:
    gps = replace(HERE, position_source=PositionSource.GPS, radius_mm=1)
    rule = replace(RULE, position_sources=(PositionSource.GPS,), position_radius_mm_max=500)
    assert confidence(gps, rule) is None
    assert said(confidence(gps, replace(rule, position_radius_mm_max=499))) == (
        Reason.POSITION_UNTRUSTED, "confidence.9.radius", "500 mm", "<= 499 mm")  # fmt: skip
    edge = Area(lat_e7=LAT, lon_e7=LON, radius_mm=501)  # distances are rounded up
    assert author_inside(gps, edge, "x") is None
    assert said(author_inside(gps, replace(edge, radius_mm=500), "place")) == (
        Reason.SPATIAL_UNDECIDED, "place", "1 mm from the centre, known to 500 mm", "<= 500 mm at the farthest",
    )  # fmt: skip
    surveyed = replace(gps, position_source=PositionSource.SURVEYED)
    assert author_inside(surveyed, replace(edge, radius_mm=2), "x") is None


@pytest.mark.attack(39)
def test_an_interval_narrower_than_its_source_is_widened_on_both_sides() -> None:
    for width_ns, before_ns, after_ns in ((0, 1000, 1000), (9, 995, 996), (2000, 0, 0), (2001, 0, 0)):
        here = replace(HERE, earliest_ns=T0, latest_ns=T0 + width_ns, time_source=TimeSource.CHRONY)
        assert _clock_of(here) == TimeFix(
            earliest_ns=T0 - before_ns, latest_ns=T0 + width_ns + after_ns, source=TimeSource.CHRONY, trusted=True
        )


@pytest.mark.attack(37)
def test_a_desk_may_know_less_and_a_node_may_not(world: World) -> None:
    """The desk's terms are for an authority that is no node, in what anyone may carry."""
    desk = bodies.DeskTerms(
        time_sources=(TimeSource.KERNEL,), position_sources=(PositionSource.SIMULATED,), time_bound_ns_max=NS,
        position_radius_mm_max=10**6,
    )  # fmt: skip
    rule = RuleInForce(hash=bytes(32), rule=replace(RULE, desk=desk))
    here = replace(HERE, time_source=TimeSource.KERNEL, earliest_ns=T0, latest_ns=T0 + 100_000)
    word = bodies.Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=b"\x00")
    node = replace(world.authority, transport_key=bytes(32))
    untrusted = (Reason.TIME_UNTRUSTED, "confidence.9.source", "kernel", "simulated")
    for author, in_force, expected in (
        (world.authority, rule, None), (node, rule, untrusted), (world.authority, replace(rule, rule=RULE), untrusted),
    ):  # fmt: skip
        assert said(timeless(Admitted(record=made(word, here), author=author), in_force)) == expected
    grant_like = Admitted(record=made(world.asked(), here), author=replace(world.authority, transport_key=None))
    found = said(timeless(grant_like, rule))
    assert found == untrusted, "a REQUEST comes from a node alone"


# -- (10) --------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(13)
def test_nothing_is_from_the_future_and_nothing_is_older_than_the_rule_says(world: World) -> None:
    record = made(world.asked(), replace(HERE, earliest_ns=T0, latest_ns=T0 + 10))
    ahead = (Reason.NOT_YET, "confidence.10", f"signed at {T0} ns", f"<= {T0 - 1} ns")
    assert _ahead(record, instant(T0)) is None
    assert said(_ahead(record, instant(T0 - 1))) == said(_age(record, RULE, instant(T0 - 1))) == ahead
    assert _age(record, RULE, instant(T0)) is None
    assert _age(record, RULE, instant(T0 + 10 + 5 * NS)) is None
    assert said(_age(record, RULE, instant(T0 + 11 + 5 * NS))) == (
        Reason.STALE, "confidence.10", "5000000001 ns old", "<= 5000000000 ns")  # fmt: skip
    lost = replace(instant(T0), trusted=False, status="no fix")
    assert said(_age(record, RULE, lost)) == (Reason.TIME_UNTRUSTED, "confidence.10", "no fix", "a trusted clock")


@pytest.mark.attack(13)
def test_a_decision_counts_however_late_and_an_envelope_as_long_as_it_says() -> None:
    confirm = bodies.Confirm(
        sid=bytes(32), grant=bytes(32), accept=bytes(32), transmit_until_ns=T0 + NS, fence=1
    )  # fmt: skip
    assert _age(made(confirm), RULE, instant(T0 + 10**6 * NS)) is None
    envelope = bodies.Envelope(
        kind="unit", observed=Window(start_ns=T0, end_ns=T0), valid_until_ns=T0 + 60 * NS, level_ppm=1_000_000,
        looks=0, channels=(), incumbents=(), max_eirp_mdbm=1, modality="profile", width_hz_max=1,
    )  # fmt: skip
    assert _age(made(envelope), RULE, instant(T0 + 60 * NS - 1)) is None
    assert said(_age(made(envelope), RULE, instant(T0 + 60 * NS))) == (
        Reason.STALE, "confidence.10.valid", f"at {T0 + 60 * NS} ns", f"before {T0 + 60 * NS} ns")  # fmt: skip


@pytest.mark.attack(13)
def test_a_record_is_signed_while_its_author_and_its_rule_were_surely_in_force(world: World) -> None:
    """Credentials of the test hold for an hour round T0, its rule for ten seconds."""
    alice, body, end_ns = held_subject(world, "alice"), world.asked(), T0 + 10 * NS
    rule = replace(context(world).rule, rule=replace(RULE, effective=Window(start_ns=T0, end_ns=end_ns)))

    def judged_at(earliest_ns: int, latest_ns: int) -> Said:
        record = made(body, replace(HERE, earliest_ns=earliest_ns, latest_ns=latest_ns))
        return said(timeless(Admitted(record=record, author=alice), rule))

    clause = "disposition.11.effective"
    assert judged_at(T0, T0 + 1000) is None
    assert judged_at(end_ns - 1000, end_ns - 1) is None
    assert judged_at(T0 - 1, T0 + 9) == (
        Reason.TIME_UNDECIDED, clause, f"[{T0 - 1}, {T0 + 9}] ns", f"wholly inside [{T0}, {end_ns}) ns")  # fmt: skip
    assert judged_at(T0 - 9, T0 - 1) == (
        Reason.NOT_YET, clause, f"[{T0 - 9}, {T0 - 1}] ns", f">= {T0} ns")  # fmt: skip
    assert judged_at(end_ns - 1, end_ns) == (
        Reason.TIME_UNDECIDED, clause, f"[{end_ns - 1}, {end_ns}] ns", f"wholly inside [{T0}, {end_ns}) ns",
    )  # fmt: skip
    assert judged_at(end_ns, end_ns) == (Reason.EXPIRED, clause, f"[{end_ns}, {end_ns}] ns", f"< {end_ns} ns")
    over = replace(alice, expires_ns=T0 + 5)
    late = made(body, replace(HERE, earliest_ns=T0 + 5, latest_ns=T0 + 6))
    assert said(timeless(Admitted(record=late, author=over), rule)) == (
        Reason.EXPIRED,
        "credential.validity",
        f"[{T0 + 5}, {T0 + 6}] ns",
        f"< {T0 + 5} ns",
    )


# -- (1) to (3) --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(9)
def test_a_record_of_nobody_or_by_another_key_is_told_with_both_names(world: World) -> None:
    registry, alice, bob = world.registry(), world.members["alice"], world.members["bob"]
    asked = world.asked()
    stranger = sign_record(alice.key, replace(world.frame(), author=b"\x07" * 32), asked)
    assert said(prove(stranger, registry)) == (
        Reason.UNKNOWN_AUTHOR, "integrity.2", (b"\x07" * 32).hex(), "an admitted credential")  # fmt: skip
    nobody = sign_record(alice.key, replace(world.frame(), author=None), asked)
    assert said(prove(nobody, registry)) == (
        Reason.UNKNOWN_AUTHOR, "integrity.2", "none", "an admitted credential")  # fmt: skip
    other = sign_record(bob.key, world.frame(), asked)
    assert said(prove(other, registry)) == (
        Reason.KEY, "integrity.3", bob.key.kid.hex(), alice.key.kid.hex())  # fmt: skip
    turned = bodies.Rotation(successor=b"\x01", proof=bytes(64))
    assert said(prove(sign_record(bob.key, world.frame(), turned), registry)) == (
        Reason.ROTATION, "integrity.3", bob.key.kid.hex(), alice.key.kid.hex())  # fmt: skip
    forged = sign_record(replace(bob.key, kid=alice.key.kid), world.frame(), turned)
    assert said(prove(forged, registry)) == (
        Reason.ROTATION, "integrity.3", "not signed by the old key", alice.key.kid.hex())  # fmt: skip
    elsewhere = sign_record(alice.key, world.frame(network="other"), turned)
    found = prove(elsewhere, registry)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.DOMAIN, "only what its key did not sign is a rotation by another"
    assert said(prove(b"\x00", registry)) == (
        Reason.MALFORMED, "cose.structure", "00", "d284: tag 18, array of 4")  # fmt: skip
    good = sign_record(alice.key, world.frame(), asked)
    for held in (True, False):
        assert isinstance(prove(good, registry, verify=lambda *_: held), Admitted) is held  # noqa: B023
    credential = said(prove(world.chains["bob"][1], registry))
    assert credential == (Reason.TYPE, "integrity.1", "credential", "credentials enter through the registry")


def test_bytes_are_a_proven_record_or_none_and_credentials_are_proven_too(world: World) -> None:
    registry = world.registry()
    asked = sign_record(world.members["alice"].key, world.frame(), world.asked())
    found = proven(asked, registry)
    assert found is not None
    assert found.raw == asked
    for raw in (b"\x00", sign_record(world.members["bob"].key, world.frame(), found.body)):
        assert proven(raw, registry) is None
    for raw in world.chains["alice"]:
        credential = proven(raw, registry)
        assert credential is not None
        assert (credential.typ, credential.raw) == ("credential", raw)
    spoiled = bytearray(world.chains["alice"][1])
    spoiled[-1] ^= 1
    assert proven(bytes(spoiled), registry) is None


# -- (4), (5), (11), (12): through the public entry --------------------------------------------------------------------


class NoHistory:
    """Nothing was seen before."""

    def seen(self, subject: bytes) -> bool:
        return False

    def author_record(self, author: bytes, seq: int) -> bytes | None:
        return None


class Before(NoHistory):
    """Everything was; or only another record with that number."""

    def __init__(self, subject: bytes | None, other: tuple[bytes, int, bytes] | None = None) -> None:
        self.subject, self.other = subject, other

    def seen(self, subject: bytes) -> bool:
        return subject == self.subject

    def author_record(self, author: bytes, seq: int) -> bytes | None:
        return self.other[2] if self.other is not None and (author, seq) == self.other[:2] else None


def context(world: World, **changes: Any) -> Context:
    registry = world.registry()
    rule = verify_rule(world.rule_raw, (world.root,), registry)
    assert isinstance(rule, RuleInForce)
    return replace(Context(registry=registry, rule=rule, history=NoHistory()), **changes)


def judged(world: World, raw: bytes, held: Context, at_s: float = 1.0, **how: Any) -> Said:
    how = {"transport_key": world.transport("alice"), **how}
    return said(admit(raw, held, now=fix(at_s).time, **how))


@pytest.mark.attack(17)
def test_a_nodes_own_records_come_over_its_own_key_and_an_authoritys_over_any(world: World) -> None:
    raw, held = sign_record(world.members["alice"].key, world.frame(), world.asked()), context(world)
    assert judged(world, raw, held) is None
    assert judged(world, raw, held, transport_key=None) is None
    assert judged(world, raw, held, at_s=6.5) == (
        Reason.STALE, "confidence.10", "5499998000 ns old", "<= 5000000000 ns")  # fmt: skip
    assert judged(world, raw, held, transport_key=world.transport("bob")) == (
        Reason.TRANSPORT_BINDING, "integrity.4", "sent over another node's key", "alice")  # fmt: skip
    word = world.by_authority(bodies.Revocation(version=1, fresh_until_ns=T0 + 100 * NS, bits=b"\x00"), 1.0)
    assert judged(world, word, held, transport_key=world.transport("bob")) is None
    assert judged(world, word, held, at_s=900.0) is None, "and however old it is"
    assert judged(world, word, held, at_s=0.9) is not None


@pytest.mark.attack(16)
def test_a_record_seen_before_or_with_a_number_that_is_taken_is_told_with_both(world: World) -> None:
    alice, body = world.members["alice"], world.asked()
    record = make_record(alice.key, world.frame(), body)
    name, other = record.digest, b"\x05" * 32
    again = context(world, history=Before(name))
    assert judged(world, record.raw, again) == (
        Reason.REPLAY, "disposition.12", name.hex(), "a record not seen before")  # fmt: skip
    assert judged(world, record.raw, again, allow_seen=True) is None
    taken = context(world, history=Before(None, (alice.hash, record.frame.seq, other)))
    assert judged(world, record.raw, taken) == (
        Reason.EQUIVOCATION, "disposition.12.seq", name.hex(), other.hex())  # fmt: skip
    assert judged(world, record.raw, context(world, history=Before(None, (alice.hash, 1, other)))) is None


def test_a_rule_that_is_not_in_force_is_told_with_the_one_that_is(world: World) -> None:
    holder = world.members["holder"]
    (offer,) = holder.party.holder.offers.values()
    strange = sign_record(holder.key, world.frame("holder"), replace(offer, rule=b"\x03" * 32))
    held = context(world)
    assert judged(world, strange, held, transport_key=None) == (
        Reason.RULE_UNKNOWN, "disposition.11", (b"\x03" * 32).hex(), held.rule.hash.hex())  # fmt: skip
    at: list[tuple[int, int]] = []

    def rule_at(earliest_ns: int, latest_ns: int) -> RuleInForce:
        at.append((earliest_ns, latest_ns))
        return replace(held.rule, hash=b"\x03" * 32)

    assert judged(world, strange, replace(held, rule_at=rule_at), transport_key=None) is None
    signed = fix(1.0).time
    assert at == [(signed.earliest_ns, signed.latest_ns)]
    assert judged(world, strange, replace(held, rule_at=lambda _e, _l: None), transport_key=None) is not None


@pytest.mark.attack(50)
def test_a_complaint_may_name_a_rule_of_before_and_none_that_never_was(world: World) -> None:
    alice, old = world.members["alice"], b"\x04" * 32
    body = bodies.Dispute(
        sid=bytes(32), confirm=bytes(32), rule=old, against=world.members["holder"].hash, grounds="interference",
        claim=7, evidence=(),
    )  # fmt: skip
    raw = sign_record(alice.key, world.frame(), body)
    assert judged(world, raw, context(world)) == (
        Reason.RULE_UNKNOWN, "disposition.11.cited", old.hex(), "a version once in force here")  # fmt: skip
    assert judged(world, raw, context(world, was_rule=lambda name: name == old)) is None
    now = sign_record(alice.key, world.frame(), replace(body, rule=context(world).rule.hash))
    assert judged(world, now, context(world)) is None


@pytest.mark.attack(18)
def test_a_succeeded_credential_speaks_only_of_what_it_decided_before(world: World) -> None:
    held, holder = context(world), world.members["holder"]
    subject = held.registry.get(holder.hash)
    assert isinstance(subject, Subject)
    (offer,) = holder.party.holder.offers.values()
    offered_again = sign_record(holder.key, world.frame("holder"), offer)
    decided = bodies.Confirm(sid=bytes(32), grant=bytes(32), accept=bytes(32), transmit_until_ns=T0 + NS, fence=1)
    confirm = sign_record(holder.key, world.frame("holder"), decided)
    assert judged(world, offered_again, held, transport_key=None) is None
    held.registry.rotate(subject, replace(subject, hash=b"\x09" * 32))
    assert judged(world, offered_again, held, transport_key=None) == (
        Reason.ROTATION, "capability.5", "holder", "the successor's key")  # fmt: skip
    assert judged(world, confirm, held, transport_key=None) is None


@pytest.mark.attack(19)
@pytest.mark.attack(20)
def test_a_credential_stands_while_a_fresh_list_of_its_issuer_says_nothing_against_it(tmp_path: Path) -> None:
    world = trio(tmp_path, status_index={"alice": 3})
    soon = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0 + 3 * NS, end_ns=T0 + 9 * NS))
    body = bodies.Request(
        declaration=bytes(32), cell=soon,
        commodity="cbrs", tier=2, eirp_mdbm=20_000, price=7, nonce=bytes(16), partial=0,
    )  # fmt: skip
    raw = {name: sign_record(world.members[name].key, world.frame(name), body) for name in ("alice", "bob")}

    def verdict(name: str, word: bodies.Revocation | None, *, check: bool = False) -> Said:
        status = StatusLists()
        if word is not None:
            status.take(world.authority, bytes(32), word)
        held = context(world, status=status)
        if check:
            levels = (RULE.levels[0], replace(RULE.levels[1], response="obey after check"))
            held = replace(held, rule=replace(held.rule, rule=replace(RULE, levels=levels)))
        return judged(world, raw[name], held, transport_key=world.transport(name))

    until_ns = fix(1.0).time.latest_ns
    fresh = bodies.Revocation(version=4, fresh_until_ns=until_ns + 1, bits=b"\x00")
    assert verdict("alice", None) == (
        Reason.STATUS_UNKNOWN, "status.list", "none held", "the list of alice's issuer")  # fmt: skip
    assert verdict("alice", fresh) is None
    assert verdict("alice", replace(fresh, bits=b"\x08")) == (
        Reason.REVOKED, "status.revoked", "alice", "not revoked in list 4")  # fmt: skip
    assert verdict("alice", replace(fresh, fresh_until_ns=until_ns)) == (
        Reason.STATUS_UNKNOWN, "status.stale", f"{until_ns} ns", f"< {until_ns}")  # fmt: skip
    assert verdict("bob", None) is None
    assert verdict("alice", fresh, check=True) is None
    assert verdict("bob", fresh, check=True) == (
        Reason.STATUS_UNKNOWN, "capability.5.check", "bob has no status index", "one")  # fmt: skip


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(38)
def test_who_stands_outside_is_told_of_which_area(world: World) -> None:
    """An ACCEPT and an envelope inside the credential's area, a declaration of work inside the cell that it names."""
    alice = held_subject(world, "alice")
    rule = context(world).rule
    north = replace(HERE, lat_e7=LAT + 2_000_000)
    envelope = bodies.Envelope(
        kind="unit", observed=Window(start_ns=T0, end_ns=T0), valid_until_ns=T0 + 60 * NS, level_ppm=1_000_000,
        looks=0, channels=(), incumbents=(), max_eirp_mdbm=1, modality="profile", width_hz_max=1,
    )  # fmt: skip
    found = said(timeless(Admitted(record=made(envelope, north), author=alice), rule))
    assert found is not None
    assert found[:2] == (Reason.SPATIAL_OUTSIDE, "capability.8.place")
    small = Cell(band=LOWER, area=Area(lat_e7=LAT + 500_000, lon_e7=LON, radius_mm=1_000_000),
                 window=Window(start_ns=T0 + 3 * NS, end_ns=T0 + 9 * NS))  # fmt: skip
    asked = made(replace(world.asked(), cell=small))
    found = said(timeless(Admitted(record=asked, author=alice), rule))
    assert found is not None
    assert found[:2] == (Reason.SPATIAL_OUTSIDE, "disposition.place")


def held_subject(world: World, name: str) -> Subject:
    subject = world.registry().get(world.members[name].hash)
    assert isinstance(subject, Subject)
    return subject


# -- (6) to (8), in words ----------------------------------------------------------------------------------------------

ODD = Band(low_hz=3_500_000_000, high_hz=3_500_000_001)
BEYOND: dict[str, tuple[dict[str, Any], Said]] = {
    "action": (
        {"actions": ("observe", "issue")}, (Reason.SCOPE, "capability.6", "observe, issue", "request"),
    ),
    "band": (
        {"bands": (ODD, replace(ODD, high_hz=3_501_000_000))},
        (Reason.SCOPE, "capability.8.band", "3550-3560 MHz", "3500-3500.000001 MHz, 3500-3501 MHz"),
    ),
    "area": (
        {"area": replace(AREA, radius_mm=19_999_999)},
        (Reason.SCOPE, "capability.8.area", PLACE, PLACE.replace("20000000", "19999999")),
    ),
    "class": ({"classes": ("x", "y")}, (Reason.SCOPE, "capability.8.class", "cbrs", "x, y")),
    "tier": ({"tier": 3}, (Reason.TIER, "capability.8.tier", "2", ">= 3")),
    "eirp": ({"max_eirp_mdbm": 19_500}, (Reason.POWER, "capability.8.eirp", "20 dBm", "<= 19.5 dBm")),
}  # fmt: skip


@pytest.mark.attack(14)
@pytest.mark.parametrize("axis", BEYOND)
def test_a_request_beyond_its_authors_scope_is_told_the_axis_and_both_figures(world: World, axis: str) -> None:
    changes, expected = BEYOND[axis]
    alice, record, rule = held_subject(world, "alice"), made(world.asked()), context(world).rule
    assert timeless(Admitted(record=record, author=alice), rule) is None
    edge = replace(alice, scope=scope(("request",), tier=2, max_eirp_mdbm=20_000))
    assert timeless(Admitted(record=record, author=edge), rule) is None
    narrowed = replace(alice, scope=replace(alice.scope, **changes))
    assert said(timeless(Admitted(record=record, author=narrowed), rule)) == expected


@pytest.mark.attack(14)
def test_an_offers_power_is_held_to_its_authors_scope_and_a_radios_own_is_not(world: World) -> None:
    """What is offered is a claim; what an envelope says that a radio could do is none."""
    world.offer()
    holder, rule = held_subject(world, "holder"), context(world).rule
    offer = made(next(iter(world.members["holder"].party.holder.offers.values())))
    assert timeless(Admitted(record=offer, author=holder), rule) is None
    weak = replace(holder, scope=replace(holder.scope, max_eirp_mdbm=29_500))
    assert said(timeless(Admitted(record=offer, author=weak), rule)) == (
        Reason.POWER, "capability.8.eirp", "30 dBm", "<= 29.5 dBm")  # fmt: skip
    unit = bodies.Envelope(
        kind="unit", observed=Window(start_ns=T0, end_ns=T0), valid_until_ns=T0 + 60 * NS, level_ppm=900_000,
        looks=0, channels=(), incumbents=(), max_eirp_mdbm=60_000, modality="profile", width_hz_max=1,
    )  # fmt: skip
    assert timeless(Admitted(record=made(unit), author=held_subject(world, "alice")), rule) is None


@pytest.mark.attack(14)
def test_that_an_author_may_speak_one_type_says_nothing_of_another(world: World) -> None:
    """What is known of it is known by author, type and rule."""
    world.offer()
    alice, rule = held_subject(world, "alice"), context(world).rule
    assert timeless(Admitted(record=made(world.asked()), author=alice), rule) is None
    offer = made(next(iter(world.members["holder"].party.holder.offers.values())))
    found = said(timeless(Admitted(record=offer, author=alice), rule))
    assert found is not None
    assert found[:2] == (Reason.SCOPE, "capability.6")


@pytest.mark.attack(64)
def test_a_level_that_makes_others_do_more_is_never_given_by_one_of_the_same_weight(world: World) -> None:
    alice, record, rule = held_subject(world, "alice"), made(world.asked()), context(world).rule
    soft, hard = (
        bodies.Level(name=name, response=response, weight_ppm=500_000, admits=tuple(bodies.BODIES))
        for name, response in (("soft", "consider"), ("hard", "obey"))
    )
    levels = replace(rule, rule=replace(rule.rule, levels=(soft, hard)))
    for given_by, given, held in (("hard", "soft", True), ("soft", "hard", False), ("soft", "soft", True)):
        author = replace(alice, level=given, levels=("root", given_by, given))
        found, again = (timeless(Admitted(record=record, author=author), levels) for _ in range(2))
        assert (found is None) is (again is None) is held, (given_by, given)
        if found is not None:
            assert (found.reason, found.clause, found.measured) == (Reason.SCOPE, "capability.7.level", given)


@pytest.mark.attack(14)
@pytest.mark.attack(64)
def test_a_level_that_may_not_speak_or_was_never_the_issuers_is_named(world: World) -> None:
    alice, record, rule = held_subject(world, "alice"), made(world.asked()), context(world).rule
    strange = replace(alice, level="guest")
    assert said(timeless(Admitted(record=record, author=strange), rule)) == (
        Reason.SCOPE, "capability.7", "guest", "a level that may speak request")  # fmt: skip
    silent = tuple(replace(one, admits=tuple(t for t in one.admits if t != "request")) for one in RULE.levels)
    assert said(timeless(Admitted(record=record, author=alice), replace(rule, rule=replace(RULE, levels=silent)))) == (
        Reason.SCOPE, "capability.7", "operator", "a level that may speak request")  # fmt: skip
    kept = (RULE.levels[0], replace(RULE.levels[1], response="record only"))
    assert said(timeless(Admitted(record=record, author=alice), replace(rule, rule=replace(RULE, levels=kept)))) == (
        Reason.SCOPE, "capability.7.response", "operator: record only", "a response that acts on a dealing",
    )  # fmt: skip
    for levels, expected in (
        (("authority", "operator", "authority"), (
            Reason.SCOPE, "capability.7.level", "authority", "no more than its issuer's, operator")),
        (("authority", "operator", "operator"), None), (("operator", "authority", "operator"), None),
        (("authority", "operator", "guest"), None), (("authority", "guest", "operator"), (
            Reason.SCOPE, "capability.7.level", "operator", "no more than its issuer's, guest")),
    ):  # fmt: skip
        below = replace(alice, levels=levels)
        assert said(timeless(Admitted(record=record, author=below), rule)) == expected, levels
    weigh = replace(RULE, levels=(*RULE.levels, replace(RULE.levels[1], name="light", weight_ppm=499_999)))
    for levels, held in ((("authority", "light", "operator"), False), (("authority", "operator", "light"), True)):
        found = timeless(Admitted(record=record, author=replace(alice, levels=levels)), replace(rule, rule=weigh))
        assert (found is None) is held, levels


def test_an_offer_beyond_the_prices_of_its_class_is_told_both(world: World) -> None:
    holder, rule = held_subject(world, "holder"), context(world).rule
    (offer,) = world.members["holder"].party.holder.offers.values()
    dear = Admitted(record=made(replace(offer, price=101)), author=holder)
    assert said(timeless(dear, rule)) == (Reason.PRICE, "disposition.13.price", "101", "0-100")
    assert timeless(replace(dear, record=made(replace(offer, price=100))), rule) is None
