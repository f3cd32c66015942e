"""Reports of an incumbent that the rule has a node consider: what they weigh together decides, in the running node."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain import bodies
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Modality
from settlement.chain.credentials import Subject
from settlement.chain.records import make_record, sign_record
from settlement.chain.scope import Area, Band
from settlement.chain.weights import Kept, trust_ppm
from settlement.records.conduct import incumbents
from settlement.records.conduct.incumbents import ENOUGH_PPM, Sighting, _sightings, weight_of_incumbent_ppm
from settlement.state.messages import Message
from tests.settlement.world import HOLDER_ACTIONS, LAT, LON, LOWER, NS, RULE, T0, UPPER, USER_ACTIONS, World, fix

NAMES = ("alice", "bob", "carol", "dave", "erin")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.enrol(holder=HOLDER_ACTIONS, **dict.fromkeys(NAMES, USER_ACTIONS))
    world.offer()
    world.carry(0.1)
    world.request("alice", 0.5, LOWER, 2.0, 12.0)
    assert world.carry(0.5) == []
    return world


def seen(state: str = "busy", incumbents: tuple[str, ...] = ("radar",), until_s: float = 9.0) -> Envelope:
    return Envelope(
        kind="place",
        observed=bodies.Window(start_ns=T0, end_ns=T0 + NS),
        valid_until_ns=T0 + round(until_s * NS),
        level_ppm=950_000,
        looks=50,
        channels=(ChannelObservation(band=LOWER, state=state, floor_unit="dBm/Hz", flags=()),),
        incumbents=incumbents,
        modality="energy",
    )


def say(world: World, name: str, body: Envelope, at_s: float = 1.0, seq: int = 700) -> None:
    raw = sign_record(world.members[name].key, world.frame(name, seq=seq, at=fix(at_s)), body)
    assert world.give(name, "holder", Message(record=raw).encoded(), at_s) is None


def live(world: World) -> bool:
    """Does the settlement of the reported band still stand?"""
    pairs = world.members["holder"].party.holder.pairs.values()
    return any(pair.live for pair in pairs if pair.cell.band == LOWER)


def fulfilled(world: World, name: str, times: int) -> None:
    """Settlements that the holder saw through with them, in the other half of the band."""
    user = world.members[name].party.user
    for number in range(times):
        start_s = 20.0 + 3 * number + 40 * NAMES.index(name)
        sid = world.request(name, 0.6, UPPER, start_s, start_s + 1.0)
        assert world.carry(0.6) == []
        world.do(name, 0.6, lambda step, sid=sid: user.report_usage(step, sid, used=None, airtime_ns=1, bursts=1))  # type: ignore[misc]
        assert world.carry(0.6) == []


@pytest.mark.feature("E6")
@pytest.mark.feature("G10")
def test_newcomers_must_be_many_and_those_with_a_record_few(world: World) -> None:
    for count, name in enumerate(NAMES[1:4], 1):
        say(world, name, seen())
        assert live(world), f"{count} newcomers weigh too little"
    say(world, "erin", seen())
    assert not live(world)
    assert [n.fields["by"] for n in world.members["holder"].notices if n.name == "protected"] == ["neighbours"]


@pytest.mark.feature("G10")
def test_two_with_a_record_of_fulfilment_are_enough(world: World) -> None:
    for name in ("bob", "carol"):
        fulfilled(world, name, 4)
    say(world, "bob", seen())
    assert world.members["holder"].party.holder.blocked == {}
    say(world, "carol", seen())
    assert list(world.members["holder"].party.holder.blocked) == [LOWER]


@pytest.mark.attack(56)
def test_one_against_all_others_weighs_nothing(world: World) -> None:
    fulfilled(world, "bob", 4)
    for name in ("carol", "dave", "erin"):
        say(world, name, seen("free", ()))
    say(world, "bob", seen())
    assert live(world)
    held = [Sighting(level="operator", kept=Kept(fulfilled=90), envelope=seen())]
    others = [Sighting(level="operator", kept=Kept(), envelope=seen("free", ())) for _ in range(3)]
    assert weight_of_incumbent_ppm(RULE, held, LOWER) > ENOUGH_PPM * 9 // 10
    assert weight_of_incumbent_ppm(RULE, [*held, *others], LOWER) == 0


def test_a_report_that_is_over_counts_no_more_and_one_author_counts_once(world: World) -> None:
    for seq in range(4):
        say(world, "bob", seen(), seq=700 + seq)
    assert live(world), "who says it four times is still one"
    for name in ("carol", "dave"):
        say(world, name, seen(until_s=1.5))
    say(world, "erin", seen(), at_s=2.0)
    assert live(world), "two of the four reports are over"


def test_what_was_said_survives_a_restart(world: World) -> None:
    for name in ("bob", "carol", "dave"):
        say(world, name, seen())
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    say(world, "erin", seen())
    assert not live(world)


def test_authority_modality_consistency_and_trust_multiply() -> None:
    rated = replace(RULE, modalities=(Modality(name="energy", reliability_ppm=PPM // 2),))
    veteran = Sighting(level="operator", kept=Kept(fulfilled=4), envelope=seen())
    plain = weight_of_incumbent_ppm(RULE, [veteran], LOWER)
    assert plain == PPM // 2 * trust_ppm(Kept(fulfilled=4)) // PPM
    assert weight_of_incumbent_ppm(rated, [veteran], LOWER) == plain // 2
    assert weight_of_incumbent_ppm(RULE, [veteran], UPPER) == 0
    unrated = replace(veteran, envelope=replace(seen(), modality="rumour"))
    assert weight_of_incumbent_ppm(rated, [unrated], LOWER) == 0
    assert [trust_ppm(k) for k in (Kept(), Kept(fulfilled=4), Kept(failed=2), Kept(fulfilled=4, failed=2))] == [
        250_000,
        625_000,
        125_000,
        416_666,
    ]


@pytest.mark.attack(64)
def test_reporters_of_another_place_weigh_nothing_here(tmp_path: Path) -> None:
    """Five credentials for a kilometre 200 km away, as many as would be enough here."""
    there = Area(lat_e7=LAT + 18_000_000, lon_e7=LON, radius_mm=1_000_000)
    world = World(tmp_path)
    world.enrol(holder=HOLDER_ACTIONS, alice=USER_ACTIONS)
    world.offer()
    world.carry(0.1)
    party = world.members["holder"].party
    body = replace(seen(), kind="place")
    weighed: list[str] = []
    for name in NAMES:
        subject = replace(party.registry.subjects()[-1], name=name, hash=name.encode() * 8, scope=replace(
            party.registry.subjects()[-1].scope, area=there))  # fmt: skip
        weighed += [s.level for s in weighing_of(world, subject, body)]
    assert weighed == []
    near = party.registry.subjects()[-1]
    assert [s.level for s in weighing_of(world, near, body)] == ["operator"]


def weighing_of(world: World, subject: Subject, body: Envelope) -> list[Sighting]:
    """What is weighed of one reporter's envelope, were it the only one."""
    party = world.members["holder"].party
    record = make_record(world.members["alice"].key, world.frame("alice", seq=700, at=fix(1.0)), body)

    class State:
        lineage = type(
            "Log", (), {"items": lambda self, kind: [(subject.hash, record.digest)], "counted": lambda *_: 0}
        )()
        identity = party.identity

        class registry:  # noqa: N801
            get = staticmethod(lambda one: subject if one == subject.hash else party.registry.get(one))
            successor = staticmethod(lambda _: None)
            line = staticmethod(lambda one: (one,))

        record_of = staticmethod(lambda _: record)

    state: Any = State()
    return list(_sightings(state, fix(1.0).time))


BANDS = st.builds(
    lambda low, wide, unit: Band(low_hz=low, high_hz=low + wide, unit=unit),
    st.integers(0, 12),
    st.integers(1, 4),
    st.sampled_from([None, None, "bit/s"]),
)


@given(st.lists(st.tuples(BANDS, st.sampled_from(["busy", "free"])), max_size=8), BANDS)
def test_what_a_reporter_says_of_a_band_is_what_its_channels_in_it_say(
    told: list[tuple[Band, str]], band: Band
) -> None:
    channels = tuple(ChannelObservation(band=one, state=s, floor_unit="", flags=()) for one, s in told)
    sighting = Sighting(level="operator", kept=Kept(), envelope=replace(seen(), channels=channels))
    states = [state for one, state in told if one.overlaps(band)]
    assert sighting.incumbent_in(band) == (any(state != "free" for state in states) if states else None)


@pytest.mark.attack(58)
def test_what_one_envelope_has_weighed_grows_by_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 channels, each weighed with 64 reporters of 256 channels: 357 ms, and 33 now."""
    bands = [Band(low_hz=n * 10, high_hz=n * 10 + 10) for n in range(256)]
    channels = tuple(ChannelObservation(band=one, state="busy", floor_unit="", flags=()) for one in bands)
    held = [Sighting(level="operator", kept=Kept(), envelope=replace(seen(), channels=channels)) for _ in range(64)]
    looked: list[object] = []
    overlaps, touch = Band.overlaps, incumbents._Bands.touch
    monkeypatch.setattr(Band, "overlaps", lambda self, other: looked.append(other) or overlaps(self, other))
    monkeypatch.setattr(incumbents._Bands, "touch", lambda self, band: looked.append(band) or touch(self, band))
    assert all(weight_of_incumbent_ppm(RULE, held, band) > 0 for band in bands)
    assert len(looked) <= 2 * len(bands) * len(held)
