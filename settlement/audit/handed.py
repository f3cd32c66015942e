"""Which settlement hands on which other's lease, as the records of several lineages tell it."""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.records.grant import Grant
from settlement.records.handingterms import DEPTH_MAX
from settlement.records.handover import Handover, Vacated


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedChains:
    """Every HANDOVER by its name, the silence said of it, and for each settlement the one whose lease it hands on."""

    handovers: dict[bytes, Record]
    vacated: dict[bytes, Record]
    above: dict[bytes, bytes]

    @classmethod
    def of(cls, records: Iterable[Record]) -> "HandedChains":
        """Read them out of the records of all lineages."""
        found = list(records)
        handovers = {r.digest: r for r in found if isinstance(r.body, Handover)}
        grants = [r for r in found if isinstance(r.body, Grant) and r.body.handover in handovers]
        return cls(
            handovers=handovers,
            vacated={r.body.handover: r for r in found if isinstance(r.body, Vacated)},
            above={r.body.sid: handovers[r.body.handover].body.sid for r in grants},
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

    def too_early(self, grant: Record, confirm: Record) -> str:
        """What is wrong with a CONFIRM under a HANDOVER: the old user's radio was not said to be silent before it."""
        name: bytes | None = grant.body.handover
        if name is None or name not in self.handovers:
            return ""
        silent = self.vacated.get(name)
        if silent is None or silent.frame.author != confirm.frame.author or silent.frame.seq >= confirm.frame.seq:
            return "confirmed before its old user said that its radio is silent"
        return ""
