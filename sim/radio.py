"""The simulated radio: `radio.ports.Radio` over a running air, with timeouts and a separate mute connection."""

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import zmq

from radio.errors import Disconnected, HardwareError, LocalError, ReceiveTimeout, SettingRefused, SourceError
from radio.ports import Iq16, RfState, RxBlock, RxFlag, RxSettings, Sent, Span, TxSettings
from sim.wire import TIMEOUT_MS, AirRefused, AirRequests, Header, mute_endpoint

NS = 1_000_000_000
SPANS_LATE = 4
STREAM_LATE_NS = 300_000_000
LAST_MUTE_MS = 1000
"""Time in ms for which an unanswered mute is still tried when the connection is dropped."""


class SimRadio:
    """One station's radio. Receiving, transmitting and muting may each be used from a separate thread."""

    def __init__(self, endpoint: str, name: str, *, timeout_ms: int = TIMEOUT_MS) -> None:
        """Connect to the air at an ipc:// endpoint as the station `name`.

        Raises:
            Disconnected: no air answers.
            SourceError: the air has no such station.
        """
        self._name = name
        self._timeout_ms = timeout_ms
        streams: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        apart: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._free = weakref.finalize(self, _destroy, streams, apart)
        self._tx = AirRequests(endpoint, context=streams)
        self._rx = AirRequests(endpoint, context=streams)
        self._mute = AirRequests(mute_endpoint(endpoint), context=apart, linger_ms=LAST_MUTE_MS)
        self._receiving = threading.Lock()
        self._closing = threading.Event()
        self._sequence = 0
        self._rx_settings: RxSettings | None = None
        try:
            hello = self._ask(self._tx, {"op": "hello"})
            self._device_id, self._full_scale = str(hello["device_id"]), int(hello["full_scale"])
            self.rf_state()
        except (HardwareError, LocalError):
            self._release()
            raise

    @property
    def device_id(self) -> str:
        """Model and serial of the unit."""
        return self._device_id

    @property
    def full_scale(self) -> int:
        """The ADC's full scale, in codes."""
        return self._full_scale

    def tune_rx(self, settings: RxSettings) -> RxSettings:
        """Set the receiver and return the settings held; raises SettingRefused, HardwareError."""
        answer = self._ask(self._rx, {"op": "tune_rx", "settings": asdict(settings)})
        self._rx_settings = RxSettings(**answer["settings"])
        return self._rx_settings

    def receive(self, samples: int) -> RxBlock:
        """Wait until `samples` new samples were taken and return them.

        Raises:
            SettingRefused: the receiver was not tuned, or the number is outside the radio's limits.
            ReceiveTimeout: the samples did not come within the radio's timeout, and four times their span, after they
                were due.
            HardwareError: the air failed.
        """
        with self._receiving:
            settings = self._rx_settings
            if settings is None:
                raise SettingRefused(f"{self._name}: the receiver is not tuned; call tune_rx first")
            start_ns = time.monotonic_ns()
            self._wait_until(start_ns + -(-samples * NS // settings.sample_rate_hz))
            late_ms = self._timeout_ms + SPANS_LATE * samples * 1000 // settings.sample_rate_hz
            answer, data = self._look(start_ns, samples, late_ms)
            self._sequence += 1
            return self._block(answer, data, samples, settings)

    def stream(self, samples: int) -> Iterator[RxBlock]:
        """Yield block after block of `samples`; a block that comes too late is skipped, the next one flagged.

        Raises SettingRefused where the receiver was not tuned, HardwareError when the air fails.
        """
        begun_ns, number, lost = time.monotonic_ns(), 0, False
        while not self._closing.is_set():
            with self._receiving:
                settings = self._rx_settings
                if settings is None:
                    raise SettingRefused(f"{self._name}: the receiver is not tuned; call tune_rx first")
                start_ns = begun_ns + number * samples * NS // settings.sample_rate_hz
                end_ns = begun_ns + (number + 1) * samples * NS // settings.sample_rate_hz
                late = (time.monotonic_ns() - end_ns) * settings.sample_rate_hz // (samples * NS)
                if late * samples * NS > STREAM_LATE_NS * settings.sample_rate_hz:
                    number, lost = number + late, True
                    self._sequence += late
                    continue
                self._wait_until(end_ns + 1)
                answer, data = self._look(start_ns, samples, self._timeout_ms)
            number += 1
            self._sequence += 1
            block = self._block(answer, data, samples, settings)
            yield replace(block, flags=block.flags | RxFlag.GAP) if lost else block
            lost = False

    def _look(self, start_ns: int, samples: int, timeout_ms: int) -> tuple[Header, memoryview]:
        request = {"op": "look", "station": self._name, "start_ns": start_ns, "samples": samples}
        try:
            answer, data = self._rx.request(request, timeout_ms=timeout_ms)
        except AirRefused as exc:
            if exc.code == "busy":
                raise ReceiveTimeout(f"{self._name}: {exc}") from exc
            raise _plain(exc, self._name) from exc
        except Disconnected as exc:
            raise ReceiveTimeout(f"{self._name}: {exc}") from exc
        if data is None:
            raise HardwareError(f"{self._name}: the air answered without samples; start it again")
        return answer, data

    def _block(self, answer: Header, data: memoryview, samples: int, settings: RxSettings) -> RxBlock:
        iq = np.frombuffer(data, dtype=np.int16).reshape(-1, 2)
        iq.flags.writeable = False
        flags = RxFlag(answer["flags"])
        return RxBlock(
            iq=iq,
            sequence=self._sequence,
            start=Span(earliest_ns=answer["earliest_ns"], latest_ns=answer["latest_ns"]),
            settings=settings,
            full_scale=answer["full_scale"],
            flags=flags if len(iq) == samples else flags | RxFlag.SHORT,
        )

    def tune_tx(self, settings: TxSettings) -> TxSettings:
        """Set the transmitter, oscillator on; returns the settings held; raises SettingRefused, HardwareError."""
        return TxSettings(**self._ask(self._tx, {"op": "tune_tx", "settings": asdict(settings)})["settings"])

    def send(self, iq: Iq16) -> Sent:
        """Queue samples of shape (n, 2) to play once; raises SettingRefused (nothing is queued) or HardwareError.

        After a HardwareError it is unknown whether the samples are sent.

        While the oscillator is off they play to nowhere, as on hardware.
        """
        if iq.dtype != np.int16 or iq.ndim != 2 or iq.shape[1] != 2:
            raise SettingRefused(
                f"{self._name}: samples are {iq.dtype} of shape {iq.shape}; give int16 of shape (n, 2)"
            )
        answer = self._ask(self._tx, {"op": "send"}, iq.tobytes())
        start_ns = int(answer["start_ns"])
        return Sent(start=Span(earliest_ns=start_ns, latest_ns=start_ns), samples=int(answer["samples"]))

    def mute(self) -> RfState:
        """Stop what plays, drop what is queued, oscillator off; returns the readback; raises HardwareError."""
        return RfState(self._ask(self._mute, {"op": "mute"})["rf"])

    def rf_state(self) -> RfState:
        """Read back whether the output can radiate; raises HardwareError."""
        return RfState(self._ask(self._mute, {"op": "rf_state"})["rf"])

    def close(self) -> None:
        """Mute and close; a waiting receive is abandoned. Raises HardwareError if muting failed."""
        if self._closing.is_set():
            return
        self._closing.set()
        try:
            self.mute()
        finally:
            self._release()

    def _release(self) -> None:
        for channel in (self._tx, self._rx, self._mute):
            channel.close()
        self._free()

    def _ask(self, channel: AirRequests, request: Header, payload: bytes | None = None) -> Header:
        try:
            answer, _ = channel.request({**request, "station": self._name}, payload, timeout_ms=self._timeout_ms)
        except AirRefused as exc:
            raise _plain(exc, self._name) from exc
        return answer

    def _wait_until(self, at_ns: int) -> None:
        """Wait until the span's time has passed, as a radio does."""
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            if self._closing.wait(left_ns / NS):
                raise Disconnected(f"{self._name}: closed while receiving")


def _destroy(*contexts: "zmq.Context[zmq.Socket[bytes]]") -> None:
    for context in contexts:
        context.destroy()


def _plain(refusal: AirRefused, name: str) -> LocalError | HardwareError:
    """The radio's error for a refusal by the air."""
    if refusal.code == "refused":
        return SettingRefused(f"{name}: {refusal}")
    if refusal.code == "unknown":
        return SourceError(str(refusal))
    return HardwareError(f"{name}: {refusal}")
