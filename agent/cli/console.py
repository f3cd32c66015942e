"""The consoles of the command line: styles are ours, text is anyone's and never steers the terminal."""

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from agent.words.instants import with_instants
from hw_profiles.printable import bare, lines, named, printable, spoken_in


class PlainConsole(Console):
    """Rich's console without markup, emoji or links in text; a string is one line, and every character of it shows."""

    def __init__(self, stream: TextIO) -> None:
        """`stream`: standard output or error."""
        super().__init__(file=bare(stream), soft_wrap=True, markup=False, highlight=False, emoji=False)
        self._said = getattr(stream, "said", "")

    def print(self, *objects: Any, **how: Any) -> None:
        """Print lines, tables and the like; in a line an instant in ns is said as UTC."""
        shown = (printable(with_instants(one)) if isinstance(one, str) else one for one in objects)
        with named(self._said):
            super().print(*shown, **{**how, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What to write for anything that can be shown, each piece of text printable."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(spoken_in(lines(one.text), self.file), one.style)
