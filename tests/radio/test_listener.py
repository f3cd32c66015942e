"""When the listener looks: in every frame, and at no fixed phase of anything periodic."""

from hypothesis import given
from hypothesis import strategies as st

from radio.listener import LookPlan
from radio.ports import RxSettings

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
