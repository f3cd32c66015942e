"""Puts a node together from its configuration: the one place that knows which adapter stands behind which port."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from agent.config.hardware import hardware_of, profile_of
from agent.config.keyfiles import (
    CHAIN,
    NEXT,
    SIGN,
    former_chains,
    former_keys,
    load_chain,
    load_keys,
    read_key,
    take_over,
)
from agent.config.settings import ConfigError, NodeConfig
from agent.samples import shared
from agent.samples.plan import door_plan
from radio.link import Link
from radio.listener import Listener, LookPlan
from radio.permits import Permits
from radio.ports import Radio, RxSettings, Streamer
from radio.ring import SampleRing
from radio.rulebook import RuleBook, RulesLost, SeenFile
from radio.sampledoor import SampleDoor
from radio.stream import StreamListener
from radio.wakeup import Rouser
from radio.warden import Warden, WardenPlan
from settlement.chain.admission import RuleInForce
from settlement.chain.checkpoint import origin_of
from settlement.chain.credentials import Registry, Subject
from settlement.chain.lineage import Lineage, name_of
from settlement.chain.records import digest
from settlement.chain.ruling import HeldRule, verify_rule
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal
from settlement.mesh import Mesh
from settlement.mesh.limits import Limits, Rate
from settlement.state.shares import Allowance, Share, Shares
from settlement.state.step import Identity

if TYPE_CHECKING:
    from agent.node.discovery import Discovery
    from settlement.party.party import Party

RX_SLOTS, TX_SLOTS = 8, 8
"""Twice as many as sensing keeps waiting, and as the warden keeps to be sent: older ones are dropped anyway."""
OWNER, GROUP = 0o600, 0o660
"""Who may use what agent and warden share: their one user, or the group of both where the warden runs apart."""
LINEAGE, SEEN_RULES = "lineage.db", "warden.rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a node believes from its files: itself, its neighbours, the rule."""

    registry: Registry
    me: Subject
    rule: RuleInForce
    rule_chain: tuple[bytes, ...]
    rule_raw: bytes
    former: frozenset[bytes] = frozenset()
    """This node's own credentials whose keys were succeeded."""


def anchors_of(config: NodeConfig) -> frozenset[bytes]:
    """The trust anchors. Raises ConfigError."""
    try:
        return frozenset(bytes.fromhex(a) for a in config.anchors)
    except ValueError as exc:
        raise ConfigError(f"anchors: {exc}; each is the SHA-256 of a root credential in hexadecimal") from exc


def trust_of(config: NodeConfig) -> Trust:
    """Read and verify credentials and rule from the node's files. Raises ConfigError."""
    registry = Registry(config.network, anchors_of(config))
    former = [_admitted(registry, chain) for chain in former_chains(config.folder)]
    me = registry.admit_chain(load_chain(config.folder / CHAIN))
    if isinstance(me, Refusal):
        raise ConfigError(f"{config.folder / CHAIN}: {me}; ask the trial coordinator for a new credential")
    *chain, raw = load_chain(config.rule)
    rule = verify_rule(raw, chain, registry)
    if isinstance(rule, Refusal):
        raise ConfigError(f"{config.rule}: {rule}; ask the trial coordinator for the rule in force")
    for peer in config.peers:
        subject = registry.admit_chain(load_chain(peer.chain))
        if isinstance(subject, Refusal):
            raise ConfigError(f"{peer.chain}: {subject}; ask {peer.name} for its credential chain again")
    return Trust(
        registry=registry,
        me=me,
        rule=rule,
        rule_chain=tuple(chain),
        rule_raw=raw,
        former=frozenset(subject.hash for subject in former),
    )


def _admitted(registry: Registry, chain: tuple[bytes, ...]) -> Subject:
    subject = registry.admit_chain(chain)
    if isinstance(subject, Refusal):
        raise ConfigError(f"a credential this node had before: {subject}; move it and its key away")
    return subject


def finish_rotation(config: NodeConfig) -> None:
    """A node that ended between its rotation and the exchange of its files finds its log under the next key's name."""
    waiting, log = config.folder / (SIGN + NEXT), config.folder / LINEAGE
    if waiting.is_file() and log.is_file() and name_of(log) == origin_of(config.network, read_key(waiting).public):
        take_over(config.folder)


def party_of(config: NodeConfig, trust: Trust) -> "Party":
    """The settlement side of a node, its log open. Raises ConfigError, LineageError."""
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
    """What one neighbour may cost."""
    shares = config.shares
    return Allowance(
        work=Share(per_s=shares.work_ms_per_s * 1_000_000, burst=shares.work_burst_ms * 1_000_000),
        log=Share(per_s=shares.log_bytes_per_s, burst=shares.log_burst_bytes),
    )


def limits_of(config: NodeConfig) -> Limits:
    """What the mesh takes from one neighbour."""
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
    """Multicast DNS, where the configuration asks for it. Raises ConfigError."""
    if not config.mesh.discover or trust.me.transport_key is None:
        return None
    from agent.node.discovery import Discovery, DiscoveryError

    try:
        return Discovery(network=config.network, key=trust.me.transport_key, endpoint=mesh.endpoint)
    except DiscoveryError as exc:
        raise ConfigError(str(exc)) from exc


def mesh_of(config: NodeConfig, trust: Trust) -> Mesh:
    """Sockets to the neighbours. Raises ConfigError, MeshError."""
    _, transport = load_keys(config.folder)
    if transport.public != trust.me.transport_key:
        raise ConfigError(f"{config.folder}: the transport key is not the credential's; put the right one there")
    admitted = trust.registry.transport_keys()
    mesh = Mesh(transport, config.listen, admitted.__contains__, limits=limits_of(config))
    for peer in config.peers:
        subject = trust.registry.admit_chain(load_chain(peer.chain))
        if isinstance(subject, Subject) and subject.transport_key is not None:
            mesh.connect(subject.transport_key, peer.endpoint)
    return mesh


def _samples(config: NodeConfig, microseconds: int) -> int:
    return config.radio.sample_rate_hz * microseconds // 1_000_000


def rings_of(config: NodeConfig, *, create: bool) -> tuple[SampleRing, SampleRing]:
    """The receive and the transmit ring; the agent makes both, the warden joins."""
    before = os.umask(0o7 if config.warden.apart else 0o77)
    try:
        return _rings(config, create=create)
    finally:
        os.umask(before)


def _rings(config: NodeConfig, *, create: bool) -> tuple[SampleRing, SampleRing]:
    folder, radio = config.run_folder, config.radio
    receive = SampleRing(folder / "rx", slots=RX_SLOTS, slot_samples=_samples(config, radio.look_us), create=create)
    send = SampleRing(folder / "tx", slots=TX_SLOTS, slot_samples=_samples(config, radio.burst_us), create=create)
    return receive, send


def link_of(config: NodeConfig, *, bind: bool) -> Link:
    """One end of the socket between agent and warden."""
    mode = GROUP if config.warden.apart else OWNER
    return Link(zmq.Context(), config.run_folder / "link", bind=bind, mode=mode)


def radio_of(config: NodeConfig) -> Radio:
    """The device. Raises HardwareError until it answers, LocalError where it never can."""
    return config.radio.open(profile_of(config.radio))


def book_of(config: NodeConfig, trust: Trust) -> RuleBook:
    """The rules this node's warden has seen, the configured one among them. Raises ConfigError.

    A configured rule that does not follow those seen is left out: the warden goes by the newest it knows.
    """
    kept = (config.warden.state or config.folder) / SEEN_RULES
    book = RuleBook(registry=Registry(config.network, anchors_of(config)), file=SeenFile(kept))
    try:
        refusal = book.open(HeldRule(raw=trust.rule_raw, chain=trust.rule_chain, rule=trust.rule))
    except RulesLost as exc:
        raise ConfigError(str(exc)) from exc
    if refusal is not None and book.newest is None:
        raise ConfigError(f"{kept}: {refusal}; move it away knowingly, or restore it")
    return book


def warden_of(
    config: NodeConfig,
    radio: Radio,
    fix: Callable[[], Fix],
    beside: Mapping[str, Any] | None = None,
    *,
    also: Callable[[], list[int]] = list,
) -> Warden:
    """The warden of a node, around a device that answers; `also` are descriptors whose readers it must not wait for."""
    trust, r = trust_of(config), config.radio
    receive, send = rings_of(config, create=False)
    settings = RxSettings(
        center_hz=r.rx_center_hz,
        sample_rate_hz=r.sample_rate_hz,
        bandwidth_hz=r.rx_bandwidth_hz,
        gain_mdb=r.rx_gain_mdb,
    )
    look = LookPlan(
        frame_ns=r.frame_us * r.look_every * 1000,
        offset_ns=r.look_offset_us * 1000,
        dither_ns=r.look_dither_us * 1000,
        samples=_samples(config, r.look_us),
        settings=settings,
    )
    profile, service = hardware_of(config.radio, settings)
    if config.heartbeat_limit_ms > profile.watchdog.heartbeat_ms:
        allowed = f"profile {profile.id} allows {profile.watchdog.heartbeat_ms}"
        raise ConfigError(f"heartbeat_limit_ms = {config.heartbeat_limit_ms}: {allowed}; lower it")
    plan = WardenPlan(
        device=radio.device_id,
        credential=trust.me.hash,
        former=trust.former,
        profile=profile,
        service=service,
        heartbeat_limit_ns=config.heartbeat_limit_ms * 1_000_000,
        armed_for_ns=int(r.arm_for_s * 1e9),
        frame_ns=r.frame_us * 1000,
        close_lead_ns=r.close_lead_us * 1000,
        sample_rate_hz=r.sample_rate_hz,
        full_scale=r.tx_full_scale,
        full_scale_eirp_mdbm=r.full_scale_eirp_mdbm,
        full_scale_sd_mdb=r.full_scale_sd_mdb,
        attenuation_mdb=r.attenuation_mdb,
    )
    door, listener, rouse = None, None, Rouser()
    door_of = door_plan(config)
    if door_of is not None:
        offered, stretches = shared.rings_of(config, door_of, create=False)
        if isinstance(radio, Streamer):
            listener = StreamListener(radio, receive, stretches, look)
        door = SampleDoor(shared.link_of(config, bind=True), offered, listener)
    link = link_of(config, bind=True)
    # A base station's question ends the wait: a batch is not held up by a loop that has nothing to do.
    desk = (beside or {}).get("stations")
    bells = [desk.door.bell] if desk is not None and desk.door is not None else []
    link.others = lambda: [rouse.fileno(), *bells, *also()]
    return Warden(
        plan,
        radio=radio,
        link=link,
        transmit_ring=send,
        listener=listener or Listener(radio, receive, look, rouse=rouse),
        door=door,
        rouse=rouse,
        permits=Permits(
            network=config.network, anchors=anchors_of(config), chain=trust.me.chain, book=book_of(config, trust)
        ),
        fix=fix,
        **(beside or {}),
    )


def short_path(path: Path) -> Path:
    """The path, checked: a Unix socket's has 107 bytes."""
    if len(str(path).encode()) > 90:
        raise ConfigError(f"{path}: too long for a local socket; choose a shorter folder")
    return path
