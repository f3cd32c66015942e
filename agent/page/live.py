"""Follows one node's live feed: forwards it to the page's clients and keeps it as history."""

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2
import pyarrow as pa
import zmq
import zmq.asyncio

from agent.cbrs.shown import asked
from agent.history.rows import row_of
from agent.history.store import Store
from agent.history.windows import FOLDER
from agent.page.plan import ServedNode
from agent.service.snapshot import gate_now, problems
from agent.words.silence import before_it, silence
from hw_profiles.printable import shown

SOCKET: Final = "feed"
TOPICS: Final = (b"state", b"gate", b"event", b"second")
ROW: Final = b"row"
QUEUE: Final = 128
EVENTS_KEPT: Final = 400
WITHOUT: Final = frozenset({"NO_PERMIT", "RELINQUISHED", "EXPIRED", "PREEMPTED"})
"""Gate reasons that mean a missing settlement: with them the page shows how the last settlement ended."""
BOXES_NS: Final = 60_000_000_000
STATIONS_S: Final = 2.0
"""Interval in seconds of queries to the warden about base stations, where a node has any."""
LOG = logging.getLogger("bandpact.page")


@dataclass(slots=True, eq=False)
class Watching:
    """One client's queue of messages; when full, the oldest is dropped."""

    queue: asyncio.Queue[tuple[str, Any]] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    dropped: int = 0

    def put(self, kind: str, body: Any) -> None:
        """Queue a message, without blocking."""
        if self.queue.full():
            self.queue.get_nowait()
            self.dropped += 1
        self.queue.put_nowait((kind, body))


def boxes_of(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Return offers and settlements as boxes in time and frequency; those with a `unit` lie in no band."""
    offered = [
        {
            "kind": "offer",
            "id": one["offer"],
            "role": one["role"],
            "state": "OFFERED",
            "low_hz": one["low_hz"],
            "high_hz": one["high_hz"],
            "start_ns": one["start_ns"],
            "end_ns": one["end_ns"],
            "eirp_mdbm": one["eirp_mdbm"],
            "by": one["holder"],
            "unit": one.get("unit"),
        }
        for one in status.get("offers", ())
    ]
    settled = [
        {
            "kind": "settlement",
            "id": one["settlement"],
            "role": one["role"],
            "state": "SUSPENDED" if one["suspended_for"] else one["state"],
            "low_hz": one["low_hz"],
            "high_hz": one["high_hz"],
            "start_ns": one.get("window_start_ns"),
            "end_ns": one["window_end_ns"],
            "lease_until_ns": one["lease_until_ns"],
            "eirp_mdbm": one["eirp_mdbm"],
            "by": "",
            "unit": one.get("unit"),
        }
        for one in status.get("settlements", ())
    ]
    return offered + settled


def keep_event(events: deque[dict[str, Any]], event: dict[str, Any]) -> None:
    """Append an event, keeping EVENTS_KEPT: the oldest of the commonest name is dropped, so none is crowded out."""
    events.append(event)
    if len(events) > EVENTS_KEPT:
        (most, _), *_ = Counter(str(one.get("event")) for one in events).most_common(1)
        del events[next(number for number, one in enumerate(events) if str(one.get("event")) == most)]


@dataclass(slots=True)
class NodeLive:
    """The last state of a node, its clients, and its history."""

    node: ServedNode
    history: bool = True
    status: dict[str, Any] | None = None
    events: deque[dict[str, Any]] = field(default_factory=deque)
    watching: set[Watching] = field(default_factory=set)
    row_watching: set[Watching] = field(default_factory=set)
    store: Store | None = None
    fault: str | None = None
    rows: int = 0
    stations: dict[str, Any] | None = None
    """The warden's report on base stations below this node; None where there are none."""
    _socket: "zmq.asyncio.Socket | None" = None
    _boxes: str = ""
    _boxes_ns: int = 0

    # -- reading the feed ----------------------------------------------------------------------------------------

    async def run(self, context: "zmq.asyncio.Context") -> None:
        """Follow the node's feed until cancelled."""
        if self.history:
            self._open_store()
        self._socket = context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.RCVHWM, 512)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        for topic in TOPICS:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        if self.row_watching:
            self._socket.setsockopt(zmq.SUBSCRIBE, ROW)
        self._socket.connect(f"ipc://{self.node.run_folder / SOCKET}")
        asking = asyncio.create_task(self._ask_stations())
        try:
            while True:
                topic, body = await self._socket.recv_multipart()
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._take(topic, body)
        finally:
            asking.cancel()
            self._socket.close()
            self._keep(lambda store: store.close())

    async def _ask_stations(self) -> None:
        while True:
            try:
                self.stations = shown(await asyncio.to_thread(asked, self.node.run_folder))
            except (OSError, RuntimeError):  # no descriptor or thread is left to ask with: the last answer is stale
                self.stations = None
            await asyncio.sleep(STATIONS_S)

    def _take(self, topic: bytes, body: bytes) -> None:
        match topic:
            case b"row":
                self.rows += 1
                for one in self.row_watching:
                    one.put("row", body)
            case b"state":
                self._state(shown(json.loads(body)))
            case b"gate":
                gate = shown(json.loads(body))
                self._gate(gate)
                self._tell("gate", {**gate, "silence": self.silence()})
            case b"event":
                event = {**shown(json.loads(body)), "at_ns": time.time_ns()}
                keep_event(self.events, event)
                self._tell("event", event)
                self._keep(lambda store: store.happened(event["at_ns"], str(event["event"]), event))
            case b"second":
                row = row_of(cbor2.loads(body))
                self._keep(lambda store: store.add(row))
            case _:
                pass

    def _state(self, status: dict[str, Any]) -> None:
        self.status = status
        self._tell("state", self.snapshot())
        boxes = boxes_of(status)
        said = json.dumps(boxes, sort_keys=True)
        utc_ns = int(status.get("utc_ns", 0))
        if said != self._boxes or (boxes and utc_ns - self._boxes_ns >= BOXES_NS):
            self._boxes, self._boxes_ns = said, utc_ns
            self._keep(lambda store: store.happened(utc_ns, "boxes", {"boxes": boxes}))

    def _gate(self, change: dict[str, Any]) -> None:
        """Update the state, which is up to a second old, with the gate's latest change."""
        if self.status is None or change.get("asked"):
            return
        gate = dict(self.status.get("gate") or {})
        gate.update({key: change[key] for key in ("state", "reason", "clause", "measured", "required")})
        self.status = {**self.status, "gate": {**gate, "settlement": change["sid"], "mono_ns": change["told_ns"]}}

    # -- what clients are told -----------------------------------------------------------------------------------

    def _tell(self, kind: str, body: Any) -> None:
        if not self.watching:
            return
        text = json.dumps(body)
        for one in self.watching:
            one.put(kind, text)

    def silence(self) -> dict[str, Any]:
        """Return why the radio is silent, as far as it is known now."""
        if self.status is None:
            return {**silence("UNKNOWN", None, "the agent has not said anything since this page began"), "before": ""}
        state, why = gate_now(self.status, time.monotonic_ns())
        said = silence(state, self.status.get("gate"), why)
        return {**said, "before": "", **(before_it(self.events) if said["reason"] in WITHOUT else {})}

    def status_fields(self) -> dict[str, Any]:
        """Return what `bandpact status --json` prints."""
        now_ns, found = time.monotonic_ns(), self.status
        wrong = problems(found)
        gate = None if found is None else dict(zip(("state", "reason"), gate_now(found, now_ns), strict=True))
        return {"ready": not wrong, "problems": wrong, "gate": gate, "status": found, "base_stations": self.stations}

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state for a client, with its age."""
        found, now_ns = self.status, time.monotonic_ns()
        return {
            **self.status_fields(),
            "silence": self.silence(),
            "boxes": [] if found is None else boxes_of(found),
            "utc_ns": None if found is None else found.get("utc_ns"),
            "mono_ns": now_ns,
            "age_ms": None if found is None else max(0, now_ns - int(found["mono_ns"])) // 1_000_000,
            "history_fault": self.fault,
        }

    @contextlib.contextmanager
    def client(self, *, rows: bool) -> Any:
        """Register a client while the context lasts; waterfall rows are made only while a client wants them."""
        one, group = Watching(), self.row_watching if rows else self.watching
        if rows and not group and self._socket is not None:
            self._socket.setsockopt(zmq.SUBSCRIBE, ROW)
        group.add(one)
        try:
            yield one
        finally:
            group.discard(one)
            if rows and not group and self._socket is not None and not self._socket.closed:
                self._socket.setsockopt(zmq.UNSUBSCRIBE, ROW)

    # -- history -------------------------------------------------------------------------------------------------

    def _open_store(self) -> None:
        store = Store(folder=self.node.folder / FOLDER)
        try:
            store.open()
        except (OSError, ValueError, pa.ArrowException) as exc:
            self.fault = f"no history is kept: {getattr(exc, 'strerror', None) or exc}"
            LOG.warning("%s", self.fault)
            return
        self.store = store

    def _keep(self, act: Any) -> None:
        """Write to the history; where the disk fails, only history is lost, and that is reported."""
        if self.store is None:
            return
        try:
            act(self.store)
            self.fault = None
        except (OSError, pa.ArrowException) as exc:
            self.fault = f"the history is not written: {getattr(exc, 'strerror', None) or exc}"
