"""Collects the results of a finished run: audited lineages, signed records, events, and the oracle's log."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audit.sources import ANCHORS, SEALED
from agent.node.events import read_events
from agent.trial.folder import NETWORK
from agent.trial.judge import BesideLimits, Judged, JudgedRadio, Live, hand_on, judge, settlements
from agent.trial.processes import TrialError
from agent.trial.run import Finished
from settlement.audit.crosscheck import cross_check
from settlement.audit.findings import Audited, Findings
from settlement.audit.lease import LogEntry, read_entries
from settlement.audit.seal import root_path, seal_path
from settlement.audit.verify import audit_lineage, entries, raw_entries
from settlement.chain.admission import proven
from settlement.chain.credentials import Registry
from settlement.chain.leaf import Leaf
from settlement.chain.records import Record
from sim.oracle import RadiatedBurst
from sim.oraclelog import read_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All data from which the result and the report are made."""

    finished: Finished
    folder: Path
    audited: tuple[Audited, ...]
    crossed: Findings
    leaves: dict[str, list[Leaf]]
    entries: dict[str, list[LogEntry]]
    records: dict[str, list[Record]]
    lives: tuple[Live, ...]
    judged: tuple[Judged, ...]
    events: dict[str, list[dict[str, Any]]]
    credentials: dict[str, bytes]

    def name_of(self, credential: bytes) -> str:
        """Return a node's name by its credential."""
        return next((name for name, held in self.credentials.items() if held == credential), credential.hex()[:8])

    def seconds(self, utc_ns: int) -> float:
        """Convert UTC (ns) to seconds from the start signal."""
        layout = self.finished.layout
        return (utc_ns - layout.utc_at_zero_ns - self.finished.zero_ns) / 1e9


def keep(finished: Finished, target: Path) -> None:
    """Copy what is kept after the run: each node's sealed lineage, and the trust anchor. Raises TrialError."""
    for issued in finished.layout.nodes:
        sealed = issued.folder / SEALED
        if not sealed.is_file():
            raise TrialError(f"{issued.name} left no sealed lineage; see its messages above")
        copy = target / f"{issued.name}.db"
        shutil.copyfile(sealed, copy)
        shutil.copyfile(seal_path(sealed), seal_path(copy))
        shutil.copyfile(root_path(sealed), root_path(copy))
    (target / ANCHORS).write_text(f"{NETWORK} {finished.layout.anchor}\n", encoding="utf-8")


def _oracle(finished: Finished) -> list[RadiatedBurst]:
    try:
        return read_log(finished.layout.oracle_log)
    except (OSError, ValueError) as exc:
        raise TrialError(f"the oracle left no log ({exc}); the air ended too early") from exc


def collect(finished: Finished, folder: Path) -> Collected:
    """Audit and read the kept lineages, and judge the oracle's emissions by them. Raises TrialError."""
    layout = finished.layout
    anchors = [bytes.fromhex(layout.anchor)]
    paths = {issued.name: folder / f"{issued.name}.db" for issued in layout.nodes}
    audited = tuple(audit_lineage(p, network=NETWORK, anchors=anchors) for p in paths.values())
    leaves = {name: list(entries(path)) for name, path in paths.items()}
    registry = Registry(NETWORK, anchors)
    for issued in layout.nodes:
        registry.admit_chain(issued.chain)
    records = {name: _records(held, registry) for name, held in leaves.items()}
    credentials = {s.name: s.hash for s in registry.subjects()}
    granting = ("holder", "user")  # a user too grants what it hands on of its own lease
    holders = [node.name for node in layout.scenario.nodes if node.role in granting and node.name in credentials]
    lives = tuple(live for one in holders for live in settlements(records[one], credentials[one]).values())
    hand_on(lives, [record for one in holders for record in records[one]])
    return Collected(
        finished=finished,
        folder=folder,
        audited=audited,
        crossed=cross_check(list(audited)),
        leaves=leaves,
        entries={name: logged(paths[name], anchors) for name in paths},
        records=records,
        lives=lives,
        judged=tuple(
            judge(
                _oracle(finished),
                lives,
                stations=_antennas(finished, credentials),
                utc_at_zero_ns=layout.utc_at_zero_ns,
                service=BesideLimits(beside=((0, round(layout.spec.terms.out_of_band_dbm_per_mhz * 1000)),)),
            )
        ),
        events={issued.name: read_events(issued.folder) for issued in layout.nodes},
        credentials=credentials,
    )


def _antennas(finished: Finished, credentials: dict[str, bytes]) -> dict[str, JudgedRadio]:
    """Return each radio's node, and its true position from the scenario."""
    nodes = {
        node.name: JudgedRadio(
            credential=credentials[node.name],
            lat_e7=round(node.lat_deg * 1e7),
            lon_e7=round(node.lon_deg * 1e7),
        )
        for node in finished.layout.scenario.nodes
        if node.name in credentials
    }
    cbrs = finished.layout.spec.cbrs
    below = {one.name: nodes[one.node] for one in (cbrs.stations if cbrs is not None else []) if one.node in nodes}
    return {**nodes, **below}


def logged(path: Path, anchors: Sequence[bytes]) -> list[LogEntry]:
    """Return the entries of a kept lineage, verified by the credentials in it."""
    return list(read_entries(enumerate(raw_entries(path)), Registry(NETWORK, anchors)))


def _records(leaves: Sequence[Leaf], registry: Registry) -> list[Record]:
    kept = (leaf.record for leaf in leaves if leaf.admitted and leaf.record is not None)
    found = (proven(raw, registry) for raw in kept)
    return [record for record in found if record is not None]
