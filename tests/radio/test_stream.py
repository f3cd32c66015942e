"""Looks cut from an unbroken stream are those that would have been taken; every stretch is handed on."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.errors import Disconnected
from radio.listener import LookPlan
from radio.ports import Iq16, RxBlock, RxFlag, RxSettings, Span
from radio.ring import SampleRing
from radio.stream import LookCut, LookCutter, StreamListener
from radio.wakeup import Rouser

pytestmark = pytest.mark.feature("R11")

RATE = 1_000_000
SETTINGS = RxSettings(center_hz=1, sample_rate_hz=RATE, bandwidth_hz=1, gain_mdb=0)
PLAN = LookPlan(frame_ns=20_000_000, offset_ns=6_000_000, dither_ns=1_500_000, samples=2_250, settings=SETTINGS)


def numbered(begin: int, count: int) -> Iq16:
    """Samples that say their own number: low half in I, high half in Q."""
    at = np.arange(begin, begin + count)
    return np.stack((at % 30_000, at // 30_000), axis=1).astype(np.int16)


def block(begin: int, count: int, flags: RxFlag = RxFlag.NONE) -> RxBlock:
    start_ns = begin * 1_000
    return RxBlock(
        iq=numbered(begin, count),
        sequence=1,
        start=Span(earliest_ns=start_ns, latest_ns=start_ns + 5_000),
        settings=SETTINGS,
        full_scale=2048,
        flags=flags,
    )


def number_of(cut: LookCut) -> int:
    return int(cut.iq[0, 0]) + 30_000 * int(cut.iq[0, 1])


@settings(max_examples=30)
@given(st.integers(0, 50_000), st.lists(st.integers(100, 9_000), min_size=30, max_size=60))
def test_looks_are_where_the_plan_has_them_however_the_stream_is_cut(begin: int, sizes: list[int]) -> None:
    cutter, at, cuts = LookCutter(PLAN), begin, []
    for size in sizes:
        cuts += cutter.feed(block(at, size))
        at += size
    expected, due = [], PLAN.start_after(begin * 1_000)
    while -(-due // 1_000) + PLAN.samples <= at:
        expected.append(-(-due // 1_000))
        due = PLAN.start_after(-(-due // 1_000) * 1_000)
    assert [number_of(cut) for cut in cuts] == expected
    for cut in cuts:
        assert np.array_equal(cut.iq, numbered(number_of(cut), PLAN.samples))
        assert (cut.earliest_ns, cut.latest_ns) == (number_of(cut) * 1_000, number_of(cut) * 1_000 + 5_000)


def test_a_look_has_the_flags_of_every_block_in_it_and_none_is_cut_across_a_loss() -> None:
    cutter, at, cuts = LookCutter(PLAN), 0, []
    for number in range(60):
        own = RxFlag.OWN_TX if 8_000 <= at < 9_000 else RxFlag.NONE
        lost = RxFlag.GAP if number == 28 else RxFlag.NONE
        cuts += cutter.feed(block(at, 1_000, own | lost))
        at += 1_000 if number != 27 else 5_000
    assert cuts[0].flags == (RxFlag.OWN_TX if number_of(cuts[0]) + PLAN.samples > 8_000 else RxFlag.NONE)
    assert all(np.array_equal(cut.iq, numbered(number_of(cut), PLAN.samples)) for cut in cuts)
    assert len(cuts) == 2


@pytest.mark.parametrize("marked", [0, 1, 2])
def test_one_block_of_own_transmission_marks_the_look_wherever_it_is(marked: int) -> None:
    first = PLAN.start_after(0) // 1_000_000  # the block that the look begins in
    cutter, cuts = LookCutter(PLAN), list[LookCut]()
    for number in range(15):
        cuts += cutter.feed(block(number * 1_000, 1_000, RxFlag.OWN_TX if number == first + marked else RxFlag.NONE))
    assert [cut.flags for cut in cuts] == [RxFlag.OWN_TX]


class Scripted:
    """A radio that streams so many blocks, then fails; what was tuned is counted."""

    def __init__(self) -> None:
        self.tunings = 0
        self.enough = threading.Event()

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        self.tunings += 1
        if self.tunings > 2:
            self.enough.set()
        return settings

    def receive(self, samples: int) -> RxBlock:
        raise AssertionError("a stream is not asked for blocks")

    def stream(self, samples: int) -> Iterator[RxBlock]:
        for number in range(30):
            yield block(number * samples, samples)
        if self.tunings == 1:
            yield block(30 * samples, samples, RxFlag.MOVED)
            raise AssertionError("a receiver that was moved is tuned again first")
        raise Disconnected("the cable is out")


def test_the_listener_hands_on_looks_and_stretches_and_survives_its_radio(tmp_path: Path) -> None:
    radio = Scripted()
    looks = SampleRing(tmp_path / "rx", slots=8, slot_samples=PLAN.samples, create=True)
    stretches = SampleRing(tmp_path / "stream", slots=64, slot_samples=2_000, create=True)
    rouser = Rouser()
    listener = StreamListener(radio, looks, stretches, PLAN, rouse=rouser)
    listener.start()
    assert radio.enough.wait(20)
    listener.stop()
    assert os.eventfd_read(rouser.fileno()) >= 61 + radio.tunings - 2, "each stretch and each fault ends a wait"
    heard, taken = listener.take_stream(), listener.take()
    assert len(heard) >= 61
    assert len(taken) >= 4
    iq = looks.read(taken[-1].ticket)
    assert iq is not None
    assert len(iq) == PLAN.samples
    assert listener.take_stream() == []


@pytest.mark.feature("E3")
def test_a_stretch_that_comes_again_is_stale(tmp_path: Path) -> None:
    looks = SampleRing(tmp_path / "rx", slots=8, slot_samples=PLAN.samples, create=True)
    stretches = SampleRing(tmp_path / "stream", slots=64, slot_samples=2_000, create=True)
    listener = StreamListener(Scripted(), looks, stretches, PLAN)
    listener._listen(block(2_000 * (number % 3), 2_000) for number in range(7))
    stale = [bool(RxFlag(one.flags) & RxFlag.STALE) for one in listener.take_stream()]
    assert stale == [False] * 3 + [True] * 4
