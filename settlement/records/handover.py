"""Records of a lease that is handed on: HANDOVER by its user, CONSENT by its holder, VACATED, RECLAIM."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, blob, nested, text, uint
from settlement.chain.quantities import WINDOW_MAX_NS, count, instant_ns, millidecibel
from settlement.chain.scope import Cell, ordered
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rule
from settlement.records.handingterms import KINDS
from settlement.records.market import Declaration
from settlement.records.row import Becomes, CarriedBy, Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH

TIER_WEAKEST = 255
LEASE_ARTIFACT_MAX = 48 * 1024
"""Most bytes of the artifact of the lease that is handed on, inside a HANDOVER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The user of a settlement (`sid`, its CONFIRM) hands on its lease, or a part of it, to one party (`to`).

    kind      transfer: the whole lease, for good; sublease: a part of band, area, time or EIRP
    cell      what is handed on, at most with `max_eirp_mdbm`; `tier` is the tier of the lease
    artifact  proof of the settlement whose lease it is; where that lease was handed on too, it contains the artifact of
              the one before, and so on back to the licence
    """

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    kind: str = text(3, 16)
    to: bytes = blob(4, HASH)
    cell: Cell = nested(5, Cell)
    commodity: str = text(6, 64)
    tier: int = uint(7, high=TIER_WEAKEST)
    max_eirp_mdbm: int = millidecibel(8)
    price: int = count(9)
    rule: bytes = blob(10, HASH)
    artifact: bytes = blob(11, LEASE_ARTIFACT_MAX, least=1)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the kind exists and the window has a length from 1 ns to WINDOW_MAX_NS."""
        if self.kind not in KINDS:
            return ".kind", self.kind, " or ".join(KINDS)
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")

    @property
    def offered(self) -> Declaration:
        """The HANDOVER as an offer, at a fixed price, under which the party `to` may send a REQUEST."""
        return Declaration(
            cell=self.cell,
            commodity=self.commodity,
            tier_low=self.tier,
            tier_high=TIER_WEAKEST,
            max_eirp_mdbm=self.max_eirp_mdbm,
            price_form="fixed",
            price=self.price,
            rule=self.rule,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The holder of the settlement that is handed on agrees to exactly this HANDOVER."""

    sid: bytes = blob(1, HASH)
    handover: bytes = blob(2, HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacated:
    """The old user states that its gate is closed for good for what a HANDOVER hands on, and since when (UTC, ns).

    The warden of the radio measured that instant, as an interval. `lease` is the newest RENEW or RESUME of the old
    user's own settlement: no later user may transmit beyond the end of that lease.
    """

    sid: bytes = blob(1, HASH)
    handover: bytes = blob(2, HASH)
    silent_earliest_ns: int = instant_ns(3)
    silent_latest_ns: int = instant_ns(4)
    lease: bytes | None = blob(5, 8192, least=1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """The old user takes back what it handed on, before the window ends: the HANDOVER was not used, or use ended early.

    At the end of the window no record is needed: every verifier knows that end from the HANDOVER.
    """

    sid: bytes = blob(1, HASH)
    handover: bytes = blob(2, HASH)
    reason: str = text(3, 64)


def _handed(body: Handover, rule: Rule, _signed_ns: int) -> Refusal | None:
    """Clause (13) of admission: the class allows this kind of handing on, and the price is inside its bounds."""
    terms = rule.terms(body.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "disposition.13.class", body.commodity, ", ".join(c.name for c in rule.classes))
    if terms.handing is None or body.kind not in terms.handing.kinds:
        allowed = " or ".join(terms.handing.kinds) if terms.handing is not None else "no lease changes hands"
        return refuse(Reason.TERMS, "disposition.13.handing", body.kind, f"{allowed}, by the rule's handing.kinds")
    if not terms.price_low <= body.price <= terms.price_high:
        return refuse(Reason.PRICE, "disposition.13.price", body.price, f"{terms.price_low}-{terms.price_high}")
    return None


TYPES = (
    RecordType(
        number=54,
        name="handover",
        body=Handover,
        kind=Kind.DEALING,
        actions=("request",),
        signs=True,
        beside=True,
        within_terms=_handed,
    ),
    RecordType(
        number=55,
        name="consent",
        body=Consent,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        carrier=CarriedBy.ANYONE,
        late=WhenLate.COUNTS,
        beside=True,
        owed=True,
    ),
    RecordType(
        number=56,
        name="vacated",
        body=Vacated,
        kind=Kind.DEALING,
        becomes=Becomes.NOTED,
        actions=("request",),
        late=WhenLate.COUNTS,
        beside=True,
        owed=True,
    ),
    RecordType(
        number=57,
        name="reclaim",
        body=Reclaim,
        kind=Kind.DEALING,
        becomes=Becomes.OWN_LOG,
        actions=("request",),
        late=WhenLate.COUNTS,
        charge=Charge.MOVES,
        owed=True,
    ),
)
