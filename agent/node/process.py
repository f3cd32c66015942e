"""A node as a process: `python -m agent.node.process NODE.toml`. SIGTERM or SIGINT ends it in order."""

import sys
import threading
from pathlib import Path

from agent.config.locks import agents
from agent.config.openfiles import have_addresses, have_open_files
from agent.config.settings import ConfigError, load
from agent.node.assembly import short_path
from agent.node.daemon import Node
from hw_profiles.printable import printable
from radio.process import die_with_parent, one_heap, stop_on_signals
from radio.speakers import WaitFailed
from settlement.chain.lineage import LineageError
from settlement.mesh import MeshError
from settlement.state.step import HaltedError

TAMPERING = 5


def serve(node: Node, stop: threading.Event) -> int:
    """Run a node until `stop` is set; returns the process's exit code."""
    try:
        node.run(stop)
    finally:
        node.close()
    return 0


def main(arguments: list[str]) -> int:
    """Run a node; returns 0 when stopped, 1 when the node cannot work, 5 when its log was altered or is behind."""
    one_heap()
    stop = stop_on_signals()
    path = Path(arguments[0])
    try:
        die_with_parent()
        config = load(path)
        short_path(config.run_folder)
        have_addresses()
        have_open_files(config.mesh.connections, len(config.peers))
        with agents(config, "a node's agent"):
            return serve(Node(config, path), stop)
    except (ConfigError, LineageError, MeshError, WaitFailed) as exc:
        sys.stderr.write(f"{printable(exc)}\n")
        return 1
    except HaltedError as exc:
        sys.stderr.write(f"{printable(exc)}\n")
        return TAMPERING


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
