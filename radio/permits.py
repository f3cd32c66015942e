"""The settlements that a warden has verified, and which of them the gate judges now."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from radio.remainder import narrowed, proven_handing
from radio.rulebook import RuleBook
from settlement.chain.admission import prove
from settlement.chain.bodies import Rotation
from settlement.chain.credentials import Registry, Subject
from settlement.chain.records import digest
from settlement.chain.rotation import judge_rotation
from settlement.chain.scope import HZ
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit, extend, verify
from settlement.pair.transmit import furthest
from settlement.records.handover import Handover, Reclaim

WITHDRAWN_MAX = 4096
GRACE_NS = 60_000_000_000
"""Time after its window for which a permit is still kept: late records about it are still matched."""


@dataclass(slots=True)
class HeldPermit:
    """A verified permit, why it was withdrawn if it was, and what was sent under it (monotonic ns).

    `whole` is the permit without what its user `handed` on, by the HANDOVER's name, where it did; `untold` are those of
    which nobody has been told yet that the radio is silent in them.
    """

    permit: VerifiedPermit
    withdrawn: Refusal | None = None
    bursts: int = 0
    airtime_ns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    closed: bool = False
    whole: VerifiedPermit | None = None
    handed: dict[bytes, Handover] = field(default_factory=dict)
    untold: list[bytes] = field(default_factory=list)

    def take(self, changed: VerifiedPermit, now: TimeFix) -> None:
        """Use a permit with a changed lease; bands handed on stay excluded."""
        if self.whole is None:
            self.permit = changed
        else:
            self.whole = changed
            self.permit = narrowed(changed, self.handed.values(), now)

    def hand_on(self, name: bytes, body: Handover | Reclaim, now: TimeFix) -> None:
        """Exclude what a HANDOVER hands on from the permit, or include again what a RECLAIM returns."""
        whole = self.permit if self.whole is None else self.whole
        if isinstance(body, Handover):
            self.handed[name] = body
            self.untold.append(name)
        else:
            self.handed.pop(body.handover, None)
        self.whole = whole
        self.permit = narrowed(whole, self.handed.values(), now)


class Permits:
    """The warden's verified permits; the only place where an artifact becomes a permit."""

    def __init__(
        self,
        *,
        network: str,
        anchors: Iterable[bytes],
        chain: tuple[bytes, ...] = (),
        book: RuleBook | None = None,
    ) -> None:
        """Start with no permits; `book` holds the rules; without one the rule of the first settlement begins them."""
        self._network, self._anchors, self._chain = network, frozenset(anchors), chain
        self._book = RuleBook(registry=Registry(network, self._anchors)) if book is None else book
        self._held: dict[bytes, HeldPermit] = {}
        self._withdrawn: dict[bytes, Refusal] = {}
        self._past_ns = 0

    def take(self, artifact: bytes, now: TimeFix | None = None) -> HeldPermit | Refusal:
        """Verify an artifact and hold its permit; the same settlement again keeps its state.

        Args: now: this node's time; without a trusted one only a settlement under the newest rule is taken.
        """
        permit = verify(artifact, network=self._network, anchors=self._anchors)
        if isinstance(permit, Refusal):
            return permit
        refusal = _not_of_radio(permit) or self._book.judge(permit, now) or _lease_beyond(permit, now)
        refusal = refusal or self._long_over(permit, now) or self._part_twice(permit, now)
        if refusal is not None:
            return refusal
        self._book.note(permit, now)
        return self._held.setdefault(permit.sid, HeldPermit(permit, withdrawn=self._withdrawn.get(permit.sid)))

    def _part_twice(self, permit: VerifiedPermit, now: TimeFix | None) -> Refusal | None:
        """Refuse a second settlement of the same part of one wish: two holders may both grant it, the first counts."""
        for sid, held in self._held.items():
            over = now is not None and now.after(held.permit.cell.window.end_ns)
            if permit.part is None or held.permit.part != permit.part or sid == permit.sid or held.withdrawn or over:
                continue
            measured = f"part {permit.part[1]} of the wish is {sid.hex()[:16]} already"
            return refuse(Reason.CONFLICT, "permits.part", measured, "one settlement for each part of a wish")
        return None

    def change(self, record: bytes, sid: bytes, now: TimeFix) -> HeldPermit | Refusal:
        """Verify a RENEW, SUSPEND or RESUME of a held permit; refuses a lease that ends too far from here and now."""
        held = self._held.get(sid)
        if held is None:
            return refuse(Reason.UNKNOWN_SID, "permits.change", sid.hex()[:16], "a permit held here")
        whole = held.permit if held.whole is None else held.whole
        changed = extend(whole, record, network=self._network, anchors=self._anchors)
        if isinstance(changed, Refusal):
            return changed
        if changed.suspended_for is None:  # a record that closes counts whatever the clock says
            refusal = _undated(now) or _lease_beyond(changed, now)
            if refusal is not None:
                return refusal
        held.take(changed, now)
        return held

    def hand_on(self, record: bytes, sid: bytes, now: TimeFix) -> HeldPermit | Refusal:
        """Verify a HANDOVER or a RECLAIM of a held permit, and use the permit that remains."""
        held = self._held.get(sid)
        if held is None:
            return refuse(Reason.UNKNOWN_SID, "permits.handing", sid.hex()[:16], "a permit held here")
        body = proven_handing(record, held.permit, Registry(self._network, self._anchors))
        if isinstance(body, Refusal):
            return body
        held.hand_on(digest(record), body, now)
        return held

    def rule(self, raw: bytes, chain: Iterable[bytes]) -> Refusal | None:
        """Take the next rule of the chain of rules."""
        return self._book.hear_bytes(raw, chain)

    def close(self) -> None:
        """Close, once the rules seen are on disk."""
        self._book.close()

    def succeed(self, record: bytes) -> Subject | Refusal:
        """Verify the rotation of this node's own credential, for the same radio, and accept the new key as well."""
        registry = Registry(self._network, self._anchors)
        mine, admitted = registry.admit_chain(self._chain), prove(record, registry)
        if isinstance(mine, Refusal):
            return mine
        if isinstance(admitted, Refusal):
            return admitted
        if not isinstance(admitted.record.body, Rotation) or admitted.author.hash != mine.hash:
            return refuse(Reason.BINDING, "permits.succeed", admitted.record.typ, f"a rotation by {mine.name}")
        new = judge_rotation(mine, admitted.record.body, registry)
        if isinstance(new, Subject):
            self._chain = new.chain
        return new

    def withdraw(self, sid: bytes, refusal: Refusal) -> bool:
        """Stop using a settlement for good, whether held or still to come; returns False when it is not held."""
        self._withdrawn.setdefault(sid, refusal)
        while len(self._withdrawn) > WITHDRAWN_MAX:
            del self._withdrawn[next(iter(self._withdrawn))]
        held = self._held.get(sid)
        if held is not None and held.withdrawn is None:
            held.withdrawn = refusal
        return held is not None

    def all(self) -> list[HeldPermit]:
        """Every held permit that has not been reported as used."""
        return [held for held in self._held.values() if not held.closed]

    def get(self, sid: bytes) -> HeldPermit | None:
        """The permit of a settlement."""
        return self._held.get(sid)

    def current(self, now: TimeFix, mine: Container[bytes] | None = None) -> HeldPermit | None:
        """The permit that the gate judges: of those whose window is not over, the one that ends first.

        One that has begun and whose lease runs comes before one that has begun, and that before one still to begin.
        Where none of them is left, the one that was used last, so that the gate can say why it is closed.

        Args: mine: credentials of this node's; what others may use is not for its own radio. None takes every permit.
        """
        for held in self._held.values():
            if held.whole is not None and not held.closed:
                held.permit = narrowed(held.whole, held.handed.values(), now)
        own = [h for h in self._held.values() if mine is None or h.permit.user.hash in mine]
        usable = [h for h in own if h.withdrawn is None and not now.after(h.permit.cell.window.end_ns)]
        begun = [h for h in usable if h.permit.cell.window.start_ns <= now.latest_ns]
        leased = [h for h in begun if now.before(h.permit.transmit_until_ns) and h.permit.suspended_for is None]
        for choice in (leased, begun, usable):
            if choice:
                return min(choice, key=lambda h: h.permit.cell.window.end_ns)
        return next((h for h in reversed(own) if not h.closed), None)

    def finished(self, now: TimeFix) -> list[HeldPermit]:
        """Permits that are over, withdrawn or past their window; each is returned once, to be reported as used."""
        over = [
            h
            for h in self._held.values()
            if not h.closed and (h.withdrawn is not None or now.after(h.permit.cell.window.end_ns))
        ]
        for held in over:
            held.closed = True
        self._forget(now)
        return over

    def _forget(self, now: TimeFix) -> None:
        """Drop permits reported and long over; a clock that is set back does not admit them again."""
        gone = [
            sid
            for sid, held in self._held.items()
            if held.closed and now.trusted and now.after(held.permit.cell.window.end_ns + GRACE_NS)
        ]
        for sid in gone:
            del self._held[sid]
            self._past_ns = max(self._past_ns, now.earliest_ns)

    def _long_over(self, permit: VerifiedPermit, now: TimeFix | None) -> Refusal | None:
        """Refuse an artifact whose window and grace are past, by the clock or because the warden dropped it already."""
        over_ns = permit.cell.window.end_ns + GRACE_NS
        past_ns = max(self._past_ns, now.earliest_ns if now is not None and now.trusted else 0)
        if permit.sid in self._held or past_ns <= over_ns:
            return None
        measured = f"its window ended {(past_ns - permit.cell.window.end_ns) / 1e9:.0f} s ago"
        return refuse(Reason.EXPIRED, "permits.window", measured, f"<= {GRACE_NS // 10**9} s after its window")


def _undated(now: TimeFix) -> Refusal | None:
    """Refuse to extend a lease while the clock is not trusted."""
    return None if now.trusted else refuse(Reason.LEASE, "permits.change", now.status, "a trusted clock")


def _not_of_radio(permit: VerifiedPermit) -> Refusal | None:
    """Refuse a settlement of another class than spectrum: it lets no radio transmit."""
    unit = permit.cell.band.unit
    return None if unit is None else refuse(Reason.BAND, "permits.unit", f"a settlement in {unit}", HZ)


def _lease_beyond(permit: VerifiedPermit, now: TimeFix | None) -> Refusal | None:
    """Refuse a lease that ends later from here and now than its class allows, whatever time its record states."""
    if now is None or not now.trusted:
        return None
    limit_ns = furthest(now.latest_ns, permit.cell, permit.lease_ns)
    if permit.transmit_until_ns <= limit_ns:
        return None
    return refuse(Reason.LEASE, "permits.lease", f"{permit.transmit_until_ns} ns", f"<= {limit_ns} ns")
