"""Hands settlements that this holder lends to base stations on its own list to its warden, which answers them.

On the user's side a settlement goes to the warden as soon as it is confirmed. A holder's own radio needs no settlement
that it lends; its base stations do, where the user's credential names one on this node's list. Each turn compares what
stands with what was handed over, so no state has to survive a restart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from radio.cbrs.identity import binds
from settlement.core.reasons import Reason
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import HolderState
from settlement.party.party import Party
from settlement.records.conduct.decision import lent_artifact
from settlement.records.conduct.handover import CONSENTED
from settlement.records.endings import Preempt, Relinquish
from settlement.records.lease import CHANGES
from settlement.records.registry import TYPE_OF

STANDING = (HolderState.CONFIRMED, HolderState.SUSPENDED)
_CHANGES = tuple(TYPE_OF[one] for one in CHANGES)
_ENDINGS = {TYPE_OF[Preempt]: Reason.PREEMPTED, TYPE_OF[Relinquish]: Reason.RELINQUISHED}


class LentTo(Protocol):
    """The receiver of lent settlements: this node's warden."""

    def permit(self, artifact: bytes) -> None:
        """Take a settlement, and verify it."""
        ...

    def lease(self, record: bytes) -> None:
        """Take a RENEW, SUSPEND or RESUME."""
        ...

    def withdraw(self, sid: bytes, reason: Reason, detail: str) -> None:
        """Stop using a settlement."""
        ...


@dataclass(slots=True)
class Lending:
    """`members`: base stations on this node's list. `handed`: by settlement id, its `renewals` as last handed over."""

    party: Party
    members: frozenset[str]
    warden: LentTo
    said: Callable[[str, bytes], None]
    handed: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Register with the party before the first turn: a warden apart still answers by what it was handed earlier."""
        self.party.lends = lambda pair: self._bound(pair) and not self._let_go(pair)

    def turn(self) -> None:
        """Hand over settlements that are new, changed or ended; none before the log is known to be whole."""
        if not self.members or self.party.halted is not None:
            return
        pairs = self.party.holder.pairs
        for sid in [sid for sid in self.handed if sid not in pairs or pairs[sid].state not in STANDING]:
            self._ended(sid)
        for pair in list(self.party.holder.busy.values()):
            if pair.state not in STANDING:
                continue
            if pair.sid not in self.handed and self._bound(pair) and not self._let_go(pair):
                self._hand(pair)
            if self.handed.get(pair.sid, pair.renewals) != pair.renewals:
                self._changed(pair)

    def _bound(self, pair: HolderPair) -> bool:
        user = self.party.registry.get(pair.user)
        return user is not None and any(binds(user.device, one, self.members) for one in self.members)

    def _let_go(self, pair: HolderPair) -> bool:
        """Return whether this holder agreed to hand part of it on: then the user's base stations get none of it."""
        return any(True for _ in self.party.lineage.items_from(CONSENTED, pair.sid))

    def _hand(self, pair: HolderPair) -> None:
        artifact = lent_artifact(self.party, pair)
        if artifact is None:  # its witnesses have not cosigned yet
            return
        self.warden.permit(artifact.encoded())
        self.handed[pair.sid] = 0
        self.said("lent", pair.sid)

    def _changed(self, pair: HolderPair) -> None:
        found = self.party.lineage.newest_of(pair.sid, _CHANGES)
        record = self.party.record_bytes(found[1]) if found is not None else None
        if record is not None:
            self.warden.lease(record)
            self.handed[pair.sid] = pair.renewals

    def _ended(self, sid: bytes) -> None:
        del self.handed[sid]
        found = self.party.lineage.newest_of(sid, tuple(_ENDINGS))
        reason = _ENDINGS[found[0]] if found is not None else Reason.EXPIRED
        self.warden.withdraw(sid, reason, "ended between this holder and its user")
        self.said("lent no more", sid)
