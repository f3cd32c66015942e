"""The text protocol of libiio 0.x servers, without sockets: parses command lines, formats responses.

Behaviour as measured on Debian's own daemon, version 0.24: integers are decimal and end with a newline, errors are
negative errno, an attribute's length counts its trailing NUL, a channel mask is groups of eight hexadecimal digits.
"""

import errno
from dataclasses import dataclass
from typing import Final, TypeAlias

VERSION_REPLY: Final = b"0.24.v0.24  \n"
LINE_MAX: Final = 4096
VALUE_MAX: Final = 65_536
MASK_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """The name of an attribute: `kind` is device, debug, buffer, input or output; `channel` for the last two."""

    device: str
    kind: str
    attribute: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """Read an attribute."""

    name: Name


@dataclass(frozen=True, slots=True)
class Write:
    """Write an attribute; `size` raw bytes follow the line."""

    name: Name
    size: int


@dataclass(frozen=True, slots=True)
class Open:
    """Open a buffer of `samples` for the channels in `mask`."""

    device: str
    samples: int
    mask: str
    cyclic: bool


@dataclass(frozen=True, slots=True)
class ReadBuffer:
    """Read so many bytes of a receive buffer."""

    device: str
    size: int


@dataclass(frozen=True, slots=True)
class WriteBuffer:
    """Write so many bytes, sent once the server has answered go ahead."""

    device: str
    size: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close a buffer."""

    device: str


@dataclass(frozen=True, slots=True)
class SetBuffers:
    """Set the number of kernel buffers for the next opening."""

    device: str
    count: int


@dataclass(frozen=True, slots=True)
class Timeout:
    """The client's timeout; the simulated device needs none."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """Read or set a trigger; a Pluto has none."""

    device: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A command without arguments: VERSION, PRINT, EXIT or HELP."""

    verb: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that is no command of this server, and the error to answer."""

    code: int


Command: TypeAlias = (
    Read | Write | Open | ReadBuffer | WriteBuffer | Close | SetBuffers | Timeout | Trigger | Plain | Bad | None
)
INVALID: Final = Bad(-errno.EINVAL)
PLAIN: Final = frozenset({"VERSION", "PRINT", "EXIT", "HELP"})


def parse(line: bytes) -> Command:
    """The command of a line; None for an empty line, which gets no answer."""
    try:
        words = line.decode("ascii").split()
    except UnicodeDecodeError:
        return INVALID
    if not words:
        return None
    verb, rest = words[0].upper(), words[1:]
    if verb in PLAIN:
        return Plain(verb) if not rest else INVALID
    try:
        return _with_arguments(verb, rest)
    except (ValueError, IndexError):
        return INVALID


def _with_arguments(verb: str, rest: list[str]) -> Command:
    """Parse a command's arguments. Raises ValueError, IndexError where they do not fit it."""
    match verb:
        case "READ":
            return Read(_name(rest))
        case "WRITE":
            return Write(_name(rest[:-1]), _whole(rest[-1], VALUE_MAX))
        case "OPEN":
            cyclic = [word.upper() for word in rest[3:]]
            if cyclic not in ([], ["CYCLIC"]):
                return INVALID
            return Open(rest[0], _whole(rest[1]), _mask(rest[2]), bool(cyclic))
        case "READBUF":
            return ReadBuffer(rest[0], _whole(rest[1]))
        case "WRITEBUF":
            return WriteBuffer(rest[0], _whole(rest[1]))
        case "CLOSE" if len(rest) == 1:
            return Close(rest[0])
        case "SET" if len(rest) == 3 and rest[1].upper() == "BUFFERS_COUNT":
            return SetBuffers(rest[0], _whole(rest[2]))
        case "TIMEOUT":
            return Timeout(_whole(rest[0]))
        case "GETTRIG" | "SETTRIG":
            return Trigger(rest[0])
    return INVALID


def _name(words: list[str]) -> Name:
    kind = words[1].upper() if len(words) > 2 else ""
    if kind in ("INPUT", "OUTPUT"):
        device, _, channel, attribute = words
        return Name(device=device, kind=kind.lower(), channel=channel, attribute=attribute)
    if kind in ("DEBUG", "BUFFER"):
        device, _, attribute = words
        return Name(device=device, kind=kind.lower(), attribute=attribute)
    device, attribute = words
    return Name(device=device, kind="device", attribute=attribute)


def _whole(word: str, most: int = 2**31 - 1) -> int:
    number = int(word)
    if not 0 <= number <= most:
        raise ValueError(word)
    return number


def _mask(word: str) -> str:
    if len(word) % MASK_DIGITS or int(word, 16) == 0:
        raise ValueError(word)
    return word.lower()


def integer(value: int) -> bytes:
    """Format a result or a negative errno."""
    return b"%d\n" % value


def value(text: str) -> bytes:
    """Format an attribute's value: length with the NUL, the text, the NUL, a newline."""
    data = text.encode("ascii") + b"\0"
    return integer(len(data)) + data + b"\n"


def document(xml: bytes) -> bytes:
    """Format the context description."""
    return integer(len(xml)) + xml + b"\n"


def chunk_header(size: int, mask: str | None) -> bytes:
    """Format the header of a chunk of samples; the mask goes with the first chunk only."""
    return integer(size) if mask is None else integer(size) + mask.encode("ascii") + b"\n"


def written(data: bytes) -> str:
    """The text that a client wrote, without a trailing NUL; raises ValueError if it is not ASCII."""
    return data.split(b"\0", 1)[0].decode("ascii").strip()
