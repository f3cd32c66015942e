"""Generates manual pages (man(7)) and shell completion from the commands: `python -m agent.install.manual DIR`.

man/man1/bandpact.1 and one page for each command; completions/bash, zsh and fish.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import typer.main
from typer._completion_shared import get_completion_script

from agent.cli.main import app

NAME: Final = "bandpact"
VARIABLE: Final = "_BANDPACT_COMPLETE"
SHELLS: Final = {"bash": "bash/bandpact", "zsh": "zsh/_bandpact", "fish": "fish/bandpact.fish"}
EXITS: Final = (
    ("0", "done, or everything holds"),
    ("1", "failure; one line on standard error says why and how to mend it"),
    ("2", "usage"),
    ("3", "done, with warnings"),
    ("4", "a device or the clock is not ready, or no agent runs"),
    ("5", "an audit found tampering"),
    ("6", "an audit was given the wrong anchor"),
    ("7", "a node's kept state differs from its log"),
    ("130", "interrupted"),
)
FILES: Final = (
    ("~/.config/bandpact/config.toml", "the user's node"),
    ("/etc/bandpact/config.toml", "the host's node"),
)
VARIABLES: Final = (
    ("BANDPACT_…", "any key of a node's configuration, nested keys joined by two underscores"),
    ("BANDPACT_PASSPHRASE", "the passphrase of an authority's key"),
    ("BANDPACT_TRACE", "show the traceback of a defect of bandpact itself"),
    ("NO_COLOR", "no colours"),
)


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that name it, the whole program first."""
    here = typer.main.get_command(app) if group is None else group
    yield before, here
    for name, command in sorted(getattr(here, "commands", {}).items()):
        if not command.hidden:
            yield from commands(command, (*before, name))


def page(words: tuple[str, ...], command: Any) -> str:
    """Return one manual page in man(7) macros; the same command gives the same text."""
    called = " ".join((NAME, *words))
    first, _, rest = (command.help or "").strip().partition("\n")
    below = sorted(getattr(command, "commands", {}).items())
    lines = [
        f'.TH "{called.upper().replace(" ", "-")}" 1 "" "{NAME} {version(NAME)}" "User Commands"',
        ".SH NAME",
        f"{_said('-'.join((NAME, *words)))} \\- {_said(first.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_said(called)}",
        _said(_synopsis(command, below=bool(below))),
        ".SH DESCRIPTION",
        _said(first),
        *(f".PP\n{_said(' '.join(part.split()))}" for part in rest.split("\n\n") if part.strip()),
    ]
    lines += _listed("COMMANDS", [(name, (one.help or "").strip().split("\n")[0]) for name, one in below])
    lines += _listed("ARGUMENTS", [(_shown(one), one.help or "") for one in _of(command, "argument")])
    lines += _listed("OPTIONS", [(_shown(one), one.help or "") for one in _of(command, "option")])
    lines += _listed("EXIT STATUS", list(EXITS))
    if not words:
        lines += [*_listed("FILES", list(FILES)), *_listed("ENVIRONMENT", list(VARIABLES))]
    others = ["-".join((NAME, *words[:-1])) if words else "", *("-".join((NAME, *words, name)) for name, _ in below)]
    near = ", ".join(f".BR {_said(one)} (1)" for one in others if one)
    if near:
        lines += [".SH SEE ALSO", near.replace(", ", ",\n")]
    return "\n".join(line for line in lines if line) + "\n"


def _of(command: Any, kind: str) -> list[Any]:
    return [one for one in command.params if one.param_type_name == kind and not getattr(one, "hidden", False)]


def _synopsis(command: Any, *, below: bool) -> str:
    if below:
        return "COMMAND [OPTIONS] …"
    return " ".join(["[OPTIONS]", *(_shown(one) for one in _of(command, "argument"))])


def _shown(one: Any) -> str:
    """Return an option with its value, or an argument by its metavar."""
    metavar = one.metavar or str(one.name).upper()
    if one.param_type_name == "argument":
        return f"{metavar}{'…' if one.nargs == -1 else ''}" if one.required else f"[{metavar}]"
    flags = ", ".join([*one.opts, *one.secondary_opts])
    return flags if one.is_flag or one.count else f"{flags} {metavar}"


def _listed(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f".SH {title}", *(f".TP\n.B {_said(name)}\n{_said(text) or chr(0x2013)}" for name, text in rows)]


def _said(text: str) -> str:
    """Escape text so that no macro is read in it: backslashes, leading dots and hyphens."""
    out = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{out}" if out.startswith((".", "'")) else out


def completion(shell: str) -> str:
    """Return the script that completes bandpact's commands, options and values in a shell."""
    return str(get_completion_script(prog_name=NAME, complete_var=VARIABLE, shell=shell)) + "\n"


def write_manual(folder: Path) -> list[Path]:
    """Write every page and script below a folder; returns their paths. Raises OSError."""
    made: list[Path] = []
    for words, command in commands():
        path = folder / "man" / "man1" / f"{'-'.join((NAME, *words))}.1"
        made.append(_written(path, page(words, command)))
    made += [_written(folder / "completions" / path, completion(shell)) for shell, path in SHELLS.items()]
    return made


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    write_manual(Path(sys.argv[1]))
