"""Formats the list of commands in `--help`: each with its whole first sentence, `bandpact`'s own by purpose."""

from typing import Any, Final

from typer.core import TyperGroup

SENTENCE_MAX: Final = 300
"""Number of characters above any first sentence's length, so that none is cut."""
SECTIONS: Final = (
    ("Begin here", ("trial", "kit", "doctor")),
    ("A node", ("node", "config", "run", "status", "watch", "page", "history", "clock", "install-service")),
    ("Its transmitter", ("tx", "stop", "warden")),
    ("The market", ("offer", "acquire", "relinquish", "lease", "fallback", "auction", "dispute", "directory")),
    ("Authorities", ("authority", "ruling", "calendar")),
    ("Looking into logs", ("audit", "report", "witness")),
    ("Signals", ("sense", "record", "recordings", "calibrate", "sim")),
    ("Base stations", ("cbsd",)),
    ("Measuring bandpact itself", ("bench", "campaign", "attacks")),
)
"""Every command of `bandpact`, grouped by purpose."""


class Listed(TyperGroup):
    """A command group that lists its commands with whole first sentences, however narrow the terminal."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        self.listed(ctx, formatter, "Commands", self.list_commands(ctx))

    def listed(self, ctx: Any, formatter: Any, title: str, names: Any) -> None:
        """Write one section of the list."""
        found = [(name, self.get_command(ctx, name)) for name in names]
        rows = [(name, one.get_short_help_str(SENTENCE_MAX)) for name, one in found if one is not None]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
