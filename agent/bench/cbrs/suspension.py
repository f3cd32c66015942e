"""Benchmark of a SAS that suspends the node's own radio: from its answer to the last power that the oracle saw.

A real warden with its client towards a real SAS over mutual TLS, on the simulated air. The cause is the instant at
which the SAS made the heartbeat's answer that says 501.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from agent.bench.gate.rig import NS, ClosingRound, Rig, RigFailed
from agent.bench.gate.settler import Settler
from agent.config.settings import load
from agent.trial.coordinator import write_config
from agent.trial.folder import Layout, prepare
from agent.trial.processes import free_ports, stop
from agent.trial.run import Options, scenario_of, start_air, work_folder
from agent.words.spread import spread
from sim.cbrs.pki import SimPki
from sim.cbrs.sas import SasServer, SimSas
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log

MS = 1e6
LIMIT_MS = 100.0
HOLDER, USER = "holder", "user-a"
FCC, SERIAL = "bandpact1", "own"
LEASE_S = 240.0
WINDOW_NS, LAST_NS = 230 * NS, 215 * NS
"""One settlement is used until `LAST_NS` after it opened; then the next is made."""
WHILE_OPEN_NS = 60_000_000
OUTSIDE = "OUTSIDE_AUTHORISATION"


def _layout(root: Path) -> Layout:
    options = Options(scenario="neighbours", seed=7, duration_s=3600.0, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    changed = {"envelope_required": False, "outside_authorisation": True, "lease_s": LEASE_S}
    terms = spec.terms.model_copy(update=changed)
    spec = spec.model_copy(update={"terms": terms})
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=7, duration_s=length_s, ports=ports)


def _below_sas(layout: Layout, server: SasServer, files: dict[str, str]) -> Path:
    path = layout.config_of(USER)
    node = next(one for one in layout.scenario.nodes if one.name == USER)
    place = {
        "latitude": node.lat_deg, "longitude": node.lon_deg, "height": 4, "heightType": "AGL", "horizontalAccuracy": 5,
        "verticalAccuracy": 2, "indoorDeployment": False, "antennaGain": 3,
    }  # fmt: skip
    own = {
        "userId": "bench", "fccId": FCC, "cbsdSerialNumber": SERIAL, "cbsdCategory": "A",
        "airInterface": {"radioTechnology": "E_UTRA"}, "measCapability": [], "installationParam": place,
    }  # fmt: skip
    values = load(path).model_dump(mode="json", exclude_none=True)
    values["sas"] = {"url": server.url, **files, "registration": own}
    made = path.with_name("node-bench.toml")
    write_config(made, values)
    return made


def suspended(rig: Rig, sas: SimSas, opened_ns: int) -> ClosingRound:
    """Do one closing of an open gate: the SAS suspends the grant, and resumes it once the gate has closed."""
    cbsd, sid = f"{FCC}/{SERIAL}", rig.sid
    rig.live_until(opened_ns + WHILE_OPEN_NS)
    seen = len(sas.seen)
    sas.suspended.add(cbsd)
    done = rig.closed("sas suspension", cause_ns=None, opened_ns=opened_ns)
    sas.suspended.discard(cbsd)
    rig.sid = sid
    utc_ns = time.time_ns() - time.monotonic_ns()
    told = [at for at, method, item, answer in sas.seen[seen:] if method == "heartbeat" and _is_501(answer)
            and item.get("cbsdId") == cbsd]  # fmt: skip
    if done.reason != OUTSIDE or not told:
        raise RigFailed(f"the gate closed for {done.reason}, not for the SAS; is this machine overloaded?")
    cause_ns = round(told[0] * NS) - utc_ns
    return ClosingRound(
        cause=done.cause,
        cause_ns=cause_ns,
        decided_ns=done.decided_ns,
        muted_ns=done.muted_ns,
        reason=done.reason,
        opened_ns=done.opened_ns,
        over_ns=done.over_ns,
    )


def _is_501(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("response", {}).get("responseCode") == 501


def measure(rounds: int, talk: Console) -> dict[str, Any]:
    """Have the SAS close the gate `rounds` times. Raises RigFailed, TrialError."""
    with work_folder() as work:
        root = Path(work)
        layout = _layout(root)
        (root / "pki").mkdir()
        pki = SimPki(root / "pki")
        key, certificate = pki.issue("sas", "sas")
        own_key, own_certificate = pki.issue(USER, "cbsd", "operator")
        sas = SimSas(transmit_s=30, heartbeat_s=1)
        server = SasServer(sas, key=key, certificate=certificate, roots=pki.roots, revoked=pki.revoked)
        files = {"key": own_key, "certificate": own_certificate, "roots": pki.roots, "revoked": pki.revoked}
        config = _below_sas(layout, server, {name: str(path) for name, path in files.items()})
        air, _ = start_air(layout)
        settler = Settler(layout, holder=HOLDER, user=USER)
        try:
            rig = Rig(layout, config, settler)
            try:
                rig.await_warden()
                talk.print(f"sas suspension: {rounds} rounds", highlight=False)
                done = _rounds(rig, sas, rounds)
            finally:
                rig.stop()
        finally:
            settler.close()
            server.close()
            stop([air])
        log = [one for one in read_log(layout.oracle_log) if one.radio == USER]
    return _row(done, log)


def _rounds(rig: Rig, sas: SimSas, rounds: int) -> list[ClosingRound]:
    """Do closings one after the other under one settlement, as long as it lasts."""
    done: list[ClosingRound] = []
    while len(done) < rounds:
        opened_ns, _ = rig.open(for_ns=WINDOW_NS)
        first_ns = opened_ns
        while True:
            done.append(suspended(rig, sas, opened_ns))
            if len(done) == rounds or time.monotonic_ns() - first_ns > LAST_NS:
                break
            opened_ns = rig.until("a gate open again", lambda c: c.state == "OPEN" and not c.asked).at_ns
    return done


def _row(rounds: Sequence[ClosingRound], log: Sequence[RadiatedBurst]) -> dict[str, Any]:
    off = [
        max((b.end_ns for b in log if b.end_ns > one.opened_ns and b.start_ns < one.over_ns), default=0)
        for one in rounds
    ]
    found = spread([max(0.0, (end - one.cause_ns) / MS) for end, one in zip(off, rounds, strict=True)])
    decisive = found["p99"] if found["p99"] is not None else found["max"]
    return {
        "what": "sas suspension to RF off", "count": len(rounds), "after_cause_ms": found, "limit_ms": LIMIT_MS,
        "met": decisive is not None and decisive <= LIMIT_MS,
    }  # fmt: skip
