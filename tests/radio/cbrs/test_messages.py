"""SAS-CBSD messages: bodies, batches, 102 before 103, and the Forum's own schemas and examples."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from radio.cbrs import times
from radio.cbrs.codes import Code, CodeFault, known, response
from radio.cbrs.messages import (
    BATCH_MAX,
    BODY_MAX,
    METHODS,
    BadBody,
    Heartbeat,
    Registration,
    operation,
    read_batch,
    read_item,
)
from tests.radio.cbrs.made import CERT, NOW, WANTED, answers, codes, registration, sas

pytestmark = pytest.mark.feature("R12")
ROOT = Path(__file__).resolve().parents[3]
BEAT = {"cbsdId": "c", "grantId": "g", "operationState": "GRANTED"}
GRANT = {"cbsdId": "c", "operationParam": WANTED.as_param()}


def fault(method: str, item: Any) -> tuple[int, tuple[str, ...]] | None:
    found = read_item(method, item)
    return (int(found.code), found.data) if isinstance(found, CodeFault) else None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"grantRequest": {}}', 400),
        (b'{"grantRequest": []}', 400),
        (b'{"heartbeatRequest": [{}]}', 400),
        (b'{"grantRequest": [NaN]}', 400),
        (b'{"grantRequest": [1], "grantRequest": [2]}', 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"grantRequest": [' + b"9" * 5000 + b"]}", 400),
        (b'{"grantRequest": [' + b",".join([b"{}"] * 101) + b"]}", 413),
        (b" " * (BODY_MAX + 1), 413),
    ],
)
def test_what_is_no_batch_is_refused_whole(body: bytes, status: int) -> None:
    found = read_batch("grant", body)
    assert isinstance(found, BadBody)
    assert found.status == status


def test_a_batch_of_a_hundred_is_one() -> None:
    found = read_batch("grant", json.dumps({"grantRequest": [GRANT] * BATCH_MAX}).encode())
    assert isinstance(found, list)
    assert len(found) == BATCH_MAX


REQUIRED = {
    "registration": ("userId", "fccId", "cbsdSerialNumber"),
    "spectrumInquiry": ("cbsdId", "inquiredSpectrum"),
    "grant": ("cbsdId", "operationParam"),
    "heartbeat": ("cbsdId", "grantId", "operationState"),
    "relinquishment": ("cbsdId", "grantId"),
    "deregistration": ("cbsdId",),
}
GOOD: dict[str, dict[str, Any]] = {
    "registration": registration(),
    "spectrumInquiry": {"cbsdId": "c", "inquiredSpectrum": [{"lowFrequency": 3.55e9, "highFrequency": 3700000000}]},
    "grant": GRANT,
    "heartbeat": BEAT,
    "relinquishment": {"cbsdId": "c", "grantId": "g"},
    "deregistration": {"cbsdId": "c"},
}


@pytest.mark.parametrize("method", METHODS)
def test_each_required_parameter_missing_or_null_is_102(method: str) -> None:
    assert fault(method, GOOD[method]) is None
    for name in REQUIRED[method]:
        for item in ({k: v for k, v in GOOD[method].items() if k != name}, {**GOOD[method], name: None}):
            assert fault(method, item) == (102, (name,))
    assert fault(method, {}) == (102, REQUIRED[method])
    for item in (None, 3, "x", []):
        assert fault(method, item) == (103, (f"{method}Request",))


def test_unknown_parameters_are_ignored_and_missing_goes_before_invalid() -> None:
    assert fault("heartbeat", {**BEAT, "somethingNew": {"a": [1]}}) is None
    assert fault("heartbeat", {"cbsdId": 3, "grantId": "g"}) == (102, ("operationState",))


OUT_OF_RANGE: list[tuple[str, dict[str, Any], str]] = [
    ("heartbeat", {**BEAT, "operationState": "IDLE"}, "operationState"),
    ("heartbeat", {**BEAT, "grantRenew": "yes"}, "grantRenew"),
    ("heartbeat", {**BEAT, "cbsdId": 5}, "cbsdId"),
    ("heartbeat", {**BEAT, "cbsdId": "x" * 257}, "cbsdId"),
    ("heartbeat", {**BEAT, "cbsdId": "a\nb"}, "cbsdId"),
    ("grant", {"cbsdId": "c", "operationParam": {**WANTED.as_param(), "maxEirp": 37.1}}, "maxEirp"),
    ("grant", {"cbsdId": "c", "operationParam": {**WANTED.as_param(), "maxEirp": -138}}, "maxEirp"),
    ("grant", {"cbsdId": "c", "operationParam": {**WANTED.as_param(), "maxEirp": "10"}}, "maxEirp"),
    ("grant", {"cbsdId": "c", "operationParam": {**WANTED.as_param(), "maxEirp": True}}, "maxEirp"),
    (
        "grant",
        {
            "cbsdId": "c",
            "operationParam": {"maxEirp": 1, "operationFrequencyRange": {"lowFrequency": 5, "highFrequency": 5}},
        },
        "operationFrequencyRange",
    ),
    ("spectrumInquiry", {"cbsdId": "c", "inquiredSpectrum": []}, "inquiredSpectrum"),
    (
        "spectrumInquiry",
        {"cbsdId": "c", "inquiredSpectrum": [{"lowFrequency": 9, "highFrequency": 8}]},
        "inquiredSpectrum",
    ),
    ("registration", registration(cbsdCategory="C"), "cbsdCategory"),
    ("registration", registration(installationParam={"latitude": 91}), "latitude"),
    ("registration", registration(installationParam={"horizontalAccuracy": 50.5}), "horizontalAccuracy"),
    ("registration", registration(installationParam={"verticalAccuracy": 3.1}), "verticalAccuracy"),
    ("registration", registration(installationParam={"antennaAzimuth": 360}), "antennaAzimuth"),
    ("registration", registration(installationParam={"antennaAzimuth": 1.5}), "antennaAzimuth"),
    ("registration", registration(installationParam={"eirpCapability": 48}), "eirpCapability"),
    ("registration", registration(measCapability=["EVERYTHING"]), "measCapability"),
    ("registration", registration(fccId="f" * 20), "fccId"),
    ("registration", registration(airInterface={"radioTechnology": "SMOKE"}), "radioTechnology"),
]


@pytest.mark.parametrize(("method", "item", "name"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_103_and_named(method: str, item: dict[str, Any], name: str) -> None:
    assert fault(method, item) == (103, (name,))


def test_requests_are_typed() -> None:
    beat = read_item("heartbeat", {**BEAT, "operationState": "AUTHORIZED", "grantRenew": True})
    assert beat == Heartbeat(cbsd="c", grant="g", authorized=True, renew=True, measured=None)
    made = read_item("registration", registration())
    assert isinstance(made, Registration)
    assert (made.fcc, made.serial, made.category, made.air_interface) == ("fcc1", "s1", "A", "E_UTRA")
    assert operation(WANTED.as_param()) == WANTED
    assert operation({"maxEirp": 3}) is None


def test_codes_and_times() -> None:
    assert known(0) is Code.SUCCESS
    for strange in (True, "0", 0.0, 1, 999, None):
        assert known(strange) is None
    assert response(Code.SUCCESS) == {"responseCode": 0}
    assert response(Code.MISSING_PARAM, data=("x",))["responseData"] == ["x"]
    assert times.parse("2023-11-14T22:13:20Z") == NOW
    assert times.shown(NOW + 999_999_999) == "2023-11-14T22:13:20Z", "never later than the instant"
    for bad in (None, "", 5, "2023-11-14T22:13:20", "2023-11-14T22:13:20+00:00", "2023-02-30T00:00:00Z",
                "2023-11-14T22:13:60Z", "2023-11-14 22:13:20Z", "\uff12023-11-14T22:13:20Z", "NULL"):  # fmt: skip
        assert times.parse(bad) is None


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_a_time_survives_its_text(utc_ns: int) -> None:
    assert times.parse(times.shown(utc_ns)) == times.floor_ns(utc_ns) <= utc_ns


# -- the Forum's own files ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas() -> Path:
    found = Path(os.environ.get("BANDPACT_CBRS", ROOT.parent / "shared" / "cbrs")) / "schema"
    if not found.is_dir():
        pytest.skip(f"the Forum's schemas not found at {found}; set BANDPACT_CBRS")
    return found


def _local(schema: Any, name: str) -> Any:
    """The Forum's relative `file:` references and `#/object` pointers, made into what a resolver finds."""
    if isinstance(schema, dict):
        return {k: v.replace("file:", "") if k == "$ref" else _local(v, name) for k, v in schema.items()}
    return [_local(one, name) for one in schema] if isinstance(schema, list) else schema


def validator(folder: Path, name: str) -> Draft4Validator:
    def fetch(uri: str) -> Resource[Any]:
        return Resource(contents=_local(json.loads((folder / uri).read_text()), uri), specification=DRAFT4)

    registry: Registry[Any] = Registry(retrieve=fetch)
    return Draft4Validator({"$ref": f"{name}.schema.json"}, registry=registry)


def capital(method: str) -> str:
    return method[0].upper() + method[1:]


@pytest.mark.parametrize("method", METHODS)
def test_our_answers_hold_by_the_schemas_of_the_forum(schemas: Path, method: str) -> None:
    made, _ = sas()
    answered = answers(made, "registration", registration())
    grant = answers(made, "grant", {"cbsdId": "fcc1/s1", "operationParam": WANTED.as_param()})
    ids = {"cbsdId": "fcc1/s1", "grantId": grant[0]["grantId"]}
    items = {
        "registration": registration("s2"),
        "spectrumInquiry": {**GOOD["spectrumInquiry"], "cbsdId": "fcc1/s1"},
        "grant": {"cbsdId": "fcc1/s1", "operationParam": {**WANTED.as_param(), "maxEirp": 3}},
        "heartbeat": {**ids, "operationState": "GRANTED"},
        "relinquishment": ids,
        "deregistration": {"cbsdId": "fcc1/s1"},
    }
    assert codes(answered) == [0]
    checked = validator(schemas, f"{capital(method)}Response")
    for one in answers(made, method, items[method], {}, 7, cert=CERT):
        assert not list(checked.iter_errors(one)), one


@pytest.mark.parametrize("method", METHODS)
def test_the_examples_of_the_forum_are_read(schemas: Path, method: str) -> None:
    path = schemas / f"{capital(method)}RequestExample.json"
    item = json.loads(path.read_text())
    assert not isinstance(read_item(method, item), CodeFault), path
    assert not list(validator(schemas, f"{capital(method)}Request").iter_errors(GOOD[method]))
