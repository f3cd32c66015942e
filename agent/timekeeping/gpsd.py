"""Time and place from gpsd's JSON (TPV, SKY, PPS and TOFF), through the gpsd project's own asynchronous client.

gpsd's error estimates are for 95 %; twice that is taken as a bound. The time inside a serial sentence arrives an
unknown while after it was true, so it bounds nothing unless the operator says how late the receiver's port can be
(`serial_ns`); a pulse (PPS) does without, but which second it begins only the sentences say: one that arrives before
its second, or a second and more after it by the pulse's count, shows that pulse and sentences contradict each other.
A fix counts when it was measured by satellites: not one that gpsd calls simulated, entered by hand or dead reckoning,
not one with too few satellites, and not latitude 0, longitude 0, which receivers say that know nothing.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from agent.timekeeping.hostclock import Paired, paired
from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import PositionFix, PositionSource, TimeFix, TimeSource

PULSE_BEST_US = 5.0
"""Smallest bound of a pulse (PPS), us."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS_SIMULATED = 8
MEASURED = (0, 1, 2, 3, 4, 9)
"""gpsd's `status` (gpsd_json(5)) of fixes by satellites: unknown, normal, differential, RTK fixed and float, P(Y)."""
UNMEASURED = {5: "dead reckoning", 6: "satellites and dead reckoning", 7: "surveyed in or entered by hand"}
NOWHERE_DEG = 0.001
SECOND_NS = 1_000_000_000
INBAND_AGE_NS = 15_000_000_000
"""Largest age in ns of a sentence that tells which second a pulse begins."""
MODE_2D = 2
SURE = 2.0
"""Factor from gpsd's 95 % error to a bound: 4.9 standard deviations of a circular normal error."""
PPS_EXTRA_NS = 5_000
"""Latency in ns of kernel and gpsd between a pulse and its timestamp."""
NUMBER_MAX = 1 << 62
"""Largest number accepted from a receiver; JSON's own numbers are unbounded."""
PRECISION_BITS_MAX = 40
RADIUS_MM_MAX = 10**9
RETRY_S = 1.0
RECEIVERS_MAX = 8
CLOSED_PORT = "gpsd does not answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsdPlan:
    """Limits on what a receiver's messages are trusted for."""

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
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < NUMBER_MAX:
        return None
    return float(value)


def _whole(message: Mapping[str, Any], key: str) -> int | None:
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < NUMBER_MAX else None


def position_of(tpv: Mapping[str, Any]) -> PositionFix | None:
    """Return the position of a TPV as a disc; None without a place or an error estimate."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """UTC minus monotonic time by a sentence or a pulse, its error `error_ns`, and its time (monotonic)."""

    offset_ns: int
    error_ns: int
    at_ns: int


class GpsdReader:
    """Converts one receiver's messages to readings. No I/O: the host's clocks at a message's arrival are arguments."""

    def __init__(self, name: str, plan: GpsdPlan) -> None:
        self._name, self._plan = name, plan
        self._satellites: int | None = None
        self._sky_ns: int | None = None
        self._standing, self._note = SourceStanding.SILENT, "no fix yet"
        self._pulsed = False
        self._sentences: dict[str, _Mark] = {}

    def take(self, message: Mapping[str, Any], pair: Paired) -> Reading | None:
        """Process one message; None when it has no time or place."""
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

    def _judge(self, tpv: Mapping[str, Any], pair: Paired) -> tuple[SourceStanding, str]:
        mode, status = _whole(tpv, "mode") or 0, _whole(tpv, "status")
        if status == STATUS_SIMULATED:
            return SourceStanding.SIMULATED, "gpsd calls the fix simulated"
        if mode < MODE_2D:
            return SourceStanding.SILENT, "no fix"
        if status is not None and status not in MEASURED:
            return SourceStanding.NOT_MEASURED, UNMEASURED.get(status, f"gpsd gives the fix the status {status}")
        if _nowhere(tpv):
            return SourceStanding.IMPLAUSIBLE, "latitude 0, longitude 0 is what a receiver says that does not know"
        fresh = self._sky_ns is not None and pair.mono_ns - self._sky_ns <= self._plan.sky_age_ns_max
        used = self._satellites if fresh else None
        if (used or 0) < self._plan.satellites_min:
            had = "unknown" if used is None else str(used)
            return SourceStanding.TOO_FEW_SATELLITES, f"{had} satellites used, {self._plan.satellites_min} required"
        return SourceStanding.GOOD, f"{mode}D fix, {used} satellites"

    def _tpv(self, tpv: Mapping[str, Any], pair: Paired) -> Reading:
        self._standing, self._note = self._judge(tpv, pair)
        good = self._standing is SourceStanding.GOOD
        said_ns = utc_ns(tpv.get("time"))
        ept_s = _number(tpv, "ept")
        if good and said_ns is not None:
            error_ns = math.ceil((ept_s if ept_s is not None and 0 <= ept_s < 1 else 0.0) * SURE * 1e9)
            self._sentences["TPV"] = _Mark(offset_ns=said_ns - pair.mono_ns, error_ns=error_ns, at_ns=pair.mono_ns)
        serial = None
        if good and not self._pulsed and said_ns is not None and ept_s is not None and 0 <= ept_s < 1e6:
            serial = self._serial(said_ns, math.ceil(ept_s * SURE * 1e9))
        return self._reading(pair, time=serial, position=position_of(tpv) if good else None)

    def _serial(self, said_ns: int, error_ns: int) -> TimeFix | None:
        """Return in-band time: valid when the fix was taken, up to `serial_ns` before it arrived here."""
        if self._plan.serial_ns is None:
            self._note += "; its serial time bounds nothing without serial_ms or PPS"
            return None
        return _fix(said_ns - error_ns, said_ns + error_ns + self._plan.serial_ns)

    def _pulse(self, pps: Mapping[str, Any], pair: Paired) -> Reading | None:
        """Process a pulse: the system clock's offset, with gpsd's precision."""
        offset_ns, bits = _offset_ns(pps), _whole(pps, "precision")
        if offset_ns is None or bits is None or not -PRECISION_BITS_MAX <= bits <= 0:
            return None
        self._pulsed = True
        bound_ns = math.ceil(1e9 * 2.0**bits) + PPS_EXTRA_NS + pair.slack_ns
        middle_ns = pair.utc_ns + offset_ns
        if self._standing in (SourceStanding.GOOD, SourceStanding.CONTRADICTORY):
            self._standing, self._note = self._number_pulse(middle_ns - pair.mono_ns, bound_ns, pair.mono_ns)
        good = self._standing is SourceStanding.GOOD
        return self._reading(pair, time=_fix(middle_ns - bound_ns, middle_ns + bound_ns) if good else None)

    def _number_pulse(self, offset_ns: int, bound_ns: int, at_ns: int) -> tuple[SourceStanding, str]:
        """Check a pulse's second against the receiver's sentences, each of which arrives 0 to 1 s after its second."""
        fresh = [mark for mark in self._sentences.values() if at_ns - mark.at_ns <= INBAND_AGE_NS]
        if not fresh:
            return SourceStanding.SILENT, "a pulse, and no sentence that says which second it begins"
        late_ns = min(offset_ns - mark.offset_ns for mark in fresh)
        early_ns = max(mark.offset_ns - offset_ns - mark.error_ns for mark in fresh)
        if late_ns >= SECOND_NS or early_ns > bound_ns:
            wrong_s = (late_ns if late_ns >= SECOND_NS else -early_ns) / 1e9
            return SourceStanding.CONTRADICTORY, f"its pulse and its own sentences are {wrong_s:.3g} s apart"
        return SourceStanding.GOOD, "pulse and sentences agree"

    def _offset(self, toff: Mapping[str, Any], pair: Paired) -> Reading | None:
        """Process a TOFF: when a sentence began to arrive by the system clock, in-band time without our own delay."""
        offset_ns = _offset_ns(toff)
        if offset_ns is not None and self._standing in (SourceStanding.GOOD, SourceStanding.CONTRADICTORY):
            utc_less_mono_ns = pair.utc_ns + offset_ns - pair.mono_ns
            self._sentences["TOFF"] = _Mark(offset_ns=utc_less_mono_ns, error_ns=pair.slack_ns, at_ns=pair.mono_ns)
        if (
            offset_ns is None
            or self._pulsed
            or self._plan.serial_ns is None
            or self._standing is not SourceStanding.GOOD
        ):
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


def _nowhere(tpv: Mapping[str, Any]) -> bool:
    lat, lon = _number(tpv, "lat"), _number(tpv, "lon")
    return lat is not None and lon is not None and max(abs(lat), abs(lon)) < NOWHERE_DEG


def _fix(earliest_ns: int, latest_ns: int) -> TimeFix:
    return TimeFix(earliest_ns=earliest_ns, latest_ns=latest_ns, source=TimeSource.GPS, trusted=True)


def printable_device(device: object) -> str:
    """Return a device's name from gpsd, shortened and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in str(device or "unnamed"))[:64]


def _offset_ns(message: Mapping[str, Any]) -> int | None:
    """Return true time minus system time (ns) of a PPS or TOFF."""
    parts = [_whole(message, key) for key in ("real_sec", "real_nsec", "clock_sec", "clock_nsec")]
    if any(part is None or not 0 <= part < 1 << 62 for part in parts):
        return None
    real_s, real_ns, clock_s, clock_ns = (part or 0 for part in parts)
    return (real_s - clock_s) * 1_000_000_000 + real_ns - clock_ns


class GpsdSource:
    """Reads from a gpsd; on loss of the connection it reports that and reconnects."""

    def __init__(self, name: str, plan: GpsdPlan, *, host: str = "127.0.0.1", port: int = 2947) -> None:
        self.name, self._plan, self._host, self._port = name, plan, host, port

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Read until cancelled."""
        from gps.client import json_error

        # What the client library raises when the peer is gone, silent or sends malformed data.
        lost = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, json_error)
        while True:
            note = CLOSED_PORT
            try:
                await self._listen(push)
            except (*lost, asyncio.LimitOverrunError) as exc:
                note = f"{CLOSED_PORT} at {self._host}:{self._port} ({type(exc).__name__})"
            push(Reading(name=self.name, at_ns=paired().mono_ns, standing=SourceStanding.SILENT, note=note))
            await asyncio.sleep(RETRY_S)

    async def _listen(self, push: Callable[[Reading], None]) -> None:
        from gps.aiogps import aiogps
        from gps.client import dictwrapper
        from gps.gps import WATCH_ENABLE, WATCH_PPS

        readers: dict[object, GpsdReader] = {}
        client = aiogps(connection_args={"host": self._host, "port": self._port}, connection_timeout=2.0, reconnect=0)
        client.stream_command = client.generate_stream_command(WATCH_ENABLE | WATCH_PPS)
        with contextlib.closing(client):
            while True:
                message = await client.read()
                pair = paired()
                if not isinstance(message, dictwrapper):
                    continue
                said = self._reader(readers, vars(message).get("device")).take(vars(message), pair)
                if said is not None:
                    push(said)

    def _reader(self, readers: dict[object, GpsdReader], device: object) -> GpsdReader:
        """Return the reader of one receiver; gpsd may have several, and each is checked against the others."""
        known = device if isinstance(device, str) and (device in readers or len(readers) < RECEIVERS_MAX) else None
        if known not in readers:
            name = self.name if not readers else f"{self.name} {printable_device(known)}"
            readers[known] = GpsdReader(name, self._plan)
        return readers[known]


class GpsdClock(ClockSourceSection):
    """A GPS receiver behind gpsd. `serial_ms` is the longest its sentences can be late; without it only PPS counts."""

    counts_as: ClassVar[TimeSource] = TimeSource.GPS

    kind: Literal["gpsd"]
    name: str = "gpsd"
    host: str = "127.0.0.1"
    port: int = Field(default=2947, ge=1, le=65535)
    satellites_min: int = Field(default=5, ge=0)
    serial_ms: float | None = Field(default=None, gt=0, le=10_000)

    @property
    def best_us(self) -> float:
        """Smallest bound of this source, us: a pulse's."""
        return PULSE_BEST_US

    def listening(self, *, drift_ppb: int) -> "GpsdSource":
        """Return the gpsd client."""
        del drift_ppb
        serial_ns = None if self.serial_ms is None else round(self.serial_ms * 1e6)
        plan = GpsdPlan(satellites_min=self.satellites_min, serial_ns=serial_ns)
        return GpsdSource(self.name, plan, host=self.host, port=self.port)
