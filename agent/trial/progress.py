"""Progress output of a running trial: a bar on a terminal, plain lines otherwise."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

SPOKEN = {
    "offered": "offers {band}",
    "no offer": "finds no offer for {band}",
    "requested": "asks for {band}",
    "granted": "grants {band} to {user}",
    "settled": "settled {band}",
    "refused": "is refused {band}: {reason}",
    "aborted": "aborted: {reason}",
    "refusal": "refuses {peer}: {reason}",
    "preempted": "takes back {band}: {reason}",
    "lease suspended": "suspends {band}: {reason}",
    "lease resumed": "resumes {band}",
    "ended": "settlement ended: {reason}",
    "incumbent": "hears an incumbent ({kind})",
    "warden silent": "warden silent; muted by the agent, RF reads back {rf}",
    "attack": "attacks: {what}",
}


def sentence(event: dict[str, Any]) -> str | None:
    """Return one line for people on an event; None for an event that is not shown."""
    if event["event"] == "gate":
        if "OPEN" in (event["state"], event["previous"]):
            why = f": {event['reason']}" if event["reason"] else ""
            return f"gate {event['previous']} to {event['state']}{why}"
        return None
    form = SPOKEN.get(event["event"])
    return form.format_map({"user": "", "reason": "", **event}) if form else None


class Reporter:
    """Writes to standard error, so that standard output stays for results."""

    def __init__(self, console: Console, duration_s: float) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._refusals: set[tuple[str, str, str]] = set()
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._task = self._bar.add_task("trial", total=duration_s, start=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line of its own."""
        (self._bar.console if self._bar else self._console).print(text, highlight=False, markup=False)

    def event(self, event: dict[str, Any], at_s: float | None) -> None:
        """Print an event that is shown; the same bytes refused again, as when resent, only once."""
        if event["event"] == "refusal":
            refusal = event["node"], event["peer"], event["detail"]
            if refusal in self._refusals:
                return
            self._refusals.add(refusal)
        text = sentence(event)
        if text is not None:
            clock = f"{at_s:6.2f} s" if at_s is not None else "        "
            self.say(f"{clock}  {event['node']:<9} {text}")

    def advance(self, done_s: float) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done_s)
