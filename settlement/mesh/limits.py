"""Rate limits of one neighbour: token buckets, pure, in whole numbers, with time as an argument.

A bucket fills at its rate up to its burst. A message for which it holds too little is over the limit: it is dropped and
counted, and draws nothing from the bucket. So a flood affects only its sender, and only while it lasts.
"""

from collections import Counter
from dataclasses import dataclass, field

NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: tokens added a second, and its capacity `burst`."""

    per_s: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the mesh accepts from neighbours before it drops messages or cuts connections."""

    messages: Rate = Rate(per_s=1000, burst=2000)
    data: Rate = Rate(per_s=4 << 20, burst=8 << 20)
    queue_messages: int = 32
    """Most messages of one neighbour that wait inside libzmq; more wait in the network."""
    unread_bytes: int = 2 << 20
    """Most bytes of an incomplete message on one connection: libzmq does not limit the number of parts of a message,
    and stores all of them until the last has come."""
    unread_bytes_total: int = 64 << 20
    connections: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The level of a token bucket at an instant, in billionths of a token."""

    level: int
    at_ns: int

    @classmethod
    def full(cls, rate: Rate, now_ns: int) -> "Bucket":
        """Return a full bucket."""
        return cls(level=rate.burst * NS, at_ns=now_ns)

    def take(self, rate: Rate, cost: int, now_ns: int) -> "Bucket | None":
        """Return the bucket after drawing `cost` tokens at `now_ns`; None when it holds too little."""
        elapsed_ns = max(0, now_ns - self.at_ns)
        level = min(rate.burst * NS, self.level + elapsed_ns * rate.per_s) - cost * NS
        return Bucket(level=level, at_ns=max(now_ns, self.at_ns)) if level >= 0 else None


@dataclass(slots=True)
class PeerRates:
    """Two buckets of every neighbour, for messages and bytes, and how many of its messages were over the limit."""

    limits: Limits
    over: Counter[bytes] = field(default_factory=Counter)
    _buckets: dict[bytes, tuple[Bucket, Bucket]] = field(default_factory=dict)

    def takes(self, peer: bytes, size: int, now_ns: int) -> bool:
        """Whether a message of `size` bytes is within that neighbour's limits; counts it when not."""
        limits = self.limits
        messages, data = self._buckets.get(peer) or (
            Bucket.full(limits.messages, now_ns),
            Bucket.full(limits.data, now_ns),
        )
        one, many = messages.take(limits.messages, 1, now_ns), data.take(limits.data, size, now_ns)
        if one is None or many is None:
            self.over[peer] += 1
            return False
        self._buckets[peer] = one, many
        return True
