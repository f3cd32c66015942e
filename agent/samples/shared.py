"""Resources that warden, door and agent share for a program's samples: two rings in the run folder, a local socket."""

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
"""File modes: for the node's one user, or for the group of agent and warden where the warden runs apart."""


def mode_of(config: NodeConfig) -> int:
    """Return the file mode of the node's local sockets."""
    return GROUP if config.warden.apart else OWNER


def rings_of(config: NodeConfig, plan: DoorPlan, *, create: bool) -> tuple[SampleRing, SampleRing]:
    """Open the rings of the program's outgoing samples and of the received stream; the agent creates both.

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
    """Return one end of the socket between warden (binds) and door."""
    return Link(zmq.Context(), config.run_folder / LINK, bind=bind, mode=mode_of(config))
