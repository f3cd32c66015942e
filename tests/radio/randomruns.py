"""Random runs of the real warden against the simulated device in virtual time, judged by the RF oracle.

Everything is drawn from one seed: clock error and bound, place, what the agent says and when, hot, wide and broken
bursts, forged permits, lost renewals, suspensions, a slow or stalled host, a failing or lying device.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from agent.trial.judge import BesideLimits, Judged, JudgedRadio, Live, judge, settlements
from hw_profiles.loader import load_limits, load_radio
from radio import mask
from radio.errors import Disconnected
from radio.link import AgentBeat, Burst, LinkMessage, LookTaken, NewLease, NewPermit, Withdraw
from radio.permits import Permits
from radio.ports import Iq16, RfState, RxBlock, RxSettings, Sent, Span, TxSettings
from radio.ring import SampleRing
from radio.signals import ofdm
from radio.warden import Warden, WardenPlan
from settlement.chain.admission import proven
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.core.fixes import Fix
from settlement.pair.effects import HandLease
from sim import oracle
from sim.device import Begun, CarrierChanged, Device, Ended, Event, OutOfLimits
from sim.stations import Hardware, Station
from tests.settlement.world import LAT, LON, LOWER, NETWORK, NS, RULE, T0, TERMS, UPPER, World, fix, trio

RATE = 15_360_000
SAMPLES = 15_360
FULL_DBM = 40.0
LEAD_NS = 15_000_000
SPAN_NS = 1_500_000_000
MASK = BesideLimits(beside=((0, -13_000), (10_000_000, -25_000)), guarded=((-40_000, 3_530_000_000, 3_720_000_000),))
RUN_RULE = replace(RULE, classes=(replace(TERMS, lease_ns=NS // 2),))


@dataclass(frozen=True)
class Stage:
    """Shared by all runs: one user's settlements with their renewals, as records and as true limits."""

    world: World
    artifacts: tuple[bytes, ...]
    renewals: tuple[tuple[int, bytes], ...]
    lives: tuple[Live, ...]


def stage(folder: Path) -> Stage:
    """Settle four cells for alice, one after another and side by side, and let the holder renew them."""
    world = trio(folder, rule=RUN_RULE)
    world.offer()
    world.carry(0.1)
    wants = [(LOWER, 2.0, 2.6, 20_000), (UPPER, 2.3, 3.0, 24_000), (LOWER, 3.0, 3.2, 10_000), (LOWER, 3.4, 5.0, 22_000)]
    alice = world.members["alice"]
    artifacts = []
    for band, start_s, end_s, eirp_mdbm in wants:
        sid = world.request("alice", 1.0, band, start_s, end_s, eirp_mdbm)
        assert world.carry(1.0) == []
        artifact = alice.party.lineage.get("artifact", sid)
        assert artifact is not None
        artifacts.append(artifact)
    renewals: list[tuple[int, bytes]] = []
    for step in range(100, 500, 10):
        seen = len(alice.effects)
        world.do("holder", step / 100, world.members["holder"].party.tick)
        world.carry(step / 100)
        renewals += [(T0 + step * NS // 100, e.record) for e in alice.effects[seen:] if isinstance(e, HandLease)]
    assert renewals
    return Stage(world, tuple(artifacts), tuple(renewals), _lives(world))


def _lives(world: World) -> tuple[Live, ...]:
    holder = world.members["holder"].party
    registry = world.registry()
    leaves = (decode_leaf(body) for body in holder.lineage.bodies())
    raws = (leaf.record for leaf in leaves if isinstance(leaf, Leaf) and leaf.admitted and leaf.record is not None)
    found = (proven(raw, registry) for raw in raws)
    return tuple(settlements(record for record in found if record is not None).values())


@cache
def waveforms() -> tuple[tuple[str, np.ndarray], ...]:
    """Unit-power samples by kind; their level is set when they are sent."""
    rng = np.random.default_rng(11)

    def made(bandwidth_hz: int) -> np.ndarray:
        return ofdm.generate(rng, sample_rate_hz=RATE, bandwidth_hz=bandwidth_hz, samples=SAMPLES, loop=False)

    at = np.arange(SAMPLES)
    good = [("good", made(10_000_000)) for _ in range(4)] + [("narrow", made(5_000_000)) for _ in range(2)]
    spur = good[0][1] + 10 ** (-25 / 20) * np.exp(2j * np.pi * 5.6e6 / RATE * at)
    moment = good[1][1].copy()
    moment[4000:6048] *= 3.0
    peak = good[2][1].copy()
    peak[7000] = 40.0
    splash = good[3][1].copy()
    splash[5000:5064] += 3 * np.exp(-2j * np.pi * 6.8e6 / RATE * at[:64])
    odd = [("spur", spur), ("moment", moment), ("peak", peak), ("splash", splash)]
    return tuple((kind, iq.astype(np.complex64)) for kind, iq in [*good, *good, *good, *odd])


@dataclass
class Host:
    """Virtual monotonic time: every read advances it, sometimes by a lot."""

    rng: np.random.Generator
    now_ns: int
    stall_chance: float
    longest_ns: int = 0

    def monotonic_ns(self) -> int:
        self.now_ns += int(self.rng.integers(500, 15_000))
        if self.rng.random() < self.stall_chance:
            stall_ns = int(self.rng.integers(1_000_000, 60_000_000))
            self.now_ns += stall_ns
            self.longest_ns = max(self.longest_ns, stall_ns)
        return self.now_ns


@dataclass
class VirtualRadio:
    """The simulated device as radio port, which can be slow, failing or lying."""

    host: Host
    device: Device
    device_id: str
    fail_chance: float
    _iq: dict[int, Iq16] = field(default_factory=dict)
    ended: list[oracle.RadiatedBurst] = field(default_factory=list)

    def _take(self, events: list[Event], iq: Iq16 | None = None) -> None:
        for event in events:
            match event:
                case Begun(segment):
                    if iq is not None:
                        self._iq[segment.burst] = iq
                case Ended(segment):
                    found = oracle.burst(segment, self._iq[segment.burst], self.device.station)
                    self.ended += [found] if found is not None and segment.end_ns > segment.start_ns else []
                case CarrierChanged(carrier):
                    leaked = oracle.leakage(carrier, self.device.station, floor_dbm=-40.0)
                    self.ended += [leaked] if leaked is not None and carrier.end_ns < 2**62 else []

    def _late(self) -> int:
        self.host.now_ns += int(self.host.rng.integers(20_000, 2_000_000))
        return self.host.now_ns

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        return settings

    def receive(self, samples: int) -> RxBlock:
        raise Disconnected("not listened to here")

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        self._broken()
        held, events = self.device.tune_tx(settings, now_ns=self._late())
        self._take(events)
        assert not isinstance(held, OutOfLimits), held
        lies = self.host.rng.random() < self.fail_chance
        return replace(held, attenuation_mdb=held.attenuation_mdb + 250) if lies else held

    def send(self, iq: Iq16) -> Sent:
        self._broken()
        segment, events = self.device.send(len(iq), now_ns=self._late())
        self._take(events, iq)
        assert not isinstance(segment, OutOfLimits), segment
        return Sent(start=Span(earliest_ns=segment.start_ns, latest_ns=segment.start_ns), samples=segment.samples)

    def _broken(self) -> None:
        if self.host.rng.random() < self.fail_chance:
            raise Disconnected("as the run would have it")

    def mute(self) -> RfState:
        self._take(self.device.mute(now_ns=self._late()))
        return RfState.UNKNOWN if self.host.rng.random() < self.fail_chance else RfState.OFF

    def rf_state(self) -> RfState:
        return RfState.ON if self.device.lo_on else RfState.OFF

    def close(self) -> None:
        self.mute()


class VirtualEar:
    """The agent's messages, each at its instant."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.script: deque[tuple[int, LinkMessage]] = deque()
        self.suspended: set[bytes] = set()
        self.told: list[LinkMessage] = []

    def wait(self, timeout_ms: int) -> bool:
        until_ns = self._host.now_ns + timeout_ms * 1_000_000
        due_ns = self.script[0][0] if self.script else until_ns
        self._host.now_ns = max(self._host.now_ns, min(until_ns, due_ns))
        return bool(self.script) and due_ns <= self._host.now_ns

    def send(self, message: LinkMessage) -> bool:
        self.told.append(message)
        return True

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def receive(self) -> list[LinkMessage]:
        arrived = []
        while self.script and self.script[0][0] <= self._host.now_ns:
            message = self.script.popleft()[1]
            arrived.append(message)
            if isinstance(message, Withdraw):
                self.suspended.add(message.sid)
        return arrived


class Quiet:
    """A listener without looks; the heartbeats carry the sensing results."""

    fault: str | None = None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def take(self) -> list[LookTaken]:
        return []


class Run:
    """One random run from one seed."""

    def __init__(self, made: Stage, ring_folder: Path, seed: int) -> None:
        self.stage, self.rng = made, np.random.default_rng(seed)
        rng = self.rng
        self.start_ns = int(rng.integers(1_500, 4_300)) * 1_000_000
        self.host = Host(rng, self.start_ns, float(rng.choice([0.0, 1e-4, 2e-3])))
        self.bound_ns = int(rng.choice([200, 50_000, 900_000, 2_000_000], p=[0.4, 0.3, 0.2, 0.1]))
        self.error_ns = int(rng.integers(-self.bound_ns, self.bound_ns + 1))
        self.mistrust = sorted(int(x) for x in self.start_ns + rng.integers(SPAN_NS // 4, 8 * SPAN_NS, size=2))
        self.north_e7 = int(rng.choice([0, 1_700_000, 1_900_000], p=[0.85, 0.1, 0.05]))
        other = rng.random() < 0.05
        self.antenna = JudgedRadio(
            credential=bytes(32) if other else made.world.members["alice"].hash, lat_e7=LAT + self.north_e7, lon_e7=LON
        )
        station = Station(
            name="alice", lat_deg=0.0, lon_deg=0.0, hardware=Hardware(tx_full_dbm=FULL_DBM, serial="alice")
        )
        self.radio = VirtualRadio(
            self.host,
            Device(station, now_ns=self.start_ns),
            "device-bob" if other else "device-alice",
            float(rng.choice([0.0, 0.02], p=[0.8, 0.2])),
        )
        self.ear = VirtualEar(self.host)
        path = ring_folder / f"ring-{seed}"
        self.ring = SampleRing(path, slots=256, slot_samples=SAMPLES, create=True)
        path.unlink()
        self.warden = self._warden()
        self.suspended: dict[bytes, int] = {}
        self.ear.script = deque(sorted(self._script(), key=lambda one: one[0]))

    def now(self) -> Fix:
        at_ns = self.host.monotonic_ns()
        trusted = not self.mistrust[0] <= at_ns < self.mistrust[1]
        here = fix((at_ns + self.error_ns) / NS, bound_ns=self.bound_ns, trusted=trusted)
        exact = T0 + at_ns + self.error_ns
        time = replace(here.time, earliest_ns=exact - self.bound_ns, latest_ns=exact + self.bound_ns)
        return replace(here, time=time, position=replace(here.position, lat_e7=LAT + self.north_e7))

    def _warden(self) -> Warden:
        plan = WardenPlan(
            device=self.radio.device_id,
            credential=self.stage.world.members["alice"].hash,
            profile=load_radio("simulated"),
            service=mask.Service.of(load_limits("cbrs-b")),
            heartbeat_limit_ns=200_000_000,
            armed_for_ns=int(self.rng.integers(400_000_000, 9_000_000_000)),
            frame_ns=int(self.rng.choice([2_000_000, 10_000_000])),
            close_lead_ns=LEAD_NS,
            sample_rate_hz=RATE,
            full_scale=16_384,
            full_scale_eirp_mdbm=round(FULL_DBM * 1000),
            full_scale_sd_mdb=0,
            attenuation_mdb=0,
        )
        return Warden(
            plan,
            radio=self.radio,
            link=self.ear,
            transmit_ring=self.ring,
            listener=Quiet(),
            permits=Permits(network=NETWORK, anchors=self.stage.world.anchors),
            fix=self.now,
            monotonic_ns=self.host.monotonic_ns,
        )

    def _script(self) -> Iterator[tuple[int, LinkMessage]]:
        rng = self.rng
        for artifact in self.stage.artifacts:
            at_ns = self.start_ns + int(rng.integers(0, SPAN_NS // 6))
            if rng.random() < 0.08:
                broken = bytearray(artifact)
                broken[int(rng.integers(0, len(broken)))] ^= 1
                yield at_ns, NewPermit(artifact=bytes(broken))
            elif rng.random() < 0.95:
                yield at_ns, NewPermit(artifact=artifact)
        for at_utc_ns, record in self.stage.renewals:
            if rng.random() < 0.8:
                yield max(self.start_ns, at_utc_ns - T0 + int(rng.integers(0, 400_000_000))), NewLease(record=record)
        for live in self.stage.lives:
            if rng.random() < 0.15:
                at_ns = self.start_ns + int(rng.integers(0, SPAN_NS))
                yield at_ns, Withdraw(sid=live.sid, reason="REVOKED", detail="", cause_ns=at_ns)
        yield from self._beats()
        yield from self._bursts()

    def _beats(self) -> Iterator[tuple[int, LinkMessage]]:
        silent_ns = self.start_ns + int(self.rng.integers(0, 3 * SPAN_NS))
        radar_ns = self.start_ns + int(self.rng.integers(0, 4 * SPAN_NS))
        for at_ns in range(self.start_ns, self.start_ns + SPAN_NS, 40_000_000):
            if not silent_ns <= at_ns < silent_ns + 300_000_000:
                late_ns = int(self.rng.integers(0, 5_000_000))
                found = [[LOWER.low_hz, LOWER.high_hz]] if at_ns >= radar_ns else []
                beat = AgentBeat(said_ns=at_ns, listened_ns=at_ns - late_ns, incumbents_hz=found, cause_ns=at_ns)
                yield at_ns + late_ns, beat

    def _bursts(self) -> Iterator[tuple[int, LinkMessage]]:
        every_ns = int(self.rng.choice([4_000_000, 20_000_000], p=[0.3, 0.7]))
        for at_ns in range(self.start_ns, self.start_ns + SPAN_NS, every_ns):
            live = self.stage.lives[int(self.rng.integers(0, len(self.stage.lives)))]
            near = [one for one in self.stage.lives if one.window.start_ns - T0 <= at_ns < one.window.end_ns - T0]
            live = near[0] if near and self.rng.random() < 0.9 else live
            _, unit = waveforms()[int(self.rng.integers(0, len(waveforms())))]
            level_dbm = live.max_eirp_mdbm / 1000 + float(self.rng.uniform(-6, 0.7))
            scale = 16_384 * 10 ** ((min(level_dbm - FULL_DBM, -12.0)) / 20)
            length = int(self.rng.integers(2000, SAMPLES))
            pairs = np.rint((unit[:length] * np.float32(scale)).view(np.float32)).clip(-32_768, 32_767)
            ticket = self.ring.write(pairs.astype(np.int16).reshape(-1, 2))
            yield at_ns, Burst(sid=live.sid, ticket=ticket if self.rng.random() < 0.98 else ticket + 1000)

    def go(self) -> list[Judged]:
        """Run to the end; returns what was radiated, judged.

        A host that stalls for longer than the lead cannot switch its oscillator off in time: its leakage (no samples)
        is left out then.
        """
        self.warden.start()
        end_ns = self.start_ns + SPAN_NS
        while self.host.now_ns < end_ns:
            self.warden.step()
            for sid in self.ear.suspended - self.suspended.keys():
                self.suspended[sid] = self.host.now_ns
        self.warden.close()
        # For the judge a suspended permit ends with the turn in which the warden learnt of it.
        ended = {sid: T0 + at_ns for sid, at_ns in self.suspended.items()}
        held_up = self.host.longest_ns > LEAD_NS // 2
        return judge(
            [one for one in self.radio.ended if one.kind == "burst" or not held_up],
            [replace(live, ended_ns=ended.get(live.sid), outcome="suspended") for live in self.stage.lives],
            stations={"alice": self.antenna},
            utc_at_zero_ns=T0,
            service=MASK,
        )
