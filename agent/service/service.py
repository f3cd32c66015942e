"""One node as a service: the node's loop in the main thread, health and watchdog beside it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.locks import agents
from agent.config.openfiles import have_addresses, have_open_files
from agent.config.settings import ConfigError, NodeConfig, write_effective
from agent.node.assembly import short_path
from agent.node.daemon import Node
from agent.page.pageprocess import PageBeside, PageNotServed
from agent.page.plan import ServedNode
from agent.service import logs
from agent.service.probes import Health, PortTaken, Watchdog
from radio.process import one_heap, stop_on_signals
from radio.ring import RingError
from radio.speakers import WaitFailed
from settlement.chain.lineage import LineageError
from settlement.mesh import MeshError
from settlement.state.step import HaltedError

if TYPE_CHECKING:
    from agent.kit.door import TrialDoor

EFFECTIVE = "config.toml"
FAILED, TAMPERING = 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBeside:
    """What is served beside the node: loopback ports, 0 for none; `page_port` None: the usual one, or the next free."""

    health_port: int = 0
    page_port: int | None = 0
    page_host: str = "127.0.0.1"
    history: bool = False


def run_node(config: NodeConfig, beside: ServedBeside, fail: Callable[[str], None]) -> int:
    """Run a node to its end; returns 0 when stopped, 1 when it cannot work, 5 when its log was altered or is behind.

    Args: fail: called with one line that says what is wrong.
    """
    one_heap()
    stop = stop_on_signals()
    logs.begin()
    try:
        with agents(config, "bandpact run"):
            effective = _agreed(config)
            node = Node(config, effective)
            node.events.listeners.append(logs.tell)
            _serve(node, stop, beside, effective)
    except (ConfigError, LineageError, MeshError, RingError, PortTaken, PageNotServed, WaitFailed) as exc:
        fail(str(exc))
        return FAILED
    except HaltedError as exc:
        fail(str(exc))
        return TAMPERING
    return 0


def _door(node: Node) -> "TrialDoor | None":
    """Open the socket for the trial's coordinator, if this node is part of a trial. Raises PortTaken, ConfigError."""
    if node.config.door is None:
        return None
    from agent.kit.door import TrialDoor

    return TrialDoor(node.config, lambda: node.vitals.told)


def _agreed(config: NodeConfig) -> Path:
    """Write the values in force to one file for the warden, so that both use the same. Raises ConfigError."""
    short_path(config.run_folder)
    have_addresses()
    have_open_files(config.mesh.connections, len(config.peers))
    return write_effective(config, config.run_folder / EFFECTIVE)


def _serve(node: Node, stop: threading.Event, beside: ServedBeside, effective: Path) -> None:
    vitals, config = node.vitals, node.config
    health = Health(lambda: vitals.told, beside.health_port) if beside.health_port else None
    served = ServedNode(name=config.name, run_folder=config.run_folder, folder=config.folder, config=effective)
    page = PageBeside(
        nodes=[served],
        folder=config.run_folder,
        host=beside.page_host,
        port=beside.page_port,
        history=beside.history,
    )
    watchdog = Watchdog(lambda: vitals.lateness(time.monotonic_ns()), vitals.line)
    door = _door(node)
    try:
        if door is not None:
            door.start()
        if health is not None:
            health.start()
        page.start()
        if page.url is not None:
            # The page's token must not reach a log that others read: `bandpact page` prints the whole link.
            logs.tell("page", {"at": page.url.partition("#")[0]})
        watchdog.start()
        node.run(stop)
    finally:
        watchdog.close()
        if door is not None:
            door.close()
        node.close()
        page.close()
        if health is not None:
            health.close()
