"""`bandpact watch`: one node's live state in the terminal, read from its feed; no page and no network needed."""

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import zmq.asyncio
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.widgets import DataTable, Footer, Static

from agent.node.livefeed import ROW_HEAD
from agent.page.live import NodeLive
from agent.page.plan import ServedNode
from agent.page.stopbutton import stop_node
from agent.watch import lines
from hw_profiles.printable import printable

REFRESH_S = 0.25
WIDE, TALL = 110, 36
"""Width in characters from which two tables stand side by side; height in lines from which the waterfall is full."""
FALL_LINES, FALL_S = 12, 0.5
STYLES = {"OPEN": "bold green", "ARMED": "bold yellow", "LATCHED": "bold red", "UNKNOWN": "bold reverse red"}
TABLES = {
    "market": ("State", "Who", "Band", "EIRP", "Left"),
    "channels": ("Channel", "Heard", "Occupancy 95 %", "Floor"),
    "neighbours": ("Neighbour", "Heard", "Its log", "Witnessed"),
    "events": ("UTC", "Event", "What"),
}


class WatchApp(App[int]):
    """The terminal application."""

    TITLE = "bandpact watch"
    CSS = """
    #head { height: 1; text-style: bold; }
    #why { height: auto; min-height: 6; max-height: 12; border: heavy $accent; padding: 0 1; }
    #said { height: auto; display: none; background: $error; color: $text; padding: 0 1; }
    #said.shown { display: block; }
    #panels { grid-size: 2; grid-rows: auto; height: auto; }
    #panels > * { height: auto; max-height: 14; border: round $primary; }
    #fall { height: 14; border: round $primary; }
    .-narrow #panels { grid-size: 1; }
    .-low #fall { height: 5; }
    .stale { opacity: 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "stop", "STOP", priority=True),
        Binding("q", "quit", "leave"),
        Binding("ctrl+c", "quit", "leave", show=False, priority=True),
        Binding("question_mark", "keys", "keys"),
    ]

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as textual declares them
    VERTICAL_BREAKPOINTS = [(0, "-low"), (TALL, "-tall")]  # noqa: RUF012

    def __init__(self, node: ServedNode, *, color: bool = True) -> None:
        super().__init__()
        self.live = NodeLive(node=node, history=False)
        self._color = color
        self._fall: deque[str] = deque(maxlen=FALL_LINES)
        self._row = b""
        self._zmq: zmq.asyncio.Context | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._levels = (60, 160)

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Static(id="head")
        yield Static(id="why")
        yield Static(id="said")
        with VerticalScroll(id="all"):
            yield Static(id="fall")
            with Grid(id="panels"):
                for name in ("market", "channels", "neighbours"):
                    yield DataTable[str](id=name, show_cursor=False)
                yield Static(id="node")
            yield DataTable[str](id="events", show_cursor=False)
        yield Footer()

    async def on_mount(self) -> None:
        """Start following the feed."""
        for name, columns in TABLES.items():
            self.query_one(f"#{name}", DataTable).add_columns(*columns)
        self._zmq = zmq.asyncio.Context(io_threads=1)
        self._begin(self.live.run(self._zmq))
        self._begin(self._follow_rows())
        # Ended by another process, the application leaves the terminal as it was found.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(REFRESH_S, partial(self._while_up, self.show))
        self.set_interval(FALL_S, partial(self._while_up, self._fall_on))

    def _while_up(self, draw: Callable[[], None]) -> None:
        """Draw, unless the screen is being closed: a timer may fire once more then."""
        if all(self.query(f"#{name}") for name in ("head", "why", "all", "node", "fall", *TABLES)):
            draw()

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_rows(self) -> None:
        with self.live.client(rows=True) as client:
            while True:
                _, body = await client.queue.get()
                codes = body[ROW_HEAD.size :]
                self._row = codes if len(codes) != len(self._row) else bytes(map(max, codes, self._row))

    async def on_unmount(self) -> None:
        """Stop following the feed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._zmq is not None:
            self._zmq.destroy(linger=0)

    # -- showing -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the state; an outdated one is marked."""
        snapshot = self.live.snapshot()
        stale = lines.is_stale(snapshot, 0)
        self.query_one("#head", Static).update(Text(lines.head_line(snapshot, stale=stale)))
        why = lines.why_lines(snapshot, stale=stale)
        state = "UNKNOWN" if stale else snapshot["silence"]["state"]
        style = STYLES.get(state, "bold") if self._color else "bold"
        self.query_one("#why", Static).update(
            Text.assemble((why[0], style), *(f"\n{printable(one)}" for one in why[1:]))
        )
        self.query_one("#all").set_class(stale, "stale")
        status = snapshot["status"]
        if status is None:
            return
        now_ns, mono_ns = snapshot["utc_ns"] or 0, snapshot["mono_ns"]
        self._fill("market", lines.market_rows(status, now_ns))
        self._fill("channels", lines.channel_rows(status))
        self._fill("neighbours", lines.neighbour_rows(status, mono_ns))
        self._fill("events", lines.event_rows(list(self.live.events), now_ns, mono_ns))
        self.query_one("#node", Static).update(Text("\n".join(lines.node_lines(snapshot))))

    def _fill(self, name: str, rows: list[lines.Row]) -> None:
        table = self.query_one(f"#{name}", DataTable)
        if getattr(table, "said", None) == rows:
            return
        table.said = rows  # type: ignore[attr-defined]
        table.clear()
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))

    def _fall_on(self) -> None:
        width = max(20, self.size.width - 4)
        if self._row:
            known = sorted(code for code in self._row if code)
            if known:
                self._levels = (known[len(known) // 10] - 4, max(known[-1], known[len(known) // 10] + 30))
            self._fall.appendleft(lines.fall_line(self._row, width, *self._levels))
            self._row = b""
        else:
            self._fall.appendleft("?" * width)
        self.query_one("#fall", Static).update(Text("\n".join(self._fall)))

    # -- doing ---------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        said = self.query_one("#said", Static)
        said.add_class("shown")
        said.update(Text(printable(text)))

    def action_keys(self) -> None:
        """List the keys."""
        self._say(
            "k: STOP, silence the radio now   q or Ctrl-C: leave   ?: these keys   arrows, PageUp, PageDown: scroll"
        )

    async def action_stop(self) -> None:
        """Mute the radio now, as `bandpact stop` does."""
        self._say("Stopping…")
        self._begin(self._stop())

    async def _stop(self) -> None:
        began = time.monotonic()
        found: dict[str, Any] = {"rf": "unknown", "why": "interrupted", "warden": {"latched": False, "why": ""}}
        with contextlib.suppress(OSError):
            found = await stop_node(self.live.node)
        words = {"off": "RF OFF, read back on a fresh connection", "on": "RF STILL ON: take its power away"}
        rf = words.get(found["rf"], f"RF UNKNOWN, treat as ON: take its power away ({found['why']})")
        warden = found["warden"]
        latched = "gate latched" if warden["latched"] else f"the warden did NOT answer: {warden['why']}"
        self._say(f"{rf}; {latched}; {time.monotonic() - began:.1f} s")
