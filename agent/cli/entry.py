"""Error handling of every command: one line on standard error and an exit code, never a traceback.

A command reports itself what it can remedy; what it does not catch ends here: Ctrl-C, a disk that is full or
read-only, a quantity without a unit, a wrong option.
"""

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Final

import typer

from agent.cli.commandlist import SECTIONS, Listed
from agent.cli.commandtree import CommandsByName
from agent.cli.common import Exit, printable
from agent.words.units import UnitMissing
from settlement.core.reasons import RefusedError

TRACE: Final = "BANDPACT_TRACE"
"""Environment variable that makes a defect of bandpact itself print its traceback."""


def _say(message: str) -> None:
    typer.echo(f"bandpact: {printable(message)}", err=True)


def os_error_line(exc: OSError) -> str:
    """Return in one line what the operating system refused, with the file or stream concerned."""
    what = exc.strerror or str(exc) or type(exc).__name__
    return f"{exc.filename}: {what}" if exc.filename else what


def _usage_line(exc: Exception) -> str:
    """Return a wrong option or argument in one line, with where to read on."""
    context = getattr(exc, "ctx", None)
    where = f"; see: {context.command_path} --help" if context is not None else ""
    said = " ".join(exc.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    return said.replace(": Value error, ", ": ", 1) + where


def _settle_flags(params: Iterable[Any]) -> None:
    """Set a group's flag that was not given to False.

    A flag that is None goes through pydantic, which takes longer to load than everything else for a command's help.
    """
    for param in params:
        if getattr(param, "is_flag", False) and param.default is None:
            param.default = False


def _ask_for_numbers(command: Any) -> None:
    """Refuse `nan` and `inf` in any option before the command runs: no quantity takes either."""
    run = command.invoke

    def invoke(ctx: Any) -> Any:
        for param in command.params:
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not isfinite(value):
                raise typer.BadParameter(f"{value} is no quantity; give a number", ctx=ctx, param_hint=param.opts[0])
        return run(ctx)

    command.invoke = invoke


def _settle_groups(command: Any, ctx: Any) -> None:
    """Apply the settings above to every group and command from `command` down."""
    below = getattr(command, "commands", None)
    if below is None and command is not None:
        _ask_for_numbers(command)
    if below is not None:
        _settle_flags(command.get_params(ctx))
        for one in below.values():
            _settle_groups(one, ctx)


class Commands(Listed):
    """The `bandpact` command with all subcommands, each loaded when it is used."""

    def __init__(self, **settings: Any) -> None:
        """Args: settings: passed on from Typer to the group."""
        super().__init__(**settings)
        self.commands = CommandsByName()

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from None
        except UnitMissing as exc:
            _say(str(exc))
            raise typer.Exit(Exit.USAGE) from None
        except RefusedError as exc:  # a value from the command line that no record can hold
            _say(str(exc))
            raise typer.Exit(Exit.USAGE) from None
        except RecursionError:
            _say("a file that was read is nested without end; give one that is not")
            raise typer.Exit(Exit.FAILURE) from None
        except RuntimeError as exc:  # raised by Path.resolve() up to Python 3.12
            if not str(exc).startswith("Symlink loop"):
                raise
            _say(f"{exc}: a link that leads to itself; give the file itself")
            raise typer.Exit(Exit.FAILURE) from None
        except UnicodeEncodeError as exc:  # a name with bytes that are no text, which no file of ours can hold
            said = exc.object[max(0, exc.start - 40) : exc.end + 20]
            _say(f"{said}: a name that is not UTF-8 text; rename it, or go by another folder")
            raise typer.Exit(Exit.USAGE) from None
        except ValueError as exc:  # raised by pathlib for "" and "/"
            if "has an empty name" not in str(exc):
                raise
            _say("an empty path, or the root, where a file is meant; give the file's name")
            raise typer.Exit(Exit.USAGE) from None
        except BrokenPipeError:
            raise
        except OSError as exc:
            _say(os_error_line(exc))
            raise typer.Exit(Exit.FAILURE) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands, grouped by purpose."""
        for title, names in SECTIONS:
            self.listed(ctx, formatter, title, names)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of `bandpact` itself."""
        params: list[Any] = super().get_params(ctx)
        _settle_flags(params)
        return params

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command or group of a name."""
        command = super().get_command(ctx, cmd_name)
        _settle_groups(command, ctx)
        return command

    def main(self, args: Sequence[str] | None = None, *others: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line; `standalone_mode` ends the process."""
        run = partial(super().main, args, *others, **{**extra, "standalone_mode": False})
        if not standalone_mode:
            return run()
        try:
            code = run()
        except typer.Abort:
            _say("not confirmed, and nothing was done; --yes where nobody can be asked")
            code = Exit.FAILURE
        except Exception as exc:  # noqa: BLE001 - the last line of defence: nobody who uses bandpact reads tracebacks
            code = _ended(exc)
        sys.exit(code if isinstance(code, int) else Exit.OK)


PRODUCT: Final = frozenset({"agent", "hw_profiles", "radio", "sensing", "settlement", "sim"})


def _known(exc: BaseException) -> str | None:
    """Return in one line an uncaught error that is no defect: too little memory, or an error with a message of ours."""
    causes = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    if any(isinstance(one, MemoryError) or "failed to map segment" in str(one) for one in causes):
        return "not enough memory for this; free some, or allow more (ulimit -v)"
    return str(exc) if type(exc).__module__.partition(".")[0] in PRODUCT and str(exc) else None


def _ended(exc: Exception) -> int:
    if type(exc).__name__ == "NoArgsIsHelpError":
        exc.show()  # type: ignore[attr-defined]
        return Exit.USAGE
    if hasattr(exc, "format_message"):
        _say(_usage_line(exc))
        return int(getattr(exc, "exit_code", Exit.USAGE))
    if isinstance(exc, OSError):  # the first --help is printed before any command is begun
        _say(os_error_line(exc))
        return Exit.FAILURE
    if os.environ.get(TRACE):
        traceback.print_exception(exc)
    known = _known(exc)
    if known is not None:
        _say(known)
        return Exit.FAILURE
    last = traceback.extract_tb(exc.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    _say(f"a defect of bandpact itself: {type(exc).__name__}: {exc} ({where}); {TRACE}=1 shows more, please report it")
    return Exit.FAILURE
