"""The scope of a credential: what its key may do, by band, area, classes, actions, tier, EIRP and depth.

Delegation only narrows: `wider_than` names the first axis on which a child reaches beyond its parent. Names are
compared whole: `crypto` proves nothing about `cryptocurrency`.
"""

from dataclasses import dataclass

from settlement.chain import rings
from settlement.chain.codec import Flaw, array, lat_e7, lon_e7, nested, text, uint
from settlement.chain.quantities import hertz, instant_ns, millidecibel, millimetres
from settlement.core.fixes import PositionFix, distance_mm, place_inside
from settlement.core.reasons import Reason, Refusal, refuse

HZ = "Hz"
"""The unit of a band that names no other unit."""
PREFIXES = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Frequencies from `low_hz` up to, not including, `high_hz`.

    With a `unit` the band is a part of another quantity, such as the bit/s of a link: its edges count that unit, and
    it overlaps no band of frequencies, whatever the numbers.
    """

    low_hz: int = hertz(1)
    high_hz: int = hertz(2)
    unit: str | None = text(3, 16, optional=True)

    def holds(self, other: "Band") -> bool:
        """True when the other band is not empty and lies wholly in this one."""
        return self.unit == other.unit and self.low_hz <= other.low_hz < other.high_hz <= self.high_hz

    def overlaps(self, other: "Band") -> bool:
        """True when some frequency is in both bands."""
        return self.unit == other.unit and self.low_hz < other.high_hz and other.low_hz < self.high_hz

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where the band is empty; else None."""
        rising = self.low_hz < self.high_hz
        return None if rising else ("", f"{self.low_hz} to {self.high_hz} {self.unit or HZ}", "low_hz below high_hz")

    def __str__(self) -> str:
        if self.unit is not None:
            size, prefix = next((p for p in PREFIXES if self.high_hz >= p[0]), (1, ""))
            return f"{self.low_hz / size:.12g}-{self.high_hz / size:.12g} {prefix}{self.unit}"
        return f"{self.low_hz / 1e6:.12g}-{self.high_hz / 1e6:.12g} MHz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """A corner of an outline on WGS-84."""

    lat_e7: int = lat_e7(1)
    lon_e7: int = lon_e7(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A place on WGS-84: a circle (centre and radius), or an outline of corners joined by geodesics; never both.

    Undecided geometry counts against the asker: `holds` is False and `overlaps` is True.
    """

    lat_e7: int | None = lat_e7(1, optional=True)
    lon_e7: int | None = lon_e7(2, optional=True)
    radius_mm: int | None = millimetres(3, optional=True)
    outline: tuple[Corner, ...] | None = array(4, Corner, rings.CORNERS_MAX, low=rings.CORNERS_MIN, optional=True)

    def form_flaw(self) -> str | None:
        """Return why the fields are neither a circle nor an outline; None when they are one."""
        circle = (self.lat_e7, self.lon_e7, self.radius_mm)
        if self.outline is None:
            return "a circle needs lat_e7, lon_e7 and radius_mm" if None in circle else None
        return "a circle and an outline; one of them" if circle != (None, None, None) else None

    def flaw(self) -> str | None:
        """Return why this is not a valid area; None when it is one. Solves geodesics for an outline."""
        wrong = self.form_flaw()
        return rings.flaw(self.ring) if wrong is None and self.outline is not None else wrong

    @property
    def ring(self) -> rings.Ring:
        """The corners of the outline."""
        return tuple((corner.lat_e7, corner.lon_e7) for corner in self.outline or ())

    @property
    def circle(self) -> tuple[rings.Point, int]:
        """Centre and radius in mm of the circle."""
        return (self.lat_e7 or 0, self.lon_e7 or 0), self.radius_mm or 0

    @property
    def anchor(self) -> tuple[int, int]:
        """A point of the area or its edge: the centre of a circle, the first corner of an outline."""
        return self.circle[0] if self.outline is None else self.ring[0]

    def holds(self, other: "Area") -> bool:
        """True when the other area is surely wholly inside this one."""
        if self.outline is None and other.outline is None:
            (here, radius_mm), (there, other_mm) = self.circle, other.circle
            return (0 if here == there else distance_mm(*here, *there)) + other_mm <= radius_mm
        if self.outline is None:
            here, radius_mm = self.circle
            return rings.farthest_mm(here, other.ring) <= radius_mm
        if other.outline is None:
            return rings.surely_inside(*_disc(other.circle, self.ring))
        return rings.ring_holds(self.ring, other.ring)

    def overlaps(self, other: "Area") -> bool:
        """True unless the two surely share no place."""
        if self.outline is None and other.outline is None:
            (here, radius_mm), (there, other_mm) = self.circle, other.circle
            return distance_mm(*here, *there) <= radius_mm + other_mm
        if self.outline is None:
            return other.overlaps(self)
        if other.outline is None:
            return not rings.surely_outside(*_disc(other.circle, self.ring))
        return not rings.rings_apart(self.ring, other.ring)

    def place(self, position: PositionFix, clause: str) -> Refusal | None:
        """Refuse unless the error disc of a position is inside: SPATIAL_OUTSIDE, or SPATIAL_UNDECIDED if it may be."""
        if self.outline is None:
            (lat, lon), radius_mm = self.circle
            return place_inside(position, lat_e7=lat, lon_e7=lon, radius_mm=radius_mm, clause=clause)
        if not position.trusted:
            return refuse(Reason.POSITION_UNTRUSTED, clause, position.status, "a trusted position")
        inside, clearance_mm = rings.locate((position.lat_e7, position.lon_e7), self.ring)
        side = "inside" if inside else "outside"
        measured = f"{clearance_mm} mm {side} the outline, known to {position.radius_mm} mm"
        if clearance_mm > 0 and clearance_mm >= position.radius_mm + (0 if inside else 1):
            return None if inside else refuse(Reason.SPATIAL_OUTSIDE, clause, measured, f"inside the {self}")
        required = f"{position.radius_mm} mm or more inside the {self}"
        return refuse(Reason.SPATIAL_UNDECIDED, clause, measured, required)

    def __str__(self) -> str:
        lat, lon = self.anchor
        at = f"{lat / 1e7:.7f}, {lon / 1e7:.7f}"
        if self.outline is None:
            return f"circle of {self.radius_mm} mm round {at}"
        return f"outline of {len(self.outline)} corners from {at}"


def _disc(circle: tuple[rings.Point, int], ring: rings.Ring) -> tuple[rings.Point, rings.Ring, int]:
    return circle[0], ring, circle[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Instants from `start_ns` up to, not including, `end_ns`; UTC, ns since the Unix epoch."""

    start_ns: int = instant_ns(1)
    end_ns: int = instant_ns(2)

    def holds(self, other: "Window") -> bool:
        """True when the other window is wholly inside this one, and not empty."""
        return self.start_ns <= other.start_ns < other.end_ns <= self.end_ns

    def overlaps(self, other: "Window") -> bool:
        """True when some instant is in both."""
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where the window ends before it begins; else None."""
        return None if self.start_ns <= self.end_ns else ("", "ends before it begins", "start_ns up to end_ns")


def ordered(window: Window, *, most_ns: int, path: str, least_ns: int = 1) -> Flaw | None:
    """Return what is wrong with the length of a body's window at `path`; None where it is allowed."""
    length_ns = window.end_ns - window.start_ns
    return None if least_ns <= length_ns <= most_ns else (path, f"{length_ns} ns", f"{least_ns} to {most_ns} ns")


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
    """What a credential entitles its subject to. `tier` 1 is the strongest; `depth`: how many levels may follow."""

    bands: tuple[Band, ...] = array(1, Band, 32, low=1)
    area: Area = nested(2, Area)
    classes: tuple[str, ...] = array(3, text(0, 64), 32, low=1)
    actions: tuple[str, ...] = array(4, text(0, 32), 32)
    tier: int = uint(5, high=255)
    max_eirp_mdbm: int = millidecibel(6)
    depth: int = uint(7, high=8)

    def holds_band(self, band: Band) -> bool:
        """True when one of the scope's bands holds the whole band."""
        return any(mine.holds(band) for mine in self.bands)


def wider_than(child: Scope, parent: Scope, *, strictly: bool = True) -> Refusal | None:
    """Compare a child's scope with its parent's: None when inside on every axis, else the axis that is wider.

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
            return refuse(Reason.SCOPE, f"scope.{axis}", _said(measured), _said(required))
    return None


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
