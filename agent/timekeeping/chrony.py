"""Reads chrony's bound on the system clock's error, from `chronyc -c tracking`.

The true time lies within |system offset| + root dispersion + root delay / 2 of the system clock (chronyc(1), tracking).
A chrony without a source, or with only its own `local` reference, gives no bound. Where its source fell silent, chrony
extrapolates by its own estimate of the oscillator: from when the next update was due, the profile's drift is added to
its bound, and after `OVERDUE` intervals the reading counts as silent, so that the clock is in holdover. An update in
the future means that the system clock was set back since: its age cannot be told, and the reading is not used.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from agent.timekeeping.hostclock import Paired, paired
from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.values import Reading, SourceStanding
from settlement.core.fixes import TimeFix, TimeSource

CHRONY_BEST_US = 1.0
"""Smallest bound of this kind of source, us."""

FIELDS = 14
LOCAL_REFERENCE = "7F7F0101"
NOBODY = "00000000"
SYNCHRONISED = ("Normal", "Insert second", "Delete second")
ANSWER_S = 2.0
BOUND_NS_MAX = 10**18
SECONDS_MAX = 10**12
"""Largest number of seconds accepted; a number in text may have a million digits."""
AHEAD_NS_MAX = 1_000_000_000
"""Largest time in ns by which the last update may lie after now; beyond, the system clock was set back since."""
OVERDUE = 3
INTERVAL_S_LEAST, INTERVAL_S_MOST = 1, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """One answer of chrony. `bound_ns` is None unless chrony is synchronised; `note` says to which source, or why not.

    `updated_ns` is the time of the last update by the system clock, `every_ns` the interval between the last two.
    """

    bound_ns: int | None
    note: str
    updated_ns: int = 0
    every_ns: int = 0


def parse_tracking(line: str) -> Tracking | None:
    """Parse one line of `chronyc -c tracking`; None when it is malformed."""
    fields = line.strip().split(",")
    if len(fields) != FIELDS:
        return None
    reference, name, leap = fields[0].upper(), fields[1] or fields[0], fields[13]
    try:
        offset, delay, dispersion, heard, interval = (Decimal(fields[n]) for n in (4, 10, 11, 3, 12))
        if not all(-SECONDS_MAX <= one <= SECONDS_MAX for one in (offset, delay, dispersion, heard, interval)):
            return None
        updated, every = int(heard * 1_000_000_000), int(interval * 1_000_000_000)
        total = (abs(offset) + dispersion + delay / 2) * 1_000_000_000
        bound_ns = int(total.to_integral_value(rounding="ROUND_CEILING"))
    except (ArithmeticError, ValueError):
        return None
    if not 0 <= bound_ns <= BOUND_NS_MAX or delay < 0 or dispersion < 0 or updated < 0 or every < 0:
        return None
    if leap not in SYNCHRONISED or reference == NOBODY:
        return Tracking(bound_ns=None, note=f"chrony says: {leap}")
    if reference == LOCAL_REFERENCE:
        return Tracking(bound_ns=None, note="chrony follows only its own clock (local)")
    every_ns = min(max(every, INTERVAL_S_LEAST * 1_000_000_000), INTERVAL_S_MOST * 1_000_000_000)
    return Tracking(bound_ns=bound_ns, note=f"follows {name}", updated_ns=updated, every_ns=every_ns)


def reading_of(name: str, tracking: Tracking | None, pair: Paired, *, drift_ppb: int = 0) -> Reading:
    """Convert a tracking answer and the host's clocks to a reading; `drift_ppb` is the undisciplined oscillator's."""
    if tracking is None:
        return Reading(
            name=name, at_ns=pair.mono_ns, standing=SourceStanding.SILENT, note="chronyc gave no usable answer"
        )
    if tracking.bound_ns is None:
        return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.UNSYNCHRONISED, note=tracking.note)
    age_ns = pair.utc_ns - tracking.updated_ns
    if age_ns < -AHEAD_NS_MAX:
        note = f"{tracking.note}, last {-age_ns // 1_000_000_000} s in the future: how old that is nobody knows"
        return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.UNSYNCHRONISED, note=note)
    if age_ns > OVERDUE * tracking.every_ns:
        note = f"{tracking.note}, silent for {age_ns // 1_000_000_000} s: its source is lost"
        return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.SILENT, note=note)
    drifted_ns = -(-max(0, age_ns - tracking.every_ns) * drift_ppb // 1_000_000_000)
    bound_ns = tracking.bound_ns + drifted_ns + pair.slack_ns
    fix = TimeFix(
        earliest_ns=pair.utc_ns - bound_ns, latest_ns=pair.utc_ns + bound_ns, source=TimeSource.CHRONY, trusted=True
    )
    return Reading(name=name, at_ns=pair.mono_ns, standing=SourceStanding.GOOD, time=fix, note=tracking.note)


class ChronySource:
    """Queries chronyc once every `every_s`."""

    def __init__(
        self,
        name: str = "chrony",
        *,
        command: Sequence[str] = ("chronyc",),
        every_s: float = 1.0,
        drift_ppb: int = 50_000,
    ) -> None:
        self.name, self._command, self._every_s = name, (*command, "-c", "-n", "tracking"), every_s
        self._drift_ppb = drift_ppb

    async def run(self, push: Callable[[Reading], None]) -> None:
        """Query until cancelled."""
        while True:
            push(await self.ask())
            await asyncio.sleep(self._every_s)

    async def ask(self) -> Reading:
        """Query once; returns the reading."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as exc:
            return Reading(
                name=self.name,
                at_ns=paired().mono_ns,
                standing=SourceStanding.SILENT,
                note=f"{self._command[0]}: {exc.strerror}",
            )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), ANSWER_S)
        except TimeoutError:
            out = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        tracking = parse_tracking(out.decode(errors="replace"))
        return reading_of(self.name, tracking, paired(), drift_ppb=self._drift_ppb)


class ChronyClock(ClockSourceSection):
    """The system clock as chrony disciplines it."""

    counts_as: ClassVar[TimeSource] = TimeSource.CHRONY

    kind: Literal["chrony"]
    name: str = "chrony"
    command: list[str] = Field(default=["chronyc"], min_length=1)
    every_s: float = Field(default=1.0, gt=0)

    @property
    def best_us(self) -> float:
        """Smallest bound of this source, us."""
        return CHRONY_BEST_US

    def listening(self, *, drift_ppb: int) -> "ChronySource":
        """Return the source that queries chronyc periodically."""
        return ChronySource(self.name, command=self.command, every_s=self.every_s, drift_ppb=drift_ppb)
