"""Which settlement hands on which other's lease, as the records of several lineages tell it."""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.records.grant import Grant
from settlement.records.handingterms import DEPTH_MAX
from settlement.records.handover import Handover, Vacated


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedChains:
    """Every HANDOVER by its name, the silence said of it, and for each settlement the one whose lease it hands on.

    `wrong` says of GRANTs under a HANDOVER, by their names, why it hands on nothing to them.
    """

    handovers: dict[bytes, Record]
    vacated: dict[bytes, Record]
    above: dict[bytes, bytes]
    wrong: dict[bytes, str]

    @classmethod
    def of(cls, records: Iterable[Record], grants: Iterable[Record] = ()) -> "HandedChains":
        """Read them out of the records of all lineages.

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
        """The settlements whose leases one hands on, from link to link."""
        found: list[bytes] = []
        while sid in self.above and len(found) <= DEPTH_MAX:
            sid = self.above[sid]
            found.append(sid)
        return found

    def related(self, one: bytes, other: bytes) -> bool:
        """Does one of two settlements hand on the other's lease?"""
        return other in self.line(one) or one in self.line(other)

    def flaw(self, grant: Record, confirm: Record) -> str:
        """What is wrong with a settlement under a HANDOVER: who handed it on to whom, or when its old user was silent.

        A settlement that names a HANDOVER may live beside the one whose lease it hands on: so a holder that grants one
        cell twice would name any HANDOVER, and nobody would be told.
        """
        name: bytes | None = grant.body.handover
        if name is None or name not in self.handovers:
            return ""
        wrong = self.wrong.get(grant.digest)
        silent = self.vacated.get(name)
        early = silent is None or silent.frame.author != confirm.frame.author or silent.frame.seq >= confirm.frame.seq
        return wrong or ("confirmed before its old user said that its radio is silent" if early else "")


def parents_of(records: Iterable[Record]) -> set[bytes]:
    """The settlements that HANDOVERs name."""
    return {one.body.sid for one in records if isinstance(one.body, Handover)}


def _flaw(grant: Record, handover: Record, users: set[bytes] | None) -> str:
    if grant.frame.author != handover.frame.author:
        return "granted under a HANDOVER that somebody else signed"
    if grant.body.user != handover.body.to:
        return "granted under a HANDOVER to somebody else"
    if users is not None and handover.frame.author not in users:
        return "granted under a HANDOVER by somebody who has not the lease that it hands on"
    return ""
