"""`bandpact kit tell`: an authority's word to every node of a trial: a fresh status list, or what a file holds."""

from dataclasses import dataclass
from pathlib import Path

from agent.config.locks import held
from agent.desk.words import word_of
from agent.kit import folder as kits
from agent.kit.doors import Asking, Unreachable
from agent.kit.enrolment import DAY_S
from agent.kit.folder import Trial
from agent.kit.status import registry_of
from settlement.chain.credentials import Registry
from settlement.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one node said to it: `why` is empty where it was taken."""

    node: str
    why: str


def fresh_list(trial: Trial, revoked: list[str], passphrase: str | None = None) -> Path:
    """Sign the next status list, with these nodes taken back; returns its file. Raises ConfigError."""
    path = trial.root / kits.STATUS
    with held(trial.root / kits.DESK, None, "bandpact kit", wait_s=10.0):
        trial.desk(passphrase).revoke(revoked, fresh_s=trial.spec.authority.status_list * DAY_S, out=path)
    return path


def tell(trial: Trial, word: Path) -> list[Told]:
    """Hand a signed record to every node that has joined. Raises ConfigError."""
    raw, key, found = word_of(word), trial.door_key(), list[Told]()
    registry = Registry(trial.state.network, [bytes.fromhex(trial.state.anchor)])
    for node in trial.spec.nodes:
        transport = registry_of(trial, node, registry)
        if transport is None:
            continue
        try:
            with Asking(node.door, transport, key) as asking:
                found.append(Told(node=node.name, why=_lacking(asking.tell(raw))))
        except Unreachable as exc:
            found.append(Told(node=node.name, why=str(exc)))
    return found


def _lacking(why: str | None) -> str:
    """Why a node does not hold it now; one that a neighbour told before has seen it already."""
    return "" if why is None or why.startswith(Reason.REPLAY.value) else why
