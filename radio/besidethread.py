"""Starts a daemon thread beside a loop; where the host refuses a new thread, the loop goes on without it."""

import threading
from collections.abc import Callable


def started(work: Callable[[], None], name: str) -> threading.Thread | None:
    """Start a daemon thread that runs `work`; None where the host gives no thread now (`ulimit -u`): retry later."""
    made = threading.Thread(target=work, name=name, daemon=True)
    try:
        made.start()
    except RuntimeError:
        return None
    return made
