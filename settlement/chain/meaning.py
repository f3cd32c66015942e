"""Whether the values of a proven record can be meant: bounds of each field by what it measures, and what relates them.

A record may be well formed and signed and still say nothing that arithmetic can take: an envelope sure to 0 ppm, a band
that ends where it begins, a window of centuries. This is asked right behind the signature, of every record by whatever
way it comes (a neighbour, the log at a start, an artifact, an auditor), so that no code behind has to ask again. It
costs no geometry; whether an outline is one is asked in `entitlement`, of those who may speak at all.
"""

from collections.abc import Callable
from typing import Any

from settlement.chain.bodies import (
    PPM,
    Admission,
    Axis,
    ChannelObservation,
    ClassTerms,
    Counter,
    Declaration,
    Envelope,
    Fallback,
    Grant,
    Intent,
    Quantity,
    Request,
    Revocation,
    Rule,
    Schema,
)
from settlement.chain.codec import FieldKind, kinds_of
from settlement.chain.quantities import LIFE_MAX_NS, VALIDITY_MAX_NS, WINDOW_MAX_NS
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse

UNIT = "unit"
Flaw = tuple[str, object, str]
"""The path to a field from where it was looked for, what it holds, and what would be meant."""
_Check = Callable[[Any], Flaw | None]
_CHECKS: dict[type[Any], _Check] = {}


def flaw(typ: str, body: Any, attestation: Any) -> Refusal | None:
    """What in a record cannot be meant, or None. `attestation` says when and where it was signed."""
    found = _sources(attestation) or _of_class(type(body))(body) or _to_signing(body, attestation.latest_ns)
    if found is None:
        return None
    path, measured, required = found
    return refuse(Reason.TERMS, f"meaning.{typ}{path}", measured, required)


def flaw_of(value: Any) -> Refusal | None:
    """The same of a body that nobody has signed yet."""
    found = _of_class(type(value))(value)
    return None if found is None else refuse(Reason.TERMS, f"meaning{found[0]}", found[1], found[2])


def _sources(attestation: Any) -> Flaw | None:
    if attestation.time_source > max(TimeSource):
        return ".attestation.time_source", attestation.time_source, f"<= {max(TimeSource)}"
    if attestation.position_source > max(PositionSource):
        return ".attestation.position_source", attestation.position_source, f"<= {max(PositionSource)}"
    return None


def _none(_value: Any) -> Flaw | None:
    return None


def _of_class(cls: type[Any]) -> _Check:
    """The check of a schema class: its fields, what it is made of, and itself as a whole. Made once for each class."""
    if cls not in _CHECKS:
        _CHECKS[cls] = _made(cls)
    return _CHECKS[cls]


def _made(cls: type[Any]) -> _Check:
    parts = [(name, check) for name, kind in kinds_of(cls) if (check := _of_kind(kind)) is not _none]
    whole = _WHOLE.get(cls)
    if not parts and whole is None:
        return _none

    def check_all(value: Any) -> Flaw | None:
        for name, check in parts:
            held = getattr(value, name)
            found = check(held) if held is not None else None
            if found is not None:
                return f".{name}{found[0]}", found[1], found[2]
        return whole(value) if whole is not None else None

    return check_all


def _of_kind(kind: FieldKind) -> _Check:
    if kind.name == "int":
        return _none if kind.meant is None else _within(*kind.meant)
    if kind.name == "map":
        return _of_class(kind.item)
    if kind.name == "array":
        return _each(_of_kind(kind.item) if isinstance(kind.item, FieldKind) else _of_class(kind.item))
    return _none


def _within(low: int, high: int) -> _Check:
    def check(value: int) -> Flaw | None:
        return None if low <= value <= high else ("", value, f"{low} to {high}")

    return check


def _each(item: _Check) -> _Check:
    if item is _none:
        return _none

    def check(values: tuple[Any, ...]) -> Flaw | None:
        for number, value in enumerate(values):
            found = item(value)
            if found is not None:
                return f"[{number}]{found[0]}", found[1], found[2]
        return None

    return check


# -- what relates the fields of one class ------------------------------------------------------------------------------


def _band(band: Band) -> Flaw | None:
    return None if band.low_hz < band.high_hz else ("", f"{band.low_hz} to {band.high_hz} Hz", "low_hz below high_hz")


def _ordered(window: Window, *, most_ns: int, path: str, least_ns: int = 1) -> Flaw | None:
    length_ns = window.end_ns - window.start_ns
    return None if least_ns <= length_ns <= most_ns else (path, f"{length_ns} ns", f"{least_ns} to {most_ns} ns")


def _window(window: Window) -> Flaw | None:
    return None if window.start_ns <= window.end_ns else ("", "ends before it begins", "start_ns up to end_ns")


def _wanted(body: Any) -> Flaw | None:
    """Of what is offered or asked for; a GRANT's window is held against its class and its parties' credentials."""
    return _ordered(body.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


def _quantity(held: Quantity) -> Flaw | None:
    inside = held.low <= held.value <= held.high
    return None if inside else ("", f"{held.value} in {held.low} to {held.high}", "low <= value <= high")


def _channel(held: ChannelObservation) -> Flaw | None:
    ratio = held.occupancy_ppm
    if ratio is not None and not (ratio.low >= 0 and ratio.high <= PPM):
        return ".occupancy_ppm", f"{ratio.low} to {ratio.high}", f"inside 0 to {PPM}"
    return None


def _envelope(body: Envelope) -> Flaw | None:
    """Nobody is sure of a measurement, and whoever knows nothing of it has none; what a radio can do may be certain."""
    surest = PPM if body.kind == UNIT else PPM - 1
    if not 0 < body.level_ppm <= surest:
        return ".level_ppm", body.level_ppm, f"1 to {surest}"
    if body.valid_until_ns < body.observed.end_ns:
        return ".valid_until_ns", body.valid_until_ns, f">= {body.observed.end_ns} ns, the end of the observation"
    return _ordered(body.observed, least_ns=0, most_ns=VALIDITY_MAX_NS, path=".observed")


def _life(body: Rule | Schema) -> Flaw | None:
    return _ordered(body.effective, most_ns=LIFE_MAX_NS, path=".effective")


def _admission(body: Admission) -> Flaw | None:
    return _ordered(body.window, most_ns=LIFE_MAX_NS, path=".window")


def _terms(terms: ClassTerms) -> Flaw | None:
    rising = terms.price_low <= terms.price_high
    return None if rising else (".price_low", terms.price_low, f"<= price_high, {terms.price_high}")


def _axis(axis: Axis) -> Flaw | None:
    rising = axis.low is None or axis.high is None or axis.low <= axis.high
    return None if rising else (".low", axis.low, f"<= {axis.high}")


def _declaration(body: Declaration) -> Flaw | None:
    rising = body.tier_low <= body.tier_high
    return _wanted(body) if rising else (".tier_low", body.tier_low, f"<= tier_high, {body.tier_high}")


_WHOLE: dict[type[Any], _Check] = {
    Band: _band,
    Window: _window,
    Intent: _wanted,
    Request: _wanted,
    Counter: _wanted,
    Fallback: _wanted,
    Quantity: _quantity,
    ChannelObservation: _channel,
    Envelope: _envelope,
    Rule: _life,
    Schema: _life,
    Admission: _admission,
    ClassTerms: _terms,
    Axis: _axis,
    Declaration: _declaration,
}


# -- what relates a body to the instant it was signed at ---------------------------------------------------------------


def _to_signing(body: Any, signed_ns: int) -> Flaw | None:
    cell = getattr(body, "cell", None)
    if isinstance(cell, Cell) and not isinstance(body, Grant) and cell.window.start_ns > signed_ns + WINDOW_MAX_NS:
        return ".cell.window.start_ns", cell.window.start_ns, f"<= {WINDOW_MAX_NS} ns after its signing"
    for name, most_ns in _AHEAD_MAX_NS.get(type(body), ()):
        until_ns = getattr(body, name)
        if until_ns > signed_ns + most_ns:
            return f".{name}", until_ns, f"<= {most_ns} ns after its signing"
    return None


_AHEAD_MAX_NS: dict[type[Any], tuple[tuple[str, int], ...]] = {
    Envelope: (("valid_until_ns", VALIDITY_MAX_NS),),
    Revocation: (("fresh_until_ns", LIFE_MAX_NS),),
}
