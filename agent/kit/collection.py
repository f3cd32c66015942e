"""`bandpact kit collect`: every node's sealed log into one folder, from running nodes, node folders or log archives.

Each log is checked before it is kept: it is of this trial and one of its nodes, sealed by that node's own key, it
verifies, and it continues what was gathered before. The folder has the layout of a trial's (`NAME.db` with its seal,
`anchors.txt`), so that every command reads it.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.audit.lineages import AuditError, verify
from agent.audit.sources import ANCHORS
from agent.config.keyfiles import load_chain
from agent.config.settings import ConfigError, load
from agent.kit import folder as kits
from agent.kit.archive import LOGS_MAX, KitRefused, Manifest, OpenedArchive, open_sealed
from agent.kit.doors import Asking, Unreachable
from agent.kit.folder import Trial
from agent.kit.join import NODE_TOML, joined_in
from agent.kit.snapshot import LOGS, logs_of
from agent.kit.status import look, registry_of
from agent.node.events import BEFORE, FILE, WATERFALL
from agent.service.snapshot import read_status
from hw_profiles.wholefile import WholeFile, write_together
from settlement.audit.verify import audit_lineage, raw_entries
from settlement.chain.credentials import Registry, Subject
from settlement.chain.lineage import LineageError

ROUNDS = 6
"""Most times that running nodes are asked, until their copies agree: each copy is made at another instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCollected:
    """One node's log: whether it was collected, its number of records, or why it was not."""

    node: str
    records: int
    why: str


def collect(trial: Trial, sources: Sequence[Path]) -> tuple[Path, list[LogCollected]]:
    """Gather logs into the trial's folder; returns the folder and each node's result. Raises ConfigError.

    A copy of a log takes long: all nodes are asked for their status at once, and one that does not answer is not
    asked for its log.

    Args: sources: node folders and log archives, for nodes that cannot be asked; the others are asked at their doors.
    """
    target = trial.root / kits.LOGS
    target.mkdir(exist_ok=True)
    write_together([WholeFile(path=target / ANCHORS, data=f"{trial.state.network} {trial.state.anchor}\n".encode())])
    found = {one.node: one for one in (_from_path(trial, path, target) for path in sources)}
    asked = [node.name for node in trial.spec.nodes if node.name not in found]
    silent = {one.node: one for one in look(trial, names=asked) if not one.reachable}
    found |= {name: _missing(name, target, one.bad[0]) for name, one in silent.items()}
    asked = [name for name in asked if name not in silent]
    for _ in range(ROUNDS):
        found |= {name: _from_node(trial, name, target) for name in asked}
        if not _apart(target):
            break
    return target, [found[node.name] for node in trial.spec.nodes]


def _apart(target: Path) -> bool:
    """Return whether the copies do not verify together, as when running nodes were copied at different instants."""
    try:
        return bool(verify(target, anchors=None, network=None)["problems"])
    except AuditError:
        return False


def _from_path(trial: Trial, path: Path, target: Path) -> LogCollected:
    """Collect from a node's folder, or from an archive of its logs. Raises ConfigError, KitRefused."""
    if not path.is_dir():
        return _kept(trial, path, target)
    root = path if (path / NODE_TOML).is_file() else path.parent
    joined_in(root)
    config = load(root / NODE_TOML)
    try:
        data = logs_of(config, running=read_status(config.run_folder) is not None)
    except LineageError as exc:
        raise ConfigError(str(exc)) from exc
    return _kept_bytes(trial, data, target)


def _from_node(trial: Trial, name: str, target: Path) -> LogCollected:
    node = trial.spec.node(name)
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    transport = registry_of(trial, node, registry)
    if transport is None:
        return LogCollected(node=name, records=0, why="has not joined")
    try:
        with Asking(node.door, transport, trial.door_key()) as asking:
            return _kept_bytes(trial, asking.logs(), target)
    except (Unreachable, KitRefused) as exc:
        return _missing(name, target, str(exc))


def _missing(name: str, target: Path, why: str) -> LogCollected:
    there = (target / f"{name}.db").is_file()
    return LogCollected(node=name, records=0, why=f"{why}{'; what was gathered before stays' if there else ''}")


def _kept_bytes(trial: Trial, data: bytes, target: Path) -> LogCollected:
    with tempfile.TemporaryDirectory(prefix="bandpact-") as work:
        path = Path(work) / "logs.kit"
        path.write_bytes(data)
        return _kept(trial, path, target)


def _kept(trial: Trial, path: Path, target: Path) -> LogCollected:
    """Check an archive of logs and keep its files. Raises KitRefused, ConfigError."""
    opened = open_sealed(path, LOGS, lambda manifest, _: _sealer(trial, path, manifest), limit=LOGS_MAX)
    name, needed = opened.manifest.node, ("lineage.db", "lineage.seal")
    if any(one not in opened.files for one in needed):
        raise KitRefused(f"{path}: MALFORMED: no log of {name!r} in it; collect it again")
    records = _verified(trial, opened, target / f"{name}.db")
    files = {f"{name}.db": "lineage.db", f"{name}.seal": "lineage.seal", f"{name}.root": "lineage.root"}
    files |= {f"{name}.{one}": one for one in (BEFORE, FILE, WATERFALL)}
    write_together(
        [WholeFile(path=target / to, data=opened.files[at]) for to, at in files.items() if at in opened.files]
    )
    return LogCollected(node=name, records=records, why="")


def _sealer(trial: Trial, path: Path, manifest: Manifest) -> bytes:
    """Return the key of the enrolled node that must have sealed an archive. Raises KitRefused."""
    if manifest.anchor != trial.state.anchor:
        raise KitRefused(f"{path}: WRONG_AUTHORITY: these logs are of another authority's network; collect them there")
    if manifest.trial != trial.state.trial:
        raise KitRefused(f"{path}: OTHER_TRIAL: these logs are of another trial; collect them there")
    chain = trial.chain_of(manifest.node) if manifest.node in trial.enrolled else None
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    subject = registry.admit_chain(load_chain(chain)) if chain is not None else None
    if not isinstance(subject, Subject):
        raise KitRefused(f"{path}: UNINVITED: {manifest.node!r} is none of this trial's enrolled nodes")
    return subject.public


def _verified(trial: Trial, opened: OpenedArchive, before: Path) -> int:
    """Return the number of records of a log; one that does not verify is not kept. Raises KitRefused."""
    with tempfile.TemporaryDirectory(prefix="bandpact-") as work:
        path = Path(work) / f"{opened.manifest.node}.db"
        for ending in ("db", "seal", "root"):
            if f"lineage.{ending}" in opened.files:
                path.with_suffix(f".{ending}").write_bytes(opened.files[f"lineage.{ending}"])
        try:
            audited = audit_lineage(path, network=trial.state.network, anchors=[bytes.fromhex(trial.state.anchor)])
            goes_on = _goes_on(before, path)
        except LineageError as exc:
            raise KitRefused(f"{opened.path}: NOT_A_LINEAGE: {exc}") from exc
    owner = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)]).admit_chain(
        load_chain(trial.chain_of(opened.manifest.node))
    )
    if not isinstance(owner, Subject) or owner.hash not in audited.line:
        raise KitRefused(f"{opened.path}: BINDING: the log in it is not of {opened.manifest.node!r}; collect its own")
    if not audited.ok:
        raise KitRefused(f"{opened.path}: TAMPERED: {audited.findings.problems[0]}; keep it apart, it is evidence")
    if not goes_on:
        raise KitRefused(f"{opened.path}: ROLLBACK: not what {before.name} goes on as; keep it apart, it is evidence")
    return audited.records


def _goes_on(before: Path, now: Path) -> bool:
    """Return whether a log begins with all of it that was gathered before; logs only grow."""
    if not before.is_file():
        return True
    fresh = iter(raw_entries(now))
    return all(next(fresh, None) == old for old in raw_entries(before))
