"""What a settlement takes while strangers attack the pages of both its nodes, beside what it takes while nobody does.

Three nodes by `bandpact run`; one asks for a short settlement every few seconds. Quiet and hostile stretches alternate
in one run, so that whatever else the machine does weighs on both. BANDPACT_BESIDE_S sets its length (300).
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
from agent.trial.processes import free_ports, stop
from agent.trial.run import Options, await_ready, scenario_of, start_air
from agent.trial.spec import Want
from tests.soak.test_run_hours import NODES, ROOT, served

LENGTH_S = float(os.environ.get("BANDPACT_BESIDE_S", "300"))
STRETCH_S, EVERY_S = 15.0, 2.5
FIRST_S = 15.0
MOST = 1.2
ATTACKED = ("holder", "user-a")


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
def attacked(pages: list[int], seed: int) -> Iterator[list[dict[str, int]]]:
    """Hostile requests to these pages from processes of the lowest priority; what they sent once that is over."""
    counted: list[dict[str, int]] = []
    clients = [
        subprocess.Popen(
            ["nice", "-n", "19", sys.executable, "-m", "tests.soak.hostile", f"127.0.0.1:{port}", "0", str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
        )
        for port in pages
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
    stretches: list[tuple[int, int, bool]] = []
    sent, faults = 0, list[object]()
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        layout = laid_out(Path(folder))
        free = free_ports(2 * len(NODES), None)
        nodes = [served(layout, name, free[2 * n], free[2 * n + 1]) for n, name in enumerate(NODES)]
        air = []
        try:
            await_ready(layout, nodes)
            air.append(start_air(layout)[0])
            time.sleep(FIRST_S)
            end_s, seed = time.monotonic() + LENGTH_S, 0
            while time.monotonic() < end_s:
                assert not [one for child in [*nodes, *air] if (one := child.failed())]
                hostile, began_ns = seed % 2 == 1, time.monotonic_ns()
                pages = [free[2 * n + 1] for n, name in enumerate(NODES) if hostile and name in ATTACKED]
                with attacked(pages, seed) as counted:
                    time.sleep(STRETCH_S)
                    stretches.append((began_ns, time.monotonic_ns(), hostile))
                sent += sum(one["sent"] for one in counted)
                faults += [one["faults"] for one in counted if one["faults"]]
                seed += 1
        finally:
            stop([*nodes, *air])
        lines = (Path(folder) / "user-a" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    settled = [one for one in map(json.loads, lines) if one["event"] == "settled" and "took_ms" in one]
    took: dict[bool, list[float]] = {True: [], False: []}
    for one in settled:
        for began_ns, ended_ns, hostile in stretches:
            if began_ns <= one["mono_ns"] - one["took_ms"] * 1e6 and one["mono_ns"] <= ended_ns:
                took[hostile].append(one["took_ms"])
    alone, beside = (statistics.median(took[hostile]) for hostile in (False, True))
    print(
        f"\n{len(took[False])} settlements alone, median {alone:.1f} ms; {len(took[True])} beside {sent} hostile "
        f"requests, median {beside:.1f} ms: {beside / alone:.2f} x"
    )
    assert not faults
    assert sent > 100 * LENGTH_S / 2
    assert min(len(took[False]), len(took[True])) >= LENGTH_S / EVERY_S / 4
    assert beside <= MOST * alone
