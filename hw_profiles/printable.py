"""Text of strangers, fit for a terminal, a log line, a page: whatever would act instead of being read is written out.

A terminal obeys control characters (C0, C1, ESC), a reader's eye follows direction and invisible characters, a log or a
page ends its line at more than the newline, and a lone surrogate ends the program that prints it. None of them says
anything in a name, a reason or a path. Sources: ECMA-48; Unicode TR 36 section 3.6; CVE-2021-42574 on direction.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO


def printable(text: object, *, keep: str = "", form: str = "") -> str:
    r"""One line: every control, format, separator, private and unassigned character as \xNN, \uNNNN or \UNNNNNNNN.

    `keep` names characters that stay, `form` another way to write one by its number. What is printable already comes
    back the same.
    """
    raw = str(text)
    if raw.isprintable():
        return raw
    return "".join(c if c.isprintable() or c in keep else _written(c, form) for c in raw)


def _written(character: str, form: str) -> str:
    return form.format(ord(character)) if form else character.encode("unicode_escape").decode("ascii")


def lines(text: object) -> str:
    """Text of several lines, each printable: the newlines are the caller's own."""
    return printable(text, keep="\n")


class PrintableStream(io.TextIOBase):
    """A stream that writes out what a terminal would obey, and never fails for a character its encoding has not.

    It is no terminal to whoever asks: styled output goes to the `bare` stream, by those who made its text printable.
    """

    def __init__(self, bare: TextIO, *, said: str = "") -> None:
        """`bare`: where the text goes; `said`: what a person calls it, for what the operating system refuses of it."""
        self.bare, self.said = bare, said

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8: any text may be written."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What the encoding has not is written out."""
        return "backslashreplace"

    @property
    def buffer(self) -> Any:
        """The bytes beneath, for those who write bytes."""
        return self.bare.buffer

    def write(self, text: str) -> int:
        """Write text, made printable but for its newlines."""
        if not isinstance(text, str):
            raise TypeError("text, not bytes")
        with named(self.said):
            self.bare.write(spoken_in(lines(text), self.bare))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:  # type: ignore[override]
        """Write several."""
        for text in texts:
            self.write(text)

    def flush(self) -> None:
        """Hand on what waits."""
        with named(self.said):
            self.bare.flush()

    def fileno(self) -> int:
        """The descriptor beneath."""
        return self.bare.fileno()

    def writable(self) -> bool:
        """It is for nothing else."""
        return True

    def isatty(self) -> bool:
        """No: nothing here may steer a terminal."""
        return False


@contextmanager
def named(said: str) -> Iterator[None]:
    """What the operating system refuses inside names the stream that it refused it of, as it names a file."""
    try:
        yield
    except OSError as exc:
        if exc.filename is None and said:
            exc.filename = said
        raise


def spoken_in(text: str, stream: IO[str]) -> str:
    """Text with what a stream's encoding has not written out."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def bare(stream: TextIO) -> TextIO:
    """The stream beneath a guarded one."""
    return stream.bare if isinstance(stream, PrintableStream) else stream
