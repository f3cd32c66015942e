"""The causes that close a gate while both processes live; each function brings one about once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from agent.bench.gate.rig import MS, NS, OPEN_NS, USER, ClosingRound, Rig
from agent.config.settings import load
from agent.timekeeping.simulated import SimulatedClock
from agent.trial.coordinator import write_config
from agent.trial.folder import Layout
from settlement.core.reasons import Reason
from settlement.core.scriptedclock import Outage

WHILE_OPEN_NS = 60 * MS
OUTAGE_NS = 60 * MS
OUTAGE_EVERY_NS = 1500 * MS


def expiry(rig: Rig) -> ClosingRound:
    """End the window; the gate has to decide before that."""
    opened_ns, _ = rig.open(for_ns=OPEN_NS)
    return rig.closed("expiry", cause_ns=None, opened_ns=opened_ns)


def _withdrawn(rig: Rig, cause: str, reason: Reason) -> ClosingRound:
    opened_ns, _ = rig.open(for_ns=4 * OPEN_NS)
    rig.live_until(opened_ns + WHILE_OPEN_NS)
    cause_ns = time.monotonic_ns()
    rig.warden.withdraw(rig.sid, reason, "by the bench")
    return rig.closed(cause, cause_ns=cause_ns, opened_ns=opened_ns)


def revocation(rig: Rig) -> ClosingRound:
    """Withdraw the permit at the warden, as an agent does that learns of a revoked credential."""
    return _withdrawn(rig, "revocation", Reason.REVOKED)


def preemption(rig: Rig) -> ClosingRound:
    """Withdraw the permit at the warden, as an agent does whose holder takes the band back."""
    return _withdrawn(rig, "preemption", Reason.PREEMPTED)


def radar(rig: Rig) -> ClosingRound:
    """Report a radar in the band to the protection, and send its verdict to the warden with a beat at once."""
    opened_ns, _ = rig.open(for_ns=4 * OPEN_NS)
    rig.live_until(opened_ns + WHILE_OPEN_NS)
    cause_ns = time.monotonic_ns()
    rig.protection.found((rig.band.low_hz, rig.band.high_hz), cause_ns)
    rig.warden.beat(cause_ns, at_once=True)
    done = rig.closed("radar", cause_ns=cause_ns, opened_ns=opened_ns)
    rig.protection.until_ns.clear()
    return done


def heartbeat(rig: Rig) -> ClosingRound:
    """Stop the agent's heartbeats; the decision is due when the last one is older than its limit."""
    limit_ns = rig.config.heartbeat_limit_ms * MS
    opened_ns, _ = rig.open(for_ns=4 * OPEN_NS + limit_ns)
    rig.live_until(opened_ns + WHILE_OPEN_NS)
    rig.beating = False
    return rig.closed("heartbeat", cause_ns=None, opened_ns=opened_ns)


def reboot(rig: Rig, cut_power: Callable[[], None]) -> ClosingRound:
    """Cut the device's power; it restarts transmitting, as stock firmware does, and must be muted at once."""
    opened_ns, _ = rig.open(for_ns=4 * OPEN_NS)
    rig.live_until(opened_ns + WHILE_OPEN_NS)
    cause_ns = time.monotonic_ns()
    cut_power()
    done = rig.closed("reboot", cause_ns=cause_ns, opened_ns=opened_ns)
    rig.come_back()
    return done


CAUSES: dict[str, Callable[[Rig], ClosingRound]] = {
    "expiry": expiry,
    "revocation": revocation,
    "preemption": preemption,
    "radar": radar,
    "heartbeat": heartbeat,
}


def with_outages(layout: Layout, rounds: int, *, from_ns: int) -> tuple[Path, list[int]]:
    """Return a user's configuration whose clock fails repeatedly for a moment, and the instants of failure."""
    starts = [from_ns + n * OUTAGE_EVERY_NS for n in range(rounds)]
    path = layout.config_of(USER)
    config = load(path)
    clock = next(source.clock for source in config.clock.sources if isinstance(source, SimulatedClock))
    outages = tuple(
        Outage(from_s=at / NS, to_s=(at + OUTAGE_NS) / NS, lost=True) for at in (s - clock.zero_ns for s in starts)
    )
    values = config.model_dump(mode="json", exclude_none=True, exclude={"clock"})
    source = {"kind": "simulated", "clock": asdict(replace(clock, outages=outages))}
    lost = path.with_name("node-lost.toml")
    write_config(lost, {**values, "clock": {"agree_s": 0.0, "sources": [source]}})
    # The warden compares seconds as floating point, so the instants are computed from those.
    return lost, [round(o.from_s * NS) + clock.zero_ns for o in outages]


def lost_clock(rig: Rig, starts: list[int]) -> Iterator[ClosingRound]:
    """Yield a closing for each instant at which the clock loses its trust."""
    for start_ns in starts:
        rig.live_until(start_ns - OUTAGE_EVERY_NS * 2 // 3)
        opened_ns, _ = rig.open(for_ns=OUTAGE_EVERY_NS * 2 // 3)
        rig.live_until(start_ns - 5 * MS)
        yield rig.closed("clock", cause_ns=start_ns, opened_ns=opened_ns)
