"""Builds from a node's configuration the warden, and the rings and socket that it shares with the agent.

Separate from `assembly.py`: the warden's process loads no log, no mesh and no settlement code.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from agent.config.hardware import hardware_of, profile_of
from agent.config.settings import ConfigError, NodeConfig
from agent.node.trust import Trust, anchors_of, trust_of
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
from settlement.chain.credentials import Registry
from settlement.chain.ruling import HeldRule
from settlement.core.fixes import Fix

RX_SLOTS, TX_SLOTS = 8, 6
"""Ring slots: to receive, four looks wait and four arrive; to transmit, four bursts wait, one is read, one written."""
OWNER, GROUP = 0o600, 0o660
"""File modes of what agent and warden share: for their one user, or for both users' group where the warden is apart."""
SEEN_RULES = "warden.rules"


def _samples(config: NodeConfig, microseconds: int) -> int:
    return config.radio.sample_rate_hz * microseconds // 1_000_000


def rings_of(config: NodeConfig, *, create: bool) -> tuple[SampleRing, SampleRing]:
    """Open the receive and the transmit ring; the agent creates both, the warden joins."""
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
    """Open the device. Raises HardwareError until it answers, LocalError where it never can."""
    return config.radio.open(profile_of(config.radio))


def book_of(config: NodeConfig, trust: Trust) -> RuleBook:
    """Return the rules this node's warden has seen, the configured one among them. Raises ConfigError.

    A configured rule that does not follow those seen is left out: the warden uses the newest it knows.
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
    """Build the warden of a node around an opened device; `also` returns further descriptors that end its wait."""
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
    door_of = door_plan(config)
    of_program = None if door_of is None else shared.rings_of(config, door_of, create=False)
    door, listener, rouse = None, None, Rouser()
    bells: list[int] = []
    if of_program is not None:
        offered, stretches = of_program
        if isinstance(radio, Streamer):
            listener = StreamListener(radio, receive, stretches, look, rouse=rouse)
        spoken = shared.link_of(config, bind=True)
        door, bells = SampleDoor(spoken, offered, listener), [spoken.descriptor]
    link = link_of(config, bind=True)
    # A base station's question ends the loop's wait, so that a batch is not delayed by an idle loop.
    desk = (beside or {}).get("stations")
    bells += [desk.door.bell] if desk is not None and desk.door is not None else []
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
