"""Handles an intent: asks the program that runs this node to answer it with an offer; nothing is reserved."""

from settlement.core.fixes import deadline_open
from settlement.core.reasons import Refusal
from settlement.pair.effects import AnswerIntent
from settlement.records.conduct.admission import judge_taking_part
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.market import Intent


def _judge_intent(case: RecordCase) -> Refusal | None:
    """Judge an intent: its class is known here, its author may take part in it, and its deadline is still open."""
    return judge_taking_part(case, case.body.commodity) or deadline_open(
        case.now, case.body.answer_by_ns, "intent.answer_by"
    )


def _intended(case: RecordCase, _decided: None) -> None:
    body: Intent = case.body
    case.step.ask(AnswerIntent(user=case.author.hash, cell=body.cell, commodity=body.commodity))
    case.step.event("intent", user=case.author.name, commodity=body.commodity, band=body.cell.band)


CONDUCT = (Conduct(body=Intent, judge=_judge_intent, act=_intended),)
