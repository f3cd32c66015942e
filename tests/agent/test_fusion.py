"""Signed envelopes of several nodes fused, each counting by the rule's word on its author and its way of observing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.node.fusion import CONFLICT, AdmittedEnvelope, busy_to_most, fused_place, node_reports
from sensing.fusion import fuse
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Level, Modality, Quantity
from settlement.chain.scope import Band, Window
from settlement.chain.weights import consistencies_ppm, consistency_ppm
from tests.settlement.world import EVERYTHING, LOWER, NS, RULE, T0

GUEST = Level(name="guest", response="record only", weight_ppm=PPM, admits=EVERYTHING)
RATED = replace(RULE, levels=(*RULE.levels, GUEST), modalities=(Modality(name="energy", reliability_ppm=800_000),))
WINDOW = Window(start_ns=T0, end_ns=T0 + NS)


def seen(node: str, occupancy_ppm: int, *, level: str = "operator", modality: str = "energy") -> AdmittedEnvelope:
    value = Quantity(value=occupancy_ppm, low=occupancy_ppm - 40_000, high=occupancy_ppm + 40_000)
    channel = ChannelObservation(
        band=LOWER, state="busy" if occupancy_ppm > 500_000 else "free", occupancy_ppm=value, floor_unit="x", flags=()
    )
    body = Envelope(
        kind="place", observed=WINDOW, valid_until_ns=T0 + 9 * NS, level_ppm=950_000, looks=5, channels=(channel,),
        incumbents=(), modality=modality,
    )  # fmt: skip
    return AdmittedEnvelope(node=node, level=level, envelope=body)


OURS = [(LOWER.low_hz, LOWER.high_hz)]
HONEST = [seen(f"n{n}", 200_000 + n * 5_000) for n in range(3)]


@pytest.mark.feature("E7")
@pytest.mark.attack(56)
def test_weight_is_authority_times_reliability_times_consistency() -> None:
    reports = node_reports(RATED, [*HONEST, seen("liar", 900_000), seen("guest", 200_000, level="guest")], LOWER)
    weights = {r.node: r.authority for r in reports}
    assert weights == {"n0": 0.3, "n1": 0.3, "n2": 0.3, "liar": 0.0, "guest": 0.0}
    assert node_reports(RATED, [seen("a", 1, modality="rumour")], LOWER)[0].authority == 0.0


@pytest.mark.feature("E7")
def test_the_rule_decides_who_counts_in_the_fused_place() -> None:
    told = [*HONEST, seen("officer", 260_000, level="authority")]
    body = fused_place(RATED, told, observed=WINDOW, valid_until_ns=T0 + 5 * NS)
    (channel,) = body.channels
    assert channel.occupancy_ppm is not None
    assert (body.kind, channel.state, channel.flags) == ("place", "free", ())
    equal = replace(RATED, levels=tuple(replace(level, weight_ppm=500_000) for level in RATED.levels))
    (flatter,) = fused_place(equal, told, observed=WINDOW, valid_until_ns=T0 + 5 * NS).channels
    assert flatter.occupancy_ppm is not None
    assert channel.occupancy_ppm.value > flatter.occupancy_ppm.value, "the authority's word pulls further"
    assert body.valid_until_ns == T0 + 5 * NS


def test_a_lone_liar_does_not_decide_and_two_camps_conflict() -> None:
    (channel,) = fused_place(RATED, [*HONEST, seen("liar", 900_000)], observed=WINDOW, valid_until_ns=T0).channels
    assert channel.state == "free"
    assert channel.occupancy_ppm is not None
    assert channel.occupancy_ppm.high < 300_000
    camps = [seen("a", 100_000), seen("b", 110_000), seen("c", 900_000), seen("d", 890_000)]
    (torn,) = fused_place(RATED, camps, observed=WINDOW, valid_until_ns=T0).channels
    assert torn.flags == (CONFLICT,)


def test_nobody_of_weight_leaves_the_channel_unknown() -> None:
    (channel,) = fused_place(RATED, [seen("g", 1, level="guest")], observed=WINDOW, valid_until_ns=T0).channels
    assert (channel.state, channel.occupancy_ppm) == ("unknown", None)


@pytest.mark.feature("E7")
@pytest.mark.attack(56)
def test_what_most_take_for_busy_is_busy_and_no_lone_voice_makes_it_so() -> None:
    quiet = [seen(f"q{n}", 1_000 + n) for n in range(3)]
    quiet = [replace(s, envelope=replace(s.envelope, channels=tuple(map(_idle, s.envelope.channels)))) for s in quiet]
    loud = [seen(f"b{n}", 800_000 + n * 5_000) for n in range(3)]
    band = (LOWER.low_hz, LOWER.high_hz)
    assert busy_to_most(RATED, loud, OURS) == [band]
    assert busy_to_most(RATED, [quiet[0], *loud], OURS) == [band], "one that hears nothing is outvoted"
    assert busy_to_most(RATED, [*quiet, loud[0]], OURS) == [], "so is one that hears something"
    assert busy_to_most(RATED, [quiet[0], loud[0]], OURS) == [], "of two nobody is believed more"
    assert busy_to_most(RATED, [*quiet[:2], *loud[:2]], OURS) == []
    guests = [seen(f"g{n}", 800_000, level="guest") for n in range(5)]
    assert busy_to_most(RATED, [*quiet, *guests], OURS) == [], "who has no weight is no majority"


def _unknown(channel: ChannelObservation) -> ChannelObservation:
    return replace(channel, state="unknown", occupancy_ppm=None)


def _idle(channel: ChannelObservation) -> ChannelObservation:
    return replace(channel, occupancy_ppm=Quantity(value=0, low=0, high=20_000))


@pytest.mark.feature("E7")
@pytest.mark.attack(56, 65)
def test_a_band_that_one_liar_alone_speaks_of_is_busy_to_nobody_else() -> None:
    """A hertz beside the channel that all others hear free: a holder offered nothing in it any more."""
    quiet = [seen(f"q{n}", 1_000 + n) for n in range(4)]
    quiet = [replace(s, envelope=replace(s.envelope, channels=tuple(map(_idle, s.envelope.channels)))) for s in quiet]
    liar = seen("liar", 900_000)
    beside = replace(liar.envelope.channels[0], band=Band(low_hz=LOWER.low_hz, high_hz=LOWER.high_hz + 1))
    odd = replace(liar, envelope=replace(liar.envelope, channels=(beside,)))
    assert busy_to_most(RATED, [*quiet, odd], OURS) == []
    guests = [replace(odd, node=f"g{n}", level="guest") for n in range(4)]
    assert busy_to_most(RATED, [*quiet, odd, *guests], OURS) == [], "who has no weight makes it no majority"
    deaf = [
        replace(one, envelope=replace(one.envelope, channels=tuple(map(_unknown, one.envelope.channels))))
        for one in quiet
    ]
    assert busy_to_most(RATED, [*deaf, liar], OURS) == [], "nor where all others do not know"
    twice = [replace(odd, node=f"o{n}") for n in range(2)]
    assert busy_to_most(RATED, [*quiet, odd, *twice], OURS) == [], "nor of one that is no channel of this node's"


@pytest.mark.attack(58)
def test_what_many_say_of_many_bands_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight reporters of 256 bands each that nobody else knows held the holder's loop for 0.7 s at each offer."""
    fused: list[int] = []
    monkeypatch.setattr(
        "agent.node.fusion.fuse", lambda reports, **_: fused.append(len(reports)) or fuse(reports, level=0.95)
    )
    told = []
    for node in range(8):
        one = seen(f"n{node}", 900_000)
        bands = [Band(low_hz=n * 100 + node, high_hz=n * 100 + 50 + node) for n in range(256)]
        channels = tuple(replace(one.envelope.channels[0], band=band) for band in bands)
        told.append(replace(one, envelope=replace(one.envelope, channels=channels)))
    assert busy_to_most(RATED, told, OURS) == []
    assert fused == []


INTERVALS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=12)


@given(INTERVALS)
def test_the_consistency_of_each_is_the_share_of_the_others_that_touch_it(found: list[tuple[int, int]]) -> None:
    values = [(low, low + wide) for low, wide in found]
    others = [[one for n, one in enumerate(values) if n != number] for number in range(len(values))]
    assert consistencies_ppm(values) == [consistency_ppm(rest, own) for rest, own in zip(others, values, strict=True)]
