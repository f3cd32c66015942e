"""Entry point of the `bandpact` command."""

import sys
from typing import Annotated

import typer

from agent.cli.common import guard_streams
from agent.cli.entry import Commands

app = typer.Typer(
    name="bandpact",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Share radio spectrum by agreement between neighbours: sense, settle, and transmit only inside a settlement.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bandpact {version('bandpact')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version
    guard_streams()


def main() -> None:
    """Run the command line."""
    guard_streams()
    app(args=sys.argv[1:], prog_name="bandpact")


if __name__ == "__main__":
    main()
