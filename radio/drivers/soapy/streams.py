"""Receive and transmit streams of a Soapy device: int16 pairs, converted from and to the module's format."""

import threading
import time
from typing import Any, Final

import numpy as np

from radio.drivers.soapy.handle import Handle, family
from radio.errors import HardwareError, ReceiveTimeout, SettingRefused
from radio.ports import Iq16, Sent, Span

NS: Final = 1_000_000_000
WAIT_US: Final = 100_000
CODES: Final = 32_768
"""Full scale where no profile states the converter's: one more than the largest int16 sample."""
SEND_S: Final = 0.5
BUFFER_LEAST: Final = 65_536
KEEPS_AFTER_STOP: Final = {"uhd": 1000, "remote": 20_000}
"""Modules that after a stop still deliver older samples, and how long to wait for the last of them, us."""
DRAINS_MOST: Final = 256
QUEUED_NS: Final = NS
"""Longest duration of samples queued in a device ahead of time, whatever it would accept."""


class SoapyReceive:
    """Reads a device's first receive channel while it is switched on."""

    def __init__(self, handle: Handle, *, full_scale: int) -> None:
        """Set up; raises HardwareError.

        Args: full_scale: amplitude in codes of a floating sample of 1.0, the full scale of every module.
        """
        self._handle, self._api = handle, handle.api
        self.full_scale = full_scale
        self._stream: Any = handle.call("setupStream", handle.rx, self._api.SOAPY_SDR_CF32, [0])
        self._size = max(BUFFER_LEAST, int(handle.call("getStreamMTU", self._stream)))
        self._buffer = np.zeros((self._size, 2), np.float32)
        self.on = False

    def switch(self, *, on: bool) -> None:
        """Start or stop the stream; raises HardwareError."""
        if on is self.on:
            return
        done = self._handle.call("activateStream" if on else "deactivateStream", self._stream)
        if done not in {0, None}:
            raise HardwareError(f"soapy:{self._handle.arguments}: streaming: {self._api.errToStr(done)}")
        self.on = on
        wait_us = KEEPS_AFTER_STOP.get(family(self._handle.arguments), 0)
        if not on and wait_us:
            self._drain(wait_us)

    def _drain(self, wait_us: int) -> None:
        for _ in range(DRAINS_MOST):
            if self._handle.device.readStream(self._stream, [self._buffer], self._size, 0, wait_us).ret <= 0:
                return

    def read(self, samples: int, *, limit_ns: int) -> tuple[Iq16, bool]:
        """Read up to `samples` consecutive ones, shape (n, 2), and whether samples were lost before; none if they were.

        Raises: ReceiveTimeout when none came by `limit_ns` of the monotonic clock, HardwareError.
        """
        wanted = min(samples, self._size)
        while time.monotonic_ns() < limit_ns:
            got = self._handle.device.readStream(self._stream, [self._buffer], wanted, 0, WAIT_US)
            if got.ret > 0:
                return self._codes(got.ret), False
            if got.ret == self._api.SOAPY_SDR_OVERFLOW:
                return np.zeros((0, 2), np.int16), True
            if got.ret not in {0, self._api.SOAPY_SDR_TIMEOUT}:
                raise HardwareError(f"soapy:{self._handle.arguments}: receiving: {self._api.errToStr(got.ret)}")
        raise ReceiveTimeout(f"soapy:{self._handle.arguments}: no samples came in time; is the device still on?")

    def _codes(self, count: int) -> Iq16:
        scaled = np.rint(np.nan_to_num(self._buffer[:count] * self.full_scale))
        return np.clip(scaled, -CODES, CODES - 1).astype(np.int16)

    def close(self) -> None:
        """Stop and close the stream; raises HardwareError."""
        self.switch(on=False)
        self._handle.call("closeStream", self._stream)


class SoapyTransmit:
    """Sends finite bursts to a device's first transmit channel; silent between them."""

    def __init__(self, handle: Handle, *, rate_hz: int, full_scale: int, uncertain_ns: int) -> None:
        """Set up and switch on; raises HardwareError.

        Args: full_scale is the samples' amplitude at full output; a burst leaves within `uncertain_ns` of being handed
        over.
        """
        self.rate_hz = rate_hz
        self._handle, self._api = handle, handle.api
        self._full_scale, self._uncertain_ns = full_scale, uncertain_ns
        self._busy = Span(earliest_ns=0, latest_ns=0)
        self._lock = threading.Lock()
        self._stream: Any = handle.call("setupStream", handle.tx, self._api.SOAPY_SDR_CF32, [0])
        done = handle.call("activateStream", self._stream)
        if done not in {0, None}:
            raise HardwareError(f"soapy:{handle.arguments}: streaming: {self._api.errToStr(done)}")

    def send(self, iq: Iq16) -> Sent:
        """Send a burst once; raises SettingRefused where too much is queued already, HardwareError."""
        if self._busy.latest_ns - time.monotonic_ns() > QUEUED_NS:
            raise SettingRefused("a second of samples waits already; send later")
        samples = np.clip(iq.astype(np.float32) / self._full_scale, -1.0, 1.0)
        before_ns = time.monotonic_ns()
        with self._lock:
            if self._stream is None:
                raise HardwareError("the transmit stream is closed")
            self._write(samples, before_ns + round(SEND_S * NS))
        after_ns = time.monotonic_ns() + self._uncertain_ns
        start = Span(earliest_ns=max(before_ns, self._busy.earliest_ns), latest_ns=max(after_ns, self._busy.latest_ns))
        length_ns = -(-len(iq) * NS // self.rate_hz)
        self._busy = Span(earliest_ns=start.earliest_ns + length_ns, latest_ns=start.latest_ns + length_ns)
        return Sent(start=start, samples=len(iq))

    def _write(self, samples: Any, limit_ns: int) -> None:
        at = 0
        while at < len(samples):
            if time.monotonic_ns() > limit_ns:
                raise HardwareError(f"soapy:{self._handle.arguments}: took {at} of {len(samples)} samples in time")
            flags = self._api.SOAPY_SDR_END_BURST
            part = samples[at:]
            done = self._handle.device.writeStream(self._stream, [part], len(part), flags, 0, WAIT_US)
            if done.ret < 0 and done.ret != self._api.SOAPY_SDR_TIMEOUT:
                raise HardwareError(f"soapy:{self._handle.arguments}: sending: {self._api.errToStr(done.ret)}")
            at += max(0, done.ret)

    def close(self) -> None:
        """Stop at once, dropping what is queued, and close the stream; raises HardwareError."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._handle.call("deactivateStream", stream)
            self._handle.call("closeStream", stream)
