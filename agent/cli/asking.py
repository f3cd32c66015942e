"""Talk with the running agent over its local socket: every step as it happens, Ctrl-C calls the command off."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from agent.cli.common import Exit, fail, output_console, say

FIRST_MS, OFF_MS = 3000, 15_000
SENTENCES = {
    "taken up": "the agent has taken it up",
    "no offer": "waiting for an offer: {why}",
    "listening": "not yet known to be free: {why}",
    "requested": "REQUEST sent",
    "accepted": "GRANT came, ACCEPT sent; in doubt until the holder decides",
    "settled": "CONFIRM came: settled, {sid}",
    "refused": "refused: {reason}",
    "aborted": "the holder gave up: {reason}",
    "renewed": "lease renewed",
    "paused": "lease suspended by the holder: {reason}",
    "resumed": "lease given again",
    "displaced": "displaced by the holder: {reason}",
    "ended": "over: {reason}",
    "gate": "gate {state} {reason}",
    "silencing": "asking the gate for silence",
    "in doubt": "{why}",
    "undecided": "waiting for what is undecided: {why}",
    "taken": "{type} taken",
    "not taken": "{type} not taken",
    "relinquished": "silent, and the holder is told",
    "filled": "{why}",
    "offered": "offered {band}",
    "handed on": "HANDOVER sent: a {kind} to {to}, which has to ask for it",
    "asked for": "{to} asks for it; GRANT sent",
    "silent": "the radio here is silent in it; waiting for what else is needed",
    "handed over": "CONFIRM sent: {to} has it, {sid}",
}


class _Blank(dict[str, Any]):
    """Fields of an answer; one that is not there reads as nothing."""

    def __missing__(self, key: str) -> str:
        return ""


def told(answer: dict[str, Any]) -> str:
    """An answer in words."""
    step = str(answer.get("step"))
    if step == "considered":
        return _considered(answer.get("offers", []))
    return SENTENCES[step].format_map(_Blank(answer)).strip() if step in SENTENCES else step


def _considered(offers: list[dict[str, Any]]) -> str:
    """A line for each offer: taken or passed over, and why."""
    from agent.words.units import band_text

    lines = [
        f"  {'taken ' if one['taken'] else 'passed'}  {band_text(one['low_hz'], one['high_hz'])} by {one['holder']}"
        f", price {one['price']}: {one['why']}"
        for one in offers
    ]
    return "\n".join([f"{len(offers)} offers seen", *lines])


def run_folder_of(config: Path | None) -> Path:
    """Where the agent of a configuration has its socket; ends the command when there is no such configuration."""
    from agent.config.files import load_found
    from agent.config.settings import ConfigError

    try:
        return load_found(config).run_folder
    except ConfigError as exc:
        fail(str(exc))


def converse(run_folder: Path, *, as_json: bool, **command: Any) -> None:
    """Send a command, show the answers, and end with its outcome: 0 done, 1 not, 130 called off."""
    from agent.node.control import Client, NotRunning

    client = Client(run_folder)
    try:
        client.say(**command)
        try:
            last = _show(client.answers(FIRST_MS, None), as_json=as_json)
        except KeyboardInterrupt:
            client.say(do="cancel")
            _show(client.answers(OFF_MS, OFF_MS), as_json=as_json)
            raise typer.Exit(Exit.INTERRUPTED) from None
    except NotRunning as exc:
        fail(str(exc), Exit.NOT_READY)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    finally:
        client.close()
    raise typer.Exit(Exit.OK if last.get("ok") else Exit.FAILURE)


def _show(answers: Iterator[dict[str, Any]], *, as_json: bool) -> dict[str, Any]:
    out = output_console()
    answer: dict[str, Any] = {}
    for answer in answers:
        if as_json:
            typer.echo(json.dumps(answer))
        elif not answer.get("done"):
            out.print(told(answer), highlight=False, markup=False)
        elif answer.get("ok"):
            out.print("done", style="bold")
        else:
            say(f"bandpact: {answer.get('why')}", err=True)
    return answer
