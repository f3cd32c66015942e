"""Status lists: which credentials their issuer has revoked, how fresh each list is, and the order of versions.

One list for each issuer, a bit for each credential it issued with a status index; bit `i` is bit `i mod 8` (lowest
first) of byte `i // 8`, as in the IETF Token Status List. Checks on a new list, in this order:

    (1) its author may issue
    (2) it is still fresh: a list after `fresh_until_ns` proves nothing (STALE)
    (3) its version is above the one held (ROLLBACK), and not absurdly far above (FAST_FORWARD)
    (4) what was revoked stays revoked (ROLLBACK)

A credential with a status index is valid only while a list of its issuer is stored, fresh and long enough
(STATUS_UNKNOWN), and the same holds for every credential above it. After a rotation of an issuer's key its successor
continues the list: the newest stored list must be fresh, and a credential that any of the lists revokes is revoked.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.bodies import Revocation
from settlement.chain.credentials import ISSUE, Registry, Subject
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse

VERSION_JUMP_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """An issuer's newest list, and the record that carried it."""

    record: bytes
    body: Revocation


def bits_of(indices: Iterable[int], size: int) -> bytes:
    """Return a list of `size` bits (rounded up to bytes) with the bits `indices` set. Raises ValueError outside it."""
    data = bytearray((size + 7) // 8)
    for index in indices:
        if not 0 <= index < len(data) * 8:
            raise ValueError(f"status index {index} is outside a list of {len(data) * 8}")
        data[index // 8] |= 1 << index % 8
    return bytes(data)


def is_set(bits: bytes, index: int) -> bool:
    """Whether the bit at `index` is set."""
    return bool(bits[index // 8] >> index % 8 & 1)


def next_version(new: int, held: int, what: str) -> Refusal | None:
    """Refuse a version that is not above the held one, or so far above that no room is left for others."""
    if new <= held:
        return refuse(Reason.ROLLBACK, f"{what}.version", new, f"> {held}")
    if new > held + VERSION_JUMP_MAX:
        return refuse(Reason.FAST_FORWARD, f"{what}.version", new, f"<= {held + VERSION_JUMP_MAX}")
    return None


class StatusLists:
    """The newest list of every issuer."""

    def __init__(self) -> None:
        self._held: dict[bytes, HeldList] = {}

    def forget(self) -> None:
        """Clear all lists, before they are read again from the database."""
        self._held.clear()

    def held(self, issuer: bytes) -> HeldList | None:
        """Return an issuer's newest list; None if none is held."""
        return self._held.get(issuer)

    def judge(self, author: Subject, body: Revocation, now: TimeFix) -> Refusal | None:
        """Run checks (1) to (4) on a list."""
        if ISSUE not in author.scope.actions:
            return refuse(Reason.SCOPE, "status.author", author.scope.actions, ISSUE)
        if not now.before(body.fresh_until_ns):
            measured = f"[{now.earliest_ns}, {now.latest_ns}] ns"
            return refuse(Reason.STALE, "status.fresh_until", measured, f"< {body.fresh_until_ns} ns")
        before = self._held.get(author.hash)
        refusal = next_version(body.version, before.body.version if before else 0, "status")
        if refusal is not None or before is None:
            return refusal
        unset = [n for n, old in enumerate(before.body.bits) if n >= len(body.bits) or old & ~body.bits[n]]
        if unset:
            return refuse(Reason.ROLLBACK, "status.bits", f"bits of byte {unset[0]} cleared", "revoked stays revoked")
        return None

    def take(self, author: Subject, record: bytes, body: Revocation) -> None:
        """Store a list that was judged."""
        self._held[author.hash] = HeldList(record=record, body=body)

    def standing(self, subject: Subject, registry: Registry, now: TimeFix, *, vouched: bool = False) -> Refusal | None:
        """Return None where fresh lists show neither the credential nor any above it as revoked; else a refusal.

        A credential without a status index cannot be revoked and passes; with `vouched` it is refused.
        """
        here: Subject | None = subject
        while here is not None:
            if vouched and here.issuer is not None and here.status_index is None:
                return refuse(Reason.STATUS_UNKNOWN, "capability.5.check", f"{here.name} has no status index", "one")
            refusal = self._one(here, registry, now)
            if refusal is not None:
                return refusal
            here = registry.get(here.issuer)
        return None

    def _one(self, subject: Subject, registry: Registry, now: TimeFix) -> Refusal | None:
        if subject.status_index is None or subject.issuer is None:
            return None
        lists = self._of(subject.issuer, registry)
        if not lists:
            return refuse(Reason.STATUS_UNKNOWN, "status.list", "none held", f"the list of {subject.name}'s issuer")
        index, newest = subject.status_index, lists[-1].body
        # A revocation is final, however old the list that states it.
        for held in lists:
            if index < len(held.body.bits) * 8 and is_set(held.body.bits, index):
                required = f"not revoked in list {held.body.version}"
                return refuse(Reason.REVOKED, "status.revoked", subject.name, required)
        if index >= len(newest.bits) * 8:
            return refuse(Reason.STATUS_UNKNOWN, "status.index", index, f"< {len(newest.bits) * 8}")
        if not now.before(newest.fresh_until_ns):
            return refuse(Reason.STATUS_UNKNOWN, "status.stale", f"{now.latest_ns} ns", f"< {newest.fresh_until_ns}")
        return None

    def _of(self, issuer: bytes, registry: Registry) -> list[HeldList]:
        """Return the lists about an issuer's credentials: its own, then those of its successors, in order."""
        here: bytes | None = issuer
        found: dict[bytes, HeldList | None] = {}
        while here is not None and here not in found:
            found[here] = self._held.get(here)
            here = registry.successor(here)
        return [held for held in found.values() if held is not None]
