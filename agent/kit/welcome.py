"""Second step of a node's setup: takes in the welcome, which brings all credentials, so that the node can run."""

from dataclasses import dataclass
from pathlib import Path

import tomli_w

from agent.config.keyfiles import CHAIN as CREDENTIAL
from agent.config.keyfiles import load_chain, text_file, write_files
from agent.config.locks import not_running
from agent.config.settings import ConfigError, load
from agent.desk import nodekeys
from agent.kit import folder as kits
from agent.kit.archive import KitRefused, OpenedArchive, open_sealed
from agent.kit.enrolment import WELCOME
from agent.kit.invitations import CHAIN
from agent.kit.join import NODE_TOML, PEERS, WORDS, Joined, joined_in
from agent.kit.trust import by_authority
from agent.node.suited import trust_suited
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml
from hw_profiles.wholefile import WholeFile
from settlement.chain.credentials import Registry, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcomed:
    """A node that knows its neighbours: its configuration, its neighbours, and the nodes still missing."""

    config: Path
    peers: tuple[str, ...]
    missing: tuple[str, ...]


def take_in(root: Path, welcome: Path) -> Welcomed:
    """Check a welcome against the trial that this node joined, and store its data. Raises ConfigError, KitRefused."""
    joined = joined_in(root)
    opened = open_sealed(welcome, WELCOME, by_authority(welcome, anchor=joined.anchor, trial=joined.trial))
    mine = opened.files.get(f"{joined.node}.chain")
    if mine is None:
        raise KitRefused(
            f"{welcome}: NOT_ENROLLED: {joined.node!r} is not in it; hand your enrolment file to the coordinator first"
        )
    with not_running(root, "bandpact kit run"):
        write_files(*_files(root, joined, opened))
        _own(root, joined, mine)
        known = [peer for peer in joined.peers if f"{peer.name}.chain" in opened.files]
        _held(root, joined, [peer.name for peer in known])
        _neighbours(root, [(peer.name, peer.endpoint) for peer in known])
    names = [peer.name for peer in known]
    missing = tuple(peer.name for peer in joined.peers if peer.name not in names)
    return Welcomed(config=root / NODE_TOML, peers=tuple(names), missing=missing)


def _files(root: Path, joined: Joined, opened: OpenedArchive) -> list[WholeFile]:
    peers = [
        WholeFile(path=root / PEERS / f"{peer.name}.chain", data=opened.files[f"{peer.name}.chain"])
        for peer in joined.peers
        if f"{peer.name}.chain" in opened.files
    ]
    words = [
        WholeFile(path=root / WORDS / name, data=opened.files[name]) for name in (kits.STATUS,) if name in opened.files
    ]
    return [*peers, *words, WholeFile(path=root / CHAIN, data=opened.files[CHAIN])]


def _own(root: Path, joined: Joined, mine: bytes) -> None:
    """Store this node's own credential; refused unless it is for its keys. Raises ConfigError."""
    fresh = root / f"{CREDENTIAL}.new"
    write_files(WholeFile(path=fresh, data=mine))
    try:
        name = nodekeys.enrol(root, fresh, network=joined.network, anchor=joined.anchor)
    finally:
        fresh.unlink(missing_ok=True)
    if name != joined.node:
        raise KitRefused(f"{root}: BINDING: the welcome calls this node {name!r}, and it joined as {joined.node!r}")


def _held(root: Path, joined: Joined, names: list[str]) -> None:
    """Check that each neighbour's credential leads to the anchor and is that neighbour's. Raises KitRefused."""
    registry = Registry(joined.network, [bytes.fromhex(joined.anchor)])
    for name in names:
        found = registry.admit_chain(load_chain(root / PEERS / f"{name}.chain"))
        if not isinstance(found, Subject) or found.name != name:
            said = found.name if isinstance(found, Subject) else found
            raise KitRefused(f"{root / PEERS / name}.chain: {said}: not the credential of {name!r}; ask again")


def _neighbours(root: Path, peers: list[tuple[str, str]]) -> None:
    """Write the neighbours into node.toml, keeping other values; undone where that makes the file invalid."""
    path = root / NODE_TOML
    before = read_small_text(path)
    values = read_toml(before)
    values["peers"] = [
        {"name": name, "endpoint": endpoint, "chain": str(root.resolve() / PEERS / f"{name}.chain")}
        for name, endpoint in peers
    ]
    write_files(text_file(path, tomli_w.dumps(values)))
    try:
        trust_suited(load(path))
    except ConfigError:
        write_files(text_file(path, before))
        raise
