"""Waiting for a device's library no longer than a limit: what hangs inside it cannot be ended, only left behind."""

import threading
from collections.abc import Callable
from typing import TypeVar

from radio.errors import Disconnected

_T = TypeVar("_T")


def bounded(work: Callable[[], _T], *, seconds: float, what: str) -> _T:
    """Do something that may hang inside the library; raises Disconnected when it takes too long, else what it raised.

    What hangs is left behind in its thread, which the library's own limits end.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as exc:  # noqa: BLE001 - handed to the caller, who waits for it
            failed.append(exc)

    thread = threading.Thread(target=run, name="device", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise Disconnected(f"{what}: no answer in {seconds:g} s; is the device on and its cable in?")
    return done[0]
