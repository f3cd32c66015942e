"""Coverage boundary of a lease in a log: from its GRANT, and the position at which its user signed the ACCEPT."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audit.leases import logs_at
from agent.audit.lineages import AuditError
from agent.boundary.contour import BoundaryAntenna, BoundaryPlan, geojson_of, reach_of
from agent.boundary.picture import boundary_picture
from agent.words.units import band_text
from hw_profiles.wholefile import write_whole
from radio.propagation import Position, Propagation
from settlement.chain.bodies import Accept, Grant
from settlement.chain.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryWish:
    """Settings of a boundary: the level at its edge, the antenna, the model and its margin."""

    level_dbm: float
    antenna: BoundaryAntenna
    model: Propagation
    margin_db: float


def draw(
    source: Path,
    lease: str,
    wish: BoundaryWish,
    *,
    anchors: Sequence[str] | None,
    network: str | None,
    out: Path,
) -> dict[str, Any]:
    """Write OUT.geojson and OUT.png; returns what was drawn. Raises AuditError, OSError."""
    grant, accept = _settled(source, lease, anchors, network)
    body, here = grant.body, accept.frame.attestation
    plan = BoundaryPlan(
        at=Position(lat_deg=here.lat_e7 / 1e7, lon_deg=here.lon_e7 / 1e7),
        eirp_dbm=body.max_eirp_mdbm / 1000,
        low_hz=body.cell.band.low_hz,
        high_hz=body.cell.band.high_hz,
        level_dbm=wish.level_dbm,
        antenna=wish.antenna,
        model=wish.model,
        margin_db=wish.margin_db,
    )
    reach = reach_of(plan)
    band = band_text(plan.low_hz, plan.high_hz)
    about = {"permission_id": body.sid.hex(), "band": band, "known_to_m": here.radius_mm / 1000}
    drawn = geojson_of(plan, reach, about)
    write_whole(out.with_suffix(".geojson"), (json.dumps(drawn, indent=1) + "\n").encode())
    boundary_picture(plan, reach, f"{body.sid.hex()[:12]}: {band}, {plan.eirp_dbm:g} dBm", out.with_suffix(".png"))
    return {
        **about,
        "eirp_dbm": plan.eirp_dbm,
        "level_dbm": plan.level_dbm,
        "margin_db": round(plan.margin_db, 2),
        "median_m": [round(min(reach.median_m), 1), round(max(reach.median_m), 1)],
        "outer_m": round(max(reach.outer_m), 1),
        "inner_m": round(min(reach.inner_m), 1),
        "geojson": str(out.with_suffix(".geojson")),
        "picture": str(out.with_suffix(".png")),
    }


def _settled(source: Path, lease: str, anchors: Sequence[str] | None, network: str | None) -> tuple[Record, Record]:
    """Return GRANT and ACCEPT of the one lease whose id begins with the prefix."""
    found: dict[bytes, dict[type[Any], Record]] = {}
    for read in logs_at(source, anchors=anchors, network=network).values():
        for entry in read.entries:
            record = entry.record
            if record is None or not entry.leaf.admitted or not isinstance(record.body, Grant | Accept):
                continue
            if record.body.sid.hex().startswith(lease.lower()):
                found.setdefault(record.body.sid, {})[type(record.body)] = record
    whole = [pair for pair in found.values() if len(pair) == 2]
    if len(whole) != 1:
        what = "no lease that was granted and accepted begins" if not whole else f"{len(whole)} leases begin"
        raise AuditError(f"{lease}: {what} like this; see bandpact lease list")
    return whole[0][Grant], whole[0][Accept]
