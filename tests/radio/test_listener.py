"""When the listener looks: in every frame, and at no fixed phase of anything periodic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.errors import Disconnected, EndOfRecording, LibraryMissing, RadioError, SettingRefused
from radio.listener import Listener, LookPlan
from radio.ports import RxBlock, RxFlag, RxSettings, Span
from radio.ring import SampleRing

SETTINGS = RxSettings(center_hz=1, sample_rate_hz=1, bandwidth_hz=1, gain_mdb=0)
MS = 1_000_000
PLAN = LookPlan(frame_ns=20 * MS, offset_ns=6 * MS, samples=1, settings=SETTINGS, dither_ns=MS)


@given(st.integers(min_value=6 * MS, max_value=2**62))
def test_the_next_look_is_in_this_frame_or_the_next(now_ns: int) -> None:
    start_ns = PLAN.start_after(now_ns)
    assert now_ns < start_ns <= now_ns + PLAN.frame_ns + PLAN.dither_ns
    assert 6 * MS <= start_ns % PLAN.frame_ns <= 7 * MS


def test_pulses_that_keep_time_with_the_frames_are_met_at_every_phase() -> None:
    now_ns, phases = 0, list[int]()
    for _ in range(40):
        now_ns = PLAN.start_after(now_ns) + PLAN.dither_ns
        phases.append(now_ns % MS)
    met = sorted(phases)
    gaps = [after - before for before, after in zip(met, [*met[1:], met[0] + MS], strict=True)]
    assert max(gaps) < MS // 15


def test_without_dither_the_grid_is_exact() -> None:
    exact = LookPlan(frame_ns=20 * MS, offset_ns=6 * MS, samples=1, settings=SETTINGS)
    assert exact.start_after(26 * MS - 1) == 26 * MS
    assert exact.start_after(26 * MS) == 46 * MS


class Refusing:
    """A receiver that refuses its settings, then has lost its library, then is well."""

    def __init__(self) -> None:
        self.tries = 0
        self.errors: list[RadioError] = [SettingRefused("too fast"), LibraryMissing("gone"), Disconnected("unplugged")]

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return settings

    def receive(self, samples: int) -> RxBlock:
        raise EndOfRecording("no more")


def test_every_error_of_a_radio_is_told_and_listening_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radio.listener.RETRY_S", 0.001)
    told: list[str] = []

    class Told(Listener):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "fault" and isinstance(value, str):
                told.append(value)
                if "no more" in told:
                    self._stop.set()

    plan = replace(PLAN, frame_ns=MS, offset_ns=0, dither_ns=0)
    listener = Told(Refusing(), SampleRing(tmp_path / "ring", slots=2, slot_samples=1, create=True), plan)
    listener.start()
    listener._thread.join(20)
    assert not listener._thread.is_alive()
    assert told == ["too fast", "gone", "unplugged", "no more"]


class Stuck:
    """A receiver that hands out three of its buffers over and over, as one whose transfer has stopped."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self._buffers = [rng.normal(0, 10, (2048, 2)).astype(np.int16) for _ in range(3)]
        self.taken = 0

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        return settings

    def receive(self, samples: int) -> RxBlock:
        if self.taken == 7:
            raise EndOfRecording("no more")
        iq = self._buffers[self.taken % 3]
        self.taken += 1
        at = Span(earliest_ns=self.taken * MS, latest_ns=self.taken * MS)
        return RxBlock(
            iq=iq, sequence=self.taken, start=at, settings=SETTINGS, full_scale=2048, flags=RxFlag.UNCALIBRATED
        )  # fmt: skip


@pytest.mark.feature("E3")
def test_samples_that_were_handed_out_before_are_stale(tmp_path: Path) -> None:
    plan = replace(PLAN, frame_ns=MS, offset_ns=0, dither_ns=0, samples=2048)
    ring = SampleRing(tmp_path / "ring", slots=8, slot_samples=2048, create=True)
    listener = Listener(Stuck(), ring, plan)
    with pytest.raises(EndOfRecording):
        listener._listen()
    stale = [bool(RxFlag(look.flags) & RxFlag.STALE) for look in listener.take()]
    assert stale == [False] * 3 + [True] * 4
