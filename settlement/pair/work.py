"""What a protocol machine may do to the world: sign, remember, and leave something to be sent.

All of it happens inside one durable transaction; nothing is sent before that transaction is durable (I4).
"""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import cbor2

from settlement.chain import codec
from settlement.chain.records import Record
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.chain.scope import Cell
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal
from settlement.pair.effects import Effect

T = TypeVar("T")
STORED_LIMIT = 2 * MAX_RECORD_BYTES
Silenced = Callable[[bytes], Refusal | None]
"""Why nothing that the party with that credential signs is taken any more, ever; None where it may be."""


class StoredStateError(Exception):
    """State read back from the log's database is not what was written; the node must not go on with it."""


def stored_as(cls: type[T], raw: bytes, kind: str) -> T:
    """Read back a piece of protocol state. Raises StoredStateError."""
    value = codec.decode(cls, raw, kind, limit=STORED_LIMIT)
    if isinstance(value, Refusal):
        raise StoredStateError(f"stored {kind}: {value}")
    return value


class Work(Protocol):
    """One step's worth of effects."""

    @property
    def now(self) -> Fix:
        """Here and now; the same for the whole step."""
        ...

    def sign(self, body: Any) -> Record:
        """Sign a record of this node and log it."""
        ...

    def send(self, to: bytes, raw: bytes, beside: tuple[bytes, ...] = (), *, reply_to: bytes | None = None) -> None:
        """Leave a record for a node with those it rests on; it answers `reply_to`, or what is being answered."""
        ...

    def pass_on(self, to: bytes, raw: bytes) -> None:
        """Leave a record that answers nothing."""
        ...

    def on_record(self, name: bytes) -> bytes | None:
        """The bytes of a record in this node's log, by its name."""
        ...

    def send_beside(self, to: bytes, name: bytes, beside: tuple[bytes, ...]) -> None:
        """Leave a logged record with other logged ones beside it, all by their names; it answers nothing."""
        ...

    def send_settled(self, to: bytes, confirm: Record, *, beside: tuple[bytes, ...], reply_to: bytes) -> None:
        """Leave a CONFIRM with the proof that it is logged and the co-signatures beside it; it answers `reply_to`."""
        ...

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Remember a piece of state."""
        ...

    def drop(self, kind: str, key: bytes) -> None:
        """Forget a piece of state."""
        ...

    def count(self, name: str, amount: int = 1) -> int:
        """Raise a durable counter."""
        ...

    def random(self, size: int) -> bytes:
        """Fresh unpredictable bytes."""
        ...

    def ask(self, effect: Effect) -> None:
        """Ask whoever runs this node to do something once the step is durable."""
        ...

    def event(self, name: str, **fields: Any) -> None:
        """Tell whoever watches what happened."""
        ...


def settlement_id(holder: bytes, user: bytes, nonce: bytes, cell: Cell) -> bytes:
    """Name a settlement: SHA-256 over (holder, user, nonce, scope), so that nobody can choose it freely."""
    return hashlib.sha256(cbor2.dumps([holder, user, nonce, codec.to_map(cell)])).digest()


def answer_to(challenge: bytes, grant: bytes) -> bytes:
    """The only right answer to a GRANT's challenge."""
    return hashlib.sha256(b"bandpact/1/answer" + challenge + grant).digest()
