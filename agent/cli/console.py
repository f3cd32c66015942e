"""Consoles of the command line: only our own styles apply, and printed text cannot control the terminal."""

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from agent.words.instants import with_instants
from hw_profiles.printable import bare, lines, named, printable, spoken_in

NARROWEST = 80
"""Characters per line for which tables are laid out; on a narrower terminal their lines wrap, and nothing is cut."""


class PlainConsole(Console):
    """Rich's console without markup, emoji or links in text; a string prints as one line, control characters shown."""

    def __init__(self, stream: TextIO) -> None:
        """Args: stream: standard output or error."""
        super().__init__(file=bare(stream), soft_wrap=True, markup=False, highlight=False, emoji=False)
        self._said = getattr(stream, "said", "")

    def print(self, *objects: Any, **how: Any) -> None:
        """Print lines, tables and other renderables; in a line an instant in ns is shown as UTC."""
        shown = [printable(with_instants(one)) if isinstance(one, str) else one for one in objects]
        here = self.width
        self.width = max(here, *(self._least(one) for one in shown), 0)
        try:
            with named(self._said):
                super().print(*shown, **{**how, "markup": False, "emoji": False})
        finally:
            self.width = here

    def _least(self, shown: object) -> int:
        """Return the least width in characters of a table, 0 for all else: narrower, columns and digits are lost."""
        if not isinstance(shown, Table):
            return 0
        return min(NARROWEST, Measurement.get(self, self.options.update(max_width=NARROWEST), shown).maximum)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of any renderable, with control characters escaped."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(spoken_in(lines(one.text), self.file), one.style)
