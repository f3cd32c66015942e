"""Replays a SigMF recording as a receiver."""

from typing import Final

import numpy as np

from radio.errors import EndOfRecording, SettingRefused, SourceError
from radio.ports import Iq16, RxBlock, RxFlag, RxSettings, Span
from radio.recording.datatypes import Samples
from radio.recording.reader import Recording, open_recording
from radio.recording.segments import Segment

__all__ = ["REPLAY_FULL_SCALE", "ReplayReceiver", "open_recording"]

REPLAY_FULL_SCALE: Final = 32767
_NOTED: Final = {flag.name: flag for flag in RxFlag} | {"GAIN_STEP": RxFlag.GAIN_CHANGED}


class ReplayReceiver:
    """Plays a recording once as a `radio.ports.Receiver`; times are the recording's own, counted from `start_ns`.

    No block goes over a gap between captures: the one before it is short, the one after it flagged.
    """

    def __init__(self, recording: Recording, *, start_ns: int = 0) -> None:
        """Open for replay. Args: start_ns is the monotonic time given to the first sample.

        Raises: SourceError for a recording of several tunings.
        """
        tunings = {one.center_hz for one in recording.runs}
        if len(tunings) > 1:
            raise SourceError(f"{recording.path}: tuned to {len(tunings)} frequencies; replay plays one, split it")
        self._recording = recording
        self._start_ns = start_ns
        self._run = self._next = self._sequence = 0

    @property
    def settings(self) -> RxSettings:
        """The settings of the next samples, the only ones that this source accepts."""
        return self._settings_of(self._recording.runs[min(self._run, len(self._recording.runs) - 1)])

    def _settings_of(self, run: Segment) -> RxSettings:
        rate_hz = self._recording.sample_rate_hz
        return RxSettings(
            center_hz=round(run.center_hz),
            sample_rate_hz=round(rate_hz),
            bandwidth_hz=round(rate_hz if run.bandwidth_hz is None else run.bandwidth_hz),
            gain_mdb=round(1000 * (run.gain_db or 0.0)),
        )

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Accept the recording's own frequency and rate.

        Raises: SettingRefused for any other.
        """
        own = self.settings
        if (settings.center_hz, settings.sample_rate_hz) != (own.center_hz, own.sample_rate_hz):
            raise SettingRefused(
                f"{self._recording.path}: recorded at {own.center_hz} Hz and {own.sample_rate_hz} S/s; tune to these"
            )
        return own

    def receive(self, samples: int) -> RxBlock:
        """Return the next samples; the last block before a gap and the last of all are short.

        Raises: EndOfRecording when none are left.
        """
        if self._run >= len(self._recording.runs):
            raise EndOfRecording(f"{self._recording.path}: all {self._recording.samples} samples were played")
        run = self._recording.runs[self._run]
        count = min(samples, run.samples - self._next)
        iq, flags = _as_int16(self._recording.read(run.first + self._next, count), self._recording.full_scale)
        at = self._start_ns + run.start_ns + round(self._next / self._recording.sample_rate_hz * 1e9)
        flags |= self._flags(run, count)
        self._next += count
        self._sequence += 1
        if self._next >= run.samples:
            self._run, self._next = self._run + 1, 0
        return RxBlock(
            iq=iq,
            sequence=self._sequence - 1,
            start=Span(earliest_ns=at, latest_ns=at),
            settings=self._settings_of(run),
            full_scale=self._full_scale(),
            flags=flags | RxFlag.UNCALIBRATED | (RxFlag.SHORT if count < samples else RxFlag.NONE),
        )

    def _flags(self, run: Segment, count: int) -> RxFlag:
        """Flags of a block: the recorder's own, and a gap where its segment does not follow the last."""
        flags = RxFlag.NONE
        for name in self._recording.doubts(run.first + self._next, count):
            flags |= _NOTED.get(name, RxFlag.NONE)
        if not self._next and self._run:
            flags |= RxFlag.GAP if run.gap else RxFlag.NONE
            flags |= RxFlag.GAIN_CHANGED if run.gain_db != self._recording.runs[self._run - 1].gain_db else RxFlag.NONE
        return flags

    def _full_scale(self) -> int:
        return round(self._recording.full_scale) if self._recording.meta.kind.whole else REPLAY_FULL_SCALE


def _as_int16(iq: Samples, full_scale: float) -> tuple[Iq16, RxFlag]:
    """Convert to read-only int16 pairs; NaN becomes zero and a gap flag, values beyond full scale clip."""
    flags = RxFlag.NONE
    if iq.dtype == np.complex64:
        pairs = np.ascontiguousarray(iq).view(np.float32).reshape(-1, 2) * np.float32(REPLAY_FULL_SCALE / full_scale)
        if not np.isfinite(pairs).all():
            flags |= RxFlag.GAP
            pairs = np.nan_to_num(pairs, nan=0.0, posinf=0.0, neginf=0.0)
        if np.abs(pairs).max(initial=0.0) > REPLAY_FULL_SCALE:
            flags |= RxFlag.CLIPPED
        out = np.rint(np.clip(pairs, -REPLAY_FULL_SCALE, REPLAY_FULL_SCALE)).astype(np.int16)
    else:
        out = np.array(iq, dtype=np.int16)
    out.flags.writeable = False
    return out, flags
