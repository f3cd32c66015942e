"""Simulated receiver front-end faults, to test sensing: functions from samples to samples, and a faulty receiver."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from radio.ports import Iq16, Receiver, RxBlock, RxFlag, RxSettings

Fault: TypeAlias = Callable[[RxBlock], RxBlock]


def _as_codes(rails: NDArray[Any], full_scale: int) -> Iq16:
    codes: Iq16 = np.clip(np.rint(rails), -full_scale, full_scale - 1).astype(np.int16)
    return codes


def overdriven(iq: Iq16, *, gain_db: float, full_scale: int) -> Iq16:
    """The samples, shape (n, 2), after additional gain, clipped at the ADC's full scale."""
    return _as_codes(iq * 10 ** (gain_db / 20), full_scale)


def with_gap(iq: Iq16, *, at: int, samples: int) -> Iq16:
    """The samples without `samples` of them from number `at` on: the rest moves up."""
    return np.concatenate((iq[:at], iq[at + samples :]))


def with_zeros(iq: Iq16, *, at: int, samples: int) -> Iq16:
    """The samples with a stretch of zeros, as a driver leaves that pads losses."""
    out = iq.copy()
    out[at : at + samples] = 0
    return out


def with_dc(iq: Iq16, *, level_dbfs: float, full_scale: int) -> Iq16:
    """Return the samples with a DC offset of that power, the same on both rails."""
    return _as_codes(iq + full_scale * 10 ** (level_dbfs / 20) / np.sqrt(2), full_scale)


def with_image(iq: Iq16, *, image_db: float, full_scale: int) -> Iq16:
    """Return the samples with their mirror image, `image_db` relative to the signal."""
    share = 10 ** (image_db / 20)
    return _as_codes(iq + share * iq * np.array([1, -1]), full_scale)


def with_gain_step(iq: Iq16, *, at: int, step_db: float, full_scale: int) -> Iq16:
    """Return the samples with the gain changed from number `at` on."""
    gain = np.where(np.arange(len(iq)) < at, 1.0, 10 ** (step_db / 20))
    return _as_codes(iq * gain[:, None], full_scale)


def stale(before: Iq16, after: Iq16, *, samples: int) -> Iq16:
    """Return a block whose first `samples` were still taken under the setting before."""
    return np.concatenate((before[len(before) - samples :], after[samples:]))


class FaultyReceiver:
    """A receiver whose blocks go wrong by script: `faults` by block sequence number, the others pass unchanged."""

    def __init__(self, inner: Receiver, faults: Mapping[int, Fault]) -> None:
        self._inner = inner
        self._faults = dict(faults)

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Tune the receiver behind."""
        return self._inner.tune_rx(settings)

    def receive(self, samples: int) -> RxBlock:
        """Receive a block, and apply the fault scripted for it."""
        block = self._inner.receive(samples)
        fault = self._faults.get(block.sequence)
        return block if fault is None else fault(block)


def spoiled(change: Callable[[Iq16], Iq16], *, flags: RxFlag = RxFlag.NONE) -> Fault:
    """A fault that changes a block's samples and sets the flags that a driver would set, if any."""

    def fault(block: RxBlock) -> RxBlock:
        iq = change(block.iq)
        iq.flags.writeable = False
        return replace(block, iq=iq, flags=block.flags | flags)

    return fault
