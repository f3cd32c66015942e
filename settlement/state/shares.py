"""What one neighbour may cost this node: computing time, and bytes of its log. Token buckets; time as an argument.

A message is charged once it was dealt with, so that a bucket may go below nothing; whoever is in debt is not listened
to until it is paid off at the bucket's rate. What moves a settlement on is free up to a few milliseconds and free in
the log, for budgets and back-off bound it, so many records a second; all else is charged in full, and so is what lies
beside such a record. A debt is its neighbour's alone.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from settlement.core.reasons import Reason, Refusal, refuse

NS = 1_000_000_000
FREE_WORK_NS = 3_000_000
"""Computing time of a message that moves a settlement: a few signatures and one commit."""
TIGHT_DIVIDES = 16
"""Where the disk runs low a neighbour has a sixteenth of its share of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So much a second on average, and at most `burst` at once."""

    per_s: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The shares of one neighbour: ns of computing time, bytes of the log, and records that are free of both.

    Beyond `moves` nothing is refused: a record that moves a settlement costs what any other does.
    """

    work: Share = Share(per_s=250_000_000, burst=1_000_000_000)
    log: Share = Share(per_s=64 << 10, burst=8 << 20)
    moves: Share = Share(per_s=64, burst=2048)


@dataclass(slots=True)
class _Purse:
    """What is left of one share, in billionths of its unit, at an instant; below 0 it is owed."""

    level: int
    at_ns: int

    def fill(self, share: Share, now_ns: int) -> None:
        elapsed_ns = max(0, now_ns - self.at_ns)
        self.level, self.at_ns = min(share.burst * NS, self.level + elapsed_ns * share.per_s), now_ns


@dataclass(slots=True)
class Shares:
    """Every neighbour's purses, in memory alone.

    `meter` reads the computing time of this process in ns; without one, work costs nothing (virtual time). `tight` is
    set while the disk runs low.
    """

    allowance: Allowance = field(default_factory=Allowance)
    meter: Callable[[], int] | None = None
    tight: bool = False
    turned_away: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    """Messages nobody looked at, by neighbour and by the share that was used up."""
    _purses: dict[bytes, dict[str, _Purse]] = field(default_factory=dict)
    _moves: dict[bytes, _Purse] = field(default_factory=dict)

    def worked_ns(self) -> int:
        """The meter's reading."""
        return self.meter() if self.meter is not None else 0

    def _of(self, name: str) -> Share:
        share: Share = getattr(self.allowance, name)
        if name != "log" or not self.tight:
            return share
        return Share(per_s=max(1, share.per_s // TIGHT_DIVIDES), burst=max(1, share.burst // TIGHT_DIVIDES))

    def judge(self, peer: bytes, now_ns: int) -> Refusal | None:
        """Is a neighbour within its shares? BUDGET, which nobody logs, where it is in debt."""
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
        """Take what a message cost; `moves` says that it moved a settlement on.

        `beside_bytes` of the log's are of records beside it that move nothing themselves: they are never free.
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
        """Is one more record of a neighbour's free? So many are that a settlement's own never run into it."""
        share = self.allowance.moves
        purse = self._moves.setdefault(peer, _Purse(share.burst * NS, now_ns))
        purse.fill(share, now_ns)
        left = purse.level >= NS
        purse.level -= NS if left else 0
        return left

    def counted(self) -> dict[str, int]:
        """Messages turned away so far, by the share that was used up."""
        found: Counter[str] = Counter()
        for (_, name), number in self.turned_away.items():
            found[name] += number
        return dict(found)
