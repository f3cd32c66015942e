"""Leases that a node hands on by itself, at a time, and what it consents to: the `[leases]` of its configuration."""

from typing import Literal

from pydantic import Field, model_validator

from agent.config.section import Section
from hw_profiles.switch import Switch


class HandSection(Section):
    """A lease of this node is handed on: the newest in force whose band holds this one.

    A `transfer` is of all of it; a `sublease` of `low_hz` to `high_hz`, no louder than `eirp_mdbm`, from `start_s` to
    `end_s` (seconds of the start signal), each as the lease has it where it is not said.
    """

    kind: Literal["transfer", "sublease"]
    to: str
    at_s: float = Field(ge=0)
    low_hz: int
    high_hz: int
    start_s: float | None = None
    end_s: float | None = None
    eirp_mdbm: int | None = None
    price: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "HandSection":
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz is not below high_hz")
        return self


class LeasesSection(Section):
    """How this node's leases change hands: the `[leases]` of its configuration."""

    consents: Switch = True
    """As a holder, consent where a lease that it granted changes hands inside the rule and the rule asks for that."""
    hands: list[HandSection] = Field(default=[])
