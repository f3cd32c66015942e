"""What a user points at, read alike by every command: a trial's folder, a node's folder or its node.toml, a log.

a coordinator's folder (trial.json)   the logs that `kit collect` gathered into it
a node's folder, or its node.toml     its sealed log; its living log while it runs; network and anchor from node.toml
a folder of logs (*.db)               all of them; a trial's report folder is one
one log (*.db), a .bundle             itself
"""

import time
from dataclasses import dataclass
from pathlib import Path

from agent.config.files import node_file
from agent.config.settings import ConfigError, NodeConfig, load
from agent.service.snapshot import dead, read_status
from agent.words.shell import quoted

NODE_TOML, STATE, LOGS, LOG, SEALED = "node.toml", "trial.json", "logs", "lineage.db", "sealed.db"
ANCHORS = "anchors.txt"
"""Beside logs: a network's name and a trusted root on each line."""


class AuditError(Exception):
    """There is nothing to verify, or nothing to verify it with: one line with the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsFound:
    """Where the logs lie, and the node whose they are where that is known from its configuration."""

    path: Path
    node: NodeConfig | None = None


def found_at(path: Path) -> LogsFound:
    """Where the logs are that a user means. Raises AuditError."""
    if path.is_dir() and (path / STATE).is_file():
        gathered = path / LOGS
        if not gathered.is_dir():
            raise AuditError(f"{path}: no logs gathered yet; run: bandpact kit collect --trial {quoted(path)}")
        return LogsFound(path=gathered)
    config = node_file(path)
    if not config.is_file() or config.suffix != ".toml":
        return LogsFound(path=path)
    try:
        node = load(config)
    except ConfigError as exc:
        raise AuditError(str(exc)) from exc
    return LogsFound(path=log_of(node), node=node)


def log_of(node: NodeConfig) -> Path:
    """A node's log: the sealed copy that it left when it ended, or the living one while it runs. Raises AuditError."""
    sealed, living = node.folder / SEALED, node.folder / LOG
    if sealed.is_file() and (not living.is_file() or not runs(node)):
        return sealed
    if not living.is_file():
        raise AuditError(f"{node.folder}: no log yet; the node has not run, or its clock was never trusted")
    return living


def runs(node: NodeConfig) -> bool:
    """Does the node's agent live, as far as the state it leaves says?"""
    status = read_status(node.run_folder)
    return status is not None and dead(status, time.monotonic_ns()) is None
