"""A node and its directories: publishes its own offers and intents, asks for others', and judges each by itself.

All HTTP is in a thread beside the loop. What comes back is the authors' word or nothing: an entry counts only where its
author is known here, its signature holds, it was not seen before and every clause of admission lets it in, as if its
author had sent it just now. Whatever a directory invents, repeats or holds back is counted and changes nothing.
"""

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.directory.client import publish
from radio.besidethread import started
from radio.restarts import pause_of
from settlement.chain.admission import Admitted, admit
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.market.directory import INTENTS, OFFERS, DirectoryEntry, DirectoryQuery, fits
from settlement.party.party import Party
from settlement.records.market import Declaration, Intent
from settlement.state.messages import Message
from settlement.state.step import Step

ASK_NS, ASK_MAX_NS = 1_000_000_000, 30_000_000_000
"""From one question to the next; twice as long after each that was not answered, up to the latter."""
PUBLISH_AGAIN_NS = 60_000_000_000
"""What a directory did not take is handed to it again after so long, while it stands."""
WAITING_MAX = 64
ANSWERS_MAX = 16
"""Answers that wait to be taken in; while as many do, nobody is asked."""
TAKEN_MAX = 32
"""Entries one step takes in."""
Publish = Callable[[str, DirectoryEntry], str]
Find = Callable[[str, DirectoryQuery], tuple[DirectoryEntry, ...] | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryCount:
    """What became of what directories said: taken in, seen before, refused, of nobody known, not what was asked for."""

    taken: int
    seen: int
    refused: int
    unknown: int
    unasked: int


class Directories:
    """The directories of one node; with none it does nothing."""

    def __init__(self, urls: Sequence[str], kinds: Sequence[str], *, ask: Find, put: Publish = publish) -> None:
        """Args: urls: of the directories. kinds: what this node looks for, offers or intents. ask: one of them."""
        self._urls, self._kinds, self._put, self._ask = tuple(urls), tuple(kinds), put, ask
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING_MAX)
        self._answers: queue.Queue[tuple[DirectoryQuery, tuple[DirectoryEntry, ...]]] = queue.Queue()
        self._published: set[bytes] = set()
        self._owed: dict[tuple[str, bytes], int] = {}
        """What a directory has not taken yet, by whom, and when it is handed over again (monotonic ns)."""
        self._handed: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next_ns = dict.fromkeys(self._urls, 0)
        self._unanswered = dict.fromkeys(self._urls, 0)
        self.counted: Counter[str] = Counter()
        self.why: dict[str, str] = {}
        """The last failure of each directory, for people."""

    def turn(self, party: Party, own_intents: Iterable[bytes], now_ns: int) -> bool:
        """Publish what is new, ask when it is time (monotonic ns); True where answers wait to be taken."""
        if not self._urls:
            return False
        self._publish(party, [*party.holder.offers, *own_intents], now_ns)
        for url in self._urls:
            if now_ns < self._next_ns[url]:
                continue
            self._next_ns[url] = now_ns + pause_of(self._unanswered[url] + 1, ASK_NS, ASK_MAX_NS)
            if self._answers.qsize() < ANSWERS_MAX:  # a node that takes nothing in now asks for nothing more
                for kind in self._kinds:
                    self._later(lambda url=url, kind=kind: self._ask_there(url, DirectoryQuery(kind=kind)))  # type: ignore[misc]
        return not self._answers.empty()

    def _publish(self, party: Party, standing: Sequence[bytes], now_ns: int) -> None:
        """Hand each directory what stands and what it has not taken, again and again until it has."""
        while not self._handed.empty():
            self._owed.pop(self._handed.get(), None)
        for name in standing:
            if name not in self._published and entry_of(party, name) is not None:
                self._published.add(name)
                self._owed |= {(url, name): 0 for url in self._urls}
        self._published.intersection_update(standing)
        for (url, name), due_ns in list(self._owed.items()):
            if name not in self._published:
                del self._owed[url, name]
            elif now_ns >= due_ns and not self._jobs.full() and (entry := entry_of(party, name)) is not None:
                self._owed[url, name] = now_ns + PUBLISH_AGAIN_NS
                self._later(lambda url=url, name=name, entry=entry: self._put_there(url, name, entry))  # type: ignore[misc]

    def _put_there(self, url: str, name: bytes, entry: DirectoryEntry) -> None:
        self.why[url] = self._put(url, entry)
        if not self.why[url]:
            self._handed.put((url, name))

    def _ask_there(self, url: str, query: DirectoryQuery) -> None:
        found = self._ask(url, query)
        if isinstance(found, str):
            self.why[url] = found
            self._unanswered[url] += 1
        else:
            self._unanswered[url] = 0
            self._answers.put((query, found))

    def _later(self, job: Callable[[], None]) -> None:
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(job)
        self._thread = self._thread or started(self._work, "directories")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def take(self, step: Step, party: Party) -> None:
        """Judge what came back, inside a step."""
        taken = 0
        while taken < TAKEN_MAX and not self._answers.empty():
            query, entries = self._answers.get_nowait()
            for entry in entries:
                what = take_entry(step, party, entry, query)
                self.counted[what] += 1
                taken += what == "taken"

    def shown(self) -> DirectoryCount:
        """What became of what directories said so far."""
        names = ("taken", "seen", "refused", "unknown", "unasked")
        return DirectoryCount(**{name: self.counted[name] for name in names})

    def close(self) -> None:
        """Ask nothing more; a question under way ends by itself within seconds."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)


def entry_of(party: Party, name: bytes) -> DirectoryEntry | None:
    """A record of this node's own as a directory takes it, with its credentials and the envelope it rests on."""
    record, me = party.record_of(name), party.registry.get(party.identity.credential)
    if record is None or me is None:
        return None
    envelope = party.record_bytes(getattr(record.body, "envelope", None))
    return DirectoryEntry(record=record.raw, chain=me.chain, beside=(envelope,) if envelope is not None else None)


def take_entry(step: Step, party: Party, entry: DirectoryEntry, query: DirectoryQuery) -> str:
    """Take one entry in as if its author had sent it; says what became of it: taken, seen, refused, unknown, unasked.

    Only what admission lets in is charged to its author's share, and logged: nobody can use up another's.
    """
    if party.lineage.seen(digest(entry.record)):
        return "seen"
    admitted = admit(entry.record, party.context, now=step.now.time, transport_key=None)
    author = admitted.author if isinstance(admitted, Admitted) else None
    if author is None or author.transport_key is None:
        known = isinstance(admitted, Refusal) and admitted.reason is not Reason.UNKNOWN_AUTHOR
        return "refused" if known else "unknown"
    if author.hash in party.own_line:
        return "seen"
    body = admitted.record.body if isinstance(admitted, Admitted) else None
    if not isinstance(body, Declaration | Intent) or not fits(query, body):
        return "unasked"
    data = Message(record=entry.record, beside=entry.beside).encoded()
    return "taken" if party.receive(step, data, author.transport_key) is None else "refused"


KINDS = {"holder": (INTENTS,), "user": (OFFERS,)}
"""What a node of each role looks for."""
