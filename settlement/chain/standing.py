"""The signature a node puts on its own database after every step: over log, state and counters together.

The tree covers the entries. The same file also holds the columns that entries are found by, the protocol's state and
its counters, and a node continues from them after a restart. So each durable step ends with a signature over

    size and root of the log      a chain of hashes over the columns of every entry
    a sum of hashes over every piece of state and every counter

and a node whose start finds anything else than it signed last does not continue. An attacker without the node's key
can put back an older file as a whole, and nothing less; detecting that is the witnesses' task.

The sum is one number modulo 2^4096 to which each row adds its SHAKE-256: rows come and go in any order at the cost of
one row. Source: AdHash, Bellare and Micciancio, A New Paradigm for Collision-Free Hashing (1997); a generalised
birthday attack (Wagner 2002) on it costs about 2^(2 sqrt(4096)) = 2^128.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cbor2

from settlement.chain import keys
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, refuse

_DOMAIN = b"bandpact/1/standing"
_SUM_BYTES = 512
_MODULUS = 1 << (8 * _SUM_BYTES)

Column = str | bytes | int | None


def _number(table: str, key: Sequence[Column], value: Column) -> int:
    row = cbor2.dumps([table, list(key), value])
    return int.from_bytes(hashlib.shake_256(row).digest(_SUM_BYTES), "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Running hashes over the parts of the database that the tree does not cover."""

    columns: bytes = bytes(32)
    rows: int = 0

    def appended(self, columns: Sequence[Column]) -> "Tally":
        """Return the tally with one more entry that has these columns."""
        return Tally(columns=hashlib.sha256(self.columns + cbor2.dumps(list(columns))).digest(), rows=self.rows)

    def changed(self, table: str, key: Sequence[Column], old: Column, new: Column) -> "Tally":
        """Return the tally after a row of `table` changed from `old` to `new`; None stands for no row."""
        gone = 0 if old is None else _number(table, key, old)
        come = 0 if new is None else _number(table, key, new)
        return Tally(columns=self.columns, rows=(self.rows + come - gone) % _MODULUS)

    def row_bytes(self) -> bytes:
        """Return the sum as it is stored."""
        return self.rows.to_bytes(_SUM_BYTES, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Size, root and tally of a log, as signed after a step."""

    origin: str
    size: int
    root: bytes
    tally: Tally

    def _to_sign(self) -> bytes:
        rows = hashlib.sha256(self.tally.row_bytes()).digest()
        return _DOMAIN + cbor2.dumps([self.origin, self.size, self.root, self.tally.columns, rows])

    def sign(self, key: SigningKey) -> bytes:
        """Return the owner's signature."""
        return key.sign(self._to_sign())

    def check(self, signature: bytes, public: bytes) -> Refusal | None:
        """Refuse unless the owner signed exactly this."""
        if keys.verify(public, signature, self._to_sign()):
            return None
        return refuse(Reason.ENTRY_MISMATCH, "lineage.standing", "not signed by the owner", keys.kid_of(public).hex())
