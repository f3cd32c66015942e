"""`bandpact acquire`: has the running agent settle a band with a holder that offers it."""

from typing import Annotated

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.common import Exit, fail
from agent.cli.sources import ConfigOption, NodeArg, chosen


def acquire(
    band: Annotated[
        str, typer.Argument(metavar="BAND", help="such as 3550-3560MHz, or 0-100Mbit/s of a class in another unit")
    ],
    node: NodeArg = None,
    config: ConfigOption = None,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="how long, such as 60s or 5min")] = "60s",
    start: Annotated[str, typer.Option("--in", metavar="TIME", help="when it begins, from now")] = "0s",
    eirp: Annotated[
        str | None, typer.Option(metavar="POWER", help="such as 20dBm; all that is allowed if not said")
    ] = None,
    price_max: Annotated[int | None, typer.Option(min=0, help="the most it may cost")] = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="say that this is one: a tier may ask for that to displace others")
    ] = False,
    bid: Annotated[
        int | None, typer.Option(min=0, help="what to offer at first, where the price is bargained over")
    ] = (None),
    fallback: Annotated[
        int | None,
        typer.Option(min=0, max=255, metavar="NUMBER", help="the fallback of the class that is to bind the holder"),
    ] = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="how long to wait for an offer")] = "10s",
    hold: Annotated[bool, typer.Option(help="stay until it is over, and show the gate; Ctrl-C gives it back")] = False,
    explain: Annotated[bool, typer.Option(help="list every offer seen, and why it is taken or passed over")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="be content with parts from several holders; what is left is recorded")
    ] = False,
    commodity: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="commodity class of the rule; any if left out")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS:AMOUNT", help="and this with it, all or none, such as backhaul:0-100Mbit/s; again for more"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")] = False,
) -> None:
    """Have the running agent settle a band with whoever offers it, and show each step; exit 1 says why not.

    Ctrl-C calls it off: what is settled by then is given back, what is in doubt is once it is decided. Exit 130.
    """
    from agent.words.units import parse_amount, parse_power, parse_time

    low_hz, high_hz, unit = parse_amount(band)
    fields = {
        "low_hz": low_hz,
        "high_hz": high_hz,
        "unit": unit,
        "commodity": commodity,
        "also": [_also(one) for one in also or ()],
        "for_ms": round(parse_time(length, "--for") * 1000),
        "in_ms": round(parse_time(start, "--in") * 1000),
        "wait_ms": round(parse_time(wait, "--wait") * 1000),
        "eirp_mdbm": parse_power(eirp, "--eirp") if eirp is not None else None,
    }
    said = {
        "hold": hold,
        "explain": explain,
        "partial": partial,
        "price_max": price_max,
        "bid": bid,
        "emergency": emergency,
        "fallback": fallback,
        **fields,
    }
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="acquire", **said)


def _also(said: str) -> dict[str, object]:
    """Parse a part CLASS:AMOUNT into the agent's form; ends the command where it is malformed."""
    from agent.words.units import parse_amount

    commodity, _, amount = said.partition(":")
    if not commodity or not amount:
        fail(f"--also {said}: write CLASS:AMOUNT, such as backhaul:0-100Mbit/s", Exit.USAGE)
    low, high, unit = parse_amount(amount, "--also")
    return {"commodity": commodity, "low_hz": low, "high_hz": high, "unit": unit}
