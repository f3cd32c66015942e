"""The local socket between the SAS endpoint process and the warden: one CBOR message a request, one a response.

The socket has mode 0600 and the kernel says who knocks, as at the operator's door. A thread of the door takes
questions in and, once the warden has answered one between two turns of its loop, writes the book and only then
speaks: neither the network nor the disk holds up a gate, and nothing is told that is not on disk. Whatever goes
wrong, nothing is given.
"""

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import cbor2

from hw_profiles.leftover import clear_away
from radio.cbrs.book import BookLost
from radio.cbrs.messages import EIRP_HIGH_DBM, EIRP_LOW_DBM, HZ_MAX
from radio.cbrs.permission import Answer, Ask, Given, Room, Spot, Withheld
from radio.operator import may_knock
from radio.wakeup import Rouser

MESSAGE_MAX = 200 * 1024
WAIT_S = 5.0
PAUSE_S = 0.2
CONNECTIONS_MAX = 8
DEVICE_MAX, GRANT_MAX = 128, 64
"""Longest device name and grant id, bytes, as the book stores them."""
RADIUS_MAX_MM = 100_000_000
Question = dict[str, Any]


_DECLARED: dict[str, dict[str, Any]] = {
    one.__name__: {f.name: f.type for f in fields(one)} for one in (Ask, Given, Room, Spot, Withheld)
}


def _declared(cls: type[Any]) -> dict[str, Any]:
    return _DECLARED[cls.__name__]


def _fits(cls: type[Any], value: object) -> bool:
    """Whether a decoded CBOR map has exactly the fields of a flat dataclass, each of its type."""
    declared = _declared(cls)
    if not isinstance(value, dict) or value.keys() != declared.keys():
        return False
    return all(kind is type(value[name]) or kind is Spot for name, kind in declared.items())


def flat(one: Any) -> dict[str, Any]:
    """A flat dataclass as a map for CBOR, places included."""
    made = {name: getattr(one, name) for name in _declared(type(one))}
    return made if "spot" not in made else {**made, "spot": flat(made["spot"])}


def ask_of(value: object) -> Ask | None:
    """Decode an ask; None where the value is not an ask, or has names and numbers that no base station can have."""
    if not _fits(Ask, value) or not isinstance(value, dict):
        return None
    spot = spot_of(value["spot"])
    if spot is None:
        return None
    ask = Ask(**{**value, "spot": spot})
    named = 0 < len(ask.device.encode("utf-8", "replace")) <= DEVICE_MAX
    named = named and 0 < len(ask.grant.encode("utf-8", "replace")) <= GRANT_MAX
    dense = 1000 * EIRP_LOW_DBM <= ask.density_mdbm_per_mhz <= 1000 * EIRP_HIGH_DBM
    return ask if named and dense and 0 <= ask.low_hz < ask.high_hz <= HZ_MAX else None


def spot_of(value: object) -> Spot | None:
    """Decode a place; None where the value is not a place on Earth."""
    if not _fits(Spot, value) or not isinstance(value, dict):
        return None
    spot = Spot(**value)
    there = abs(spot.lat_e7) <= 90 * 10**7 and abs(spot.lon_e7) <= 180 * 10**7
    return spot if there and 0 <= spot.radius_mm <= RADIUS_MAX_MM else None


def answer_of(value: object) -> Answer:
    """Decode an answer; an unreadable one gives nothing."""
    if isinstance(value, dict) and _fits(Given, value):
        return Given(**value)
    if isinstance(value, dict) and _fits(Withheld, value):
        return Withheld(**value)
    return Withheld(reason="FAULT", detail="the warden's answer cannot be read", over=False)


def _drop(of: "queue.Queue[Any]") -> None:
    """Empty a queue that holds at most one item."""
    with contextlib.suppress(queue.Empty):
        of.get_nowait()


class CbsdDoor:
    """The warden's end of the socket. `turn` answers the request that waits; `keep` runs before a response leaves."""

    def __init__(self, path: Path, keep: Callable[[], None], *, wait_s: float = WAIT_S) -> None:
        """Open the socket; a request that the warden does not answer within `wait_s` times out. Raises OSError."""
        self._path, self._keep, self._wait_s = path, keep, wait_s
        self._asked: queue.Queue[tuple[int, Question]] = queue.Queue(1)
        self._answered: queue.Queue[tuple[int, Any]] = queue.Queue(1)
        self._number = self._awaited = 0
        """Numbers of the last request, and of the request whose response is awaited; 0 where there is none."""
        self._ended, self._one, self._unkept = threading.Event(), threading.Lock(), threading.Event()
        self._hearing = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._bell = Rouser()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(2)
        self._socket.settimeout(PAUSE_S)
        self._thread = threading.Thread(target=self._serve, name="cbsd door", daemon=True)
        self._thread.start()

    @property
    def bell(self) -> int:
        """A file descriptor, readable while a request waits, for the warden's poll; -1 once closed."""
        return self._bell.fileno()

    @property
    def waiting(self) -> bool:
        """Whether a request waits for the warden."""
        return not self._asked.empty()

    def turn(self, handle: Callable[[Question], Any]) -> None:
        """Answer the waiting request, if there is one; called between two turns of the warden's loop."""
        self._bell.heed()
        with contextlib.suppress(queue.Empty):
            number, question = self._asked.get_nowait()
            if number == self._awaited:  # else the request has timed out, and nothing is sent
                answer = handle(question)
                _drop(self._answered)
                self._answered.put((number, answer))

    def keep_soon(self) -> None:
        """Have changes that came without a request written to disk soon, on the socket's own thread."""
        self._unkept.set()

    def _keep_unasked(self) -> None:
        if self._unkept.is_set():
            self._unkept.clear()
            try:
                with self._one:
                    self._keep()
            except BookLost:
                self._unkept.set()

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._keep_unasked()
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:  # no file descriptor is free: the client connects again
                self._ended.wait(PAUSE_S)
                continue
            if may_knock(connection) and self._hearing.acquire(blocking=False):
                connection.settimeout(PAUSE_S)
                try:
                    threading.Thread(target=self._attend, args=(connection,), daemon=True).start()
                except RuntimeError:  # no thread can be started: the client asks again
                    self._hearing.release()
                    connection.close()
            else:
                connection.close()

    def _attend(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._hear(connection)
        finally:
            self._hearing.release()

    def _hear(self, connection: socket.socket) -> None:
        while not self._ended.is_set():
            try:
                data = connection.recv(MESSAGE_MAX)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            try:
                with self._one:
                    answer = self._asking(data)
                    self._keep()
                connection.send(cbor2.dumps(answer))
            except (OSError, queue.Empty, queue.Full, BookLost):
                return

    def _asking(self, data: bytes) -> Any:
        try:
            question = cbor2.loads(data)
        except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError):
            return None
        if not isinstance(question, dict):
            return None
        # Neither a timed-out request nor its late response may be taken for the request that waits now.
        _drop(self._asked)
        self._number += 1
        self._awaited = self._number
        try:
            self._asked.put((self._number, question), timeout=self._wait_s)
            self._bell()
            end = time.monotonic() + self._wait_s
            while True:
                number, answer = self._answered.get(timeout=max(0.0, end - time.monotonic()))
                if number == self._number:
                    return answer
        finally:
            self._awaited = 0

    def close(self) -> None:
        """Close the socket and stop its thread."""
        self._ended.set()
        self._socket.close()
        self._thread.join(2.0)
        if self._unkept.is_set():
            with contextlib.suppress(BookLost):
                self._keep()
        clear_away(self._path)
        self._bell.close()


class WardenGiver:
    """The endpoint's end: a `Giver` that asks the warden. Where no warden answers, nothing is given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    def _ask(self, question: Question) -> Any:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    self._connection.settimeout(WAIT_S)
                    self._connection.connect(str(self._path))
                self._connection.send(cbor2.dumps(question))
                data = self._connection.recv(MESSAGE_MAX)
                if data:
                    return cbor2.loads(data)
            except (OSError, cbor2.CBORDecodeError, ValueError):
                pass
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return None

    def give(self, asks: list[Ask]) -> list[Answer]:
        """Send the asks to the warden; each is withheld where no response comes."""
        answer = self._ask({"op": "give", "asks": [flat(one) for one in asks]})
        if not isinstance(answer, list) or len(answer) != len(asks):
            return [Withheld(reason="FAULT", detail="no warden answers", over=False) for _ in asks]
        return [answer_of(one) for one in answer]

    def room(self, device: str, spot: Spot) -> list[Room]:
        """The bands that the warden would grant that device."""
        answer = self._ask({"op": "room", "device": device, "spot": flat(spot)})
        found = answer if isinstance(answer, list) else []
        return [Room(**one) for one in found if isinstance(one, dict) and _fits(Room, one)]

    def registered(self, device: str, item: dict[str, Any]) -> None:
        """Tell the warden of a registration, with the base station's request."""
        self._ask({"op": "registered", "device": device, "item": item})

    def returned(self, device: str, grants: list[str]) -> None:
        """Tell the warden which grants a device gave back."""
        self._ask({"op": "returned", "device": device, "grants": grants})

    def now_ns(self) -> int | None:
        """The warden's UTC, the clock's latest bound; None where its clock is not trusted or it does not answer."""
        answer = self._ask({"op": "now"})
        return answer if type(answer) is int else None

    def status(self) -> dict[str, Any] | None:
        """The grants given out by this warden, for people; None where it does not answer."""
        answer = self._ask({"op": "status"})
        return answer if isinstance(answer, dict) else None

    def close(self) -> None:
        """Close the connection to the warden."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
