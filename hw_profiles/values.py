"""Value types of profiles: closed ranges, stepped settings, levels with their source."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Table(BaseModel):
    """A table of a profile; an unknown key is an error."""

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
        """Whether a value is inside the range, ends included."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


def _pair(value: object) -> object:
    """Parse `[low, high]` as a file has it."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return {"low": value[0], "high": value[1]}
    return value


Span: TypeAlias = Annotated[Range, BeforeValidator(_pair)]


class Steps(Table):
    """The values in dB of a setting: from `min` to `max` in steps of `step`."""

    min: float
    max: float
    step: float = Field(gt=0)

    def holds(self, value: float) -> bool:
        """Whether a value is inside the range and on a step, to a thousandth of a dB."""
        off = (value - self.min) / self.step
        return self.min <= value <= self.max and abs(off - round(off)) * self.step < 1e-3

    def __str__(self) -> str:
        return f"{self.min:g} to {self.max:g} in steps of {self.step:g}"


class StatedLevel(Table):
    """A level with its uncertainty, its source, and whether it was measured on a unit."""

    value: float
    uncertainty_db: float = Field(ge=0)
    source: str = Field(min_length=1)
    verified: bool


Kind: TypeAlias = Literal["radio", "limits"]
