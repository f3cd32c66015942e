"""`bandpact lease`: shows each lease as lineages record it, its state and every transition, refused ones included."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.commandlist import Listed
from agent.cli.common import fail, output_console, print_json
from agent.cli.sources import ConfigOption, NodeArg, chosen

app = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Leases: their states, and every transition with its evidence."
)

Logs = Annotated[
    Path | None,
    typer.Argument(metavar="SOURCE", help="A trial's folder, a node's, a log, a .bundle; trial-report if left out."),
]
Inside = Annotated[Path | None, typer.Option("--in", metavar="SOURCE", help="The same, for those who are used to it.")]
Anchors = Annotated[list[str] | None, typer.Option("--anchor", help="Root credential to trust, SHA-256 in hex.")]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="UTC", help="Show leases as of then: 2026-11-28T12:00:00Z, or 10min ago; now if left out."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
HERE = Path("trial-report")
GATE, SCOPE = "gate", "scope_definition"
IDENTITY = ("permission_id", "issuer_id", "subject_id", "scope_definition", "issued_at")
STATE = ("active_scope", "usage_count", "trust_level", "expiry_status", "revocation_status")


@app.command("list")
def list_leases(
    source: Logs = None,
    inside: Inside = None,
    anchor: Anchors = None,
    network: Network = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List every lease of every log."""
    from agent.audit import leases, lineages

    path = chosen(source, inside) or HERE
    now_ns = _instant(as_of)
    try:
        rows = leases.listed(path, anchors=anchor, network=network, as_of_ns=now_ns)
    except lineages.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        refused = f", {row['refused']} refused" if row["refused"] else ""
        moves = f"{row['transitions']} transitions{refused}"
        _say(f"{row['lease'][:16]}  {row['log']}  {_state(row)}  {row['about']}  {moves}")


def _state(row: dict[str, Any]) -> str:
    """Return a lease's state as text; for a refused request also the reason and clause."""
    state = row["state"] or "-"
    return f"{state}, refused: {row['refusal']}" if row["refusal"] else state


LeaseId = Annotated[str, typer.Argument(metavar="ID", help="The lease's id, or how it begins, in hexadecimal.")]
To = Annotated[str, typer.Option("--to", metavar="NAME", help="The node that is to have it, by its credential's name.")]
Price = Annotated[int, typer.Option("--price", min=0, help="What it costs, in the class's unit of price.")]
Wait = Annotated[str, typer.Option("--wait", metavar="TIME", help="How long that node has to ask for it.")]
Lines = Annotated[bool, typer.Option("--json", help="A line of JSON for each step and nothing else.")]


@app.command()
def transfer(
    lease: LeaseId,
    to: To,
    node: NodeArg = None,
    config: ConfigOption = None,
    price: Price = 0,
    wait: Wait = "30s",
    as_json: Lines = False,
) -> None:
    """Hand a lease of the running node on to another, whole and for good, and show each step; exit 1 says why not.

    That node has to ask for it (`bandpact acquire BAND`). The radio here is silent before the other's permit
    opens; if it does not come about the lease is as it was. Example: bandpact lease transfer 3f9a --to festival
    """
    from agent.words.units import parse_time

    said = {"sid": lease.lower(), "to": to, "price": price, "wait_ms": round(parse_time(wait, "--wait") * 1000)}
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="hand_on", kind="transfer", **said)


@app.command()
def sublease(
    lease: LeaseId,
    to: To,
    band: Annotated[
        str | None, typer.Option("--band", metavar="BAND", help="Such as 3550-3555MHz; all of it if not said.")
    ] = None,
    eirp: Annotated[
        str | None, typer.Option("--eirp", metavar="POWER", help="Such as 17dBm; the lease's own if not said.")
    ] = None,
    area: Annotated[
        str | None,
        typer.Option("--area", metavar="CIRCLE", help="Such as 36.95N 76.30W 500m; the lease's own if not said."),
    ] = None,
    start: Annotated[str, typer.Option("--in", metavar="TIME", help="When it begins, from now.")] = "0s",
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Such as 10min; to the lease's end if not said.")
    ] = None,
    node: NodeArg = None,
    config: ConfigOption = None,
    price: Price = 0,
    wait: Wait = "30s",
    as_json: Lines = False,
) -> None:
    """Let another node use a part of a lease: less band, area, time or power; exit 1 says why not.

    That node has to ask for it (`bandpact acquire BAND`). The radio here leaves that part of the band before the
    other's permit opens. It may use it again when the sublease's window is over, by the clock, or once a RECLAIM says
    that the sublease ended early or came to nothing. Wider than the lease on any axis is refused.
    Example: bandpact lease sublease 3f9a --to festival --band 3555-3560MHz --eirp 17dBm --for 10min
    """
    from agent.words.units import parse_circle, parse_edges, parse_power, parse_time

    low_hz, high_hz = parse_edges(band, "--band") if band is not None else (None, None)
    said = {
        "sid": lease.lower(),
        "to": to,
        "low_hz": low_hz,
        "high_hz": high_hz,
        "area": list(parse_circle(area, "--area")) if area is not None else None,
        "in_ms": round(parse_time(start, "--in") * 1000),
        "for_ms": round(parse_time(length, "--for") * 1000) if length is not None else None,
        "eirp_mdbm": parse_power(eirp, "--eirp") if eirp is not None else None,
        "price": price,
        "wait_ms": round(parse_time(wait, "--wait") * 1000),
    }
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="hand_on", kind="sublease", **said)


def _instant(text: str | None) -> int:
    """Return the requested instant in UTC ns; now where none is given."""
    from agent.words.units import parse_instant

    now_ns = time.time_ns()
    return now_ns if text is None else parse_instant(text, "--as-of", now_ns=now_ns)


@app.command()
def show(
    lease: Annotated[str, typer.Argument(metavar="ID", help="The lease's id, or how it begins, in hexadecimal.")],
    source: Logs = None,
    inside: Inside = None,
    anchor: Anchors = None,
    network: Network = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Show a lease as each log tells it: its identity, its state, and every transition.

    Identity is fixed at its birth: permission_id, issuer_id, subject_id, scope_definition, issued_at. State is what the
    log makes of it: active_scope, usage_count, trust_level, expiry_status, revocation_status. Each transition has its
    actor, action, states, evidence and the rule's result.
    """
    from agent.audit import leases, lineages

    path = chosen(source, inside) or HERE
    now_ns = _instant(as_of)
    try:
        rows = leases.shown(path, lease, anchors=anchor, network=network, as_of_ns=now_ns)
    except lineages.AuditError as exc:
        fail(str(exc))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _say(f"{row['lease']}  {row['log']}  {_state(row)}  in the signed log: {row['proven']}")
        _say(f"  {row['about']}")
        for name in IDENTITY + STATE:
            _say(f"  {name:17} {_scope(row) if name == SCOPE else _field(row[name])}")
        for move in row["history"]:
            _say(f"  {_line(move)}")


@app.command()
def boundary(
    lease: LeaseId,
    source: Logs = None,
    inside: Inside = None,
    anchor: Anchors = None,
    network: Network = None,
    level: Annotated[
        str, typer.Option("--level", metavar="POWER", help="At the boundary, in 10 MHz (47 CFR 96.25: -96dBm).")
    ] = "-96dBm",
    azimuth: Annotated[
        float | None, typer.Option("--azimuth", metavar="DEG", help="Where a sector antenna points; all round if not.")
    ] = None,
    beamwidth: Annotated[
        float, typer.Option("--beamwidth", metavar="DEG", min=1, max=360, help="Of a sector antenna, at half power.")
    ] = 65.0,
    exponent: Annotated[
        float, typer.Option("--exponent", min=2, max=6, help="Of the path loss beyond the reference distance.")
    ] = 2.8,
    reference: Annotated[
        float, typer.Option("--reference", metavar="METRES", min=1, help="Free space up to here.")
    ] = 100.0,
    margin: Annotated[
        float, typer.Option("--margin", metavar="DB", min=0, max=60, help="What the model may be off by, either way.")
    ] = 13.16,
    out: Annotated[Path, typer.Option("--out", metavar="NAME", help="Writes NAME.geojson and NAME.png.")] = Path(
        "boundary"
    ),
    as_json: AsJson = False,
) -> None:
    """Draw how far a lease reaches, as GeoJSON and as a picture: from its EIRP, the antenna and a propagation model.

    The antenna stands where its user signed the ACCEPT. Three contours: where loss is the model's median, and less or
    more than that by the margin (13.16 dB: shadowing of 8 dB, nineteen places of twenty). No terrain is looked at.
    Example: bandpact lease boundary 3f9a trial-report --azimuth 90 --out east
    """
    from agent.audit import lineages
    from agent.boundary.command import BoundaryWish, draw
    from agent.boundary.contour import BoundaryAntenna
    from agent.words.units import parse_power, power_text
    from radio.propagation import Propagation

    level_mdbm = parse_power(level, "--level")
    wish = BoundaryWish(
        level_dbm=level_mdbm / 1000,
        antenna=BoundaryAntenna(azimuth_deg=azimuth, beamwidth_deg=beamwidth),
        model=Propagation(reference_m=reference, exponent=exponent),
        margin_db=margin,
    )
    try:
        drawn = draw(chosen(source, inside) or HERE, lease, wish, anchors=anchor, network=network, out=out)
    except lineages.AuditError as exc:
        fail(str(exc))
    except OSError as exc:
        fail(f"{out}: {exc.strerror}; give --out a name in a folder that can be written")
    if as_json:
        print_json(drawn)
        return
    near, far = drawn["median_m"]
    loud = f"{drawn['band']} at {drawn['eirp_dbm']:g} dBm"
    _say(f"{drawn['permission_id'][:16]}  {loud} reaches {power_text(level_mdbm)} in 10 MHz")
    _say(f"  in the median at {near:g} to {far:g} m; at least {drawn['inner_m']:g} m, at most {drawn['outer_m']:g} m")
    _say(f"  {drawn['geojson']}, {drawn['picture']}")


def _scope(row: dict[str, Any]) -> str:
    """Return a lease's scope as text in people's units; --json has the signed integers."""
    scope = row[SCOPE]
    return "-" if scope is None else f"{row['about']}, class {scope['class']}, tier {scope['tier']}"


def _field(value: Any) -> str:
    """Return a field of a lease as text."""
    from agent.words.celltext import utc_text
    from agent.words.units import band_text

    match value:
        case None | []:
            return "-"
        case list():
            return ", ".join(band_text(low, high) for low, high in value)
        case dict():
            return ", ".join(f"{name} {said}" for name, said in value.items())
        case int() if value > 1 << 50:
            return utc_text(value)
        case _:
            return str(value)


def _line(move: dict[str, Any]) -> str:
    from agent.words.celltext import utc_text

    stays = move["refused"] or move["action"] == GATE
    went = f"stays {move['state'] or '-'}" if stays else f"{move['previous'] or '-'} to {move['state'] or '-'}"
    at = utc_text(move["arrived_ns"])
    return (
        f"#{move['entry']}  {at}  {move['actor']}  {move['action']}: {went}  {move['result']}  {move['evidence'][:16]}"
    )


def _say(text: str) -> None:
    output_console().print(text, highlight=False, markup=False)
