"""Asks the rule's witnesses over HTTP to cosign the pending head, in a thread beside the loop.

The loop hands over each question (the note, and the proof from the size a witness cosigned last) and takes back lines,
without waiting. A witness that knows another size is asked again from there; one that fails is asked again later.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from agent.witness.client import WitnessAnswer, ask
from radio.besidethread import started
from radio.restarts import pause_of
from settlement.chain.checkpoint import Head, open_note
from settlement.chain.codec import cut
from settlement.chain.lineage import Lineage
from settlement.formats.tlogwitness import AddCheckpoint
from settlement.formats.vkey import COSIGNER, VerifierKey
from settlement.state.witness import Witness

AGAIN_NS, AGAIN_MAX_NS = 2_000_000_000, 30_000_000_000
"""Interval in ns between questions to a witness; doubled after each unanswered one, up to the second value."""
WAITING_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StockQuestion:
    """One request to one witness to cosign one head."""

    url: str
    key: VerifierKey
    request: AddCheckpoint
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLines:
    """Cosignature lines for the head of `size`; the receiver verifies them."""

    size: int
    lines: tuple[str, ...]


class StockAsking:
    """The asker of one node; `urls` by the witnesses' names in the rule, `public` the key of the node's log."""

    def __init__(self, urls: Mapping[str, str], public: bytes) -> None:
        self._urls, self._public = dict(urls), public
        self._known: dict[str, int] = {}
        self._asked: dict[str, tuple[int, int]] = {}
        self._under_way: set[str] = set()
        """Names of the witnesses whose answers are awaited: a witness that is down holds up only its own question."""
        self._unanswered: dict[str, int] = {}
        """Number of questions in a row without an answer, by witness."""
        self._questions: queue.Queue[StockQuestion | None] = queue.Queue(WAITING_MAX)
        self._answers: queue.Queue[tuple[StockQuestion, WitnessAnswer]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self.why: dict[str, str] = {}
        """The last failure of each witness, as text for people."""

    def turn(self, witness: Witness, lineage: Lineage) -> list[StockLines]:
        """Send the questions that are due; returns the cosignature lines that have arrived."""
        if not self._urls:
            return []
        found = [done for done in map(self._taken, self._drained()) if done is not None]
        waiting = witness.waiting(lineage)
        if waiting is not None:
            size, note = waiting
            for one in witness.stock:
                if one.name in self._urls and self._due(one.name, size):
                    self._ask(VerifierKey(name=one.name, kind=COSIGNER, public=one.key), size, note, lineage)
        if self._under_way:  # where the host refused a thread, the questions stay queued until one can be started
            self._thread = self._thread or started(self._work, "stock witnesses")
        return found

    def _drained(self) -> list[tuple[StockQuestion, WitnessAnswer]]:
        return [self._answers.get_nowait() for _ in range(self._answers.qsize())]

    def _taken(self, answered: tuple[StockQuestion, WitnessAnswer]) -> StockLines | None:
        question, outcome = answered
        name, size = question.key.name, question.head.size
        self.why[name] = outcome.why
        self._under_way.discard(name)
        self._unanswered[name] = 0 if outcome.lines else self._unanswered.get(name, 0) + 1
        if outcome.knows is not None:
            self._known[name] = outcome.knows
            if self._unanswered[name] == 1:  # asked again at once from the size it knows, and only once
                self._asked.pop(name, None)
        if not outcome.lines:
            return None
        self._known[name] = size
        return StockLines(size=size, lines=outcome.lines)

    def _due(self, name: str, size: int) -> bool:
        asked, unanswered = self._asked.get(name), self._unanswered.get(name, 0)
        if name in self._under_way:
            return False
        if asked is None or (asked[0] != size and not unanswered):
            return True
        return time.monotonic_ns() - asked[1] > pause_of(unanswered, AGAIN_NS, AGAIN_MAX_NS)

    def _ask(self, key: VerifierKey, size: int, note: str, lineage: Lineage) -> None:
        old, head = self._known.get(key.name, 0), open_note(note, self._public)
        if not isinstance(head, Head) or old > size:
            return
        proof = lineage.consistency(old, size) if old else ()
        question = StockQuestion(
            url=self._urls[key.name], key=key, request=AddCheckpoint(old=old, proof=proof, note=note), head=head
        )
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            return
        self._asked[key.name] = (size, time.monotonic_ns())
        self._under_way.add(key.name)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            self._answers.put((question, _answer(question)))

    def close(self) -> None:
        """Stop asking; a question under way ends by itself within seconds."""
        with contextlib.suppress(queue.Full):
            self._questions.put_nowait(None)


def _answer(question: StockQuestion) -> WitnessAnswer:
    try:
        return ask(question.url, question.request, question.head, [question.key])
    except Exception as exc:  # noqa: BLE001 - a defect at one witness: told, and all of them are asked again
        return WitnessAnswer(why=cut(f"{question.url}: a defect: {exc!r}", 256))
