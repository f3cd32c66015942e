"""Runs sensing in its own thread: takes looks from the ring, surveys them, and passes findings to the agent's loop."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.config.settings import NodeConfig
from agent.node.events import WATERFALL
from agent.node.lookcount import LookCount
from agent.sense.sources import sample_flags
from hw_profiles.calibration import Scale
from radio.drivers.section import RadioSection
from radio.link import LookTaken
from radio.ports import RxFlag
from radio.process import give_back
from radio.ring import SampleRing
from radio.wakeup import Rouser
from sensing.flags import ELSEWHERE
from sensing.floors import KTO_DBM_HZ
from sensing.layout import short_look_bins
from sensing.results import ChannelLook
from sensing.survey import NOTHING_APART, LookResult, Span, Survey, SurveyReport, SurveySettings
from sensing.values import Channel
from settlement.chain.codec import cut

ROW_NS = 100_000_000
ROWS_MAX = 4096
"""Most rows of the waterfall, 2 MiB. When full, two rows are merged into one, and a row stands for twice the time."""
RECENT_NS, WATCHED_NS = 10_000_000_000, 1_000_000_000
REPORT_SHARE = 40
"""A shown report takes at most one part in so many of a processor's time: a slow one is renewed less often."""
COLUMNS = 256
KEEP_S = 120.0
"""Seconds for which a look counts for its channels."""
AGAIN_S = 60.0
"""Seconds of past looks that are judged again once a noise floor is found; kept longer, levels take 15 MB, not 7."""
GIVE_BACK_NS = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One look's result: times it was taken and judged (monotonic ns), bands of incumbents in Hz with their classes.

    `channels` has the look's result for each channel.
    """

    listened_ns: int
    found_ns: int
    incumbents: tuple[tuple[int, int, str], ...]
    channels: tuple[ChannelLook, ...] = ()


def settings_of(config: NodeConfig) -> SurveySettings:
    """Return the survey's settings for this node's radio."""
    bands = config.incumbent_bands
    channels = tuple(Channel(low_hz=c.low_hz, high_hz=c.high_hz) for c in config.channels)
    return SurveySettings(
        center_hz=config.radio.rx_center_hz,
        sample_rate_hz=config.radio.sample_rate_hz,
        full_scale=config.radio.adc_full_scale,
        bandwidth_hz=config.radio.rx_bandwidth_hz,
        channels=channels,
        fft_size=short_look_bins(config.radio.sample_rate_hz, channels),
        calibration=scale_of(config.radio),
        keep_s=KEEP_S,
        again_s=AGAIN_S,
        incumbent_bands=None if bands is None else tuple(Channel(low_hz=c.low_hz, high_hz=c.high_hz) for c in bands),
    )


def scale_of(radio: RadioSection) -> Scale | None:
    """Return the receive calibration that the configuration holds, or None."""
    if radio.rx_full_scale_mdbm is None:
        return None
    figure = radio.noise_figure_mdb
    return Scale(
        offset_db=radio.rx_full_scale_mdbm / 1000,
        sd_db=radio.rx_full_scale_sd_mdb / 1000,
        noise_dbm_hz=None if figure is None else KTO_DBM_HZ + figure / 1000,
    )


class Waterfall:
    """The strongest power seen in each of COLUMNS frequencies over the whole run, in at most ROWS_MAX rows.

    A row stands for ROW_NS at first, and for twice as long each time there is no room left.
    """

    def __init__(self, config: NodeConfig) -> None:
        half_hz = config.radio.sample_rate_hz / 2
        self._edges_hz = (config.radio.rx_center_hz - half_hz, config.radio.rx_center_hz + half_hz)
        self._row_ns = ROW_NS
        self._rows = np.zeros((ROWS_MAX, COLUMNS), np.float16)
        self._times_ns = np.zeros(ROWS_MAX, np.int64)
        self._count = 0

    def add(self, result: LookResult) -> None:
        """Add one look."""
        row = 10 * np.log10(np.maximum(result.psd.reshape(COLUMNS, -1).max(axis=1), 1e-30))
        last = self._count - 1
        if last >= 0 and result.start_ns - self._times_ns[last] < self._row_ns:
            np.maximum(self._rows[last], row, out=self._rows[last])
            return
        if self._count == ROWS_MAX:
            self._halve()
        self._rows[self._count], self._times_ns[self._count] = row, result.start_ns
        self._count += 1

    def _halve(self) -> None:
        self._row_ns *= 2
        self._count = ROWS_MAX // 2
        self._rows[: self._count] = np.maximum(self._rows[::2], self._rows[1::2])
        self._times_ns[: self._count] = self._times_ns[::2].copy()

    def save(self, folder: Path) -> None:
        """Write rows in dBFS/Hz, their monotonic times and the band's edges."""
        np.savez_compressed(
            folder / WATERFALL,
            level_db=self._rows[: self._count].astype(np.float32),
            times_ns=self._times_ns[: self._count],
            edges_hz=np.array(self._edges_hz),
        )


class Watcher:
    """Feeds looks to the survey; the agent's loop reads the results."""

    def __init__(self, config: NodeConfig, ring: SampleRing) -> None:
        self._ring, self._folder = ring, config.folder
        settings = settings_of(config)
        self.channels = settings.channels
        self._survey = Survey(settings)
        self._waterfall = Waterfall(config)
        self._todo: deque[LookTaken] = deque(maxlen=4)
        self._count = LookCount(config.radio.frame_us * config.radio.look_every * 1000)
        self._heard: deque[Heard] = deque()
        self._wake = threading.Event()
        self.rouse = Rouser()
        """Raised when an incumbent was heard, to wake the loop at once."""
        self._stop = False
        self._lock = threading.Lock()
        self._recent: SurveyReport | None = None
        self._given_back_ns = time.monotonic_ns()
        self._report_took_ns = 0
        self.fault: str | None = None
        self.watched = False
        """Whether anyone watches the live state: then the shown report is renewed every second."""
        self.listener: Callable[[LookResult, bool], None] | None = None
        """Called in the sensing thread with each look, and whether it shows the band."""
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Start the sensing thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sensing and save the waterfall; where no file can be written, a report lacks that picture."""
        self._stop = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        with contextlib.suppress(OSError):
            self._waterfall.save(self._folder)

    def look(self, look: LookTaken) -> None:
        """Queue a look from the ring; the oldest is dropped when sensing does not keep up."""
        self._todo.append(look)
        self._wake.set()

    def take(self) -> list[Heard]:
        """Return the results since the last call."""
        self.rouse.heed()
        taken: list[Heard] = []
        while self._heard:
            taken.append(self._heard.popleft())
        return taken

    def report(self, apart: Mapping[Channel, Sequence[Span]] = NOTHING_APART) -> SurveyReport:
        """Return the survey's report with error bars, without the spans (monotonic ns) in which a channel was lent."""
        with self._lock:
            return self._survey.report(time.monotonic_ns(), apart=apart)

    def recent(self) -> SurveyReport:
        """Return a report at most RECENT_NS + WATCHED_NS old, for display only: no decision uses it."""
        recent = self._recent
        if recent is None or time.monotonic_ns() - recent.now_ns > RECENT_NS + WATCHED_NS:
            recent = self._recent = self.report()
        return recent

    def _sum_up(self) -> None:
        """Renew the displayed report in the sensing thread, more often while it is watched."""
        after_ns = WATCHED_NS if self.watched else RECENT_NS
        after_ns = max(after_ns, min(RECENT_NS, REPORT_SHARE * self._report_took_ns))
        if self._recent is not None and time.monotonic_ns() - self._recent.now_ns > after_ns:
            began_ns = time.thread_time_ns()
            self._recent = self.report()
            self._report_took_ns = time.thread_time_ns() - began_ns
            self._given_back_ns -= GIVE_BACK_NS

    def _tidy(self, now_ns: int) -> None:
        """Return to the system the memory that looks and reports freed, once a minute and after each report shown.

        It takes about a millisecond; a report leaves ten megabytes and more free between what stays in use.
        """
        if now_ns - self._given_back_ns >= GIVE_BACK_NS:
            self._given_back_ns = now_ns
            give_back()

    def alarms(self, now_ns: int) -> list[str]:
        """Return alarms of sensing: looks that were planned and not taken, or could not be sensed."""
        return [one for one in (self._count.alarm(now_ns), self.fault) if one is not None]

    @property
    def looks(self) -> int:
        """Return how many looks were taken."""
        return self._survey.looks

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(0.5)
            self._wake.clear()
            try:
                while self._todo and not self._stop:
                    self._sense(self._todo.popleft())
                self._sum_up()
                self.fault = None
            except Exception as exc:  # noqa: BLE001 - a look that cannot be sensed closes the gate, and is told
                self.fault = cut(f"a look could not be sensed ({type(exc).__name__}: {exc})", 256)
            self._tidy(time.monotonic_ns())

    def _sense(self, look: LookTaken) -> None:
        iq = self._ring.read(look.ticket)
        if iq is None:
            return
        flags = sample_flags(RxFlag(look.flags))
        with self._lock:
            result = self._survey.feed(iq, start_ns=look.earliest_ns, flags=flags)
        if self.listener is not None:
            self.listener(result, not flags & ELSEWHERE)
        if flags & ELSEWHERE:
            return
        self._waterfall.add(result)
        self._count.took(look.earliest_ns)
        found = tuple((int(i.low_hz), int(i.high_hz), str(i.kind)) for i in result.incumbents)
        now_ns = time.monotonic_ns()
        told = Heard(listened_ns=look.earliest_ns, found_ns=now_ns, incumbents=found, channels=result.channels)
        self._heard.append(told)
        if found:
            self.rouse()
