"""The incumbents' calendar as a file that somebody replaces: read again when it changed, from a thread of its own."""

import threading
from pathlib import Path

from agent.config.cbrs import CalendarSection
from hw_profiles.smallfile import read_small
from radio.cbrs.calendar import LIMIT, Calendar, open_calendar
from settlement.core.reasons import Refusal

LOOK_S = 2.0


class CalendarFile:
    """The newest good calendar of a file. One that cannot be read, or is older, changes nothing but `fault`."""

    def __init__(self, section: CalendarSection) -> None:
        self._path: Path = section.file
        self._keys = [bytes.fromhex(key) for key in section.keys]
        self._current: Calendar | None = None
        self._stamp: tuple[int, int] | None = None
        self.fault: str | None = None
        self._ended = threading.Event()
        self.look()
        self._thread = threading.Thread(target=self._watch, name="calendar", daemon=True)
        self._thread.start()

    def current(self) -> Calendar | None:
        """The calendar to go by."""
        return self._current

    def look(self) -> None:
        """Read the file where it changed."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return
            data = read_small(self._path, limit=LIMIT)
        except OSError as exc:
            self.fault = f"{self._path}: {exc.strerror}"
            return
        self._stamp = stamp
        read = open_calendar(data, self._keys, before=self._current)
        if isinstance(read, Refusal):
            self.fault = f"{self._path}: {read}"
        else:
            self._current, self.fault = read, None

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join(5)
