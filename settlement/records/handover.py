"""A lease changes hands: its user hands it on, its holder consents, the radio falls silent, or it is taken back."""

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
"""The artifact of the lease that is handed on, where it stands in a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The user of a settlement (`sid`, its CONFIRM) hands on its lease, or a part of it, to one party (`to`).

    kind      transfer: the whole lease, for good; sublease: a part of band, area, time or EIRP
    cell      what is handed on, and `max_eirp_mdbm` how loud it may be; `tier` is the lease's own
    artifact  of the settlement it comes from: from link to link it leads back to the licence
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
        """A kind that exists, a window."""
        if self.kind not in KINDS:
            return ".kind", self.kind, " or ".join(KINDS)
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")

    @property
    def offered(self) -> Declaration:
        """What may be asked for from it: it is an offer to one party."""
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
    """The old user's gate is closed for what a HANDOVER hands on, and stays so; its warden says since when (UTC, ns).

    `lease` is the newest RENEW or RESUME of its own settlement: nobody after it may radiate for longer than that.
    """

    sid: bytes = blob(1, HASH)
    handover: bytes = blob(2, HASH)
    silent_earliest_ns: int = instant_ns(3)
    silent_latest_ns: int = instant_ns(4)
    lease: bytes | None = blob(5, 8192, least=1, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """What was handed on is its old user's again before its window is over: it came to nothing, or ended early.

    At the end of its window nobody has to say so: every verifier has that from the HANDOVER.
    """

    sid: bytes = blob(1, HASH)
    handover: bytes = blob(2, HASH)
    reason: str = text(3, 64)


def _handed(body: Handover, rule: Rule, _signed_ns: int) -> Refusal | None:
    """Clause (13): the class lets leases change hands this way, at a price of its own."""
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
