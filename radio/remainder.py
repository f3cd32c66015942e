"""Computes what remains of a permit after its user has handed on a part: less band, or a suspension. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from settlement.chain.admission import prove
from settlement.chain.credentials import Registry
from settlement.chain.scope import Band
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit
from settlement.records.handover import Handover, Reclaim

HANDED_ON = "handed on"


def proven_handing(raw: bytes, permit: VerifiedPermit, registry: Registry) -> Handover | Reclaim | Refusal:
    """Verify a HANDOVER or a RECLAIM of a permit's lease, signed by its user."""
    registry.admit_chain(permit.user.chain)
    admitted = prove(raw, registry)
    if isinstance(admitted, Refusal):
        return admitted
    body = admitted.record.body
    if not isinstance(body, Handover | Reclaim) or body.sid != permit.sid:
        return refuse(Reason.TYPE, "permits.handing", admitted.record.typ, "a handover or reclaim of this settlement")
    if admitted.author.hash != permit.user.hash:
        return refuse(Reason.BINDING, "permits.handing", admitted.author.name, permit.user.name)
    return body


def kept_band(whole: Band, handed: Iterable[Band]) -> Band | None:
    """The widest contiguous part of a band that overlaps nothing handed on, the lowest of equals; None if none."""
    runs, low_hz = [], whole.low_hz
    for one in sorted(handed, key=lambda band: band.low_hz):
        if one.low_hz > low_hz:
            runs.append(Band(low_hz=low_hz, high_hz=min(one.low_hz, whole.high_hz)))
        low_hz = max(low_hz, one.high_hz)
    if low_hz < whole.high_hz:
        runs.append(Band(low_hz=low_hz, high_hz=whole.high_hz))
    return min(runs, key=lambda run: (run.low_hz - run.high_hz, run.low_hz), default=None)


def narrowed(whole: VerifiedPermit, handed: Iterable[Handover], now: TimeFix) -> VerifiedPermit:
    """The permit without what is handed on, from each HANDOVER until its window is surely over.

    The whole band handed on suspends the permit. Where it lies in the area does not matter: the radio is in one place.
    """
    bands = [one.cell.band for one in handed if not now.after(one.cell.window.end_ns)]
    kept = kept_band(whole.cell.band, bands)
    if kept is None:
        return replace(whole, suspended_for=whole.suspended_for or HANDED_ON)
    return replace(whole, cell=replace(whole.cell, band=kept))
