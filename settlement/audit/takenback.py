"""Detects what a holder signed on an approval after it had withdrawn that approval.

A member that voted for the approval keeps its cell free until the holder withdraws it, and may then grant the cell
itself. If a holder withdraws an approval and still confirms or renews a settlement on it, two settlements of one cell
may be live, and the holder's signatures prove that it alone is at fault.
"""

from collections.abc import Iterable

from settlement.audit.heldrecords import HeldRecords, temporary
from settlement.chain.bodies import Confirm, Grant, Renew, Resume
from settlement.chain.records import Record
from settlement.records.registry import TYPE_OF

LEASES = (Grant, Confirm, Renew, Resume)


class TakenBack:
    """Every withdrawn approval with its author's number; stored outside memory, as there may be very many."""

    def __init__(self) -> None:
        self._db = temporary()
        self._db.execute("CREATE TABLE back(proposal BLOB, author BLOB, seq INTEGER)")
        self._db.execute("CREATE TABLE came(name BLOB PRIMARY KEY, proposal BLOB) WITHOUT ROWID")

    @classmethod
    def of(cls, logs: Iterable[HeldRecords]) -> "TakenBack":
        """Collect the withdrawn approvals from the records of all logs."""
        found = cls()
        for held in logs:
            with found._db:
                for record in held.withdrawals():
                    row = (record.body.subject, record.frame.author, record.frame.seq)
                    found._db.execute("INSERT INTO back VALUES(?,?,?)", row)
                for record in held.outcomes():
                    found._db.execute("INSERT OR IGNORE INTO came VALUES(?,?)", (record.digest, record.body.proposal))
        found._db.execute("CREATE INDEX back_of ON back(proposal, author)")
        return found

    def broken(self, grant: Record, leases: Iterable[Record]) -> str:
        """Return what is wrong with a settlement: a lease on an approval that the lease's author had withdrawn before.

        Args: leases: the settlement's GRANTs, CONFIRMs, RENEWs and RESUMEs, in any order.
        """
        if grant.body.approval is None or grant.frame.author is None:
            return ""
        sql = "SELECT min(seq) FROM back JOIN came USING(proposal) WHERE name=? AND author=?"
        ((seq,),) = self._db.execute(sql, (grant.body.approval, grant.frame.author))
        later = [
            one for one in leases if seq is not None and one.frame.author == grant.frame.author and one.frame.seq > seq
        ]
        if not later:
            return ""
        first = min(later, key=lambda one: one.frame.seq)
        return f"{TYPE_OF[type(first.body)]} signed after its holder had taken the approval back"
