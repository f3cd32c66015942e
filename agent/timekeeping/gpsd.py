"""Time and place from gpsd's JSON: TPV, SKY, PPS and TOFF, through the gpsd project's own asynchronous client.

gpsd's error estimates are for 95 %; twice that is taken as a bound. The time inside a serial sentence arrives an
unknown while after it was true, so it bounds nothing unless the operator says how late the receiver's port can be
(`serial_ns`); a pulse (PPS) does without. A fix that gpsd calls simulated, or with too few satellites, is not one.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.timekeeping.hostclock import Paired, paired
from agent.timekeeping.values import Reading, Standing
from settlement.fixes import PositionFix, PositionSource, TimeFix, TimeSource

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS_SIMULATED = 8
MODE_2D = 2
SURE = 2.0
"""From gpsd's 95 % to a bound: 4.9 standard deviations of a circular normal error."""
PPS_EXTRA_NS = 5_000
"""The kernel's and gpsd's own latency between a pulse and its timestamp."""
PRECISION_BITS_MAX = 40
RADIUS_MM_MAX = 10**9
RETRY_S = 1.0
CLOSED_PORT = "gpsd does not answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsdPlan:
    """How far a receiver is believed."""

    satellites_min: int = 5
    serial_ns: int | None = None
    sky_age_ns_max: int = 15_000_000_000


def utc_ns(text: object) -> int | None:
    """An ISO 8601 instant of gpsd as ns since the Unix epoch; None when it is not one."""
    if not isinstance(text, str):
        return None
    try:
        passed = datetime.fromisoformat(text) - EPOCH
    except (ValueError, TypeError, OverflowError):
        return None
    ns = passed // timedelta(microseconds=1) * 1000
    return ns if 0 <= ns < 1 << 62 else None


def _number(message: Mapping[str, Any], key: str) -> float | None:
    value = message.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(message: Mapping[str, Any], key: str) -> int | None:
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def position_of(tpv: Mapping[str, Any]) -> PositionFix | None:
    """The disc of a TPV; None without a place or an estimate of its error."""
    lat, lon = _number(tpv, "lat"), _number(tpv, "lon")
    error_m = _number(tpv, "eph")
    if error_m is None:
        east, north = _number(tpv, "epx"), _number(tpv, "epy")
        error_m = math.hypot(east, north) if east is not None and north is not None else None
    if lat is None or lon is None or error_m is None or abs(lat) > 90 or abs(lon) > 180 or error_m < 0:
        return None
    return PositionFix(
        lat_e7=round(lat * 1e7),
        lon_e7=round(lon * 1e7),
        radius_mm=math.ceil(min(error_m * SURE * 1000, RADIUS_MM_MAX)),
        source=PositionSource.GPS,
        trusted=True,
    )


class GpsdReader:
    """gpsd's messages in, readings out. No I/O: the host's clocks at the message's arrival are an argument."""

    def __init__(self, name: str, plan: GpsdPlan) -> None:
        self._name, self._plan = name, plan
        self._satellites: int | None = None
        self._sky_ns: int | None = None
        self._standing, self._note = Standing.SILENT, "no fix yet"
        self._pulsed = False

    def take(self, message: Mapping[str, Any], pair: Paired) -> Reading | None:
        """One message; None when it says nothing of time or place."""
        match message.get("class"):
            case "SKY":
                self._sky(message, pair)
                return None
            case "TPV":
                return self._tpv(message, pair)
            case "PPS":
                return self._pulse(message, pair)
            case "TOFF":
                return self._offset(message, pair)
            case _:
                return None

    def _sky(self, sky: Mapping[str, Any], pair: Paired) -> None:
        used = _whole(sky, "uSat")
        seen = sky.get("satellites")
        if used is None and isinstance(seen, list):
            used = sum(1 for one in seen if isinstance(one, Mapping) and one.get("used") is True)
        if used is not None:
            self._satellites, self._sky_ns = used, pair.mono_ns

    def _judge(self, tpv: Mapping[str, Any], pair: Paired) -> tuple[Standing, str]:
        mode, status = _whole(tpv, "mode") or 0, _whole(tpv, "status")
        if status == STATUS_SIMULATED:
            return Standing.SIMULATED, "gpsd calls the fix simulated"
        if mode < MODE_2D:
            return Standing.SILENT, "no fix"
        fresh = self._sky_ns is not None and pair.mono_ns - self._sky_ns <= self._plan.sky_age_ns_max
        used = self._satellites if fresh else None
        if (used or 0) < self._plan.satellites_min:
            had = "unknown" if used is None else str(used)
            return Standing.TOO_FEW_SATELLITES, f"{had} satellites used, {self._plan.satellites_min} required"
        return Standing.GOOD, f"{mode}D fix, {used} satellites"

    def _tpv(self, tpv: Mapping[str, Any], pair: Paired) -> Reading:
        self._standing, self._note = self._judge(tpv, pair)
        good = self._standing is Standing.GOOD
        said_ns = utc_ns(tpv.get("time"))
        ept_s = _number(tpv, "ept")
        serial = None
        if good and not self._pulsed and said_ns is not None and ept_s is not None and 0 <= ept_s < 1e6:
            serial = self._serial(said_ns, math.ceil(ept_s * SURE * 1e9))
        return self._reading(pair, time=serial, position=position_of(tpv) if good else None)

    def _serial(self, said_ns: int, error_ns: int) -> TimeFix | None:
        """In-band time: true when the fix was taken, up to `serial_ns` before it arrived here."""
        if self._plan.serial_ns is None:
            self._note += "; its serial time bounds nothing without serial_ms or PPS"
            return None
        return _fix(said_ns - error_ns, said_ns + error_ns + self._plan.serial_ns)

    def _pulse(self, pps: Mapping[str, Any], pair: Paired) -> Reading | None:
        """A pulse: the system clock's offset, to the precision gpsd gives it."""
        offset_ns, bits = _offset_ns(pps), _whole(pps, "precision")
        if offset_ns is None or bits is None or not -PRECISION_BITS_MAX <= bits <= 0:
            return None
        self._pulsed = True
        bound_ns = math.ceil(1e9 * 2.0**bits) + PPS_EXTRA_NS + pair.slack_ns
        middle_ns = pair.utc_ns + offset_ns
        good = self._standing is Standing.GOOD
        return self._reading(pair, time=_fix(middle_ns - bound_ns, middle_ns + bound_ns) if good else None)

    def _offset(self, toff: Mapping[str, Any], pair: Paired) -> Reading | None:
        """When a sentence began to arrive by the system clock: in-band time without our own delay."""
        offset_ns = _offset_ns(toff)
        if offset_ns is None or self._pulsed or self._plan.serial_ns is None or self._standing is not Standing.GOOD:
            return None
        said_ns = pair.utc_ns + offset_ns
        return self._reading(pair, time=_fix(said_ns - pair.slack_ns, said_ns + pair.slack_ns + self._plan.serial_ns))

    def _reading(self, pair: Paired, *, time: TimeFix | None, position: PositionFix | None = None) -> Reading:
        return Reading(
            name=self._name,
            at_ns=pair.mono_ns,
            standing=self._standing,
            time=time,
            position=position,
            satellites=self._satellites,
            note=self._note,
        )


def _fix(earliest_ns: int, latest_ns: int) -> TimeFix:
    return TimeFix(earliest_ns=earliest_ns, latest_ns=latest_ns, source=TimeSource.GPS, trusted=True)


def _offset_ns(message: Mapping[str, Any]) -> int | None:
    """True time minus system time, of a PPS or TOFF."""
    parts = [_whole(message, key) for key in ("real_sec", "real_nsec", "clock_sec", "clock_nsec")]
    if any(part is None or not 0 <= part < 1 << 62 for part in parts):
        return None
    real_s, real_ns, clock_s, clock_ns = (part or 0 for part in parts)
    return (real_s - clock_s) * 1_000_000_000 + real_ns - clock_ns


class GpsdSource:
    """Listens to a gpsd; when it goes away, says so and tries again."""

    def __init__(self, name: str, plan: GpsdPlan, *, host: str = "127.0.0.1", port: int = 2947) -> None:
        self.name, self._plan, self._host, self._port = name, plan, host, port

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Listen for ever."""
        from gps.client import json_error  # noqa: PLC0415 - only nodes with a gpsd need it

        # What the client lets through when the peer is gone, silent or talks nonsense.
        lost = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, json_error)
        while True:
            note = CLOSED_PORT
            try:
                await self._listen(push)
            except (*lost, asyncio.LimitOverrunError) as exc:
                note = f"{CLOSED_PORT} at {self._host}:{self._port} ({type(exc).__name__})"
            push(Reading(name=self.name, at_ns=paired().mono_ns, standing=Standing.SILENT, note=note))
            await asyncio.sleep(RETRY_S)

    async def _listen(self, push: Callable[[Reading], None]) -> None:
        from gps.aiogps import aiogps  # noqa: PLC0415 - only nodes with a gpsd need it
        from gps.client import dictwrapper  # noqa: PLC0415
        from gps.gps import WATCH_ENABLE, WATCH_PPS  # noqa: PLC0415

        reader = GpsdReader(self.name, self._plan)
        client = aiogps(connection_args={"host": self._host, "port": self._port}, connection_timeout=2.0, reconnect=0)
        client.stream_command = client.generate_stream_command(WATCH_ENABLE | WATCH_PPS)
        with contextlib.closing(client):
            while True:
                message = await client.read()
                pair = paired()
                said = reader.take(vars(message), pair) if isinstance(message, dictwrapper) else None
                if said is not None:
                    push(said)
