"""Emergency stop of a radio: mutes it, and disarms and latches every node on this host that drives it.

A node whose gate stays open would transmit again a moment after another process muted its radio.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import ConfigError, NodeConfig, load
from agent.node.survivor import PROCESS_NAME
from agent.node.warden_process import OPERATOR
from radio.drivers.section import RadioSection
from radio.errors import RadioError
from radio.operator import OperatorError, ask
from radio.ports import RfState

WARDEN = "agent.node.warden_process"
PROC = Path("/proc")
PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """A node of this host that drives the radio, and whether its gate is latched now."""

    node: str
    process: int
    latched: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Result of a stop: RF state read back after muting, why it is unknown if it is, and each node that drives it."""

    rf: RfState
    why: str
    nodes: tuple[Driven, ...]

    @property
    def for_good(self) -> bool:
        """Whether the radio is silent and no node of this host can open its gate by itself."""
        return self.rf is RfState.OFF and all(node.latched for node in self.nodes)


def stop_radio(section: RadioSection) -> Stopped:
    """Mute a radio and latch every node that drives it; where there is one, mute and read back again after latching."""
    found: list[Driven] = []
    latching = threading.Thread(target=lambda: found.extend(_latched(section)), daemon=True)
    latching.start()
    first = _silenced(section)
    latching.join(2 * PATIENCE_S)
    rf, why = _silenced(section) if found else first
    return Stopped(rf=rf, why=why, nodes=tuple(found))


def _silenced(section: RadioSection) -> tuple[RfState, str]:
    try:
        return section.silence(), ""
    except RadioError as exc:
        return RfState.UNKNOWN, str(exc)


def _latched(section: RadioSection) -> Iterator[Driven]:
    for process, config in wardens():
        if not section.same_unit(config.radio):
            continue
        try:
            answer = ask(config.run_folder / OPERATOR, {"op": "stop"}, timeout_s=PATIENCE_S)
            yield Driven(node=config.name, process=process, latched=answer.get("state") == "LATCHED")
        except OperatorError as exc:
            yield Driven(node=config.name, process=process, latched=False, why=str(exc))


def wardens() -> Iterator[tuple[int, NodeConfig]]:
    """Yield process id and configuration of each warden on this host that this user may see."""
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        words = _words(entry) if entry.name.isdigit() else []
        if WARDEN not in words[:-1]:
            continue
        path = Path(words[words.index(WARDEN) + 1])
        try:
            yield int(entry.name), load(path if path.is_absolute() else (entry / "cwd").resolve() / path)
        except (ConfigError, OSError):
            continue


def _words(process: Path) -> list[str]:
    """Return a process's command line; empty for a warden's survivor, which shares that line and opens no gate."""
    try:
        if (process / "comm").read_bytes().decode("utf-8", errors="replace").strip() == PROCESS_NAME:
            return []
        return (process / "cmdline").read_bytes().decode("utf-8", errors="replace").split("\0")[:-1]
    except OSError:
        return []
