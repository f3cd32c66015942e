"""`bandpact auction`: have the running agent auction a band, bid in an auction, show what is known of auctions."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli.agentcall import converse, run_folder_of
from agent.cli.commandlist import Listed
from agent.cli.sources import ConfigOption, NodeArg, chosen

app = typer.Typer(
    cls=Listed,
    no_args_is_help=True,
    help="Sealed-bid auctions: open one, bid in one, see where each stands. Needs a running node.",
)
AsJson = Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")]
Hold = Annotated[bool, typer.Option("--hold", help="stay until it is decided; exit 1 where it is not, or another won")]


@app.command("open")
def open_(
    band: Annotated[str, typer.Argument(metavar="BAND", help="such as 3550-3560MHz; the unit is needed")],
    commodity: Annotated[str, typer.Option("--class", metavar="CLASS", help="commodity class of the rule")],
    node: NodeArg = None,
    config: ConfigOption = None,
    start: Annotated[
        str, typer.Option("--in", metavar="TIME", help="when what is sold begins, from now, such as 60s")
    ] = "60s",
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="how long it lasts, such as 5min")] = "5min",
    bids: Annotated[str, typer.Option("--bids-for", metavar="TIME", help="how long bids are taken")] = "20s",
    reveals: Annotated[str, typer.Option("--reveals-for", metavar="TIME", help="how long they may be shown")] = "20s",
    vote: Annotated[str, typer.Option("--vote-for", metavar="TIME", help="how long the members have to vote")] = "10s",
    reserve: Annotated[int, typer.Option(min=0, help="the least that counts as a bid, in the class's price unit")] = 0,
    deposit: Annotated[int, typer.Option(min=0, help="what a bidder owes that does not show its bid")] = 0,
    function: Annotated[
        Literal["first price", "second price"], typer.Option(help="what the highest bidder pays: its bid, or the next")
    ] = "second price",
    eirp: Annotated[
        str | None,
        typer.Option(metavar="POWER", help="the most the winner may radiate, such as 20dBm; all allowed if not said"),
    ] = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="how long to listen until it is known to be free")] = "10s",
    hold: Hold = False,
    as_json: AsJson = False,
) -> None:
    """Auction a band that is sensed to be free; exit 1 says why not.

    The members that the rule's list names check the count and vote; the highest bidder asks for the band by itself.
    """
    from agent.words.units import parse_edges, parse_power, parse_time

    low_hz, high_hz = parse_edges(band)
    times = {"for_ms": (length, "--for"), "in_ms": (start, "--in"), "bids_ms": (bids, "--bids-for")}
    times |= {"reveals_ms": (reveals, "--reveals-for"), "vote_ms": (vote, "--vote-for"), "wait_ms": (wait, "--wait")}
    said = {name: round(parse_time(text, option) * 1000) for name, (text, option) in times.items()}
    said |= {"low_hz": low_hz, "high_hz": high_hz, "price": reserve, "deposit": deposit}
    converse(
        run_folder_of(chosen(node, config)),
        as_json=as_json,
        do="auction open",
        commodity=commodity,
        function=function,
        eirp_mdbm=parse_power(eirp, "--eirp") if eirp is not None else None,
        hold=hold,
        **said,
    )


@app.command()
def bid(
    auction: Annotated[str, typer.Argument(metavar="AUCTION", help="how its name begins, by `bandpact auction show`")],
    price: Annotated[int, typer.Option(min=0, help="what to bid, in the class's price unit; nobody sees it yet")],
    node: NodeArg = None,
    config: ConfigOption = None,
    reveal: Annotated[
        bool, typer.Option("--reveal/--no-reveal", help="show it in time; who does not loses its deposit")
    ] = True,
    deposit: Annotated[
        int | None,
        typer.Option(
            min=0, help="what you put down; refused where the auction asks for another; what it asks if not said"
        ),
    ] = None,
    hold: Hold = False,
    as_json: AsJson = False,
) -> None:
    """Bid under seal, once in each auction; exit 1 says why not. What is won the agent asks for by itself."""
    converse(
        run_folder_of(chosen(node, config)),
        as_json=as_json,
        do="auction bid",
        auction=auction,
        price=price,
        deposit=deposit,
        reveal=reveal,
        hold=hold,
    )


@app.command()
def show(
    auction: Annotated[str, typer.Argument(metavar="AUCTION", help="how its name begins; all if left out")] = "",
    node: NodeArg = None,
    before: Annotated[Path | None, typer.Option("--node", hidden=True, help="NODE as scripts have given it")] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Show auctions as the running agent knows them: what is sold, state, bids, votes, winner and price."""
    node = node or before
    if node is None and config is None and not set(auction) <= set("0123456789abcdef") and Path(auction).exists():
        node, auction = Path(auction), ""  # all auctions of a node
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="auction show", auction=auction)
