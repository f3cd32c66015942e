"""What every command shares: exit codes, the two consoles, and one way to say what went wrong."""

from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    WARNINGS = 3
    NOT_READY = 4
    TAMPERING = 5
    WRONG_ANCHOR = 6
    DIFFERS = 7
    INTERRUPTED = 130


def printable(text: object) -> str:
    """Text whose every control, format and other invisible character is written out: it may come from anyone."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def fail(message: str, code: Exit = Exit.FAILURE) -> NoReturn:
    """Say one line on standard error and end."""
    typer.echo(f"bandpact: {printable(message)}", err=True)
    raise typer.Exit(code)


def errors_console() -> "Console":
    """Standard error, where progress and remarks go."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help fast

    return Console(stderr=True, soft_wrap=True)


def output_console() -> "Console":
    """Standard output, where results go."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help fast

    return Console(soft_wrap=True)


def print_json(value: Any) -> None:
    """A result for programs."""
    import json  # noqa: PLC0415 - keeps --help fast

    typer.echo(json.dumps(value, indent=2))


@contextmanager
def interruptible() -> "Iterator[None]":
    """Ctrl-C ends with one line and the exit code shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("bandpact: interrupted", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None
