"""The incumbents' calendar as a file: read again, in its own thread, whenever the file changes.

The newest calendar ever accepted is kept beside the warden's state: an older one is refused, after a restart too, and
if the file is deleted the kept one stays in force. To replace it by a calendar of another name for good, delete what
is kept. A fault of the file is reported on standard error, once.
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
    """The kept calendar cannot be read: without it an older one could replace it."""


class CalendarFile:
    """The newest valid calendar of a file. An unreadable or older one only sets `fault`."""

    def __init__(self, section: CalendarSection, kept: Path) -> None:
        """Read the kept calendar, then the file. Raises CalendarLost."""
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
        return None if isinstance(found, Refusal) else found  # it is signed by keys that are not accepted any more

    def current(self) -> Calendar | None:
        """The calendar in force."""
        return self._current

    def look(self) -> None:
        """Read the file if it has changed."""
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
        self._current = read  # what it closes is closed at once; once kept, it is not read again
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
        """Stop watching the file."""
        self._ended.set()
        self._thread.join(5)
