"""The warden's loop on a fake radio: it verifies for itself, sends only under a permit, and mutes first."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from agent.node.warden_process import operate
from hw_profiles.loader import load_limits, load_radio
from hw_profiles.profile import RadioProfile
from hw_profiles.values import Range
from radio import transmit
from radio.authorisation import OutsideAuthorisation
from radio.devicewatch import DeviceWatch
from radio.errors import Disconnected
from radio.link import (
    AgentBeat,
    Burst,
    GateChange,
    LinkMessage,
    LookTaken,
    NewKey,
    NewLease,
    NewPermit,
    Used,
    WardenBeat,
    Withdraw,
)
from radio.mask import Service
from radio.pace import Pace
from radio.permits import Permits
from radio.ports import Drift, Iq16, RfState, RxBlock, RxSettings, Sent, Span, TxSettings
from radio.ring import SampleRing
from radio.sampledoor import SampleDoor
from radio.signals import ofdm
from radio.warden import Warden, WardenPlan
from settlement.chain.bodies import Rule
from settlement.chain.scope import Band
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason
from settlement.pair.effects import HandLease
from tests.settlement.test_succession import turn
from tests.settlement.world import LOWER, NETWORK, RULE, UPPER, World, fix, trio

RATE = 30_720_000
SAMPLES = 30_720
START_NS, TICK_NS = 10**15, 20_000


@dataclass
class Clock:
    """A monotonic clock that goes on a little whenever it is read, however fast or slow this test runs."""

    now_ns: int = START_NS

    def __call__(self) -> int:
        self.now_ns += TICK_NS
        return self.now_ns


@dataclass
class FakeRadio:
    """Remembers what it was told; can be made to fail or to lie."""

    device_id: str = "device-alice"
    calls: list[str] = field(default_factory=list)
    sent: list[Iq16] = field(default_factory=list)
    tuned: TxSettings | None = None
    muted_reads: RfState = RfState.OFF
    lie: bool = False
    broken: bool = False
    late_ns: int = 0
    mute_takes_ns: int = 0
    clock: Clock = field(default_factory=Clock)

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        return settings

    def receive(self, samples: int) -> RxBlock:
        raise Disconnected("a fake hears nothing")

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        self.calls.append("tune")
        self.tuned = settings
        return replace(settings, center_hz=settings.center_hz + 1) if self.lie else settings

    def send(self, iq: Iq16) -> Sent:
        if self.broken:
            raise Disconnected("the cable is out")
        assert self.tuned is not None, "sent while muted"
        self.calls.append("send")
        self.sent.append(iq)
        now_ns = self.clock() + self.late_ns
        return Sent(start=Span(earliest_ns=now_ns, latest_ns=now_ns), samples=len(iq))

    def mute(self) -> RfState:
        self.calls.append("mute")
        self.tuned = None
        self.clock.now_ns += self.mute_takes_ns
        return self.muted_reads

    def rf_state(self) -> RfState:
        return self.muted_reads

    def close(self) -> None:
        self.calls.append("close")


@dataclass
class WatchedRadio(FakeRadio):
    """One whose device listens for heartbeats, and answers how it is set."""

    beats: int = 0
    deaf: bool = False
    silent: bool = False

    def heartbeat(self) -> None:
        self.beats += 1
        if self.deaf:
            raise Disconnected("the cable is out")

    def drift(self) -> Drift | None:
        if self.silent:
            raise Disconnected("no answer in 100 ms")
        return None

    def guarded(self) -> bool:
        return True


class QuietListener:
    fault: str | None = None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def take(self) -> list[LookTaken]:
        return []


class SetPace(Pace):
    """However late this test runs, the loop's lateness is what the test says."""

    def turn(self, began_ns: int, ended_ns: int) -> None: ...

    def set(self, worst_ns: int) -> None:
        super().turn(0, worst_ns)


class End:
    """One end of a link within this process: what was said has arrived, however busy the machine is."""

    def __init__(self, out: deque[LinkMessage], into: deque[LinkMessage]) -> None:
        self._out, self._into = out, into

    def wait(self, timeout_ms: int) -> bool:
        return bool(self._into)

    def send(self, message: LinkMessage) -> bool:
        self._out.append(message)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def receive(self) -> list[LinkMessage]:
        taken = list(self._into)
        self._into.clear()
        return taken


class Bench:
    """A warden with a fake radio, an agent's end of the link, and a clock set by hand."""

    def __init__(
        self,
        folder: Path,
        *,
        rule: Rule = RULE,
        outside: OutsideAuthorisation | None = None,
        armed_for_ns: int = 3600_000_000_000,
        profile: RadioProfile | None = None,
        device: str = "device-alice",
        radio: FakeRadio | None = None,
        door: SampleDoor | None = None,
    ) -> None:
        self.world: World = trio(folder, rule=rule)
        self.artifact = self.world.settle(start_s=2.0, end_s=12.0)
        self.now: Fix = fix(3.0)
        self.radio, self.listener = radio or FakeRadio(), QuietListener()
        self.pace = SetPace()
        self.ring = SampleRing(folder / "tx", slots=8, slot_samples=SAMPLES, create=True)
        there, back = deque[LinkMessage](), deque[LinkMessage]()
        link, self.agent = End(back, there), End(there, back)
        plan = WardenPlan(
            device=device,
            credential=self.world.members["alice"].hash,
            profile=profile or load_radio("simulated"),
            service=Service.of(load_limits("cbrs-b")),
            heartbeat_limit_ns=60_000_000_000,
            armed_for_ns=armed_for_ns,
            frame_ns=1,
            close_lead_ns=15_000_000,
            sample_rate_hz=RATE,
            full_scale=16384,
            full_scale_eirp_mdbm=30_000,
            full_scale_sd_mdb=0,
            attenuation_mdb=0,
        )
        self.warden = Warden(
            plan,
            radio=self.radio,
            link=link,
            transmit_ring=SampleRing(folder / "tx", slots=8, slot_samples=SAMPLES, create=False),
            listener=self.listener,
            outside=outside,
            permits=Permits(network=NETWORK, anchors=self.world.anchors, chain=self.world.chains["alice"]),
            fix=lambda: self.now,
            pace=self.pace,
            door=door,
            monotonic_ns=self.radio.clock,
        )
        self.warden.start()
        samples = ofdm.generate(np.random.default_rng(1), sample_rate_hz=RATE, samples=SAMPLES)
        self.good = np.rint((samples * np.float32(16384 * 10**-0.6)).view(np.float32)).astype(np.int16).reshape(-1, 2)
        self.heard: list[LinkMessage] = []

    def say(self, *messages: LinkMessage) -> None:
        for message in messages:
            assert self.agent.send(message)
        for _ in range(6):
            self.warden.step()
            self.heard += self.agent.receive()

    def beat(self, *incumbents: list[int]) -> None:
        now_ns = self.radio.clock()
        self.say(AgentBeat(said_ns=now_ns, listened_ns=now_ns, incumbents_hz=list(incumbents), cause_ns=1))

    def permit(self) -> None:
        self.beat()
        self.say(NewPermit(artifact=self.artifact))

    @property
    def sid(self) -> bytes:
        return next(iter(self.world.members["alice"].party.user.pairs.values())).sid

    def burst(self, iq: Iq16 | None = None) -> None:
        self.say(Burst(sid=self.sid, ticket=self.ring.write(self.good if iq is None else iq)))

    def changes(self) -> list[tuple[str, str]]:
        return [(m.state, m.reason) for m in self.heard if isinstance(m, GateChange)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.warden.close()


def test_it_mutes_before_anything_else(bench: Bench) -> None:
    assert bench.radio.calls[0] == "mute"


@pytest.mark.feature("R7")
def test_a_verified_permit_opens_and_bursts_are_sent(bench: Bench) -> None:
    bench.permit()
    assert bench.changes()[-1] == ("OPEN", "")
    assert bench.radio.tuned is not None
    assert (bench.radio.tuned.center_hz, bench.radio.tuned.bandwidth_hz) == (3_555_000_000, 10_000_000)
    bench.burst()
    assert [len(iq) for iq in bench.radio.sent] == [SAMPLES]


def other_band(bench: Bench, band: Band) -> None:
    """The permit has another band from here on, as when its user hands a part on or has it back."""
    held = bench.warden._permits.get(bench.sid)
    assert held is not None
    held.permit = replace(held.permit, cell=replace(held.permit.cell, band=band))


WIDE = Band(low_hz=LOWER.low_hz, high_hz=UPPER.high_hz)
HALF = Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 5_000_000)


@pytest.mark.feature("R6", "M10")
@pytest.mark.parametrize("band", [WIDE, HALF], ids=["wider", "narrower"])
def test_a_permit_with_another_band_is_silent_first_and_tuned_afresh(bench: Bench, band: Band) -> None:
    bench.permit()
    bench.radio.calls.clear()
    other_band(bench, band)
    bench.beat()
    assert bench.radio.calls[:2] == ["mute", "tune"]
    assert [c for c in bench.changes() if c[1] == "BAND"] == [("ARMED", "BAND")]
    assert bench.radio.tuned is not None
    assert bench.radio.tuned.center_hz == (band.low_hz + band.high_hz) // 2
    assert bench.radio.tuned.bandwidth_hz == band.high_hz - band.low_hz


@pytest.mark.feature("R6", "M10")
def test_a_burst_that_was_checked_for_another_band_is_not_sent(bench: Bench) -> None:
    bench.permit()
    bench.now = fix(1.0)
    bench.beat()
    bench.burst()
    other_band(bench, WIDE)
    bench.now = fix(3.0)
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")
    assert bench.radio.sent == []
    bench.burst()
    assert len(bench.radio.sent) == 1


@pytest.mark.feature("R6")
def test_without_a_permit_nothing_is_sent(bench: Bench) -> None:
    bench.beat()
    bench.burst()
    assert bench.radio.sent == []
    assert "tune" not in bench.radio.calls
    assert "NO_PERMIT" in {reason for _, reason in bench.changes()}


@pytest.mark.feature("R7")
def test_a_forged_permit_is_refused_by_the_warden_itself(bench: Bench) -> None:
    bench.beat()
    bench.say(NewPermit(artifact=bench.artifact[:-40] + bytes(1) + bench.artifact[-39:]))
    bench.burst()
    assert bench.radio.sent == []
    assert bench.radio.tuned is None


@pytest.mark.feature("R6")
def test_a_loop_that_ran_late_closes_earlier_by_as_much(bench: Bench) -> None:
    bench.permit()
    bench.pace.set(85_000_000)
    bench.now = fix(4.89)
    bench.say()
    assert bench.changes()[-1][0] == "OPEN"
    bench.now = fix(4.91)
    bench.say()
    assert bench.changes()[-1] == ("ARMED", "EXPIRED")
    assert bench.radio.tuned is None


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, WatchedRadio]]:
    radio = WatchedRadio()
    monkeypatch.setattr(DeviceWatch, "start", lambda watch: None)  # asked by the tests themselves
    made = Bench(tmp_path, radio=radio)
    yield made, radio
    made.warden.close()


@pytest.mark.feature("R7")
def test_the_device_hears_from_the_loop_that_silences_it(watched: tuple[Bench, WatchedRadio]) -> None:
    bench, radio = watched
    bench.beat()
    assert radio.beats == 1
    radio.clock.now_ns += load_radio("simulated").watchdog.heartbeat_ms * 1_000_000
    bench.warden.step()
    assert radio.beats == 2


def test_a_device_that_does_not_answer_is_not_waited_for(watched: tuple[Bench, WatchedRadio]) -> None:
    bench, radio = watched
    bench.listener.fault = "no samples"
    bench.beat()
    assert radio.beats == 0


BEAT_NS = load_radio("simulated").watchdog.heartbeat_ms * 1_000_000
UNANSWERED = ["heartbeat", "question"]


def unanswered(bench: Bench, radio: "WatchedRadio", way: str) -> None:
    """One heartbeat, or one question of how the device is set, stays without an answer; then it answers again."""
    asker = bench.warden._chain._watch
    assert asker is not None
    if way == "question":
        radio.silent = True
        asker.ask()
        bench.say()
        radio.silent = False
        asker.ask()
    else:
        radio.deaf = True
        radio.clock.now_ns += BEAT_NS
        bench.say()
        radio.deaf = False
        asker.ask()


@pytest.mark.feature("R9")
@pytest.mark.parametrize("way", UNANSWERED)
def test_one_question_without_an_answer_mutes_and_opens_again_after_a_rest(
    watched: tuple[Bench, WatchedRadio], way: str
) -> None:
    bench, radio = watched
    bench.permit()
    assert bench.changes()[-1] == ("OPEN", "")
    radio.calls.clear()
    unanswered(bench, radio, way)
    assert radio.tuned is None
    assert "tune" not in radio.calls
    assert bench.changes()[-1] == ("LOCKED", "DRIVER")
    bench.beat()
    assert radio.tuned is None, "it rests a second"
    radio.clock.now_ns += transmit.REST_NS
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")


@pytest.mark.feature("R9")
@pytest.mark.parametrize("way", UNANSWERED)
@pytest.mark.parametrize(("apart_s", "latches"), [(1, True), (29, True), (31, False)])
def test_the_third_question_without_an_answer_within_a_minute_latches(
    watched: tuple[Bench, WatchedRadio], way: str, apart_s: int, latches: bool
) -> None:
    bench, radio = watched
    bench.permit()
    for _ in range(3):
        unanswered(bench, radio, way)
        assert radio.tuned is None
        radio.clock.now_ns += apart_s * 10**9
        bench.beat()
    assert (bench.changes()[-1] == ("LATCHED", "DRIVER")) is latches
    assert (radio.tuned is None) is latches
    if latches:
        assert "3 times within 60 s" in str(bench.warden._chain.latched)
        assert bench.warden.clear() is RfState.OFF
        bench.warden.arm(10**12)
        bench.beat()
        unanswered(bench, radio, way)
        assert bench.warden._chain.latched is None, "counted anew after a person looked"


@pytest.mark.feature("R9")
@pytest.mark.parametrize("way", UNANSWERED)
def test_a_device_that_stays_unanswered_through_its_rest_latches(watched: tuple[Bench, WatchedRadio], way: str) -> None:
    bench, radio = watched
    asker = bench.warden._chain._watch
    assert asker is not None
    bench.permit()
    unanswered(bench, radio, way)
    radio.silent = True
    asker.ask()
    bench.beat()
    assert bench.changes()[-1] == ("LOCKED", "DRIVER"), "its rest is not over"
    radio.clock.now_ns += transmit.REST_NS
    bench.beat()
    assert radio.tuned is None
    assert bench.changes()[-1] == ("LATCHED", "DRIVER")
    radio.silent = False
    asker.ask()
    bench.beat()
    assert radio.tuned is None, "a person looks first"


@pytest.mark.feature("R9")
@pytest.mark.parametrize("way", UNANSWERED)
def test_a_rest_that_is_over_is_over(watched: tuple[Bench, WatchedRadio], way: str) -> None:
    """Muted later for another reason, a device that leaves a question unanswered is muted as it is, and not latched."""
    bench, radio = watched
    asker = bench.warden._chain._watch
    assert asker is not None
    bench.permit()
    unanswered(bench, radio, way)
    radio.clock.now_ns += transmit.REST_NS
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")
    bench.now = fix(1.0)
    bench.beat()
    assert radio.tuned is None
    radio.silent = True
    asker.ask()
    bench.beat()
    assert bench.warden._chain.latched is None
    bench.now = fix(3.0)
    radio.silent = False
    asker.ask()
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")


@pytest.mark.feature("R9")
def test_a_question_that_hangs_keeps_the_radio_muted_and_latches_nothing(watched: tuple[Bench, WatchedRadio]) -> None:
    bench, radio = watched
    asker = bench.warden._chain._watch
    assert asker is not None
    bench.permit()
    radio.deaf = True
    radio.clock.now_ns += BEAT_NS
    bench.say()
    radio.deaf = False
    radio.clock.now_ns += 5 * transmit.REST_NS
    bench.beat()
    assert radio.tuned is None
    assert bench.changes()[-1] == ("LOCKED", "DRIVER")
    asker.ask()
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")


@pytest.mark.feature("R9")
@pytest.mark.parametrize("way", UNANSWERED)
def test_a_device_that_does_not_read_back_as_silent_latches_at_once(
    watched: tuple[Bench, WatchedRadio], way: str
) -> None:
    bench, radio = watched
    bench.permit()
    radio.muted_reads = RfState.UNKNOWN
    unanswered(bench, radio, way)
    assert bench.changes()[-1] == ("LATCHED", "DRIVER")


@pytest.mark.feature("R9")
def test_a_heartbeat_that_fails_while_muted_changes_nothing(watched: tuple[Bench, WatchedRadio]) -> None:
    bench, radio = watched
    unanswered(bench, radio, "heartbeat")
    assert radio.tuned is None
    assert bench.warden._chain.latched is None
    assert bench.warden._chain.resting is None


@pytest.mark.feature("R6")
def test_a_device_that_is_slow_to_mute_is_muted_earlier_by_as_much(bench: Bench) -> None:
    bench.radio.mute_takes_ns = 300_000_000
    bench.warden.clear()
    bench.warden.arm(3600_000_000_000)
    bench.permit()
    bench.now = fix(4.69)
    bench.say()
    assert bench.changes()[-1][0] == "OPEN"
    bench.now = fix(4.71)
    bench.say()
    assert bench.changes()[-1] == ("ARMED", "EXPIRED")
    assert bench.radio.tuned is None


@pytest.mark.feature("R7")
def test_the_beat_of_an_open_gate_says_by_when_it_is_silent(bench: Bench) -> None:
    bench.permit()
    bench.now = fix(4.9)
    bench.say()
    bench.heard.clear()
    before_ns = bench.radio.clock()
    while not (beats := [m for m in bench.heard if isinstance(m, WardenBeat)]):
        bench.say()
    silent_by_ns = beats[0].silent_by_ns
    assert beats[0].state == "OPEN"
    assert silent_by_ns is not None
    assert before_ns + 99_000_000 < silent_by_ns < bench.radio.clock() + 100_000_000


def test_bursts_are_cut_to_what_is_left(bench: Bench) -> None:
    bench.permit()
    for at_s, renewed in ((4.9, True), (4.9999, False)):
        bench.now = fix(at_s)
        del renewed
        bench.burst()
    # Lease until 5 s: 100 ms left carries a whole burst, 0.1 ms none, and the gate is shut by then.
    assert [len(iq) for iq in bench.radio.sent] == [SAMPLES]
    assert bench.radio.tuned is None
    bench.now = fix(4.9)
    bench.say()
    bench.radio.clock.now_ns += 10_000_000  # what was offered too late has played by now
    bench.now = fix(4.9847)
    bench.burst()
    assert len(bench.radio.sent[-1]) < SAMPLES


def test_lease_renewal_keeps_it_open(bench: Bench) -> None:
    bench.permit()
    bench.now = fix(5.5)
    bench.say()
    assert bench.changes()[-1] == ("ARMED", "LEASE")
    bench.world.do("holder", 3.6, bench.world.members["holder"].party.tick)
    bench.world.carry(3.6)
    (record,) = [e.record for e in bench.world.members["alice"].effects if isinstance(e, HandLease)]
    bench.say(NewLease(record=record))
    assert bench.changes()[-1] == ("OPEN", "")


CAUSES = ["window", "incumbent", "suspend", "clock", "driver"]


@pytest.mark.feature("R6")
@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_mutes_before_it_is_told(bench: Bench, cause: str) -> None:
    bench.permit()
    bench.burst()
    bench.radio.calls.clear()
    match cause:
        case "window":
            bench.now = fix(12.5)
            bench.say()
        case "incumbent":
            bench.beat([3_554_000_000, 3_556_000_000])
        case "suspend":
            bench.say(Withdraw(sid=bench.sid, reason="PREEMPTED", detail="x", cause_ns=bench.radio.clock()))
        case "clock":
            bench.now = fix(3.0, trusted=False)
            bench.say()
        case _:
            bench.listener.fault = "no samples"
            bench.say()
    assert bench.radio.calls[0] == "mute"
    assert bench.radio.tuned is None
    change = [m for m in bench.heard if isinstance(m, GateChange) and m.previous == "OPEN"][-1]
    assert change.muted_ns is not None
    assert change.reason
    sent = len(bench.radio.sent)
    bench.burst()
    assert len(bench.radio.sent) == sent


def test_an_incumbent_elsewhere_does_not_close_it(bench: Bench) -> None:
    bench.permit()
    bench.beat([3_560_000_000, 3_570_000_000])
    assert bench.changes()[-1] == ("OPEN", "")


@pytest.mark.feature("R9")
@pytest.mark.parametrize("state", [RfState.UNKNOWN, RfState.ON])
def test_a_mute_that_does_not_read_back_latches(bench: Bench, state: RfState) -> None:
    bench.permit()
    bench.radio.muted_reads = state
    bench.now = fix(12.5)
    bench.say()
    assert bench.changes()[-1][0] == "LATCHED"
    bench.radio.muted_reads = RfState.OFF
    bench.now = fix(3.0)
    bench.beat()
    assert bench.changes()[-1][0] == "LATCHED"
    bench.burst()
    assert bench.radio.sent == []


def test_a_readback_that_differs_latches(bench: Bench) -> None:
    bench.radio.lie = True
    bench.permit()
    bench.say()
    assert bench.changes()[-1][0] == "LATCHED"
    assert bench.radio.tuned is None


def test_a_failing_send_latches_and_mutes(bench: Bench) -> None:
    bench.permit()
    bench.radio.broken = True
    bench.burst()
    assert bench.changes()[-1][0] == "LATCHED"
    assert bench.radio.calls[-1] == "mute"


@pytest.mark.attack(16)
def test_an_artifact_for_another_device_opens_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, device="device-bob")
    bench.permit()
    bench.burst()
    assert bench.radio.sent == []
    assert Reason.BINDING in {Reason(reason) for _, reason in bench.changes() if reason}
    bench.warden.close()


@pytest.mark.attack(54)
def test_a_hot_burst_is_refused_and_told(bench: Bench) -> None:
    bench.permit()
    bench.burst((bench.good.astype(np.int32) * 2).clip(-32768, 32767).astype(np.int16))
    assert bench.radio.sent == []
    assert bench.changes()[-1] == ("OPEN", "POWER")
    bench.burst()
    assert len(bench.radio.sent) == 1


def test_usage_is_accounted_once_when_it_is_over(bench: Bench) -> None:
    bench.permit()
    bench.burst()
    bench.burst()
    bench.now = fix(12.5)
    bench.say()
    bench.say()
    (used,) = [m for m in bench.heard if isinstance(m, Used)]
    assert (used.sid, used.bursts, used.airtime_ns) == (bench.sid, 2, 2 * SAMPLES * 10**9 // RATE)


class Granted:
    """An outside authority that has granted a band until an instant."""

    def __init__(self) -> None:
        self.until_ns: int | None = None
        self.asked: list[tuple[Band, int]] = []

    def authorised_until_ns(self, band: Band, max_eirp_mdbm: int) -> int | None:
        self.asked.append((band, max_eirp_mdbm))
        return self.until_ns


ASKING = replace(RULE, outside_authorisation=1)


@pytest.fixture
def authority() -> Granted:
    return Granted()


@pytest.fixture
def asking(tmp_path: Path, authority: Granted) -> Iterator[Bench]:
    made = Bench(tmp_path, rule=ASKING, outside=authority)
    yield made
    made.warden.close()


@pytest.mark.feature("R10")
def test_a_rule_that_asks_for_it_opens_only_with_an_outside_authorisation(asking: Bench, authority: Granted) -> None:
    asking.permit()
    assert asking.changes()[-1] == ("ARMED", "OUTSIDE_AUTHORISATION")
    asking.burst()
    assert asking.radio.sent == []
    authority.until_ns = asking.radio.clock() + 3600 * 10**9
    asking.burst()
    assert asking.changes()[-1] == ("OPEN", "")
    assert asking.radio.sent != []
    assert authority.asked[-1] == (LOWER, 20_000)
    authority.until_ns = asking.radio.clock()
    asking.say()
    assert asking.changes()[-1] == ("ARMED", "OUTSIDE_AUTHORISATION")
    assert asking.radio.tuned is None


@pytest.mark.feature("R10")
def test_without_an_authority_it_stays_closed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rule=ASKING)
    bench.permit()
    assert bench.changes()[-1] == ("ARMED", "OUTSIDE_AUTHORISATION")
    bench.warden.close()


def answer(bench: Bench, **request: object) -> dict[str, object]:
    found = operate(bench.warden, request)
    bench.say()
    return found


@pytest.mark.feature("R6")
def test_an_operator_is_told_the_gates_state_after_the_request(tmp_path: Path) -> None:
    """A disarmed gate was told as OPEN, a cleared one as LATCHED: the answer was of before the gate followed."""
    bench = Bench(tmp_path)
    bench.permit()
    assert operate(bench.warden, {"op": "status"})["state"] == "OPEN"
    assert operate(bench.warden, {"op": "disarm"}) == {"state": "LOCKED", "reason": "NOT_ARMED", "armed_for_s": 0}
    assert operate(bench.warden, {"op": "arm", "for_s": 60})["state"] == "ARMED"
    assert operate(bench.warden, {"op": "stop"})["state"] == "LATCHED"
    assert operate(bench.warden, {"op": "clear"}) == {"state": "LOCKED", "reason": "NOT_ARMED", "armed_for_s": 0}
    bench.warden.close()


@pytest.mark.feature("R6")
def test_it_is_locked_until_an_operator_arms_it_and_for_a_bounded_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, armed_for_ns=0)
    bench.permit()
    assert bench.changes()[-1] == ("LOCKED", "NOT_ARMED")
    bench.burst()
    assert bench.radio.sent == []
    assert "error" in answer(bench, op="arm")
    assert "error" in answer(bench, op="arm", for_s=10**9)
    assert "error" in answer(bench, op="open")
    assert answer(bench, op="status")["state"] == "LOCKED"
    assert answer(bench, op="arm", for_s=60)["armed_for_s"] in (59, 60)
    assert bench.changes()[-1] == ("OPEN", "")
    assert answer(bench, op="disarm")["armed_for_s"] == 0
    assert bench.changes()[-1] == ("LOCKED", "NOT_ARMED")
    assert bench.radio.tuned is None
    bench.warden.close()


@pytest.mark.feature("R8")
def test_bursts_of_a_settlement_that_is_over_are_not_kept(bench: Bench) -> None:
    bench.permit()
    bench.burst()
    assert len(bench.radio.sent) == len(bench.warden._measured) == 1
    bench.say(Withdraw(sid=bench.sid, reason="RELINQUISHED", detail="", cause_ns=1))
    assert len(bench.warden._measured) == 0


@pytest.mark.feature("R9")
def test_a_fault_is_cleared_only_when_silent_and_leaves_it_disarmed(bench: Bench) -> None:
    bench.permit()
    bench.radio.muted_reads = RfState.UNKNOWN
    bench.now = fix(12.5)
    bench.say()
    assert "error" in answer(bench, op="clear")
    assert bench.changes()[-1][0] == "LATCHED"
    bench.radio.muted_reads = RfState.OFF
    bench.now = fix(3.0)
    assert "error" not in answer(bench, op="clear")
    assert bench.changes()[-1] == ("LOCKED", "NOT_ARMED")
    assert bench.radio.tuned is None


def test_a_latched_gate_says_so_once(bench: Bench) -> None:
    bench.radio.lie = True
    bench.permit()
    told = len(bench.changes())
    bench.say()
    bench.say()
    assert len(bench.changes()) == told


def test_a_beat_counts_from_when_it_was_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.permit()
    assert bench.changes()[-1] == ("OPEN", "")
    for said_ns in (1, 2**62):
        stale = AgentBeat(said_ns=said_ns, listened_ns=bench.radio.clock(), incumbents_hz=[[1, 2**40]], cause_ns=None)
        bench.say(stale)
        assert bench.changes()[-1] == ("OPEN", ""), "neither old nor future beats are believed"
    bench.warden.close()


def test_a_flood_of_bursts_does_not_hold_up_a_decision(bench: Bench) -> None:
    """However much is offered, one piece is measured a turn, and a suspension among it acts at once."""
    bench.permit()
    ticket = bench.ring.write(bench.good)
    for _ in range(100):
        bench.agent.send(Burst(sid=bench.sid, ticket=ticket))
    bench.agent.send(Withdraw(sid=bench.sid, reason="REVOKED", detail="x", cause_ns=1))
    turns = 0
    while bench.radio.calls[-1] != "mute":
        bench.warden.step()
        turns += 1
        assert turns < 50, "a turn for each burst"
    assert len(bench.radio.sent) <= turns


def test_a_suspension_before_its_permit_holds(bench: Bench) -> None:
    bench.beat()
    bench.say(Withdraw(sid=bench.sid, reason="REVOKED", detail="x", cause_ns=1))
    bench.say(NewPermit(artifact=bench.artifact))
    assert "OPEN" not in {state for state, _ in bench.changes()}
    assert bench.radio.tuned is None


def test_a_band_this_radio_does_not_have_is_not_tuned(tmp_path: Path) -> None:
    profile = load_radio("simulated")
    narrow = profile.model_copy(update={"tx": profile.tx.model_copy(update={"bw_hz": Range(low=1, high=5_000_000)})})
    bench = Bench(tmp_path, profile=narrow)
    bench.permit()
    assert bench.changes()[-1] == ("ARMED", "BAND")
    assert "tune" not in bench.radio.calls
    bench.warden.close()


OTHERS: list[tuple[str, dict[str, object], str]] = [
    ("device", {"device": "device-bob"}, "BINDING"),
    ("time before", {"at_s": 1.0}, "NOT_YET"),
    ("time after", {"at_s": 13.0}, "EXPIRED"),
    ("place", {"north_m": 30_000}, "SPATIAL_OUTSIDE"),
]


@pytest.mark.attack(54)
@pytest.mark.feature("R6")
@pytest.mark.parametrize(("change", "reason"), [o[1:] for o in OTHERS], ids=[o[0] for o in OTHERS])
def test_a_permit_for_another_device_time_or_place_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    """From the bytes of a settlement: verified, and then refused for what it is not for."""
    bench = Bench(tmp_path, device=str(change.get("device", "device-alice")))
    at_s = change.get("at_s", 3.0)
    assert isinstance(at_s, float)
    here = fix(at_s)
    north_m = change.get("north_m", 0)
    assert isinstance(north_m, int)
    north_e7 = here.position.lat_e7 + round(north_m / 111_000 * 1e7)
    bench.now = replace(here, position=replace(here.position, lat_e7=north_e7))
    bench.permit()
    bench.burst()
    assert ("ARMED", reason) in bench.changes()
    assert "OPEN" not in {state for state, _ in bench.changes()}
    assert (bench.radio.sent, bench.radio.tuned) == ([], None)
    bench.warden.close()


@pytest.mark.attack(54)
def test_samples_for_another_band_are_refused(bench: Bench) -> None:
    """The permit's band is tuned, whatever was meant; samples beside its middle are outside."""
    bench.permit()
    beside = np.exp(2j * np.pi * 7e6 / RATE * np.arange(SAMPLES)).astype(np.complex64)
    bench.burst(np.rint((beside * 2000).view(np.float32)).astype(np.int16).reshape(-1, 2))
    assert bench.radio.sent == []
    assert bench.changes()[-1] == ("OPEN", "MASK")


def test_a_burst_that_would_end_late_is_cut_off(tmp_path: Path) -> None:
    """The device starts it long after it was handed over: silence comes first, then the word."""
    bench = Bench(tmp_path)
    bench.permit()
    bench.radio.late_ns = 3600 * 10**9
    bench.burst()
    assert bench.changes()[-2:] != []
    assert ("ARMED", "EXPIRED") in bench.changes()
    assert "mute" in bench.radio.calls[bench.radio.calls.index("send") :]
    bench.warden.close()


def turned(bench: Bench, name: str = "alice") -> bytes:
    """The rotation that a member signed of its own key."""
    assert turn(bench.world, name, 3.0) is None
    member = bench.world.members[name].party
    (old,) = member.former
    raw = member.lineage.get("rotated", old)
    assert raw is not None
    return raw


def settled_anew(bench: Bench) -> bytes:
    """An artifact that alice settled with her new key, for the other half of the band."""
    world = bench.world
    world.carry(3.0)
    world.request("alice", 3.1, UPPER, 3.2, 12.0)
    world.carry(3.1)
    bench.now = fix(3.3)
    pair = list(world.members["alice"].party.user.pairs.values())[-1]
    artifact = world.members["alice"].party.lineage.get("artifact", pair.sid)
    assert artifact is not None
    return artifact


@pytest.mark.feature("G9")
def test_a_warden_goes_by_the_new_key_once_it_has_verified_the_rotation(bench: Bench) -> None:
    bench.permit()
    assert bench.changes()[-1] == ("OPEN", "")
    rotation = turned(bench)
    bench.say(NewKey(record=rotation))
    assert bench.changes()[-1] == ("OPEN", ""), "what was settled with the old key goes on"
    artifact = settled_anew(bench)
    bench.say(Withdraw(sid=bench.sid, reason="RELINQUISHED", detail="", cause_ns=1), NewPermit(artifact=artifact))
    bench.beat()
    assert bench.changes()[-1] == ("OPEN", "")


@pytest.mark.attack(16)
@pytest.mark.attack(22)
def test_a_rotation_of_somebody_else_changes_nothing(bench: Bench) -> None:
    foreign = turned(bench, "bob")
    mine = turned(bench)
    torn = mine[:-1] + bytes([mine[-1] ^ 1])
    bench.beat()
    for record in (foreign, torn, b"", bench.artifact):
        bench.heard.clear()
        bench.say(NewKey(record=record))
        assert [m.asked for m in bench.heard if isinstance(m, GateChange)] == [True]
    bench.say(NewPermit(artifact=settled_anew(bench)))
    bench.beat()
    assert bench.changes()[-1] != ("OPEN", "")
    assert "BINDING" in {reason for _, reason in bench.changes()}
