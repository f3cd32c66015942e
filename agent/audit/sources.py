"""Resolves the path that a user names, in the same way for every command: a trial's folder, a node, or logs.

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
"""File beside logs: a network's name and a trusted root on each line."""


class AuditError(Exception):
    """There is nothing to verify, or no anchor to verify it with; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsFound:
    """Where the logs are, and the node that they belong to where its configuration says so."""

    path: Path
    node: NodeConfig | None = None


def found_at(path: Path) -> LogsFound:
    """Return where the logs named by a path are. Raises AuditError."""
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
    """Return a node's log: the sealed copy that an ended node left, or the log of a running one. Raises AuditError."""
    sealed, living = node.folder / SEALED, node.folder / LOG
    if sealed.is_file() and (not living.is_file() or not runs(node)):
        return sealed
    if not living.is_file():
        raise AuditError(f"{node.folder}: no log yet; the node has not run, or its clock was never trusted")
    return living


def runs(node: NodeConfig) -> bool:
    """Return whether the node's agent runs, by its state file."""
    status = read_status(node.run_folder)
    return status is not None and dead(status, time.monotonic_ns()) is None
