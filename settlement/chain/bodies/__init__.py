"""The body of every record type: fields, keys, kinds. The keys are part of the record format and never reused.

Integers carry their unit in the name: hz, mdb(m) milli-decibel, ns since the Unix epoch (UTC), e7 degrees x 1e7, mm,
ppm millionths of a ratio.
"""

from typing import Any

from settlement.chain.bodies.dispute import Dispute, Ruling
from settlement.chain.bodies.governance import (
    Admission,
    Axis,
    Budget,
    ClassTerms,
    Credential,
    DeskTerms,
    Level,
    Modality,
    Revocation,
    Rotation,
    Rule,
    Schema,
    Shard,
)
from settlement.chain.bodies.log import Checkpoint, Cosignature, Evidence, Gate, Verdict
from settlement.chain.bodies.market import Counter, Declaration, Intent, Request
from settlement.chain.bodies.observation import ChannelObservation, Envelope, Quantity
from settlement.chain.bodies.pair import (
    Abort,
    Accept,
    Confirm,
    Coordination,
    Fallback,
    Grant,
    Preempt,
    Relinquish,
    Renew,
    Resume,
    Suspend,
    Usage,
)
from settlement.chain.bodies.sizes import HASH, PPM
from settlement.chain.scope import Window

__all__ = [
    "BODIES",
    "HASH",
    "PPM",
    "TYPE_OF",
    "Abort",
    "Accept",
    "Admission",
    "Axis",
    "Budget",
    "ChannelObservation",
    "Checkpoint",
    "ClassTerms",
    "Confirm",
    "Coordination",
    "Cosignature",
    "Counter",
    "Credential",
    "Declaration",
    "DeskTerms",
    "Dispute",
    "Envelope",
    "Evidence",
    "Fallback",
    "Gate",
    "Grant",
    "Intent",
    "Level",
    "Modality",
    "Preempt",
    "Quantity",
    "Relinquish",
    "Renew",
    "Request",
    "Resume",
    "Revocation",
    "Rotation",
    "Rule",
    "Ruling",
    "Schema",
    "Shard",
    "Suspend",
    "Usage",
    "Verdict",
    "Window",
]

BODIES: dict[str, Any] = {
    "credential": Credential,
    "revocation": Revocation,
    "rotation": Rotation,
    "rule": Rule,
    "schema": Schema,
    "admission": Admission,
    "envelope": Envelope,
    "declaration": Declaration,
    "intent": Intent,
    "request": Request,
    "counter": Counter,
    "grant": Grant,
    "accept": Accept,
    "coordination": Coordination,
    "confirm": Confirm,
    "abort": Abort,
    "renew": Renew,
    "suspend": Suspend,
    "resume": Resume,
    "relinquish": Relinquish,
    "preempt": Preempt,
    "fallback": Fallback,
    "usage": Usage,
    "dispute": Dispute,
    "ruling": Ruling,
    "checkpoint": Checkpoint,
    "cosignature": Cosignature,
    "evidence": Evidence,
    "gate": Gate,
    "verdict": Verdict,
}
TYPE_OF = {body: name for name, body in BODIES.items()}
