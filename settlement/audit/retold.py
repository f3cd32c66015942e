"""What a node must have kept beside its log, told again from the log alone, record by record.

A row is compared field by field where the log decides it: settlements of both sides, offers made and heard, rules,
status lists, rotations, reviews, what was reported, suspended and spent, fences and the record of fulfilment. What only
time decides may have moved on (a window that is over, an answer that never came). Not decided by the log, and only
covered by the owner's signature, are bands blocked for an incumbent, when something was last sent, and the witnesses'
own notes.

Nothing here checks a signature: the audit does, entry by entry, before.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from settlement.chain import codec
from settlement.chain.bodies import BODIES
from settlement.chain.codec import encode
from settlement.chain.credentials import Registry, Subject
from settlement.chain.leaf import OWN, Leaf
from settlement.chain.records import Unproven, parse
from settlement.chain.rotation import judge_rotation
from settlement.chain.weights import FAILED, FULFILLED, UNANSWERED
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason
from settlement.pair.bounds import PLACES, UNIT_ROW, UNITS
from settlement.pair.envelopes import PLACE, UNIT
from settlement.pair.holder import OFFERS
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.table import HolderState, UserState
from settlement.pair.user import HEARD, offers_again
from settlement.pair.user import STORE as USER
from settlement.pair.work import settlement_id
from settlement.state import budget
from settlement.state.nodestate import REVIEW, ROTATED, STATUS
from settlement.state.rules import RULE

Row = tuple[str, bytes]
Fields = dict[str, Any]
BUDGET_EXCEEDED = "budget.amount"
REVIEW_OPENED = "review.opened"
_KEPT_OF_GRANT = ("user", "request", "cell", "commodity", "accept_by_ns", "challenge", "fence", "tier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One admitted record, read and not proven again."""

    raw: bytes
    digest: bytes
    typ: str
    author: bytes
    body: Any
    own: bool
    arrived: TimeFix
    rule: bytes | None


def read(leaf: Leaf) -> Said | None:
    """The record of an entry; None where it is a root credential, which nobody wrote about."""
    unproven = parse(leaf.record) if leaf.record is not None else None
    if not isinstance(unproven, Unproven) or unproven.author is None or leaf.record is None:
        return None
    return Said(
        raw=leaf.record,
        digest=leaf.subject,
        typ=unproven.typ,
        author=unproven.author,
        body=codec.from_map(BODIES[unproven.typ], unproven.payload.get(6), unproven.typ),
        own=leaf.origin == OWN,
        arrived=TimeFix(
            earliest_ns=leaf.arrived_earliest_ns,
            latest_ns=leaf.arrived_latest_ns,
            source=TimeSource.SIMULATED,
            trusted=True,
        ),
        rule=leaf.rule,
    )


@dataclass(slots=True)
class Retold:
    """State and counters as the log makes them: `rows` whole, `pairs` field by field."""

    registry: Registry
    rows: dict[Row, bytes | None] = field(default_factory=dict)
    pairs: dict[Row, Fields] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    _said: dict[bytes, Said] = field(default_factory=dict)
    _sids: dict[bytes, bytes] = field(default_factory=dict)

    def over_ns(self, row: Row) -> int | None:
        """When nothing can come of a row any more, and its node may have forgotten it; None for what is kept."""
        if row in self.pairs:
            return int(self.pairs[row]["cell"].window.end_ns)
        if row[0] in (OFFERS, HEARD):
            return int(self._said[row[1]].body.cell.window.end_ns)
        return None

    def take(self, leaf: Leaf) -> None:
        """One more entry."""
        said = read(leaf)
        if said is None:
            if leaf.admitted and leaf.record is not None:
                self.registry.admit(leaf.record)
            return
        if not leaf.admitted:
            self._refused(leaf, said)
            return
        if said.typ == "credential":
            self.registry.admit(said.raw)
            return
        self._said[said.digest] = said
        (self._own if said.own else self._received)(said)

    # -- what this node signed -----------------------------------------------------------------------------------

    def _own(self, said: Said) -> None:
        body = said.body
        match said.typ:
            case "declaration":
                self.rows[OFFERS, said.digest] = encode(body)
            case "rotation":
                self._rotated(said)
                for row in [row for row in self.rows if row[0] == OFFERS]:
                    del self.rows[row]
            case "envelope":
                self._found(said)
            case "request":
                self._asked(said)
            case "accept":
                self._as_user(body.sid, state=UserState.ACCEPTED, accept=said.digest)
            case "relinquish":
                self._as_user(body.sid, state=UserState.ENDED)
            case "verdict" if body.clause == REVIEW_OPENED:
                self._reviewed(body.subject)
            case "grant" | "confirm" | "abort" | "renew" | "suspend" | "resume" | "preempt":
                self._decided(said)
            case _:
                pass

    def _found(self, said: Said) -> None:
        """A node goes by its newest word on each channel, and on its radio."""
        if said.body.kind == PLACE:
            self.rows.update({(PLACES, encode(channel.band)): said.raw for channel in said.body.channels})
        elif said.body.kind == UNIT:
            self.rows[UNITS, UNIT_ROW] = said.raw

    def _decided(self, said: Said) -> None:
        body = said.body
        match said.typ:
            case "grant":
                kept = {name: getattr(body, name) for name in _KEPT_OF_GRANT}
                self.pairs[HOLDER, body.sid] = {
                    **kept,
                    "state": HolderState.RESERVED,
                    "grant": said.digest,
                    "renewals": 0,
                    "accept": None,
                    "decision": None,
                    "transmit_until_ns": None,
                }
                self.counters["fence"] += 1
                self._spent(body.request)
            case "confirm":
                until_ns, accept = body.transmit_until_ns, body.accept
                decided = {"accept": accept, "decision": said.digest, "transmit_until_ns": until_ns}
                self._as_holder(body.sid, state=HolderState.CONFIRMED, **decided)
            case "abort":
                self._as_holder(body.sid, state=HolderState.ABORTED, accept=body.accept, decision=said.digest)
                if body.reason in UNANSWERED and (HOLDER, body.sid) in self.pairs:
                    self.counters[FAILED + self.pairs[HOLDER, body.sid]["user"].hex()] += 1
            case "renew" | "resume":
                self._as_holder(body.sid, state=HolderState.CONFIRMED, **_longer(body))
                self.counters["fence"] += 1
            case "suspend":
                self._as_holder(body.sid, state=HolderState.SUSPENDED, renewals=body.number, fence=body.fence)
                self.counters["fence"] += 1
            case _:
                self._as_holder(body.sid, state=HolderState.ENDED)

    def _asked(self, said: Said) -> None:
        offer = self._said.get(said.body.declaration)
        holder = offer.author if offer is not None else b""
        sid = settlement_id(holder, said.author, said.body.nonce, said.body.cell)
        self._sids[sid] = said.digest
        self.pairs[USER, said.digest] = {
            "state": UserState.REQUESTED,
            "holder": holder,
            "sid": sid,
            "cell": said.body.cell,
            "grant": None,
            "accept": None,
            "decision": None,
            "transmit_until_ns": None,
            "renewals": 0,
            "fence": 0,
        }

    def _reviewed(self, subject: bytes) -> None:
        for (kind, sid), pair in self.pairs.items():
            if kind == HOLDER and subject in (pair["decision"], pair["grant"]):
                self.rows[REVIEW, sid] = None

    # -- what came from others -----------------------------------------------------------------------------------

    def _received(self, said: Said) -> None:
        body = said.body
        match said.typ:
            case "declaration":
                self._heard(said)
            case "revocation":
                self.rows[STATUS, said.author] = said.raw
            case "rotation":
                self._rotated(said)
                gone = [d for kind, d in self.rows if kind == HEARD and self._said[d].author == said.author]
                for digest in gone:
                    del self.rows[HEARD, digest]
            case "rule":
                self.rows[RULE, body.version.to_bytes(8, "big")] = said.raw
            case "usage" | "fallback" | "ruling":
                self._reported(said)
            case "accept":
                self._as_holder(body.sid, accept=said.digest)
            case "relinquish":
                self._as_holder(body.sid, state=HolderState.ENDED)
            case _:
                self._answered(said)

    def _heard(self, said: Said) -> None:
        """An offer takes the place of one by the same holder that said the same."""
        heard = [self._said[name] for kind, name in self.rows if kind == HEARD]
        for old in heard:
            if old.author == said.author and offers_again(said.body, old.body):
                del self.rows[HEARD, old.digest]
        self.rows[HEARD, said.digest] = said.raw

    def _answered(self, said: Said) -> None:
        body = said.body
        match said.typ:
            case "grant":
                self._as_user(body.sid, grant=said.digest)
            case "confirm":
                until_ns = body.transmit_until_ns
                settled = {"decision": said.digest, "transmit_until_ns": until_ns, "fence": body.fence}
                self._as_user(body.sid, state=UserState.SETTLED, **settled)
            case "abort":
                self._as_user(body.sid, state=UserState.ABORTED, decision=said.digest)
            case "renew":
                self._as_user(body.sid, **_longer(body))
            case "resume":
                self._as_user(body.sid, state=UserState.SETTLED, **_longer(body))
            case "suspend":
                self._as_user(body.sid, state=UserState.SUSPENDED, renewals=body.number, fence=body.fence)
            case "preempt":
                self._as_user(body.sid, state=UserState.ENDED)
            case "verdict" if (USER, body.subject) in self.pairs:
                self.pairs[USER, body.subject]["state"] = UserState.REFUSED
            case _:
                pass

    def _as_holder(self, sid: bytes, **changes: Any) -> None:
        self.pairs.get((HOLDER, sid), {}).update(changes)

    def _as_user(self, sid: bytes, **changes: Any) -> None:
        self.pairs.get((USER, self._sids.get(sid, b"")), {}).update(changes)

    def _rotated(self, said: Said) -> None:
        self.rows[ROTATED, said.author] = said.raw
        old = self.registry.get(said.author)
        new = judge_rotation(old, said.body, self.registry) if old is not None else None
        if old is not None and isinstance(new, Subject):
            self.registry.rotate(old, new)

    def _reported(self, said: Said) -> None:
        row = budget.REPORTED, said.body.sid + said.typ.encode()
        whose = said.body.pays if said.typ == "ruling" else said.author
        if row not in self.rows and whose is not None:
            self.rows[row] = said.digest
            self.counters[(FULFILLED if said.typ == "usage" else FAILED) + whose.hex()] += 1

    # -- budgets -------------------------------------------------------------------------------------------------

    def _accounts(self, said: Said) -> list[budget.Account]:
        author, rule = self.registry.get(said.author), self._said.get(said.rule or b"")
        if author is None or rule is None or said.typ != "request":
            return []
        return list(budget.accounts(rule.body, author, said.body, said.arrived))

    def _spent(self, request: bytes) -> None:
        said = self._said.get(request)
        for account in self._accounts(said) if said is not None else ():
            cost = budget.cost_hz_s(said.body.cell) if said is not None else 0
            for name in (account.whole, account.own):
                row = budget.SPENT, name
                self.rows[row] = budget.spent_more(self.rows.get(row), account.window, cost)

    def _refused(self, leaf: Leaf, said: Said) -> None:
        """A REQUEST that exceeded a budget suspended it."""
        if (leaf.reason, leaf.clause) == (Reason.BUDGET.value, BUDGET_EXCEEDED):
            for account in self._accounts(said):
                self.rows[budget.SUSPENDED, account.own] = account.ends_ns.to_bytes(8, "big")


def _longer(body: Any) -> Fields:
    """What a RENEW or a RESUME makes of a lease."""
    return {"transmit_until_ns": body.transmit_until_ns, "renewals": body.number, "fence": body.fence}
