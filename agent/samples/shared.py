"""What warden, door and agent share of a program's samples: two rings in the run folder and a local socket."""

import os

import zmq

from agent.config.settings import NodeConfig
from agent.samples.plan import LINK, RECEIVE, TRANSMIT, DoorPlan
from radio.link import Link
from radio.ring import SampleRing

FILE = "samples.json"
"""The door's state in the run folder."""
OFFERED_SLOTS, STREAM_SLOTS = 16, 128
OWNER, GROUP = 0o600, 0o660
"""Who may use them: the node's one user, or the group of agent and warden where the warden runs apart."""


def mode_of(config: NodeConfig) -> int:
    """Who may connect to a local socket of the node."""
    return GROUP if config.warden.apart else OWNER


def rings_of(config: NodeConfig, plan: DoorPlan, *, create: bool) -> tuple[SampleRing, SampleRing]:
    """What a program's samples lie in on their way out, and the receiver's stream on its way in; the agent makes both.

    Raises RingError.
    """
    before = os.umask(0o7 if config.warden.apart else 0o77)
    try:
        return (
            SampleRing(plan.ring(TRANSMIT), slots=OFFERED_SLOTS, slot_samples=plan.slot_samples, create=create),
            SampleRing(plan.ring(RECEIVE), slots=STREAM_SLOTS, slot_samples=plan.stretch_samples, create=create),
        )
    finally:
        os.umask(before)


def link_of(config: NodeConfig, *, bind: bool) -> Link:
    """One end of the socket between warden (binds) and door."""
    return Link(zmq.Context(), config.run_folder / LINK, bind=bind, mode=mode_of(config))
