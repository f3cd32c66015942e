"""The content and answers of a directory: signed offers and intents with credentials, by cell, class and price.

A directory has no authority: it returns the signed records themselves, and whoever asks judges each of them. It can
hide, delay or repeat, and that changes nothing but speed; what it invents has no signature. Pure: bytes in, bytes out.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from settlement.chain.admission import Admitted, prove
from settlement.chain.codec import array, blob, decode, encode, nested, text
from settlement.chain.credentials import OutlineBudget, Registry
from settlement.chain.entitlement import CORNERS_MAX
from settlement.chain.quantities import count
from settlement.chain.records import digest
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.chain.scope import Area, Band, Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.market import Declaration, Intent

OFFERS, INTENTS = "declaration", "intent"
ANSWER_MAX = 64
ENTRY_LIMIT = 256 * 1024
ANSWER_LIMIT = ANSWER_MAX * 64 * 1024
ANSWER_HEAD, ITEM_HEAD = 16, 9
"""Bytes that an answer and each of its entries take beside the entries' own, at the most."""
COMPARED_MAX = 64
"""Outlines that one question is held against: each takes milliseconds, and anybody may ask."""
OF_ONE_MAX, AUTHORS_MAX = 64, 256
OF_ONE_BYTES = 1 << 20
"""What the entries of one author may take together; the oldest give way."""
_RAW = blob(0, MAX_RECORD_BYTES, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """A signed offer or intent, its author's credentials (root first), and the envelope that it rests on."""

    record: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(2, _RAW, 9, low=1)
    beside: tuple[bytes, ...] | None = array(3, _RAW, 2, low=1, optional=True)
    """The record that it rests on, and nothing else."""

    def encoded(self) -> bytes:
        """Return the entry's bytes, as they travel."""
        return encode(self, limit=ENTRY_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    """A query: offers or intents (`kind`) that overlap band, area and window, of a class, up to a price."""

    kind: str = text(1, 16)
    commodity: str | None = text(2, 64, optional=True)
    band: Band | None = nested(3, Band, optional=True)
    area: Area | None = nested(4, Area, optional=True)
    window: Window | None = nested(5, Window, optional=True)
    price_max: int | None = count(6, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAnswer:
    """A directory's answer; every entry is its author's statement, not the directory's."""

    entries: tuple[DirectoryEntry, ...] = array(1, DirectoryEntry, ANSWER_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """An entry; `path` names the credentials from the root down to its author, `size` is what it takes in bytes."""

    entry: DirectoryEntry
    body: Declaration | Intent
    path: tuple[bytes, ...]
    size: int

    @property
    def author(self) -> bytes:
        return self.path[-1]


class DirectoryIndex:
    """The entries of a directory: few of each author, none whose window is over.

    Where there are too many authors, one gives way of the issuer that has most of them: an issuer that credentials
    authors without number takes places from its own.
    """

    def __init__(self, registry: Registry) -> None:
        """`registry` has the network and the roots that the directory's operator wants entries under."""
        self._registry = registry
        self._listed: OrderedDict[bytes, _Listed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._listed)

    def add(self, data: bytes, now_ns: int) -> Refusal | None:
        """Take an entry in: signed, by somebody under one of the roots, not over yet. The same one twice is one."""
        entry = decode(DirectoryEntry, data, "directory.entry", limit=ENTRY_LIMIT)
        if isinstance(entry, Refusal):
            return entry
        self._forget(now_ns)
        known = {one.author: one.path for one in self._listed.values()}
        # Whoever publishes is known for this entry alone: credentials without end would fill the memory.
        registry = Registry(self._registry.network, self._registry.anchors, OutlineBudget(CORNERS_MAX))
        author = registry.admit_chain(entry.chain)
        if isinstance(author, Refusal):
            return author
        proven = prove(entry.record, registry)
        if not isinstance(proven, Admitted):
            return proven
        body, name = proven.record.body, digest(entry.record)
        if not isinstance(body, Declaration | Intent):
            return refuse(Reason.TYPE, "directory.record", proven.record.typ, f"{OFFERS} or {INTENTS}")
        rests_on = [one for one in (getattr(body, "envelope", None),) if one is not None]
        if entry.beside is not None and [digest(one) for one in entry.beside] != rests_on:
            named = ", ".join(digest(one).hex()[:16] for one in entry.beside)
            wanted = ", ".join(one.hex()[:16] for one in rests_on) or "nothing"
            return refuse(Reason.ENTRY_MISMATCH, "directory.beside", named, f"{wanted}, which it rests on")
        if entry.beside is None and name in self._listed:
            return None  # what is listed already is no worse
        if body.cell.window.end_ns <= now_ns:
            return refuse(Reason.EXPIRED, "directory.window", f"{body.cell.window.end_ns} ns", f"> {now_ns} ns")
        fresh = _Listed(entry=entry, body=body, path=tuple(map(digest, proven.author.chain)), size=len(data))
        if fresh.author not in known and len(known) >= AUTHORS_MAX:
            gone = gives_way(known, fresh.path)
            if gone is None:
                return refuse(Reason.BUDGET, "directory.authors", len(known), f"< {AUTHORS_MAX}")
            for old in [one for one, held in self._listed.items() if held.author == gone]:
                del self._listed[old]
        self._listed[name] = fresh
        theirs = [one for one, held in self._listed.items() if held.author == fresh.author]
        while len(theirs) > OF_ONE_MAX or sum(self._listed[one].size for one in theirs) > OF_ONE_BYTES:
            del self._listed[theirs.pop(0)]
        return None

    def find(self, query: DirectoryQuery, now_ns: int) -> DirectoryAnswer:
        """Entries that fit, at most ANSWER_MAX in ANSWER_LIMIT bytes: of each author its newest, then each one's next.

        Issuers take turns, and so do the authors of each. So no author hides another behind entries of its own,
        however many and however long they are, and no issuer another's authors behind its own. After COMPARED_MAX
        comparisons of areas by their outlines, which take long, it is what was found so far.
        """
        self._forget(now_ns)
        found, left, compared = list[DirectoryEntry](), ANSWER_LIMIT - ANSWER_HEAD, 0
        for one in _in_turns([one for one in reversed(self._listed.values()) if _fits_but_area(query, one.body)]):
            area = one.body.cell.area
            compared += query.area is not None and (query.area.outline or area.outline) is not None
            if compared > COMPARED_MAX:
                break
            if query.area is not None and not query.area.overlaps(area):
                continue
            left -= one.size + ITEM_HEAD
            if len(found) == ANSWER_MAX or left < 0:
                break
            found.append(one.entry)
        return DirectoryAnswer(entries=tuple(found))

    def _forget(self, now_ns: int) -> None:
        for name in [name for name, one in self._listed.items() if one.body.cell.window.end_ns <= now_ns]:
            del self._listed[name]


def _in_turns(listed: list[_Listed], level: int = 0) -> list[_Listed]:
    """Entries so that those below each credential of a level take turns, and below each of them those of the next."""
    below: dict[tuple[bytes, ...], list[_Listed]] = {}
    for one in listed:
        below.setdefault(one.path[level : level + 1], []).append(one)
    rows = zip_longest(*(_in_turns(part, level + 1) if at else part for at, part in below.items()))
    return [one for row in rows for one in row if one is not None]


def gives_way(known: Mapping[bytes, tuple[bytes, ...]], fresh: tuple[bytes, ...]) -> bytes | None:
    """Which author gives way to a new one, by their paths, the longest known first; None where the new one has to.

    At each level it is among those below the credential that has most of them, the new one counted. Where those are
    the new one's own, no other issuer gives anything up.
    """
    level, own, group = 0, True, dict(known)
    while len(group) + own > 1:
        below: dict[tuple[bytes, ...], dict[bytes, tuple[bytes, ...]]] = {}
        for author, path in group.items():
            below.setdefault(path[level : level + 1], {})[author] = path
        mine = fresh[level : level + 1]
        largest = max(below, key=lambda at: len(below[at]))
        if own and len(below[largest]) <= len(below.get(mine, ())) + 1:
            largest = mine
        own, group, level = own and largest == mine, below.get(largest, {}), level + 1
    return None if own else next(iter(group))


def fits(query: DirectoryQuery, body: Declaration | Intent) -> bool:
    """Is an offer or an intent what is looked for? A directory's answers are held against the question by this too."""
    return _fits_but_area(query, body) and (query.area is None or query.area.overlaps(body.cell.area))


def _fits_but_area(query: DirectoryQuery, body: Declaration | Intent) -> bool:
    kind = OFFERS if isinstance(body, Declaration) else INTENTS
    cell = body.cell
    return (
        query.kind == kind
        and query.commodity in (None, body.commodity)
        and (query.band is None or query.band.overlaps(cell.band))
        and (query.window is None or query.window.overlaps(cell.window))
        and (query.price_max is None or body.price <= query.price_max)
    )
