"""The persistent list of grants given out to base stations: kept over a restart, each entry until it surely expired.

A grant that was given back stays in the book until its time is over: that the radio is off is only what it says. For
the same device such an entry no longer counts, so that it may ask anew. A device that was heard after its end stands
in the book until an operator clears it.

On disk the book is a page, written whole, and beside it the turns since: what each answer changed, appended and synced
at once. A turn that was cut off is one that nobody was told of.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, write_whole
from radio.cbrs.power import milliwatts
from radio.cbrs.turns import TURNS_MAX, TurnFile, turns_in
from settlement.chain.codec import array, blob, cut, decode, encode, sint, text, uint
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal

LIMIT = 4 * 1024 * 1024
OUT_MAX = 8192
NAME_BYTES = 16


class BookLost(Exception):
    """The book cannot be read or written: a warden that forgot its grants would give the same spectrum out twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """One grant's last answer: its transmitExpireTime and the latest time its radio is silent, UTC ns."""

    device: str = text(1, 128)
    grant: str = text(2, 64)
    sid: bytes = blob(3, 32)
    low_hz: int = uint(4)
    high_hz: int = uint(5)
    eirp_mdbm: int = sint(6)
    transmit_until_ns: int = uint(7)
    silent_by_ns: int = uint(8)
    returned: int = uint(9, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latched:
    """A base station that was heard on the air after its end, and what was heard."""

    device: str = text(1, 128)
    detail: str = text(2, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of the book on disk: all entries at the time of writing."""

    out: tuple[Out, ...] = array(1, Out, OUT_MAX)
    latched: tuple[Latched, ...] | None = array(2, Latched, OUT_MAX, optional=True)
    name: bytes | None = blob(3, NAME_BYTES, optional=True)
    """Random name of the page, which the entries of the turn file that belong to it repeat."""


@dataclass(slots=True)
class CbsdBook:
    """Entries by device and grant; `path` None keeps nothing."""

    path: Path | None = None
    latched_for: dict[str, str] = field(default_factory=dict)
    """Devices heard on the air after their end, and what was heard, until an operator clears them."""
    _out: dict[tuple[str, str], Out] = field(default_factory=dict)
    _changed: bool = False
    _turned: dict[tuple[str, str], None] = field(default_factory=dict)
    """Entries changed since the last write to disk, leaving out those that only expired."""
    _sums: dict[bytes, float] | None = None
    _of_device: dict[tuple[bytes, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _turns: TurnFile | None = None

    def open(self) -> None:
        """Read the grants of earlier runs from disk. Raises BookLost."""
        if self.path is None:
            return
        try:
            data = read_small(self.path, limit=LIMIT)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise BookLost(f"{self.path}: {exc.strerror}; the warden must be able to read what it gave out") from exc
        page = self._page(data)
        self._out = {(one.device, one.grant): one for one in page.out}
        self.latched_for = {one.device: one.detail for one in page.latched or ()}
        try:
            turns = turns_in(beside(self.path), page.name)
        except OSError as exc:
            raise BookLost(f"{beside(self.path)}: {exc.strerror}") from exc
        for turn in turns:
            changed = self._page(turn)
            self._out |= {(one.device, one.grant): one for one in changed.out}
            if changed.latched is not None:
                self.latched_for = {one.device: one.detail for one in changed.latched}

    def _page(self, data: bytes) -> Page:
        page = decode(Page, data, "book", limit=LIMIT)
        if isinstance(page, Refusal):
            raise BookLost(
                f"{self.path}: damaged ({page.reason.value}); wait until all it held has run out, then move it"
            )
        return page

    def note(self, out: Out) -> bool:
        """Record a grant before it is told; False where the book is full. An earlier expiry never replaces a later."""
        before = self._out.get((out.device, out.grant))
        if before is None and len(self._out) >= OUT_MAX:
            return False
        if before is not None and before.silent_by_ns > out.silent_by_ns:
            out = replace(out, transmit_until_ns=before.transmit_until_ns, silent_by_ns=before.silent_by_ns)
        self._set(out)
        return True

    def _set(self, out: Out) -> None:
        key = (out.device, out.grant)
        before = self._out.get(key)
        self._out[key], self._turned[key], self._changed = out, None, True
        if self._sums is not None:
            if before is not None:
                self._sums[before.sid] -= milliwatts(before.eirp_mdbm)
            self._sums[out.sid] = self._sums.get(out.sid, 0.0) + milliwatts(out.eirp_mdbm)
            self._of_device[out.sid, out.device].add(out.grant)

    def returned(self, device: str, grants: list[str]) -> None:
        """Mark grants that a device says it no longer uses."""
        for grant in grants:
            out = self._out.get((device, grant))
            if out is not None:
                self._set(replace(out, returned=1))

    def latch(self, device: str, detail: str) -> bool:
        """Latch a device heard after its grant's end; False where it is latched already or the list is full."""
        if device in self.latched_for or len(self.latched_for) >= OUT_MAX:
            return False
        self.latched_for = {**self.latched_for, device: cut(detail, 512)}
        self._changed = True
        return True

    def clear(self, device: str) -> bool:
        """Remove a device's latch after an operator looked into it; returns False where the device was not latched."""
        known = device in self.latched_for
        if known:
            self.latched_for = {name: detail for name, detail in self.latched_for.items() if name != device}
            self._changed = True
        return known

    def forget(self, now: TimeFix) -> None:
        """Drop entries that have surely expired; without a trusted clock none is dropped."""
        for key in [key for key, out in self._out.items() if now.after(out.silent_by_ns)]:
            del self._out[key]
            self._sums = None

    def keep(self) -> None:
        """Write all changes to disk; called before any answer leaves. Raises BookLost."""
        if self.path is None or not self._changed:
            return
        self._changed = False  # reset before the entries are read: a change during the write is written the next time
        turned, self._turned = self._turned, {}
        latched = tuple(Latched(device=device, detail=detail) for device, detail in self.latched_for.items())
        try:
            if self._turns is None or self._turns.size > TURNS_MAX:
                self._keep_whole(latched)
            else:
                out = tuple(one for one in map(self._out.get, turned) if one is not None)
                self._turns.add(encode(Page(out=out, latched=latched), limit=LIMIT))
        except OSError as exc:
            self._changed, self._turns = True, None  # the next write replaces the whole page
            raise BookLost(f"{self.path}: {exc.strerror}") from exc

    def _keep_whole(self, latched: tuple[Latched, ...]) -> None:
        if self.path is None:
            return
        page = Page(out=tuple(self._out.values()), latched=latched or None, name=secrets.token_bytes(NAME_BYTES))
        write_whole(self.path, encode(page, limit=LIMIT), mode=SECRET_MODE)
        if self._turns is not None:
            self._turns.close()
        self._turns = TurnFile(beside(self.path), page.name or b"")

    def power_beside(self, sid: bytes, device: str, grant: str = "") -> float:
        """Total EIRP in mW under a settlement beside one grant; grants that the same device gave back do not count."""
        if self._sums is None:
            self._sums, self._of_device = {}, defaultdict(set)
            for out in self._out.values():
                self._sums[out.sid] = self._sums.get(out.sid, 0.0) + milliwatts(out.eirp_mdbm)
                self._of_device[out.sid, out.device].add(out.grant)
        own = [self._out.get((device, name)) for name in self._of_device.get((sid, device), ())]
        mine = [one for one in own if one is not None and one.sid == sid and (one.returned or one.grant == grant)]
        return max(0.0, self._sums.get(sid, 0.0) - sum(milliwatts(one.eirp_mdbm) for one in mine))

    def under(self, sid: bytes, device: str = "", grant: str = "") -> Iterator[Out]:
        """Entries under a settlement beside one grant; grants that the same device gave back do not count."""
        for out in self._out.values():
            if out.sid == sid and not (out.device == device and (out.returned or out.grant == grant)):
                yield out

    def of(self, device: str, grant: str) -> Out | None:
        """One grant's entry."""
        return self._out.get((device, grant))

    def all(self) -> list[Out]:
        """Every entry that may still be used, sorted by device."""
        return sorted(self._out.values(), key=lambda out: (out.device, out.grant))


def beside(path: Path) -> Path:
    """The path of the turn file that lies beside a book's page."""
    return path.with_name(path.name + ".turns")
