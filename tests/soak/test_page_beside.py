"""What a settlement takes while strangers attack the pages of both its nodes, beside what it takes while nobody does.

Three nodes by `bandpact run`; one asks for a short settlement every few seconds. Three kinds of stretches take turns in
one run: nobody asks anything, processes of the lowest priority only compute, the same number of them attack the pages.
Whatever keeps the other cores busy slows a node, so what an attack adds is told against those that compute.
BANDPACT_BESIDE_S sets its length (300).
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.trial.folder import Layout, prepare
from agent.trial.processes import free_ports, serve, stop
from agent.trial.run import Options, await_ready, scenario_of, start_air
from agent.trial.spec import Want
from tests.soak.test_run_hours import NODES

LENGTH_S = float(os.environ.get("BANDPACT_BESIDE_S", "300"))
STRETCH_S, EVERY_S = 15.0, 2.5
FIRST_S = 15.0
MOST = 1.2
ASKED_S = 20
"""Requests a second at the least while pages are attacked: a page that yields to its node answers fewer."""
ATTACKED = ("holder", "user-a")
QUIET, COMPUTING, HOSTILE = KINDS = ("quiet", "computing", "hostile")
ROOT = Path(__file__).resolve().parents[2]
COMPUTE = """
import select
while not select.select([0], [], [], 0)[0]:
    sum(range(100_000))
print('{"sent": 0, "faults": []}')
"""


def laid_out(root: Path) -> Layout:
    options = Options(scenario="neighbours", seed=7, duration_s=LENGTH_S + 300, recording=None, base_port=None)
    scenario, spec, length_s = scenario_of(options)
    first = next(want for want in spec.wants if want.node == "user-a")
    wants: list[Want] = []
    at_s = FIRST_S
    while at_s + EVERY_S < length_s:
        wants.append(first.model_copy(update={"ask_s": at_s, "start_s": at_s + 0.8, "end_s": at_s + EVERY_S - 0.2}))
        at_s += EVERY_S
    spec = spec.model_copy(update={"wants": wants, "duration_s": length_s})
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=7, duration_s=length_s, ports=ports)


@contextlib.contextmanager
def beside(kind: str, pages: list[int], seed: int) -> Iterator[list[dict[str, int]]]:
    """A process of the lowest priority for each page, that attacks it or only computes; what they sent once over."""
    counted: list[dict[str, int]] = []
    works = {
        QUIET: [],
        COMPUTING: [["-c", COMPUTE] for _ in pages],
        HOSTILE: [["-m", "tests.soak.hostile", f"127.0.0.1:{port}", "0", str(seed)] for port in pages],
    }
    clients = [
        subprocess.Popen(
            ["nice", "-n", "19", sys.executable, *work],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
        )
        for work in works[kind]
    ]  # fmt: skip
    for one in clients:  # a session's processes yield as one: they come from elsewhere and take no node's time
        with contextlib.suppress(OSError):
            Path(f"/proc/{one.pid}/autogroup").write_text("19")
    try:
        yield counted
    finally:
        counted.extend(json.loads(one.communicate(timeout=60)[0]) for one in clients)


@pytest.mark.timeout(2 * LENGTH_S + 300)
@pytest.mark.feature("U3")
def test_a_settlement_takes_no_longer_while_its_nodes_pages_are_attacked() -> None:
    stretches: list[tuple[int, int, str]] = []
    sent, faults = 0, list[object]()
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        layout = laid_out(Path(folder))
        free = free_ports(2 * len(NODES), None)
        nodes = [
            serve(name, layout.config_of(name), layout.root, health_port=free[2 * n], page_port=free[2 * n + 1])
            for n, name in enumerate(NODES)
        ]
        air = []
        try:
            await_ready(layout, nodes)
            air.append(start_air(layout)[0])
            time.sleep(FIRST_S)
            end_s, seed = time.monotonic() + LENGTH_S, 0
            while time.monotonic() < end_s:
                assert not [one for child in [*nodes, *air] if (one := child.failed())]
                kind, began_ns = KINDS[seed % 3], time.monotonic_ns()
                pages = [free[2 * n + 1] for n, name in enumerate(NODES) if name in ATTACKED]
                with beside(kind, pages, seed) as counted:
                    time.sleep(STRETCH_S)
                    stretches.append((began_ns, time.monotonic_ns(), kind))
                sent += sum(one["sent"] for one in counted)
                faults += [one["faults"] for one in counted if one["faults"]]
                seed += 1
        finally:
            stop([*nodes, *air])
        lines = (Path(folder) / "user-a" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    settled = [one for one in map(json.loads, lines) if one["event"] == "settled" and "took_ms" in one]
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for one in settled:
        for began_ns, ended_ns, kind in stretches:
            if began_ns <= one["mono_ns"] - one["took_ms"] * 1e6 and one["mono_ns"] <= ended_ns:
                took[kind].append(one["took_ms"])
    medians = {kind: statistics.median(values) for kind, values in took.items()}
    told = ", ".join(f"{kind} {medians[kind]:.1f} ms of {len(took[kind])}" for kind in KINDS)
    print(f"\nmedian of settlements: {told}; {sent} hostile requests")
    assert not faults
    assert sent > ASKED_S * LENGTH_S / 3
    assert min(map(len, took.values())) >= LENGTH_S / EVERY_S / 6
    assert medians[HOSTILE] <= MOST * medians[COMPUTING]
