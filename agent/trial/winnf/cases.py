"""The certification test cases as a table: what is done to the device under test, and what must hold afterwards.

Each case runs with one device, and with a domain proxy of two where that makes a difference. The RF criteria of the
certification (any transmission at all, stop within 60 s, none before AUTHORIZED, only in the granted range, stop
before relinquishment) are numbers of the oracle, in milliseconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.trial.winnf.rig import RANGES, CbsdRig
from sim.cbrs.sas import Json, Raw, Script

STOP_MS_MAX = 60_000.0
Checks = Iterator["RfCheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RfCheck:
    """One criterion, whether it holds, and the oracle's number where it has one."""

    question: str
    holds: bool
    ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One case: its name, what happens, and with which devices; `not_applicable` says why it is not run."""

    name: str
    act: Callable[[CbsdRig], Checks] | None
    proxy: bool = True
    not_applicable: str = ""


def code(number: Any, *, only: int | None = None, **members: Any) -> Script:
    """Return a script that puts a response code into otherwise correct answers; `only`: the index of one device."""

    def changed(_sas: Any, _items: list[Json], honest: list[Json]) -> list[Any]:
        made = {**members, "response": {"responseCode": number}}
        return [one if only not in (None, n) else {**one, **made} for n, one in enumerate(honest)]

    return changed


def members(**changes: Any) -> Script:
    """Return a script that changes members of the correct answers; `...` removes a member, None makes it null."""

    def changed(_sas: Any, _items: list[Json], honest: list[Json]) -> list[Any]:
        return [{k: v for k, v in {**one, **changes}.items() if v is not ...} for one in honest]

    return changed


def silence(_sas: Any, _items: list[Json], _honest: list[Json]) -> Raw:
    """Answer with HTTP 503 and no body, which the client takes for no answer."""
    return Raw(status=503)


def _never(rig: CbsdRig) -> RfCheck:
    spans = rig.rf()
    total = sum(((one.off_s if one.off_s is not None else rig.now_s) - one.on_s) * 1000 for one in spans)
    return RfCheck(question="did not transmit at any time", holds=not spans, ms=total)


def _on(rig: CbsdRig) -> RfCheck:
    spans = [span.on_s for number in range(rig.count) for span in rig.rf(number)[:1]]
    holds = len(spans) == rig.count
    return RfCheck(question="transmits once it is authorized", holds=holds, ms=max(spans) * 1000 if holds else None)


def _authorized_first(rig: CbsdRig) -> RfCheck:
    late = []
    for number in range(rig.count):
        spans, beat = rig.rf(number), rig.first("heartbeat", number)
        late += [(span.on_s - beat) * 1000 if beat is not None else -1.0 for span in spans]
    return RfCheck(
        question="did not transmit before its first good heartbeat", holds=all(ms >= 0 for ms in late),
        ms=min(late, default=None),
    )  # fmt: skip


def _in_range(rig: CbsdRig) -> RfCheck:
    holds = all((span.low_hz, span.high_hz) == RANGES[span.device] for span in rig.rf())
    return RfCheck(question="transmitted only in the granted range", holds=holds)


def _stopped(rig: CbsdRig, cause_s: float, number: int = 0) -> RfCheck:
    ends = [span.off_s for span in rig.rf(number) if span.off_s is None or span.off_s >= cause_s]
    if not ends:
        return RfCheck(question="was silent when the cause came", holds=True, ms=0.0)
    ms = None if ends[0] is None else (ends[0] - cause_s) * 1000
    return RfCheck(question="stopped within 60 s", holds=ms is not None and ms <= STOP_MS_MAX, ms=ms)


def _stays_silent(rig: CbsdRig, since_s: float, number: int = 0) -> RfCheck:
    again = [span for span in rig.rf(number) if span.on_s > since_s]
    return RfCheck(question="did not transmit again", holds=not again)


def _silent_first(rig: CbsdRig) -> RfCheck:
    holds = not any(method == "relinquishment" for method, _ in rig.sent_on)
    return RfCheck(
        question="had stopped before it relinquished", holds=holds and rig.first("relinquishment") is not None
    )


def _next_beat(rig: CbsdRig) -> float:
    """Let time pass up to the next heartbeat and its answer; returns when that was."""
    sent = len(rig.asked)
    rig.run(30, lambda: any(method == "heartbeat" for _, method, _, _ in rig.asked[sent:]))
    return next((at for at, method, _, _ in rig.asked[sent:] if method == "heartbeat"), rig.now_s)


def registered(rig: CbsdRig) -> Checks:
    """A registration succeeds, with everything that follows."""
    rig.authorize()
    rig.run(15)
    yield RfCheck(question="registered with all it has to say", holds=bool(rig.items("registration")[0].get("fccId")))
    yield from (_on(rig), _authorized_first(rig), _in_range(rig))
    states = [rig.items("heartbeat", number)[0]["operationState"] for number in range(rig.count)]
    yield RfCheck(question="the first heartbeat of a grant says GRANTED", holds=set(states) == {"GRANTED"})
    later = [item["operationState"] for item in rig.items("heartbeat")[1:]]
    yield RfCheck(question="later ones say AUTHORIZED", holds=bool(later) and set(later) == {"AUTHORIZED"})


def refused_registration(number: int) -> Callable[[CbsdRig], Checks]:
    """A registration is answered by an error code."""

    def act(rig: CbsdRig) -> Checks:
        rig.sas.script("registration", *[code(number)] * 100)
        rig.run(65)
        yield _never(rig)
        yield RfCheck(question="asked for no grant", holds=not rig.items("grant"))

    return act


def refused_grant(number: int) -> Callable[[CbsdRig], Checks]:
    """A grant is refused by a response code."""

    def act(rig: CbsdRig) -> Checks:
        rig.sas.script("grant", *[code(number)] * 100)
        rig.run(65)
        yield _never(rig)
        yield RfCheck(question="sent no heartbeat", holds=not rig.items("heartbeat"))

    return act


def bad_grant(rig: CbsdRig) -> Checks:
    """A grant is answered without an expiry time."""
    rig.sas.script("grant", *[members(grantExpireTime=...)] * 100)
    rig.run(65)
    yield _never(rig)


def first_beat(script: Script, then: str | None) -> Callable[[CbsdRig], Checks]:
    """The first heartbeats get a faulty answer; `then` is the request that must follow."""

    def act(rig: CbsdRig) -> Checks:
        rig.sas.script("heartbeat", *[script] * 100)
        rig.run(65)
        yield _never(rig)
        if then is not None:
            yield RfCheck(question=f"went on with {then}", holds=bool(rig.items(then)))

    return act


def later_beat(script: Script, then: str | None, *, again: bool = False) -> Callable[[CbsdRig], Checks]:
    """Heartbeats during transmission get a faulty answer, with `again` one only; `then`: request that must follow."""

    def act(rig: CbsdRig) -> Checks:
        rig.authorize()
        sent = len(rig.asked)
        rig.sas.script("heartbeat", *[script] * (1 if again else 100))
        rig.sas.script("grant", *[code(400)] * 100)
        rig.sas.script("registration", *[code(200)] * 100)
        cause_s = _next_beat(rig)
        rig.run(65)
        for number in range(rig.count):
            yield _stopped(rig, cause_s, number)
            if not again:
                yield _stays_silent(rig, cause_s, number)
        if then is not None:
            yield RfCheck(
                question=f"went on with {then}", holds=any(m == then for at, m, _, _ in rig.asked[sent:] if at > 0)
            )
        if then == "relinquishment":
            yield _silent_first(rig)

    return act


def one_of_two(rig: CbsdRig) -> Checks:
    """One device of a batch gets code 500; the other continues."""
    rig.authorize()
    rig.sas.script("heartbeat", code(500, only=0))
    rig.sas.script("grant", *[code(400)] * 100)
    cause_s = _next_beat(rig)
    rig.run(12)
    yield _stopped(rig, cause_s)
    other = 1 if rig.count > 1 else 0
    yield RfCheck(question="the other device went on", holds=rig.count == 1 or rig.on(other))


def lost_for_good(rig: CbsdRig) -> Checks:
    """Heartbeats get no answer any more."""
    rig.authorize()
    rig.sas.script("heartbeat", *[silence] * 1000)
    last = max(one.until_s for one in rig.sas.allowed) - 1_700_000_000
    rig.run(120)
    ends = [span.off_s for span in rig.rf()]
    over = max((end - last) * 1000 for end in ends if end is not None) if None not in ends else None
    holds = over is not None and over <= STOP_MS_MAX
    yield RfCheck(question="stopped within 60 s after transmitExpireTime", holds=holds, ms=over)


def lost_for_a_while(rig: CbsdRig) -> Checks:
    """Heartbeats get no answer for a while, then answers again."""
    rig.authorize()
    rig.sas.script("heartbeat", *[silence] * 3)
    rig.run(60)
    yield RfCheck(question="transmits again, or still, after contact", holds=all(rig.on(n) for n in range(rig.count)))


def renewal(rig: CbsdRig) -> Checks:
    """The grant approaches its expiry."""
    rig.sas.grant_s = 40
    rig.authorize()
    rig.run(35)
    asked = any(item.get("grantRenew") for item in rig.items("heartbeat"))
    yield RfCheck(question="asked for its grant to be renewed", holds=asked)
    over_s = rig.now_s
    rig.run(65)
    for number in range(rig.count):
        yield RfCheck(question="was silent once its grant was over", holds=all(
            span.off_s is not None or span.on_s > over_s - 35 for span in rig.rf(number)
        ))  # fmt: skip


def measured(kind: str, method: str) -> Callable[[CbsdRig], Checks]:
    """The SAS asks for measurements."""

    def act(rig: CbsdRig) -> Checks:
        rig.sas.report = (kind,)
        rig.authorize()
        rig.run(15)
        held = [bool(item.get("measReport")) for item in rig.items(method)]
        yield RfCheck(question=f"its {method} carries a measurement report", holds=bool(held) and all(held))

    return act


def gave_back(last: str) -> Callable[[CbsdRig], Checks]:
    """The operator makes the device relinquish, and deregister."""

    def act(rig: CbsdRig) -> Checks:
        rig.authorize()
        for number in range(rig.count):
            (rig.session.leave if last == "deregistration" else lambda n: rig.session.want(n, None))(str(number))
        rig.run(5)
        yield RfCheck(question=f"sent its {last}", holds=all(rig.items(last, n) for n in range(rig.count)))
        yield _silent_first(rig)

    return act


SCENES: tuple[Scene, ...] = (
    Scene(name="registration: single step", act=registered),
    Scene(name="registration: 102 missing parameter", act=refused_registration(102)),
    Scene(name="registration: 103 invalid parameter", act=refused_registration(103)),
    Scene(name="registration: 101 blacklisted", act=refused_registration(101)),
    Scene(name="registration: 100 version", act=refused_registration(100)),
    Scene(name="registration: 200 pending", act=refused_registration(200)),
    Scene(name="registration: 201 group error", act=refused_registration(201)),
    Scene(name="registration: a code nobody knows", act=refused_registration(777)),
    Scene(name="grant: 400 interference", act=refused_grant(400)),
    Scene(name="grant: 401 conflict", act=refused_grant(401)),
    Scene(name="grant: no grantExpireTime", act=bad_grant),
    Scene(name="heartbeat: success", act=registered),
    Scene(name="heartbeat: 105 while it transmits", act=later_beat(code(105), "registration")),
    Scene(name="heartbeat: 500 while it transmits", act=later_beat(code(500), "grant")),
    Scene(name="heartbeat: 500 for one of two", act=one_of_two),
    Scene(name="heartbeat: 501 at first", act=first_beat(code(501), "heartbeat")),
    Scene(name="heartbeat: 501 while it transmits", act=later_beat(code(501), "heartbeat")),
    Scene(name="heartbeat: 501, then lifted", act=later_beat(code(501), "heartbeat", again=True)),
    Scene(name="heartbeat: 502 while it transmits", act=later_beat(code(502), "relinquishment")),
    Scene(name="heartbeat: 101 while it transmits", act=later_beat(code(101), "registration")),
    Scene(name="heartbeat: a code nobody knows", act=later_beat(code(777), "registration")),
    Scene(name="heartbeat: no answer at first", act=first_beat(silence, None)),
    Scene(name="heartbeat: no answer for good", act=lost_for_good),
    Scene(name="heartbeat: no answer for a while", act=lost_for_a_while),
    Scene(name="heartbeat: transmitExpireTime absent", act=later_beat(members(transmitExpireTime=...), "heartbeat")),
    Scene(name="heartbeat: transmitExpireTime NULL", act=later_beat(members(transmitExpireTime=None), "heartbeat")),
    Scene(name="heartbeat: transmitExpireTime past", act=later_beat(
        members(transmitExpireTime="2001-01-01T00:00:00Z"), "heartbeat")),
    Scene(name="heartbeat: another grantId", act=later_beat(members(grantId="other"), "heartbeat")),
    Scene(name="heartbeat: operationParam changed", act=later_beat(
        members(operationParam={"maxEirp": 1, "operationFrequencyRange": {
            "lowFrequency": RANGES[0][0], "highFrequency": RANGES[0][1]}}), "relinquishment")),
    Scene(name="heartbeat: renewal", act=renewal),
    Scene(name="measurement report without a grant", act=measured("RECEIVED_POWER_WITHOUT_GRANT", "grant")),
    Scene(name="measurement report with a grant", act=measured("RECEIVED_POWER_WITH_GRANT", "heartbeat")),
    Scene(name="relinquishment", act=gave_back("relinquishment")),
    Scene(name="deregistration", act=gave_back("deregistration")),
    Scene(name="registration: multi-step", act=None, not_applicable="the subject sends all it has to say in one step"),
    Scene(name="power spectral density and emission mask", act=None,
          not_applicable="measured on the radio's own samples by the warden's waveform check, not on this interface"),
)  # fmt: skip
