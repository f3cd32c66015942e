"""The registry of conducts: every module in this folder that declares CONDUCT is part of it.

Each type that is acted on has one; a type that becomes nothing more than its entry in the log needs none. That they
fit together is asked once, when a program starts.
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
    """Conducts by type. Raises ValueError where a type that is acted on has none, or any other has one."""
    found = {TYPE_OF[conduct.body]: conduct for conduct in conducts}
    acted = {name for name, row in rows.items() if row.becomes is Becomes.ACTED}
    if len(found) != len(conducts) or acted != set(found):
        raise ValueError(f"a conduct too many or too few: {sorted(acted ^ set(found))}")
    return MappingProxyType(found)


CONDUCTS = conducts_of(RECORDS, _families())


def _nothing_more(_case: RecordCase, _decided: None) -> None:
    return None


def conduct_of(row: RecordType) -> Conduct[Any]:
    """What is made of a type; of one that is only noted, nothing."""
    found = CONDUCTS.get(row.name)
    return found or Conduct(body=row.body, judge=lambda _case: None, act=_nothing_more)


def decide(case: RecordCase) -> Decided[Any] | Refusal:
    """May this record be acted on? What is to be done, or why not."""
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
    """Has a newer one of its kind taken the place of a record that was taken here? Sent again it is a replay."""
    record = state.record_of(digest(raw))
    return record is None or conduct_of(record.row).replaced(state, record)


def answer_refused(case: RecordCase, refusal: Refusal) -> None:
    """What is answered to a record that was refused, as the answer to that record."""
    found = CONDUCTS.get(case.record.typ)
    if found is None or found.refused is no_answer:
        return
    case.step.answering(case.record.digest)
    found.refused(case, refusal)
    case.step.answering(None)
