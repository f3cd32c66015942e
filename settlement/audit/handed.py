"""Which settlement hands on which other settlement's lease, by the records of several logs."""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.records.grant import Grant
from settlement.records.handingterms import DEPTH_MAX
from settlement.records.handover import Handover, Vacated


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedChains:
    """Every HANDOVER by its hash, its VACATED records, and each settlement's parent settlement.

    `wrong` says for GRANTs under a HANDOVER, by hash, why the HANDOVER is not valid for them.
    """

    handovers: dict[bytes, Record]
    vacated: dict[bytes, Record]
    above: dict[bytes, bytes]
    wrong: dict[bytes, str]

    @classmethod
    def of(cls, records: Iterable[Record], grants: Iterable[Record] = ()) -> "HandedChains":
        """Collect the handovers from the records of all logs.

        Args: grants: the GRANTs of settlements that a HANDOVER names, as far as any log has them.
        """
        found: list[Record] = list(records)
        users: dict[bytes, set[bytes]] = {}
        for one in grants:
            users.setdefault(one.body.sid, set()).add(one.body.user)
        handovers = {r.digest: r for r in found if isinstance(r.body, Handover)}
        under = [
            (r, handovers[r.body.handover]) for r in found if isinstance(r.body, Grant) and r.body.handover in handovers
        ]
        wrong = {r.digest: _flaw(r, handover, users.get(handover.body.sid)) for r, handover in under}
        return cls(
            handovers=handovers,
            vacated={r.body.handover: r for r in found if isinstance(r.body, Vacated)},
            above={r.body.sid: handover.body.sid for r, handover in under if not wrong[r.digest]},
            wrong=wrong,
        )

    def line(self, sid: bytes) -> list[bytes]:
        """Return the chain of parent settlements whose leases one hands on."""
        found: list[bytes] = []
        while sid in self.above and len(found) <= DEPTH_MAX:
            sid = self.above[sid]
            found.append(sid)
        return found

    def related(self, one: bytes, other: bytes) -> bool:
        """Whether one of two settlements hands on the other's lease."""
        return other in self.line(one) or one in self.line(other)

    def flaw(self, grant: Record, confirm: Record) -> str:
        """Return what is wrong with a settlement under a HANDOVER: its parties, or when the old user was silent; or "".

        A settlement that names a HANDOVER may be live beside its parent settlement. Without this check a holder that
        grants one cell twice could name any HANDOVER and escape detection.
        """
        name: bytes | None = grant.body.handover
        if name is None or name not in self.handovers:
            return ""
        wrong = self.wrong.get(grant.digest)
        silent = self.vacated.get(name)
        early = silent is None or silent.frame.author != confirm.frame.author or silent.frame.seq >= confirm.frame.seq
        return wrong or ("confirmed before its old user said that its radio is silent" if early else "")


def parents_of(records: Iterable[Record]) -> set[bytes]:
    """Return the settlements that HANDOVERs name."""
    return {one.body.sid for one in records if isinstance(one.body, Handover)}


def _flaw(grant: Record, handover: Record, users: set[bytes] | None) -> str:
    if grant.frame.author != handover.frame.author:
        return "granted under a HANDOVER that somebody else signed"
    if grant.body.user != handover.body.to:
        return "granted under a HANDOVER to somebody else"
    if users is not None and handover.frame.author not in users:
        return "granted under a HANDOVER by somebody who has not the lease that it hands on"
    return ""
