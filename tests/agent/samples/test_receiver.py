"""What the radio receives on its way to a program: centred, at its rate, and always on time."""

import numpy as np
import pytest

from agent.samples.counts import Counts
from agent.samples.plan import NS
from agent.samples.receiver import KEPT_NS, ReceiveStream
from radio.ports import Iq16
from tests.agent.samples.plans import MS, PLAN, RATE, plan

pytestmark = pytest.mark.feature("R11")

START = 1_000 * MS
STRETCH = 2_000


def stretch(number: int, *, hz: float = 100_000.0) -> Iq16:
    turns = 2j * np.pi * hz / RATE * np.arange(number * STRETCH, (number + 1) * STRETCH)
    return np.rint(1024 * np.exp(turns).view(np.float64)).astype(np.int16).reshape(-1, 2)


def start_of(number: int) -> int:
    return START + number * STRETCH * NS // RATE


def test_the_stream_is_what_was_received_at_the_level_it_had() -> None:
    counts = Counts()
    stream = ReceiveStream(PLAN, counts, now_ns=START)
    stream.read_at(START)
    for number in range(20):
        stream.feed(stretch(number), start_of(number), start_of(number + 1), gap=False)
    got = stream.take(1 << 20)
    assert len(got) == 20 * STRETCH
    assert np.abs(got) == pytest.approx(0.5, abs=0.002)
    assert np.abs(np.diff(np.angle(got[1:] * got[:-1].conj()))).max() < 0.01
    assert (counts.lost, counts.silence, counts.unread) == (0, 0, 0)


def test_what_the_radio_lost_is_zeros_of_the_same_length() -> None:
    counts = Counts()
    stream = ReceiveStream(PLAN, counts, now_ns=START)
    stream.read_at(START)
    stream.feed(stretch(0), start_of(0), start_of(1), gap=False)
    stream.feed(stretch(5), start_of(5), start_of(6), gap=True)
    got = stream.take(1 << 20)
    assert len(got) == 6 * STRETCH
    assert counts.lost == 4 * STRETCH
    assert not got[STRETCH : 5 * STRETCH].any()


def test_the_clock_goes_on_without_a_radio_and_is_right_again_with_it() -> None:
    counts = Counts()
    stream = ReceiveStream(PLAN, counts, now_ns=START)
    given = 0
    for ms in range(1, 2_001):
        now_ns = START + ms * MS
        stream.read_at(now_ns)
        stream.tick(now_ns)
        given += len(stream.take(1 << 20))
    assert given == pytest.approx(2 * RATE, rel=0.1)
    assert counts.silence == given
    number = 1_000
    for later in range(200):
        at_ns = start_of(number + later)
        stream.read_at(at_ns)
        stream.feed(stretch(number + later), at_ns, at_ns + 2 * MS, gap=later == 0)
        stream.tick(at_ns + 2 * MS)
        given += len(stream.take(1 << 20))
    assert given == pytest.approx((start_of(number + 200) - START) * RATE // NS, abs=2)


def test_a_stream_that_lags_is_not_filled_in_for_ever() -> None:
    """What arrives 400 ms after it was received is late, not missing."""
    counts = Counts()
    stream = ReceiveStream(PLAN, counts, now_ns=START)
    for number in range(1_000):
        now_ns = start_of(number + 1) + 400 * MS
        stream.read_at(now_ns)
        stream.feed(stretch(number), start_of(number), now_ns, gap=False)
        stream.tick(now_ns)
        stream.take(1 << 20)
    assert counts.silence < RATE // 2
    assert counts.given == pytest.approx(1_000 * STRETCH, rel=0.01)


def test_a_program_that_does_not_read_loses_the_oldest_and_one_that_is_gone_loses_nothing() -> None:
    counts = Counts()
    stream = ReceiveStream(PLAN, counts, now_ns=START)
    for number in range(300):
        if number < 50:
            stream.read_at(start_of(number))
        stream.feed(stretch(number), start_of(number), start_of(number + 1), gap=False)
        assert stream.size <= RATE * KEPT_NS // NS + STRETCH
    assert counts.unread > 0
    dropped = counts.unread
    for number in range(300, 1_500):
        stream.feed(stretch(number), start_of(number), start_of(number + 1), gap=False)
    assert counts.unread <= dropped + RATE
    assert stream.size <= 0.03 * RATE


def test_the_permits_centre_is_in_the_middle() -> None:
    stream = ReceiveStream(plan(radio_center_hz=3_555_000_000), Counts(), now_ns=START)
    stream.centre(3_555_100_000)
    stream.read_at(START)
    stream.feed(stretch(0, hz=100_000), START, START, gap=False)
    assert np.abs(np.diff(np.angle(stream.take(1 << 20)))).max() < 0.01
    assert stream.center_hz == 3_555_100_000


def test_another_rate_keeps_the_time() -> None:
    counts = Counts()
    stream = ReceiveStream(plan(program_hz=RATE // 4), counts, now_ns=START)
    stream.read_at(START)
    for number in range(100):
        stream.feed(stretch(number, hz=20_000), start_of(number), start_of(number), gap=False)
    assert len(stream.take(1 << 20)) == pytest.approx(100 * STRETCH / 4, abs=1)
