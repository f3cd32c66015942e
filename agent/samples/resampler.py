"""Resamples and frequency-shifts a stream in blocks; the output does not depend on how the stream was cut.

scipy.signal takes a second to load, and is loaded only where two rates differ.
"""

from math import ceil, gcd

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx

HALF_TAPS = 16
"""Reach of the low-pass filter to either side, in samples of the slower rate."""
CUTOFF = 0.92
"""Its -6 dB point as a share of the slower rate's half: what is beyond folds back weakened, by 50 dB from 1.05 on."""
BETA = 5.6
TABLE_MAX = 1 << 20


class Resampler:
    """Polyphase FIR resampling by the ratio of two rates (scipy.signal.upfirdn), block after block.

    Output n is what a whole-stream `upfirdn` gives at n, so the filter delays by `HALF_TAPS` samples of the slower
    rate. Equal rates pass through untouched.
    """

    def __init__(self, *, from_hz: int, to_hz: int) -> None:
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        slower = max(self._up, self._down)
        self._half = HALF_TAPS * slower
        self._taps: NDArray[np.float32] = np.ones(1, np.float32)
        if slower > 1:
            from scipy.signal import firwin

            taps = firwin(2 * self._half + 1, CUTOFF / slower, window=("kaiser", BETA)) * self._up
            self._taps = taps.astype(np.float32)
        self._held: Cplx = np.zeros(0, np.complex64)
        self._begin = self._given = 0

    @property
    def trivial(self) -> bool:
        """Whether the rates are equal."""
        return self._up == self._down

    def feed(self, samples: Cplx) -> Cplx:
        """Return all output that the input so far determines, shape (m,), complex64."""
        if self.trivial:
            return samples
        self._held = np.concatenate((self._held, samples))
        end = self._begin + len(self._held)
        ready = ((end - 1) * self._up) // self._down + 1 if end else 0
        if ready <= self._given:
            return np.zeros(0, np.complex64)
        first = self._begin * self._up // self._down
        from scipy.signal import upfirdn

        out = upfirdn(self._taps, self._held, self._up, self._down)
        fresh = out[self._given - first : ready - first].astype(np.complex64, copy=False)
        self._given = ready
        self._forget()
        return fresh

    def _forget(self) -> None:
        """Drop input that no later output needs, in steps that keep the filter phases."""
        needed = max(0, ceil((self._given * self._down - len(self._taps) + 1) / self._up))
        begin = needed // self._down * self._down
        if begin > self._begin:
            self._held = self._held[begin - self._begin :]
            self._begin = begin


class Mixer:
    """Shifts a stream's centre upwards by `shift_hz` (what was at f is then at f - shift_hz), with continuous phase."""

    def __init__(self, *, shift_hz: int, rate_hz: int) -> None:
        self.shift_hz, self._rate_hz = shift_hz, rate_hz
        self._at = 0
        self._period = rate_hz // gcd(rate_hz, abs(shift_hz)) if shift_hz else 1
        self._table: Cplx | None = self._turns(0, self._period) if self._period <= TABLE_MAX else None

    def _turns(self, start: int, count: int) -> Cplx:
        cycles = (np.arange(start, start + count, dtype=np.int64) * (self.shift_hz % self._rate_hz)) % self._rate_hz
        turned: Cplx = np.exp(-2j * np.pi * cycles / self._rate_hz).astype(np.complex64)
        return turned

    def feed(self, samples: Cplx) -> Cplx:
        """Return the samples, shifted."""
        if not self.shift_hz:
            return samples
        begin, self._at = self._at, (self._at + len(samples)) % self._period
        if self._table is None:
            return samples * self._turns(begin, len(samples))
        repeats = -(-(begin + len(samples)) // self._period)
        turns = self._table if repeats == 1 else np.tile(self._table, repeats)
        return samples * turns[begin : begin + len(samples)]
