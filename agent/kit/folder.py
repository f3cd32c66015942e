"""The coordinator's folder of one trial: the desk, each node's invitation, and what the nodes handed back.

trial.toml        the trial, as it was made
trial.json        its id, and of each node the token that only its invitation holds; its owner alone reads it
desk/             the authority's desk
door.key          the coordinator's own transport key, by which nodes let it ask how they are
rule.signed       the rule in force
status.list       the newest status list
kits/NAME.kit     what a node is handed; NAME.svg beside it is its QR code
enrolled/         NAME.chain of each node that came back
welcome.kit       what every node is handed then
logs/             what `kit collect` gathered
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.config.keyfiles import TRANSPORT, load_chain, read_secret
from agent.config.settings import ConfigError
from agent.desk.folder import Desk, DeskPlace
from agent.desk.words import word_of
from agent.kit.spec import TrialFile, read_trial
from hw_profiles.smallfile import read_small
from settlement.chain import records
from settlement.chain.credentials import Registry, Subject
from settlement.mesh import TransportKey
from settlement.records.authority import Revocation

STATE, SPEC, DESK, DOOR_KEY = "trial.json", "trial.toml", "desk", "door.key"
RULE, STATUS, KITS, ENROLLED, WELCOME, LOGS = (
    "rule.signed",
    "status.list",
    "kits",
    "enrolled",
    "welcome.kit",
    "logs",
)
KIT = ".kit"
TOKEN_BYTES = 16
NONE_HERE: Final = "no trial's folder here; go to the folder that `bandpact kit make` wrote, or name it (see --help)"
"""Message of a command that finds no trial in the current folder."""


class TrialState(BaseModel):
    """The coordinator's secrets of a trial."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: str
    network: str
    anchor: str
    tokens: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A coordinator's folder, opened."""

    root: Path
    spec: TrialFile
    state: TrialState

    @property
    def manifest(self) -> dict[str, str]:
        """Return the manifest fields that name this trial in every archive."""
        return {"trial": self.state.trial, "network": self.state.network, "anchor": self.state.anchor}

    def chain_of(self, name: str) -> Path:
        """Return the path of a node's credential chain, which exists once the node is enrolled."""
        return self.root / ENROLLED / f"{name}.chain"

    @property
    def enrolled(self) -> list[str]:
        """Return the names of enrolled nodes, in the order of the trial's file."""
        return [node.name for node in self.spec.nodes if self.chain_of(node.name).is_file()]

    def desk(self, passphrase: str | None = None) -> Desk:
        """Open the authority's desk. Raises ConfigError."""
        lat_e7, lon_e7, _ = self.spec.authority.area
        return Desk(self.root / DESK, place=DeskPlace(lat_e7=lat_e7, lon_e7=lon_e7), passphrase=passphrase)

    def desk_list(self) -> Revocation | None:
        """Return the newest status list handed out; None before the first. Raises ConfigError."""
        path = self.root / STATUS
        unproven = records.parse(word_of(path)) if path.is_file() else None
        registry = Registry(self.state.network, [bytes.fromhex(self.state.anchor)])
        me = registry.admit_chain(load_chain(self.root / DESK / "credential.chain"))
        if not isinstance(unproven, records.Unproven) or not isinstance(me, Subject):
            return None
        record = unproven.prove(me.public, self.state.network)
        return record.body if isinstance(record, records.Record) else None

    def door_key(self) -> TransportKey:
        """Return the transport key by which nodes know the coordinator. Raises ConfigError."""
        return TransportKey.from_secret(read_secret(self.root / DOOR_KEY / TRANSPORT))


def new_state(network: str, anchor: str, names: list[str]) -> TrialState:
    """Return the state of a new trial."""
    tokens = {name: secrets.token_hex(TOKEN_BYTES) for name in names}
    return TrialState(trial=secrets.token_hex(16), network=network, anchor=anchor, tokens=tokens)


def open_trial(folder: Path) -> Trial:
    """Open a coordinator's folder. Raises ConfigError."""
    try:
        state = TrialState.model_validate_json(read_small(folder / STATE))
    except OSError as exc:
        raise ConfigError(f"{folder}: no trial's folder here; make one: bandpact kit make trial.toml") from exc
    except ValidationError as exc:
        raise ConfigError(f"{folder / STATE}: does not read as it was written; restore it from a backup") from exc
    return Trial(root=folder, spec=read_trial(folder / SPEC), state=state)


def is_trial(folder: Path) -> bool:
    """Return whether a folder is a coordinator's."""
    return (folder / STATE).is_file()


def find_trial(folder: Path | None) -> Trial:
    """Return the named folder's trial, else the current folder's, or the only one in it. Raises ConfigError."""
    if folder is not None:
        return open_trial(folder)
    here = Path()
    found = [here] if is_trial(here) else sorted(one for one in here.iterdir() if one.is_dir() and is_trial(one))
    if len(found) != 1:
        names = ", ".join(str(one) for one in found)
        said = f"{len(found)} trials here ({names}); name one of them" if found else NONE_HERE
        raise ConfigError(said)
    return open_trial(found[0])
