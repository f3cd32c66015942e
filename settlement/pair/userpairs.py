"""A user's settlements: their stored form, their deadlines, and when each is deleted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from settlement.chain.codec import blob, encode, nested, sint, text, uint
from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix
from settlement.pair.deadlines import Deadlines
from settlement.pair.table import Event, UserState, moved_user
from settlement.pair.transmit import LEASE_LONGEST_NS, LEASE_MAX_NS, pause_ns
from settlement.pair.work import STORED_LIMIT, Work, stored_as

STORE = "user"
WAITING = (UserState.REQUESTED, UserState.ACCEPTED)
IN_FORCE = (UserState.SETTLED, UserState.SUSPENDED)
KEPT_MAX = 1024
"""Most settlements that are completely over and still remembered, for late messages of their holders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """An accepted FALLBACK: when the settlement ends for it (UTC, ns), and what is requested instead."""

    fallback: bytes = blob(1, 32)
    from_ns: int = uint(2)
    cell: Cell = nested(3, Cell)
    declaration: bytes = blob(4, 32)
    eirp_mdbm: int = sint(5)
    tier: int = uint(6, high=255)
    price: int | None = uint(7, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPair:
    """One settlement as the user stores it, keyed by the hash of its REQUEST.

    `lease_ns` is the longest lease by the GRANT. `last` is the record to send again, `since_ns` when it was sent first
    (else `asked_ns`); `lease` is the newest RENEW, SUSPEND or RESUME. `price_max` is the most that the user pays.
    `whole`, `place` and `parts` say which of how many parts of a settlement over several classes this is. `substitute`
    is the id of the settlement that was requested instead, where its holder moves it (`moving`).
    """

    request: bytes = blob(1, 32)
    state: int = uint(2, high=max(UserState))
    holder: bytes = blob(3, 32)
    sid: bytes = blob(4, 32)
    cell: Cell = nested(5, Cell)
    asked_ns: int = uint(6)
    sent_ns: int = uint(7)
    give_up_ns: int = uint(8)
    last: bytes = blob(9, 65536, least=0)
    grant: bytes | None = blob(10, 32, optional=True)
    accept: bytes | None = blob(11, 32, optional=True)
    decision: bytes | None = blob(12, 32, optional=True)
    transmit_until_ns: int | None = uint(13, optional=True)
    renewals: int = uint(14)
    fence: int = uint(15)
    ended: str | None = text(16, 64, optional=True)
    since_ns: int | None = uint(17, optional=True)
    lease: bytes | None = blob(18, 32, optional=True)
    suspended: str | None = text(19, 64, optional=True)
    unit: bytes | None = blob(30, 32, optional=True)
    lease_ns: int | None = uint(31, high=LEASE_LONGEST_NS, optional=True)
    price_max: int | None = uint(32, optional=True)
    whole: bytes | None = blob(70, 32, optional=True)
    place: int | None = uint(71, high=255, optional=True)
    parts: int | None = uint(72, high=255, optional=True)
    moving: Moving | None = nested(60, Moving, optional=True)
    substitute: bytes | None = blob(61, 32, optional=True)

    @property
    def longest_ns(self) -> int:
        """The longest lease of this settlement, ns."""
        return LEASE_MAX_NS if self.lease_ns is None else self.lease_ns

    @property
    def in_force(self) -> bool:
        """Whether the settlement is confirmed and not over, suspended or not."""
        return self.state in IN_FORCE

    def said_again_ns(self) -> int:
        """Return when an unanswered record is sent again (UTC, ns)."""
        since_ns = self.asked_ns if self.since_ns is None else self.since_ns
        return self.sent_ns + pause_ns(since_ns, self.sent_ns, self.request)

    def due_ns(self) -> int:
        """Return the first time (UTC, ns) at which a tick may have to act on the settlement; may be early."""
        times = [self.cell.window.end_ns]
        if self.moving is not None and self.in_force:
            times.append(self.moving.from_ns if self.substitute is not None else 0)
        if self.state == UserState.REQUESTED:
            times.append(self.give_up_ns)
        if self.state in WAITING or (self.state == UserState.ENDED and self.last):
            times.append(self.said_again_ns())
        return min(times)

    def done(self, now: TimeFix) -> bool:
        """True when nothing can depend on the settlement: no answer is awaited, and the window is over."""
        return self.state not in (*WAITING, *IN_FORCE) and not self.last and now.after(self.cell.window.end_ns)


class UserPairs:
    """All remembered settlements of a user; `busy` those not completely over, of them `due` those that a tick checks.

    `unheard` are those that ended and whose end the holder has not acknowledged.
    """

    def __init__(self, stored: Iterable[bytes]) -> None:
        pairs = [stored_as(UserPair, raw, STORE) for raw in stored]
        self.known = {pair.request: pair for pair in pairs}
        self.busy = dict(self.known)
        self.unheard = {pair.request: None for pair in pairs if pair.state == UserState.ENDED and pair.last}
        self._deadlines = Deadlines()
        for pair in pairs:
            self._deadlines.set(pair.request, pair.due_ns())
        self._by_sid = {pair.sid: pair.request for pair in pairs}
        self.wholes: dict[bytes, dict[int, bytes]] = {}
        """The REQUESTs of each unfinished whole, by the places of its parts."""
        for pair in pairs:
            self._note_whole(pair)
        self._over: dict[bytes, None] = {}
        self._theirs: Counter[bytes] = Counter()

    def by_sid(self, sid: bytes) -> UserPair | None:
        """Return the settlement with that id; None if there is none."""
        request = self._by_sid.get(sid)
        return None if request is None else self.known[request]

    def move(self, work: Work, pair: UserPair, event: Event, **changes: Any) -> UserPair:
        """Move a settlement to its next state by the transition table, with the event's changes: the only way to do so.

        Raises IllegalMoveError, before anything is changed, where the table has no such transition.
        """
        moved = replace(pair, state=moved_user(pair.state, event), **changes)
        self.save(work, moved)
        return moved

    def save(self, work: Work, pair: UserPair) -> None:
        """Store a settlement in its present form and state."""
        self.known[pair.request] = self.busy[pair.request] = pair
        self._by_sid[pair.sid] = pair.request
        self._note_whole(pair)
        if pair.state == UserState.ENDED and pair.last:
            self.unheard[pair.request] = None
        else:
            self.unheard.pop(pair.request, None)
        self._deadlines.set(pair.request, pair.due_ns())
        work.put(STORE, pair.request, encode(pair, limit=STORED_LIMIT))

    def _note_whole(self, pair: UserPair) -> None:
        if pair.whole is not None:
            self.wholes.setdefault(pair.whole, {})[pair.place or 0] = pair.request

    def parts_of(self, whole: bytes) -> list[UserPair]:
        """Return the remembered parts of a whole, in order of their places."""
        return [self.known[name] for _, name in sorted(self.wholes.get(whole, {}).items()) if name in self.known]

    def next_due_ns(self) -> int | None:
        """Return when (UTC, ns) the first settlement is due: 0 if one is now, None if none ever will be."""
        return self._deadlines.next_ns()

    def due(self, now: TimeFix) -> list[UserPair]:
        """Return the settlements whose deadlines have come."""
        return [self.known[request] for request in self._deadlines.due(now.latest_ns)]

    def sweep(self, work: Work) -> None:
        """Lay aside settlements that are over; beyond KEPT_MAX delete the oldest of the holder with the most."""
        for pair in [p for p in self.due(work.now.time) if p.done(work.now.time)]:
            self._deadlines.forget(pair.request)
            del self.busy[pair.request]
            self._over[pair.request] = None
            self._theirs[pair.holder] += 1
        while len(self._over) > KEPT_MAX:
            most = max(self._theirs, key=self._theirs.__getitem__)
            request = next(one for one in self._over if self.known[one].holder == most)
            self._theirs[most] -= 1
            gone = self.known.pop(request)
            del self._over[request]
            if gone.whole is not None:
                self.wholes.pop(gone.whole, None)
            if self._by_sid.get(gone.sid) == request:
                del self._by_sid[gone.sid]
            work.drop(STORE, request)
