"""Back-off of a holder towards a user that lets reservations expire: grows with each, halves with each success.

A GRANT that is not accepted blocks a cell for everyone until `accept_by`, and costs its user nothing. Each failure
halves the number of reservations that the user may have open at once. The first failure causes no wait; from the second
on the next REQUEST has to wait, each time GROWTH times as long. A settlement halves the count of failures.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.chain.codec import encode, uint
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.work import Work, stored_as

STORE = "patience"
GROWTH = 8
PAUSE_LEAST_NS = 1_000_000_000
PAUSE_MAX_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A user's count of expired reservations, and until when (UTC, ns) its REQUESTs are refused."""

    count: int = uint(1)
    until_ns: int = uint(2)


class Patience:
    """A holder's record of users that let reservations expire. Rebuilt after a restart."""

    def __init__(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        self._failing = {user: stored_as(Failing, raw, STORE) for user, raw in stored}

    def judge(self, user: bytes, now: TimeFix) -> Refusal | None:
        """Refuse a REQUEST during the user's back-off; a stored wait beyond the maximum is void (another clock's)."""
        held = self._failing.get(user)
        if held is None or now.after(held.until_ns) or held.until_ns > now.latest_ns + PAUSE_MAX_NS:
            return None
        measured = f"{held.count} reservations not taken up"
        return refuse(Reason.BUDGET, "request.patience", measured, f"a REQUEST after {held.until_ns} ns")

    def open_max(self, user: bytes, most: int) -> int:
        """Return how many reservations and settlements a user may hold open at a time."""
        held = self._failing.get(user)
        return most if held is None else max(1, most >> min(held.count, 16))

    def failed(self, work: Work, user: bytes, accept_ns: int) -> None:
        """Count a reservation that expired."""
        held = self._failing.get(user)
        count = 1 if held is None else held.count + 1
        pause_ns = max(accept_ns, PAUSE_LEAST_NS) * GROWTH ** min(count - 1, 16) if count > 1 else 0
        until_ns = work.now.time.latest_ns + min(pause_ns, PAUSE_MAX_NS)
        self._keep(work, user, Failing(count=count, until_ns=until_ns))

    def taken_up(self, work: Work, user: bytes) -> None:
        """Count a completed settlement in the user's favour."""
        held = self._failing.get(user)
        if held is not None:
            self._keep(work, user, replace(held, count=held.count // 2))

    def succeeded(self, work: Work, old: bytes, new: bytes) -> None:
        """Carry a user's record over to its new key."""
        held = self._failing.get(old)
        if held is not None:
            self._keep(work, new, held)

    def _keep(self, work: Work, user: bytes, held: Failing) -> None:
        if held.count == 0:
            self._failing.pop(user, None)
            work.drop(STORE, user)
        else:
            self._failing[user] = held
            work.put(STORE, user, encode(held))
