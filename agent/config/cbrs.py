"""The tables of a node's configuration for the SAS above, base stations below, and the incumbents' calendar."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from agent.config.section import Section
from hw_profiles.switch import Switch


class SasSection(Section):
    """The SAS above: its address up to the version, our files for mutual TLS, and who this node's own radio is there.

    `registration` is the registrationRequest of the node's own radio; base stations below register by their own.
    `roles`: its certificate must name the role of a SAS.
    """

    url: str = Field(pattern=r"^https://[^\s]+$")
    key: Path
    certificate: Path
    roots: Path
    revoked: Path
    roles: Switch = True
    inquire: Switch = True
    registration: dict[str, Any] | None = None


class CbsdDeviceSection(Section):
    """A base station that may come: who it is, and what it need not send itself (`installation` as the wire has it)."""

    fcc: str = Field(min_length=1, max_length=19)
    serial: str = Field(min_length=1, max_length=64)
    category: Literal["A", "B"] | None = None
    air_interface: str | None = None
    capabilities: list[str] | None = None
    installation: dict[str, Any] | None = None
    blocked: Switch = False
    certificate: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class InstallerSection(Section):
    """A certified installer whose signature counts: the CPI id and the PEM file of the certificate or public key."""

    cpi: str
    key: Path


class CbsdSection(Section):
    """Base stations below: where they reach this node, who may come, and how little is given out at a time.

    `silent_within_s`: what a base station may take to be silent after its time; 60 is what the standard allows.
    `experimental`: a licence lets 3550-3700 MHz be used without a SAS above.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    key: Path
    certificate: Path
    roots: Path
    revoked: Path
    roles: Switch = True
    devices: list[CbsdDeviceSection] = Field(min_length=1, max_length=1000)
    groups: list[str] = Field(default=[])
    installers: list[InstallerSection] = Field(default=[])
    horizon_s: int = Field(default=60, ge=1, le=240)
    silent_within_s: int = Field(default=60, ge=0, le=60)
    experimental: Switch = False
    channel_type: Literal["GAA", "PAL"] = "GAA"
    ask_measured: list[str] = Field(default=[])


class CalendarSection(Section):
    """The incumbents' signed calendar, and the public keys (64 hex digits) whose signature counts."""

    file: Path
    keys: list[str] = Field(min_length=1)
