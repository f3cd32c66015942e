"""A program's samples on their way out: taken by the clock whatever the gate says, cut into slots, losses counted."""

import numpy as np
import pytest

from agent.samples.counts import Counts
from agent.samples.levels import decoded, to_codes
from agent.samples.plan import NS
from agent.samples.transmitter import KEPT_NS, SlotBurst, TransmitStream
from tests.agent.samples.plans import MS, PLAN, RATE, plan

pytestmark = pytest.mark.feature("R11")

START = 1_000 * MS
SLOT = 6_000
PERIOD = 20_000


class Bench:
    """A stream with a clock of its own; the program keeps up unless told otherwise."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.stream = TransmitStream(PLAN, self.counts, now_ns=START)
        self.now_ns = START
        self.bursts: list[SlotBurst] = []
        self.fed = 0

    def step(self, *, feed: int | None = None, open_: bool = True, by_ns: int = MS) -> None:
        self.now_ns += by_ns
        count = self.stream.wanted() if feed is None else feed
        ramp = (0.5 + 0.1j) * np.ones(count, np.complex64)
        self.fed += count
        self.stream.feed(ramp, self.now_ns)
        self.bursts += self.stream.due(self.now_ns, open_=open_)

    def run(self, steps: int, **how: int | bool | None) -> None:
        for _ in range(steps):
            self.step(**how)  # type: ignore[arg-type]


def test_each_slot_is_a_burst_handed_over_before_its_time() -> None:
    bench = Bench()
    bench.run(200)
    assert len(bench.bursts) in (9, 10)
    for burst in bench.bursts:
        assert len(burst.iq) == SLOT
        assert burst.at_ns % PLAN.slots.period_ns == PLAN.slots.offset_ns
    assert {b.at_ns - a.at_ns for a, b in zip(bench.bursts, bench.bursts[1:], strict=False)} == {20 * MS}


def test_a_burst_rises_and_falls_and_has_the_level_that_was_sent() -> None:
    bench = Bench()
    bench.run(100)
    middle = bench.bursts[0].iq[100:-100]
    assert np.all(middle == np.rint(np.array([0.5, 0.1]) * PLAN.tx_full_scale))
    assert np.abs(bench.bursts[0].iq[[0, -1]]).max() < 0.05 * PLAN.tx_full_scale
    codes = TransmitStream(plan(gain_mdb=-6_021), Counts(), now_ns=START)._scale
    assert codes == pytest.approx(PLAN.tx_full_scale / 2, rel=1e-3)


def test_while_the_gate_is_closed_samples_are_taken_at_the_same_rate_and_dropped() -> None:
    closed, opened = Bench(), Bench()
    closed.run(500, open_=False)
    opened.run(500, open_=True)
    assert closed.bursts == []
    assert closed.fed == opened.fed
    assert closed.counts.closed == opened.counts.sent > 0
    assert (closed.counts.sent, opened.counts.closed) == (0, 0)
    assert closed.fed / (500 * MS / NS) == pytest.approx(RATE, rel=0.1)


def test_every_sample_taken_is_accounted_for() -> None:
    bench = Bench()
    bench.run(300)
    counts = bench.counts
    held = bench.stream._buffer.size + bench.stream._held_size
    assert counts.taken == counts.sent + counts.quiet + counts.underflow + held
    assert counts.underflow == 0


def test_a_slow_program_leaves_holes_and_nothing_is_sent_around_one() -> None:
    bench = Bench()
    bench.run(400, feed=700)
    assert bench.counts.underflow > 0.2 * 400_000
    assert all(100 <= len(burst.iq) <= SLOT for burst in bench.bursts)
    for burst in bench.bursts:  # one unbroken run each: no zeros in the midst
        assert np.all(np.abs(burst.iq[25:-25, 0]) > 0)


def test_a_program_that_died_is_an_underflow_for_a_second_and_then_nobody() -> None:
    bench = Bench()
    bench.run(100)
    bench.run(3_000, feed=0)
    assert not bench.stream.present(bench.now_ns)
    assert 0.9 * RATE < bench.counts.underflow < 1.1 * RATE
    bench.bursts.clear()
    bench.run(100)
    assert bench.stream.present(bench.now_ns)
    assert len(bench.bursts) >= 3


def test_a_program_that_floods_fills_a_bounded_buffer() -> None:
    bench = Bench()
    for _ in range(50):
        bench.step(feed=1_000_000)
        assert bench.stream._buffer.size <= RATE * KEPT_NS // NS
    assert bench.counts.overrun > 45_000_000
    assert bench.stream.wanted() == 0


def test_a_process_held_up_goes_on_at_the_present_slot() -> None:
    bench = Bench()
    bench.run(100)
    bench.bursts.clear()
    bench.step(by_ns=2_000 * MS)
    bench.run(100)
    assert bench.counts.stalled > 0
    assert bench.bursts
    assert all(burst.at_ns > bench.now_ns - 120 * MS for burst in bench.bursts)


@pytest.mark.parametrize("size", [1, 7, 9, 1001])
def test_a_message_of_no_whole_number_of_samples_is_dropped_whole(size: int) -> None:
    counts = Counts()
    assert decoded(bytes(size), counts) is None
    assert counts.malformed == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_sent_as_zero_and_counted(wrong: float) -> None:
    samples = np.ones(100, np.complex64)
    samples.view(np.float32)[[3, 50]] = wrong
    counts = Counts()
    clean = decoded(samples.tobytes(), counts)
    assert clean is not None
    assert counts.not_finite == 2
    assert np.flatnonzero(clean == 0).tolist() == [1, 25]


def test_the_largest_floats_stay_inside_int16() -> None:
    counts = Counts()
    huge = decoded(np.full(64, 3.4e38 - 3.4e38j, np.complex64).tobytes(), counts)
    assert huge is not None
    assert to_codes(huge, 16_384).tolist() == [[32_767, -32_767]] * 64
    assert to_codes(np.zeros(0, np.complex64), 16_384).shape == (0, 2)


def test_a_slot_ends_before_a_hole_so_that_every_sample_is_on_the_air_at_its_time() -> None:
    stream = TransmitStream(PLAN, counts := Counts(), now_ns=START)
    zero_ns = stream._zero_ns - stream._lead_ns  # when the first sample of the first slot is due
    stream.feed(np.full(2_000, 0.5, np.complex64), zero_ns)
    assert stream.due(zero_ns + 3 * MS, open_=True) == []
    stream.feed(np.full(5_000, 0.5, np.complex64), zero_ns + 3 * MS)
    (burst,) = stream.due(zero_ns + 6 * MS, open_=True)
    assert len(burst.iq) == 2_000
    assert counts.underflow == 1_000 + 3_000
    assert burst.at_ns == stream._zero_ns
