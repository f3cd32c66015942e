"""The type of a table's true-or-false key: it takes TOML's true and false, and no other word or number.

Pydantic alone takes "yes", "off" or 1 for a truth value: a quoted word of a file would silently decide something.
"""

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

WORDS = {"true": True, "false": False}
"""A truth value as an environment variable has it."""


def plainly(value: Any) -> bool:
    """Return a truth value. Raises ValueError for whatever is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in WORDS:
        return WORDS[value.lower()]
    raise ValueError("write true or false, without quotes")


Switch: TypeAlias = Annotated[bool, BeforeValidator(plainly)]
