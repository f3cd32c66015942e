"""Makes untrusted text safe for terminals, logs and pages: every control or invisible character is escaped.

A terminal obeys control characters (C0, C1, ESC), a reader's eye follows direction and invisible characters, a log or a
page ends its line at more than the newline, and a lone surrogate ends the program that prints it. None of them says
anything in a name, a reason or a path. Sources: ECMA-48; Unicode TR 36 section 3.6; CVE-2021-42574 on direction.
"""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import IO, Any, Final, TextIO
from unicodedata import combining

UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Invisible letters, marks and symbols: fillers, joiners, variation selectors, the blank braille pattern."""
MARKS_MAX: Final = 4
"""Most combining marks on one letter; more would be drawn over the lines above and below."""


def printable(text: object, *, keep: str = "", form: str = "") -> str:
    r"""Escape each control, format, separator, private and unassigned character as \xNN, \uNNNN or \UNNNNNNNN.

    Other invisible characters, and each combining mark beyond MARKS_MAX on one letter, are escaped too.

    `keep` has characters that stay as they are; `form` is another format of an escaped one, for `str.format` with its
    code point. Printable text comes back unchanged.
    """
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw
    if not raw.isprintable():
        raw = "".join(c if c.isprintable() or c in keep else _written(c, form) for c in raw)
    if raw.isascii():
        return raw
    return _few_marks(UNSEEN.sub(lambda found: _written(found[0], form), raw), form)


def _few_marks(text: str, form: str) -> str:
    """The text with combining marks beyond MARKS_MAX on one letter escaped."""
    out, marks = list[str](), 0
    for c in text:
        marks = marks + 1 if combining(c) else 0
        out.append(c if marks <= MARKS_MAX else _written(c, form))
    return "".join(out)


def shown(value: Any) -> Any:
    """A value as JSON has it, with all its texts and keys printable; NaN and infinity become null."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {printable(key): shown(one) for key, one in value.items()}
        case list() | tuple():
            return [shown(one) for one in value]
        case float() if not isfinite(value):
            return None
        case _:
            return value


def _written(character: str, form: str) -> str:
    return form.format(ord(character)) if form else character.encode("unicode_escape").decode("ascii")


def lines(text: object) -> str:
    """Make each line of a text printable: its newlines are trusted."""
    return printable(text, keep="\n")


class PrintableStream(io.TextIOBase):
    """A text stream that escapes what a terminal would obey, and whatever its encoding lacks.

    It never counts as a terminal: styled output goes to the `bare` stream, written by callers that made the text
    printable themselves.
    """

    def __init__(self, bare: TextIO, *, said: str = "") -> None:
        """Args: bare is the stream behind; said is its name in messages about what the operating system refuses."""
        self.bare, self.said = bare, said

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8: any text may be written."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The error handler: characters that the encoding lacks are escaped."""
        return "backslashreplace"

    @property
    def buffer(self) -> Any:
        """The binary stream behind."""
        return self.bare.buffer

    def write(self, text: str) -> int:
        """Write text, made printable except for newlines."""
        if not isinstance(text, str):
            raise TypeError("text, not bytes")
        with named(self.said):
            self.bare.write(spoken_in(lines(text), self.bare))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:  # type: ignore[override]
        """Write several texts."""
        for text in texts:
            self.write(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        with named(self.said):
            self.bare.flush()

    def fileno(self) -> int:
        """The file descriptor behind."""
        return self.bare.fileno()

    def writable(self) -> bool:
        """Always True."""
        return True

    def isatty(self) -> bool:
        """Always False: no text here may control a terminal."""
        return False


@contextmanager
def named(said: str) -> Iterator[None]:
    """Name the stream in every OSError raised inside, as OSError names a file."""
    try:
        yield
    except OSError as exc:
        if exc.filename is None and said:
            exc.filename = said
        raise


def spoken_in(text: str, stream: IO[str]) -> str:
    """The text with characters escaped that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def bare(stream: TextIO) -> TextIO:
    """The stream behind a PrintableStream."""
    return stream.bare if isinstance(stream, PrintableStream) else stream
