"""The page's web application: static files, the reads of /api/v1, live streams of state and waterfall, the stop."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import zmq.asyncio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.history.rows import Row
from agent.history.store import BOXES, LENGTHS, NoHistory
from agent.history.windows import fitting, plain
from agent.page.codedrows import lane, spectra
from agent.page.connections import LEAVE
from agent.page.guard import RequestGuard, hosts_of
from agent.page.live import NodeLive
from agent.page.memory import given_back
from agent.page.openapi import document
from agent.page.plan import PagePlan
from agent.page.readings import Readings, TooMuchIsRead
from agent.page.stopbutton import stop_node
from agent.page.viewers import VIEWERS_MAX, Viewers
from agent.service.snapshot import dead
from agent.words.silence import GATE
from hw_profiles.printable import shown

FILES: Final = Path(__file__).parent / "static"
TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LISTS: Final = ("auctions", "approvals", "handovers", "disputes", "jurisdictions")
BODY_MAX: Final = 4096
ROWS_MAX: Final = 20_000
BEAT_S: Final = 0.5
BOXES_BACK_NS: Final = 120 * 10**9


class _Refused(Exception):
    """A request cannot be answered: HTTP status and reason."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


def _answer_refused(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, _Refused)  # noqa: S101 - registered for this class alone
    return JSONResponse({"error": exc.why}, status_code=exc.code)


def _nanoseconds(request: Request, name: str) -> int:
    given = request.query_params.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) <= 19 and int(given) < 1 << 63):
        raise _Refused(400, f"{name}: give UTC in ns since the Unix epoch")
    return int(given)


def _window(request: Request) -> tuple[int, int, str]:
    from_ns, to_ns = _nanoseconds(request, "from_ns"), _nanoseconds(request, "to_ns")
    step = request.query_params.get("step") or fitting(from_ns, to_ns)
    if step not in LENGTHS:
        raise _Refused(400, f"step: one of {', '.join(LENGTHS)}")
    if not 0 < to_ns - from_ns <= ROWS_MAX * LENGTHS[step]:
        raise _Refused(400, f"a window from 1 ns to {ROWS_MAX} rows of {step}")
    return from_ns, to_ns, step


class WebPage:
    """Handlers of the reads, the streams and the emergency stop, over all nodes served."""

    def __init__(self, plan: PagePlan, nodes: Mapping[str, NodeLive]) -> None:
        self.plan, self.nodes = plan, nodes
        self._stopping = {name: asyncio.Lock() for name in nodes}
        self._reading_events = asyncio.Lock()
        self.viewers = Viewers()
        self._readings = Readings()

    def _node(self, name: str | None) -> NodeLive:
        found = next(iter(self.nodes.values())) if not name else self.nodes.get(name)
        if found is None:
            raise _Refused(404, f"no such node; there are {', '.join(self.nodes)}")
        return found

    def _of(self, request: Request) -> NodeLive:
        return self._node(request.query_params.get("node"))

    def _now(self, request: Request) -> dict[str, Any]:
        """Return a node's state, for reads that carry no age: one that is out of date is refused, with why."""
        found = self._of(request).status
        gone = "the node has said nothing yet" if found is None else dead(found, time.monotonic_ns())
        if found is None or gone is not None:
            raise _Refused(503, f"nothing is known of now: {gone}; `/api/v1/status` has the last state")
        return found

    async def _rows(self, request: Request) -> list[Row]:
        from_ns, to_ns, step = _window(request)
        node = self._of(request)
        if node.store is None:
            return []
        try:
            return await self._readings.rows(node.node.name, node.store, step, from_ns, to_ns)
        except TooMuchIsRead:
            raise _Refused(503, "too much of the history is being read; ask again") from None
        except NoHistory as exc:
            raise _Refused(413, str(exc)) from None

    # -- reads ---------------------------------------------------------------------------------------------------

    async def names(self, _request: Request) -> Response:
        """Return the names of the nodes served."""
        return JSONResponse([{"name": name} for name in self.nodes])

    async def status(self, request: Request) -> Response:
        """Return what `bandpact status --json` prints."""
        return JSONResponse(self._of(request).status_fields())

    async def clock(self, request: Request) -> Response:
        """Return the node's clock: bound, budget and sources."""
        return JSONResponse(self._now(request)["clock"])

    async def cbsds(self, request: Request) -> Response:
        """Return what `bandpact cbsd status --json` prints; null where there are no base stations below the node."""
        return JSONResponse(self._of(request).stations)

    def listed(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that reads one list of the node's state, as the commands print it with --json."""

        async def read(request: Request) -> Response:
            return JSONResponse(self._now(request).get(name, []))

        return read

    async def silence(self, request: Request) -> Response:
        """Return why the radio is silent."""
        return JSONResponse(self._of(request).silence())

    async def reasons(self, _request: Request) -> Response:
        """Return what each reason of the gate means, and its remedy."""
        return JSONResponse(GATE)

    async def live(self, request: Request) -> Response:
        """Return the node's whole state."""
        node = self._of(request)
        return JSONResponse({**node.snapshot(), "events": list(node.events)})

    async def history(self, request: Request) -> Response:
        """Return what `bandpact history show --json` prints, with the values also as text for people."""
        from_ns, to_ns, step = _window(request)
        rows = await self._rows(request)
        told = [shown(plain(row)) for row in rows]
        return JSONResponse({"from_ns": from_ns, "to_ns": to_ns, "resolution": step, "rows": told})

    async def lanes(self, request: Request) -> Response:
        """Return the rows of the page's time lanes: those of /history in short form."""
        rows = await self._rows(request)
        return JSONResponse([shown(lane(row)) for row in rows])

    async def spectra(self, request: Request) -> Response:
        """Return the history's max-hold spectra of a window, binary."""
        rows = await self._rows(request)
        try:
            return Response(spectra(rows), media_type="application/octet-stream")
        except NoHistory as exc:
            raise _Refused(413, str(exc)) from None

    async def events(self, request: Request) -> Response:
        """Return the events of a window; those that draw boxes (settlements, offers) also from shortly before it."""
        from_ns, to_ns = _nanoseconds(request, "from_ns"), _nanoseconds(request, "to_ns")
        if not from_ns < to_ns:
            raise _Refused(400, "from_ns must be before to_ns")
        store = self._of(request).store
        if store is None:
            return JSONResponse([])
        async with self._reading_events:  # one read at a time: each may return all events kept
            table = await asyncio.to_thread(store.events, max(0, from_ns - BOXES_BACK_NS), to_ns, ROWS_MAX)
        listed = [one for one in table.to_pylist() if one["at_ns"] >= from_ns or one["event"] == BOXES]
        return JSONResponse([found for found in map(_event, listed) if found is not None])

    async def openapi(self, _request: Request) -> Response:
        """Return the OpenAPI description of /api/v1."""
        return JSONResponse(document(self.plan.origin))

    # -- streams -------------------------------------------------------------------------------------------------

    async def stream(self, request: Request) -> Response:
        """Stream state, gate and events as server-sent events."""
        node = self._of(request)
        if not self.viewers.has_room():
            raise _Refused(503, f"{VIEWERS_MAX} pages were just opened; close one of them, or ask again")
        return StreamingResponse(self._told(node, request), media_type="text/event-stream")

    async def _told(self, node: NodeLive, request: Request) -> AsyncIterator[str]:
        with self.viewers.place(*_viewer(request)), node.client(rows=False) as client:
            yield f"retry: 500\nevent: state\ndata: {json.dumps(node.snapshot())}\n\n"
            while not await request.is_disconnected():
                try:
                    kind, body = await asyncio.wait_for(client.queue.get(), BEAT_S)
                    yield f"event: {kind}\ndata: {body}\n\n"
                except TimeoutError:
                    age = node.snapshot()["age_ms"]
                    yield f"event: beat\ndata: {json.dumps({'age_ms': age, 'silence': node.silence()})}\n\n"

    async def waterfall(self, socket: WebSocket) -> None:
        """Stream waterfall rows over a WebSocket as they are sensed, binary; of the client only its closing is read."""
        try:
            node = self._node(socket.query_params.get("node"))
        except _Refused as exc:
            await socket.close(1008, exc.why)
            return
        if not self.viewers.has_room():
            await socket.close(1013, "too many pages were just opened")
            return
        await socket.accept()
        try:
            with self.viewers.place(*_viewer(socket)), node.client(rows=True) as client:
                gone = asyncio.create_task(_until_gone(socket))
                try:
                    while not gone.done():
                        waits = asyncio.create_task(client.queue.get())
                        await asyncio.wait({waits, gone}, return_when=asyncio.FIRST_COMPLETED)
                        if not waits.done():
                            waits.cancel()
                            break
                        await socket.send_bytes(waits.result()[1])
                finally:
                    gone.cancel()
        except (WebSocketDisconnect, RuntimeError):
            return

    # -- the only change ------------------------------------------------------------------------------------------

    async def stop(self, request: Request) -> Response:
        """Mute the node's radio (emergency stop)."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise _Refused(415, "send application/json")
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > BODY_MAX:
                    raise _Refused(413, f"at most {BODY_MAX} bytes")
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            raise _Refused(400, "not JSON") from None
        name = asked.get("node") if isinstance(asked, dict) else 0
        if not isinstance(asked, dict) or set(asked) - {"node"} or not isinstance(name, str | None):
            raise _Refused(400, 'send {"node": NAME} or {}')
        node = self._node(name)
        return JSONResponse(await stop_node(node.node, self._stopping[node.node.name]))


def _event(kept: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an event as it was published; None for one in another form."""
    try:
        fields = json.loads(kept["fields"])
        told = {**fields, "at_ns": kept["at_ns"], "event": kept["event"]} if isinstance(fields, dict) else None
        return None if told is None else shown(told)
    except (ValueError, RecursionError):  # what parses may still be nested too deep to be written as JSON
        return None


def _viewer(connection: HTTPConnection) -> tuple[str, Callable[[], None]]:
    """Return a viewer's address, and a function that ends the connection."""
    leave: Callable[[], None] = connection.scope.get("state", {}).get(LEAVE, lambda: None)
    return connection.client.host if connection.client is not None else "", leave


async def _until_gone(socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect" or message.get("bytes") or message.get("text"):
            return  # the client sent a message, which no client of ours does


async def _file(request: Request) -> Response:
    """Return one of the page's own static files; no other file is served."""
    name = request.path_params.get("name", "index.html")
    path = FILES / name
    if "/" in name or path.suffix not in TYPES or name.startswith(".") or not path.is_file():
        raise _Refused(404, "no such file")
    return FileResponse(path, media_type=f"{TYPES[path.suffix]}; charset=utf-8")


async def _absent(_request: Request, _exc: Exception) -> Response:
    return JSONResponse({"error": "nothing is here; see /api/v1/openapi.json"}, status_code=404)


async def _other_method(_request: Request, exc: Exception) -> Response:
    allowed = getattr(exc, "headers", None) or {}
    return JSONResponse({"error": "this path takes another method"}, status_code=405, headers=allowed)


def app_of(plan: PagePlan, nodes: Mapping[str, NodeLive], token: str) -> Starlette:
    """Build the web application; it follows the nodes' feeds while it runs."""
    page = WebPage(plan, nodes)

    @asynccontextmanager
    async def living(_app: Starlette) -> AsyncIterator[None]:
        context = zmq.asyncio.Context(io_threads=1)
        tasks = [asyncio.create_task(node.run(context)) for node in nodes.values()]
        tasks.append(asyncio.create_task(given_back()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            context.destroy(linger=0)

    routes = [
        Route("/", _file),
        Route("/static/{name}", _file),
        Route("/api/v1/nodes", page.names),
        Route("/api/v1/status", page.status),
        Route("/api/v1/clock", page.clock),
        *(Route(f"/api/v1/{name}", page.listed(name)) for name in LISTS),
        Route("/api/v1/cbsds", page.cbsds),
        Route("/api/v1/silence", page.silence),
        Route("/api/v1/reasons", page.reasons),
        Route("/api/v1/live", page.live),
        Route("/api/v1/history", page.history),
        Route("/api/v1/lanes", page.lanes),
        Route("/api/v1/spectra", page.spectra),
        Route("/api/v1/events", page.events),
        Route("/api/v1/stream", page.stream),
        Route("/api/v1/openapi.json", page.openapi),
        Route("/api/v1/stop", page.stop, methods=["POST"]),
        WebSocketRoute("/api/v1/waterfall", page.waterfall),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(RequestGuard, hosts=hosts_of(plan.host, plan.port), token=token)],
        exception_handlers={_Refused: _answer_refused, 404: _absent, 405: _other_method},
        lifespan=living,
    )
