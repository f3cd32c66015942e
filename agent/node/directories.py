"""A node and its directories: publishes its own offers and intents, asks for others', and judges each by itself.

All HTTP is in a thread beside the loop. What comes back is the authors' word or nothing: an entry counts only where its
author is known here, its signature holds, it was not seen before and every clause of admission lets it in, as if its
author had sent it just now. Whatever a directory invents, repeats or holds back is counted and changes nothing.
"""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

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
"""What a directory did not take is handed to it again after so long, and what it took so long after it was silent."""
REFRESH_NS = 600_000_000_000
"""What it took is handed to it again after so long anyhow: a directory that is started again forgot everything."""
AT_ONCE = 4
"""So much is handed to a directory before others have their turn."""
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

    def __init__(
        self,
        urls: Sequence[str],
        kinds: Sequence[str],
        *,
        ask: Find,
        put: Publish = publish,
        visit: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Args: urls: of the directories. kinds: what this node looks for, offers or intents. ask: one of them.

        put: hands one of them an entry. visit: makes a visit; without it a thread beside the loop does.
        """
        self._urls, self._kinds, self._put, self._ask = tuple(urls), tuple(kinds), put, ask
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        """One visit to each directory at the most: one that is down keeps none of the others waiting for long."""
        self._later = visit or self._jobs.put
        self._under_way: set[str] = set()
        self._answers: queue.Queue[tuple[DirectoryQuery, tuple[DirectoryEntry, ...]]] = queue.Queue()
        self._due_ns: dict[str, dict[bytes, int]] = {url: {} for url in self._urls}
        """Of each directory what stands, and when that is handed over next (monotonic ns)."""
        self._handed: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next_ns = dict.fromkeys(self._urls, 0)
        self._unanswered = dict.fromkeys(self._urls, 0)
        self._silent: set[str] = set()
        self.counted: Counter[str] = Counter()
        self.why: dict[str, str] = {}
        """The last failure of each directory, for people."""

    def turn(self, party: Party, own_intents: Iterable[bytes], now_ns: int) -> bool:
        """Publish what is new, ask when it is time (monotonic ns); True where answers wait to be taken."""
        if not self._urls:
            return False
        self._keep(party, [*party.holder.offers, *own_intents], now_ns)
        for url in self._urls:
            if url not in self._under_way:
                self._visit(url, party, now_ns)
        if not self._jobs.empty():  # where the host gave no thread, what is to be done waits for one
            self._thread = self._thread or started(self._work, "directories")
        return not self._answers.empty()

    def _keep(self, party: Party, standing: Sequence[bytes], now_ns: int) -> None:
        """Know what stands, and when each directory is handed it next."""
        while not self._handed.empty():
            url, name = self._handed.get()
            if name in self._due_ns[url]:
                self._due_ns[url][name] = now_ns + REFRESH_NS
        stands = set(standing)
        for due_ns in self._due_ns.values():
            for name in [name for name in due_ns if name not in stands]:
                del due_ns[name]
            for name in standing:
                if name not in due_ns and entry_of(party, name) is not None:
                    due_ns[name] = 0

    def _visit(self, url: str, party: Party, now_ns: int) -> None:
        """Have a directory asked and handed what is due; one that did not answer last is only asked."""
        due_ns = self._due_ns[url]
        if self._unanswered[url]:
            self._silent.add(url)
        elif url in self._silent:
            self._silent.remove(url)
            due_ns.update({name: min(at_ns, now_ns + PUBLISH_AGAIN_NS) for name, at_ns in due_ns.items()})
        asks = now_ns >= self._next_ns[url]
        if asks:
            self._next_ns[url] = now_ns + pause_of(self._unanswered[url] + 1, ASK_NS, ASK_MAX_NS)
            asks = self._answers.qsize() < ANSWERS_MAX  # a node that takes nothing in now asks for nothing more
        due = [name for name, at_ns in due_ns.items() if now_ns >= at_ns][:AT_ONCE] if url not in self._silent else []
        entries = {name: entry for name in due if (entry := entry_of(party, name)) is not None}
        due_ns.update(dict.fromkeys(due, now_ns + PUBLISH_AGAIN_NS))
        queries = [DirectoryQuery(kind=kind) for kind in self._kinds] if asks else []
        if queries or entries:
            self._under_way.add(url)
            self._later(partial(self._go_there, url, queries, entries))

    def _go_there(self, url: str, queries: Sequence[DirectoryQuery], entries: Mapping[bytes, DirectoryEntry]) -> None:
        if all(self._ask_there(url, query) for query in queries):
            for name, entry in entries.items():
                self._put_there(url, name, entry)
        self._under_way.discard(url)

    def _put_there(self, url: str, name: bytes, entry: DirectoryEntry) -> None:
        self.why[url] = self._put(url, entry)
        if not self.why[url]:
            self._handed.put((url, name))

    def _ask_there(self, url: str, query: DirectoryQuery) -> bool:
        """Whether it answered."""
        found = self._ask(url, query)
        if isinstance(found, str):
            self.why[url] = found
            self._unanswered[url] += 1
            return False
        self._unanswered[url] = 0
        self._answers.put((query, found))
        return True

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
        self._jobs.put(None)


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
