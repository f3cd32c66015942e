"""What others sign: an installer a base station's place, an authority the incumbents' calendar."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from radio.cbrs import calendar, cpi
from radio.cbrs.calendar import Calendar, Reservation, open_calendar, seal
from radio.cbrs.messages import Registration, read_item
from radio.cbrs.registration import Cbsd, KnownCbsd, Registrar
from radio.cbrs.tardys import WHOLE, Lists, imported
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Area, Band
from settlement.core.fixes import Fix, PositionFix, PositionSource
from settlement.core.reasons import Reason, Refusal
from tests.radio.cbrs.made import CERT, NOW, NS, PLACE, answers, at, codes, registration, sas

OUTDOOR = {**PLACE, "indoorDeployment": False}
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def signed(key: Any = EC_KEY, *, serial: str = "s1", cpi_id: str = "cpi-1", place: Any = OUTDOOR) -> dict[str, Any]:
    who = {"fcc": "fcc1", "serial": serial, "cpi": cpi_id, "name": "Ada", "certified_at": "2023-01-01T00:00:00Z"}
    return cpi.sign(place, **who, key=key)


def installer(key: Any = EC_KEY, cpi_id: str = "cpi-1") -> cpi.Installer:
    return cpi.Installer(cpi=cpi_id, key=key.public_key())


@pytest.mark.feature("R12")
@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["RS256", "ES256"])
def test_what_an_installer_signed_is_read(key: Any) -> None:
    assert cpi.verify(signed(key), "fcc1", "s1", [installer(key)]) == OUTDOOR


def _tampered(item: dict[str, Any], member: str) -> dict[str, Any]:
    text = item[member]
    return {**item, member: text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]}


def _header(**changes: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps({"alg": "ES256", **changes}).encode()).rstrip(b"=").decode()


@pytest.mark.feature("R12")
@pytest.mark.parametrize(
    "item",
    [
        {},
        {"protectedHeader": 3, "encodedCpiSignedData": None, "digitalSignature": []},
        signed(serial="s2"),
        signed(cpi_id="cpi-2"),
        signed(ec.generate_private_key(ec.SECP256R1())),
        signed(place=3),
        _tampered(signed(), "encodedCpiSignedData"),
        _tampered(signed(), "digitalSignature"),
        _tampered(signed(), "protectedHeader"),
        {**signed(), "protectedHeader": _header(alg="none"), "digitalSignature": ""},
        {**signed(), "protectedHeader": _header(alg="HS256")},
        {**signed(), "protectedHeader": _header(crit=["exp"])},
        {**signed(), "digitalSignature": signed()["digitalSignature"] + "=="},
    ],
)
def test_what_does_not_hold_counts_for_nothing(item: dict[str, Any]) -> None:
    assert isinstance(cpi.verify(item, "fcc1", "s1", [installer()]), str)


@pytest.mark.feature("R12")
def test_weak_and_other_keys_sign_nothing() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ec.SECP256R1()):
        with pytest.raises(TypeError):
            signed(key)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert isinstance(cpi.verify(signed(weak), "fcc1", "s1", [installer(weak)]), str)


@pytest.mark.feature("R12")
def test_a_device_that_needs_an_installer_registers_with_one() -> None:
    made, _ = sas()
    outdoor = registration(cbsdCategory="B", installationParam=None)
    with_signature = {**outdoor, "cpiSignatureData": signed()}
    assert codes(answers(made, "registration", outdoor)) == [200]
    assert codes(answers(made, "registration", with_signature)) == [103], "no installer is known"
    known = (KnownCbsd(fcc="fcc1", serial="s1"),)
    made.registrar = Registrar(known=known, verify=lambda i, f, s: cpi.verify(i, f, s, [installer()]))
    assert codes(answers(made, "registration", with_signature)) == [0]
    assert codes(answers(made, "registration", {**outdoor, "cpiSignatureData": signed(serial="s2")})) == [103]
    asked = read_item("registration", with_signature)
    assert isinstance(asked, Registration)
    station = made.registrar.judge(asked, CERT)
    assert isinstance(station, Cbsd)
    assert station.spot.radius_mm == 10_001, "the accuracy that the installer signed"
    bad = signed(place={**OUTDOOR, "horizontalAccuracy": 51})
    assert codes(answers(made, "registration", {**outdoor, "cpiSignatureData": bad}, cert=CERT)) == [103]


# -- the calendar ------------------------------------------------------------------------------------------------------

KEY = SigningKey.from_seed(b"\x07" * 32)
BAND = Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
BESIDE = Band(low_hz=3_560_000_000, high_hz=3_570_000_000)
HERE = Area(lat_e7=374_250_560, lon_e7=-1_220_841_130, radius_mm=5_000_000)


def held(**changes: Any) -> Calendar:
    radar = Reservation(name="radar", band=BAND, start_ns=NOW + 1000 * NS, end_ns=NOW + 2000 * NS)
    made = Calendar(name="authority", serial=3, valid_until_ns=NOW + 5000 * NS, reservations=(radar,))
    return replace(made, **changes)


def fix(seconds: float, *, lat_e7: int = 374_250_560, trusted: bool = True) -> Fix:
    place = PositionFix(
        lat_e7=lat_e7, lon_e7=-1_220_841_130, radius_mm=50_000, source=PositionSource.SURVEYED, trusted=trusted
    )
    return Fix(time=at(seconds), position=place)


def closed(one: Calendar, seconds: float, band: Band = BAND, *, needed: bool = True, **place: Any) -> str | None:
    found = one.closed(band, fix(seconds, **place), ahead_ns=120 * NS, needed=needed)
    return None if found is None else found.clause


@pytest.mark.feature("R14")
def test_a_reservation_closes_ahead_of_time_and_only_its_band() -> None:
    times = {0: None, 879: None, 880.0001: "reserved", 1500: "reserved", 1999.9: "reserved", 2001: None}
    for seconds, clause in times.items():
        assert closed(held(), seconds) == (f"calendar.{clause}" if clause else None), seconds
    assert closed(held(), 1500, BESIDE) is None
    assert closed(held(), 1500, Band(low_hz=BAND.high_hz - 1, high_hz=BESIDE.high_hz)) == "calendar.reserved"


@pytest.mark.feature("R14")
def test_a_calendar_that_is_over_closes_where_one_is_asked_for() -> None:
    assert closed(held(), 4879, BESIDE) is None
    assert closed(held(), 4881, BESIDE) == "calendar.over"
    assert closed(held(), 9999, BESIDE, needed=False) is None
    untrusted = replace(fix(0), time=at(0, trusted=False))
    found = held().closed(BESIDE, untrusted, ahead_ns=0, needed=False)
    assert found is not None
    assert found.reason is Reason.TIME_UNTRUSTED


@pytest.mark.feature("R14")
def test_a_place_that_may_be_inside_counts_as_inside() -> None:
    here = held(reservations=(replace(held().reservations[0], area=HERE),))
    assert closed(here, 1500) == "calendar.reserved"
    assert closed(here, 1500, lat_e7=374_250_560 + 449_500) == "calendar.reserved", "at the edge, undecided"
    assert closed(here, 1500, lat_e7=374_250_560 + 600_000) is None
    assert closed(here, 1500, lat_e7=0, trusted=False) == "calendar.reserved"


@pytest.mark.feature("R14")
def test_only_a_signed_calendar_that_is_no_older_is_taken() -> None:
    file = seal(held(), KEY)
    assert open_calendar(file, [KEY.public]) == held()
    assert open_calendar(file, [KEY.public], before=held()) == held()
    for serial, name in ((4, "authority"), (3, "another")):
        found = open_calendar(file, [KEY.public], before=held(serial=serial, name=name))
        assert isinstance(found, Refusal)
        assert found.reason is Reason.ROLLBACK
    found = open_calendar(file, [SigningKey.from_seed(b"\x08" * 32).public])
    assert isinstance(found, Refusal)
    assert found.reason is Reason.SIGNATURE
    envelope = json.loads(file)
    changed = envelope["payload"][:-8] + "AAAA" + envelope["payload"][-4:]
    changes: list[dict[str, Any]] = [{"payload": changed}, {"payloadType": "x"}, {"payload": None}]
    changes += [{"signatures": listed} for listed in ([], [3], [{"sig": "!"}], "x")]
    for change in changes:
        assert isinstance(open_calendar(json.dumps({**envelope, **change}).encode(), [KEY.public]), Refusal)
    for cut in range(0, len(file) - 2, 37):
        assert isinstance(open_calendar(file[:cut], [KEY.public]), Refusal)


def _resealed(change: dict[str, Any]) -> bytes:
    payload = json.loads(base64.b64decode(json.loads(seal(held(), KEY))["payload"]))
    raw = json.dumps({**payload, **change}).encode()
    signature = base64.b64encode(KEY.sign(calendar._signed_bytes(calendar.TYPE, raw))).decode()
    made = {"payloadType": calendar.TYPE, "payload": base64.b64encode(raw).decode(), "signatures": [{"sig": signature}]}
    return json.dumps(made).encode()


@pytest.mark.feature("R14")
def test_a_signed_calendar_that_says_nonsense_is_refused() -> None:
    assert open_calendar(_resealed({}), [KEY.public]) == held()
    radar = {"name": "r", "low_hz": 1, "high_hz": 2, "start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:13:21Z"}
    assert isinstance(open_calendar(_resealed({"reservations": [radar]}), [KEY.public]), Calendar)
    for change in ({"serial": "3"}, {"serial": True}, {"valid_until": None}, {"reservations": {}}, {"name": 3},
                   {"reservations": [{**radar, "low_hz": 2}]}, {"reservations": [{**radar, "end": radar["start"]}]},
                   {"reservations": [{**radar, "area": {"lat_e7": 1}}]}, {"reservations": [None]},
                   {"reservations": [{**radar, "area": {"lat_e7": 10**10, "lon_e7": 0, "radius_mm": 1}}]}):  # fmt: skip
        assert isinstance(open_calendar(_resealed(change), [KEY.public]), Refusal), change


def tardys(**changes: Any) -> bytes:
    event = {
        "eventId": "e1", "dpaId": "dpa-1", "dpaName": "East 1", "channels": ["ch-1"],
        "dateTimeStart": "2023-11-14T22:13:20", "dateTimeEnd": "2023-11-14T23:13:20+00:00", **changes,
    }  # fmt: skip
    return json.dumps({"transactionId": "t", "checksum": "a35cf7d9", "scheduledEvents": [event]}).encode()


def taken(data: bytes) -> Calendar | Refusal:
    lists = Lists(channels={"ch-1": BAND}, areas={"dpa-1": HERE})
    return imported(data, lists, name="dod", serial=1, valid_until_ns=NOW + 10**6 * NS)


@pytest.mark.feature("R14")
def test_a_tardys3_file_is_taken_and_what_is_unknown_closes_more() -> None:
    found = taken(tardys())
    assert isinstance(found, Calendar)
    assert found.reservations == (
        Reservation(name="East 1", band=BAND, start_ns=NOW, end_ns=NOW + 3600 * NS, area=HERE),
    )
    unknown = taken(tardys(channels=["ch-1", "ch-9"], dpaId="dpa-9", recurrence="weekly"))
    assert isinstance(unknown, Calendar)
    assert [one.band for one in unknown.reservations] == [BAND, WHOLE]
    assert {one.area for one in unknown.reservations} == {None}
    assert {one.end_ns for one in unknown.reservations} == {NOW + 10**6 * NS}, "from its start on"
    for data in (b"", b"{}", tardys(dateTimeEnd="never"), tardys(channels=[]), tardys(dateTimeEnd=None),
                 tardys(dateTimeEnd="2023-11-14T22:13:20")):  # fmt: skip
        assert isinstance(taken(data), Refusal)
