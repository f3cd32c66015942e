"""The answers a base station gets: batches, ids, states, and never an expiry beyond what the giver said."""

from dataclasses import replace
from typing import Any

import pytest

from radio.cbrs import times
from radio.cbrs.answers import Sas
from radio.cbrs.codes import Code
from radio.cbrs.permission import Room, Withheld
from tests.radio.cbrs.made import (
    NOW,
    NS,
    OTHER_CERT,
    PLACE,
    PREEMPTED,
    SUSPENDED,
    WANTED,
    Purse,
    answers,
    codes,
    given,
    registration,
    sas,
)

pytestmark = pytest.mark.feature("R12")
ASK = {"cbsdId": "fcc1/s1", "operationParam": WANTED.as_param()}


def granted(made: Sas) -> dict[str, Any]:
    assert codes(answers(made, "registration", registration())) == [0]
    answered = answers(made, "grant", ASK)
    assert codes(answered) == [0], answered
    return {"cbsdId": "fcc1/s1", "grantId": answered[0]["grantId"], "operationState": "GRANTED"}


def test_registration_answers_item_by_item_in_order() -> None:
    made, _ = sas()
    batch = [
        registration("s1"),
        registration("s2", fccId=...),
        registration("s3", cbsdCategory="Z"),
        registration("s9"),
        registration("s2", cbsdCategory=...),
        registration("s2", installationParam={**PLACE, "indoorDeployment": False}),
        registration("s2", cbsdCategory="B"),
        registration("s3", groupingParam=[{"groupType": "INTERFERENCE_COORDINATION", "groupId": "gx"}]),
        registration("s3", groupingParam=[{"groupType": "INTERFERENCE_COORDINATION", "groupId": "g1"}]),
    ]
    answered = answers(made, "registration", *batch)
    assert codes(answered) == [0, 102, 103, 103, 200, 200, 200, 201, 0]
    assert answered[0]["cbsdId"] == "fcc1/s1"
    assert answered[4]["response"]["responseData"] == ["cbsdCategory"]
    assert sorted(made.stations) == ["fcc1/s1", "fcc1/s3"]
    assert codes(answers(made, "registration", registration(), version="v9.0")) == [100]


def test_a_blocked_device_is_101_and_a_list_can_complete_a_registration() -> None:
    made, _ = sas(blocked=True)
    assert codes(answers(made, "registration", registration())) == [101]
    made, _ = sas(category="B", air_interface="NR", capabilities=(), installation=PLACE)
    short = {"userId": "u", "fccId": "fcc1", "cbsdSerialNumber": "s1"}
    assert codes(answers(made, "registration", short)) == [0]


def test_a_grant_lives_through_heartbeats_and_ends() -> None:
    made, purse = sas()
    beat = granted(made)
    assert [ask.fresh for ask in purse.asked] == [True]
    answered = answers(made, "heartbeat", beat)[0]
    assert (answered["cbsdId"], answered["grantId"]) == (beat["cbsdId"], beat["grantId"])
    assert answered["transmitExpireTime"] == times.shown(NOW + 60 * NS)
    assert "grantExpireTime" not in answered
    again = {**beat, "operationState": "AUTHORIZED", "grantRenew": True}
    assert "grantExpireTime" in answers(made, "heartbeat", again, now_ns=NOW + NS)[0]
    purse.answer = SUSPENDED
    suspended = answers(made, "heartbeat", again, now_ns=NOW + 2 * NS)[0]
    assert codes([suspended]) == [501]
    assert suspended["transmitExpireTime"] == times.shown(NOW + 2 * NS), "no time ahead"
    purse.answer = PREEMPTED
    assert codes(answers(made, "heartbeat", beat, now_ns=NOW + 3 * NS)) == [500]
    assert codes(answers(made, "heartbeat", beat, now_ns=NOW + 4 * NS)) == [500], "it stays ended"
    assert codes(answers(made, "heartbeat", {**beat, "grantId": "never"})) == [103]


def test_a_heartbeat_in_the_wrong_state() -> None:
    made, purse = sas()
    beat = granted(made)
    authorized = {**beat, "operationState": "AUTHORIZED"}
    assert codes(answers(made, "heartbeat", authorized)) == [502], "it never was authorized"
    assert codes(answers(made, "heartbeat", beat)) == [500], "and is over"
    beat = {**beat, "grantId": answers(made, "grant", ASK)[0]["grantId"]}
    assert codes(answers(made, "heartbeat", beat)) == [0]
    late = NOW + 61 * NS
    asked = len(purse.asked)
    assert codes(answers(made, "heartbeat", {**beat, "operationState": "AUTHORIZED"}, now_ns=late)) == [501]
    assert len(purse.asked) == asked, "nothing was given out for it"
    purse.answer = given(120)
    assert codes(answers(made, "heartbeat", beat, now_ns=late)) == [0]


def test_ids_of_somebody_else() -> None:
    made, purse = sas()
    beat = granted(made)
    answers(made, "registration", registration("s2"), cert=OTHER_CERT)
    for method, item in (
        ("grant", ASK), ("heartbeat", beat), ("relinquishment", beat), ("deregistration", beat),
        ("spectrumInquiry", {**beat, "inquiredSpectrum": [{"lowFrequency": 1, "highFrequency": 2}]}),
    ):  # fmt: skip
        answered = answers(made, method, item, cert=OTHER_CERT)
        assert codes(answered) == [104]
        assert "cbsdId" not in answered[0], "an id is not confirmed to a stranger"
        assert codes(answers(made, method, {**item, "cbsdId": "nobody"})) == [103]
    assert codes(answers(made, "heartbeat", {**beat, "cbsdId": "fcc1/s2"}, cert=OTHER_CERT)) == [103]
    assert codes(answers(made, "registration", registration(), cert=OTHER_CERT)) == [104], "no second owner"
    assert not purse.back


def test_a_second_registration_replaces_the_first_and_deregistration_ends_all() -> None:
    made, purse = sas()
    beat = granted(made)
    assert codes(answers(made, "registration", registration())) == [0]
    assert purse.back == [("cbsd:fcc1/s1", beat["grantId"])]
    assert codes(answers(made, "heartbeat", beat)) == [103]
    beat = {**beat, "grantId": answers(made, "grant", ASK)[0]["grantId"]}
    assert codes(answers(made, "relinquishment", beat, beat)) == [0, 103]
    assert codes(answers(made, "deregistration", beat, beat)) == [0, 103]
    for method, item in (("grant", ASK), ("heartbeat", beat), ("relinquishment", beat)):
        assert codes(answers(made, method, item)) == [103]


def test_a_grant_no_louder_than_category_and_capability_and_never_twice() -> None:
    made, purse = sas()
    answers(made, "registration", registration(installationParam={**PLACE, "eirpCapability": 25}))
    loud = {**ASK, "operationParam": {**WANTED.as_param(), "maxEirp": 15.5}}
    assert codes(answers(made, "grant", loud)) == [103], "25 dBm/10 MHz is 15 dBm/MHz"
    assert codes(answers(made, "grant", ASK, ASK)) == [0, 401], "the second of a batch overlaps the first"
    purse.answer = PREEMPTED
    purse.rooms = [Room(low_hz=3_600_000_000, high_hz=3_620_000_000, density_mdbm_per_mhz=5_500)]
    beside = replace(WANTED, low_hz=3_570_000_000, high_hz=3_580_000_000)
    answered = answers(made, "grant", {**ASK, "operationParam": beside.as_param()})[0]
    assert codes([answered]) == [400]
    offered = {"lowFrequency": 3_600_000_000, "highFrequency": 3_610_000_000}
    assert answered["operationParam"] == {"maxEirp": 5.5, "operationFrequencyRange": offered}
    purse.answer = Withheld(reason="SCOPE", detail="", over=False)
    assert codes(answers(made, "grant", {**ASK, "operationParam": beside.as_param()})) == [300]
    assert len(made.stations["fcc1/s1"].grants) == 1


def test_an_inquiry_is_answered_by_what_can_be_had() -> None:
    made, purse = sas()
    answers(made, "registration", registration())
    purse.rooms = [Room(low_hz=3_550_000_000, high_hz=3_570_000_000, density_mdbm_per_mhz=30_000)]
    ask = {"cbsdId": "fcc1/s1", "inquiredSpectrum": [{"lowFrequency": 3_560_000_000, "highFrequency": 3_700_000_000}]}
    (channel,) = answers(made, "spectrumInquiry", ask)[0]["availableChannel"]
    assert channel["frequencyRange"] == {"lowFrequency": 3_560_000_000, "highFrequency": 3_570_000_000}
    assert channel["maxEirp"] == 20.0, "no louder than category A"


def test_a_batch_of_a_hundred_heartbeats_is_one_question_to_the_giver() -> None:
    calls: list[int] = []

    class Counting(Purse):
        def give(self, asks: Any) -> Any:
            calls.append(len(asks))
            return super().give(asks)

    made, _ = sas(Counting(given()))
    beat = granted(made)
    calls.clear()
    batch = [beat, {}, {**beat, "grantId": "x"}] + [beat] * 97
    assert codes(answers(made, "heartbeat", *batch)) == [0, 102, 103] + [0] * 97
    assert calls == [98]
    assert set(map(int, Code)) >= {0, 102, 103}
