"""Request and answer values between this node's SAS and the warden.

The endpoint speaks for the warden, no more: it can give out only what `Outlet` answered, and each answer is bounded,
and on disk before it is heard.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A base station's position: degrees x 1e7, and its error bound, mm."""

    lat_e7: int
    lon_e7: int
    radius_mm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for one CBSD's grant, new (`fresh`) or renewed; frequencies in Hz, EIRP density in mdBm/MHz."""

    device: str
    grant: str
    low_hz: int
    high_hz: int
    density_mdbm_per_mhz: int
    spot: Spot
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """RF may be on until `transmit_until_ns`, the grant may live until `grant_until_ns` (UTC ns, whole seconds)."""

    sid: bytes
    transmit_until_ns: int
    grant_until_ns: int
    interval_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A refusal. `over`: the reason is final (500); otherwise the grant may come back (501)."""

    reason: str
    detail: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A band that a CBSD could be granted now, and its highest EIRP density."""

    low_hz: int
    high_hz: int
    density_mdbm_per_mhz: int


Answer: TypeAlias = Given | Withheld


class Giver(Protocol):
    """The port by which the SAS asks for grants; the warden is behind it."""

    def give(self, asks: list[Ask]) -> list[Answer]:
        """Answer each ask, in order; what is granted is on disk when this returns."""
        ...

    def room(self, device: str, spot: Spot) -> list[Room]:
        """The bands that a CBSD could be granted now."""
        ...

    def registered(self, device: str, item: dict[str, Any]) -> None:
        """Report a base station's registration, with its request, for a SAS above as well."""
        ...

    def returned(self, device: str, grants: list[str]) -> None:
        """Report grants that a CBSD gave back."""
        ...
