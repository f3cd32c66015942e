"""The first thing that is wrong with a table that was checked, in words for the person who wrote it."""

from dataclasses import dataclass

from pydantic import ValidationError

_OWN = "Value error, "
"""What pydantic puts before the words of a check of ours; "Assertion failed" is never used."""

_WORDS = {"extra_forbidden": "this key is not known", "missing": "is missing"}
"""What pydantic would say as `Extra inputs are not permitted` and `Field required`."""


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
    """The first error of a failed check.

    Where a key is missing and one beside it is not known, the latter is told: it is the former, misspelt.
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
