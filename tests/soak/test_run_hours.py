"""Three nodes by `bandpact run`, each with its page open and scraped, for hours: memory and processor time over time.

BANDPACT_HOURS_S sets for how long (7200), BANDPACT_HOURS_OUT where a line of JSON goes for each minute and process.
One node holds a settlement of four minutes out of every five, one grants it, one only listens.
"""

import contextlib
import json
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from agent.bench.node import ProcessUse
from agent.node.survivor import PROCESS_NAME
from agent.trial.folder import Layout, prepare
from agent.trial.processes import Child, free_ports, serve, stop
from agent.trial.run import Options, await_ready, scenario_of, start_air
from agent.trial.spec import Want

LENGTH_S = float(os.environ.get("BANDPACT_HOURS_S", "7200"))
OUT = os.environ.get("BANDPACT_HOURS_OUT")
NODES = ("holder", "user-a", "user-b")
LISTENS = "user-b"
EVERY_S = min(60.0, LENGTH_S / 12)
SCRAPE_S = 15.0
ROUND_S, HELD_S = 300.0, 240.0
GROWTH_MB = 10.0
"""Between the second quarter of the run and the last: what a process may have more resident."""
PARTS = {"agent.cli.main": "agent", "warden_process": "warden", "mutehelper": "mute helper", "page.process": "page"}


def laid_out(root: Path) -> Layout:
    options = Options(scenario="neighbours", seed=7, duration_s=LENGTH_S + 900, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    first = next(want for want in spec.wants if want.node == "user-a")
    wants: list[Want] = []
    at_s = 15.0
    while at_s + HELD_S < length_s:
        change = {"ask_s": at_s, "start_s": at_s + 5, "end_s": at_s + HELD_S}
        wants.append(first.model_copy(update=change))
        at_s += ROUND_S
    spec = spec.model_copy(update={"wants": wants, "duration_s": length_s})
    # The radar is there for a minute of each run, not for the rest of it.
    emitters = tuple(replace(one, start_s=LENGTH_S / 3, stop_s=LENGTH_S / 3 + 60) for one in scenario.emitters)
    scenario = replace(scenario, emitters=emitters)
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=7, duration_s=length_s, ports=ports)


def descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))


def part_of(pid: int) -> str:
    if Path(f"/proc/{pid}/comm").read_text().strip() == PROCESS_NAME:
        return "survivor"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return next((name for mark, name in PARTS.items() if mark in words), words[:60])


class Readers:
    """Whoever looks on: for each node a page that follows state and rows, and a scraper of its metrics."""

    def __init__(self, ports: dict[str, tuple[int, int]], ends: threading.Event) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.ends = ends
        works = [
            (work, health, page) for health, page in ports.values() for work in (self.scrape, self.state, self.rows)
        ]
        self.threads = [threading.Thread(target=work, args=(health, page)) for work, health, page in works]
        for one in self.threads:
            one.start()

    def scrape(self, health: int, _page: int) -> None:
        while not self.ends.wait(SCRAPE_S):
            with contextlib.suppress(httpx.HTTPError):
                found = httpx.get(f"http://127.0.0.1:{health}/metrics", timeout=20)
                self.counts["scrapes" if found.status_code == 200 else "failed scrapes"] += 1

    def state(self, _health: int, page: int) -> None:
        while not self.ends.is_set():
            with (
                contextlib.suppress(httpx.HTTPError),
                httpx.stream("GET", f"http://127.0.0.1:{page}/api/v1/stream", timeout=60) as told,
            ):
                self.counts["streams"] += 1
                for line in told.iter_lines():
                    self.counts["states"] += line.startswith("event: state")
                    if self.ends.is_set():
                        return

    def rows(self, _health: int, page: int) -> None:
        while not self.ends.is_set():
            with (
                contextlib.suppress(WebSocketException, OSError),
                connect(f"ws://127.0.0.1:{page}/api/v1/waterfall", max_size=1 << 20, compression=None) as rows,
            ):
                self.counts["waterfalls"] += 1
                while not self.ends.is_set():
                    rows.recv(timeout=60)
                    self.counts["rows"] += 1


@pytest.mark.timeout(2 * LENGTH_S + 600)
@pytest.mark.feature("R9")
def test_three_nodes_with_pages_and_scrapers_take_no_more_as_hours_go_by() -> None:
    held: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="h", dir="/tmp") as folder:
        layout, ends = laid_out(Path(folder)), threading.Event()
        free = free_ports(2 * len(NODES), None)
        ports = {name: (free[2 * n], free[2 * n + 1]) for n, name in enumerate(NODES)}
        nodes = [
            serve(name, layout.config_of(name), layout.root, health_port=health, page_port=page)
            for name, (health, page) in ports.items()
        ]
        air: list[Child] = []
        readers = None
        try:
            await_ready(layout, nodes)
            air.append(start_air(layout)[0])
            began_s = time.monotonic()
            readers = Readers(ports, ends)
            while (now_s := time.monotonic() - began_s) < LENGTH_S:
                assert not [one for child in [*nodes, *air] if (one := child.failed())]
                for child in nodes:
                    for pid in descendants(child.process.pid):
                        with contextlib.suppress(OSError):
                            use = ProcessUse.of(pid)
                            held[child.name, part_of(pid)].append((now_s, use.memory_mb, use.cpu_s))
                if OUT:
                    said = {"s": round(now_s), "counts": dict(readers.counts), "load": os.getloadavg()[0],
                            "mb": {" ".join(key): rows[-1][1] for key, rows in held.items()},
                            "cpu_s": {" ".join(key): rows[-1][2] for key, rows in held.items()}}  # fmt: skip
                    with Path(OUT).open("a") as out:
                        out.write(json.dumps(said) + "\n")
                time.sleep(EVERY_S)
            log_bytes = {name: (layout.root / name / "lineage.db").stat().st_size for name in NODES
                         if (layout.root / name / "lineage.db").is_file()}  # fmt: skip
        finally:
            ends.set()
            for one in readers.threads if readers is not None else []:
                one.join(70)
            stop([*nodes, *air])
    assert readers is not None
    print(f"\n{LENGTH_S:.0f} s; {dict(readers.counts)}; logs {log_bytes}")
    assert min(readers.counts[name] for name in ("scrapes", "states", "rows")) > 0
    grown = {key: figures(key, rows) for key, rows in held.items()}
    assert readers.counts["streams"] == readers.counts["waterfalls"] == len(NODES), "a page went away"
    assert {part for _, part in grown} >= {"agent", "warden", "page"}
    assert not {key: mb for key, mb in grown.items() if mb > GROWTH_MB}


def figures(key: tuple[str, str], rows: list[tuple[float, float, float]]) -> float:
    """Print what one process took; returns by how many MB the last quarter's median is above the second's."""
    whole = [row for row in rows if row[0] >= rows[-1][0] / 4]
    quarter = max(1, len(rows) // 4)
    early, late = rows[quarter : 2 * quarter] or rows, rows[-quarter:]
    share = (whole[-1][2] - whole[0][2]) / max(1e-9, whole[-1][0] - whole[0][0])
    grown = statistics.median(mb for _, mb, _ in late) - statistics.median(mb for _, mb, _ in early)
    print(f"{key[0]:7} {key[1]:12} {late[-1][1]:6.1f} MB, {grown:+.1f} MB, {100 * share:.1f} % of a core")
    return grown
