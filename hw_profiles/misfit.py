"""Converts the first validation error of a checked table to a message for the file's author."""

from dataclasses import dataclass

from pydantic import ValidationError

_OWN = "Value error, "
"""The prefix that pydantic puts before the message of this project's own checks."""

_WORDS = {"extra_forbidden": "this key is not known", "missing": "is missing"}
"""This project's messages in place of pydantic's `Extra inputs are not permitted` and `Field required`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A validation error: its location as keys and indices, its message, and its pydantic type, or "misspelt"."""

    loc: tuple[int | str, ...]
    said: str
    kind: str

    @property
    def key(self) -> str:
        """The location as dotted key, such as `nodes[0].role`; "" for the table as a whole."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.loc)
        return "".join(parts).removeprefix(".")


def first_misfit(exc: ValidationError) -> Misfit:
    """The first error of a failed check.

    Where a key is missing and an unknown one stands beside it, the unknown one is reported, as a probable misspelling.
    """
    errors = exc.errors(include_url=False)
    first = errors[0]
    if first["type"] == "missing":
        beside = (one for one in errors if one["type"] == "extra_forbidden" and one["loc"][:-1] == first["loc"][:-1])
        unknown = next(beside, None)
        if unknown is not None:
            said = f"this key is not known, and {first['loc'][-1]!r} is missing"
            return Misfit(loc=unknown["loc"], said=said, kind="misspelt")
    said = _WORDS.get(first["type"], str(first["msg"]).removeprefix(_OWN))
    return Misfit(loc=first["loc"], said=said, kind=first["type"])
