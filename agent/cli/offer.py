"""`bandpact offer`: has the running agent offer a band."""

from typing import Annotated, Literal

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.common import Exit, fail
from agent.cli.sources import ConfigOption, NodeArg, chosen

BOTH = 2


def offer(
    band: Annotated[
        str, typer.Argument(metavar="BAND", help="such as 3550-3570MHz, or 0-1Gbit/s of a class in another unit")
    ],
    commodity: Annotated[str, typer.Option("--class", metavar="CLASS", help="commodity class of the rule")],
    node: NodeArg = None,
    config: ConfigOption = None,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="how long, such as 60s or 5min")] = "5min",
    eirp: Annotated[
        str | None,
        typer.Option(
            metavar="POWER", help="the most a user may radiate, such as 20dBm; all that is allowed if not said"
        ),
    ] = None,
    price: Annotated[int, typer.Option(min=0, help="what it costs, or is asked at first")] = 0,
    price_form: Annotated[
        Literal["fixed", "negotiated", "parametric", "discovered", "dynamic"],
        typer.Option(help="what the price follows: itself, bargaining, the rule's tariff, past settlements, a curve"),
    ] = "fixed",
    least: Annotated[int | None, typer.Option(min=0, help="what to take at the least, where it is negotiated")] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="TIME:PRICE", help="a dynamic price from a time on; once for each, 0s:… first"),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAT,LON", help="where the ends of a link are, in degrees; given twice, with a unit as bit/s"
        ),
    ] = None,
    corridor: Annotated[
        str, typer.Option(metavar="LENGTH", help="how far to each side of the line between its ends a link reaches")
    ] = "1km",
    wait: Annotated[str, typer.Option(metavar="TIME", help="how long to listen until it is known to be free")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")] = False,
) -> None:
    """Have the running agent offer what it senses to be free of a band; exit 1 says what it hears there.

    What nothing senses, an amount in another unit than Hz, is offered as it is said.
    """
    from agent.words.units import parse_amount, parse_length, parse_place, parse_power, parse_time

    low_hz, high_hz, unit = parse_amount(band)
    if link and (len(link) == 1 or len(link) > BOTH):
        fail("--link: give both ends, such as --link 36.95,-76.3 --link 37.0,-76.3", Exit.USAGE)
    ends = [list(parse_place(one, "--link")) for one in link or ()]
    fields = {
        "unit": unit,
        "link": ends,
        "corridor_mm": parse_length(corridor, "--corridor") if ends else None,
        "low_hz": low_hz,
        "high_hz": high_hz,
        "for_ms": round(parse_time(length, "--for") * 1000),
        "wait_ms": round(parse_time(wait, "--wait") * 1000),
        "eirp_mdbm": parse_power(eirp, "--eirp") if eirp is not None else None,
    }
    priced = {"price": price, "price_form": price_form, "least": least, "curve": [_point(one) for one in curve or ()]}
    said = {"commodity": commodity, **priced, **fields}
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="offer", **said)


def _point(said: str) -> list[int]:
    """Parse a point of a price curve, TIME:PRICE, as [ms, price]; ends the command where it is malformed."""
    from agent.words.units import is_count, parse_time

    at, _, price = said.partition(":")
    if not is_count(price):
        fail(f"--from {said:.80}: write TIME:PRICE, such as 60s:250", Exit.USAGE)
    return [round(parse_time(at, "--from") * 1000), int(price)]
