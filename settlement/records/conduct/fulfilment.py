"""What counts in a record of fulfilment, once for each settlement, and how it is told again from the log."""

from settlement.chain.weights import FAILED, FULFILLED, counted_for
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.retelling import Retelling, Said
from settlement.state import budget


def credit(case: RecordCase, _decided: object) -> None:
    """Let a record count in a record of fulfilment, where it does, once."""
    budget.credit(case.step, case.state.lineage, case.admitted)


def reported(told: Retelling, said: Said) -> None:
    """The same of what is told again."""
    counted = counted_for(said.body, said.author)
    if counted is not None and (budget.REPORTED, counted.once) not in told.rows:
        told.rows[budget.REPORTED, counted.once] = said.digest
        told.counters[(FULFILLED if counted.good else FAILED) + counted.whose.hex()] += counted.by
