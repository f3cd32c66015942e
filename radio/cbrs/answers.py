"""The answers of this node's SAS to base stations, batch by batch: pure, except that it asks its `Giver` for grants.

    (1) an item that misses something is 102, one with a value out of range 103, and spoils no other
    (2) a cbsdId nobody has is 103; one registered with another certificate 104; a grant of somebody else 103
    (3) a second registration replaces the first and ends its grants
    (4) every grant, and every transmitExpireTime ahead in a heartbeat response, is what the `Giver` answered
    (5) a heartbeat with AUTHORIZED for a grant that never was authorized is 502; after its transmitExpireTime 501
    (6) a grant whose settlement is gone for good is 500, one that may come back 501; neither has an expiry ahead
    (7) after deregistration the id is unknown

All heartbeats of a batch are put to the `Giver` at once, so that a batch is one write to its disk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from radio.cbrs import times
from radio.cbrs.codes import Code, CodeFault, response
from radio.cbrs.fields import Item
from radio.cbrs.messages import (
    Deregistration,
    GrantAsk,
    Heartbeat,
    Inquiry,
    Operation,
    Registration,
    Relinquishment,
    Request,
    read_item,
)
from radio.cbrs.permission import Answer, Ask, Given, Giver, Room, Withheld
from radio.cbrs.registration import Cbsd, Registrar
from settlement.core.reasons import Reason

VERSIONS = ("v1.2", "v1.3")
CBSDS_MAX, GRANTS_MAX, ENDED_MAX = 1000, 16, 64
RULE = "FCC_PART_96"


@dataclass(frozen=True, slots=True, kw_only=True)
class CbsdGrant:
    """A grant of a base station; `authorized_until_ns`: transmitExpireTime last sent (UTC ns), 0 before the first."""

    grant: str
    operation: Operation
    authorized_until_ns: int = 0
    ever: bool = False


@dataclass(slots=True)
class _Station:
    cbsd: Cbsd
    grants: dict[str, CbsdGrant] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)

    def end(self, grant: str) -> None:
        self.grants.pop(grant, None)
        self.ended[grant] = None
        while len(self.ended) > ENDED_MAX:
            del self.ended[next(iter(self.ended))]


@dataclass(slots=True)
class Sas:
    """The SAS for all base stations of a node. `entropy` makes grant ids; `channel_type` is that of its grants."""

    registrar: Registrar
    giver: Giver
    entropy: Callable[[int], bytes]
    channel_type: str = "GAA"
    ask_measured: tuple[str, ...] = ()
    stations: dict[str, _Station] = field(default_factory=dict)

    def answer(self, version: str, method: str, items: list[Any], certificate: str, now_ns: int) -> dict[str, Any]:
        """The response body for a batch, item by item in order. `now_ns` is UTC, the latest bound of the clock."""
        if version not in VERSIONS:
            answers = [self._said(CodeFault(code=Code.VERSION), method, now_ns) for _ in items]
        else:
            read = [read_item(method, item) for item in items]
            answers = self._answers(method, read, certificate, now_ns)
        return {f"{method}Response": answers}

    def _answers(self, method: str, read: list[Request | CodeFault], certificate: str, now_ns: int) -> list[Item]:
        made: list[Item | None] = [None] * len(read)
        asks: list[tuple[int, Request, Ask]] = []
        for place, one in enumerate(read):
            outcome = one if isinstance(one, CodeFault) else self._one(one, certificate, now_ns)
            if isinstance(outcome, Ask) and not isinstance(one, CodeFault):
                asks.append((place, one, outcome))
            elif not isinstance(outcome, Ask):
                made[place] = self._said(outcome, method, now_ns) if isinstance(outcome, CodeFault) else outcome
                if isinstance(outcome, CodeFault):
                    made[place] = {**self._names(one, outcome), **(made[place] or {})}
        answered = self.giver.give([ask for _, _, ask in asks]) if asks else []
        for (place, request, ask), answer in zip(asks, answered, strict=True):
            made[place] = self._given(request, ask, answer, now_ns)
        return [item for item in made if item is not None]

    def _names(self, one: Request | CodeFault, fault: CodeFault) -> Item:
        """The ids of a request that its answer repeats: only ids that belong to this sender."""
        if isinstance(one, CodeFault | Registration) or fault.code is Code.CERT_ERROR or "cbsdId" in fault.data:
            return {}
        own: Item = {"cbsdId": one.cbsd}
        if isinstance(one, Heartbeat | Relinquishment) and "grantId" not in fault.data:
            own["grantId"] = one.grant
        return own

    def _said(self, fault: CodeFault, method: str, now_ns: int) -> Item:
        made: Item = {"response": response(fault.code, fault.message, fault.data), **fault.extra}
        if method == "heartbeat":  # a heartbeat response always has transmitExpireTime; here it is already past
            made["transmitExpireTime"] = times.shown(now_ns)
        return made

    def _one(self, request: Request, certificate: str, now_ns: int) -> Item | CodeFault | Ask:
        if isinstance(request, Registration):
            return self._register(request, certificate)
        station = self.stations.get(request.cbsd)
        if station is None:  # (2)
            return CodeFault(code=Code.INVALID_VALUE, data=("cbsdId",))
        if station.cbsd.certificate != certificate:
            return CodeFault(code=Code.CERT_ERROR)
        match request:
            case Inquiry():
                return self._inquire(station, request)
            case GrantAsk():
                return self._ask(station, request)
            case Heartbeat():
                return self._beat(station, request, now_ns)
            case Relinquishment():
                return self._relinquish(station, request)
            case Deregistration():
                self._forget(station)
                return {"cbsdId": request.cbsd, "response": response(Code.SUCCESS)}

    def _register(self, request: Registration, certificate: str) -> Item | CodeFault:
        cbsd = self.registrar.judge(request, certificate)
        if isinstance(cbsd, CodeFault):
            return cbsd
        before = self.stations.get(cbsd.cbsd)
        if before is not None:  # (3)
            if before.cbsd.certificate != certificate:
                return CodeFault(code=Code.CERT_ERROR)
            self._forget(before)
        if len(self.stations) >= CBSDS_MAX:
            return CodeFault(code=Code.REG_PENDING, message=f"{CBSDS_MAX} base stations are registered here")
        self.stations[cbsd.cbsd] = _Station(cbsd)
        self.giver.registered(cbsd.device, request.item)
        made: Item = {"cbsdId": cbsd.cbsd, "response": response(Code.SUCCESS)}
        wanted = [kind for kind in self.ask_measured if kind in cbsd.measures]
        return {**made, "measReportConfig": wanted} if wanted else made

    def _forget(self, station: _Station) -> None:
        self.giver.returned(station.cbsd.device, list(station.grants))
        self.stations.pop(station.cbsd.cbsd, None)

    def _inquire(self, station: _Station, request: Inquiry) -> Item:
        rooms = self.giver.room(station.cbsd.device, station.cbsd.spot)
        found = []
        for low_hz, high_hz in request.ranges_hz:
            for room in rooms:
                low, high = max(low_hz, room.low_hz), min(high_hz, room.high_hz)
                if low < high:
                    loudest = min(room.density_mdbm_per_mhz / 1000, station.cbsd.eirp_max_dbm)
                    span = {"lowFrequency": low, "highFrequency": high}
                    channel = {"frequencyRange": span, "channelType": self.channel_type, "ruleApplied": RULE}
                    found.append({**channel, "maxEirp": loudest})
        return {"cbsdId": request.cbsd, "availableChannel": found, "response": response(Code.SUCCESS)}

    def _ask(self, station: _Station, request: GrantAsk) -> CodeFault | Ask:
        wanted = request.operation
        if wanted.max_eirp > station.cbsd.eirp_max_dbm:
            return CodeFault(
                code=Code.INVALID_VALUE, data=("maxEirp",), message=f"<= {station.cbsd.eirp_max_dbm} dBm/MHz"
            )
        over = any(h.operation.low_hz < wanted.high_hz and wanted.low_hz < h.operation.high_hz
                   for h in station.grants.values())  # fmt: skip
        if over or len(station.grants) >= GRANTS_MAX:
            return CodeFault(
                code=Code.GRANT_CONFLICT, data=tuple(station.grants), message="overlaps a grant of its own"
            )
        held = CbsdGrant(grant=self.entropy(8).hex(), operation=wanted)
        station.grants[held.grant] = held  # kept until the giver has answered: the next request must not overlap
        return _asking(station, held, fresh=True)

    def _beat(self, station: _Station, request: Heartbeat, now_ns: int) -> CodeFault | Ask:
        held = station.grants.get(request.grant)
        if held is None:
            gone = request.grant in station.ended
            return (
                CodeFault(code=Code.TERMINATED_GRANT) if gone else CodeFault(code=Code.INVALID_VALUE, data=("grantId",))
            )
        if request.authorized and not held.ever:  # (5)
            self._end(station, request.grant)
            return CodeFault(code=Code.UNSYNC_OP_PARAM, message="it never was authorized")
        if request.authorized and held.authorized_until_ns <= now_ns:
            return CodeFault(code=Code.SUSPENDED_GRANT, message="its transmitExpireTime had passed")
        return _asking(station, held, fresh=False)

    def _relinquish(self, station: _Station, request: Relinquishment) -> Item | CodeFault:
        if request.grant not in station.grants:
            return CodeFault(code=Code.INVALID_VALUE, data=("grantId",))
        self._end(station, request.grant)
        return {"cbsdId": request.cbsd, "grantId": request.grant, "response": response(Code.SUCCESS)}

    def _end(self, station: _Station, grant: str) -> None:
        self.giver.returned(station.cbsd.device, [grant])
        station.end(grant)

    # -- the giver's answers ---------------------------------------------------------------------------------------

    def _given(self, request: Request, ask: Ask, answer: Answer, now_ns: int) -> Item:
        """The response item for the giver's answer to a grant or heartbeat request: rules (4) and (6)."""
        assert isinstance(request, GrantAsk | Heartbeat)  # noqa: S101 - nothing else is put to the giver
        station = self.stations.get(request.cbsd)
        if station is None:
            return self._said(CodeFault(code=Code.INVALID_VALUE, data=("cbsdId",)), "heartbeat", now_ns)
        if isinstance(request, GrantAsk):
            return self._granted(station, request, ask, answer)
        held = station.grants.get(request.grant)
        named: Item = {"cbsdId": request.cbsd, "grantId": request.grant}
        if isinstance(answer, Withheld) or held is None:
            code, why = _ended_by(answer)
            if held is not None and code is Code.TERMINATED_GRANT:
                station.end(request.grant)
            elif held is not None:
                station.grants[request.grant] = replace(held, authorized_until_ns=0)
            return {**named, **self._said(CodeFault(code=code, message=why), "heartbeat", now_ns)}
        station.grants[request.grant] = replace(held, authorized_until_ns=answer.transmit_until_ns, ever=True)
        made = {
            **named,
            "transmitExpireTime": times.shown(answer.transmit_until_ns),
            "heartbeatInterval": answer.interval_s,
            "response": response(Code.SUCCESS),
        }
        return {**made, "grantExpireTime": times.shown(answer.grant_until_ns)} if request.renew else made

    def _granted(self, station: _Station, request: GrantAsk, ask: Ask, answer: Answer) -> Item:
        if isinstance(answer, Withheld):
            station.grants.pop(ask.grant, None)
            return {"cbsdId": request.cbsd, **self._refused(station, request.operation, answer)}
        return {
            "cbsdId": request.cbsd,
            "grantId": ask.grant,
            "grantExpireTime": times.shown(answer.grant_until_ns),
            "heartbeatInterval": answer.interval_s,
            "channelType": self.channel_type,
            "response": response(Code.SUCCESS),
        }

    def _refused(self, station: _Station, wanted: Operation, answer: Withheld) -> Item:
        code = _REFUSED.get(answer.reason, Code.INTERFERENCE)
        made: Item = {"response": response(code, f"{answer.reason}: {answer.detail}"[:256])}
        offered = _nearest(self.giver.room(station.cbsd.device, station.cbsd.spot), wanted, station.cbsd.eirp_max_dbm)
        return made if offered is None else {**made, "operationParam": offered.as_param()}


_REFUSED = {Reason.SCOPE.value: Code.UNSUPPORTED_SPECTRUM, Reason.CONFLICT.value: Code.GRANT_CONFLICT}


def _ended_by(answer: Answer) -> tuple[Code, str]:
    if isinstance(answer, Given):
        return Code.TERMINATED_GRANT, "it ended meanwhile"
    code = Code.TERMINATED_GRANT if answer.over else Code.SUSPENDED_GRANT
    return code, f"{answer.reason}: {answer.detail}"[:256]


def _asking(station: _Station, held: CbsdGrant, *, fresh: bool) -> Ask:
    return Ask(
        device=station.cbsd.device,
        grant=held.grant,
        low_hz=held.operation.low_hz,
        high_hz=held.operation.high_hz,
        density_mdbm_per_mhz=round(held.operation.max_eirp * 1000),
        spot=station.cbsd.spot,
        fresh=fresh,
    )


def _nearest(rooms: list[Room], wanted: Operation, loudest: float) -> Operation | None:
    """The operation that a refused base station could ask for instead: nearest in frequency, no wider and no louder."""
    if not rooms:
        return None
    room = min(rooms, key=lambda r: (abs(r.low_hz - wanted.low_hz), r.low_hz))
    high_hz = min(room.high_hz, room.low_hz + wanted.high_hz - wanted.low_hz)
    dbm = min(room.density_mdbm_per_mhz / 1000, loudest, wanted.max_eirp)
    return Operation(low_hz=room.low_hz, high_hz=high_hz, max_eirp=dbm)
