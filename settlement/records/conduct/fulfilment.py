"""Counts of kept and broken settlements of each party, once for each settlement, live and in a replay of the log."""

from settlement.chain.weights import FAILED, FULFILLED, counted_for
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.user import STORE as USER
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.state import budget
from settlement.state.reputation import WEIGHTY, TwoParties, event_of, weigh


def credit(case: RecordCase, _decided: object) -> None:
    """Count a record for or against its party's fulfilment, if it is of a kind that counts and did not count before."""
    budget.credit(case.step, case.state.lineage, case.admitted)


def reported(told: Retelling, said: Said) -> None:
    """Do the same as `credit` for a record in a replay of the log."""
    counted = counted_for(said.body, said.author)
    if counted is not None and (budget.REPORTED, counted.once) not in told.rows:
        told.rows[budget.REPORTED, counted.once] = said.digest
        told.counters[(FULFILLED if counted.good else FAILED) + counted.whose.hex()] += counted.by


def reweighed(told: Retelling, said: Said) -> None:
    """Add a record's weight to the reputations in a replay of the log."""
    rule = told.said.get(said.rule or b"")
    terms = rule.body.reputation if rule is not None else None
    if terms is None or not isinstance(said.body, WEIGHTY):
        return
    event = event_of(said.body, _two_parties(told, said.body.sid), terms, own=said.own)
    if event is not None:

        def put(kind: str, key: bytes, value: bytes) -> None:
            told.rows[kind, key] = value

        weigh(lambda kind, key: told.rows.get((kind, key)), put, terms, event, said.arrived.latest_ns)


def _two_parties(told: Retelling, sid: bytes) -> TwoParties | None:
    given = told.pairs.get((HOLDER, sid))
    if given is not None:
        grant = told.said[given["grant"]]
        return TwoParties(holder=grant.author, user=given["user"], window=grant.body.cell.window)
    request = told.sids.get(sid, b"")
    asked = told.pairs.get((USER, request))
    if asked is None:
        return None
    return TwoParties(holder=asked["holder"], user=told.said[request].author, window=asked["cell"].window)
