"""Shared by all commands: exit codes, the two consoles, and one way to report a failure."""

import os
import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from agent.words.instants import with_instants
from hw_profiles.printable import PrintableStream, printable

__all__ = ["Exit", "fail", "printable", "say"]

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


def _open_closed_streams() -> None:
    """Open /dev/null where standard input, output or error was closed: no file opened later takes its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def guard_streams() -> None:
    """Make everything printed from here on safe: no text, whoever wrote it, can send control codes to the terminal."""
    _open_closed_streams()
    for name, said in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PrintableStream):
            setattr(sys, name, PrintableStream(stream, said=said))


def say(text: object, *, err: bool = False) -> None:
    """Print one line with control characters escaped; an instant in ns is shown as UTC."""
    typer.echo(printable(with_instants(str(text))), err=err)


def fail(message: str, code: Exit = Exit.FAILURE) -> NoReturn:
    """Print one line on standard error and end the command."""
    say(f"bandpact: {message}", err=True)
    raise typer.Exit(code)


def errors_console() -> "Console":
    """Return the console for standard error, for progress and remarks."""
    from agent.cli.console import PlainConsole

    return PlainConsole(sys.stderr)


def output_console() -> "Console":
    """Return the console for standard output, for results."""
    from agent.cli.console import PlainConsole

    return PlainConsole(sys.stdout)


def print_json(value: Any) -> None:
    """Print a result as JSON, for programs."""
    import json

    typer.echo(json.dumps(value, indent=2))


@contextmanager
def interruptible() -> "Iterator[None]":
    """Turn Ctrl-C inside the context into one line and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("bandpact: interrupted", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None
