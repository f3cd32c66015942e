"""What a node has handed on of its own leases: how far each has got, and what a CONFIRM under it still waits for.

offered   the HANDOVER is signed; only the party it names may ask for it, once
begun     that party has accepted: the warden closes, the holder is asked where the class wants its consent
silent    the warden says so, and VACATED is signed; with the CONSENT, where one is needed, the CONFIRM follows
back      a RECLAIM is signed: it came to nothing, or ended early; past its window it is forgotten without one
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from settlement.chain.codec import blob, encode, nested, text, uint
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.effects import HandOn
from settlement.pair.handover import LeaseExtent, no_wider
from settlement.pair.holderpairs import HolderPair
from settlement.pair.userpairs import UserPair
from settlement.pair.work import Work, stored_as
from settlement.records.handingterms import TRANSFER
from settlement.records.market import Request

STORE = "handing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """One HANDOVER of this node as it is stored, by its name; hashes name records in the log.

    `child` is the settlement it became, `until_ns` how far the lease reached when VACATED was signed. `asks` 1 where a
    CONSENT is needed, `begun` 1 once the warden was told, `settled` 1 once its CONFIRM is signed: a transfer cannot
    come back then.
    """

    handover: bytes = blob(1, 32)
    sid: bytes = blob(2, 32)
    kind: str = text(3, 16)
    to: bytes = blob(4, 32)
    cell: Cell = nested(5, Cell)
    max_eirp_mdbm: int = uint(6)
    asks: int = uint(7, high=1)
    child: bytes | None = blob(8, 32, optional=True)
    begun: int | None = uint(9, high=1, optional=True)
    vacated: bytes | None = blob(10, 32, optional=True)
    consent: bytes | None = blob(11, 32, optional=True)
    declined: str | None = text(12, 64, optional=True)
    until_ns: int | None = uint(13, optional=True)
    reclaim: bytes | None = blob(14, 32, optional=True)
    settled: int | None = uint(15, high=1, optional=True)
    tier: int = uint(16, high=255)
    raw: bytes = blob(17, 65_536, least=1)

    @property
    def open(self) -> bool:
        """It still takes something of the lease it is of."""
        return self.reclaim is None and self.declined is None


class Handings:
    """Every HANDOVER of this node that still matters, by its name."""

    def __init__(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        self.known = {name: stored_as(Handing, raw, STORE) for name, raw in stored}

    def __contains__(self, handover: bytes) -> bool:
        return handover in self.known

    def save(self, work: Work, handing: Handing) -> Handing:
        """Remember one as it stands now."""
        self.known[handing.handover] = handing
        work.put(STORE, handing.handover, encode(handing, limit=2 * 65_536))
        return handing

    def of(self, sid: bytes) -> list[Handing]:
        """What is handed on of one settlement and not back."""
        return [one for one in self.known.values() if one.sid == sid and one.open]

    def judge_new(self, sid: bytes, cell: Cell, now_ns: int) -> Refusal | None:
        """Nothing is handed on twice: what is offered or handed on of a lease already shares nothing with it."""
        for one in self.of(sid):
            if one.cell.window.end_ns > now_ns and one.cell.overlaps(cell):
                measured = f"{one.cell.band} handed on by {one.handover.hex()[:16]}"
                return refuse(Reason.CONFLICT, "handing.twice", measured, "what is not handed on yet")
        return None

    def judge_request(self, body: Request, author: bytes) -> Refusal | None:
        """A REQUEST under a HANDOVER: by the party that it names, once, and for all of it where it is a transfer."""
        handing = self.known.get(body.declaration)
        if handing is None:
            return None
        if author != handing.to:
            return refuse(Reason.BINDING, "handing.to", author.hex()[:16], handing.to.hex()[:16])
        if not handing.open:
            return refuse(Reason.CONSENT, "handing.open", handing.declined or "taken back", "a HANDOVER that stands")
        if handing.child is not None:
            return refuse(
                Reason.CONFLICT, "handing.twice", f"taken by {handing.child.hex()[:16]}", "one REQUEST for it"
            )
        if handing.kind != TRANSFER:
            return None
        return no_wider(
            LeaseExtent(cell=body.cell, max_eirp_mdbm=body.eirp_mdbm, tier=body.tier),
            LeaseExtent(cell=handing.cell, max_eirp_mdbm=handing.max_eirp_mdbm, tier=handing.tier),
            whole=True,
        )

    def granted(self, work: Work, pair: HolderPair) -> None:
        """A GRANT under a HANDOVER is signed."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is not None:
            self.save(work, replace(handing, child=pair.sid))

    def begin(self, work: Work, pair: HolderPair) -> None:
        """The next user has accepted: the radio here closes first."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is not None and handing.begun is None:
            self.save(work, replace(handing, begun=1))
            work.ask(HandOn(sid=handing.sid, record=handing.raw))

    def lacks(self, pair: HolderPair) -> Reason | None:
        """What a CONFIRM under a HANDOVER waits for; None where it waits for nothing."""
        if pair.handover is None:
            return None
        handing = self.known.get(pair.handover)
        if handing is None or (handing.asks and handing.consent is None) or handing.declined is not None:
            return Reason.CONSENT
        return Reason.TIMEOUT if handing.vacated is None else None

    def waits(self, pair: HolderPair) -> bool:
        """Whether a CONFIRM has to wait."""
        return self.lacks(pair) is not None

    def beside(self, pair: HolderPair) -> tuple[bytes, ...]:
        """Records that travel beside the CONFIRM, by their names."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is None:
            return ()
        return tuple(name for name in (handing.vacated, handing.consent) if name is not None)

    def until_ns(self, handover: bytes, by_sid: Callable[[bytes], UserPair | None]) -> int:
        """How far a lease under a HANDOVER may reach (UTC): no further than the lease it is of; 0 while that rests."""
        handing = self.known.get(handover)
        pair = by_sid(handing.sid) if handing is not None else None
        if handing is None or pair is None or not pair.in_force or pair.suspended is not None:
            return 0
        held_ns = pair.transmit_until_ns or 0
        # The CONFIRM rests on the lease that VACATED shows; what is renewed after it, on the lease of then.
        return held_ns if handing.settled or handing.until_ns is None else min(held_ns, handing.until_ns)

    def forget(self, work: Work, handover: bytes) -> None:
        """Nothing of it can matter any more."""
        if self.known.pop(handover, None) is not None:
            work.drop(STORE, handover)
