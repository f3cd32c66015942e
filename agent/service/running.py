"""One node as a service: the node's loop in the main thread, health and watchdog beside it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.locks import agents
from agent.config.settings import ConfigError, NodeConfig, write_effective
from agent.node.daemon import Node
from agent.node.wiring import short_path
from agent.service import logs
from agent.service.serving import Health, PortTaken, Watchdog
from radio.process import stop_on_signals
from radio.ring import RingError
from settlement.chain.lineage import LineageError
from settlement.mesh import MeshError
from settlement.state.step import HaltedError

if TYPE_CHECKING:
    from agent.kit.door import TrialDoor

EFFECTIVE = "config.toml"
FAILED, TAMPERING = 1, 5


def run_node(config: NodeConfig, health_port: int, fail: Callable[[str], None]) -> int:
    """Run a node to its end: 0 when stopped, 1 when it cannot work, 5 when its log was altered or is behind.

    Args: health_port: on loopback, 0 for none. fail: told in one line what is wrong.
    """
    stop = stop_on_signals()
    logs.begin()
    try:
        with agents(config, "bandpact run"):
            node = Node(config, _agreed(config))
            node.events.listener = logs.tell
            _serve(node, stop, health_port)
    except (ConfigError, LineageError, MeshError, RingError, PortTaken) as exc:
        fail(str(exc))
        return FAILED
    except HaltedError as exc:
        fail(str(exc))
        return TAMPERING
    return 0


def _door(node: Node) -> "TrialDoor | None":
    """Where the coordinator of this node's trial asks how it is, if it is of one. Raises PortTaken, ConfigError."""
    if node.config.door is None:
        return None
    from agent.kit.door import TrialDoor

    return TrialDoor(node.config, lambda: node.vitals.told)


def _agreed(config: NodeConfig) -> Path:
    """The values in force as one file, which the warden reads: both must go by the same. Raises ConfigError."""
    short_path(config.run_folder)
    return write_effective(config, config.run_folder / EFFECTIVE)


def _serve(node: Node, stop: threading.Event, health_port: int) -> None:
    vitals = node.vitals
    health = Health(lambda: vitals.told, health_port) if health_port else None
    watchdog = Watchdog(lambda: vitals.lateness(time.monotonic_ns()), vitals.line)
    door = _door(node)
    try:
        if door is not None:
            door.start()
        if health is not None:
            health.start()
        watchdog.start()
        node.run(stop)
    finally:
        watchdog.close()
        if door is not None:
            door.close()
        node.close()
        if health is not None:
            health.close()
