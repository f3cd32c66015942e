"""The interface through which a protocol machine acts: sign, store, and queue messages to be sent.

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
"""A function that returns why no record of a credential's party is ever accepted again; None where it may be."""


class StoredStateError(Exception):
    """Stored state differs from what was written; the node must not continue with it."""


def stored_as(cls: type[T], raw: bytes, kind: str) -> T:
    """Decode a piece of stored protocol state. Raises StoredStateError."""
    value = codec.decode(cls, raw, kind, limit=STORED_LIMIT)
    if isinstance(value, Refusal):
        raise StoredStateError(f"stored {kind}: {value}")
    return value


class Work(Protocol):
    """The effects of one step."""

    @property
    def now(self) -> Fix:
        """Time and place of the step; the same for the whole step."""
        ...

    def sign(self, body: Any) -> Record:
        """Sign a record of this node and log it."""
        ...

    def send(self, to: bytes, raw: bytes, beside: tuple[bytes, ...] = (), *, reply_to: bytes | None = None) -> None:
        """Queue a record for a node with the records it rests on; it answers `reply_to`, else the current message."""
        ...

    def pass_on(self, to: bytes, raw: bytes) -> None:
        """Queue a record that answers nothing."""
        ...

    def on_record(self, name: bytes) -> bytes | None:
        """Return the bytes of a record in this node's log, by its hash; None if there is none."""
        ...

    def send_beside(self, to: bytes, name: bytes, beside: tuple[bytes, ...]) -> None:
        """Queue a logged record with other logged records beside it, all by hash; it answers nothing."""
        ...

    def send_settled(self, to: bytes, confirm: Record, *, beside: tuple[bytes, ...], reply_to: bytes) -> None:
        """Queue a CONFIRM with its log proof and the co-signatures beside it; it answers `reply_to`."""
        ...

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Store a piece of state."""
        ...

    def drop(self, kind: str, key: bytes) -> None:
        """Delete a piece of state."""
        ...

    def count(self, name: str, amount: int = 1) -> int:
        """Raise a durable counter by `amount`; return its new value."""
        ...

    def random(self, size: int) -> bytes:
        """Return `size` fresh unpredictable bytes."""
        ...

    def ask(self, effect: Effect) -> None:
        """Ask the program that runs this node to do something once the step is durable."""
        ...

    def event(self, name: str, **fields: Any) -> None:
        """Report an event to whoever watches the node."""
        ...


def settlement_id(holder: bytes, user: bytes, nonce: bytes, cell: Cell) -> bytes:
    """Return a settlement's id: SHA-256 over (holder, user, nonce, scope), so that nobody can choose it freely."""
    return hashlib.sha256(cbor2.dumps([holder, user, nonce, codec.to_map(cell)])).digest()


def answer_to(challenge: bytes, grant: bytes) -> bytes:
    """Return the only right answer to a GRANT's challenge."""
    return hashlib.sha256(b"bandpact/1/answer" + challenge + grant).digest()
