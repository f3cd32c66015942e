"""`bandpact kit tell`: sends an authority's record to every node of a trial: a fresh status list, or from a file."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent.config.locks import held
from agent.desk.words import word_of
from agent.kit import folder as kits
from agent.kit.doors import Asking, Unreachable
from agent.kit.enrolment import DAY_S
from agent.kit.folder import Trial
from agent.kit.spec import NodePart
from agent.kit.status import AT_ONCE, registry_of
from settlement.chain.credentials import Registry
from settlement.core.reasons import Reason
from settlement.mesh import TransportKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One node's answer: `why` is empty where it took the record."""

    node: str
    why: str


def fresh_list(trial: Trial, revoked: list[str], passphrase: str | None = None) -> Path:
    """Sign the next status list, which revokes the named nodes; returns its file. Raises ConfigError."""
    path = trial.root / kits.STATUS
    with held(trial.root / kits.DESK, None, "bandpact kit", wait_s=10.0):
        trial.desk(passphrase).revoke(revoked, fresh_s=trial.spec.authority.status_list * DAY_S, out=path)
    return path


def tell(trial: Trial, word: Path) -> list[Told]:
    """Hand a signed record to every node that has joined, all at once. Raises ConfigError."""
    raw, key = word_of(word), trial.door_key()
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    joined = [(node, registry_of(trial, node, registry)) for node in trial.spec.nodes]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(_told, raw, key, node, transport) for node, transport in joined if transport is not None]
        return [one.result() for one in asked]


def _told(raw: bytes, key: TransportKey, node: NodePart, transport: bytes) -> Told:
    try:
        with Asking(node.door, transport, key) as asking:
            return Told(node=node.name, why=_lacking(asking.tell(raw)))
    except Unreachable as exc:
        return Told(node=node.name, why=str(exc))


def _lacking(why: str | None) -> str:
    """Return why a node does not have the record; a node that got it from a neighbour before has it already."""
    return "" if why is None or why.startswith(Reason.REPLAY.value) else why
