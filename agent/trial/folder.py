"""Creates a trial's folder: keys, credentials, rule and configuration of every node, and the air's."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.config.keyfiles import write_chain
from agent.trial.auctionplans import auction_tables
from agent.trial.basestations import TrialCbrs, device_for
from agent.trial.coordinator import Issued, TrialAuthority, write_config
from agent.trial.spec import TrialSpec
from sim.scenario import Scenario, ScenarioNode
from sim.stations import Emitter, Hardware, Station

NETWORK = "trial"
WORDS = "words"
PLUTO_GUARD_US = 10_000
"""Time in us that a burst takes to a Pluto over a network, plus half as much."""
ARM_MAX_S, ARM_SPARE_S = 86_400.0, 600.0
LOOK_OFFSET_US, LOOK_STEP_US, LOOK_STEPS = 6_000, 4_000, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Paths of one run's files, and the credentials issued."""

    root: Path
    scenario: Scenario
    spec: TrialSpec
    seed: int
    duration_s: float
    utc_at_zero_ns: int
    anchor: str
    nodes: tuple[Issued, ...]
    ports: tuple[int, ...]
    desk: TrialAuthority
    cbrs: TrialCbrs | None = None
    """Base stations below and the SAS above; None without them."""
    pluto_ports: tuple[int, ...] = ()
    """Port of each node's simulated Pluto; empty where nodes have simulated radios without one."""

    @property
    def air_endpoint(self) -> str:
        """Endpoint of the simulated air."""
        return f"ipc://{self.root}/air"

    @property
    def start_file(self) -> Path:
        """File that appears when the trial starts."""
        return self.root / "start.json"

    @property
    def oracle_log(self) -> Path:
        """File with the emissions that the oracle recorded."""
        return self.root / "oracle.json"

    def config_of(self, name: str) -> Path:
        """Return the path of a node's configuration file."""
        return self.root / name / "node.toml"


def stretched(scenario: Scenario, scale: float) -> tuple[Emitter, ...]:
    """Return the emitters with their times scaled to the run's length."""
    return tuple(
        Emitter(**{**_fields(e), "start_s": e.start_s * scale, "stop_s": e.stop_s * scale if e.stop_s else None})
        for e in scenario.emitters
    )


def _fields(emitter: Emitter) -> dict[str, Any]:
    return {name: getattr(emitter, name) for name in emitter.__slots__}


def prepare(
    root: Path,
    scenario: Scenario,
    spec: TrialSpec,
    *,
    seed: int,
    duration_s: float,
    ports: list[int],
    pluto_ports: Sequence[int] = (),
    status: Mapping[str, int] | None = None,
    cbrs: TrialCbrs | None = None,
) -> Layout:
    """Create everything that the nodes need; fixes the clocks' mapping from monotonic time to UTC.

    `status`: indices in the authority's status list, for nodes that may be revoked.
    """
    indices = status or {}
    centre = scenario.first("holder")
    coordinator = TrialAuthority(
        spec, network=NETWORK, lat_e7=round(centre.lat_deg * 1e7), lon_e7=round(centre.lon_deg * 1e7)
    )
    stations = scenario.air_config().stations
    issued = tuple(
        coordinator.enrol(
            node.name,
            node.role,
            device_for(spec, node.name) or device_of(station, pluto=bool(pluto_ports)),
            root / node.name,
            status_index=indices.get(node.name),
        )
        for node, station in zip(scenario.nodes, stations, strict=True)
    )
    layout = Layout(
        root=root,
        scenario=scenario,
        spec=spec,
        seed=seed,
        duration_s=duration_s,
        utc_at_zero_ns=time.time_ns() - time.monotonic_ns(),
        anchor=coordinator.anchor,
        nodes=issued,
        ports=tuple(ports),
        desk=coordinator,
        pluto_ports=tuple(pluto_ports),
        cbrs=cbrs,
    )
    rule = coordinator.make_rule(duration_s)
    words = coordinator.members_word(issued, duration_s)
    for number, node in enumerate(scenario.nodes):
        _write_node(layout, number, node, rule, words)
    return layout


def device_of(station: Station, *, pluto: bool) -> str:
    """Return the identity of a node's radio, as it reports it."""
    return f"pluto {station.hardware.serial}" if pluto else f"bandpact-sim {station.hardware.serial}"


def _write_node(layout: Layout, number: int, node: ScenarioNode, rule: tuple[bytes, ...], word: bytes | None) -> None:
    folder = layout.root / node.name
    (folder / "run").mkdir()
    (folder / "peers").mkdir()
    write_chain(folder / "rule.signed", rule)
    if word is not None:
        (folder / WORDS).mkdir()
        (folder / WORDS / "members.signed").write_bytes(word)
    for peer in layout.nodes:
        if peer.name != node.name:
            write_chain(folder / "peers" / f"{peer.name}.chain", peer.chain)
    write_config(layout.config_of(node.name), _config(layout, number, node, folder))


def _config(layout: Layout, number: int, node: ScenarioNode, folder: Path) -> dict[str, Any]:
    spec, scale = layout.spec, layout.duration_s / layout.spec.duration_s
    clock = layout.scenario.clock(node.name, utc_at_zero_ns=layout.utc_at_zero_ns, zero_ns=0)
    values: dict[str, Any] = {
        "name": node.name,
        # An attacker is configured as a user is: it is another program, not another kind of node.
        "role": "holder" if node.role == "holder" else "user",
        "network": NETWORK,
        "listen": f"tcp://127.0.0.1:{layout.ports[number]}",
        "folder": str(folder),
        "run_folder": str(folder / "run"),
        "anchors": [layout.anchor],
        "rule": str(folder / "rule.signed"),
        "area_radius_mm": int(spec.area_radius_m * 500),
        "start_file": str(layout.start_file),
        "radio": _radio(layout, number, node),
        "place": {"lat_e7": round(node.lat_deg * 1e7), "lon_e7": round(node.lon_deg * 1e7)},
        "clock": {"agree_s": 0.0, "sources": [{"kind": "simulated", "clock": asdict(clock)}]},
        "channels": [{"low_hz": low, "high_hz": high} for low, high in spec.channels_hz],
        "samples": _samples(layout, node),
        "peers": [
            {
                "name": peer.name,
                "endpoint": f"tcp://127.0.0.1:{port}",
                "chain": str(folder / "peers" / f"{peer.name}.chain"),
            }
            for peer, port in zip(layout.nodes, layout.ports, strict=True)
            if peer.name != node.name
        ],
    }
    values |= layout.cbrs.tables(node.name) if layout.cbrs is not None else {}
    values["offers"] = [
        o.model_dump(exclude_none=True) for o in spec.offers_of(node.name, scale=scale, duration_s=layout.duration_s)
    ]
    hands = spec.hands_of(node.name, scale=scale)
    values["leases"] = {"hands": [h.model_dump(exclude_none=True) for h in hands]}
    values |= auction_tables(spec.auctions, spec.bids, node.name, commodity=spec.terms.commodity, scale=scale)
    if spec.group is not None:
        values["words"] = str(folder / WORDS)
    values["wants"] = [w.model_dump(exclude_none=True) for w in spec.wants_of(node.name, scale=scale)]
    return values


def _samples(layout: Layout, node: ScenarioNode) -> dict[str, Any]:
    program = layout.spec.program_of(node.name)
    if program is None:
        return {"source": "ofdm"}
    rate = {} if program.sample_rate_hz is None else {"sample_rate_hz": program.sample_rate_hz}
    return {"source": "program", **rate, "guard_us": PLUTO_GUARD_US if layout.pluto_ports else 0}


def _radio(layout: Layout, number: int, node: ScenarioNode) -> dict[str, Any]:
    radio = layout.scenario.radio
    device: dict[str, Any] = {"endpoint": layout.air_endpoint, "station": node.name}
    if layout.pluto_ports:
        device = {
            "driver": "pluto",
            "profile": "pluto-ad9363",
            "simulated": True,
            "uri": f"ip:127.0.0.1:{layout.pluto_ports[number]}",
        }
    program = layout.spec.program_of(node.name)
    framed = {} if program is None else {"frame_us": program.frame_us, "burst_us": program.burst_us}
    return {
        **device,
        "rx_center_hz": radio.center_hz,
        "sample_rate_hz": radio.sample_rate_hz,
        "rx_bandwidth_hz": radio.bandwidth_hz,
        "rx_gain_mdb": radio.gain_mdb,
        "rx_full_scale_mdbm": round(1000 * Hardware().rx_full_scale_dbm) - radio.gain_mdb,
        "noise_figure_mdb": round(1000 * node.noise_figure_db),
        # No operator arms a trial's radios: they are armed for the run's length and the start-up time.
        "arm_for_s": min(ARM_MAX_S, layout.duration_s + ARM_SPARE_S),
        # A holder does not transmit, so a different frame length lets its looks meet the others' transmissions.
        "frame_us": 19_000 if node.role == "holder" else 20_000,
        # Nodes that neither protect nor transmit need not look in every frame.
        "look_every": 1 if node.role in ("holder", "user") else 10,
        # All looks lie in the quiet part of the frame, but staggered: one simulated air serves them in turn.
        "look_offset_us": LOOK_OFFSET_US + LOOK_STEP_US * (number % LOOK_STEPS),
        "full_scale_eirp_mdbm": round((node.tx_max_dbm + node.antenna_gain_dbi) * 1000),
        **framed,
    }
