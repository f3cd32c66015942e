"""Chooses what a simulated member hands on of a lease: all of it, a part, or at times more than it has."""

from dataclasses import replace
from random import Random

from settlement.chain.scope import Band, Cell, Window
from settlement.records.handingterms import SUBLEASE, TRANSFER
from settlement.state.handovers import WantedHandover
from sim.world.plan import MS
from sim.world.trust import RASTER_HZ

QUIETER_MDBM = 17_000
LOUDER_MDBM = 29_000


def wanted_of(sid: bytes, cell: Cell, draw: Random, *, to: bytes, now_ns: int) -> WantedHandover:
    """A transfer, or a sublease of some channels for some of the time; `now_ns` is true UTC."""
    kind = draw.choice((TRANSFER, SUBLEASE, SUBLEASE, SUBLEASE, "wider", "louder"))
    if kind == TRANSFER:
        return WantedHandover(sid=sid, kind=TRANSFER, to=to)
    band, window = cell.band, cell.window
    channels = (band.high_hz - band.low_hz) // RASTER_HZ
    first = draw.randrange(channels)
    last = draw.randrange(first, channels)
    part = Band(low_hz=band.low_hz + first * RASTER_HZ, high_hz=band.low_hz + (last + 1) * RASTER_HZ)
    start_ns = max(window.start_ns, now_ns // MS * MS + MS)
    end_ns = max(start_ns + MS, window.end_ns - draw.choice((0, 500, 1500)) * MS)
    if kind == "wider":
        end_ns = window.end_ns + 500 * MS
    sublet = replace(cell, band=part, window=Window(start_ns=start_ns, end_ns=end_ns))
    eirp_mdbm = LOUDER_MDBM if kind == "louder" else QUIETER_MDBM
    return WantedHandover(sid=sid, kind=SUBLEASE, to=to, cell=sublet, eirp_mdbm=eirp_mdbm)
