"""Allowed names of nodes, authorities, networks, classes and groups, and which names look alike. Pure.

A name is ASCII letters, digits, and single spaces, dots, underscores or hyphens between them, so that no letter of
another script can look like a Latin one. Two names look alike if their skeletons are equal: without regard to letter
case, and with the ASCII pairs of Unicode's confusables (UTS 39, confusables.txt) treated as equal: 0 and O; 1, l, I
and |; rn and m; vv and w.
"""

import re
from collections.abc import Iterable

NAME_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9]+(?:[ ._-][A-Za-z0-9]+)*", re.ASCII)
_SINGLE = str.maketrans({"0": "o", "1": "l", "I": "l", "|": "l"})


def name_flaw(name: str) -> str | None:
    """Return why a text is not allowed as a name; None where it is allowed."""
    if not 1 <= len(name) <= NAME_MAX:
        return f"give 1 to {NAME_MAX} characters"
    strange = next((c for c in name if not c.isascii()), None)
    if strange is not None:
        return f"U+{ord(strange):04X} is not ASCII, and may look like a letter that is"
    if _NAME.fullmatch(name) is None:
        return "letters, digits, and single spaces, dots, underscores or hyphens between them"
    return None


def skeleton(name: str) -> str:
    """Return the skeleton of a name: equal skeletons mean names that look alike."""
    plain = re.sub(r"[ ._-]", "-", name.translate(_SINGLE).lower())
    return plain.replace("m", "rn").replace("w", "vv")  # never the other way: vvv may be vw, or wv


def alike(one: str, other: str) -> bool:
    """Whether two names look alike."""
    return one.casefold() == other.casefold() or skeleton(one) == skeleton(other)


def names_flaw(names: Iterable[str]) -> str | None:
    """Return the first name that is not allowed or looks like another of them; None where all can be told apart."""
    known: list[str] = []
    for name in names:
        wrong = name_flaw(name)
        if wrong is not None:
            return f"{name!r}: {wrong}"
        other = next((one for one in known if alike(one, name)), None)
        if other is not None:
            return f"{name!r} looks like {other!r}; give it a name of its own"
        known.append(name)
    return None
