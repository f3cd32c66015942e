"""One node as a service: the node's loop in the main thread, health and watchdog beside it."""

import sys
import threading
from pathlib import Path

from agent.config import ConfigError, load
from agent.node.daemon import Node
from agent.service.serving import Health, Watchdog
from agent.wiring import short_path
from settlement.chain.lineage import LineageError
from settlement.mesh import MeshError
from sim.process import stop_on_signals


def run_node(path: Path, health_port: int) -> int:
    """Run the node of a configuration to its end; 0 when stopped, 1 when it cannot work."""
    stop = stop_on_signals()
    try:
        config = load(path)
        short_path(config.run_folder)
        node = Node(config, path)
    except (ConfigError, LineageError, MeshError) as exc:
        sys.stderr.write(f"bandpact: {exc}\n")
        return 1
    _serve(node, stop, health_port)
    return 0


def _serve(node: Node, stop: threading.Event, health_port: int) -> None:
    health = Health(node.config.run_folder, health_port) if health_port else None
    watchdog = Watchdog(node.config.run_folder, stop)
    try:
        if health is not None:
            health.start()
        watchdog.start()
        node.run(stop)
    finally:
        stop.set()
        node.close()
        if health is not None:
            health.close()
