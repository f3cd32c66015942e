"""What a node says of its place and its radio, and when a holder looks again."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from agent.config.settings import OfferSection
from agent.node.envelopes import Enveloping
from agent.node.integers import INCUMBENT, place_envelope, sighting, unit_envelope
from agent.node.policy import AGAIN_NS, BACK_NS, MARGIN_NS, HolderPolicy, lent_bands, lent_spans
from agent.node.warden_side import Protection
from hw_profiles.calibration import Scale
from hw_profiles.loader import load_radio
from sensing.survey import Survey, SurveyReport, SurveySettings
from sensing.values import Channel
from settlement.chain import bodies
from settlement.chain.leaf import RECEIVED, admitted_leaf
from settlement.chain.records import Record, make_record
from settlement.chain.scope import Band, Window
from settlement.core.reasons import Reason
from settlement.pair.envelopes import ABLE, FREE
from settlement.state.messages import Message
from settlement.state.nodestate import SIGHTING
from settlement.state.step import Step
from tests.settlement.enveloped import channel, enveloped, place
from tests.settlement.world import LOWER, NS, T0, UPPER, fix

LOW, HIGH = (LOWER.low_hz, LOWER.high_hz), (UPPER.low_hz, UPPER.high_hz)
pytestmark = pytest.mark.feature("E5")


def quiet() -> SurveyReport:
    settings = SurveySettings(
        center_hz=UPPER.low_hz,
        sample_rate_hz=30_720_000,
        full_scale=2048,
        channels=tuple(Channel(low_hz=b.low_hz, high_hz=b.high_hz) for b in (LOWER, UPPER)),
        bandwidth_hz=20e6,
        radar=False,
        calibration=Scale(offset_db=-60.0, sd_db=0.5),
    )
    survey, rng = Survey(settings), np.random.default_rng(5)
    for number in range(3):
        iq = np.rint(rng.normal(0, 20, (61_440, 2))).astype(np.int16)
        survey.feed(iq, start_ns=number * 20_000_000)
    return survey.report(NS)


def said(**changes: Any) -> list[tuple[Band, str]]:
    window = Window(start_ns=T0, end_ns=T0 + NS)
    body = place_envelope(quiet(), observed=window, valid_until_ns=T0 + 9 * NS, incumbents=(), **changes)
    return [(c.band, c.state) for c in body.channels]


def test_a_sighting_speaks_of_the_incumbents_bands_and_frees_none() -> None:
    window = Window(start_ns=T0, end_ns=T0 + NS)
    body = sighting([HIGH, LOW], observed=window, valid_until_ns=T0 + 6 * NS, what="radar")
    assert body.incumbents == ("radar",)
    assert [(c.band, c.state, c.flags) for c in body.channels] == [
        (LOWER, "busy", (INCUMBENT,)),
        (UPPER, "busy", (INCUMBENT,)),
    ]
    assert all(c.occupancy_ppm is None and c.floor_mdb is None for c in body.channels), "nothing was measured for it"


def test_a_protected_channel_is_not_free_and_of_a_lent_one_nothing_is_said() -> None:
    assert said() == [(LOWER, FREE), (UPPER, FREE)]
    assert said(closed=[LOW]) == [(LOWER, "busy"), (UPPER, FREE)]
    assert said(lent=[HIGH]) == [(LOWER, FREE)]
    window = Window(start_ns=T0, end_ns=T0 + NS)
    body = place_envelope(quiet(), observed=window, valid_until_ns=T0, incumbents=("radar",), closed=[LOW])
    assert [INCUMBENT in c.flags for c in body.channels] == [True, False]


@pytest.mark.parametrize("name", ["pluto-ad9363", "pluto-ad9364", "simulated"])
def test_a_unit_envelope_reaches_as_far_as_the_profile(name: str) -> None:
    profile = load_radio(name)
    body = unit_envelope(profile, full_scale_eirp_mdbm=17_000, now_ns=T0, valid_ns=NS)
    (channel,) = body.channels
    assert channel.state == ABLE
    assert profile.tx.lo_hz.holds(channel.band.low_hz)
    assert profile.rx.lo_hz.holds(channel.band.high_hz)
    assert not (profile.tx.lo_hz.holds(channel.band.low_hz - 1) and profile.rx.lo_hz.holds(channel.band.low_hz - 1))
    assert (body.max_eirp_mdbm, body.width_hz_max) == (17_000, profile.tx.bw_hz.high)
    assert (body.observed.end_ns, body.valid_until_ns) == (T0, T0 + NS)


def test_what_our_own_users_fill_is_known_by_its_windows(tmp_path: Any) -> None:
    world = enveloped(tmp_path)
    holder = world.members["holder"].party
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    assert world.carry(1.0) == []
    assert lent_bands(holder, fix(1.5).time) == []
    assert lent_bands(holder, fix(2.5).time) == [LOW]
    channels = tuple(Channel(low_hz=b.low_hz, high_hz=b.high_hz) for b in (LOWER, UPPER))
    spans = lent_spans(holder, channels, utc_ns=T0, monotonic_ns=7 * NS)
    assert spans == {channels[0]: [(9 * NS - MARGIN_NS, 16 * NS + MARGIN_NS)]}
    world.do("holder", 9.5, holder.tick)
    assert lent_bands(holder, fix(9.5).time) == []
    assert lent_spans(holder, channels, utc_ns=T0, monotonic_ns=7 * NS) == spans, "what is past stays past"


def test_a_holder_looks_again_now_and_then_and_soon_after_a_band_came_back() -> None:
    policy = HolderPolicy(cast("Any", None))
    assert not policy.look_again(T0, []), "nothing is offered"
    offer = OfferSection(low_hz=LOW[0], high_hz=HIGH[1], commodity="cbrs", max_eirp_mdbm=1, for_s=1)
    policy.standing.append((offer, T0 + 90 * NS))
    assert policy.look_again(T0, [LOW])
    assert not policy.look_again(T0 + AGAIN_NS - 1, [LOW])
    assert policy.look_again(T0 + AGAIN_NS, [LOW, HIGH])
    assert not policy.look_again(T0 + AGAIN_NS + BACK_NS - 1, [LOW])
    assert policy.look_again(T0 + AGAIN_NS + BACK_NS, [LOW])
    assert not policy.look_again(T0 + 90 * NS, []), "no offer stands any more"


class Listening:
    """A watcher that heard nothing in either channel."""

    channels = tuple(Channel(low_hz=b.low_hz, high_hz=b.high_hz) for b in (LOWER, UPPER))

    def report(self, apart: Any) -> SurveyReport:
        return quiet()


def loud(*busy: Band) -> bodies.Envelope:
    """A neighbour's look: occupied half of the time in some channels, idle in the others."""
    half, idle = (bodies.Quantity(value=v, low=v - 10, high=v + 20_000) for v in (500_000, 10))
    rows = tuple(
        replace(channel(b, "busy" if b in busy else "free"), occupancy_ppm=half if b in busy else idle)
        for b in (LOWER, UPPER)
    )
    return place(0.5, channels=rows)


@pytest.mark.feature("E7")
@pytest.mark.attack(56)
def test_a_holder_offers_nothing_that_most_neighbours_take_for_busy(tmp_path: Any) -> None:
    world = enveloped(tmp_path)
    holder = world.members["holder"].party
    me = holder.registry.get(holder.identity.credential)
    assert me is not None
    watcher = cast("Any", Listening())
    envelopes = Enveloping(cast("Any", None), me, holder, watcher, Protection(hold_ns=NS))

    def outvoted(at_s: float) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = world.do("holder", at_s, envelopes.outvoted)
        return found

    def tells(name: str, *busy: Band, at_s: float = 0.5) -> None:
        record = world.do(name, at_s, lambda step: step.sign(loud(*busy)))
        assert world.give(name, "holder", Message(record=record.raw).encoded(), at_s) is None

    tells("alice", LOWER)
    assert outvoted(0.6) == [], "of two nobody is believed more"
    tells("bob", LOWER)
    assert outvoted(0.6) == [LOW]
    assert outvoted(90.0) == [], "what they said is over"
    world.request("alice", 1.0, LOWER, 1.1, 9.0)
    assert world.carry(1.0) == []
    tells("alice", LOWER, at_s=1.1)
    assert outvoted(1.2) == [LOW], "what was heard before it was lent"


@pytest.mark.attack(57)
def test_reports_without_meaning_do_not_keep_a_holder_from_offering(tmp_path: Any) -> None:
    """What a program of before admitted, a level of 0 and one of a whole, and then any offer; and after a restart."""
    world = enveloped(tmp_path)

    def envelopes() -> Enveloping:
        party = world.members["holder"].party
        me = party.registry.get(party.identity.credential)
        assert me is not None
        return Enveloping(cast("Any", None), me, party, cast("Any", Listening()), Protection(hold_ns=NS))

    for number, (name, level_ppm) in enumerate((("alice", 0), ("bob", 1_000_000))):
        body = replace(loud(LOWER), level_ppm=level_ppm, valid_until_ns=2**62)
        record = make_record(world.members[name].key, world.frame(name, seq=800 + number), body)
        sent = world.give(name, "holder", Message(record=record.raw).encoded(), 0.5)
        assert sent is not None
        assert sent.reason is Reason.TERMS

        def keep(step: Step, record: Record = record, name: str = name) -> None:
            step.log(admitted_leaf(record.raw, origin=RECEIVED, now=step.now.time), record)
            step.put(SIGHTING, world.members[name].hash, record.digest)

        world.do("holder", 0.6, keep)
    for _ in range(2):
        assert world.do("holder", 0.7, envelopes().outvoted) == []
        world.members["holder"].party.lineage.close()
        world.members["holder"] = world.member_again("holder")
