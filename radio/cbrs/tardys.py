"""Converts federal incumbents' reservations in the TARDyS3 form into this node's calendar. Pure.

The form names protected areas and channels by ids alone: which Hz and which place they are is in lists that the
operator has. What a list does not know closes more, never less: an unknown channel the whole of 3550-3700 MHz, an
unknown area every place, a recurrence that is not understood everything from its start on. The form's checksum says
nothing of who wrote it and its definition is not public: it is not checked; the signature over our calendar stands
for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from radio.cbrs.calendar import Calendar, Reservation
from radio.cbrs.fields import Item
from radio.cbrs.messages import BadBody, read_json
from settlement.chain.scope import Area, Band
from settlement.core.reasons import Reason, Refusal, refuse

WHOLE = Band(low_hz=3_550_000_000, high_hz=3_700_000_000)
LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The operator's lists of what channel and area ids mean."""

    channels: Mapping[str, Band]
    areas: Mapping[str, Area]


def imported(data: bytes, lists: Lists, *, name: str, serial: int, valid_until_ns: int) -> Calendar | Refusal:
    """The calendar of a TARDyS3 file; refused whole where one event of it cannot be read."""
    value = read_json(data, limit=LIMIT)
    events = value.get("scheduledEvents") if isinstance(value, dict) else None
    if isinstance(value, BadBody) or not isinstance(events, list):
        return refuse(Reason.MALFORMED, "tardys", "no scheduledEvents", "a TARDyS3 reservation file")
    made: list[Reservation] = []
    for number, event in enumerate(events):
        found = _event(event, lists, valid_until_ns)
        if isinstance(found, str):
            return refuse(Reason.MALFORMED, f"tardys.scheduledEvents[{number}]", found, "a reservation")
        made += found
    return Calendar(name=name, serial=serial, valid_until_ns=valid_until_ns, reservations=tuple(made))


def _event(event: object, lists: Lists, valid_until_ns: int) -> list[Reservation] | str:
    if not isinstance(event, dict):
        return "no object"
    start, end = _instant_ns(event, "dateTimeStart"), _instant_ns(event, "dateTimeEnd")
    channels = event.get("channels")
    if start is None or end is None or start >= end:
        return "dateTimeStart or dateTimeEnd"
    if not isinstance(channels, list) or not channels or not all(isinstance(one, str) for one in channels):
        return "channels"
    if event.get("recurrence"):
        end = max(end, valid_until_ns)
    area = lists.areas.get(str(event.get("dpaId"))) or lists.areas.get(str(event.get("dpaName")))
    label = str(event.get("dpaName") or event.get("dpaId") or event.get("eventId") or "incumbent")[:128]
    bands = {lists.channels.get(one, WHOLE) for one in channels}
    return [
        Reservation(name=label, band=band, start_ns=start, end_ns=end, area=area)
        for band in sorted(bands, key=lambda b: (b.low_hz, b.high_hz))
    ]


def _instant_ns(event: Item, key: str) -> int | None:
    """An ISO 8601 time; without a zone it is UTC, as the form's own tools write it."""
    try:
        found = datetime.fromisoformat(event[key])
    except (KeyError, TypeError, ValueError):
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp()) * 1_000_000_000


def lists_of(value: object) -> Lists | str:
    """The lists of an operator's file: channels {id: [low_hz, high_hz]}, areas {id: [lat_e7, lon_e7, radius_mm]}."""
    channels = value.get("channels") if isinstance(value, dict) else None
    areas = value.get("areas") if isinstance(value, dict) else None
    if not isinstance(channels, dict) or not isinstance(areas, dict):
        return "no tables `channels` and `areas`"
    for name, numbers, count in [*((n, v, 2) for n, v in channels.items()), *((n, v, 3) for n, v in areas.items())]:
        if not isinstance(numbers, list) or len(numbers) != count or any(type(one) is not int for one in numbers):
            return f"{name}: {count} whole numbers"
    bands = {name: Band(low_hz=low, high_hz=high) for name, (low, high) in channels.items()}
    circles = {name: Area(lat_e7=lat, lon_e7=lon, radius_mm=mm) for name, (lat, lon, mm) in areas.items()}
    return Lists(channels=bands, areas=circles)
