"""Sends a command to the running agent over its local socket and prints each step; Ctrl-C cancels the command."""

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
    "aborted": "no settlement came of it: {reason}",
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
    "known already": "{type} known here already; nothing is changed by it",
    "not taken": "{type} not taken",
    "relinquished": "silent, and the holder is told",
    "filled": "{why}",
    "moving": "FALLBACK sent: {sid} ends when its substitute opens; {owed} owed for the move",
    "undelivered": "ended for nobody: {sid}; its user is told, and may dispute it",
    "disputed": "dispute {dispute} raised: {ground}, claim {claim}, {evidence} records cited",
    "answered": "answered, {stance}: {evidence} records cited",
    "case": "case file of {dispute}",
    "offered": "offered {band}",
    "intended": "told the neighbours what is looked for: {band}",
    "whole": "every part is confirmed: one settlement, {whole}",
    "handed on": "HANDOVER sent: a {kind} to {to}, which has to ask for it",
    "asked for": "{to} asks for it; GRANT sent",
    "silent": "the radio here is silent in it; waiting for what else is needed",
    "handed over": "CONFIRM sent: {to} has it, {sid}",
    "auction opened": "auction {auction} opened",
    "auction": "auction {state}",
    "bid placed": "bid sealed and sent, with a deposit of {deposit}; it is {shown}",
}


class _Blank(dict[str, Any]):
    """Fields of an answer; a missing field reads as an empty string."""

    def __missing__(self, key: str) -> str:
        return ""


def told(answer: dict[str, Any]) -> str:
    """Return an answer as text."""
    step = str(answer.get("step"))
    if step == "considered":
        return _considered(answer.get("offers", []))
    if step == "auctions":
        return "\n".join(map(auction_text, answer.get("auctions", []))) or "no auction is known"
    if step == "dispute":
        return _disputed(answer)
    return SENTENCES[step].format_map(_Blank(answer)).strip() if step in SENTENCES else step


def _considered(offers: list[dict[str, Any]]) -> str:
    """Return a line for each offer: taken or passed over, and why."""
    from agent.words.units import band_text

    lines = [
        f"  {'taken ' if one['taken'] else 'passed'}  {band_text(one['low_hz'], one['high_hz'])} by {one['holder']}"
        f", price {one['price']}: {one['why']}"
        for one in offers
    ]
    return "\n".join([f"{len(offers)} offers seen", *lines])


def auction_text(one: dict[str, Any]) -> str:
    """Return an auction as text: what is sold, its state, its bids."""
    from agent.service.snapshot import auction_line

    bids = [
        f"  {bid['bidder']}: {'sealed' if bid['price'] is None else bid['price']}"
        + (f", deposit of {bid['deposit_lost']} lost" if bid["deposit_lost"] else "")
        for bid in one.get("bids", [])
    ]
    return "\n".join([auction_line(one), *bids])


def _disputed(one: dict[str, Any]) -> str:
    """Return a dispute as text: state, records cited, answer, ruling and payment."""
    from agent.words.disputes import dispute_line

    cited = ", ".join(one.get("evidence", [])) or "nothing"
    more = [f"  claims {one.get('claim')}, cites {cited}"]
    more += [f"  answer: {one['answer']}"] if one.get("answer") else []
    more += [f"  ruling: {one['why']}"] if one.get("why") else []
    more += [f"  paid: {one['paid']}"] if one.get("paid") else []
    if not one.get("party", True):
        more.append("  this node is no party: what was answered, ruled and paid stands in the logs of the two parties")
    return "\n".join([dispute_line(one), *more])


def run_folder_of(config: Path | None) -> Path:
    """Return the run folder, where a configured agent has its socket; ends the command without such a configuration."""
    from agent.config.files import load_found
    from agent.config.settings import ConfigError

    try:
        return load_found(config).run_folder
    except ConfigError as exc:
        fail(str(exc))


def converse(run_folder: Path, *, as_json: bool, **command: Any) -> None:
    """Send a command, print the answers, and end with its result: 0 done, 1 not done, 130 cancelled."""
    answers = converse_for(run_folder, as_json=as_json, **command)
    raise typer.Exit(Exit.OK if answers and answers[-1].get("ok") else Exit.FAILURE)


def converse_for(run_folder: Path, *, as_json: bool, **command: Any) -> list[dict[str, Any]]:
    """Send a command, print and return the answers; ends the command where no agent answers, or on Ctrl-C."""
    from agent.node.control import Client, NotRunning

    client = Client(run_folder)
    try:
        client.say(**command)
        try:
            return _show(client.answers(FIRST_MS, None), as_json=as_json)
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


def _show(answers: Iterator[dict[str, Any]], *, as_json: bool) -> list[dict[str, Any]]:
    out = output_console()
    heard: list[dict[str, Any]] = []
    for answer in answers:
        heard.append(answer)
        if as_json:
            typer.echo(json.dumps(answer))
        elif not answer.get("done"):
            for line in told(answer).splitlines():  # a line break inside one printed text would be shown escaped
                out.print(line, highlight=False, markup=False)
        elif answer.get("ok"):
            out.print("done", style="bold")
        else:
            say(f"bandpact: {answer.get('why')}", err=True)
    return heard
