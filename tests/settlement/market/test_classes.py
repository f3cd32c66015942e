"""Commodity classes as configuration: one in a TOML file alone is traded; one that contradicts itself is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from radio.permits import Permits
from settlement.chain import bodies, records
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.governing.classfile import contradiction, read_class
from settlement.governing.plainfile import RuleFileError
from settlement.pair.table import UserState
from settlement.records.authority import Admission
from settlement.state.messages import Message
from settlement.state.step import NotEntitledError
from tests.settlement.market.classed import (
    BACKHAUL,
    BYTES,
    LINK,
    STORAGE,
    ask,
    classed,
    enrolled,
    hand,
    offered,
    schema_raw,
    window,
)
from tests.settlement.world import AREA, LOWER, NS, T0

MB = 10**6


@pytest.mark.feature("M1", "A4")
def test_a_class_of_a_file_alone_is_offered_asked_for_and_settled(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice", "bob", "carol"))
    users = ("alice", "bob", "carol")
    name = offered(world, "holder", BYTES, "storage", users, currency="EUR")
    part = replace(BYTES, high_hz=50 * MB)
    states = [ask(world, user, name, part, 1.0 + n / 4)[0].state for n, user in enumerate(users)]
    assert states == [UserState.SETTLED, UserState.SETTLED, UserState.REFUSED]  # `users` is 2
    off, refusals = ask(world, "carol", name, Band(low_hz=0, high_hz=1_500_000, unit="byte"), 2.0)
    assert off.ended == "TERMS"
    assert refusals[0].clause == "terms.raster"
    long, refusals = ask(
        world, "carol", name, replace(part, low_hz=60 * MB, high_hz=70 * MB), 2.5, window=window(5, 301)
    )
    assert long.ended == "TERMS"
    assert refusals[0].clause in ("terms.window", "request.window")


@pytest.mark.feature("M1")
def test_what_is_not_frequencies_never_opens_a_gate_nor_stands_in_the_way_of_any(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, BACKHAUL), ("holder",), ("alice",))
    huge = Band(low_hz=LOWER.low_hz, high_hz=LOWER.high_hz, unit="bit/s")
    name = offered(world, "holder", replace(huge, low_hz=0), "backhaul", ("alice",), currency="EUR")
    held = world.members["holder"].party
    pair, _ = ask(world, "alice", name, replace(LINK, high_hz=10 * MB))
    assert pair.state == UserState.SETTLED
    artifact = world.members["alice"].party.lineage.get("artifact", pair.sid)
    assert artifact is not None
    permits = Permits(network="test-net", anchors=world.anchors)
    refused = permits.take(artifact)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.BAND
    assert refused.clause == "permits.unit"
    assert not held.holder.pairs[pair.sid].cell.band.overlaps(LOWER)
    assert not huge.overlaps(LOWER)
    assert not huge.holds(LOWER)


@pytest.mark.feature("M1")
def test_a_class_that_names_its_schema_is_traded_only_where_that_is_known_and_says_the_same(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",), told=False)
    offered(world, "holder", BYTES, "storage", ("alice",), currency="EUR")
    assert not world.members["alice"].party.user.offers  # RULE_UNKNOWN [class.schema]
    hand(world, "alice", world.schemas[0])  # type: ignore[attr-defined]
    world.carry(0.2)  # and alice passes it on
    name = offered(world, "holder", BYTES, "storage", ("alice",), currency="EUR", price=8)
    assert ask(world, "alice", name, replace(BYTES, high_hz=5 * MB))[0].state == UserState.SETTLED


@pytest.mark.feature("M1")
def test_a_schema_follows_the_one_before_and_goes_on_to_the_neighbours(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",))
    first = read_class(STORAGE)
    again = schema_raw(world, replace(first, users=1), 950)
    refused = hand(world, "holder", again)
    assert refused.reason is Reason.ROLLBACK
    assert refused.clause == "class.version"
    lost = hand(world, "holder", schema_raw(world, replace(first, version=2), 951))
    assert lost.reason is Reason.TERMS
    assert lost.clause == "class.previous"
    far = hand(world, "holder", schema_raw(world, replace(first, version=1 << 40), 952))
    assert far.reason is Reason.FAST_FORWARD
    self_wrong = hand(world, "holder", schema_raw(world, replace(first, version=2, low=7), 953))
    assert self_wrong.reason is Reason.TERMS
    assert self_wrong.clause == "class.low"


@pytest.mark.feature("M1")
@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('raster = 1_000_000', 'raster = 7', "high"),
        ("low = 0", "low = 2_000_000_000_000", "low"),
        ("max_window_ns = 300_000_000_000", "max_window_ns = 300_500_000_000", "max_window_ns"),
        ('unit = "byte"\nquantity', 'unit = "Hz"\nquantity', "users"),
        ('currency = "EUR"', "", "currency"),
        ('quantity = "blocks"', 'quantity = "lumps"', "quantity"),
        ('price_forms = ["fixed"]', 'price_forms = ["fixed", "fixed"]', "price_forms"),
        ('price_forms = ["fixed"]', 'price_forms = ["guessed"]', "price_forms"),
        ("users = 2", 'users = 2\nenvelope = ["occupancy"]', "envelope"),
        ("users = 2", 'users = 2\nplace = "link"', "corridor_mm"),
        ("users = 2", "users = 2\ncorridor_mm = 5", "corridor_mm"),
        ('recognition = ["handshake"]', 'recognition = ["nod"]', "recognition"),
        ('name = "quantity"\nunit = "byte"', 'name = "quantity"\nunit = "bit"', "axes"),
        ("users = 2", "users = 0", "users"),
        ("users = 2", "guests = 2", "guests"),
        ('unit = "byte"\nquantity', "quantity", "unit"),
        ("2040-01-01", "2020-01-01", "effective"),
    ],
)  # fmt: skip
def test_a_class_file_that_contradicts_itself_is_refused_naming_the_key(old: str, new: str, key: str) -> None:
    assert old in STORAGE
    with pytest.raises(RuleFileError) as wrong:
        read_class(STORAGE.replace(old, new))
    assert str(wrong.value).startswith(key), wrong.value


@pytest.mark.feature("M1", "M4")
@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[licence]\nuse = ["any"]\nkeep_ns = 5\naggregate = "none"\nredistribute = "public"', "licence.redistribute"),
        ('[licence]\nuse = ["war"]\nkeep_ns = 5\naggregate = "none"\nredistribute = "none"', "licence.use"),
        (
            (
                '[licence]\nuse = ["any"]\nkeep_ns = 5\naggregate = "none"\nredistribute = "none"\n[[retention]]\n'
                'what = "recordings"\nkeep_ns = 6'
            ),
            "retention[0].keep_ns",
        ),
        ('[[retention]]\nwhat = "secrets"\nkeep_ns = 6', "retention[0].what"),
        ('[[fallbacks]]\nscope = "any"\nnotice_ns = 301_000_000_000\nowed_ppm = 0', "fallbacks[0].notice_ns"),
    ],
)
def test_licence_retention_and_fallbacks_agree_with_the_rest_of_a_class(more: str, key: str) -> None:
    with pytest.raises(RuleFileError) as wrong:
        read_class(STORAGE + more)
    assert str(wrong.value).startswith(key), wrong.value


@pytest.mark.feature("M1", "A4")
def test_a_rule_that_says_more_than_the_schema_it_names_is_refused_with_the_key(tmp_path: Path) -> None:
    world = classed(tmp_path, STORAGE)
    schema = read_class(STORAGE)
    party = enrolled(world, ("holder",), ()).members["holder"].party
    terms, effective = party.rule.rule.terms("storage"), party.rule.rule.effective
    assert terms is not None
    assert contradiction(terms, schema, effective) is None
    for key, value in (
        ("users", 3), ("raster_hz", 1), ("time_unit_ns", 1), ("max_window_ns", 10**12), ("unit", None),
        ("currency", "USD"), ("price_forms", ("fixed", "auction")), ("price_forms", None),
    ):  # fmt: skip
        wrong = contradiction(replace(terms, **{key: value}), schema, effective)
        assert wrong is not None
        assert wrong.clause == f"classes.storage.{key}"
        assert wrong.measured
        assert wrong.required


@pytest.mark.feature("M1")
@pytest.mark.feature("M3")
def test_a_price_in_another_currency_is_refused(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",))
    party = world.members["holder"].party
    before = len(party.user.offers)
    with pytest.raises(NotEntitledError, match="currency") as told:
        offered(world, "holder", BYTES, "storage", ("alice",), currency="USD")
    assert told.value.refusal.reason is Reason.PRICE
    assert len(world.members["alice"].party.user.offers) == before


@pytest.mark.feature("M1")
@pytest.mark.feature("M3")
def test_whoever_hears_a_price_in_another_currency_refuses_it(tmp_path: Path) -> None:
    """A holder that signs what its own node would not."""
    world = enrolled(classed(tmp_path, STORAGE), ("holder",), ("alice",))
    party = world.members["holder"].party
    body = bodies.Declaration(
        cell=Cell(band=BYTES, area=AREA, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
        commodity="storage",
        tier_low=2,
        tier_high=3,
        max_eirp_mdbm=30_000,
        price_form="fixed",
        price=7,
        currency="USD",
        rule=party.rule.hash,
    )
    raw = records.sign_record(world.members["holder"].key, world.frame("holder"), body)
    refusal = world.give("holder", "alice", Message(record=raw).encoded(), 1.0)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.PRICE, "disposition.13.currency")
    assert (refusal.measured, refusal.required) == ("USD", "EUR")
    assert world.members["alice"].party.user.offers == {}


# -- admission ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature("M2")
def test_where_the_rule_asks_nobody_takes_part_without_an_admission(tmp_path: Path) -> None:
    world = enrolled(classed(tmp_path, STORAGE, admission=1), ("holder",), ("alice",))
    rule = world.members["holder"].party.rule.hash

    def admit(who: str, at_s: float, **changes: object) -> bytes:
        body = Admission(
            subject=world.members[who].hash, outcome=1, classes=("storage",), window=window(-60, 600), rule=rule
        )
        return world.by_authority(replace(body, **changes), at_s)  # type: ignore[arg-type]

    offered(world, "holder", BYTES, "storage", ("alice",), currency="EUR")
    assert not world.members["alice"].party.user.offers
    for name in world.members:
        assert hand(world, name, admit("holder", -5), 0.2) is None
    name = offered(world, "holder", BYTES, "storage", ("alice",), currency="EUR", price=8)
    part = replace(BYTES, high_hz=5 * MB)
    pair, refusals = ask(world, "alice", name, part)
    assert pair.state == UserState.REFUSED
    assert refusals[0].clause == "admission.absent"
    assert hand(world, "holder", admit("alice", -4, classes=("cbrs",)), 1.2) is None
    pair, refusals = ask(world, "alice", name, part, 1.5)
    assert pair.state == UserState.REFUSED
    assert refusals[0].clause == "admission.classes"
    assert hand(world, "holder", admit("alice", -3), 1.7) is None
    assert ask(world, "alice", name, part, 2.0)[0].state == UserState.SETTLED
    no = admit("alice", 2.1, outcome=0, reason="licence lapsed")
    assert hand(world, "holder", no, 2.3) is None
    pair, refusals = ask(world, "alice", name, replace(part, low_hz=6 * MB, high_hz=7 * MB), 2.5)
    assert pair.state == UserState.REFUSED
    assert refusals[0].measured == "licence lapsed"
    old = hand(world, "holder", admit("alice", 2.0), 2.6)
    assert old.reason is Reason.ROLLBACK
