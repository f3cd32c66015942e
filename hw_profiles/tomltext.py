"""Reads TOML text of whoever wrote it: what nests without end, or holds a number without end, is no TOML to anyone."""

import re
import tomllib
from itertools import accumulate
from typing import Any, Final

DEPTH_MAX: Final = 32
"""Tables and lists in one another; a file of ours has four."""
BITS_MAX: Final = 256
"""Of a whole number: in hexadecimal it may be read with any number of digits, and then not be printed."""
DOTS_MAX: Final = 1024
"""On one line: for a key `tomllib` takes a time that grows with the square of its parts; 1 MiB takes half an hour."""

_NOT_NESTING = re.compile(
    r"""'{3}.*?(?:'{3,5}|\Z)|"{3}(?:\\.|[^\\])*?(?:"{3,5}|\\?\Z)"""
    r"""|'[^'\n]*'?|"(?:\\.|[^"\\\n])*"?|\#[^\n]*|[^]["'#{}]+""",
    re.DOTALL,
)
"""Strings, remarks, and all that is no bracket. One or two quotes may stand before the three that end a string."""


def _depth(text: str) -> int:
    """How deep lists and inline tables are nested, without reading them: `tomllib` calls itself for each."""
    return max(accumulate((1 if one in "[{" else -1 for one in _NOT_NESTING.sub("", text)), initial=0))


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises tomllib.TOMLDecodeError, for all that cannot be read alike."""
    if any(line.count(".") > DOTS_MAX for line in text.split("\n")):
        raise tomllib.TOMLDecodeError(f"a line of more than {DOTS_MAX} dots; break it into several lines")
    if _depth(text) > DEPTH_MAX:
        raise tomllib.TOMLDecodeError(f"nested more than {DEPTH_MAX} deep")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (RecursionError, ValueError) as exc:  # ValueError: a whole number of thousands of digits
        why = "nested without end" if isinstance(exc, RecursionError) else "a number of thousands of digits"
        raise tomllib.TOMLDecodeError(why) from None
    level: list[Any] = [found]
    for _ in range(DEPTH_MAX):
        level = [one for held in level for one in (held.values() if isinstance(held, dict) else held)]
        if any(isinstance(one, int) and one.bit_length() > BITS_MAX for one in level):
            raise tomllib.TOMLDecodeError("a number of thousands of digits")
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return found
    raise tomllib.TOMLDecodeError(f"nested more than {DEPTH_MAX} deep")
