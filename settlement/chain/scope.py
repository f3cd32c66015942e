"""What an authority lets a key do: band, area, classes, actions, tier, EIRP, depth.

Delegation only narrows (G3): `wider_than` names the first axis on which a child reaches beyond its parent. Names are
compared whole: `crypto` proves nothing about `cryptocurrency`.
"""

from dataclasses import dataclass

from settlement.chain.codec import array, lat_e7, lon_e7, nested, sint, text, uint
from settlement.fixes import distance_mm
from settlement.reasons import Reason, Refusal, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Frequencies from `low_hz` up to, not including, `high_hz`."""

    low_hz: int = uint(1)
    high_hz: int = uint(2)

    def holds(self, other: "Band") -> bool:
        """True when every frequency of the other band is in this one, and it has some."""
        return self.low_hz <= other.low_hz < other.high_hz <= self.high_hz

    def overlaps(self, other: "Band") -> bool:
        """True when some frequency is in both."""
        return self.low_hz < other.high_hz and other.low_hz < self.high_hz

    def __str__(self) -> str:
        return f"{self.low_hz / 1e6:g}-{self.high_hz / 1e6:g} MHz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A circle on WGS-84."""

    lat_e7: int = lat_e7(1)
    lon_e7: int = lon_e7(2)
    radius_mm: int = uint(3)

    def holds(self, other: "Area") -> bool:
        """True when the other circle is wholly inside this one."""
        apart_mm = distance_mm(self.lat_e7, self.lon_e7, other.lat_e7, other.lon_e7)
        same = self.lat_e7 == other.lat_e7 and self.lon_e7 == other.lon_e7
        return (0 if same else apart_mm) + other.radius_mm <= self.radius_mm

    def overlaps(self, other: "Area") -> bool:
        """True when the circles may share a point."""
        return distance_mm(self.lat_e7, self.lon_e7, other.lat_e7, other.lon_e7) <= self.radius_mm + other.radius_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Instants from `start_ns` up to, not including, `end_ns`; UTC, ns since the Unix epoch."""

    start_ns: int = uint(1)
    end_ns: int = uint(2)

    def holds(self, other: "Window") -> bool:
        """True when the other window is wholly inside this one, and not empty."""
        return self.start_ns <= other.start_ns < other.end_ns <= self.end_ns

    def overlaps(self, other: "Window") -> bool:
        """True when some instant is in both."""
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A piece of spectrum: band x area x window."""

    band: Band = nested(1, Band)
    area: Area = nested(2, Area)
    window: Window = nested(3, Window)

    def overlaps(self, other: "Cell") -> bool:
        """True when the two share some frequency at some place at some time."""
        return self.band.overlaps(other.band) and self.window.overlaps(other.window) and self.area.overlaps(other.area)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a credential entitles its subject to. `tier` 1 is the strongest; `depth` is how many levels may follow."""

    bands: tuple[Band, ...] = array(1, Band, 32, low=1)
    area: Area = nested(2, Area)
    classes: tuple[str, ...] = array(3, text(0, 64), 32, low=1)
    actions: tuple[str, ...] = array(4, text(0, 32), 32)
    tier: int = uint(5, high=255)
    max_eirp_mdbm: int = sint(6)
    depth: int = uint(7, high=8)

    def holds_band(self, band: Band) -> bool:
        """True when one of the scope's bands holds it whole."""
        return any(mine.holds(band) for mine in self.bands)


def wider_than(child: Scope, parent: Scope, *, strictly: bool = True) -> Refusal | None:
    """None when the child's scope is inside the parent's on every axis; else the axis that widens.

    A delegation uses up a level of depth (`strictly`); a successor of the same holder does not.
    """
    deepest = parent.depth - 1 if strictly else parent.depth
    checks = (
        ("band", all(parent.holds_band(b) for b in child.bands), child.bands, parent.bands),
        ("area", parent.area.holds(child.area), child.area, parent.area),
        ("classes", set(child.classes) <= set(parent.classes), child.classes, parent.classes),
        ("actions", set(child.actions) <= set(parent.actions), child.actions, parent.actions),
        ("tier", child.tier >= parent.tier, child.tier, f">= {parent.tier}"),
        ("eirp", child.max_eirp_mdbm <= parent.max_eirp_mdbm, child.max_eirp_mdbm, f"<= {parent.max_eirp_mdbm} mdBm"),
        ("depth", child.depth <= deepest, child.depth, f"<= {deepest}"),
    )
    for axis, held, measured, required in checks:
        if not held:
            return refuse(Reason.SCOPE, f"scope.{axis}", measured, required)
    return None
