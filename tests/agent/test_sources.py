"""Each source from its bytes: what is a bound, what is silence, and what is refused."""

import asyncio
import datetime as dt
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.timekeeping import chrony, keeper, kernel
from agent.timekeeping.clock import ClockPlan
from agent.timekeeping.gpsd import GpsdPlan, GpsdReader, GpsdSource, utc_ns
from agent.timekeeping.hostclock import Paired, paired
from agent.timekeeping.place import PlacePlan
from agent.timekeeping.simulated import SimulatedClock
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeSource

pytestmark = pytest.mark.feature("S6")

T0 = 1_790_000_000_000_000_000
PAIR = Paired(mono_ns=1000, utc_ns=T0, slack_ns=50)
GOOD = "7F000001,127.0.0.1,2,1790000000.0,-0.000002,0.0,0.0,0.9,0.08,5.9,0.000005678,0.000001951,0.0,Normal"


def fields(**changes: str) -> str:
    parts = GOOD.split(",")
    for number, value in changes.items():
        parts[int(number[1:])] = value
    return ",".join(parts)


def test_chronys_bound_is_offset_and_dispersion_and_half_the_delay() -> None:
    tracking = chrony.parse_tracking(GOOD)
    assert tracking is not None
    assert tracking.bound_ns == 2_000 + 1_951 + 2_839
    said = chrony.reading_of("chrony", tracking, PAIR)
    assert said.time is not None
    assert (said.time.source, said.time.bound_ns) == (TimeSource.CHRONY, 6_790 + 50)


@pytest.mark.attack(36)
def test_a_chrony_that_lost_its_source_drifts_as_the_oscillator_does_and_then_is_silent() -> None:
    def said(age_s: float) -> Reading:
        line = fields(f3=str(1790000000.0 - age_s), f12="64.0")
        return chrony.reading_of("chrony", chrony.parse_tracking(line), PAIR, drift_ppb=50_000)

    bounds = [said(age_s).time for age_s in (0, 64, 164, 190)]
    assert all(bounds)
    assert [bound.bound_ns - bounds[0].bound_ns for bound in bounds] == [0, 0, 5_000_000, 6_300_000]
    lost = said(200)
    assert (lost.standing, lost.time) == (SourceStanding.SILENT, None)
    assert "its source is lost" in lost.note


@pytest.mark.attack(68)
def test_a_chrony_that_was_last_updated_in_the_future_says_nothing() -> None:
    """The system clock was set back an hour: until it is there again chrony's silence would never be noticed."""

    def said(ahead_s: float) -> Reading:
        line = fields(f3=str(1790000000.0 + ahead_s), f12="64.0")
        return chrony.reading_of("chrony", chrony.parse_tracking(line), PAIR, drift_ppb=50_000)

    assert said(0.9).time is not None
    for ahead_s in (1.1, 3600.0):
        found = said(ahead_s)
        assert (found.standing, found.time) == (SourceStanding.UNSYNCHRONISED, None)
        assert "in the future" in found.note


@pytest.mark.attack(36)
@pytest.mark.parametrize(
    "line", [fields(f13="Not synchronised"), fields(f0="00000000"), fields(f0="7F7F0101"), fields(f0="7f7f0101")]
)
def test_a_chrony_that_follows_nobody_knows_nothing(line: str) -> None:
    said = chrony.reading_of("chrony", chrony.parse_tracking(line), PAIR)
    assert (said.standing, said.time) == (SourceStanding.UNSYNCHRONISED, None)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "506 Cannot talk to daemon",
        fields(f4="nan"),
        fields(f10="inf"),
        fields(f11="-1"),
        fields(f4="x"),
        fields(f3="1e999999999"),
        fields(f10="1e999999999"),
        fields(f12="1e9999"),
        GOOD + ",",
    ],
)
def test_what_is_no_tracking_line_is_silence(line: str) -> None:
    said = chrony.reading_of("chrony", chrony.parse_tracking(line), PAIR)
    assert (said.standing, said.time) == (SourceStanding.SILENT, None)


TOKENS = st.one_of(st.text(st.characters(exclude_characters=",\n\r"), max_size=6), st.floats().map(str))


@given(st.one_of(st.text(max_size=200), st.lists(TOKENS, min_size=14, max_size=14).map(",".join)))
def test_no_answer_of_chronyc_but_a_tracking_line_becomes_a_time(line: str) -> None:
    said = chrony.reading_of("chrony", chrony.parse_tracking(line), PAIR)
    assert said.time is None
    assert said.standing in {SourceStanding.SILENT, SourceStanding.UNSYNCHRONISED}


@given(st.integers(0, 13), TOKENS)
def test_one_wrong_field_never_widens_what_chrony_is_believed(place: int, token: str) -> None:
    said = chrony.reading_of("chrony", chrony.parse_tracking(fields(**{f"f{place}": token})), PAIR)
    assert (said.time is None) == (said.standing is not SourceStanding.GOOD)
    if said.time is not None:
        assert said.time.earliest_ns <= PAIR.utc_ns <= said.time.latest_ns


def test_a_missing_chronyc_is_silence() -> None:
    said = asyncio.run(chrony.ChronySource(command=("no-such-chronyc",)).ask())
    assert said.standing is SourceStanding.SILENT
    assert "no-such-chronyc" in said.note


# -- kernel --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(36)
def test_an_unsynchronised_kernel_says_so_by_flag_or_by_state() -> None:
    for state, status in ((0, kernel.STA_UNSYNC), (kernel.TIME_ERROR, 0)):
        found = kernel.state_of(state, status=status, max_error_us=10, offset=0, tai_s=37)
        assert kernel.reading_of("k", found, PAIR, least_ns=0).standing is SourceStanding.UNSYNCHRONISED


def test_the_kernels_bound_has_its_units_and_a_floor() -> None:
    nano = kernel.state_of(0, status=kernel.STA_NANO, max_error_us=20, offset=-300, tai_s=37)
    micro = kernel.state_of(0, status=0, max_error_us=20, offset=3, tai_s=37)
    assert (nano.max_error_ns, micro.max_error_ns) == (20_300, 23_000)
    said = kernel.reading_of("k", nano, PAIR, least_ns=5_000_000)
    assert said.time is not None
    assert said.time.bound_ns == 5_000_000 + 50


def test_this_machines_kernel_answers() -> None:
    said = kernel.KernelSource(least_ns=0).ask()
    state = kernel.read_state()
    assert said.standing is (SourceStanding.GOOD if state.synchronised else SourceStanding.UNSYNCHRONISED)


# -- gpsd ----------------------------------------------------------------------------------------------------------

TPV: dict[str, Any] = {
    "class": "TPV", "mode": 3, "time": "2026-09-21T13:33:20.000Z", "ept": 0.005, "lat": 36.95, "lon": -76.3, "eph": 5.0,
}  # fmt: skip
SKY = {"class": "SKY", "uSat": 8}
TPV_AT_T0 = "2026-09-21T14:13:19.700Z"
"""What a sentence says that arrives at T0, 0.3 s late."""


def reader(plan: GpsdPlan | None = None) -> GpsdReader:
    made = GpsdReader("gpsd", plan or GpsdPlan(serial_ns=200_000_000))
    made.take(SKY, PAIR)
    return made


def take(message: dict[str, Any], plan: GpsdPlan | None = None) -> Reading:
    said = reader(plan).take(message, PAIR)
    assert said is not None
    return said


def test_a_fix_becomes_an_interval_and_a_disc() -> None:
    said = take(TPV)
    at_ns = utc_ns(TPV["time"])
    assert said.time is not None
    assert said.position is not None
    assert (said.time.earliest_ns, said.time.latest_ns) == (at_ns - 10**7, at_ns + 10**7 + 2 * 10**8)
    assert (said.position.lat_e7, said.position.radius_mm) == (369_500_000, 10_000)


def test_serial_time_alone_is_no_bound() -> None:
    said = take(TPV, GpsdPlan())
    assert said.time is None
    assert said.position is not None
    assert "PPS" in said.note


def test_a_pulse_is_a_bound_of_its_precision() -> None:
    made = reader(GpsdPlan())
    made.take({**TPV, "time": TPV_AT_T0}, PAIR)
    pulse = {
        "class": "PPS", "real_sec": 10, "real_nsec": 0, "clock_sec": 9, "clock_nsec": 999_999_000, "precision": -20,
    }  # fmt: skip
    said = made.take(pulse, PAIR)
    assert said is not None
    assert said.time is not None
    assert said.time.middle_ns == T0 + 1000
    assert said.time.bound_ns < 10_000


def test_a_serial_offset_counts_from_when_the_sentence_began() -> None:
    made = reader()
    made.take(TPV, PAIR)
    message = {"class": "TOFF", "real_sec": 10, "real_nsec": 0, "clock_sec": 10, "clock_nsec": 100_000_000}
    said = made.take(message, PAIR)
    assert said is not None
    assert said.time is not None
    assert said.time.earliest_ns == T0 - 100_000_000 - 50


@pytest.mark.attack(37)
@pytest.mark.parametrize(
    ("change", "standing"),
    [
        ({"status": 8}, SourceStanding.SIMULATED),
        ({"status": 5}, SourceStanding.NOT_MEASURED),
        ({"status": 6}, SourceStanding.NOT_MEASURED),
        ({"status": 7}, SourceStanding.NOT_MEASURED),
        ({"status": 77}, SourceStanding.NOT_MEASURED),
        ({"lat": 0.0, "lon": 0.0}, SourceStanding.IMPLAUSIBLE),
        ({"lat": -0.0002, "lon": 0.0004}, SourceStanding.IMPLAUSIBLE),
        ({"mode": 1}, SourceStanding.SILENT),
        ({"mode": None}, SourceStanding.SILENT),
        ({"mode": True}, SourceStanding.SILENT),
    ],
)
def test_what_gpsd_does_not_call_a_fix_is_none(change: dict[str, Any], standing: SourceStanding) -> None:
    said = take({**TPV, **change})
    assert (said.standing, said.time, said.position) == (standing, None, None)


@pytest.mark.attack(72)
@pytest.mark.parametrize("wrong_s", [1, -1, 2, 3600])
@pytest.mark.parametrize("toff", [False, True])
def test_a_pulse_of_another_second_than_its_sentences_is_not_believed(*, wrong_s: int, toff: bool) -> None:
    made = reader(GpsdPlan())
    made.take({**TPV, "time": TPV_AT_T0}, PAIR)
    if toff:
        late = {"class": "TOFF", "real_sec": 10, "real_nsec": 0, "clock_sec": 10, "clock_nsec": 120_000_000}
        made.take(late, PAIR)
    for _ in range(3):
        said = made.take(pulse_at(wrong_s), PAIR)
        assert said is not None
        assert (said.standing, said.time) == (SourceStanding.CONTRADICTORY, None)
        assert "apart" in said.note
    said = made.take(pulse_at(0), PAIR)
    assert said is not None
    assert said.standing is SourceStanding.GOOD
    assert said.time is not None


def pulse_at(wrong_s: int) -> dict[str, Any]:
    """A pulse whose second is `wrong_s` off."""
    return {
        "class": "PPS",
        "real_sec": 10 + wrong_s,
        "real_nsec": 0,
        "clock_sec": 10,
        "clock_nsec": 0,
        "precision": -20,
    }


@pytest.mark.attack(72)
def test_a_pulse_without_a_sentence_that_numbers_it_says_nothing() -> None:
    made = reader(GpsdPlan())
    made.take({key: value for key, value in TPV.items() if key != "time"}, PAIR)
    said = made.take(pulse_at(0), PAIR)
    assert said is not None
    assert (said.standing, said.time) == (SourceStanding.SILENT, None)


def test_satellites_unknown_or_too_old_are_too_few() -> None:
    fresh = GpsdReader("gpsd", GpsdPlan())
    first = fresh.take(TPV, PAIR)
    assert first is not None
    assert first.standing is SourceStanding.TOO_FEW_SATELLITES
    later = Paired(mono_ns=PAIR.mono_ns + 20 * 10**9, utc_ns=T0, slack_ns=0)
    aged = reader().take(TPV, later)
    assert aged is not None
    assert aged.standing is SourceStanding.TOO_FEW_SATELLITES


@pytest.mark.parametrize(
    "change",
    [
        {"lat": 91.0},
        {"lon": float("nan")},
        {"eph": None},
        {"eph": -1},
        {"lat": "36"},
        {"eph": float("inf")},
        {"lat": 10**400},
        {"eph": 10**400},
    ],
)
def test_a_place_that_is_none(change: dict[str, Any]) -> None:
    assert take({**TPV, **change}).position is None


@pytest.mark.parametrize(
    "text", ["", "yesterday", None, 5, "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "1960-01-01T00:00:00Z"]
)
def test_a_time_that_is_none(text: object) -> None:
    assert utc_ns(text) is None


ENDLESS = (10**400, -(10**400), 10**4000, 1 << 62)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(ENDLESS) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = (
    "mode",
    "status",
    "time",
    "ept",
    "lat",
    "lon",
    "eph",
    "uSat",
    "satellites",
    "real_sec",
    "clock_sec",
    "precision",
)


@given(st.sampled_from(["TPV", "SKY", "PPS", "TOFF", "X"]), st.dictionaries(st.sampled_from(KEYS), JSON))
def test_nothing_gpsd_says_breaks_the_reader(name: str, message: dict[str, Any]) -> None:
    made = reader()
    said = made.take({**TPV, **message, "class": name}, PAIR)
    if said is not None:
        assert said.standing is SourceStanding.GOOD or (said.time, said.position) == (None, None)
        assert said.time is None or said.time.earliest_ns <= said.time.latest_ns
        assert said.position is None or abs(said.position.lat_e7) <= 900_000_000
    if name in {"SKY", "X"}:
        assert said is None
    made.take(SKY, PAIR)
    after = made.take(TPV, PAIR)
    assert after is not None
    assert after.standing is SourceStanding.GOOD


@pytest.mark.attack(37)
def test_a_peer_that_talks_nonsense_on_gpsds_port_is_silence() -> None:
    """From a socket: garbage, half a message, a hang-up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(200)
                peer.sendall(b'\xff\xfe{"class":1}\r\n{"class":"TPV","mode":[]}\r\n{"cla}\r\n')

        thread = threading.Thread(target=serve)
        thread.start()
        heard: list[Reading] = []

        async def listen() -> None:
            silent = asyncio.Event()

            def push(said: Reading) -> None:
                heard.append(said)
                if "does not answer" in said.note:
                    silent.set()

            port = server.getsockname()[1]
            task = asyncio.create_task(GpsdSource("gpsd", GpsdPlan(), port=port).run(push))
            await asyncio.wait_for(silent.wait(), 5)
            task.cancel()

        asyncio.run(listen())
        thread.join()
    assert all(said.time is None and said.position is None for said in heard)
    assert heard[-1].standing is SourceStanding.SILENT


@pytest.mark.attack(37)
def test_a_source_whose_client_fails_is_asked_again_and_silences_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a daemon says may fail in any library: nesting without end does in the JSON of gpsd's own client."""
    monkeypatch.setattr(keeper, "RESTART_S", 0.0)

    class Failing:
        name, asked = "failing", 0

        async def run(self, push: Callable[[Reading], None]) -> None:
            self.asked += 1
            if self.asked < 3:
                raise RecursionError
            push(Reading(name=self.name, at_ns=paired().mono_ns, standing=SourceStanding.GOOD))
            await asyncio.sleep(600)

    class Other:
        name = "other"

        async def run(self, push: Callable[[Reading], None]) -> None:
            while True:
                push(Reading(name=self.name, at_ns=paired().mono_ns, standing=SourceStanding.GOOD))
                await asyncio.sleep(0.001)

    made = keeper.Timekeeper(ClockPlan(), PlacePlan(), monotonic_ns=time.monotonic_ns, running=[Failing(), Other()])
    made.start()
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            told = {one.name: one for one in made.state().sources}
            if (told["failing"].standing, told["other"].standing) == ("good", "good"):
                break
        assert told["failing"].standing == "good"
        assert told["other"].standing == "good"
    finally:
        made.close()


def test_the_hosts_clocks_are_read_together() -> None:
    mono, utc = iter(range(0, 600, 100)), iter((5, 6, 7))
    found = paired(lambda: next(mono), lambda: next(utc))
    assert found == Paired(mono_ns=50, utc_ns=5, slack_ns=51)


@pytest.mark.attack(69)
def test_a_date_where_a_simulated_clock_has_a_number_is_refused_as_such() -> None:
    for value in (dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), float("nan")):
        with pytest.raises(ValidationError):
            SimulatedClock(kind="simulated", clock={"utc_at_zero_ns": value, "bound_ns": 1000})  # type: ignore[arg-type]
