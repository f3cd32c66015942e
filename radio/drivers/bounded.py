"""Calls into a device's library with a timeout: a call that hangs cannot be ended, so its thread is abandoned."""

import threading
from collections.abc import Callable
from typing import TypeVar

from radio.errors import Disconnected

_T = TypeVar("_T")


def bounded(work: Callable[[], _T], *, seconds: float, what: str) -> _T:
    """Run `work`, which may hang in the library; raises Disconnected after `seconds`, else what `work` raised.

    What hangs is left behind in its thread, which the library's own limits end. A host that gives no thread for it
    (`ulimit -u`) is one whose device cannot be reached: Disconnected too.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as exc:  # noqa: BLE001 - handed to the caller, who waits for it
            failed.append(exc)

    thread = threading.Thread(target=run, name="device", daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:
        raise Disconnected(f"{what}: this host starts no thread to ask it by; raise the limit of processes") from exc
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise Disconnected(f"{what}: no answer in {seconds:g} s; is the device on and its cable in?")
    return done[0]
