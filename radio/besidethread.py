"""A thread beside a loop, started once there is something for it to do; where the host gives none the loop goes on."""

import threading
from collections.abc import Callable


def started(work: Callable[[], None], name: str) -> threading.Thread | None:
    """A daemon thread that does the work; None where no thread is to be had now (`ulimit -u`): try again later."""
    made = threading.Thread(target=work, name=name, daemon=True)
    try:
        made.start()
    except RuntimeError:
        return None
    return made
