"""`bandpact run`, `bandpact page` and `bandpact status`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.clock import JsonOption
from agent.cli.common import Exit, fail, output_console, print_json, say
from agent.cli.sources import ConfigOption, NodeArg, chosen


def run(
    node: NodeArg = None,
    config: ConfigOption = None,
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="loopback port of /livez, /readyz and /metrics; 0 for none")
    ] = 9180,
    page_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="port of the page; 9181, or the next that is free; 0 for none"),
    ] = None,
    page_host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="where the page listens; on another address others reach it")
    ] = "127.0.0.1",
    history: Annotated[bool, typer.Option(help="keep what is heard and done by the second, minute and quarter")] = True,
) -> None:
    """Run this node until told to stop. This is what the service starts."""
    from agent.config.files import load_found
    from agent.config.settings import ConfigError

    try:
        found = load_found(chosen(node, config))
    except ConfigError as exc:
        fail(str(exc))
    from agent.service.firststart import have_loops

    try:
        have_loops(found)
    except ConfigError as exc:
        fail(str(exc))
    from agent.service.service import ServedBeside, run_node

    beside = ServedBeside(health_port=health_port, page_port=page_port, page_host=page_host, history=history)
    raise typer.Exit(run_node(found, beside, lambda line: say(f"bandpact: {line}", err=True)))


def page(
    node: NodeArg = None,
    config: ConfigOption = None,
    folder: Annotated[Path | None, typer.Option(help="the node's run folder, instead of a configuration")] = None,
    json_out: JsonOption = False,
) -> None:
    """Print the link to the running node's page, with the token that its emergency stop needs."""
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.page.pageprocess import PLAN
    from agent.page.plan import read_plan, token_at

    try:
        plan = read_plan((folder or load_found(chosen(node, config)).run_folder) / PLAN)
        if plan.fd is None:
            fail("the node serves no page; start it without --page-port 0")
        link = f"{plan.origin}/#token={token_at(plan.token_file)}"
    except ConfigError as exc:
        fail(str(exc))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        fail(f"no page was served from here ({exc}); start the node with `bandpact run`")
    if json_out:
        print_json({"link": link, "nodes": [one.name for one in plan.nodes]})
    else:
        say(link)


def status(
    node: NodeArg = None,
    config: ConfigOption = None,
    folder: Annotated[Path | None, typer.Option(help="the node's run folder, instead of a configuration")] = None,
    json_out: JsonOption = False,
) -> None:
    """Show how the running node is: clock, position, gate, and what is not ready. Exit 4 when something is not."""
    from agent.cbrs.shown import asked
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.service.snapshot import FILE, NOT_OURS, gate_now, problems, read_status, unreadable

    try:
        run_folder = folder or load_found(chosen(node, config)).run_folder
    except ConfigError as exc:
        fail(str(exc))
    found = read_status(run_folder)
    stations = None if found is None else asked(run_folder)
    why = unreadable(run_folder) if found is None else None
    wrong = {"agent": why} if why is not None else problems(found)
    if json_out:
        gate = (
            None if found is None else dict(zip(("state", "reason"), gate_now(found, time.monotonic_ns()), strict=True))
        )
        told = {"ready": not wrong, "problems": wrong, "gate": gate, "status": found, "base_stations": stations}
        print_json(told)
    else:
        try:
            _print_status(found, stations, wrong)
        except NOT_OURS:
            fail(f"{run_folder / FILE}: not the state of a node of this version; start the node anew", Exit.NOT_READY)
    raise typer.Exit(Exit.NOT_READY if wrong else Exit.OK)


def _print_status(found: "dict[str, Any] | None", stations: "dict[str, Any] | None", wrong: dict[str, str]) -> None:
    """Print the state for people. Raises one of NOT_OURS where another program or version wrote it."""
    from agent.cbrs.shown import status_lines
    from agent.samples.shown import lines
    from agent.service.snapshot import (
        approval_line,
        armed_text,
        auction_line,
        channel_line,
        dead,
        gate_now,
        mesh_line,
        neighbour_line,
        settlement_line,
        strangers_lines,
    )
    from agent.timekeeping.shown import line
    from agent.words.disputes import dispute_line
    from agent.words.handovers import handover_line, jurisdiction_line

    out = output_console()
    if found is not None:
        now_ns = time.monotonic_ns()
        gone = dead(found, now_ns)
        if gone is not None:
            say(f"STALE: {gone}; what follows is of then, not of now")
        state, reason = gate_now(found, now_ns)
        kind = "SIMULATION" if found["simulation"] else "REAL RADIO"
        out.print(f"node   {found['node']} ({kind})", highlight=False, markup=False)
        gate_said = f"{state} {reason}".rstrip()
        out.print(f"gate   {gate_said}, {armed_text(found, now_ns)}", highlight=False, markup=False)
        for alarm in found.get("alarms", []):
            say(f"ALARM  {alarm}")
        out.print(f"clock  {line(found['clock'])}", highlight=False, markup=False)
        place = found["clock"]["position"]
        out.print(f"place  {place['reason']}, within {place['radius_mm'] / 1000:.1f} m", highlight=False)
        if "mesh" in found:
            out.print(mesh_line(found["mesh"]), highlight=False, markup=False)
        for one in strangers_lines(found):
            out.print(one, highlight=False, markup=False)
        for one in (
            *lines(found.get("samples")),
            *map(settlement_line, found.get("settlements", [])),
            *map(auction_line, found.get("auctions", [])),
            *map(approval_line, found.get("approvals", [])),
            *map(dispute_line, found.get("disputes", [])),
            *map(handover_line, found.get("handovers", [])),
            *map(jurisdiction_line, found.get("jurisdictions", [])),
            *(f"base stations: {one}" for one in ([] if stations is None else status_lines(stations))),
        ):
            out.print(one, highlight=False, markup=False)
        for one in found.get("neighbours", []):
            say(neighbour_line(one, now_ns))
        for one in found.get("channels", []):
            say(channel_line(one))
    for part, reason in wrong.items():
        out.print(f"not ready: {part}: {reason}", highlight=False, markup=False)
