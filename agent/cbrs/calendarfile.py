"""The incumbents' calendar as a file that somebody replaces: read again when it changed, from a thread of its own.

The newest that was ever taken is kept beside the warden's own state: an older one that is put back is refused after a
restart too, and one that was taken away goes on to hold. Whoever gives another calendar for good, by another name,
removes what is kept. What is wrong with the file is said on standard error, once.
"""

import sys
import threading
from pathlib import Path

from agent.config.cbrs import CalendarSection
from hw_profiles.printable import printable
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, write_whole
from radio.cbrs.calendar import LIMIT, Calendar, open_calendar
from settlement.core.reasons import Refusal

LOOK_S = 2.0


class CalendarLost(Exception):
    """The calendar kept before cannot be read: without it an older one could be put back."""


class CalendarFile:
    """The newest good calendar of a file. One that cannot be read, or is older, changes nothing but `fault`."""

    def __init__(self, section: CalendarSection, kept: Path) -> None:
        """Read what was kept, then the file. Raises CalendarLost."""
        self._path, self._kept = section.file, kept
        self._keys = [bytes.fromhex(key) for key in section.keys]
        self._current = self._before()
        self._stamp: tuple[int, int, int] | None = None
        self.fault: str | None = None
        self._ended = threading.Event()
        self.look()
        self._thread = threading.Thread(target=self._watch, name="calendar", daemon=True)
        self._thread.start()

    def _before(self) -> Calendar | None:
        try:
            found = open_calendar(read_small(self._kept, limit=LIMIT), self._keys)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise CalendarLost(f"{self._kept}: {exc.strerror}; the warden must be able to read what it kept") from exc
        return None if isinstance(found, Refusal) else found  # by keys that do not count any more

    def current(self) -> Calendar | None:
        """The calendar to go by."""
        return self._current

    def look(self) -> None:
        """Read the file where it changed."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            data = read_small(self._path, limit=LIMIT)
        except OSError as exc:
            self._wrong(f"{self._path}: {exc.strerror}")
            return
        read = open_calendar(data, self._keys, before=self._current)
        if isinstance(read, Refusal):
            self._stamp = stamp
            self._wrong(f"{self._path}: {read}")
            return
        self._current = read  # what closes counts at once; kept before it is not read again
        try:
            write_whole(self._kept, data, mode=SECRET_MODE)
        except OSError as exc:
            self._wrong(f"{self._kept}: {exc.strerror}; the calendar would be forgotten with a restart")
            return
        self._stamp, self.fault = stamp, None

    def _wrong(self, why: str) -> None:
        if why != self.fault:
            self.fault = why
            sys.stderr.write(f"calendar: {printable(why)}\n")

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            try:
                self.look()
            except Exception as exc:  # noqa: BLE001 - a calendar that is not looked at any more is one nobody goes by
                self._wrong(f"{self._path}: a defect: {exc!r}"[:256])

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join(5)
