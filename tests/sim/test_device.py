"""The device's rules: one burst after another, mute at once, refusals that change nothing."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.ports import RxSettings, TxSettings
from sim.device import (
    NS,
    OPEN_END_NS,
    QUEUE_NS_MAX,
    Begun,
    BurstSegment,
    CarrierChanged,
    Device,
    Ended,
    Event,
    OutOfLimits,
)
from sim.stations import Hardware, SettingLimits, Station

pytestmark = pytest.mark.feature("R2")

RATE = 1_000_000
TX = TxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_000_000, attenuation_mdb=10_000)
RX = RxSettings(center_hz=3_555_000_000, sample_rate_hz=RATE, bandwidth_hz=1_000_000, gain_mdb=10_000)
STATION = Station(name="s", lat_deg=0.0, lon_deg=0.0)


def device(*, tuned: bool = True) -> Device:
    made = Device(STATION, now_ns=0)
    if tuned:
        made.tune_tx(TX, now_ns=0)
    return made


def sent(made: Device, samples: int, now_ns: int) -> BurstSegment:
    segment, _ = made.send(samples, now_ns=now_ns)
    assert isinstance(segment, BurstSegment)
    return segment


def endings(events: list[Event]) -> list[BurstSegment]:
    return [event.segment for event in events if isinstance(event, Ended)]


def test_bursts_play_now_or_after_the_one_before() -> None:
    made = device()
    first, second = sent(made, 1000, 5_000), sent(made, 500, 6_000)
    assert (first.start_ns, first.end_ns) == (5_000, 1_005_000)
    assert (second.start_ns, second.end_ns) == (1_005_000, 1_505_000)
    assert made.busy_until_ns == 1_505_000
    assert endings(made.advance(now_ns=1_200_000)) == [first]
    late = sent(made, 10, 9_000_000)
    assert late.start_ns == 9_000_000


def test_mute_cuts_what_plays_and_drops_the_queue() -> None:
    made = device()
    first, second = sent(made, 1000, 0), sent(made, 1000, 0)
    events = made.mute(now_ns=300_000)
    cut, dropped = endings(events)
    assert (cut.id, cut.end_ns, cut.cut_short) == (first.id, 300_000, True)
    assert (dropped.id, dropped.end_ns, dropped.cut_short) == (second.id, second.start_ns, True)
    assert not made.lo_on
    assert made.tx.attenuation_mdb == STATION.hardware.attenuation_mdb.high
    assert made.busy_until_ns is None
    assert [event.carrier.end_ns for event in events if isinstance(event, CarrierChanged)] == [300_000]
    assert not sent(made, 10, 400_000).live


def test_what_ended_before_the_mute_is_not_cut() -> None:
    made = device()
    sent(made, 100, 0)
    (over,) = endings(made.mute(now_ns=100_000))
    assert not over.cut_short


def test_retuning_while_playing_goes_on_under_the_new_setting() -> None:
    made = device()
    old, queued = sent(made, 1000, 0), sent(made, 1000, 0)
    _, events = made.tune_tx(replace(TX, attenuation_mdb=3_000), now_ns=400_500)
    before, dropped = endings(events)
    assert (before.id, before.end_ns, before.cut_short) == (old.id, 400_000, False)
    assert dropped.id == queued.id
    assert dropped.end_ns == dropped.start_ns
    rest, again = [event.segment for event in events if isinstance(event, Begun)]
    assert (rest.burst, rest.first_sample, rest.samples, rest.start_ns) == (old.burst, 400, 600, 400_000)
    assert rest.end_ns == old.end_ns
    assert (again.burst, again.start_ns, again.end_ns) == (queued.burst, queued.start_ns, queued.end_ns)
    assert {rest.attenuation_mdb, again.attenuation_mdb} == {3_000}


def test_the_same_setting_again_changes_nothing() -> None:
    made = device()
    sent(made, 1000, 0)
    assert made.tune_tx(TX, now_ns=100) == (TX, [])


def test_a_new_sample_rate_drops_what_is_queued() -> None:
    made = device()
    sent(made, 1000, 0)
    _, events = made.tune_tx(replace(TX, sample_rate_hz=2_000_000), now_ns=100_000)
    (cut,) = endings(events)
    assert (cut.end_ns, cut.cut_short) == (100_000, True)
    assert made.busy_until_ns is None


def test_a_carrier_is_on_from_tuning_to_mute() -> None:
    made = device(tuned=False)
    _, events = made.tune_tx(TX, now_ns=10)
    (on,) = [event.carrier for event in events if isinstance(event, CarrierChanged)]
    assert (on.start_ns, on.end_ns, on.attenuation_mdb) == (10, OPEN_END_NS, 10_000)
    _, events = made.tune_tx(replace(TX, center_hz=3_556_000_000), now_ns=20)
    assert [event.carrier.end_ns for event in events if isinstance(event, CarrierChanged)] == [20, OPEN_END_NS]


def test_settings_are_held_on_their_steps() -> None:
    made = device()
    held, _ = made.tune_tx(replace(TX, attenuation_mdb=10_130), now_ns=0)
    assert held == replace(TX, attenuation_mdb=10_250)
    assert made.tune_rx(replace(RX, gain_mdb=10_499), now_ns=0) == RX


@pytest.mark.parametrize("field", ["center_hz", "sample_rate_hz", "bandwidth_hz", "attenuation_mdb", "gain_mdb"])
@pytest.mark.parametrize("way", [-1, 1])
def test_a_setting_outside_the_limits_is_refused_and_changes_nothing(field: str, way: int) -> None:
    made = device()
    limits: SettingLimits = {
        "center_hz": STATION.hardware.lo_hz,
        "sample_rate_hz": STATION.hardware.rate_hz,
        "bandwidth_hz": STATION.hardware.bandwidth_hz,
        "attenuation_mdb": STATION.hardware.attenuation_mdb,
        "gain_mdb": STATION.hardware.rx_gain_mdb,
    }[field]
    value = limits.low - 1 if way < 0 else limits.high + 1
    if field != "gain_mdb":
        held, events = made.tune_tx(replace(TX, **{field: value}), now_ns=5)
        assert isinstance(held, OutOfLimits)
        assert field in held.message
        assert (events, made.tx, made.lo_on) == ([], TX, True)
    if field != "attenuation_mdb":
        before = made.rx
        assert isinstance(made.tune_rx(replace(RX, **{field: value}), now_ns=5), OutOfLimits)
        assert made.rx == before


def test_the_queue_and_the_burst_are_bounded() -> None:
    made = Device(replace(STATION, hardware=Hardware(block_samples=SettingLimits(low=1, high=2 * RATE))), now_ns=0)
    made.tune_tx(TX, now_ns=0)
    assert isinstance(made.send(0, now_ns=0)[0], OutOfLimits)
    assert isinstance(made.send(2 * RATE + 1, now_ns=0)[0], OutOfLimits)
    for _ in range(3):
        sent(made, 2 * RATE, 0)
    assert made.busy_until_ns == 6 * NS > QUEUE_NS_MAX
    assert isinstance(made.send(1, now_ns=0)[0], OutOfLimits)


def test_it_remembers_when_it_transmitted_until_told_to_forget() -> None:
    made = device()
    sent(made, 1000, 1_000_000)
    assert made.transmitted(1_500_000, 1_600_000)
    made.advance(now_ns=3_000_000)
    assert made.transmitted(1_999_999, 5_000_000)
    assert not made.transmitted(2_000_000, 5_000_000)
    assert not made.transmitted(0, 1_000_000)
    made.forget(before_ns=2_500_000)
    assert not made.transmitted(1_500_000, 1_600_000)
    made.mute(now_ns=4_000_000)
    sent(made, 1000, 4_000_000)
    assert not made.transmitted(4_000_000, 5_000_000)


steps = st.lists(
    st.tuples(st.sampled_from(["send", "mute", "tune", "retune", "wait"]), st.integers(0, 3_000_000)), max_size=30
)


@given(steps)
def test_what_was_live_never_overlaps_and_nothing_lives_past_a_mute(script: list[tuple[str, int]]) -> None:
    made, now = device(), 0
    over: list[BurstSegment] = []
    mutes: list[int] = []
    for action, value in script:
        now += value
        match action:
            case "send":
                _, events = made.send(value % 5000 + 1, now_ns=now)
            case "mute":
                mutes.append(now)
                events = made.mute(now_ns=now)
            case "tune":
                _, events = made.tune_tx(TX, now_ns=now)
            case "retune":
                _, events = made.tune_tx(replace(TX, center_hz=3_550_000_000 + value), now_ns=now)
            case _:
                events = made.advance(now_ns=now)
        over += endings(events)
    over += endings(made.advance(now_ns=2**61))
    played = sorted((one.start_ns, one.end_ns) for one in over if one.live and one.end_ns > one.start_ns)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(played))
    assert not any(start < mute < end for start, end in played for mute in mutes)
    assert len({one.id for one in over}) == len(over)
