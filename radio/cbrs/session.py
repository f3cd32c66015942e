"""The CBSD side of the SAS interface, for a CBSD or a domain proxy: the next request, and what a response means. Pure.

`due` says what is to be sent now, batched by method; `answer` takes what came back to exactly that call; `rf_until_ns`
says how long each device may radiate. The order for one device:

    (1) registration until the SAS gives a cbsdId (again after `RETRY_NS` where it is pending or refused)
    (2) spectrumInquiry, once, where the plan asks for it; a grant for what is wanted (again after a refusal)
    (3) heartbeats in time: the first of a grant says GRANTED; renewal once half of the grant's life is left
    (4) a grant that is ENDING is relinquished once RF is off, and before anything else is asked for

An answer counts only for the call that waits, item by item in order, and only where it repeats the ids asked about: one
that comes late, twice, in another order or for another grant is UNUSABLE, which closes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from radio.cbrs.codes import Code, known
from radio.cbrs.fields import Item
from radio.cbrs.grant import AHEAD_MAX_NS, SasGrant, aged, beaten, given
from radio.cbrs.messages import AUTHORIZED, BATCH_MAX, GRANTED, Operation, operation
from radio.cbrs.table import CbsdEvent, State
from settlement.core.fixes import TimeFix

NS = 1_000_000_000
RETRY_NS = 10 * NS
WAIT_MAX_NS = 10 * NS
"""Timeout of a request: a later answer is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CbsdDevice:
    """A radio to register: its local name, and its registrationRequest."""

    name: str
    registration: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One batch to send: its number, to match the answer; the method; one item for each device."""

    number: int
    method: str
    devices: tuple[str, ...]
    items: tuple[Item, ...]
    sent_ns: int

    def body(self) -> dict[str, list[Item]]:
        """The JSON object to send."""
        return {f"{self.method}Request": list(self.items)}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An event that an operator may want to read."""

    device: str
    what: str
    detail: str = ""


@dataclass(slots=True)
class _One:
    """The state of one device: its registration, the grant wanted, and how far the exchange is."""

    device: CbsdDevice
    wanted: Operation | None = None
    cbsd: str | None = None
    grant: SasGrant | None = None
    retry_ns: int = 0
    beat_ns: int = 0
    inquired: bool = False
    leaving: bool = False
    waiting: bool = False
    reports: tuple[str, ...] = ()
    available: tuple[tuple[int, int], ...] | None = None
    reachable: bool = True


@dataclass(slots=True)
class Session:
    """The requests of all devices towards one SAS. All times are arguments from this node's clock."""

    inquire: bool = True
    ahead_max_ns: int = AHEAD_MAX_NS
    _ones: dict[str, _One] = field(default_factory=dict)
    _calls: dict[int, Call] = field(default_factory=dict)
    _number: int = 0
    news: list[News] = field(default_factory=list)
    measured: Item | None = None
    """The newest measurement report, sent where the SAS asks for one."""
    measured_by: dict[str, Item | None] = field(default_factory=dict)
    """Measurement reports of single devices; an entry here, None included, replaces `measured`."""

    def add(self, device: CbsdDevice) -> None:
        """Add a device; it registers on the next turn."""
        self._ones.setdefault(device.name, _One(device))

    def want(self, name: str, wanted: Operation | None) -> None:
        """Set the operation that a device needs a grant for; None relinquishes its grant."""
        one = self._ones[name]
        if one.wanted != wanted:
            one.wanted, one.retry_ns = wanted, 0
        if one.grant is not None and one.grant.operation != wanted:
            one.grant = one.grant.having(CbsdEvent.UNWANTED)

    def leave(self, name: str) -> None:
        """Relinquish a device's grant and deregister it."""
        self.want(name, None)
        self._ones[name].leaving = True

    def reach(self, name: str, *, reachable: bool) -> None:
        """Set whether the radio answers: for one whose silence cannot be verified no heartbeat is sent."""
        self._ones[name].reachable = reachable

    def grant_of(self, name: str) -> SasGrant | None:
        """The grant a device has."""
        return self._ones[name].grant

    def cbsd_of(self, name: str) -> str | None:
        """The id the SAS knows a device by."""
        return self._ones[name].cbsd

    def rf_until_ns(self, name: str, now: TimeFix) -> int | None:
        """Until when (UTC ns) a device may radiate; None when it may not."""
        grant = self._ones[name].grant
        return None if grant is None else grant.rf_until_ns(now)

    # -- requests to send ----------------------------------------------------------------------------------------

    def due(self, now: TimeFix) -> list[Call]:
        """The requests to send now; each must be ended by `answer` or by `lost`."""
        for number in [n for n, call in self._calls.items() if now.latest_ns - call.sent_ns > WAIT_MAX_NS]:
            self.lost(number)
        found: dict[str, list[tuple[str, Item]]] = {}
        for name, one in self._ones.items():
            if one.grant is not None:
                self._age(one, now)
            step = None if one.waiting else self._next(one, now)
            if step is not None:
                found.setdefault(step[0], []).append((name, step[1]))
        return [call for method, asked in found.items() for call in self._calls_of(method, asked, now)]

    def _calls_of(self, method: str, asked: list[tuple[str, Item]], now: TimeFix) -> Iterable[Call]:
        for start in range(0, len(asked), BATCH_MAX):
            part = asked[start : start + BATCH_MAX]
            self._number += 1
            names = tuple(name for name, _ in part)
            items = tuple(item for _, item in part)
            call = Call(number=self._number, method=method, devices=names, items=items, sent_ns=now.latest_ns)
            self._calls[call.number] = call
            for name in names:
                self._ones[name].waiting = True
            yield call

    def _age(self, one: _One, now: TimeFix) -> None:
        before = one.grant
        if before is None:
            return
        one.grant = aged(before, now)
        if one.grant.state is State.IDLE:
            one.grant = None
            self._tell(one, "grant over")
        elif before.state is State.AUTHORIZED and one.grant.state is State.GRANTED:
            self._tell(one, "silent", "transmitExpireTime passed")

    def _next(self, one: _One, now: TimeFix) -> tuple[str, Item] | None:
        """The next request of a device, by the order of the module's rules."""
        if now.latest_ns < one.retry_ns:
            return None
        if one.cbsd is None:
            return None if one.leaving else ("registration", one.device.registration)
        grant = one.grant
        if grant is not None and grant.state is State.ENDING:
            return "relinquishment", {"cbsdId": one.cbsd, "grantId": grant.grant}
        if grant is not None:
            return self._heartbeat(one, one.cbsd, grant, now)
        if one.leaving:
            return "deregistration", {"cbsdId": one.cbsd}
        if one.wanted is None:
            return None
        if self.inquire and not one.inquired:
            span = one.wanted.as_param()["operationFrequencyRange"]
            return "spectrumInquiry", self._reporting(one, {"cbsdId": one.cbsd, "inquiredSpectrum": [span]}, "WITHOUT")
        asked = {"cbsdId": one.cbsd, "operationParam": one.wanted.as_param()}
        return "grant", self._reporting(one, asked, "WITHOUT")

    def _heartbeat(self, one: _One, cbsd: str, grant: SasGrant, now: TimeFix) -> tuple[str, Item] | None:
        if now.latest_ns < one.beat_ns or not one.reachable:
            return None
        state = AUTHORIZED if grant.state is State.AUTHORIZED else GRANTED
        item: Item = {"cbsdId": cbsd, "grantId": grant.grant, "operationState": state}
        if grant.expires_ns - now.latest_ns < 2 * grant.interval_s * NS:
            item["grantRenew"] = True
        return "heartbeat", self._reporting(one, item, "WITH_GRANT")

    def _reporting(self, one: _One, item: Item, when: str) -> Item:
        asked = any(kind.endswith(("WITHOUT_GRANT",) if when == "WITHOUT" else (when,)) for kind in one.reports)
        measured = self.measured_by.get(one.device.name, self.measured)
        return {**item, "measReport": measured} if asked and measured is not None else item

    # -- responses received --------------------------------------------------------------------------------------

    def lost(self, number: int) -> None:
        """End a request that nobody answered: grants stay until they expire, and the request is sent again."""
        call = self._calls.pop(number, None)
        for name in call.devices if call is not None else ():
            one = self._ones[name]
            one.waiting = False
            interval_s = one.grant.interval_s if one.grant is not None else RETRY_NS // NS
            one.retry_ns = call.sent_ns + min(interval_s * NS // 4, RETRY_NS) if call is not None else 0

    def answer(self, number: int, body: object, now: TimeFix) -> None:
        """Take in the response body of a request; a response that does not match it is ignored, and closes RF."""
        call = self._calls.pop(number, None)
        if call is None:
            return
        items = body.get(f"{call.method}Response") if isinstance(body, dict) else None
        fits = isinstance(items, list) and len(items) == len(call.items)
        for place, name in enumerate(call.devices):
            one = self._ones[name]
            one.waiting = False
            item = items[place] if isinstance(items, list) and fits else None
            self._take(one, call, call.items[place], item if isinstance(item, dict) else {}, now)

    def _take(self, one: _One, call: Call, asked: Item, item: Item, now: TimeFix) -> None:
        answer = item.get("response")
        number = answer.get("responseCode") if isinstance(answer, dict) else None
        code = known(number)
        strange = any(item.get(key) != asked.get(key) for key in ("cbsdId", "grantId") if key in asked)
        if call.method == "heartbeat":
            self._beat(one, item, now, strange=strange and (code is Code.SUCCESS or _named(item)))
            return
        one.retry_ns = now.latest_ns + RETRY_NS
        if call.method == "relinquishment":
            self._relinquished(one, code)
        elif call.method == "registration":
            self._registered(one, item, code, number)
        elif call.method == "deregistration":
            one.cbsd = None if code is not None else one.cbsd
        elif strange and code is Code.SUCCESS:
            self._tell(one, "unusable", f"{call.method} for another cbsdId")
        elif code in _UNREGISTER or code is None:
            self._unregister(one, f"{call.method}: {code.name if code is not None else number!r}")
        elif call.method == "spectrumInquiry":
            self._inquired(one, item, code)
        else:
            self._granted(one, asked, item, code, now)

    def _registered(self, one: _One, item: Item, code: Code | None, number: object) -> None:
        cbsd = item.get("cbsdId")
        if code is Code.SUCCESS and isinstance(cbsd, str) and cbsd:
            one.cbsd, one.grant, one.inquired, one.retry_ns = cbsd, None, False, 0
            one.reports = _reports(item) or ()
            self._tell(one, "registered", cbsd)
        else:
            self._tell(one, "not registered", code.name if code is not None else repr(number))

    def _inquired(self, one: _One, item: Item, code: Code | None) -> None:
        one.inquired, one.retry_ns = True, 0
        found = []
        for channel in item.get("availableChannel") or () if isinstance(item.get("availableChannel"), list) else ():
            span = channel.get("frequencyRange") if isinstance(channel, dict) else None
            made = operation({"maxEirp": 0, "operationFrequencyRange": span})
            if made is not None:
                found.append((made.low_hz, made.high_hz))
        one.available = tuple(found)
        self._tell(one, "inquired", f"{len(found)} channels" if code is Code.SUCCESS else str(code and code.name))

    def _granted(self, one: _One, asked: Item, item: Item, code: Code | None, now: TimeFix) -> None:
        wanted = operation(asked["operationParam"])
        if code is not Code.SUCCESS or wanted is None:
            self._tell(one, "no grant", code.name if code is not None else "")
            return
        made = given(item, now, wanted=wanted)
        if isinstance(made, str):
            self._tell(one, "unusable", made)
            return
        one.grant, one.retry_ns, one.beat_ns = made, 0, now.latest_ns
        one.reports = _reports(item) or one.reports
        if one.wanted != wanted:
            one.grant = made.having(CbsdEvent.UNWANTED)
        self._tell(one, "granted", made.grant)

    def _beat(self, one: _One, item: Item, now: TimeFix, *, strange: bool) -> None:
        grant = one.grant
        if grant is None:
            return
        if strange:
            after, event, why = grant.having(CbsdEvent.UNUSABLE), CbsdEvent.UNUSABLE, "another cbsdId or grantId"
        else:
            after, event, why = beaten(grant, item, now, ahead_max_ns=self.ahead_max_ns)
        one.retry_ns = 0
        one.reports = one.reports if strange else _reports(item) or one.reports
        one.beat_ns = now.latest_ns + after.interval_s * NS
        one.grant = None if after.state is State.IDLE else after
        if event is CbsdEvent.UNREGISTERED:
            self._unregister(one, why)
        elif event is not CbsdEvent.BEAT:
            one.retry_ns = 0 if after.state is not State.IDLE else now.latest_ns + RETRY_NS
            self._tell(one, event.name.lower(), why)
        elif grant.state is not State.AUTHORIZED:
            self._tell(one, "authorized", grant.grant)

    def _relinquished(self, one: _One, code: Code | None) -> None:
        if code is None:
            return
        one.grant, one.retry_ns = None, 0
        if code in _UNREGISTER:
            self._unregister(one, code.name)
        else:
            self._tell(one, "relinquished", code.name)

    def _unregister(self, one: _One, why: str) -> None:
        one.cbsd, one.grant, one.reports = None, None, ()
        self._tell(one, "unregistered", why)

    def _tell(self, one: _One, what: str, detail: str = "") -> None:
        self.news.append(News(device=one.device.name, what=what, detail=detail))

    def grants(self) -> dict[str, SasGrant]:
        """The grants held, by device."""
        return {name: one.grant for name, one in self._ones.items() if one.grant is not None}

    def restore(self, name: str, cbsd: str, grant: SasGrant) -> None:
        """Restore a grant from before a restart: RF stays off until the SAS has answered again."""
        one = self._ones[name]
        one.cbsd, one.grant = cbsd, replace(grant, state=State.GRANTED, transmit_until_ns=0)
        one.wanted = grant.operation


_UNREGISTER = (Code.DEREGISTER, Code.BLACKLISTED, Code.CERT_ERROR, Code.VERSION)


def _reports(item: Item) -> tuple[str, ...] | None:
    """The measurements that a response asks for; None where it does not say."""
    config = item.get("measReportConfig")
    return tuple(kind for kind in config if isinstance(kind, str)) if isinstance(config, list) else None


def _named(item: Item) -> bool:
    """Whether a response names a device or a grant; a response that closes RF may leave the names out."""
    return "cbsdId" in item or "grantId" in item
