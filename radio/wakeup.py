"""Wakes the warden's loop from its wait: a kernel counter (eventfd(2)) that any thread may raise."""

import contextlib
import os


class Rouser:
    """Wakes the loop: calling it makes `fileno` readable, which ends the wait; `heed` resets it."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._raised = False

    def __call__(self) -> None:
        """Wake the loop, now or as soon as it waits. From any thread; does nothing once closed."""
        self._raised = True
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._fd, 1)
        # Checked again, for a `heed` that ran before the counter was raised.
        self._raised = True

    def fileno(self) -> int:
        """The file descriptor to wait for; -1 once closed."""
        return self._fd

    def heed(self) -> None:
        """Reset the counter: the loop is about to look at everything."""
        if not self._raised:
            return
        self._raised = False
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        """Close the counter."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def unheard() -> None:
    """Do nothing: for a loop that is not woken."""
