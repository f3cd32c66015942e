"""Tests of the SAS client over real sockets: mutual TLS, unusable responses, and what the warden is told meanwhile."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cbrs.tls import TlsFileError, TlsFiles, client_context
from agent.cbrs.transport import ANSWER_MAX, NoAnswer, SasTransport
from agent.cbrs.upward import Upward, wanted_of
from radio.cbrs.above import SasAbove
from settlement.chain.scope import Band
from settlement.core.fixes import TimeFix, TimeSource
from sim.cbrs.pki import SimPki
from sim.cbrs.sas import Json, Raw, SasServer, SimSas
from tests.agent.cbrs.parts import files_of, folder
from tests.radio.cbrs.made import REGISTRATION

pytestmark = pytest.mark.feature("R10")
BAND = Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
EIRP = 20_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SimPki:
    return SimPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def device(authority: SimPki) -> TlsFiles:
    return files_of(authority, "device", "cbsd")


def server(sas: SimSas, files: TlsFiles, **changes: Path) -> SasServer:
    made = {"key": files.key, "certificate": files.certificate, "roots": files.roots, "revoked": files.revoked}
    return SasServer(sas, **{**made, **changes})


@pytest.fixture
def sas(authority: SimPki) -> Iterator[tuple[SimSas, SasServer]]:
    made = SimSas()
    listening = server(made, files_of(authority, "sas", "sas"))
    yield made, listening
    listening.close()


def fix() -> TimeFix:
    now = time.time_ns()
    return TimeFix(earliest_ns=now - 1000, latest_ns=now + 1000, source=TimeSource.SIMULATED, trusted=True)


def first(url: str, files: TlsFiles, **changes: Any) -> Any:
    transport = SasTransport(url, files, **{"timeout_s": 2.0, **changes})
    try:
        return transport.post("registration", {"registrationRequest": [REGISTRATION]})
    finally:
        transport.close()


def test_a_good_sas_is_answered(sas: tuple[SimSas, SasServer], device: TlsFiles) -> None:
    assert first(sas[1].url, device)["registrationResponse"][0]["cbsdId"] == "fcc1/s1"


def test_a_sas_that_shows_no_good_certificate_gets_nothing(authority: SimPki, device: TlsFiles, tmp_path: Path) -> None:
    stranger = SimPki(folder(tmp_path, "stranger"), name="stranger")
    bad = {
        "expired": files_of(authority, "expired", "sas", days=(-10, -5)),
        "not yet": files_of(authority, "early", "sas", days=(5, 10)),
        "revoked": files_of(authority, "revoked", "sas", revoke=True),
        "another host": files_of(authority, "host", "sas", host="sas.example"),
        "another role": files_of(authority, "role", "cbsd"),
        "no role": files_of(authority, "norole"),
        "an unknown root": files_of(stranger, "sas", "sas"),
    }
    for name, files in bad.items():
        made = SimSas()
        listening = server(made, files, roots=authority.roots, revoked=authority.revoked)
        try:
            assert isinstance(first(listening.url, device), NoAnswer), name
        finally:
            listening.close()
        assert not made.seen, f"{name}: nothing was said to it"


def test_a_downgrade_is_refused(sas: tuple[SimSas, SasServer], device: TlsFiles, tmp_path: Path) -> None:
    import ssl

    made, listening = sas
    listening.context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert isinstance(first(listening.url, device), NoAnswer)
    listening.context.minimum_version = ssl.TLSVersion.TLSv1_2
    listening.context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    assert isinstance(first(listening.url, device), NoAnswer), "a suite that the interface does not name"
    assert not made.seen
    assert client_context(device).minimum_version is ssl.TLSVersion.TLSv1_2
    for name in ("key", "roots", "revoked"):
        files = {n: getattr(device, n) for n in ("key", "certificate", "roots", "revoked")}
        with pytest.raises(TlsFileError):
            client_context(TlsFiles(**{**files, name: tmp_path / "none"}))


NOT_ANSWERS: dict[str, Raw] = {
    "a redirect": Raw(status=302, headers=(("Location", "https://localhost:1/"),)),
    "an error": Raw(status=500, body=b"{}"),
    "another type": Raw(body=b"{}", headers=(("Content-Type", "text/html"),)),
    "half a body": Raw(body=b'{"registrationResponse": [', promised=500),
    "not JSON": Raw(body=b"nonsense"),
    "10 MB": Raw(body=b'{"a":"' + b"x" * (10 * ANSWER_MAX) + b'"}'),
    "late": Raw(body=b"{}", delay_s=1.0),
}


@pytest.mark.parametrize("name", NOT_ANSWERS)
def test_what_is_no_answer_is_told_as_one(sas: tuple[SimSas, SasServer], device: TlsFiles, name: str) -> None:
    sas[0].script("registration", lambda *_: NOT_ANSWERS[name])
    assert isinstance(first(sas[1].url, device, timeout_s=0.4), NoAnswer)


def test_a_sas_that_dribbles_is_given_up_as_a_whole(authority: SimPki, device: TlsFiles) -> None:
    """Each of its bytes comes in time; all of them would take for ever, and hold the client's few threads."""
    import ssl

    files = files_of(authority, "dribble", "sas")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def dribble() -> None:
        with listening.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n"
            for byte in head + b"X: " + b"x" * 500:
                if over.wait(0.05):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return

    thread = threading.Thread(target=dribble)
    thread.start()
    begun_s = time.monotonic()
    found = first(f"https://localhost:{listening.getsockname()[1]}/v1.2", device, timeout_s=0.4)
    took_s = time.monotonic() - begun_s
    over.set()
    thread.join(5)
    listening.close()
    assert isinstance(found, NoAnswer)
    assert "Timeout" in found.why
    assert took_s < 10, "not the half minute that its head alone takes"


def test_a_sas_that_is_revoked_while_it_is_spoken_with_is_answered_no_more(tmp_path: Path) -> None:
    authority = SimPki(tmp_path)
    device, files = files_of(authority, "device", "cbsd"), files_of(authority, "sas", "sas")
    made = SimSas()
    listening = server(made, files)
    transport = SasTransport(listening.url, device, timeout_s=2.0)
    asked = {"registrationRequest": [REGISTRATION]}
    assert not isinstance(transport.post("registration", asked), NoAnswer)
    authority.revoke(files.certificate)
    assert isinstance(transport.post("registration", asked), NoAnswer)
    device.revoked.write_bytes(b"nonsense")
    found = transport.post("registration", asked)
    assert isinstance(found, NoAnswer)
    assert "TlsFileError" in found.why
    transport.close()
    listening.close()


def test_nobody_there(device: TlsFiles) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert isinstance(first(f"https://localhost:{port}/v1.2", device), NoAnswer)


class Rig:
    """The client and the warden's end of it, turned by hand."""

    def __init__(self, url: str, files: TlsFiles, kept: Path | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.above = SasAbove(ours)
        self.transport = SasTransport(url, files, timeout_s=2.0)
        self.said: list[str] = []
        self.up = Upward(post=self.transport.post, channel=theirs, fix=fix, kept=kept, say=self.said.append)
        self.up.know(self.above.own, REGISTRATION)

    def until(self) -> int | None:
        return self.above.authorised_until_ns(BAND, EIRP)

    def turn_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not reached():
            self.up.turn()
            threading.Event().wait(0.005)
            assert time.monotonic() < deadline, self.said

    def close(self) -> None:
        self.up.channel.close()
        self.above.channel.close()
        self.transport.close()


@pytest.fixture
def rig(sas: tuple[SimSas, SasServer], device: TlsFiles) -> Iterator[Rig]:
    made = Rig(sas[1].url, device)
    yield made
    made.close()


def test_what_a_sas_says_is_written_out_in_the_log(rig: Rig, sas: tuple[SimSas, SasServer]) -> None:
    bad = {"cbsdId": "fcc1/s1\x1b[2J\n" + "x" * 5000, "response": {"responseCode": 0}}
    sas[0].script("registration", lambda *_: [bad])
    rig.turn_until(lambda: any("registered" in line for line in rig.said))
    assert all(line.isprintable() and len(line) < 1500 for line in rig.said)


def test_the_warden_is_told_how_long_and_for_what(rig: Rig, sas: tuple[SimSas, SasServer]) -> None:
    assert rig.until() is None
    rig.turn_until(lambda: rig.until() is not None)
    until = rig.until()
    assert until is not None
    assert 50e9 < until - time.monotonic_ns() < 60.1e9
    assert rig.above.authorised_until_ns(Band(low_hz=BAND.low_hz, high_hz=BAND.high_hz + 1), EIRP) is None
    assert rig.above.authorised_until_ns(BAND, EIRP + 5000) is None
    states = [item["operationState"] for _, method, item, _ in sas[0].seen if method == "heartbeat"]
    assert states == ["GRANTED"]
    rig.up.channel.close()
    assert rig.until() is None, "a client that ended says nothing"


def test_a_suspension_is_told_at_once_and_lifted_by_the_next_heartbeat(rig: Rig, sas: tuple[SimSas, SasServer]) -> None:
    sas[0].heartbeat_s = 1
    rig.until()
    rig.turn_until(lambda: rig.until() is not None)
    sas[0].suspended.add("fcc1/s1")
    rig.turn_until(lambda: rig.until() is None)
    sas[0].suspended.clear()
    rig.turn_until(lambda: rig.until() is not None)


def test_a_clock_that_is_set_back_moves_no_end_out(rig: Rig) -> None:
    rig.until()
    rig.turn_until(lambda: rig.until() is not None)
    first_ns = rig.until()
    assert first_ns is not None

    def earlier() -> TimeFix:
        now = time.time_ns() - 20 * 10**9
        return TimeFix(earliest_ns=now - 1000, latest_ns=now + 1000, source=TimeSource.SIMULATED, trusted=True)

    rig.up.fix = earlier
    for _ in range(5):
        rig.up.turn()
        found = rig.until()
        assert found is not None
        assert found <= first_ns + 10_000_000


def _changed(**changes: Any) -> Callable[..., list[Json]]:
    return lambda _sas, _items, honest: [{**one, **changes} for one in honest]


BAD_BEATS: dict[str, Any] = {
    "NULL expiry": _changed(transmitExpireTime=None),
    "past expiry": _changed(transmitExpireTime="2001-01-01T00:00:00Z"),
    "another grant": _changed(grantId="grant-99"),
    "another cbsd": _changed(cbsdId="x"),
    "unknown code": _changed(response={"responseCode": 299}),
    "twice": lambda _sas, _items, honest: honest * 2,
    "none": lambda _sas, _items, _honest: [],
    "503": lambda *_: Raw(status=503),
}


@pytest.mark.parametrize("name", BAD_BEATS)
def test_a_first_heartbeat_that_is_not_good_opens_nothing(rig: Rig, sas: tuple[SimSas, SasServer], name: str) -> None:
    sas[0].script("heartbeat", BAD_BEATS[name])
    rig.until()
    rig.turn_until(lambda: any(method == "heartbeat" for _, method, _, _ in sas[0].seen))
    for _ in range(10):
        rig.up.turn()
        threading.Event().wait(0.005)
    assert rig.until() is None


def test_grants_outlive_the_client_silent(sas: tuple[SimSas, SasServer], device: TlsFiles, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    before = Rig(sas[1].url, device, kept)
    before.until()
    before.turn_until(lambda: before.until() is not None)
    before.up.turn()
    before.close()
    assert json.loads(kept.read_text())["own radio"]["cbsd"] == "fcc1/s1"
    heard = len(sas[0].seen)
    again = Rig(sas[1].url, device, kept)
    assert again.until() is None
    again.turn_until(lambda: again.until() is not None)
    methods = [method for _, method, _, _ in sas[0].seen[heard:]]
    assert methods == ["heartbeat"], "the same grant, asked about before anything else"
    again.close()


def test_what_a_warden_wants_is_a_grant_on_the_raster() -> None:
    wanted = wanted_of({"low_hz": 3_551_000_000, "high_hz": 3_559_000_000, "eirp_mdbm": 20_000})
    assert wanted is not None
    assert (wanted.low_hz, wanted.high_hz) == (BAND.low_hz, BAND.high_hz)
    assert 10.97 <= wanted.max_eirp <= 11.2, "the density of 20 dBm over 8 MHz"
    assert wanted_of({"low_hz": 0, "high_hz": 0, "eirp_mdbm": 0}) is None
