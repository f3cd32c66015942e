"""The checks of `bandpact doctor`: each failure comes with its remedy. Reads only, changes nothing."""

import os
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config.files import load_found
from agent.config.settings import ConfigError, NodeConfig
from agent.doctor.mends import CLOCK_MENDS, MEND
from agent.doctor.pauses import PauseWatch
from agent.service.snapshot import (
    DISK_BYTES_MIN,
    HEARD_AFTER,
    OWN_KEY,
    TOO_FEW_LOOKS,
    gate_now,
    problems,
    read_status,
)
from agent.timekeeping.assembly import timekeeper
from agent.timekeeping.kernel import read_state
from agent.timekeeping.shown import duration, plain
from agent.words.units import degrees_text
from radio.errors import RadioError
from radio.ports import RfState
from radio.priority import PRIORITY

OK, WARN, FAIL = "ok", "warn", "fail"
PEER_S = 0.5
PATIENCE_S = 2.0
LOOKS = 3
LOOK_S = 0.02
GATE_NS = 1_000_000_000
SYSTEM_KINDS = ("chrony", "kernel")
"""Sources that both read the system clock, and so do not check each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check."""

    name: str
    state: str
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All checks, the clock's figures if there is a node, and whether the node could work."""

    checks: tuple[Check, ...]
    clock: dict[str, Any] | None

    @property
    def ready(self) -> bool:
        """Whether no check failed."""
        return all(check.state != FAIL for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain values, for programs."""
        return {"ready": self.ready, "checks": [asdict(check) for check in self.checks], "clock": self.clock}


def diagnose(given: Path | None, *, wait_s: float | None = None) -> Diagnosis:
    """Run all checks; waits up to `wait_s` for the clock, by default a little longer than its sources need to agree."""
    checks = [host_clock()]
    try:
        config = load_found(given)
    except ConfigError as exc:
        missing = Check(name="config", state=FAIL, found=str(exc), mend=MEND["config"])
        return Diagnosis(checks=(missing, *checks), clock=None)
    with PauseWatch() as watch:
        clock = watched(config, config.clock.agree_s + PATIENCE_S if wait_s is None else wait_s)
    checks = [Check(name="config", state=OK, found=f"node {config.name}"), *_keys(config), *checks]
    checks += [
        *_clock(clock),
        _disk(config),
        *_peers(config),
        _radio(config),
        *_binding(config),
        *_samples(config),
        *_dead_man(config),
        *_claims(config),
        *_running(config),
        *_alarms(config),
        *_reach(config),
        _priority(),
        pauses(watch.worst_ns, watch.watched_ns, lead_ns=config.radio.close_lead_us * 1000),
    ]
    return Diagnosis(checks=tuple(checks), clock=clock)


def host_clock() -> Check:
    """Check the kernel's own statement on this machine's clock."""
    try:
        state = read_state()
    except OSError as exc:
        return Check(name="host clock", state=WARN, found=str(exc), mend=MEND["host clock"])
    if not state.synchronised:
        found = f"unsynchronised (status {state.status:#x}, error up to {duration(state.max_error_ns)})"
        return Check(name="host clock", state=WARN, found=found, mend=CLOCK_MENDS["unsynchronised"])
    return Check(name="host clock", state=OK, found=f"synchronised, error up to {duration(state.max_error_ns)}")


def watched(config: NodeConfig, wait_s: float) -> dict[str, Any]:
    """Return the state of a temporary clock on the node's sources, once it is trusted or `wait_s` has passed."""
    keeper = timekeeper(config)
    try:
        end = time.monotonic() + wait_s
        while not (keeper.fix().time.trusted and keeper.fix().position.trusted) and time.monotonic() < end:
            time.sleep(0.05)
        return plain(keeper.state())
    finally:
        keeper.close()


def _clock(clock: dict[str, Any]) -> Iterator[Check]:
    bound = f"{clock['reason']}: bound {duration(clock['bound_ns'])} of {duration(clock['budget_ns'])}"
    left = f", holdover left {duration(clock['holdover_left_ns'])}" if clock["trusted"] else ""
    state = OK if clock["trusted"] else FAIL
    yield Check(name="clock", state=state, found=bound + left, mend="" if state == OK else CLOCK_MENDS[clock["reason"]])
    for source in clock["sources"]:
        found = f"{source['standing']}, {source['note']}, bound {duration(source['bound_ns'])}"
        yield Check(name=f"source {source['name']}", state=OK if source["live"] else WARN, found=found)
    yield from lone_source(clock)
    place = clock["position"]
    here = degrees_text(place["lat_deg"], place["lon_deg"])
    found = f"{place['reason']}: {here} within {place['radius_mm'] / 1000:.1f} m"
    state = OK if place["trusted"] else FAIL
    yield Check(
        name="position", state=state, found=found, mend="" if state == OK else CLOCK_MENDS.get(place["reason"], "")
    )


def lone_source(clock: dict[str, Any]) -> Iterator[Check]:
    """Warn where one source alone determines the time: then a slowly growing error of it is not detected."""
    live = {"system clock" if s["kind"] in SYSTEM_KINDS else s["name"] for s in clock["sources"] if s["live"]}
    if len(live) == 1 and "simulated" not in {s["kind"] for s in clock["sources"]}:
        found = f"only {live.pop()} decides what time it is: a slow lie of it would not be seen"
        mend = MEND["clock sources"]
        yield Check(name="clock sources", state=WARN, found=found, mend=mend)


def _keys(config: NodeConfig) -> Iterator[Check]:
    from agent.config.keyfiles import load_keys
    from agent.node.suited import trust_suited

    for name, look in (("keys", lambda: load_keys(config.folder)), ("credential", lambda: trust_suited(config))):
        try:
            look()
            yield Check(name=name, state=OK, found=str(config.folder))
        except ConfigError as exc:
            found, _, mend = str(exc).partition("; ")
            yield Check(name=name, state=FAIL, found=found, mend=mend)


def _disk(config: NodeConfig) -> Check:
    try:
        free = shutil.disk_usage(config.folder).free
    except OSError as exc:
        return Check(name="disk", state=FAIL, found=f"{config.folder}: {exc.strerror}", mend=MEND["disk folder"])
    enough = free >= DISK_BYTES_MIN
    mend = "" if enough else MEND["disk"]
    return Check(name="disk", state=OK if enough else FAIL, found=f"{free / 1e9:.1f} GB free", mend=mend)


def _peers(config: NodeConfig) -> Iterator[Check]:
    for peer in config.peers:
        parts = urlsplit(peer.endpoint)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 0), PEER_S).close()
            yield Check(name=f"peer {peer.name}", state=OK, found=f"{peer.endpoint} answers")
        except (OSError, ValueError) as exc:
            mend = MEND["peer"]
            yield Check(name=f"peer {peer.name}", state=WARN, found=f"{peer.endpoint}: {exc}", mend=mend)


def _priority() -> Check:
    """Check whether the warden may raise its priority; without, it closes the gate earlier by its own lateness."""
    if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] >= PRIORITY:
        return Check(name="priority", state=OK, found="the warden runs before other processes")
    mend = MEND["priority"]
    return Check(name="priority", state=WARN, found="the warden runs like any other process", mend=mend)


def pauses(worst_ns: int, watched_ns: int, *, lead_ns: int) -> Check:
    """Check whether the host paused all processes for longer than the gate's closing lead while it was watched."""
    if worst_ns <= lead_ns and watched_ns < 50_000_000:  # watched too briefly to judge the host
        return Check(name="pauses", state=OK, found="not watched: the clock was known at once")
    found = f"nothing waited longer than {worst_ns / 1e6:.1f} ms in {watched_ns / 1e9:.1f} s"
    if worst_ns <= lead_ns:
        return Check(name="pauses", state=OK, found=f"{found}; the gate closes {lead_ns / 1e6:g} ms ahead")
    found = f"the host stood still for {worst_ns / 1e6:.1f} ms in {watched_ns / 1e9:.1f} s"
    found += f", the gate closes {lead_ns / 1e6:g} ms ahead: a burst begun just then plays past its end"
    return Check(name="pauses", state=WARN, found=found, mend=MEND["pauses"])


def _radio(config: NodeConfig) -> Check:
    """Check the transmitter's readback; a state that cannot be read does not count as off."""
    radio = config.radio
    where = f"{radio.driver} at {radio.where}"
    for _ in range(LOOKS):
        asked_ns = time.monotonic_ns()
        try:
            state, why = config.radio.rf_state(), "it does not read back"
        except RadioError as exc:
            state, why = RfState.UNKNOWN, str(exc)
        if state is RfState.UNKNOWN:
            mend = MEND["radio"]
            return Check(name="radio", state=FAIL, found=f"{where}: {why}; TX UNKNOWN: treat as ON", mend=mend)
        opened = _gate_open(config, asked_ns)
        found = f"{where}: TX {state.value.upper()}"
        if state is RfState.OFF or opened:
            return Check(name="radio", state=OK, found=found + (", the gate is open" if opened else ""))
    found += ", and no running node says that its gate is open"
    return Check(name="radio", state=FAIL, found=found, mend=MEND["radio on"])


def _binding(config: NodeConfig) -> Iterator[Check]:
    """Check that the credential names this very radio: with another radio the gate never opens."""
    from agent.node.trust import trust_of

    try:
        bound, found = trust_of(config).me.device, config.radio.identity()
    except (ConfigError, RadioError):
        return  # the checks of the credential and of the radio report it
    if found is None or bound is None:
        return
    if found == bound:
        yield Check(name="binding", state=OK, found=f"the credential is for this radio, {found}")
        return
    said = f"BINDING: the credential is for {bound}, and this radio is {found}: its gate will not open"
    mend = MEND["binding"]
    yield Check(name="binding", state=FAIL, found=said, mend=mend)


def _running(config: NodeConfig) -> Iterator[Check]:
    """Check that a running node's agent and gate loop respond; nothing for a node that does not run."""
    status = read_status(config.run_folder)
    process = (status or {}).get("process")
    if status is None or not isinstance(process, int) or not Path(f"/proc/{process}").exists():
        return
    state, why = gate_now(status, time.monotonic_ns())
    if state == "UNKNOWN":
        yield Check(name="running", state=FAIL, found=f"gate UNKNOWN, {why}", mend=MEND["running"])
    else:
        yield Check(name="running", state=OK, found=f"gate {state}, heard now")


def _alarms(config: NodeConfig) -> Iterator[Check]:
    """Report alarms: keys in use in two places, base stations heard after their end, looks not taken."""
    status = read_status(config.run_folder)
    for alarm in (status or {}).get("alarms", ()):
        if HEARD_AFTER in alarm:
            yield Check(name="base station", state=WARN, found=alarm, mend=MEND["base station"])
            continue
        if TOO_FEW_LOOKS in alarm:
            yield Check(name="looks", state=WARN, found=alarm, mend=MEND["looks"])
            continue
        mend = MEND["alarm"]
        yield Check(name="alarm", state=FAIL if alarm.startswith(OWN_KEY) else WARN, found=alarm, mend=mend)


def _samples(config: NodeConfig) -> Iterator[Check]:
    """Check the door for a program's samples: its plan is valid, its socket paths are free or the node's own."""
    from agent.samples.doorcheck import looked_at

    running = read_status(config.run_folder) or {}
    found = looked_at(config, open_=bool((running.get("samples") or {}).get("alive")))
    if found is not None:
        state = {"fault": FAIL, "slow": WARN}.get(found.kind, OK)
        yield Check(name="samples", state=state, found=found.said, mend=found.mend)


def _dead_man(config: NodeConfig) -> Iterator[Check]:
    """Check that the device mutes itself without this host (dead-man); otherwise a Pluto may send for about 70 s."""
    try:
        answers = config.radio.dead_man()
    except RadioError as exc:
        yield Check(name="dead-man", state=WARN, found=f"unknown: {exc}", mend=MEND["dead-man unknown"])
        return
    if answers is None:
        return
    if answers:
        yield Check(name="dead-man", state=OK, found="on the device, and answers")
        return
    found = "none on the device: with its cable pulled or this host dead it may transmit for about 70 s"
    state = FAIL if _promised(config) else WARN
    yield Check(name="dead-man", state=state, found=found, mend=MEND["dead-man"])


def _promised(config: NodeConfig) -> bool:
    """Return whether the profile says that this kind of device has a dead-man of its own."""
    from agent.config.hardware import profile_of

    try:
        return profile_of(config.radio).watchdog.on_device
    except ConfigError:
        return False


def _claims(config: NodeConfig) -> Iterator[Check]:
    """Warn of settings that claim more of the hardware than its profile supports."""
    from agent.doctor.powered import doubtful

    for one in doubtful(config):
        yield Check(name=one.name, state=WARN, found=one.found, mend=one.mend)


def _reach(config: NodeConfig) -> Iterator[Check]:
    """Check whether other users of this host can reach the radio past the gate: its daemon asks for no password."""
    from agent.doctor.reach import tried

    found = tried(config)
    if found is None:
        return
    closed = MEND["radio's door"]
    if found.connected is None:
        yield Check(name="radio's door", state=WARN, found="the device does not answer: nothing to try", mend=closed)
    elif found.ours:
        shared = (
            "the warden's own user, which must reach it" if config.warden.apart else "agent and warden share a user"
        )
        yield Check(name="radio's door", state=WARN, found=f"tried as {shared}", mend=f"ask as root; {closed}")
    elif found.connected:
        said = f"open: user {found.user} of this host reaches the device's daemon, past the gate"
        yield Check(name="radio's door", state=WARN, found=said, mend=closed)
    else:
        yield Check(name="radio's door", state=OK, found=f"closed to user {found.user}")


def _gate_open(config: NodeConfig, asked_ns: int) -> bool:
    """Return whether a running node reported its gate open after `asked_ns` (monotonic), as it may just have opened."""
    deadline_ns = asked_ns + GATE_NS
    while True:
        status = read_status(config.run_folder)
        if status is None or problems(status).keys() & {"agent", "radio"}:
            return False
        if status["gate"]["mono_ns"] >= asked_ns or time.monotonic_ns() > deadline_ns:
            return bool(status["gate"]["state"] == "OPEN")
        time.sleep(LOOK_S)
