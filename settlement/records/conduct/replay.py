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
    """The latest that it can have been signed at (UTC)."""


@dataclass(slots=True)
class Retelling:
    """State and counters as the log makes them: `rows` whole, `pairs` field by field; `said` are the records so far."""

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
    """What a RENEW or a RESUME makes of a lease."""
    return {"transmit_until_ns": body.transmit_until_ns, "renewals": body.number, "fence": body.fence}
