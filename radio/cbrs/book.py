"""What was given out to base stations and may still be used: kept over a restart, forgotten once it surely ran out.

A grant that was given back stays in the book until its time is over: that the radio is off is only what it says. For
the same device such an entry no longer counts, so that it may ask anew. A device that was heard after its end stands
in the book until an operator clears it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, write_whole
from settlement.chain.codec import array, blob, cut, decode, encode, sint, text, uint
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal

LIMIT = 4 * 1024 * 1024
OUT_MAX = 8192


class BookLost(Exception):
    """The book cannot be read or written: a warden that forgot what it gave out would give it out twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """One grant's last answer: until when RF may be on and when it is off at the latest, UTC ns."""

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
    """The book as it lies on disk."""

    out: tuple[Out, ...] = array(1, Out, OUT_MAX)
    latched: tuple[Latched, ...] | None = array(2, Latched, OUT_MAX, optional=True)


@dataclass(slots=True)
class CbsdBook:
    """Entries by device and grant; `path` None keeps nothing."""

    path: Path | None = None
    latched_for: dict[str, str] = field(default_factory=dict)
    """Devices heard on the air after their end, and what was heard, until an operator clears them."""
    _out: dict[tuple[str, str], Out] = field(default_factory=dict)
    _changed: bool = False

    def open(self) -> None:
        """Read what was given out before. Raises BookLost."""
        if self.path is None:
            return
        try:
            data = read_small(self.path, limit=LIMIT)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise BookLost(f"{self.path}: {exc.strerror}; the warden must be able to read what it gave out") from exc
        page = decode(Page, data, "book", limit=LIMIT)
        if isinstance(page, Refusal):
            raise BookLost(
                f"{self.path}: damaged ({page.reason.value}); wait until all it held has run out, then move it"
            )
        self._out = {(one.device, one.grant): one for one in page.out}
        self.latched_for = {one.device: one.detail for one in page.latched or ()}

    def note(self, out: Out) -> bool:
        """Note what is about to be told; False where the book is full. An earlier end never replaces a later one."""
        before = self._out.get((out.device, out.grant))
        if before is None and len(self._out) >= OUT_MAX:
            return False
        if before is not None and before.silent_by_ns > out.silent_by_ns:
            out = replace(out, transmit_until_ns=before.transmit_until_ns, silent_by_ns=before.silent_by_ns)
        self._out[out.device, out.grant] = out
        self._changed = True
        return True

    def returned(self, device: str, grants: list[str]) -> None:
        """A device says that it no longer uses these."""
        for grant in grants:
            out = self._out.get((device, grant))
            if out is not None:
                self._out[device, grant] = replace(out, returned=1)
                self._changed = True

    def latch(self, device: str, detail: str) -> bool:
        """A device was heard after its end; false where that is known, or there are too many to remember."""
        if device in self.latched_for or len(self.latched_for) >= OUT_MAX:
            return False
        self.latched_for = {**self.latched_for, device: cut(detail, 512)}
        self._changed = True
        return True

    def clear(self, device: str) -> bool:
        """An operator looked into it; false where nothing was heard of that device."""
        known = device in self.latched_for
        if known:
            self.latched_for = {name: detail for name, detail in self.latched_for.items() if name != device}
            self._changed = True
        return known

    def forget(self, now: TimeFix) -> None:
        """Drop what surely is over; without a trusted clock nothing is."""
        for key in [key for key, out in self._out.items() if now.after(out.silent_by_ns)]:
            del self._out[key]
            self._changed = True

    def keep(self) -> None:
        """Have it on disk, before anyone is told. Raises BookLost."""
        if self.path is None or not self._changed:
            return
        self._changed = False  # before it is read: what changes meanwhile is written the next time
        latched = tuple(Latched(device=device, detail=detail) for device, detail in self.latched_for.items())
        page = Page(out=tuple(self._out.values()), latched=latched or None)
        try:
            write_whole(self.path, encode(page, limit=LIMIT), mode=SECRET_MODE)
        except OSError as exc:
            self._changed = True
            raise BookLost(f"{self.path}: {exc.strerror}") from exc

    def under(self, sid: bytes, device: str = "", grant: str = "") -> Iterator[Out]:
        """What is out under a settlement beside one grant; what that device gave back does not count for it."""
        for out in self._out.values():
            if out.sid == sid and not (out.device == device and (out.returned or out.grant == grant)):
                yield out

    def all(self) -> list[Out]:
        """Everything that may still be used, by device."""
        return sorted(self._out.values(), key=lambda out: (out.device, out.grant))
