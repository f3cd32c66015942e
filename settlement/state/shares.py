"""Limits on what one neighbour may cost this node, in computing time and log bytes: token buckets.

A message is charged after it was handled, so a bucket may go below zero; messages of a neighbour in debt are dropped
until the bucket's rate has refilled the debt. A record that moves a settlement costs nothing for the first few
milliseconds and nothing for the log, up to a number of records a second, because budgets and back-off limit such
records. Everything else is charged in full, also records beside such a record. A debt affects only its neighbour.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from settlement.core.reasons import Reason, Refusal, refuse

NS = 1_000_000_000
FREE_WORK_NS = 3_000_000
"""Free computing time of a message that moves a settlement, ns: a few signatures and one commit."""
TIGHT_DIVIDES = 16
"""Divisor of a neighbour's share of the log while the disk runs low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A token bucket's rate a second, and its capacity `burst`."""

    per_s: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The shares of one neighbour: ns of computing time, bytes of the log, and a number of free records.

    Beyond `moves` no record is refused for that: it is only charged like any other.
    """

    work: Share = Share(per_s=250_000_000, burst=1_000_000_000)
    log: Share = Share(per_s=64 << 10, burst=8 << 20)
    moves: Share = Share(per_s=64, burst=2048)


@dataclass(slots=True)
class _Purse:
    """The level of one token bucket, in billionths of its unit, at an instant; below 0 is debt."""

    level: int
    at_ns: int

    def fill(self, share: Share, now_ns: int) -> None:
        elapsed_ns = max(0, now_ns - self.at_ns)
        self.level, self.at_ns = min(share.burst * NS, self.level + elapsed_ns * share.per_s), now_ns


@dataclass(slots=True)
class Shares:
    """The token buckets of every neighbour, in memory only.

    `meter` reads the computing time of this process in ns; without one, work costs nothing (virtual time). `tight` is
    set while the disk runs low.
    """

    allowance: Allowance = field(default_factory=Allowance)
    meter: Callable[[], int] | None = None
    tight: bool = False
    turned_away: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    """Number of dropped messages, by neighbour and by the share that was used up."""
    _purses: dict[bytes, dict[str, _Purse]] = field(default_factory=dict)
    _moves: dict[bytes, _Purse] = field(default_factory=dict)

    def worked_ns(self) -> int:
        """Return the meter's reading, ns."""
        return self.meter() if self.meter is not None else 0

    def _of(self, name: str) -> Share:
        share: Share = getattr(self.allowance, name)
        if name != "log" or not self.tight:
            return share
        return Share(per_s=max(1, share.per_s // TIGHT_DIVIDES), burst=max(1, share.burst // TIGHT_DIVIDES))

    def judge(self, peer: bytes, now_ns: int) -> Refusal | None:
        """Refuse a neighbour in debt: BUDGET, which is not logged; None where it is within its shares."""
        for name, purse in self._purses.get(peer, {}).items():
            share = self._of(name)
            purse.fill(share, now_ns)
            if purse.level <= 0:
                self.turned_away[peer, name] += 1
                unit = "ns of work" if name == "work" else "bytes of log"
                owed_ns = -purse.level // share.per_s
                return refuse(
                    Reason.BUDGET,
                    f"share.{name}",
                    f"{share.burst} {unit} used up, {owed_ns} ns to wait",
                    f"<= {share.per_s} {unit} a second",
                )
        return None

    def charge(
        self, peer: bytes, now_ns: int, *, work_ns: int, log_bytes: int, moves: bool, beside_bytes: int = 0
    ) -> None:
        """Charge a message's cost; `moves` says that the message moved a settlement.

        `beside_bytes` are the log bytes of records beside it that move nothing themselves: they are never free.
        """
        free = moves and self._one_more(peer, now_ns)
        costs = {"work": work_ns, "log": log_bytes}
        if free:
            costs = {"work": max(0, work_ns - FREE_WORK_NS), "log": beside_bytes}
        purses = self._purses.setdefault(peer, {})
        for name, cost in costs.items():
            share = self._of(name)
            purse = purses.setdefault(name, _Purse(share.burst * NS, now_ns))
            purse.fill(share, now_ns)
            purse.level -= cost * NS

    def _one_more(self, peer: bytes, now_ns: int) -> bool:
        """Whether one more record of a neighbour is free: the number allowed exceeds what settlements need."""
        share = self.allowance.moves
        purse = self._moves.setdefault(peer, _Purse(share.burst * NS, now_ns))
        purse.fill(share, now_ns)
        left = purse.level >= NS
        purse.level -= NS if left else 0
        return left

    def counted(self) -> dict[str, int]:
        """Return the number of dropped messages so far, by the share that was used up."""
        found: Counter[str] = Counter()
        for (_, name), number in self.turned_away.items():
            found[name] += number
        return dict(found)
