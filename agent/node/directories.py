"""A node's client of directories: publishes its own offers and intents, and fetches and judges those of others.

A thread beside the loop does all HTTP. A returned entry counts only where its author is known here, its signature
holds, it was not seen before and every clause of admission accepts it, as if its author had sent it just now.
Whatever a directory invents, repeats or withholds is counted and changes nothing.
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
from settlement.chain.codec import cut
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.market.directory import INTENTS, OFFERS, DirectoryEntry, DirectoryQuery, fits
from settlement.party.party import Party
from settlement.records.market import Declaration, Intent
from settlement.state.messages import Message
from settlement.state.step import Step

ASK_NS, ASK_MAX_NS = 1_000_000_000, 30_000_000_000
"""Interval in ns between queries to a directory; doubled after each unanswered query, up to the second value."""
PUBLISH_AGAIN_NS = 60_000_000_000
"""Delay in ns before a rejected entry is published again, or an accepted one after the directory was unreachable."""
REFRESH_NS = 600_000_000_000
"""Interval in ns at which accepted entries are published again: a restarted directory has lost everything."""
AT_ONCE = 4
"""Most entries published to one directory before other directories get their turn."""
ANSWERS_MAX = 16
"""Most answers that wait to be taken in; while so many wait, no directory is queried."""
TAKEN_MAX = 32
"""Most entries taken in by one step."""
Publish = Callable[[str, DirectoryEntry], str]
Find = Callable[[str, DirectoryQuery], tuple[DirectoryEntry, ...] | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryCount:
    """Counts of entries by result: taken in, seen before, refused, of an unknown author, not asked for."""

    taken: int
    seen: int
    refused: int
    unknown: int
    unasked: int


class Directories:
    """The directories of one node; with an empty list it does nothing."""

    def __init__(
        self,
        urls: Sequence[str],
        kinds: Sequence[str],
        *,
        ask: Find,
        put: Publish = publish,
        visit: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Args: urls: of the directories. kinds: what this node looks for, offers or intents. ask: queries one of them.

        put: publishes an entry to one directory. visit: makes a visit; without it a thread beside the loop does.
        """
        self._urls, self._kinds, self._put, self._ask = tuple(urls), tuple(kinds), put, ask
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        """Pending visits, at most one per directory: a directory that is down delays the others only briefly."""
        self._later = visit or self._jobs.put
        self._under_way: set[str] = set()
        self._answers: queue.Queue[tuple[DirectoryQuery, tuple[DirectoryEntry, ...]]] = queue.Queue()
        self._due_ns: dict[str, dict[bytes, int]] = {url: {} for url in self._urls}
        """For each directory, the standing records and when each is published next (monotonic ns)."""
        self._handed: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next_ns = dict.fromkeys(self._urls, 0)
        self._unanswered = dict.fromkeys(self._urls, 0)
        self._silent: set[str] = set()
        self.counted: Counter[str] = Counter()
        self.why: dict[str, str] = {}
        """The last failure of each directory, as text for people."""

    def turn(self, party: Party, own_intents: Iterable[bytes], now_ns: int) -> bool:
        """Publish new entries and query where it is time (monotonic ns); returns whether answers wait."""
        if not self._urls:
            return False
        self._keep(party, [*party.holder.offers, *own_intents], now_ns)
        for url in self._urls:
            if url not in self._under_way:
                self._visit(url, party, now_ns)
        if not self._jobs.empty():  # where the host refused a thread, the visits stay queued until one can be started
            self._thread = self._thread or started(self._work, "directories")
        return not self._answers.empty()

    def _keep(self, party: Party, standing: Sequence[bytes], now_ns: int) -> None:
        """Update each directory's schedule: drop records that no longer stand, add new ones."""
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
        """Queue a visit that queries a directory and publishes what is due; after a failure it only queries."""
        due_ns = self._due_ns[url]
        if self._unanswered[url]:
            self._silent.add(url)
        elif url in self._silent:
            self._silent.remove(url)
            due_ns.update({name: min(at_ns, now_ns + PUBLISH_AGAIN_NS) for name, at_ns in due_ns.items()})
        asks = now_ns >= self._next_ns[url]
        if asks:
            self._next_ns[url] = now_ns + pause_of(self._unanswered[url] + 1, ASK_NS, ASK_MAX_NS)
            asks = self._answers.qsize() < ANSWERS_MAX  # while answers wait to be taken in, the node asks for no more
        due = [name for name, at_ns in due_ns.items() if now_ns >= at_ns][:AT_ONCE] if url not in self._silent else []
        entries = {name: entry for name in due if (entry := entry_of(party, name)) is not None}
        due_ns.update(dict.fromkeys(due, now_ns + PUBLISH_AGAIN_NS))
        queries = [DirectoryQuery(kind=kind) for kind in self._kinds] if asks else []
        if queries or entries:
            self._under_way.add(url)
            self._later(partial(self._go_there, url, queries, entries))

    def _go_there(self, url: str, queries: Sequence[DirectoryQuery], entries: Mapping[bytes, DirectoryEntry]) -> None:
        try:
            if all(self._ask_there(url, query) for query in queries):
                for name, entry in entries.items():
                    self._put_there(url, name, entry)
        except Exception as exc:  # noqa: BLE001 - a defect at one directory: told, and all of them are visited again
            self._unanswered[url] += 1
            self.why[url] = cut(f"{url}: a defect: {exc!r}", 256)
        finally:
            self._under_way.discard(url)

    def _put_there(self, url: str, name: bytes, entry: DirectoryEntry) -> None:
        self.why[url] = self._put(url, entry)
        if not self.why[url]:
            self._handed.put((url, name))

    def _ask_there(self, url: str, query: DirectoryQuery) -> bool:
        """Query one directory; returns whether it answered."""
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
        """Judge the directories' answers, inside a step."""
        taken = 0
        while taken < TAKEN_MAX and not self._answers.empty():
            query, entries = self._answers.get_nowait()
            for entry in entries:
                what = take_entry(step, party, entry, query)
                self.counted[what] += 1
                taken += what == "taken"

    def shown(self) -> DirectoryCount:
        """Return the counts of what directories have answered so far."""
        names = ("taken", "seen", "refused", "unknown", "unasked")
        return DirectoryCount(**{name: self.counted[name] for name in names})

    def close(self) -> None:
        """Stop querying; a query under way ends by itself within seconds."""
        self._jobs.put(None)


def entry_of(party: Party, name: bytes) -> DirectoryEntry | None:
    """Return a record of this node as a directory takes it, with its credentials and its envelope."""
    record, me = party.record_of(name), party.registry.get(party.identity.credential)
    if record is None or me is None:
        return None
    envelope = party.record_bytes(getattr(record.body, "envelope", None))
    return DirectoryEntry(record=record.raw, chain=me.chain, beside=(envelope,) if envelope is not None else None)


def take_entry(step: Step, party: Party, entry: DirectoryEntry, query: DirectoryQuery) -> str:
    """Judge one entry as if its author had just sent it; returns the result: taken, seen, refused, unknown, unasked.

    Only an admitted entry is logged and charged to its author's share: nobody can use up another's share.
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
"""The kinds of entry that a node of each role looks for."""
