"""A restarted node's settlements in force, for a warden that does not have them yet."""

from collections.abc import Iterator
from dataclasses import dataclass

from settlement.party.party import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementStanding:
    """A settlement in force: its id, its artifact, and the newest RENEW, SUSPEND or RESUME as bytes."""

    sid: bytes
    artifact: bytes
    lease: bytes | None


def in_force(party: Party) -> Iterator[SettlementStanding]:
    """Yield every settlement of this user that is in force and proven; the warden verifies each again from bytes.

    Yields none while the log is not known to be whole: an older copy may lack that a lease was handed on or ended.
    """
    if party.halted is not None:
        return
    for pair in list(party.user.busy.values()):
        artifact = party.lineage.get("artifact", pair.sid) if pair.in_force and pair.cell.band.unit is None else None
        if artifact is not None:
            lease = party.record_bytes(pair.lease) if pair.lease is not None else None
            yield SettlementStanding(sid=pair.sid, artifact=artifact, lease=lease)
