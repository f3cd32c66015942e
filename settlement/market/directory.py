"""The content and answers of a directory: signed offers and intents with credentials, by cell, class and price.

A directory has no authority: it returns the signed records themselves, and the node that asks judges each of them. A
dishonest directory can hide, delay or repeat entries, which only slows discovery; it cannot sign invented ones. Pure.
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
"""Most bytes of encoding that an answer, and each entry in it, adds to the entries' own bytes."""
COMPARED_MAX = 64
"""Most outlines that one query is compared with: each takes milliseconds, and anybody may send queries."""
OF_ONE_MAX, AUTHORS_MAX = 64, 256
OF_ONE_BYTES = 1 << 20
"""Most bytes of all entries of one author; the oldest are dropped."""
_RAW = blob(0, MAX_RECORD_BYTES, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """A signed offer or intent, its author's credentials (root first), and the envelope that it rests on."""

    record: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(2, _RAW, 9, low=1)
    beside: tuple[bytes, ...] | None = array(3, _RAW, 2, low=1, optional=True)
    """The envelope that the offer names, and nothing else."""

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
    """The entries of a directory: a limited number of each author, none whose window is over.

    If there are too many authors, one of the issuer with the most authors is dropped. So an issuer that makes very many
    credentials takes places from its own authors only.
    """

    def __init__(self, registry: Registry) -> None:
        """`registry` has the network and the trust anchors under which the directory's operator accepts entries."""
        self._registry = registry
        self._listed: OrderedDict[bytes, _Listed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._listed)

    def add(self, data: bytes, now_ns: int) -> Refusal | None:
        """Add an encoded entry that is signed under one of the anchors and not over yet, or return why not.

        An entry that is listed already stays as it is, unless the new one brings the envelope. `now_ns` is UTC.
        """
        entry = decode(DirectoryEntry, data, "directory.entry", limit=ENTRY_LIMIT)
        if isinstance(entry, Refusal):
            return entry
        self._forget(now_ns)
        known = {one.author: one.path for one in self._listed.values()}
        # Credentials are kept for this entry only: an unlimited number of them would fill the memory.
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
        """Return matching entries, at most ANSWER_MAX in ANSWER_LIMIT bytes: each author's newest first, then its next.

        Issuers take turns, and so do the authors of each. So no author can hide another behind its own entries, and no
        issuer can hide another's authors. The search ends after COMPARED_MAX comparisons of outlines, which are slow.
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
    """Return the entries interleaved: the issuers at each level of the credential chains take turns."""
    below: dict[tuple[bytes, ...], list[_Listed]] = {}
    for one in listed:
        below.setdefault(one.path[level : level + 1], []).append(one)
    rows = zip_longest(*(_in_turns(part, level + 1) if at else part for at, part in below.items()))
    return [one for row in rows for one in row if one is not None]


def gives_way(known: Mapping[bytes, tuple[bytes, ...]], fresh: tuple[bytes, ...]) -> bytes | None:
    """Return the author to drop for a new one; None where the new one is refused instead.

    At each level of the credential chains the search goes below the credential with the most authors, the new one
    included; the new one's own issuer is preferred where counts are equal. At the end it is the author known longest.

    Args: known: the path of credentials of each author, from the root, the author known longest first. fresh: the path
    of the new one.
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
    """Whether an offer or an intent matches a query; a node also checks a directory's answers by this."""
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
