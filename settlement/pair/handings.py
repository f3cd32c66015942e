"""Handovers of a node's own leases: how far each has got, and what a CONFIRM under it waits for.

offered   the HANDOVER is signed and sent, also to the lease's holder where its consent is needed; only the party that
          it names may request it, once
begun     that party has accepted: the warden closes the gate for the handed-on part
silent    the warden has reported silence, and VACATED is signed; the CONFIRM follows, after any CONSENT needed
back      a RECLAIM is signed: the handover failed or ended early; after its window it is deleted without one
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
    """One HANDOVER of this node as it is stored, by its hash; hashes name records in the log.

    `child` is the id of the settlement with the next user, `until_ns` how far (UTC) the lease reached when VACATED was
    signed. `asks` is 1 where a CONSENT is needed, `begun` 1 once the warden was told, `settled` 1 once the CONFIRM of
    the child is signed; a transfer cannot return after that.
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
        """Whether it still takes something from the lease."""
        return self.reclaim is None and self.declined is None


class Handings:
    """Every HANDOVER of this node that still matters, by its hash."""

    def __init__(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        self.known = {name: stored_as(Handing, raw, STORE) for name, raw in stored}

    def __contains__(self, handover: bytes) -> bool:
        return handover in self.known

    def save(self, work: Work, handing: Handing) -> Handing:
        """Store a handover in its present form."""
        self.known[handing.handover] = handing
        work.put(STORE, handing.handover, encode(handing, limit=2 * 65_536))
        return handing

    def of(self, sid: bytes) -> list[Handing]:
        """Return the handovers of one settlement's lease that are not back."""
        return [one for one in self.known.values() if one.sid == sid and one.open]

    def judge_new(self, sid: bytes, cell: Cell, now_ns: int) -> Refusal | None:
        """Refuse a second handover of the same part: a new one overlaps none that is offered or handed on."""
        for one in self.of(sid):
            if one.cell.window.end_ns > now_ns and one.cell.overlaps(cell):
                measured = f"{one.cell.band} handed on by {one.handover.hex()[:16]}"
                return refuse(Reason.CONFLICT, "handing.twice", measured, "what is not handed on yet")
        return None

    def judge_request(self, body: Request, author: bytes) -> Refusal | None:
        """Judge a REQUEST under a HANDOVER: by the party that it names, once, and for the whole of a transfer."""
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
        """Note that a GRANT under a HANDOVER is signed."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is not None:
            self.save(work, replace(handing, child=pair.sid))

    def begin(self, work: Work, pair: HolderPair) -> None:
        """Begin a handover whose next user has accepted: this node's radio closes first."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is not None and handing.begun is None:
            self.save(work, replace(handing, begun=1))
            work.ask(HandOn(sid=handing.sid, record=handing.raw))

    def lacks(self, pair: HolderPair) -> Reason | None:
        """Return what a CONFIRM under a HANDOVER waits for; None where it waits for nothing."""
        if pair.handover is None:
            return None
        handing = self.known.get(pair.handover)
        if handing is None or (handing.asks and handing.consent is None) or handing.declined is not None:
            return Reason.CONSENT
        return Reason.TIMEOUT if handing.vacated is None else None

    def waits(self, pair: HolderPair) -> bool:
        """Whether a CONFIRM under a HANDOVER has to wait."""
        return self.lacks(pair) is not None

    def beside(self, pair: HolderPair) -> tuple[bytes, ...]:
        """Return the hashes of records that travel beside the CONFIRM."""
        handing = self.known.get(pair.handover) if pair.handover is not None else None
        if handing is None:
            return ()
        return tuple(name for name in (handing.vacated, handing.consent) if name is not None)

    def until_ns(self, handover: bytes, by_sid: Callable[[bytes], UserPair | None]) -> int:
        """Return how far (UTC, ns) a lease under a HANDOVER may reach: to its parent lease's end; 0 while suspended."""
        handing = self.known.get(handover)
        pair = by_sid(handing.sid) if handing is not None else None
        if handing is None or pair is None or not pair.in_force or pair.suspended is not None:
            return 0
        held_ns = pair.transmit_until_ns or 0
        # The CONFIRM is bound by the lease that VACATED shows; later renewals by the parent lease at that time.
        return held_ns if handing.settled or handing.until_ns is None else min(held_ns, handing.until_ns)

    def forget(self, work: Work, handover: bytes) -> None:
        """Delete a handover that no longer matters."""
        if self.known.pop(handover, None) is not None:
            work.drop(STORE, handover)
