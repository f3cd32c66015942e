"""What wakes the warden's loop out of its wait: a counter of the kernel (eventfd(2)) that any thread may raise."""

import contextlib
import os


class Rouser:
    """Called, it ends the wait of whoever waits for `fileno` to be readable; `heed` lowers it again."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._raised = False

    def __call__(self) -> None:
        """Wake the loop, now or as soon as it waits. From any thread; does nothing once closed."""
        self._raised = True
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._fd, 1)
        # Again, for a `heed` that came before the counter was raised.
        self._raised = True

    def fileno(self) -> int:
        """What to wait for; -1 once closed."""
        return self._fd

    def heed(self) -> None:
        """Forget what was raised so far: the loop looks at everything now."""
        if not self._raised:
            return
        self._raised = False
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        """Let go of the counter."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def unheard() -> None:
    """Where nobody waits to be woken."""
