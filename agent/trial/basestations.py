"""Base stations and the SAS of a trial: certificates, tables in the nodes' configurations, processes.

The SAS is a thread of the trial's own process, so that its grants are at hand when the run is judged; each base
station, and the endpoint it talks to, is a process.
"""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.trial.processes import Child, spawn, write_json
from agent.trial.spec import BaseStationPlan, TrialSpec
from radio.cbrs.identity import identity, several
from radio.cbrs.power import density_mdbm_per_mhz
from sim.cbrs.pki import SimPki
from sim.cbrs.sas import SasServer, SimSas
from sim.stations import Hardware, Station

FCC = "bandpact1"
ENDPOINT, STATION = "agent.cbrs.serve", "sim.cbrs.station"
BURST_RATE_HZ = 30_720_000
TX_MAX_DBM = 28.0


def device_for(spec: TrialSpec, node: str) -> str | None:
    """Return the device that a node's credential names where it has a base station below."""
    plan = spec.station_of(node)
    if plan is None:
        return None
    listed = [identity(FCC, one) for one in serials(plan)]
    return listed[0] if len(listed) == 1 else several(listed)


def serials(plan: BaseStationPlan) -> list[str]:
    """Return the serial numbers that a plan stands for."""
    return [plan.name, *(f"{plan.name}-{number}" for number in range(2, plan.count + 1))]


def registration(plan: BaseStationPlan, lat_deg: float, lon_deg: float) -> dict[str, Any]:
    """Return a base station's registrationRequest."""
    place = {
        "latitude": lat_deg, "longitude": lon_deg, "height": 4, "heightType": "AGL", "horizontalAccuracy": 5,
        "verticalAccuracy": 2, "indoorDeployment": False, "antennaGain": 3,
    }  # fmt: skip
    return {
        "userId": "trial", "fccId": FCC, "cbsdSerialNumber": plan.name, "cbsdCategory": "A",
        "airInterface": {"radioTechnology": "E_UTRA"}, "measCapability": [], "installationParam": place,
    }  # fmt: skip


@dataclass(slots=True)
class TrialCbrs:
    """All CBRS parts of one run; `ports` are the SAS's and then each endpoint's."""

    root: Path
    spec: TrialSpec
    ports: tuple[int, ...]
    sas: SimSas
    server: SasServer

    @classmethod
    def made(cls, root: Path, spec: TrialSpec, ports: list[int]) -> "TrialCbrs":
        """Make all certificates, and start the SAS."""
        assert spec.cbrs is not None  # noqa: S101 - asked for by the caller
        folder = root / "pki"
        folder.mkdir()
        pki = SimPki(folder)
        key, certificate = pki.issue("sas", "sas")
        for plan in spec.cbrs.stations:
            pki.issue(f"node-{plan.node}", "sas", "operator")
            pki.issue(plan.name, "cbsd")
        sas = SimSas(transmit_s=spec.cbrs.transmit_s, heartbeat_s=spec.cbrs.heartbeat_s)
        server = SasServer(sas, key=key, certificate=certificate, roots=pki.roots, revoked=pki.revoked, port=ports[0])
        return cls(root, spec, tuple(ports), sas, server)

    def _files(self, name: str) -> dict[str, str]:
        folder = self.root / "pki"
        return {
            "key": str(folder / f"{name}.key"), "certificate": str(folder / f"{name}.crt"),
            "roots": str(folder / "root.pem"), "revoked": str(folder / "root.crl"),
        }  # fmt: skip

    def tables(self, node: str) -> dict[str, Any]:
        """Return the `[sas]` and `[cbsd]` tables of a node; none without a base station below."""
        plan, cbrs = self.spec.station_of(node), self.spec.cbrs
        if plan is None or cbrs is None:
            return {}
        files = self._files(f"node-{node}")
        return {
            "sas": {"url": self.server.url, **files},
            "cbsd": {
                **files, "port": self.ports[1 + cbrs.stations.index(plan)],
                "devices": [{"fcc": FCC, "serial": one} for one in serials(plan)],
                "horizon_s": cbrs.horizon_s, "silent_within_s": cbrs.silent_within_s,
            },
        }  # fmt: skip

    def client_context(self, name: str) -> ssl.SSLContext:
        """Return a TLS client context with a named certificate, for connections to an endpoint."""
        files = self._files(name)
        made = ssl.create_default_context(cafile=files["roots"])
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(files["certificate"], files["key"])
        return made

    def stations(self, nodes: tuple[Station, ...]) -> tuple[Station, ...]:
        """Return the base stations on the air, each beside its node."""
        by_name = {one.name: one for one in nodes}
        cbrs = self.spec.cbrs
        return tuple(
            replace(
                by_name[plan.node],
                name=plan.name,
                hardware=Hardware(serial=f"CBSD-{plan.name}", tx_full_dbm=TX_MAX_DBM),
                antenna_gain_dbi=3.0,
            )
            for plan in (cbrs.stations if cbrs is not None else [])
        )

    def endpoints(self, config_of: Any) -> list[Child]:
        """Start the endpoints that base stations talk to."""
        assert self.spec.cbrs is not None  # noqa: S101 - there is one where this is made
        return [
            spawn(f"endpoint-{plan.node}", ENDPOINT, config_of(plan.node), self.root)
            for plan in self.spec.cbrs.stations
        ]

    def begin(self, air: str, places: dict[str, tuple[float, float]], zero_utc_s: float, scale: float) -> list[Child]:
        """Start the base stations, and tell the SAS which one to suspend and when."""
        cbrs = self.spec.cbrs
        assert cbrs is not None  # noqa: S101 - there is one where this is made
        self.sas.suspend_from = {f"{FCC}/{cbrs.suspend}": zero_utc_s + cbrs.suspend_s * scale}
        made = []
        for number, plan in enumerate(cbrs.stations):
            width_hz = plan.high_hz - plan.low_hz
            config = self.root / f"{plan.name}.json"
            files = self._files(plan.name)
            write_json(config, {
                **files, "port": self.ports[1 + number], "air": air, "station": plan.name,
                "registration": registration(plan, *places[plan.node]),
                "operation": {
                    "maxEirp": density_mdbm_per_mhz(plan.eirp_dbm, width_hz) / 1000,
                    "operationFrequencyRange": {"lowFrequency": plan.low_hz, "highFrequency": plan.high_hz},
                },
                "log": str(self.root / f"{plan.name}.log"), "rate_hz": BURST_RATE_HZ, "full": 16384,
                # 12 dB back-off of the burst, and the excess of full output over the wanted EIRP.
                "attenuation_mdb": max(0, round((TX_MAX_DBM + 3.0 - 12.0 - plan.eirp_dbm + 1.0) * 4) * 250),
                "seed": number, "deaf": plan.deaf,
            })  # fmt: skip
            made.append(spawn(plan.name, STATION, config, self.root))
        return made

    def close(self) -> None:
        """Stop the SAS."""
        self.server.close()
