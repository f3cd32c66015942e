"""What a node sensed, with the interval that holds the truth."""

from dataclasses import dataclass

from settlement.chain.bodies.sizes import HASH, PPM
from settlement.chain.codec import array, blob, nested, sint, text, uint
from settlement.chain.quantities import count, hertz, instant_ns, millidecibel
from settlement.chain.scope import Band, Window

_MEASURED = (-1_000_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measured value with the interval that holds the truth at the envelope's stated level."""

    value: int = sint(1, meant=_MEASURED)
    low: int = sint(2, meant=_MEASURED)
    high: int = sint(3, meant=_MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelObservation:
    """What was sensed in one channel; `floor_unit` is dBm/Hz when calibrated, dBFS/Hz when relative."""

    band: Band = nested(1, Band)
    state: str = text(2, 32)
    occupancy_ppm: Quantity | None = nested(3, Quantity, optional=True)
    floor_mdb: Quantity | None = nested(4, Quantity, optional=True)
    floor_unit: str = text(5, 16)
    flags: tuple[str, ...] = array(6, text(0, 32), 32)
    clear_above_mdbm: int | None = millidecibel(7, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A capability envelope: `kind` is place, unit or composite; intervals hold at `level_ppm`.

    `sensitivity_mdbm` is the weakest signal the radio can find; a channel's `clear_above_mdbm` claims that nothing
    stronger is in it, and cannot lie below what the radio can find. `modality` names the way of observing, as the rule
    rates it. `parts` names the envelopes a composite is made from; `width_hz_max` is the widest signal of a unit.
    """

    kind: str = text(1, 16)
    observed: Window = nested(2, Window)
    valid_until_ns: int = instant_ns(3)
    level_ppm: int = uint(4, high=PPM)
    looks: int = count(5)
    channels: tuple[ChannelObservation, ...] = array(6, ChannelObservation, 256)
    incumbents: tuple[str, ...] = array(7, text(0, 64), 32)
    max_eirp_mdbm: int | None = millidecibel(8, optional=True)
    sensitivity_mdbm: int | None = millidecibel(9, optional=True)
    modality: str | None = text(10, 64, optional=True)
    parts: tuple[bytes, ...] | None = array(11, blob(0, HASH), 16, optional=True)
    width_hz_max: int | None = hertz(12, least=1, optional=True)
