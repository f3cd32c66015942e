"""Tests of validation messages for checked tables: the place of the error and its text."""

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from hw_profiles.misfit import first_misfit
from radio.drivers.registry import unit_at
from tests.agent.sweep import invoked


class Inner(BaseModel):
    size: int = Field(ge=1)

    @field_validator("size")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("not even; take one more")
        return value


class Outer(BaseModel):
    inner: list[Inner]


class Strict(BaseModel, extra="forbid"):
    width: int
    height: int = 0


@pytest.mark.parametrize(
    ("size", "said"), [(3, "not even; take one more"), (0, "Input should be greater than or equal to 1")]
)
def test_the_place_and_the_words(size: int, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": [{"size": 2}, {"size": size}]})
    found = first_misfit(caught.value)
    assert (found.key, found.said, found.loc) == ("inner[1].size", said, ("inner", 1, "size"))


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        ({"widht": 1}, "widht", "this key is not known, and 'width' is missing"),
        ({"width": 1, "depth": 2}, "depth", "this key is not known"),
        ({}, "width", "is missing"),
    ],
)
def test_keys_that_are_unknown_or_missing(table: dict[str, int], key: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Strict.model_validate(table)
    found = first_misfit(caught.value)
    assert (found.key, found.said) == (key, said)


def test_a_unit_that_is_not_named_whole_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r'^driver "sim" needs endpoint and station$'):
        unit_at("sim:x")


def test_a_choice_that_is_none_is_told_without_the_librarys_words() -> None:
    ended = invoked(["offer", "3550-3560MHz", "--price-form", "odd"])
    assert ended.code == 2
    assert "Value error" not in ended.one_line()
    assert "'odd' is not one of" in ended.err
