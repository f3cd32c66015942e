"""Runs a trial: air and nodes as processes, from the start signal to the sealed logs."""

import json
import os
import signal
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from agent.node.events import FILE
from agent.page.pageprocess import PageBeside
from agent.page.plan import ServedNode
from agent.trial.acts import Acts
from agent.trial.basestations import TrialCbrs
from agent.trial.folder import Layout, prepare, stretched
from agent.trial.processes import AIR_STOP_S, Child, TrialError, free_ports, spawn, stop, write_json
from agent.trial.programs import CpuMeter, start_programs, told
from agent.trial.progress import Reporter
from agent.trial.spec import TrialSpec, read_spec
from agent.trial.specfits import judge_fits
from radio.errors import HardwareError
from sensing.compilation import is_ready, make_ready
from sim.airclient import AirClient
from sim.recording import load as load_recording
from sim.scenario import Scenario, ScenarioError
from sim.scenario import load as load_scenario
from sim.stations import Emitter

READY_S = 60.0
TMP_BYTES_MAX = 50
AIR_S = 30.0
LEAD_NS = 4_000_000_000
SETTLE_S = 0.3
POLL_S = 0.05
ATTACKER = "agent.trial.attacker"
NODE = "agent.node.process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The user's options."""

    scenario: str
    seed: int
    duration_s: float | None
    recording: Path | None
    base_port: int | None
    radio: Literal["sim", "pluto"] = "sim"
    page_port: int | None = 0
    """Port of the whole trial's page; None for the usual one or the next free one, 0 for no page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished run: where its files are and when second 0 was (monotonic ns)."""

    layout: Layout
    zero_ns: int
    killed: tuple[str, ...]
    programs: tuple[dict[str, Any], ...] = ()
    """Last state of the nodes' programs and their doors, from `programs.told`."""
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    """By node and process, the share of one core used while the node's gate was open."""


def scenario_of(options: Options) -> tuple[Scenario, TrialSpec, float]:
    """Return the scenario with the options applied. Raises ScenarioError, SourceError."""
    scenario = load_scenario(options.scenario)
    try:
        spec = read_spec(scenario.trial)
        judge_fits(scenario, spec)
    except ScenarioError as exc:
        raise ScenarioError(f"{options.scenario}: {exc}") from exc
    duration_s = options.duration_s if options.duration_s is not None else spec.duration_s
    scenario = replace(scenario, emitters=stretched(scenario, duration_s / spec.duration_s))
    if options.recording is not None:
        scenario = scenario.with_emitter(_recorded(options.recording, scenario, spec))
    return scenario, spec, duration_s


def _recorded(path: Path, scenario: Scenario, spec: TrialSpec) -> Emitter:
    """Return a recording as one more emitter, placed amid the nodes. Raises SourceError when it cannot be used."""
    load_recording(path)
    count = len(scenario.nodes)
    return Emitter(
        name="recording",
        kind="recording",
        lat_deg=sum(n.lat_deg for n in scenario.nodes) / count,
        lon_deg=sum(n.lon_deg for n in scenario.nodes) / count,
        eirp_dbm=spec.recording_eirp_dbm,
        center_hz=spec.recording_center_hz,
        params={"path": str(path.absolute())},
    )


class _Tail:
    """Follows the nodes' event files."""

    def __init__(self, layout: Layout) -> None:
        self._paths = {issued.name: issued.folder / FILE for issued in layout.nodes}
        self._at = dict.fromkeys(self._paths, 0)

    def read(self) -> list[dict[str, Any]]:
        """Return new whole lines of all nodes."""
        events: list[dict[str, Any]] = []
        for name, path in self._paths.items():
            if not path.is_file():
                continue
            with path.open("rb") as file:
                file.seek(self._at[name])
                whole, end, _ = file.read().rpartition(b"\n")
            self._at[name] += len(whole) + len(end)
            events += [json.loads(line) for line in whole.splitlines()]
        return sorted(events, key=lambda e: e["mono_ns"])


def _alive(children: list[Child]) -> None:
    for child in children:
        said = child.failed()
        if said is not None:
            raise TrialError(f"{child.name} ended early: {said}")


def _await_ready(tail: _Tail, children: list[Child], count: int) -> None:
    ready, deadline = set[str](), time.monotonic() + READY_S
    while len(ready) < count:
        _alive(children)
        ready |= {e["node"] for e in tail.read() if e["event"] == "ready"}
        if time.monotonic() > deadline:
            raise TrialError(
                f"only {len(ready)} of {count} nodes came up in {READY_S:g} s; is this machine overloaded?"
            )
        time.sleep(POLL_S)


def await_ready(layout: Layout, children: list[Child]) -> None:
    """Wait until every node of `children` reports ready; raises TrialError."""
    _await_ready(_Tail(layout), children, len(children))


def start_air(layout: Layout) -> tuple[Child, int]:
    """Start the air with its second 0 a little ahead, so that all processes are listening by then."""
    zero_ns = time.monotonic_ns() + LEAD_NS
    air = layout.scenario.air_config(seed=layout.seed, zero_ns=zero_ns)
    if layout.cbrs is not None:
        air = replace(air, stations=(*air.stations, *layout.cbrs.stations(air.stations)))
    config = layout.root / "air.json"
    level = round(layout.spec.terms.out_of_band_dbm_per_mhz * 1000)
    written = {"endpoint": layout.air_endpoint, "air": asdict(air), "log": str(layout.oracle_log)}
    write_json(config, {**written, "levels_mdbm_per_mhz": [level]})
    child = spawn("air", "sim.airserver", config, layout.root)
    client = AirClient(layout.air_endpoint)
    try:
        client.wait_ready(timeout_s=AIR_S)
    except HardwareError as exc:
        stop([child])
        raise TrialError(f"the simulated air did not come up: {child.failed() or exc}") from exc
    finally:
        client.close()
    write_json(layout.start_file, {"start_mono_ns": zero_ns})
    return child, zero_ns


def start_stations(layout: Layout, zero_ns: int) -> list[Child]:
    """Start the base stations of the scenario, if any."""
    if layout.cbrs is None:
        return []
    places = {node.name: (node.lat_deg, node.lon_deg) for node in layout.scenario.nodes}
    zero_utc_s = (zero_ns + layout.utc_at_zero_ns) / 1e9
    return layout.cbrs.begin(layout.air_endpoint, places, zero_utc_s, layout.duration_s / layout.spec.duration_s)


def start_plutos(layout: Layout, *, quiet: bool = True) -> list[Child]:
    """Start the simulated Plutos on the air's stations, if any.

    They start muted, as units with the dead-man do, or, not `quiet`, transmitting as stock units do.
    """
    if not layout.pluto_ports:
        return []
    stations = layout.scenario.air_config().stations
    units = [
        {"station": station.name, "serial": station.hardware.serial, "port": port}
        for station, port in zip(stations, layout.pluto_ports, strict=True)
    ]
    config = layout.root / "plutos.json"
    write_json(config, {"air": layout.air_endpoint, "plutos": units, "quiet": quiet})
    return [spawn("plutos", "sim.iiod.process", config, layout.root)]


def _watch(layout: Layout, children: list[Child], zero_ns: int, follow: "_Follow") -> None:
    """Report events until the time is up; raises TrialError where a process has ended."""
    tail, reporter, meter = follow.tail, follow.reporter, follow.meter
    acts = Acts(layout, reporter)
    end_ns = zero_ns + int((layout.duration_s + SETTLE_S) * 1e9)
    while time.monotonic_ns() < end_ns:
        _alive(children)
        for event in tail.read():
            reporter.event(event, (event["mono_ns"] - zero_ns) / 1e9)
            meter.event(event)
            acts.hear(event)
        meter.look(time.monotonic())
        acts.turn((time.monotonic_ns() - zero_ns) / 1e9)
        reporter.advance(min(layout.duration_s, max(0.0, (time.monotonic_ns() - zero_ns) / 1e9)))
        time.sleep(POLL_S)
    acts.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Follow:
    """What is followed and reported while a trial runs."""

    tail: _Tail
    reporter: Reporter
    meter: CpuMeter


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(options: Options, work: Path, reporter: Reporter) -> Finished:
    """Run a whole trial in the folder `work`; no process is left after any error.

    Raises: TrialError; ScenarioError or SourceError where the options fit no run.
    """
    scenario, spec, duration_s = scenario_of(options)
    count = len(scenario.nodes)
    ports = free_ports(2 * count if options.radio == "pluto" else count, options.base_port)
    cbrs = TrialCbrs.made(work, spec, free_ports(1 + len(spec.cbrs.stations), None)) if spec.cbrs is not None else None
    layout = prepare(
        work,
        scenario,
        spec,
        seed=options.seed,
        duration_s=duration_s,
        ports=ports[:count],
        pluto_ports=ports[count:],
        cbrs=cbrs,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    _compile(reporter)
    nodes: list[Child] = []
    air: list[Child] = []
    programs: list[Child] = []
    said: tuple[dict[str, Any], ...] = ()
    cpu: dict[str, dict[str, float]] = {}
    killed: list[str] = []
    page = page_of(layout, options)
    try:
        reporter.say(f"starting {len(scenario.nodes)} nodes, then the air")
        for node in scenario.nodes:
            module = ATTACKER if node.role == "attacker" else NODE
            nodes.append(spawn(node.name, module, layout.config_of(node.name), layout.root))
        programs += cbrs.endpoints(layout.config_of) if cbrs is not None else []
        tail = _Tail(layout)
        _await_ready(tail, nodes, len(nodes))
        page.start()
        if page.url is not None:
            reporter.say(f"page   {page.url}")
        child, zero_ns = start_air(layout)
        air += [child, *start_plutos(layout)]
        programs += start_programs(layout)
        programs += start_stations(layout, zero_ns)
        meter = CpuMeter(nodes)
        late_s = (time.monotonic_ns() - zero_ns) / 1e9
        if late_s > 0:
            reporter.say(f"the air came up {late_s:.1f} s late on this machine; the run begins that far in")
        reporter.say(f"{len(nodes)} nodes and the air are up; {duration_s:g} s of trial, seed {options.seed}")
        _watch(layout, [*nodes, *air, *programs], zero_ns, _Follow(tail=tail, reporter=reporter, meter=meter))
        said, cpu = told(layout, meter), meter.all()
    finally:
        killed += stop(programs)
        killed += stop(nodes)
        if cbrs is not None:
            cbrs.close()
        page.close()
        killed += stop(air[1:])
        killed += stop(air[:1], AIR_STOP_S)
    return Finished(layout=layout, zero_ns=zero_ns, killed=tuple(killed), programs=said, cpu=cpu)


def _compile(reporter: Reporter) -> None:
    """Compile the loops of sensing once, before each node of the trial would."""
    if is_ready():
        return
    reporter.say("compiling the loops of sensing, once for this installation; half a minute or so")
    why = make_ready()
    if why:
        reporter.say(f"not compiled, each node does it for itself and needs longer: {why}")


def page_of(layout: Layout, options: Options) -> PageBeside:
    """Return the page of all nodes of a trial; nothing of it is kept after the trial."""
    served = [
        ServedNode(
            name=issued.name,
            run_folder=issued.folder / "run",
            folder=issued.folder,
            config=layout.config_of(issued.name),
        )
        for issued in layout.nodes
    ]
    return PageBeside(nodes=served, folder=layout.root, port=options.page_port, history=options.page_port != 0)


def work_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder with a short path, removed with its context: paths of local sockets are limited."""
    usual = tempfile.gettempdir()
    folder = usual if len(os.fsencode(usual)) <= TMP_BYTES_MAX else "/tmp"  # noqa: S108 - made 0700 with a fresh name
    return tempfile.TemporaryDirectory(prefix="bandpact-", dir=folder, ignore_cleanup_errors=True)
