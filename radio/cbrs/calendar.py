"""The incumbents' calendar: signed reservations that close bands ahead of time. Pure.

(1) the file is a DSSE envelope: base64 payload of our type, an Ed25519 signature of a key this node knows over the
pre-authentication encoding (https://github.com/secure-systems-lab/dsse, protocol.md)
(2) the payload is JSON: a name, a serial that only rises, the time until which it speaks, and the reservations
(3) a reservation closes every band it overlaps, from `ahead_ns` before its start until its end; where it has an area,
only for places that may lie inside it
(4) beyond `valid_until` the calendar says nothing: closed where one is asked for, no cause where none is
(5) an instant or a place that may or may not be inside counts as inside
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from radio.cbrs import times
from radio.cbrs.messages import BadBody, read_json
from settlement.chain.keys import SigningKey, verify
from settlement.chain.scope import Area, Band
from settlement.core.fixes import Fix, PositionFix, TimeFix
from settlement.core.reasons import Reason, Refusal, refuse

TYPE = "application/vnd.bandpact.calendar+json"
LIMIT = 4 * 1024 * 1024
RESERVATIONS_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A band that an incumbent uses from `start_ns` until `end_ns` (UTC); in `area`, or anywhere without one."""

    name: str
    band: Band
    start_ns: int
    end_ns: int
    area: Area | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Reservations of one calendar name and serial number, valid until `valid_until_ns`."""

    name: str
    serial: int
    valid_until_ns: int
    reservations: tuple[Reservation, ...]

    def closed(self, band: Band, now: Fix, *, ahead_ns: int, needed: bool) -> Refusal | None:
        """Why the band may not be used here and now: rules (3) to (5); None when no reservation is in the way."""
        if not now.time.trusted:
            return refuse(Reason.TIME_UNTRUSTED, "calendar.time", now.time.status, "a trusted clock")
        for one in self.reservations:
            if one.band.overlaps(band) and _near(one, now.time, ahead_ns) and _may_be_in(one.area, now.position):
                measured = f"{one.name}: {one.band} from {times.shown(one.start_ns)} until {times.shown(one.end_ns)}"
                return refuse(Reason.INCUMBENT, "calendar.reserved", measured, f"silent {ahead_ns / 1e9:g} s before")
        if needed and not now.time.before(self.valid_until_ns - ahead_ns):
            return refuse(Reason.INCUMBENT, "calendar.over", times.shown(self.valid_until_ns), "a calendar in force")
        return None


def reserved(calendar: Calendar | None, band: Band, here: Fix, *, ahead_ns: int, needed: bool) -> Refusal | None:
    """As `Calendar.closed`, for a calendar that may be missing: without one the band is closed where `needed`."""
    if calendar is not None:
        return calendar.closed(band, here, ahead_ns=ahead_ns, needed=needed)
    if needed:
        return refuse(Reason.INCUMBENT, "calendar.none", "no calendar", "one in force, as the rule asks for")
    return None


def _near(one: Reservation, now: TimeFix, ahead_ns: int) -> bool:
    return now.latest_ns >= one.start_ns - ahead_ns and now.earliest_ns < one.end_ns


def _may_be_in(area: Area | None, place: PositionFix) -> bool:
    if area is None or not place.trusted:
        return True
    found = area.place(place, "calendar.place")
    return found is None or found.reason is not Reason.SPATIAL_OUTSIDE


def _signed_bytes(kind: str, payload: bytes) -> bytes:
    """The bytes that DSSE version 1 signs: its pre-authentication encoding of payload type and payload."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)


def seal(calendar: Calendar, key: SigningKey) -> bytes:
    """Encode and sign a calendar; returns the bytes of its file."""
    payload = json.dumps(plain(calendar), separators=(",", ":"), sort_keys=True).encode()
    signature = {"keyid": key.public.hex(), "sig": base64.b64encode(key.sign(_signed_bytes(TYPE, payload))).decode()}
    made = {"payloadType": TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [signature]}
    return json.dumps(made, indent=1).encode() + b"\n"


def open_calendar(data: bytes, keys: Iterable[bytes], *, before: Calendar | None = None) -> Calendar | Refusal:
    """Rules (1) and (2): the calendar of a signed file; one older than `before`, or unlike it, is refused."""
    envelope = read_json(data, limit=LIMIT)
    if isinstance(envelope, BadBody) or not isinstance(envelope, dict) or envelope.get("payloadType") != TYPE:
        return refuse(Reason.MALFORMED, "calendar.envelope", "no DSSE envelope", f"payloadType {TYPE}")
    payload = _decoded(envelope.get("payload"))
    signatures = envelope.get("signatures")
    signed = _signed_bytes(TYPE, payload or b"")
    found = [one for one in signatures if isinstance(one, dict)] if isinstance(signatures, list) else []
    known = set(keys)
    if payload is None or not any(_holds(one, known, signed) for one in found[:16]):
        return refuse(Reason.SIGNATURE, "calendar.signature", "none that holds", "a key this node knows")
    calendar = read_calendar(read_json(payload, limit=LIMIT))
    if isinstance(calendar, str):
        return refuse(Reason.MALFORMED, "calendar.payload", calendar, "a calendar")
    if before is None or calendar == before:
        return calendar
    if calendar.name != before.name or calendar.serial <= before.serial:
        measured = f"{calendar.name} {calendar.serial}, of other reservations or an older one"
        return refuse(Reason.ROLLBACK, "calendar.serial", measured, f"{before.name}, later than {before.serial}")
    return calendar


def _holds(one: dict[str, Any], keys: set[bytes], signed: bytes) -> bool:
    signature = _decoded(one.get("sig"))
    return signature is not None and any(verify(key, signature, signed) for key in keys)


def _decoded(value: object) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None


def plain(calendar: Calendar) -> dict[str, Any]:
    """The payload of a calendar's file."""

    def area(one: Area | None) -> dict[str, Any]:
        return {} if one is None else {"area": dict(zip(("lat_e7", "lon_e7", "radius_mm"), _circle(one), strict=True))}

    return {
        "name": calendar.name,
        "serial": calendar.serial,
        "valid_until": times.shown(calendar.valid_until_ns),
        "reservations": [
            {
                "name": one.name,
                "low_hz": one.band.low_hz,
                "high_hz": one.band.high_hz,
                "start": times.shown(one.start_ns),
                "end": times.shown(one.end_ns + times.NS - 1),
                **area(one.area),
            }
            for one in calendar.reservations
        ],
    }


def _circle(area: Area) -> tuple[int, int, int]:
    (lat, lon), radius_mm = area.circle
    return lat, lon, radius_mm


def read_calendar(value: object) -> Calendar | str:
    """Rule (2): the calendar of a payload, or what is wrong with it."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return "no name"
    serial, until, listed = value.get("serial"), times.parse(value.get("valid_until")), value.get("reservations")
    if type(serial) is not int or serial < 0 or until is None:
        return "serial or valid_until"
    if not isinstance(listed, list) or len(listed) > RESERVATIONS_MAX:
        return f"no list of at most {RESERVATIONS_MAX} reservations"
    made = [_reservation(one) for one in listed]
    wrong = next((number for number, one in enumerate(made) if one is None), None)
    if wrong is not None:
        return f"reservations[{wrong}]"
    return Calendar(
        name=value["name"], serial=serial, valid_until_ns=until, reservations=tuple(one for one in made if one)
    )


def _reservation(value: object) -> Reservation | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    low, high = value.get("low_hz"), value.get("high_hz")
    start, end = times.parse(value.get("start")), times.parse(value.get("end"))
    if type(low) is not int or type(high) is not int or not 0 <= low < high or start is None or end is None:
        return None
    area = value.get("area")
    if area is not None:
        fields = ("lat_e7", "lon_e7", "radius_mm")
        if not isinstance(area, dict) or set(area) != set(fields) or any(type(area[f]) is not int for f in fields):
            return None
        if abs(area["lat_e7"]) > 90 * 10**7 or abs(area["lon_e7"]) > 180 * 10**7 or area["radius_mm"] < 0:
            return None
        area = Area(**area)
    if start >= end:
        return None
    return Reservation(name=value["name"], band=Band(low_hz=low, high_hz=high), start_ns=start, end_ns=end, area=area)
