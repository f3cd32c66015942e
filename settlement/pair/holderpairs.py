"""A holder's settlements: their stored form, their deadlines, and when each is deleted."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from settlement.chain.codec import array, blob, encode, nested, text, uint
from settlement.chain.scope import Cell, Window
from settlement.core.fixes import TimeFix
from settlement.pair.bytime import ByTime
from settlement.pair.deadlines import Deadlines
from settlement.pair.table import Event, HolderState, moved_holder
from settlement.pair.transmit import LEASE_LONGEST_NS, pause_ns
from settlement.pair.work import STORED_LIMIT, Work, stored_as

STORE = "holder"
LIVE = (HolderState.RESERVED, HolderState.COORDINATING, HolderState.CONFIRMED, HolderState.SUSPENDED)
KEPT_MAX = 1024
"""Most settlements that are completely over and still remembered, for late messages of their users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderPair:
    """One settlement as the holder stores it; hashes name records in the log.

    `lease_ns` is the longest lease by the GRANT; `currency` is that of the price, by the GRANT's rule. `notice` is a
    record that is sent again until it is acknowledged; `notice_since_ns` and `noticed_ns` are when it was sent first
    and last. `asked` are the co-signers, `answered` those that signed, `cosigned` their records. `whole` and `place`
    say which part of which whole this is, `own_parts` how many parts this holder has, `ready` 1 that it waits only for
    those parts. `fallback` is the number of the fallback that binds the holder; `moved` is its FALLBACK, `moved_ns`
    when the settlement ends for it, `moved_cell` the substitute. `handover` is the HANDOVER of this node's own lease
    under which it granted.
    """

    sid: bytes = blob(1, 32)
    state: int = uint(2, high=max(HolderState))
    user: bytes = blob(3, 32)
    request: bytes = blob(4, 32)
    grant: bytes = blob(5, 32)
    cell: Cell = nested(6, Cell)
    commodity: str = text(7, 64)
    accept_by_ns: int = uint(8)
    challenge: bytes = blob(9, 32)
    fence: int = uint(10)
    busy_until_ns: int = uint(11)
    accept: bytes | None = blob(12, 32, optional=True)
    decision: bytes | None = blob(13, 32, optional=True)
    transmit_until_ns: int | None = uint(14, optional=True)
    renewals: int = uint(15)
    notice: bytes | None = blob(16, 65536, least=1, optional=True)
    noticed_ns: int | None = uint(17, optional=True)
    tier: int = uint(18, high=255)
    notice_since_ns: int | None = uint(19, optional=True)
    confirm_by_ns: int | None = uint(20, optional=True)
    asked: tuple[bytes, ...] | None = array(21, blob(0, 32), 256, optional=True)
    answered: tuple[bytes, ...] | None = array(22, blob(0, 32), 256, optional=True)
    cosigned: tuple[bytes, ...] | None = array(23, blob(0, 32), 256, optional=True)
    unit: bytes | None = blob(30, 32, optional=True)
    lease_ns: int | None = uint(31, high=LEASE_LONGEST_NS, optional=True)
    price: int | None = uint(32, optional=True)
    currency: str | None = text(33, 8, optional=True)
    whole: bytes | None = blob(70, 32, optional=True)
    place: int | None = uint(71, high=255, optional=True)
    own_parts: int | None = uint(72, high=255, optional=True)
    ready: int | None = uint(73, high=1, optional=True)
    handover: bytes | None = blob(40, 32, optional=True)
    moved: bytes | None = blob(60, 32, optional=True)
    moved_ns: int | None = uint(61, optional=True)
    moved_cell: Cell | None = nested(62, Cell, optional=True)
    fallback: int | None = uint(63, high=255, optional=True)

    @property
    def live(self) -> bool:
        """True while reserved, waiting for co-signatures, confirmed or suspended."""
        return self.state in LIVE

    def said_again_ns(self) -> int:
        """Return when an unacknowledged record is sent again (UTC, ns)."""
        sent_ns = self.noticed_ns or 0
        since_ns = sent_ns if self.notice_since_ns is None else self.notice_since_ns
        return sent_ns + pause_ns(since_ns, sent_ns, self.sid)

    def due_ns(self, lease_ns: int) -> int:
        """Return the first time (UTC, ns) at which a tick may have to act on the settlement; may be early, never late.

        Args: lease_ns: longest lease of its class; a lease is renewed half of that before its end.
        """
        if self.state == HolderState.SUSPENDED:
            return 0
        times = [max(self.busy_until_ns, self.cell.window.end_ns)]
        if self.state == HolderState.RESERVED:
            times.append(self.accept_by_ns)
        elif self.state == HolderState.COORDINATING:
            times += [self.confirm_by_ns or 0, self.said_again_ns()]
        elif self.state == HolderState.CONFIRMED:
            held_ns = self.transmit_until_ns or 0
            times.append(self.cell.window.end_ns)
            times += [held_ns - lease_ns // 2] if held_ns < self.cell.window.end_ns else []
            times += [self.moved_ns] if self.moved_ns is not None else []
        if self.notice is not None:
            times.append(self.said_again_ns())
        return min(times)

    def done(self, now: TimeFix) -> bool:
        """True when nothing can depend on the settlement: nobody waits, its cell is free, no REQUEST can name it."""
        over_ns = max(self.busy_until_ns, self.cell.window.end_ns)
        return not self.live and self.notice is None and now.after(over_ns)


class HolderPairs:
    """All remembered settlements of a holder; `busy` those that a REQUEST checks, `due` those that a tick checks.

    `unheard` are the settlements with an unacknowledged record.
    """

    def __init__(self, stored: Iterable[bytes], lease_ns: Callable[[str], int]) -> None:
        """Args: lease_ns: returns the longest lease of a class under the rule in force."""
        pairs = [stored_as(HolderPair, raw, STORE) for raw in stored]
        self.known = {pair.sid: pair for pair in pairs}
        self.busy: dict[bytes, HolderPair] = {}
        self._by_time, self._live, self._aborted = ByTime(), Counter[bytes](), Counter[bytes]()
        self.unheard: dict[bytes, None] = {}
        self._lease_ns, self._deadlines = lease_ns, Deadlines()
        for pair in pairs:
            self._put_busy(pair)
        self._over: dict[bytes, None] = {}
        self._theirs: Counter[bytes] = Counter()

    def move(self, work: Work, pair: HolderPair, event: Event, **changes: Any) -> HolderPair:
        """Move a settlement to its next state by the transition table, with the event's changes: the only way to do so.

        Raises IllegalMoveError, before anything is changed, where the table has no such transition.
        """
        moved = replace(pair, state=moved_holder(pair.state, event), **changes)
        self.save(work, moved)
        return moved

    def save(self, work: Work, pair: HolderPair) -> None:
        """Store a settlement in its present form and state."""
        self.known[pair.sid] = pair
        self._put_busy(pair)
        work.put(STORE, pair.sid, encode(pair, limit=STORED_LIMIT))

    def _put_busy(self, pair: HolderPair) -> None:
        """Add or update a settlement in the indexes that a REQUEST or a tick uses."""
        self._count(self.busy.get(pair.sid), -1)
        self._count(pair, 1)
        self.busy[pair.sid] = pair
        self._by_time.put(pair.sid, pair.cell.window)
        if pair.notice is None:
            self.unheard.pop(pair.sid, None)
        else:
            self.unheard[pair.sid] = None
        self._deadlines.set(pair.sid, pair.due_ns(self._lease_ns(pair.commodity)))

    def _drop_busy(self, sid: bytes) -> None:
        """Remove a settlement that is over from the indexes; it has no unacknowledged record left."""
        self._count(self.busy.pop(sid), -1)
        self._by_time.drop(sid)
        self._deadlines.forget(sid)

    def _count(self, pair: HolderPair | None, by: int) -> None:
        if pair is not None and pair.live:
            self._live[pair.user] += by
        elif pair is not None and pair.state == HolderState.ABORTED:
            self._aborted[pair.user] += by

    def of_user(self, user: bytes) -> tuple[int, int]:
        """Return how many of a user's settlements are live, and how many were aborted and are not over yet."""
        return self._live[user], self._aborted[user]

    def busy_in(self, window: Window) -> list[HolderPair]:
        """Return the settlements, not completely over, whose windows overlap this one."""
        return [self.busy[sid] for sid in self._by_time.touching(window)]

    def next_due_ns(self) -> int | None:
        """Return when (UTC, ns) the first settlement is due: 0 if one is now, None if none ever will be."""
        return self._deadlines.next_ns()

    def due(self, now: TimeFix) -> list[HolderPair]:
        """Return the settlements whose deadlines have come."""
        return [self.known[sid] for sid in self._deadlines.due(now.latest_ns)]

    def ruled(self) -> None:
        """Recompute all deadlines, because another rule is in force."""
        self._deadlines.look_at_all()

    def sweep(self, work: Work) -> None:
        """Lay aside settlements that are over; beyond KEPT_MAX delete the oldest of the user with the most."""
        for pair in [p for p in self.due(work.now.time) if p.done(work.now.time)]:
            self._drop_busy(pair.sid)
            self._over[pair.sid] = None
            self._theirs[pair.user] += 1
        while len(self._over) > KEPT_MAX:
            most = max(self._theirs, key=self._theirs.__getitem__)
            sid = next(one for one in self._over if self.known[one].user == most)
            self._theirs[most] -= 1
            del self._over[sid], self.known[sid]
            work.drop(STORE, sid)
