"""The form of a record type's conduct: `judge` decides and returns all that `act` needs; nothing is looked up twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from settlement.chain.admission import Admitted
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.records.conduct.replay import Retelling, Said
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState
from settlement.state.step import Step

D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCase:
    """One admitted record for a node to handle, in the step that received it; `message` has the records beside it."""

    state: NodeState
    step: Step
    admitted: Admitted
    message: Message
    carrier: bytes | None = None
    """The credential of the neighbour that sent the record; None where no neighbour did."""

    @property
    def record(self) -> Record:
        """The record of the case."""
        return self.admitted.record

    @property
    def body(self) -> Any:
        """The body of the record."""
        return self.admitted.record.body

    @property
    def author(self) -> Subject:
        """The author of the record."""
        return self.admitted.author

    @property
    def now(self) -> TimeFix:
        """The step's time."""
        return self.step.now.time

    def pass_on(self) -> None:
        """Send the record to every neighbour but the one that it came from."""
        for neighbour in self.state.witness.neighbours():
            if neighbour.hash != self.carrier:
                self.step.pass_on(neighbour.hash, self.record.raw)


def no_answer(_case: RecordCase, _refusal: Refusal) -> None:
    """Send no answer."""


def untold(_retelling: Retelling, _said: Said) -> None:
    """Store nothing beside the log."""


def never_replaced(_state: NodeState, _record: Record) -> bool:
    """Return False: a record of this type is never replaced by a later one."""
    return False


def nothing_of_a_refusal(_retelling: Retelling, _said: Said, _reason: str | None, _clause: str | None) -> None:
    """Store nothing beside the log for a refusal."""


@dataclass(frozen=True, kw_only=True)  # no slots: a generic one cannot be made with its parameter named
class Conduct(Generic[D]):
    """How a party handles one record type: functions that judge it, act on it, answer a refusal, and replay it.

    judge       returns a refusal, or the decision with all that `act` needs
    act         performs the decision, inside the step's transaction
    refused     answers or stores something where admission or `judge` refused the record
    own, heard  derive, in a replay, the rows stored beside the log: from a record that this node signed, or admitted
    keeps       kinds of rows beside the log that come from such records alone
    turned_down derives, in a replay, the rows that a refusal with that reason and clause leaves
    replaced    whether a newer record took the place of one that was admitted here
    """

    body: type[Any]
    judge: Callable[[RecordCase], D | Refusal]
    act: Callable[[RecordCase, D], None]
    refused: Callable[[RecordCase, Refusal], None] = no_answer
    keeps: tuple[str, ...] = ()
    own: Callable[[Retelling, Said], None] = untold
    heard: Callable[[Retelling, Said], None] = untold
    turned_down: Callable[[Retelling, Said, str | None, str | None], None] = nothing_of_a_refusal
    replaced: Callable[[NodeState, Record], bool] = never_replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Generic[D]):
    """A record that may be acted on, and what was decided."""

    case: RecordCase
    conduct: Conduct[D]
    decided: D

    def act(self) -> None:
        """Perform what was decided."""
        self.conduct.act(self.case, self.decided)
