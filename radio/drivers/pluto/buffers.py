"""Sample buffers over libiio, raw int16: receive blocks, and finite zero-padded transmit bursts; never cyclic ones."""

import threading
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radio.drivers.pluto.control import Control
from radio.drivers.pluto.layout import ADC, DAC, KERNEL_BUFFERS
from radio.drivers.pluto.libiio import destroy, open_buffer, translated
from radio.errors import HardwareError, SettingRefused
from radio.ports import Iq16, Sent, Span

NS: Final = 1_000_000_000
TAIL_SAMPLES: Final = 32
"""Zeros after every burst: what the converter holds when nothing follows."""
OPENING_SAMPLES: Final = 1024


class ReceiveBuffer:
    """An open receive buffer; all its samples are younger than its opening."""

    def __init__(self, control: Control, samples: int, *, kernel_buffers: int = KERNEL_BUFFERS) -> None:
        """Open a buffer of `samples`; raises HardwareError."""
        try:
            device = control.device(ADC)
            device.set_kernel_buffers_count(kernel_buffers)
            self._buffer: Any = open_buffer(device, samples)
        except OSError as exc:
            raise translated(exc, "opening the receive buffer") from exc

    def refill(self) -> Iq16:
        """Wait for the next block; returns its samples, read-only, shape (n, 2). Raises HardwareError."""
        try:
            self._buffer.refill()
            raw = self._buffer.read()
        except OSError as exc:
            raise translated(exc, "receiving") from exc
        iq: NDArray[np.int16] = np.frombuffer(raw, dtype="<i2", count=len(raw) // 4 * 2).reshape(-1, 2)
        iq.flags.writeable = False
        return iq

    def close(self) -> None:
        """Close the buffer on the device."""
        buffer, self._buffer = self._buffer, None
        destroy(buffer)


class TransmitBuffer:
    """An open transmit buffer for bursts of up to `samples`."""

    def __init__(self, control: Control, samples: int, *, rate_hz: int, kernel_buffers: int = KERNEL_BUFFERS) -> None:
        """Open the buffer and fill it with zeros; raises HardwareError."""
        self.samples = samples
        self._rate_hz = rate_hz
        self._kernel_buffers = kernel_buffers
        self._busy = Span(earliest_ns=0, latest_ns=0)
        self._scratch = np.zeros((samples + TAIL_SAMPLES, 2), dtype=np.int16)
        self._lock = threading.Lock()
        try:
            device = control.device(DAC)
            device.set_kernel_buffers_count(kernel_buffers)
            self._buffer: Any = open_buffer(device, samples + TAIL_SAMPLES)
        except OSError as exc:
            raise translated(exc, "opening the transmit buffer") from exc
        self._push(np.zeros((OPENING_SAMPLES - TAIL_SAMPLES, 2), dtype=np.int16)[:samples])

    @property
    def rate_hz(self) -> int:
        """The sample rate at which the buffer is played, Hz."""
        return self._rate_hz

    def send(self, iq: Iq16) -> Sent:
        """Queue samples once, zeros after; never waits. Raises SettingRefused with a full queue, HardwareError."""
        ahead_ns = self._busy.latest_ns - time.monotonic_ns()
        shortest_ns = (len(iq) + TAIL_SAMPLES) * NS // self._rate_hz
        if ahead_ns > (self._kernel_buffers - 1) * shortest_ns:
            raise SettingRefused(f"{ahead_ns / NS:.3f} s are queued already, as much as the device holds; send later")
        return self._push(iq)

    def _push(self, iq: Iq16) -> Sent:
        total = len(iq) + TAIL_SAMPLES
        self._scratch[: len(iq)] = iq
        self._scratch[len(iq) : total] = 0
        before_ns = time.monotonic_ns()
        with self._lock:
            if self._buffer is None:
                raise HardwareError("the transmit buffer is closed")
            try:
                self._buffer.write(self._scratch.view(np.uint8).reshape(-1)[: 4 * total])
                self._buffer.push(total)
            except OSError as exc:
                raise translated(exc, "sending") from exc
        after_ns = time.monotonic_ns()
        start = Span(earliest_ns=max(before_ns, self._busy.earliest_ns), latest_ns=max(after_ns, self._busy.latest_ns))
        length_ns = -(-total * NS // self._rate_hz)
        self._busy = Span(earliest_ns=start.earliest_ns + length_ns, latest_ns=start.latest_ns + length_ns)
        return Sent(start=start, samples=len(iq))

    def close(self, *, wait_s: float = 1.0) -> None:
        """Close the buffer on the device, cancelling a push that hangs; else the device's timeout ends it."""
        buffer = self._buffer
        if buffer is not None and not self._lock.acquire(blocking=False):
            buffer.cancel()
            if not self._lock.acquire(timeout=wait_s):
                return
        elif buffer is None:
            return
        try:
            self._buffer = None
            destroy(buffer)
        finally:
            self._lock.release()
