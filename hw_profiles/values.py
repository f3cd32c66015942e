"""Small checked values that profiles are made of: closed ranges, settings on a step, levels with their source."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Table(BaseModel):
    """A table of a profile; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(Table):
    """A closed range of whole numbers, written `[low, high]`, in the unit of the key that holds it."""

    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"the low end {self.low} is above the high end {self.high}")
        return self

    def holds(self, value: float) -> bool:
        """Whether a value is inside, the ends included."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


def _pair(value: object) -> object:
    """`[low, high]` as the file writes it."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return {"low": value[0], "high": value[1]}
    return value


Span: TypeAlias = Annotated[Range, BeforeValidator(_pair)]


class Steps(Table):
    """Decibels a setting can take: from `min` to `max` in steps of `step`."""

    min: float
    max: float
    step: float = Field(gt=0)

    def holds(self, value: float) -> bool:
        """Whether a value is inside and on a step, to a thousandth of a decibel."""
        off = (value - self.min) / self.step
        return self.min <= value <= self.max and abs(off - round(off)) * self.step < 1e-3

    def __str__(self) -> str:
        return f"{self.min:g} to {self.max:g} in steps of {self.step:g}"


class StatedLevel(Table):
    """A level nobody should take on trust: how sure it is, where it comes from, whether it was measured on a unit."""

    value: float
    uncertainty_db: float = Field(ge=0)
    source: str = Field(min_length=1)
    verified: bool


Kind: TypeAlias = Literal["radio", "limits"]
