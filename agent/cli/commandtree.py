"""Where each command of `bandpact` is, by its name: the module of a command is loaded when the command is asked for.

A node that runs, or the emergency stop of its page, does not load the other fifty modules of commands.
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
"""Of each command its module in `agent.cli` and its function or group there."""
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
"""Of a group what other modules add to it, by the words below the group's name."""


def _built(name: str, place: str) -> Any:
    """The command of one place, as Typer builds it."""
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
    """Every command by its name; each is loaded when it is looked up for the first time, and kept."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """The command of that name. Raises KeyError."""
        if name not in self._known:
            if name not in COMMANDS:
                raise KeyError(name)
            self._known[name] = _loaded(name)
        return self._known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command, or put it in the place of the one of that name."""
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget what was added or loaded."""
        del self._known[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a command of that name; loads none."""
        return name in COMMANDS or name in self._known

    def __iter__(self) -> Iterator[str]:
        """The names; loads no command."""
        return iter(dict.fromkeys((*COMMANDS, *self._known)))

    def __len__(self) -> int:
        """How many there are."""
        return len({*COMMANDS, *self._known})
