"""A CBSD towards its SAS: every (state, event), and that anything but a good answer closes."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from radio.cbrs.codes import Code
from radio.cbrs.grant import KEEP_NS, SasGrant, aged, beaten
from radio.cbrs.session import Call, CbsdDevice, Session
from radio.cbrs.table import TRANSITIONS, CbsdEvent, NoSuchStep, State, after, heartbeat_event
from settlement.core.fixes import TimeFix
from tests.radio.cbrs.made import NOW, NS, WANTED, at, registration, time_text

pytestmark = pytest.mark.feature("R10")
IDS = {"cbsdId": "c1", "grantId": "g1"}
GOOD = {"response": {"responseCode": 0}}


def grant(state: State = State.AUTHORIZED) -> SasGrant:
    return SasGrant(
        grant="g1",
        operation=WANTED,
        state=state,
        expires_ns=NOW + 3600 * NS,
        transmit_until_ns=NOW + 100 * NS,
        heard_ns=NOW,
    )


def beat(**changes: Any) -> dict[str, Any]:
    return {**IDS, **GOOD, "transmitExpireTime": time_text(90), **changes}


@pytest.mark.parametrize(("state", "event"), list(product(State, CbsdEvent)))
def test_every_pair_of_state_and_event(state: State, event: CbsdEvent) -> None:
    found = after(state, event)
    if (state, event) in TRANSITIONS:
        assert found is TRANSITIONS[state, event]
        assert found is not State.AUTHORIZED or event is CbsdEvent.BEAT, "only a good heartbeat authorizes"
    else:
        assert found == NoSuchStep(state=state, event=event)
        assert grant(state).having(event) == grant(state), "a refused event changes nothing"


@pytest.mark.parametrize("number", [*map(int, Code), 1, 199, 503, -1, "0", None, True, 0.0])
def test_only_success_keeps_rf_on(number: Any) -> None:
    answered, event, _ = beaten(grant(), beat(response={"responseCode": number}), at(10))
    on = number == 0 and type(number) is int
    assert (answered.rf_until_ns(at(10)) is not None) == on
    assert (event is CbsdEvent.BEAT) == on
    assert heartbeat_event(None) is CbsdEvent.UNREGISTERED


BAD_TIMES = [
    {"transmitExpireTime": None},
    {"transmitExpireTime": ""},
    {"transmitExpireTime": "NULL"},
    {"transmitExpireTime": time_text(9)},
    {"transmitExpireTime": time_text(10)},
    {"transmitExpireTime": 2_000_000_000},
    {"transmitExpireTime": "2099-13-01T00:00:00Z"},
    {"grantExpireTime": time_text(9)},
    {"grantExpireTime": "soon"},
    {"operationParam": {"maxEirp": 3}},
    {"operationParam": replace(WANTED, max_eirp=5.0).as_param()},
]


@pytest.mark.parametrize("change", BAD_TIMES)
def test_an_absent_past_or_unreadable_time_closes(change: dict[str, Any]) -> None:
    answered, event, why = beaten(grant(), beat(**change), at(10))
    assert answered.rf_until_ns(at(10)) is None
    assert event in (CbsdEvent.UNUSABLE, CbsdEvent.UNSYNC)
    assert why
    absent = {k: v for k, v in beat(**change).items() if v is not None}
    assert beaten(grant(), absent, at(10))[0].rf_until_ns(at(10)) is None


def test_rf_lasts_to_the_earliest_of_what_was_said() -> None:
    far = beat(transmitExpireTime=time_text(5000), grantExpireTime=time_text(9000))
    assert beaten(grant(), far, at(10))[0].transmit_until_ns == at(10).earliest_ns + 240 * NS
    short = beat(transmitExpireTime=time_text(200), grantExpireTime=time_text(150))
    assert beaten(grant(), short, at(10))[0].transmit_until_ns == NOW + 150 * NS
    assert beaten(grant(), beat(), at(10, trusted=False))[0].rf_until_ns(at(10)) is None
    on = beaten(grant(), beat(), at(10))[0]
    assert on.rf_until_ns(at(89)) == NOW + 90 * NS
    assert on.rf_until_ns(at(90)) is None
    assert on.rf_until_ns(at(20, trusted=False)) is None


def test_a_grant_is_kept_seven_days_silent() -> None:
    held = replace(grant(), expires_ns=NOW + 30 * 24 * 3600 * NS)
    silent = aged(held, at(101))
    assert (silent.state, silent.rf_until_ns(at(101))) == (State.GRANTED, None)
    assert aged(silent, at(KEEP_NS / NS - 1)).state is State.GRANTED
    assert aged(silent, at(KEEP_NS / NS + 1)).state is State.IDLE
    assert aged(grant(), at(50, trusted=False)).state is State.GRANTED, "no clock, no RF, but nothing is given up"


# -- a whole session ---------------------------------------------------------------------------------------------------


def sole(session: Session, now: TimeFix) -> Call:
    (call,) = session.due(now)
    return call


def reply(session: Session, call: Call, now: TimeFix, *items: Any) -> None:
    session.answer(call.number, {f"{call.method}Response": list(items)}, now)


def authorized(names: tuple[str, ...] = ("a",)) -> Session:
    session = Session(inquire=False)
    for name in names:
        session.add(CbsdDevice(name=name, registration=registration(name)))
        session.want(name, WANTED)
    steps: list[tuple[str, Any]] = [
        ("registration", {**GOOD}),
        ("grant", {**GOOD, "grantExpireTime": time_text(3600), "heartbeatInterval": 60, "channelType": "GAA"}),
        ("heartbeat", {**GOOD, "transmitExpireTime": time_text(100)}),
    ]
    for method, item in steps:
        call = sole(session, at(0))
        assert call.method == method
        answered = []
        for name in call.devices:
            ids = {"cbsdId": f"c-{name}", "grantId": f"g-{name}"}
            answered.append({**(ids if method != "registration" else {"cbsdId": ids["cbsdId"]}), **item})
        if method == "heartbeat":
            assert {item["operationState"] for item in call.items} == {"GRANTED"}, "the first heartbeat of a grant"
            assert all(session.rf_until_ns(name, at(0)) is None for name in names), "no RF before it"
        reply(session, call, at(0), *answered)
    assert all(session.rf_until_ns(name, at(1)) == NOW + 100 * NS for name in names)
    return session


def test_two_devices_go_from_registration_to_authorized_and_back() -> None:
    session = authorized(("a", "b"))
    assert session.due(at(59)) == []
    call = sole(session, at(60))
    assert [item["operationState"] for item in call.items] == ["AUTHORIZED", "AUTHORIZED"]
    fine = {**GOOD, "transmitExpireTime": time_text(160)}
    reply(session, call, at(60), {"cbsdId": "c-a", "grantId": "g-a", **fine},
          {"cbsdId": "c-b", "grantId": "g-b", "response": {"responseCode": 501}})  # fmt: skip
    assert session.rf_until_ns("a", at(61)) == NOW + 160 * NS
    assert session.rf_until_ns("b", at(61)) is None
    session.leave("a")
    assert session.rf_until_ns("a", at(61)) is None, "silent before it gives the grant back"
    call = sole(session, at(61))
    assert (call.method, call.devices) == ("relinquishment", ("a",))
    reply(session, call, at(61), {"cbsdId": "c-a", "grantId": "g-a", **GOOD})
    call = sole(session, at(62))
    assert call.method == "deregistration"
    reply(session, call, at(62), {"cbsdId": "c-a", **GOOD})
    assert session.due(at(63)) == []
    assert sole(session, at(120)).devices == ("b",), "501: it goes on with heartbeats"


CLOSING = {500: State.IDLE, 105: None, 101: None, 777: None, 502: State.ENDING, 501: State.GRANTED}


@pytest.mark.parametrize(("number", "state"), list(CLOSING.items()))
def test_a_code_that_closes(number: int, state: State | None) -> None:
    session = authorized()
    reply(session, sole(session, at(60)), at(60), {"response": {"responseCode": number}})
    assert session.rf_until_ns("a", at(60)) is None
    held = session.grant_of("a")
    assert (held.state if held is not None else State.IDLE) is (state or State.IDLE)
    assert (session.cbsd_of("a") is None) == (state is None)
    nexts = {500: "grant", 502: "relinquishment", 501: "heartbeat"}
    assert sole(session, at(130)).method == nexts.get(number, "registration")


STRANGE: list[Any] = [
    None, 3, [], {}, {"heartbeatResponse": None}, {"heartbeatResponse": []}, {"heartbeatResponse": [None]},
    {"heartbeatResponse": [beat(cbsdId="c-a", grantId="g-other")]},
    {"heartbeatResponse": [beat(cbsdId="c-other", grantId="g-a")]},
    {"heartbeatResponse": [beat(cbsdId="c-a", grantId="g-a")] * 2},
    {"grantResponse": [beat(cbsdId="c-a", grantId="g-a")]},
    {"heartbeatResponse": [{"transmitExpireTime": time_text(150), "response": {"responseCode": 0}}]},
]  # fmt: skip


@pytest.mark.parametrize("body", STRANGE)
def test_an_answer_that_does_not_fit_closes(body: Any) -> None:
    session = authorized()
    session.answer(sole(session, at(60)).number, body, at(60))
    assert session.rf_until_ns("a", at(60)) is None


def test_late_and_second_answers_count_for_nothing() -> None:
    session = authorized()
    call = sole(session, at(60))
    good = {"cbsdId": "c-a", "grantId": "g-a", **GOOD, "transmitExpireTime": time_text(160)}
    reply(session, call, at(60), {**good, "response": {"responseCode": 501}})
    reply(session, call, at(61), good)
    assert session.rf_until_ns("a", at(61)) is None, "the second answer to one call"
    session = authorized()
    call = sole(session, at(60))
    assert sole(session, at(71)).number != call.number, "asked again"
    reply(session, call, at(71), good)
    assert session.rf_until_ns("a", at(71)) == NOW + 100 * NS, "what was said before still stands"
    assert session.rf_until_ns("a", at(100)) is None, "and runs out"
    assert sole(session, at(90)).items[0]["operationState"] == "AUTHORIZED"


def test_two_answers_in_another_order_close_both() -> None:
    session = authorized(("a", "b"))
    call = sole(session, at(60))
    fine = {**GOOD, "transmitExpireTime": time_text(160)}
    reply(
        session, call, at(60), {"cbsdId": "c-b", "grantId": "g-b", **fine}, {"cbsdId": "c-a", "grantId": "g-a", **fine}
    )
    assert session.rf_until_ns("a", at(60)) is None
    assert session.rf_until_ns("b", at(60)) is None


def test_no_heartbeat_for_a_radio_that_cannot_be_reached() -> None:
    session = authorized()
    session.reach("a", reachable=False)
    assert session.due(at(60)) == []
    session.reach("a", reachable=True)
    assert sole(session, at(61)).method == "heartbeat"


def test_measurements_go_where_they_were_asked_for() -> None:
    session = Session(inquire=True)
    session.add(CbsdDevice(name="a", registration=registration()))
    session.want("a", WANTED)
    session.measured = {"rcvdPowerMeasReports": []}
    reply(session, sole(session, at(0)), at(0),
          {"cbsdId": "c-a", **GOOD, "measReportConfig": ["RECEIVED_POWER_WITHOUT_GRANT"]})  # fmt: skip
    call = sole(session, at(1))
    assert (call.method, "measReport" in call.items[0]) == ("spectrumInquiry", True)
    reply(session, call, at(1), {"cbsdId": "c-a", **GOOD, "availableChannel": [{"frequencyRange": {}}]})
    assert "measReport" in sole(session, at(2)).items[0]


def test_a_kept_grant_is_silent_until_the_sas_has_answered() -> None:
    session = Session()
    session.add(CbsdDevice(name="a", registration=registration()))
    session.restore("a", "c-a", grant())
    assert session.rf_until_ns("a", at(1)) is None
    assert sole(session, at(1)).items[0]["operationState"] == "GRANTED"
