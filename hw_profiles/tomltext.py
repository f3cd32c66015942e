"""Parses untrusted TOML text with limits on nesting, number length and key parts."""

import re
import tomllib
from itertools import accumulate
from typing import Any, Final

DEPTH_MAX: Final = 32
"""Deepest nesting of tables and lists; this project's files need four."""
BITS_MAX: Final = 256
"""Most bits of an integer: a hexadecimal one may have any number of digits, but then cannot be printed."""
DOTS_MAX: Final = 1024
"""Most dots on a line: `tomllib` takes time quadratic in a key's parts, half an hour for 1 MiB."""

_NOT_NESTING = re.compile(
    r"""'{3}.*?(?:'{3,5}|\Z)|"{3}(?:\\.|[^\\])*?(?:"{3,5}|\\?\Z)"""
    r"""|'[^'\n]*'?|"(?:\\.|[^"\\\n])*"?|\#[^\n]*|[^]["'#{}]+""",
    re.DOTALL,
)
"""Matches strings, comments and all else without brackets. One or two quotes may precede the closing three."""


def _depth(text: str) -> int:
    """The nesting depth of lists and inline tables, by scanning only: `tomllib` would recurse for each level."""
    return max(accumulate((1 if one in "[{" else -1 for one in _NOT_NESTING.sub("", text)), initial=0))


def read_toml(text: str) -> dict[str, Any]:
    """Parse TOML text. Raises tomllib.TOMLDecodeError for everything that cannot be parsed."""
    if any(line.count(".") > DOTS_MAX for line in text.split("\n")):
        raise tomllib.TOMLDecodeError(f"a line of more than {DOTS_MAX} dots; break it into several lines")
    if _depth(text) > DEPTH_MAX:
        raise tomllib.TOMLDecodeError(f"nested more than {DEPTH_MAX} deep")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (RecursionError, ValueError) as exc:  # ValueError: an integer of thousands of digits
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
