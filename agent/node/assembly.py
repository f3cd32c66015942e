"""Builds a node from its configuration: the one module that chooses the adapter behind each port."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.keyfiles import (
    NEXT,
    SIGN,
    former_keys,
    load_chain,
    load_keys,
    read_key,
    take_over,
)
from agent.config.settings import ConfigError, NodeConfig
from agent.node.trust import Trust
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Subject
from settlement.chain.lineage import Lineage, name_of
from settlement.chain.records import digest
from settlement.mesh import Mesh
from settlement.mesh.limits import Limits, Rate
from settlement.state.shares import Allowance, Share, Shares
from settlement.state.step import Identity

if TYPE_CHECKING:
    from agent.node.discovery import Discovery
    from settlement.party.party import Party

LINEAGE = "lineage.db"


def finish_rotation(config: NodeConfig) -> None:
    """Complete a key rotation that was logged before its files were exchanged: the log has the next key's name."""
    waiting, log = config.folder / (SIGN + NEXT), config.folder / LINEAGE
    if waiting.is_file() and log.is_file() and name_of(log) == origin_of(config.network, read_key(waiting).public):
        take_over(config.folder)


def party_of(config: NodeConfig, trust: Trust) -> "Party":
    """Open the log and build the settlement side of a node. Raises ConfigError, LineageError."""
    from settlement.party.party import Party

    key, _ = load_keys(config.folder)
    if key.public != trust.me.public:
        raise ConfigError(f"{config.folder}: the key is not the credential's; put the right sign.key there")
    return Party(
        identity=Identity(key=key, credential=trust.me.hash, network=config.network),
        registry=trust.registry,
        rule=trust.rule,
        rule_raw=trust.rule_raw,
        rule_chain=trust.rule_chain,
        lineage=Lineage(config.folder / LINEAGE, origin=origin_of(config.network, key.public)),
        entropy=secrets.token_bytes,
        former=[
            Identity(key=old, credential=digest(chain[-1]), network=config.network)
            for old, chain in former_keys(config.folder)
        ],
        shares=Shares(allowance=allowance_of(config), meter=time.thread_time_ns),
        clock=time.monotonic_ns,
        from_snapshot=True,
    )


def allowance_of(config: NodeConfig) -> Allowance:
    """Return the limits on what one neighbour may cost this node in messages and disk, from the configuration."""
    shares = config.shares
    return Allowance(
        work=Share(per_s=shares.work_ms_per_s * 1_000_000, burst=shares.work_burst_ms * 1_000_000),
        log=Share(per_s=shares.log_bytes_per_s, burst=shares.log_burst_bytes),
    )


def limits_of(config: NodeConfig) -> Limits:
    """Return the limits on what the mesh accepts from one neighbour, from the configuration."""
    mesh = config.mesh
    return Limits(
        messages=Rate(per_s=mesh.messages_per_s, burst=mesh.messages_burst),
        data=Rate(per_s=mesh.bytes_per_s, burst=mesh.bytes_burst),
        queue_messages=mesh.queue_messages,
        unread_bytes=mesh.unread_bytes,
        unread_bytes_total=mesh.unread_bytes_total,
        connections=mesh.connections,
    )


def discovery_of(config: NodeConfig, trust: Trust, mesh: Mesh) -> "Discovery | None":
    """Start multicast DNS discovery where the configuration asks for it, else return None. Raises ConfigError."""
    if not config.mesh.discover or trust.me.transport_key is None:
        return None
    from agent.node.discovery import Discovery, DiscoveryError

    try:
        return Discovery(network=config.network, key=trust.me.transport_key, endpoint=mesh.endpoint)
    except DiscoveryError as exc:
        raise ConfigError(str(exc)) from exc


def admit_peers(config: NodeConfig, trust: Trust) -> list[tuple[bytes, str]]:
    """Register the configured neighbours; returns each one's transport key and endpoint."""
    found = [(trust.registry.admit_chain(load_chain(peer.chain)), peer.endpoint) for peer in config.peers]
    known = [(one.transport_key, place) for one, place in found if isinstance(one, Subject)]
    return [(key, place) for key, place in known if key is not None]


def mesh_of(config: NodeConfig, trust: Trust, peers: Iterable[tuple[bytes, str]]) -> Mesh:
    """Open the sockets to the neighbours, given as (transport key, endpoint) pairs. Raises ConfigError, MeshError."""
    _, transport = load_keys(config.folder)
    if transport.public != trust.me.transport_key:
        raise ConfigError(f"{config.folder}: the transport key is not the credential's; put the right one there")
    admitted = trust.registry.transport_keys()
    mesh = Mesh(transport, config.listen, admitted.__contains__, limits=limits_of(config))
    for key, place in peers:
        mesh.connect(key, place)
    return mesh


def short_path(path: Path) -> Path:
    """Return the path of a folder for Unix sockets, whose whole paths have at most 107 bytes.

    Raises: ConfigError above 90 bytes, which leave room for the name of a socket.
    """
    if len(str(path).encode()) > 90:
        raise ConfigError(f"{path}: too long for a local socket; choose a shorter folder")
    return path
