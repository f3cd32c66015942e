"""The air's control logic without sockets: device state, time stamps, and pending requests.

Requests come in as JSON headers with the monotonic time of their receipt; what the workers have to hear is queued in
`outbox`. Nothing here touches samples, so that no request takes longer than a fraction of a millisecond.
"""

import itertools
import math
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from radio.ports import RfState, RxFlag, RxSettings, TxSettings
from sim.device import NS, Begun, CarrierChanged, Device, Ended, Event, OutOfLimits, Output
from sim.oracle import LEVELS_MDBM_PER_MHZ
from sim.stations import STRICT, AirConfig
from sim.wire import Header

LOOKS_MAX = 64


class ServerFailed(Exception):
    """The air cannot be served; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The configuration of the process; `history_s` is how far back a look may begin."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    endpoint: str
    air: AirConfig
    log: str
    workers: Annotated[int, Field(ge=1, le=8)] = 1
    history_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    leakage_floor_dbm: Annotated[float, Field(ge=-200, le=60)] = -40.0
    levels_mdbm_per_mhz: tuple[int, ...] = LEVELS_MDBM_PER_MHZ
    parent_pid: Annotated[int, Field(gt=0)] | None = None


@dataclass(slots=True)
class _Waiting:
    """A request that waits for a worker's response, and where that goes."""

    identity: bytes
    request: int
    flags: RxFlag = RxFlag.NONE


class AirControl:
    """Device state and message routing; `now_ns` is an argument of every call, samples only pass through."""

    def __init__(self, config: ServerConfig, *, now_ns: int) -> None:
        ids = itertools.count(1)
        self._devices = {one.name: Device(one, ids=ids, now_ns=now_ns) for one in config.air.stations}
        self._history_ns = round(config.history_s * NS)
        self._ids = ids
        self._waiting: dict[int, _Waiting] = {}
        self._load = [0] * config.workers
        self.ready = [False] * config.workers
        self.outbox: list[tuple[int | None, Header, Any]] = []

    def handle(self, identity: bytes, header: Header, payload: Any, *, now_ns: int) -> Header | None:
        """Handle a request; returns its response, or None where a worker has to answer."""
        op = header.get("op")
        if op not in ("mute", "rf_state") and now_ns > int(header.get("deadline_ns", now_ns)):
            return refusal("late", "the request came after its deadline")
        match op:
            case "ping":
                return {"ready": all(self.ready), "now_ns": now_ns}
            case "state":
                return {"now_ns": now_ns, "radios": {name: _state(one) for name, one in self._devices.items()}}
            case "dump":
                self._dump(identity, int(header["id"]), now_ns)
                return None
        device = self._devices.get(str(header.get("station")))
        if device is None:
            return refusal("unknown", f"no station named {header.get('station')}; there are {', '.join(self._devices)}")
        return self._device_request(device, identity, header, payload, now_ns)

    def _device_request(
        self, device: Device, identity: bytes, header: Header, payload: Any, now_ns: int
    ) -> Header | None:
        match header.get("op"):
            case "hello":
                return {
                    "device_id": f"bandpact-sim {device.hardware.serial}",
                    "full_scale": device.hardware.rx_full_scale,
                }
            case "tune_rx":
                return _settled(device.tune_rx(RxSettings(**header["settings"]), now_ns=now_ns))
            case "tune_tx":
                held, events = device.tune_tx(TxSettings(**header["settings"]), now_ns=now_ns)
                self._tell(events, None)
                return _settled(held)
            case "output":
                return self._output(device, header, now_ns)
            case "send":
                return self._send(device, payload, now_ns)
            case "mute":
                self._tell(device.mute(now_ns=now_ns), None)
                return {"rf": _rf(device).value, "now_ns": now_ns}
            case "rf_state":
                return {"rf": _rf(device).value, "now_ns": now_ns}
            case "look":
                return self._look(device, identity, header, now_ns)
            case other:
                return refusal("unknown", f"no request {other}")

    def _output(self, device: Device, header: Header, now_ns: int) -> Header:
        wanted = header["output"]
        held, events = device.output(Output(**{**wanted, "settings": TxSettings(**wanted["settings"])}), now_ns=now_ns)
        self._tell(events, None)
        return _settled(held)

    def _send(self, device: Device, payload: Any, now_ns: int) -> Header:
        size = 0 if payload is None else len(payload)
        if size == 0 or size % 4:
            return refusal("refused", f"{size} bytes are no whole samples; send int16 pairs")
        last_db = _last_db(bytes(memoryview(payload)[-4:]), device.hardware.tx_full_scale)
        segment, events = device.send(size // 4, now_ns=now_ns, last_db=last_db)
        self._tell(events, payload)
        if isinstance(segment, OutOfLimits):
            return refusal("refused", segment.message)
        return {"start_ns": segment.start_ns, "end_ns": segment.end_ns, "samples": segment.samples}

    def _look(self, device: Device, identity: bytes, header: Header, now_ns: int) -> Header | None:
        start_ns, samples = int(header["start_ns"]), int(header["samples"])
        limits = device.hardware.block_samples
        if not limits.low <= samples <= limits.high:
            return refusal("refused", f"samples {samples} is outside {limits.low} to {limits.high}; ask for fewer")
        end_ns = start_ns + samples * NS // device.rx.sample_rate_hz
        if end_ns > now_ns or start_ns < now_ns - self._history_ns - (end_ns - start_ns):
            return refusal("refused", "that span is not over yet, or too long ago; ask again")
        if len(self._waiting) >= LOOKS_MAX:
            return refusal("busy", f"{LOOKS_MAX} looks wait already; ask less often")
        flags = RxFlag.OWN_TX if device.transmitted(start_ns, end_ns) else RxFlag.NONE
        flags |= RxFlag.STALE if device.rx_changed_ns > start_ns else RxFlag.NONE
        number, worker = next(self._ids), self._load.index(min(self._load))
        self._load[worker] += 1
        self._waiting[number] = _Waiting(identity, int(header["id"]), flags)
        look = {"op": "look", "look": number, "station": device.station.name, "settings": asdict(device.rx)}
        self.outbox.append((worker, {**look, "start_ns": start_ns, "samples": samples}, None))
        return None

    def _dump(self, identity: bytes, request: int, now_ns: int) -> None:
        self.advance(now_ns=now_ns)
        number = next(self._ids)
        self._waiting[number] = _Waiting(identity, request)
        self.outbox.append((0, {"op": "dump", "dump": number, "now_ns": now_ns}, None))

    def answered(self, worker: int, header: Header) -> tuple[bytes, Header] | None:
        """Take a worker's message; returns the requester and the response header, or None if nobody asked."""
        match header["op"]:
            case "ready":
                self.ready[worker] = True
                return None
            case "failed":
                raise ServerFailed(str(header["message"]))
            case "dumped":
                waiting = self._waiting.pop(header["dump"])
                failure = header.get("failure")
                answer = {} if failure is None else refusal("failed", f"oracle log: {failure}")
            case _:
                self._load[worker] -= 1
                waiting = self._waiting.pop(header["look"])
                answer = {key: header[key] for key in ("earliest_ns", "latest_ns", "full_scale")}
                answer["flags"] = header["flags"] | waiting.flags.value
        return waiting.identity, {**answer, "id": waiting.request}

    def advance(self, *, now_ns: int) -> None:
        """Advance every device to `now_ns`."""
        for device in self._devices.values():
            self._tell(device.advance(now_ns=now_ns), None)
            device.forget(before_ns=now_ns - 2 * self._history_ns)

    def silence(self, *, now_ns: int) -> None:
        """Stop every device, as when its power goes."""
        for device in self._devices.values():
            self._tell(device.mute(now_ns=now_ns), None)

    def _tell(self, events: Iterable[Event], payload: Any) -> None:
        """Queue events for every worker; samples go with the burst that they belong to."""
        for event in events:
            match event:
                case Begun(segment):
                    self.outbox.append((None, {"op": "begin", "segment": asdict(segment)}, payload))
                case Ended(segment):
                    self.outbox.append((None, {"op": "end", "segment": asdict(segment)}, None))
                case CarrierChanged(carrier):
                    self.outbox.append((None, {"op": "carrier", "carrier": asdict(carrier)}, None))


def refusal(code: str, message: str) -> Header:
    """The response that refuses a request, with a code for programs and a line for people."""
    return {"error": code, "message": message}


def _settled(held: RxSettings | TxSettings | OutOfLimits) -> Header:
    return refusal("refused", held.message) if isinstance(held, OutOfLimits) else {"settings": asdict(held)}


def _last_db(sample: bytes, full_scale: int) -> float | None:
    """Level of a burst's last sample relative to full scale, dB; None if it is zero."""
    power = sum(rail * rail for rail in struct.unpack("<hh", sample))
    return 10 * math.log10(power / full_scale**2) if power else None


def _rf(device: Device) -> RfState:
    return RfState.ON if device.lo_on else RfState.OFF


def _state(device: Device) -> Header:
    return {
        "rf": _rf(device).value,
        "tx": asdict(device.tx),
        "rx": asdict(device.rx),
        "busy_until_ns": device.busy_until_ns,
    }
