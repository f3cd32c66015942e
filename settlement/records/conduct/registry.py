"""The registry of conducts: every module in this folder that declares CONDUCT is part of it.

Each type that a node acts on has one; a type that is only logged needs none. This is checked once, at import.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, assert_never

import settlement.records.conduct
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.conduct.base import Conduct, Decided, RecordCase, no_answer
from settlement.records.registry import RECORDS, TYPE_OF
from settlement.records.row import Becomes, RecordType
from settlement.state.nodestate import NodeState


def _families() -> list[Conduct[Any]]:
    room = settlement.records.conduct
    modules = (import_module(f"{room.__name__}.{found.name}") for found in iter_modules(room.__path__))
    return [conduct for module in modules for conduct in getattr(module, "CONDUCT", ())]


def conducts_of(rows: Mapping[str, RecordType], conducts: Sequence[Conduct[Any]]) -> Mapping[str, Conduct[Any]]:
    """Return the conducts by type. Raises ValueError where a type that is acted on has none, or another has one."""
    found = {TYPE_OF[conduct.body]: conduct for conduct in conducts}
    acted = {name for name, row in rows.items() if row.becomes is Becomes.ACTED}
    if len(found) != len(conducts) or acted != set(found):
        raise ValueError(f"a conduct too many or too few: {sorted(acted ^ set(found))}")
    return MappingProxyType(found)


CONDUCTS = conducts_of(RECORDS, _families())


def _nothing_more(_case: RecordCase, _decided: None) -> None:
    return None


def conduct_of(row: RecordType) -> Conduct[Any]:
    """Return the conduct of a type; for a type without one, a conduct that admits and does nothing."""
    found = CONDUCTS.get(row.name)
    return found or Conduct(body=row.body, judge=lambda _case: None, act=_nothing_more)


def decide(case: RecordCase) -> Decided[Any] | Refusal:
    """Judge a record by its type's conduct; return what is to be done, or why it is refused."""
    row = case.record.row
    match row.becomes:
        case Becomes.ACTED | Becomes.NOTED:
            conduct = conduct_of(row)
        case Becomes.OWN_LOG | Becomes.SUBJECT:
            return refuse(Reason.TYPE, "party.typ", row.name, "a type that travels between nodes")
        case other:
            assert_never(other)
    decided = conduct.judge(case)
    return decided if isinstance(decided, Refusal) else Decided(case=case, conduct=conduct, decided=decided)


def is_replaced(state: NodeState, raw: bytes) -> bool:
    """Whether a newer record took the place of one that was admitted here; if so, its copy is a replay."""
    record = state.record_of(digest(raw))
    return record is None or conduct_of(record.row).replaced(state, record)


def answer_refused(case: RecordCase, refusal: Refusal) -> None:
    """Let the type's conduct answer a refused record; what it sends is stored as the answer to that record."""
    found = CONDUCTS.get(case.record.typ)
    if found is None or found.refused is no_answer:
        return
    case.step.answering(case.record.digest)
    found.refused(case, refusal)
    case.step.answering(None)
