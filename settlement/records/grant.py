"""The reservation (GRANT), its acceptance (ACCEPT), and the co-signatures."""

from dataclasses import dataclass

from settlement.chain.codec import array, blob, nested, text, uint
from settlement.chain.quantities import DAY_NS, count, instant_ns, millidecibel
from settlement.chain.scope import Cell, Scope
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.market import PARTS_MAX
from settlement.records.row import Charge, Kind, RecordType, Site
from settlement.records.sizes import HASH
from settlement.records.wholeparts import WHOLE_MAX, LaterPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A holder reserves a cell for a user, which may not transmit on it before a CONFIRM.

    `wish` and `index`: which part of which wish this fills, where several holders fill one. `whole`, `place` and
    `parts`: which of how many parts of a settlement over several classes this is. `fallback` is the number of the
    fallback, in the class's catalogue, that binds the holder; `replaces` is the hash of the FALLBACK whose substitute
    this is. `handover` is the hash of the HANDOVER of the holder's own lease; a holder without the action "grant" may
    grant in no other way. `jurisdictions` are the hashes of the jurisdiction records whose areas the cell touches.
    `award` is the hash of the OUTCOME of the offer's auction, `approval` that of the class's approval or coalition.
    """

    sid: bytes = blob(1, HASH)
    request: bytes = blob(2, HASH)
    user: bytes = blob(3, HASH)
    nonce: bytes = blob(4, 16)
    cell: Cell = nested(5, Cell)
    commodity: str = text(6, 64)
    tier: int = uint(7, high=255)
    max_eirp_mdbm: int = millidecibel(8)
    price: int = count(9)
    accept_by_ns: int = instant_ns(10)
    confirm_by_ns: int = instant_ns(11)
    challenge: bytes = blob(12, HASH)
    rule: bytes = blob(13, HASH)
    fence: int = count(14)
    lease_ns: int = uint(15, high=DAY_NS)
    composite: bytes | None = blob(16, HASH, optional=True)
    wish: bytes | None = blob(17, 16, optional=True)
    index: int | None = uint(18, high=PARTS_MAX, optional=True)
    whole: bytes | None = blob(30, HASH, optional=True)
    place: int | None = uint(31, high=WHOLE_MAX - 1, optional=True)
    parts: int | None = uint(32, high=WHOLE_MAX, optional=True)
    handover: bytes | None = blob(28, HASH, optional=True)
    jurisdictions: tuple[bytes, ...] | None = array(29, blob(0, HASH), 8, low=1, optional=True)
    fallback: int | None = uint(60, high=255, optional=True)
    replaces: bytes | None = blob(61, HASH, optional=True)
    award: bytes | None = blob(40, HASH, optional=True)
    approval: bytes | None = blob(41, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """A user accepts exactly this GRANT, answers its challenge, and lists the records from which the GRANT derives.

    `later` shows the later parts of a whole that other holders have confirmed.
    """

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    answer: bytes = blob(3, HASH)
    derived_from: tuple[bytes, ...] | None = array(4, blob(0, HASH), 16, optional=True)
    envelope: bytes | None = blob(5, HASH, optional=True)
    later: tuple[LaterPart, ...] | None = array(30, LaterPart, WHOLE_MAX, low=1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """A co-signer of the named shards states that it signed nothing that overlaps, and keeps so until `until_ns`."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    accept: bytes = blob(3, HASH)
    shards: tuple[str, ...] = array(4, text(0, 64), 64, low=1)
    until_ns: int = instant_ns(5)


def _may_grant(body: Grant, scope: Scope) -> Refusal | None:
    """Clause (8) of admission: without the action "grant", only a GRANT that hands on the author's own lease."""
    if body.handover is not None or "grant" in scope.actions:
        return None
    return refuse(Reason.SCOPE, "capability.8.grant", ", ".join(scope.actions), "grant, or a HANDOVER that is named")


TYPES = (
    RecordType(
        number=12,
        name="grant",
        body=Grant,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        charge=Charge.MOVES,
        signs=True,
        within_scope=_may_grant,
    ),
    RecordType(
        number=13,
        name="accept",
        body=Accept,
        kind=Kind.DEALING,
        actions=("request",),
        site=Site.OWN_AREA,
        charge=Charge.MOVES,
        signs=True,
    ),
    RecordType(
        number=14,
        name="coordination",
        body=Coordination,
        kind=Kind.DEALING,
        actions=("coordinate",),
        charge=Charge.MOVES,
        signs=True,
    ),
)
