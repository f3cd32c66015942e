"""The first thing that is wrong with a table that was checked, in words for the person who wrote it."""

from dataclasses import dataclass

from pydantic import ValidationError

_OWN = "Value error, "
"""What pydantic puts before the words of a check of ours; "Assertion failed" is never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Where it is, as keys and indices, and what is wrong there."""

    loc: tuple[int | str, ...]
    said: str
    kind: str

    @property
    def key(self) -> str:
        """The key with its tables, such as `nodes[0].role`; "" for the table as a whole."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.loc)
        return "".join(parts).removeprefix(".")


def first_misfit(exc: ValidationError) -> Misfit:
    """The first error of a failed check."""
    first = exc.errors(include_url=False)[0]
    return Misfit(loc=first["loc"], said=str(first["msg"]).removeprefix(_OWN), kind=first["type"])
