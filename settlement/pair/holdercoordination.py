"""The holder's side of co-signatures: requests them after the ACCEPT and waits for them until `confirm_by`.

CONFIRM stays the only commit point: it is signed once no co-signature is missing. One refusal, or `confirm_by`,
aborts.
"""

from collections.abc import Callable
from dataclasses import replace

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Coordination, Grant
from settlement.chain.scope import Cell
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.coordination import CoordinationSigned, authorities_of, belongs, lacking, shards_of
from settlement.pair.coordinator import has_neighbours
from settlement.pair.governed import Governed
from settlement.pair.handings import Handings
from settlement.pair.holderdecision import DecisionKeeper
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.table import Event, HolderState, next_holder
from settlement.pair.work import Work

Known = Callable[[bytes], Admitted | None]
"""A function that returns a logged record by its hash, proven."""


class CosigningKeeper:
    """Collects the co-signatures that a holder needs before it decides on a settlement."""

    def __init__(
        self,
        *,
        me: bytes,
        governed: Governed,
        pairs: HolderPairs,
        decisions: DecisionKeeper,
        neighbours: Callable[[Cell], set[bytes]],
    ) -> None:
        """Start with these parts; `neighbours` returns the other holders heard of in the area of a cell."""
        self.me, self.neighbours = me, neighbours
        self._governed, self._pairs, self._decisions = governed, pairs, decisions
        self.handings = Handings(())

    def accepted(self, work: Work, pair: HolderPair, accept: bytes) -> None:
        """After an ACCEPT, decide at once or request the co-signatures."""
        rule = self._governed.rule.rule
        shards = shards_of(rule, pair.cell)
        waits = self.handings.waits(pair)
        if not shards and not waits:
            self._decisions.confirm(work, pair, accept, Event.ACCEPT, ())
            return
        others = authorities_of(shards) | (self.neighbours(pair.cell) if has_neighbours(shards) else set())
        now_ns = work.now.time.latest_ns
        asking = self._pairs.move(
            work,
            pair,
            Event.ASKING,
            accept=accept,
            asked=tuple(sorted(others - {self.me})),
            noticed_ns=now_ns,
            notice_since_ns=now_ns,
        )
        work.event("coordinating", sid=pair.sid, band=pair.cell.band)
        self.handings.begin(work, asking)
        if asking.asked or lacking(rule, pair.cell, self.me, ()) is not None:
            self._ask(work, asking)
        elif not waits:  # left to neighbours, and there are none
            self._decisions.confirm(work, asking, accept, Event.COORDINATED, ())

    def _ask(self, work: Work, pair: HolderPair) -> None:
        terms = self._governed.terms(pair.commodity)
        asked = (pair.request,) if terms is not None and terms.auction is not None else ()
        for other in pair.asked or ():
            if other not in (pair.answered or ()) and pair.accept is not None:
                handed = () if pair.handover is None else (pair.handover,)
                work.send_beside(other, pair.grant, (pair.accept, *handed, *asked))

    # -- the answers ---------------------------------------------------------------------------------------------

    def judge(self, admitted: Admitted, granted: Grant | None) -> HolderPair | Refusal:
        """Return the settlement that a co-signature is for, where its author was asked to sign."""
        body: Coordination = admitted.record.body
        pair = self._pairs.known.get(body.sid)
        if pair is None or granted is None or admitted.author.hash not in (pair.asked or ()):
            return refuse(Reason.UNKNOWN_SID, "coordination.sid", body.sid.hex()[:16], "asked for by this holder")
        moved = next_holder(HolderState(pair.state), Event.COORDINATION)
        if isinstance(moved, Refusal):
            return moved
        return belongs(body, granted, pair.grant, pair.accept or b"") or pair

    def coordinated(self, work: Work, pair: HolderPair, admitted: Admitted, known: Known) -> None:
        """Add a co-signature; decide when none is missing."""
        if pair.state != HolderState.COORDINATING or pair.accept is None:
            return
        pair = self._pairs.move(
            work,
            pair,
            Event.COORDINATION,
            answered=(*(pair.answered or ()), admitted.author.hash),
            cosigned=(*(pair.cosigned or ()), admitted.record.digest),
        )
        self.decide_when_ready(work, pair, known)

    def decide_when_ready(self, work: Work, pair: HolderPair, known: Known) -> None:
        """Confirm once nothing is missing: neither a co-signature nor a step of a lease that changes hands."""
        if pair.state != HolderState.COORDINATING or self.handings.waits(pair):
            return
        found = [known(name) for name in pair.cosigned or ()]
        signed = [CoordinationSigned(author=one.author, body=one.record.body) for one in found if one is not None]
        if lacking(self._governed.rule.rule, pair.cell, self.me, signed) is not None or self._unanswered(pair):
            return
        if deadline_open(work.now.time, pair.confirm_by_ns or 0, "confirm.confirm_by") is None:
            beside = (*(pair.cosigned or ()), *self.handings.beside(pair))
            self._decisions.confirm(work, pair, pair.accept or b"", Event.COORDINATED, beside)

    def _unanswered(self, pair: HolderPair) -> set[bytes]:
        """Return the neighbours that were asked and have not signed: without an authority each of them is needed."""
        shards = shards_of(self._governed.rule.rule, pair.cell)
        return set(pair.asked or ()) - authorities_of(shards) - set(pair.answered or ())

    def refusing(self, author: bytes, subject: bytes) -> HolderPair | None:
        """Return the settlement that this author's refusal ends, because it was asked to co-sign; else None."""
        waiting = (p for p in self._pairs.busy.values() if p.state == HolderState.COORDINATING and p.grant == subject)
        return next((p for p in waiting if author in (p.asked or ())), None)

    def dissent(self, work: Work, pair: HolderPair, author: bytes, reason: Reason) -> None:
        """Abort after a co-signer's refusal, and tell the other co-signers."""
        left = replace(pair, asked=tuple(other for other in pair.asked or () if other != author))
        self._pairs.save(work, left)
        self._decisions.abort(work, left, Event.VERDICT, reason, pair.accept)

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, work: Work) -> None:
        """Ask again those that have not answered; abort at `confirm_by`."""
        now = work.now.time
        for pair in [p for p in self._pairs.due(now) if p.state == HolderState.COORDINATING]:
            if not now.before(pair.confirm_by_ns or 0):
                why = self.handings.lacks(pair) or Reason.QUORUM
                self._decisions.abort(work, pair, Event.DEADLINE, why, pair.accept)
            elif now.after(pair.said_again_ns()):
                self._pairs.save(work, replace(pair, noticed_ns=now.latest_ns))
                self._ask(work, pair)
