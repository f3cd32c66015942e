"""What a SAS below asks the warden before it answers a base station, and what the warden says: plain values.

The endpoint speaks for the warden, no more: it can give out only what `Outlet` answered, and each answer is bounded,
and on disk before it is heard.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a base station stands: degrees x 1e7, and how far off that may be, mm."""

    lat_e7: int
    lon_e7: int
    radius_mm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One CBSD's grant, wanted for the first time (`fresh`) or again; Hz, and mdBm/MHz."""

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
    """Nothing is given. `over`: what it rested on is gone for good; else it may come back."""

    reason: str
    detail: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A band that a CBSD could have now, and how loud."""

    low_hz: int
    high_hz: int
    density_mdbm_per_mhz: int


Answer: TypeAlias = Given | Withheld


class Giver(Protocol):
    """Whoever holds what may be given out."""

    def give(self, asks: list[Ask]) -> list[Answer]:
        """Answer each, in order; what is given is on disk when this returns."""
        ...

    def room(self, device: str, spot: Spot) -> list[Room]:
        """What that CBSD could have now."""
        ...

    def registered(self, device: str, item: dict[str, Any]) -> None:
        """A base station registered, by this request; a SAS above hears of it too."""
        ...

    def returned(self, device: str, grants: list[str]) -> None:
        """Grants that a CBSD gave back."""
        ...
