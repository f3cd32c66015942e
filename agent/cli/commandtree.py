"""Maps each command name of `bandpact` to its module, which is loaded only when the command is used.

A running node, or the emergency stop of its page, does not load the other fifty command modules.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import typer
import typer.main

PACKAGE: Final = "agent.cli"
COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acquire": "acquire:acquire",
        "attacks": "attacks:attacks",
        "auction": "auction:app",
        "audit": "audit:app",
        "authority": "authority:authority",
        "bench": "bench:bench",
        "calendar": "cbsd:calendar",
        "calibrate": "calibrate:calibrate",
        "campaign": "campaign:campaign",
        "cbsd": "cbsd:cbsd",
        "clock": "clock:clocks",
        "config": "clock:settings",
        "directory": "directory:app",
        "dispute": "dispute:dispute",
        "doctor": "clock:doctor",
        "fallback": "fallback:fallback",
        "history": "history:app",
        "install-service": "install:install_service",
        "kit": "kit:app",
        "lease": "lease:app",
        "node": "node:node",
        "offer": "offer:offer",
        "page": "service:page",
        "record": "record:record",
        "recordings": "recordings:app",
        "relinquish": "relinquish:relinquish",
        "report": "report:report",
        "ruling": "ruling:ruling",
        "run": "service:run",
        "sense": "sense:sense",
        "sim": "simulate:app",
        "status": "service:status",
        "stop": "stop:stop",
        "trial": "trial:app",
        "tx": "tx:tx",
        "warden": "warden:warden",
        "watch": "watch:watch",
        "witness": "witness:app",
    }
)
"""For each command, its module in `agent.cli` and its function or group there."""
BELOW: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "audit": {"fleet": "campaign:fleet"},
        "authority": {
            "admit": "classes:admit",
            "members": "members:members",
            "rule draft": "drafts:rule_draft",
            "class": "classes:commodity",
            "jurisdiction": "jurisdiction:jurisdiction",
        },
        "node": {"config": "drafts:node_config"},
    }
)
"""For each group, the commands that other modules add to it, by their words below the group's name."""


def _built(name: str, place: str) -> Any:
    """Import a command from its place and build it with Typer."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"{PACKAGE}.{module}"), attribute)
    alone = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]


def _loaded(name: str) -> Any:
    command = _built(name, COMMANDS[name])
    for words, place in BELOW.get(name, {}).items():
        *groups, last = words.split()
        group = command
        for one in groups:
            group = group.commands[one]
        group.commands[last] = _built(last, place)
    return command


class CommandsByName(MutableMapping[str, Any]):
    """Mapping of all commands by name; each is loaded at its first lookup, and kept."""

    def __init__(self) -> None:
        """Start with no command loaded."""
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the command of a name. Raises KeyError."""
        if name not in self._known:
            if name not in COMMANDS:
                raise KeyError(name)
            self._known[name] = _loaded(name)
        return self._known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command, or replace the one of that name."""
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        """Drop a command that was added or loaded."""
        del self._known[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a command of a name; loads none."""
        return name in COMMANDS or name in self._known

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names; loads no command."""
        return iter(dict.fromkeys((*COMMANDS, *self._known)))

    def __len__(self) -> int:
        """Return the number of commands."""
        return len({*COMMANDS, *self._known})
