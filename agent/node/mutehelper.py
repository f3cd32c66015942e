"""The mute helper: a process of the warden's user that mutes the radio for any process that can open its socket.

Where only the warden's user can open the radio, an agent whose warden is gone or late cannot mute over its own
connection, so it asks the helper. The helper shares only the user with the warden: no process, connection or lock.
The socket accepts no other request than to mute: misusing it silences the node and does no more.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from hw_profiles.leftover import clear_away
from radio.ports import RfState

MUTE = "mute"
ANSWER_S = 5.0
POLL_S = 0.2
WAITING_MAX = 8
GROUP_ONLY = 0o117


class MuteHelper:
    """The helper's end of the socket: answers each connection with the readback after muting."""

    def __init__(self, path: Path, silence: Callable[[], RfState]) -> None:
        """Open the socket at `path` for its group; `silence` mutes the radio and reads back."""
        self._path, self._silence = path, silence
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)
        before = os.umask(GROUP_ONLY)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(WAITING_MAX)
        self._socket.settimeout(POLL_S)

    def serve(self, stop: threading.Event) -> None:
        """Answer connections until `stop` is set; a connection that sends nothing does not delay the next."""
        while not stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:  # no descriptor is left, or the client is gone: the next connection is answered
                stop.wait(POLL_S)
                continue
            with connection, contextlib.suppress(OSError):
                connection.send(self._muted().value.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _muted(self) -> RfState:
        try:
            return self._silence()
        except Exception:  # noqa: BLE001 - whatever fails beneath, the helper lives and is asked again
            return RfState.UNKNOWN

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        clear_away(self._path)


def ask_to_mute(path: Path, *, timeout_s: float = ANSWER_S) -> RfState:
    """Ask the helper to mute the radio; UNKNOWN where it does not answer in time, or not with a known state."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            return RfState(connection.recv(64).decode("ascii"))
    except (OSError, ValueError):
        return RfState.UNKNOWN
