"""A dispute's case as one file, by which an authority's desk, or anyone with the trust anchors, judges it offline.

The file has the settlement's records, the dispute and those on lower levels, the answer, all cited records, the rulings
on lower levels, and the credentials and rules behind them. Every record is verified before it counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.admission import Admitted, prove
from settlement.chain.bodies import Rotation
from settlement.chain.codec import array, blob, decode, encode
from settlement.chain.credentials import Registry, Subject
from settlement.chain.records import Record
from settlement.chain.rotation import judge_rotation
from settlement.chain.ruling import HeldRule, read_held
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.case import LEVELS_MAX, DisputeCase, Sources, gather
from settlement.records.complaint import Dispute

CASE_LIMIT = 512 * 1024
RECORDS_MAX = 256
_RAW = blob(0, MAX_RECORD_BYTES, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChain:
    """A credential and those above it, root first."""

    credentials: tuple[bytes, ...] = array(1, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRule:
    """A rule and the credentials of the authority that signed it, root first."""

    record: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(2, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRuled:
    """The ruling on a dispute of a lower level: hashes of both."""

    dispute: bytes = blob(1, 32)
    ruling: bytes = blob(2, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """The whole case; `dispute` and `answer` are hashes of records in it."""

    dispute: bytes = blob(1, 32)
    answer: bytes | None = blob(2, 32, optional=True)
    records: tuple[bytes, ...] = array(3, _RAW, RECORDS_MAX, low=1)
    chains: tuple[CaseChain, ...] = array(4, CaseChain, 64, low=1)
    rules: tuple[CaseRule, ...] = array(5, CaseRule, 8, low=1)
    ruled: tuple[CaseRuled, ...] = array(6, CaseRuled, LEVELS_MAX)
    rotations: tuple[bytes, ...] | None = array(7, _RAW, 64, optional=True)

    def encoded(self) -> bytes:
        """Return the bytes of the file."""
        return encode(self, limit=CASE_LIMIT)


def read_case(data: bytes, *, network: str, anchors: Iterable[bytes]) -> DisputeCase | Refusal:
    """Return the case in a file, with every credential, rule and record verified; or the first refusal."""
    file = decode(CaseFile, data, "case", limit=CASE_LIMIT)
    if isinstance(file, Refusal):
        return file
    registry = Registry(network, anchors)
    for chain in file.chains:
        admitted = registry.admit_chain(chain.credentials)
        if isinstance(admitted, Refusal):
            return admitted
    turned = _rotate(file.rotations or (), registry)
    if turned is not None:
        return turned
    rules: dict[bytes, HeldRule] = {}
    for one in file.rules:
        held = read_held(one.record, one.chain, registry)
        if isinstance(held, Refusal):
            return held
        rules[held.rule.hash] = held
    records: dict[bytes, Record] = {}
    for raw in file.records:
        known = prove(raw, registry)
        if isinstance(known, Refusal):
            return known
        records[known.record.digest] = known.record
    disputed = records.get(file.dispute)
    if disputed is None or not isinstance(disputed.body, Dispute):
        return refuse(Reason.PROOF, "case.dispute", file.dispute.hex()[:16], "a dispute in the file")
    ruled = {one.dispute: one.ruling for one in file.ruled}
    sources = Sources(
        record=records.get,
        subject=registry.get,
        rule=lambda name: rules[name].rule.rule if name in rules else None,
        line=registry.line,
    )
    return gather(disputed, file.answer, sources, ruled.get)


def _rotate(raws: Iterable[bytes], registry: Registry) -> Refusal | None:
    for raw in raws:
        known = prove(raw, registry)
        if not isinstance(known, Admitted) or not isinstance(known.record.body, Rotation):
            return (
                known if isinstance(known, Refusal) else refuse(Reason.TYPE, "case.rotation", "another", "a rotation")
            )
        successor = judge_rotation(known.author, known.record.body, registry)
        if not isinstance(successor, Subject):
            return successor
        registry.rotate(known.author, successor)
    return None
