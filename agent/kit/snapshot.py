"""Makes a sealed copy of a running node's log, of all that is durable now, in the form that an ended node leaves.

The log itself is only read. The copy is sealed with the node's own key, which is why the node makes it.
"""

import tempfile
from pathlib import Path

import apsw

from agent.config.keyfiles import read_key
from agent.config.settings import NodeConfig
from agent.kit.archive import sealed
from agent.kit.join import joined_in
from agent.node.events import BEFORE, FILE, WATERFALL
from hw_profiles.smallfile import read_small
from settlement.audit.seal import root_path, seal_path, write_root, write_seal
from settlement.chain.checkpoint import origin_of
from settlement.chain.lineage import Lineage, LineageError

LOGS = "logs"
LOG, SEALED = "lineage.db", "sealed.db"
BESIDE_MAX = 256 << 20
"""Largest size in bytes of the files added: two event files of 64 MiB, a waterfall."""


def copy_sealed(config: NodeConfig, folder: Path) -> Path:
    """Write a sealed copy of the running node's log into a folder; returns it. Raises LineageError, ConfigError."""
    key = read_key(config.folder / "sign.key")
    origin = origin_of(config.network, key.public)
    raw, target = folder / "copy.db", folder / f"{config.name}.db"
    try:
        live = apsw.Connection(str(config.folder / LOG), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            live.set_busy_timeout(2000)
            live.execute("VACUUM INTO ?", (str(raw),))
        finally:
            live.close()
    except apsw.Error as exc:
        raise LineageError(f"{config.folder / LOG}: {exc}; the node has written no log yet") from exc
    copy = Lineage(raw, origin=origin)
    try:
        copy.seal(key, target)
        write_root(target, copy.head(), key)
    finally:
        copy.close()
    write_seal(target, key)
    for leftover in folder.glob("copy.db*"):
        leftover.unlink()
    return target


def logs_of(config: NodeConfig, *, running: bool) -> bytes:
    """Return a sealed archive of a node's log, its events and its waterfall.

    Raises LineageError, ConfigError.

    Args: running: whether its agent runs; then the log is copied, else the sealed copy that it left is used.
    """
    joined = joined_in(config.folder)
    key = read_key(config.folder / "sign.key")
    with tempfile.TemporaryDirectory(prefix="bandpact-") as work:
        log = copy_sealed(config, Path(work)) if running else config.folder / SEALED
        if not log.is_file():
            raise LineageError(
                f"{log}: no sealed log: the node has not run, or did not end in order; start it, and ask while it runs"
            )
        files = {"lineage.db": read_small(log, limit=1 << 30), "lineage.seal": read_small(seal_path(log))}
        if root_path(log).is_file():
            files["lineage.root"] = read_small(root_path(log))
        for name in (BEFORE, FILE, WATERFALL):
            if (config.folder / name).is_file():
                files[name] = read_small(config.folder / name, limit=BESIDE_MAX)
    manifest = {"trial": joined.trial, "network": joined.network, "anchor": joined.anchor, "node": config.name}
    return sealed({**manifest, "kind": LOGS}, files, key.sign)[0]
