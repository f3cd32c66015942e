"""Records that must arrive (COMPENSATION, FALLBACK, disputes): sent again until their reader acknowledges them.

Sending also ends when the reader's credential is revoked or over, as no acknowledgement of it would be accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.chain.codec import blob, encode, uint
from settlement.chain.records import Record
from settlement.pair.transmit import pause_ns
from settlement.pair.work import STORED_LIMIT, Silenced, Work, stored_as
from settlement.records.endings import Compensation

DEBT = "debt"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnheardDebt:
    """A record that its reader has not acknowledged yet, and when it was sent first and last (UTC, ns)."""

    record: bytes = blob(1, 65536, least=1)
    to: bytes = blob(2, 32)
    since_ns: int = uint(3)
    sent_ns: int = uint(4)


class Debts:
    """All unacknowledged records by hash; by hash and reader where a record has several readers."""

    def __init__(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        self.open = {name: stored_as(UnheardDebt, raw, DEBT) for name, raw in stored}

    def owe(self, work: Work, body: Compensation) -> Record:
        """Sign a COMPENSATION, store it and send it until it is acknowledged."""
        record = work.sign(body)
        self.say(work, record, body.to)
        return record

    def say(self, work: Work, record: Record, to: bytes) -> None:
        """Send a record, again and again until its reader acknowledges it."""
        now_ns = work.now.time.latest_ns
        self._keep(work, record.digest, UnheardDebt(record=record.raw, to=to, since_ns=now_ns, sent_ns=now_ns))
        work.pass_on(to, record.raw)

    def say_to_each(self, work: Work, record: Record, readers: Iterable[bytes]) -> None:
        """Send a record to several readers, to each until that reader acknowledges it."""
        now_ns = work.now.time.latest_ns
        for to in readers:
            debt = UnheardDebt(record=record.raw, to=to, since_ns=now_ns, sent_ns=now_ns)
            self._keep(work, record.digest + to, debt)
            work.pass_on(to, record.raw)

    def _waiting(self, subject: bytes, by: tuple[bytes, ...]) -> list[bytes]:
        """Return the keys under which a record waits for one of these readers."""
        names = (subject, *(subject + one for one in by))
        return [name for name in names if name in self.open and self.open[name].to in by]

    def waits_for(self, subject: bytes, by: tuple[bytes, ...]) -> bool:
        """Whether one of these readers has still to acknowledge that record."""
        return bool(self._waiting(subject, by))

    def _keep(self, work: Work, name: bytes, debt: UnheardDebt) -> None:
        self.open[name] = debt
        work.put(DEBT, name, encode(debt, limit=STORED_LIMIT))

    def heard(self, work: Work, subject: bytes, by: tuple[bytes, ...] = ()) -> None:
        """Note that the reader acknowledged a record; `by` are its credentials where the record has several readers."""
        for name in (subject, *self._waiting(subject, by)):
            if self.open.pop(name, None) is not None:
                work.drop(DEBT, name)

    def let_go(self, work: Work, silenced: Silenced) -> None:
        """Stop sending to readers whose acknowledgement can never be accepted; the record stays in this node's log."""
        for name, debt in list(self.open.items()):
            refusal = silenced(debt.to)
            if refusal is not None:
                self.heard(work, name)
                work.event("not heard", record=name[:32], to=debt.to, reason=refusal.reason.value, detail=str(refusal))

    def tick(self, work: Work) -> None:
        """Send unacknowledged records again, at growing intervals."""
        now = work.now.time
        for name, debt in list(self.open.items()):
            if now.after(debt.sent_ns + pause_ns(debt.since_ns, debt.sent_ns, name)):
                self._keep(work, name, replace(debt, sent_ns=now.latest_ns))
                work.pass_on(debt.to, debt.record)
