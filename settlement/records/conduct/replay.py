"""The state that a node must have stored beside its log, as each type's conduct derives it from the records."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from settlement.chain.credentials import Registry
from settlement.core.fixes import TimeFix
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.user import STORE as USER
from settlement.state import budget

Row = tuple[str, bytes]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One admitted record, decoded but not proven again."""

    raw: bytes
    digest: bytes
    typ: str
    author: bytes
    body: Any
    own: bool
    arrived: TimeFix
    rule: bytes | None
    signed_ns: int = 0
    """The latest time at which it can have been signed (UTC)."""


@dataclass(slots=True)
class Retelling:
    """The state and counters that follow from the log so far.

    `rows`: stored rows by kind and key. `pairs`: the compared fields of settlements, by role and by settlement id
    (holder) or hash of the REQUEST (user). `said`: the records so far, by hash. `sids`: hashes of REQUESTs by
    settlement id.
    """

    registry: Registry
    rows: dict[Row, bytes | None] = field(default_factory=dict)
    pairs: dict[Row, Fields] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    said: dict[bytes, Said] = field(default_factory=dict)
    sids: dict[bytes, bytes] = field(default_factory=dict)

    def as_holder(self, sid: bytes, **changes: Any) -> None:
        """Change the holder's stored fields of a settlement, where it has any."""
        self.pairs.get((HOLDER, sid), {}).update(changes)

    def as_user(self, sid: bytes, **changes: Any) -> None:
        """Change the user's stored fields of a settlement, where it has any."""
        self.pairs.get((USER, self.sids.get(sid, b"")), {}).update(changes)

    def accounts(self, said: Said) -> tuple[budget.Account, ...]:
        """Return the budgets that a REQUEST draws on."""
        author, rule = self.registry.get(said.author), self.said.get(said.rule or b"")
        if author is None or rule is None:
            return ()
        return tuple(budget.accounts(rule.body, author, said.body, said.arrived))


def longer(body: Any) -> Fields:
    """Return the fields of a lease that a RENEW or a RESUME sets."""
    return {"transmit_until_ns": body.transmit_until_ns, "renewals": body.number, "fence": body.fence}
