"""One grant that this side holds from a SAS: its state, its times, and how long RF may be on under it. Pure.

(1) RF only in AUTHORIZED and before `transmit_until_ns`
(2) `transmit_until_ns` is the earliest of transmitExpireTime, grantExpireTime and `ahead_max_ns` from now
(3) a time that is absent, NULL, of another form, past or not ahead of this clock's interval closes
(4) without an answer the grant is kept at most `KEEP_NS`, silent once (2) has passed
"""

from dataclasses import dataclass, replace

from radio.cbrs import times
from radio.cbrs.codes import known
from radio.cbrs.fields import Item, whole
from radio.cbrs.messages import Operation, operation
from radio.cbrs.table import CbsdEvent, NoSuchStep, State, after, heartbeat_event
from settlement.core.fixes import TimeFix

NS = 1_000_000_000
AHEAD_MAX_NS = 240 * NS
"""The furthest transmitExpireTime that counts, where no rule says more (WINNF-TS-0016, R2-SGN-23)."""
KEEP_NS = 7 * 24 * 3600 * NS
"""How long a grant may be kept without contact (47 CFR 96.39(c)(2))."""
INTERVAL_MAX_S = 240
INTERVAL_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SasGrant:
    """A grant given by the SAS; times are UTC ns, `heard_ns` its last response, `interval_s` between heartbeats."""

    grant: str
    operation: Operation
    state: State = State.GRANTED
    expires_ns: int = 0
    transmit_until_ns: int = 0
    interval_s: int = INTERVAL_S
    heard_ns: int = 0
    channel: str = "GAA"

    def rf_until_ns(self, now: TimeFix) -> int | None:
        """Until when (UTC ns) RF may be on: rules (1) and (3); None when it may not."""
        if self.state is not State.AUTHORIZED or not now.before(self.transmit_until_ns):
            return None
        return self.transmit_until_ns

    def having(self, event: CbsdEvent) -> "SasGrant":
        """The grant after an event; an event that its state does not allow changes nothing."""
        state = after(self.state, event)
        if isinstance(state, NoSuchStep):
            return self
        ends = state is not State.AUTHORIZED
        return replace(self, state=state, transmit_until_ns=0 if ends else self.transmit_until_ns)


def given(item: Item, now: TimeFix, *, wanted: Operation) -> SasGrant | str:
    """The grant in a successful grant response (code 0), or why the response is unusable."""
    name, expires = item.get("grantId"), times.parse(item.get("grantExpireTime"))
    if not isinstance(name, str) or not name:
        return "no grantId"
    if expires is None or not now.before(expires):
        return f"grantExpireTime {item.get('grantExpireTime')!r} is no time ahead"
    interval = _interval(item.get("heartbeatInterval"))
    if interval is None:
        return f"heartbeatInterval {item.get('heartbeatInterval')!r}"
    return SasGrant(
        grant=name,
        operation=wanted,
        expires_ns=expires,
        interval_s=interval,
        heard_ns=now.latest_ns,
        channel="PAL" if item.get("channelType") == "PAL" else "GAA",
    )


def _interval(value: object) -> int | None:
    found = whole(value)
    return found if found is not None and 1 <= found <= INTERVAL_MAX_S else None


def beaten(
    grant: SasGrant, item: Item, now: TimeFix, *, ahead_max_ns: int = AHEAD_MAX_NS
) -> tuple[SasGrant, CbsdEvent, str]:
    """Apply a heartbeat response to its grant: the grant after it, the event, and why RF closed where it did.

    A code 0 with operationParam asks to change the operation: RF goes off and the grant is given back (as at 502).
    """
    answer = item.get("response")
    number = answer.get("responseCode") if isinstance(answer, dict) else None
    if type(number) is not int:
        return grant.having(CbsdEvent.UNUSABLE), CbsdEvent.UNUSABLE, "no responseCode"
    code = known(number)
    event = heartbeat_event(code)
    if event is not CbsdEvent.BEAT:
        return grant.having(event), event, code.name if code is not None else "unknown code"
    if item.get("operationParam") is not None and operation(item["operationParam"]) != grant.operation:
        return grant.having(CbsdEvent.UNSYNC), CbsdEvent.UNSYNC, "another operationParam"
    renewed = _times(grant, item, now, ahead_max_ns)
    if isinstance(renewed, str):
        return grant.having(CbsdEvent.UNUSABLE), CbsdEvent.UNUSABLE, renewed
    return renewed, CbsdEvent.BEAT, ""


def _times(grant: SasGrant, item: Item, now: TimeFix, ahead_max_ns: int) -> SasGrant | str:
    """The grant with the times of a response, or why they cannot be used: rules (2) and (3)."""
    if not now.trusted:
        return f"clock {now.status}"
    until = times.parse(item.get("transmitExpireTime"))
    expires = grant.expires_ns
    if item.get("grantExpireTime") is not None:
        expires = times.parse(item["grantExpireTime"]) or 0
    if until is None or not now.before(until):
        return f"transmitExpireTime {item.get('transmitExpireTime')!r} is no time ahead"
    if not now.before(expires):
        return f"grantExpireTime {item.get('grantExpireTime')!r} is no time ahead"
    interval = grant.interval_s
    if item.get("heartbeatInterval") is not None:
        interval = _interval(item["heartbeatInterval"]) or interval
    return replace(
        grant.having(CbsdEvent.BEAT),
        transmit_until_ns=min(until, expires, now.earliest_ns + ahead_max_ns),
        expires_ns=expires,
        interval_s=interval,
        heard_ns=now.latest_ns,
    )


def aged(grant: SasGrant, now: TimeFix) -> SasGrant:
    """Apply the passing of time to a grant: rules (3) and (4). An untrusted clock closes RF and ends no grant."""
    if grant.state is State.AUTHORIZED and not now.before(grant.transmit_until_ns):
        grant = grant.having(CbsdEvent.TIME_UP)
    if now.trusted and (now.after(grant.expires_ns) or now.after(grant.heard_ns + KEEP_NS)):
        grant = grant.having(CbsdEvent.OVER)
    return grant
