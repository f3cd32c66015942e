"""Tests of the SAS endpoint over real sockets: client certificates, request bodies, and that only the warden grants."""

import asyncio
import errno
import gc
import http.client
import json
import select
import socket
import ssl
import threading
import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from agent.cbrs import endpoint, halfopen
from agent.cbrs.endpoint import CbsdEndpoint, server_of
from agent.cbrs.halfopen import HALF_OPEN_MAX, HANDSHAKE_S
from agent.cbrs.tls import ServerTls, TlsFiles
from radio.cbrs.book import CbsdBook
from radio.cbrs.door import CbsdDoor, WardenGiver
from radio.cbrs.messages import METHODS
from radio.cbrs.outlet import Outlet
from radio.cbrs.permission import Withheld
from radio.cbrs.wardenside import CbsdDesk, WardenView
from radio.permits import HeldPermit
from sim.cbrs.pki import SimPki
from tests.agent.cbrs.parts import files_of, folder, plain_client, posted, serving
from tests.radio.cbrs.made import NOW, WANTED, codes, registration, sas
from tests.radio.cbrs.test_outlet import PLAN, ask, held, outside
from tests.radio.test_gate import inputs, permit

pytestmark = pytest.mark.feature("R12")
__all__ = ["held", "permit"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SimPki:
    return SimPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server_files(authority: SimPki) -> TlsFiles:
    return files_of(authority, "node", "sas")


def test_a_device_lives_its_life_over_https(authority: SimPki, server_files: TlsFiles) -> None:
    made, _ = sas()
    client = plain_client(files_of(authority, "cbsd1", "cbsd"))
    proxy = plain_client(files_of(authority, "proxy", "operator"))
    with serving(made, server_files, lambda: NOW) as port:
        batch = {"registrationRequest": [registration(), {}, registration("s2")]}
        status, answered = posted(port, client, "registration", batch)
        assert (status, codes(answered["registrationResponse"])) == (200, [0, 102, 0])
        grant = {"grantRequest": [{"cbsdId": "fcc1/s1", "operationParam": WANTED.as_param()}]}
        _, answered = posted(port, client, "grant", grant)
        beat = {
            "cbsdId": "fcc1/s1",
            "grantId": answered["grantResponse"][0]["grantId"],
            "operationState": "GRANTED",
        }
        for version in ("v1.2", "v1.3"):
            _, answered = posted(port, client, "heartbeat", {"heartbeatRequest": [beat]}, version=version)
            assert codes(answered["heartbeatResponse"]) == [0]
        _, answered = posted(port, proxy, "heartbeat", {"heartbeatRequest": [beat]})
        assert codes(answered["heartbeatResponse"]) == [104], "the same id from another certificate"
        _, answered = posted(port, client, "heartbeat", {"heartbeatRequest": [beat]}, version="v2.0")
        assert codes(answered["heartbeatResponse"]) == [100]


def test_who_is_not_let_in(authority: SimPki, server_files: TlsFiles, tmp_path: Path) -> None:
    made, _ = sas()
    stranger = SimPki(folder(tmp_path, "other"), name="stranger")
    foreign = files_of(stranger, "foreign", "cbsd")
    bad = {
        "expired": files_of(authority, "expired", "cbsd", days=(-10, -5)),
        "early": files_of(authority, "early", "cbsd", days=(5, 10)),
        "another role": files_of(authority, "role", "sas"),
        "an installer": files_of(authority, "installer", "installer"),
        "no role": files_of(authority, "none"),
        "unknown root": TlsFiles(
            key=foreign.key, certificate=foreign.certificate, roots=authority.roots, revoked=authority.revoked
        ),
        "revoked": files_of(authority, "revoked", "cbsd", revoke=True),
    }
    good = files_of(authority, "good", "cbsd")
    body = {"registrationRequest": [registration()]}
    with serving(made, server_files, lambda: NOW) as port:
        assert posted(port, plain_client(good), "registration", body)[0] == 200
        made.stations.clear()
        for name, files in bad.items():
            with pytest.raises((OSError, ssl.SSLError)):
                posted(port, plain_client(files), "registration", body)
            assert not made.stations, name
        for change in ({"minimum_version": ssl.TLSVersion.TLSv1_3}, {"maximum_version": ssl.TLSVersion.TLSv1_1}):
            with warnings.catch_warnings(action="ignore"):
                context = plain_client(good, **change)
            with pytest.raises((OSError, ssl.SSLError)):
                posted(port, context, "registration", body)
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nobody.load_verify_locations(good.roots)
        with pytest.raises((OSError, ssl.SSLError)):
            posted(port, nobody, "registration", body)
    assert not made.stations
    with serving(made, server_files, lambda: NOW, roles=False) as port:
        assert posted(port, plain_client(bad["no role"]), "registration", body)[0] == 200


def resume(context: ssl.SSLContext, port: int, session: ssl.SSLSession) -> None:
    """Go on with a session that was begun before; raises OSError where its connection is ended without a word."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as connection:
        connection.session = session
        connection.do_handshake()
        connection.sendall(b"POST /v1.2/registration HTTP/1.1\r\nHost: x\r\n\r\n")
        if not connection.recv(1):
            raise ConnectionResetError


def test_a_certificate_that_is_revoked_while_its_connection_lives_is_let_in_no_more(tmp_path: Path) -> None:
    authority = SimPki(tmp_path)
    made, _ = sas()
    good, other = files_of(authority, "good", "cbsd"), files_of(authority, "other", "cbsd")
    body = json.dumps({"registrationRequest": [registration()]})
    head = {"Content-Type": "application/json"}
    with serving(made, files_of(authority, "node", "sas"), lambda: NOW) as port:
        kept = {
            name: http.client.HTTPSConnection("localhost", port, context=plain_client(files), timeout=10)
            for name, files in (("good", good), ("other", other))
        }
        for connection in kept.values():
            connection.request("POST", "/v1.2/registration", body, head)
            assert connection.getresponse().read()
        context = plain_client(good)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as begun:
            session = begun.session
        authority.revoke(good.certificate)
        for connection in kept.values():
            assert connection.sock.recv(1) == b"", "ended: shake hands anew"
        with pytest.raises((OSError, ssl.SSLError)):
            posted(port, plain_client(good), "registration", body.encode())
        with pytest.raises((OSError, ssl.SSLError)):
            resume(context, port, session)
        assert posted(port, plain_client(other), "registration", body.encode())[0] == 200
        for connection in kept.values():
            connection.close()


def test_a_session_that_is_gone_on_with_is_looked_at_again(
    authority: SimPki, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is verified in a handshake that goes on with a session of before: its certificate may have expired."""
    tls = ServerTls(server_files)
    old, good = files_of(authority, "old", "cbsd", days=(-10, -5)), files_of(authority, "young", "cbsd")
    revoked = files_of(authority, "gone", "cbsd", revoke=True)
    assert tls.renewed()
    found = {
        name: tls.flaw(ssl.PEM_cert_to_DER_cert(files.certificate.read_text()))
        for name, files in (("old", old), ("good", good), ("revoked", revoked))
    }
    assert found == {"old": "it is not in its life", "good": None, "revoked": "it is revoked"}
    assert str(tls.flaw(b"no certificate")).startswith("it cannot be read")
    made, _ = sas()
    body = {"registrationRequest": [registration()]}
    with serving(made, server_files, lambda: NOW) as port:
        assert posted(port, plain_client(good), "registration", body)[0] == 200
        monkeypatch.setattr(ServerTls, "flaw", lambda *_: "it is not in its life")
        with pytest.raises((OSError, ssl.SSLError)):
            posted(port, plain_client(good), "registration", body)


@pytest.mark.attack(60, 65)
def test_a_list_that_could_not_be_read_at_once_is_read_again_though_it_did_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file was to be had at that instant, or half of it was written: whoever is revoked in it stayed let in."""
    authority = SimPki(tmp_path)
    tls, device = ServerTls(files_of(authority, "node", "sas")), files_of(authority, "device", "cbsd")
    certificate = ssl.PEM_cert_to_DER_cert(device.certificate.read_text())
    authority.revoke(device.certificate)
    said: list[str] = []
    server = server_of(
        CbsdEndpoint(sas=sas()[0], now_ns=lambda: NOW), host="127.0.0.1", port=0, tls=tls, say=said.append
    )

    def full(self: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", full)
        for second in range(3):
            server.look_after(float(second))  # type: ignore[attr-defined]
    assert tls.flaw(certificate) is None
    (line,) = said
    assert "are not used" in line
    server.look_after(4.0)  # type: ignore[attr-defined]
    assert tls.flaw(certificate) == "it is revoked"


def test_who_says_nothing_whole_is_not_kept(authority: SimPki, server_files: TlsFiles) -> None:
    made, _ = sas()
    client = plain_client(files_of(authority, "mute", "cbsd"))
    server = server_of(
        CbsdEndpoint(sas=made, now_ns=lambda: NOW), host="127.0.0.1", port=0, tls=ServerTls(server_files)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    raw = client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    raw.sendall(b"POST /v1.2/grant HTTP/1.1\r\nHost: x\r\n")
    while not server.server_state.connections:
        thread.join(0.01)
    loop = server.servers[0].get_loop()
    for later_s, ends in ((endpoint.REST_S - 20, False), (endpoint.REST_S + 1, True)):
        loop.call_soon_threadsafe(server.look_after, time.monotonic() + later_s)
        raw.settimeout(0.3 if not ends else 10)
        if ends:
            assert raw.recv(1) == b""
        else:
            with pytest.raises(TimeoutError):
                raw.recv(1)
    raw.close()
    server.should_exit = True
    thread.join(10)


def test_bodies_that_are_none(authority: SimPki, server_files: TlsFiles) -> None:
    made, _ = sas()
    client = plain_client(files_of(authority, "bodies", "cbsd"))
    many = {"heartbeatRequest": [{}] * 101}
    with serving(made, server_files, lambda: NOW) as port:
        for method in METHODS:
            assert posted(port, client, method, b"{")[0] == 400
        assert posted(port, client, "heartbeat", many)[0] == 413
        assert posted(port, client, "heartbeat", b"x" * (5 << 20))[0] == 413
        assert posted(port, client, "everything", {})[0] == 404
        assert posted(port, client, "heartbeat", {"heartbeatRequest": [{}]}, **{"Content-Type": "text/plain"})[0] == 415
        raw = client.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        head = b"POST /v1.2/grant HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99"
        raw.sendall(head + b"\r\n\r\n{")
        raw.close()
        assert posted(port, client, "registration", {"registrationRequest": [registration()]})[0] == 200


@pytest.mark.attack(65)
def test_one_base_stations_connections_keep_no_other_out(
    authority: SimPki, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "CONNECTIONS_MAX", 40)
    made, _ = sas()
    greedy, other = (plain_client(files_of(authority, name, "cbsd")) for name in ("greedy", "other"))
    with serving(made, server_files, lambda: NOW) as port, ExitStack() as open_ones:
        for _ in range(48):
            plain = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            with suppress(OSError):
                open_ones.enter_context(greedy.wrap_socket(plain, server_hostname="localhost"))
        assert posted(port, other, "registration", {"registrationRequest": [registration()]})[0] == 200


@pytest.mark.realtime
@pytest.mark.attack(65)
def test_who_shows_no_certificate_is_let_go_by_time(authority: SimPki, server_files: TlsFiles) -> None:
    made, _ = sas()
    wait_s = 4 * HANDSHAKE_S
    with (
        serving(made, server_files, lambda: NOW) as port,
        socket.create_connection(("127.0.0.1", port), timeout=wait_s) as silent,
    ):
        assert silent.recv(1) == b""


def test_without_a_trusted_clock_nothing_is_handed_out(authority: SimPki, server_files: TlsFiles) -> None:
    made, purse = sas()
    client = plain_client(files_of(authority, "clock", "cbsd"))
    with serving(made, server_files, lambda: None) as port:
        assert posted(port, client, "registration", {"registrationRequest": [registration()]})[0] == 503
    assert not made.stations
    assert not purse.asked


# -- the door to the warden --------------------------------------------------------------------------------------------


class Turning:
    """A warden's loop that does nothing but answer the door."""

    def __init__(self, tmp_path: Path, held: HeldPermit) -> None:
        book = CbsdBook(path=tmp_path / "book")
        book.open()
        self.desk = CbsdDesk(outlet=Outlet(plan=PLAN, book=book))
        self.desk.door = CbsdDoor(tmp_path / "door", book.keep)
        self.view = WardenView(
            inputs=inputs(held.permit), held=[held], mine=frozenset({held.permit.user.hash}),
            sensed=outside(held).sensed,
        )  # fmt: skip
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.wait(0.001):
            self.desk.turn(self.view)

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.desk.close()


def test_an_answer_is_on_disk_before_it_is_told(held: HeldPermit, tmp_path: Path) -> None:
    warden = Turning(tmp_path, held)
    giver = WardenGiver(tmp_path / "door")
    asked = ask(held)
    (answer,) = giver.give([asked])
    assert not isinstance(answer, Withheld), answer
    on_disk = CbsdBook(path=tmp_path / "book")
    on_disk.open()
    assert [out.transmit_until_ns for out in on_disk.all()] == [answer.transmit_until_ns]
    (room,) = giver.room(asked.device, asked.spot)
    assert room.low_hz == asked.low_hz
    assert giver.now_ns() == warden.view.inputs.now.time.latest_ns
    giver.returned(asked.device, [asked.grant])
    assert [out.returned for out in warden.desk.outlet.book.all()] == [1]
    status = warden.desk.status()
    assert status["worst_s"] == 3.0
    assert status["cbsds"][0]["settlement"] == held.permit.sid.hex()
    warden.close()
    assert isinstance(giver.give([asked])[0], Withheld), "no warden, nothing"
    assert giver.now_ns() is None
    giver.close()


def test_nonsense_at_the_door_gives_nothing(held: HeldPermit, tmp_path: Path) -> None:
    import cbor2

    warden = Turning(tmp_path, held)
    for data in (b"", b"\xff", cbor2.dumps(3), cbor2.dumps({"op": "give"}), cbor2.dumps({"op": "give", "asks": [3]}),
                 cbor2.dumps({"op": "give", "asks": [{"device": "x"}]}), cbor2.dumps({"op": "room"})):  # fmt: skip
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(str(tmp_path / "door"))
            s.settimeout(5)
            s.send(data)
            answer: Any = s.recv(4096)
            assert not answer or cbor2.loads(answer) in (None, []), data
    assert warden.desk.outlet.book.all() == []
    warden.close()


def test_a_book_that_cannot_be_written_gives_nothing(held: HeldPermit, tmp_path: Path) -> None:
    warden = Turning(tmp_path, held)
    warden.desk.outlet.book.path = tmp_path / "gone" / "book"
    giver = WardenGiver(tmp_path / "door")
    assert isinstance(giver.give([ask(held)])[0], Withheld)
    giver.close()
    warden.close()
    assert json.dumps(warden.desk.status())


def test_an_answer_that_comes_too_late_is_nobodys(tmp_path: Path) -> None:
    """A warden that stood still answers the question of before; who asks next must not be told that answer."""
    door = CbsdDoor(tmp_path / "door", lambda: None, wait_s=0.05)
    giver = WardenGiver(tmp_path / "door")
    handled: list[str] = []

    def handle(question: dict[str, Any]) -> Any:
        handled.append(question["device"])
        return [question["device"]]

    assert giver._ask({"op": "room", "device": "first"}) is None  # nobody turns the door
    door.turn(handle)
    assert handled == []
    # The same where it stood still in the middle of its answer.
    begun, go_on = threading.Event(), threading.Event()

    def slow(question: dict[str, Any]) -> Any:
        begun.set()
        go_on.wait(5)
        return handle(question)

    def stands_still() -> None:
        while not begun.is_set():
            door.turn(slow)

    warden = threading.Thread(target=stands_still)
    warden.start()
    assert giver._ask({"op": "room", "device": "second"}) is None
    go_on.set()
    warden.join(5)
    assert handled == ["second"]
    ended = threading.Event()
    turning = threading.Thread(target=lambda: [door.turn(handle) for _ in iter(ended.is_set, True)])
    turning.start()
    for name in ("third", "fourth"):
        found: Any = None
        while found is None:  # a loaded machine may need longer than the short wait
            found = giver._ask({"op": "room", "device": name})
        assert found == [name]
    ended.set()
    turning.join(5)
    giver.close()
    door.close()


def test_who_opens_connections_and_shows_no_certificate_uses_up_no_files_and_fills_no_log(
    authority: SimPki, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The process ran out of files, and asyncio wrote two thousand tracebacks a second for as long as that lasted."""
    monkeypatch.setattr(halfopen, "HANDSHAKE_S", 600.0)
    made, _ = sas()
    client = plain_client(files_of(authority, "cbsd-flooded", "cbsd"))
    with serving(made, server_files, lambda: NOW) as port, ExitStack() as held:
        opened = []
        for _ in range(HALF_OPEN_MAX + 3):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60.0))
            one.sendall(b"\x16\x03\x01")
            opened.append(one)
        ended, waiting = set[int](), select.poll()
        for one in opened:
            waiting.register(one, select.POLLIN)
        while len(ended) < 3:  # there were three more than places
            ended.update(number for number, _ in waiting.poll())
        status, answered = posted(port, client, "registration", {"registrationRequest": [registration()]})
        assert (status, codes(answered["registrationResponse"])) == (200, [0])
    loop, server = asyncio.new_event_loop(), endpoint._Server(uvicorn.Config(lambda: None, log_config=None))
    try:
        loop.set_exception_handler(server.fault)
        for _ in range(1000):
            loop.call_exception_handler({"message": endpoint.NO_FILES, "exception": OSError(errno.EMFILE, "no file")})
        assert server.not_accepted == 1000
        assert not caplog.records
        loop.call_exception_handler({"message": "something else"})
        assert len(caplog.records) == 1
    finally:
        loop.close()


@pytest.mark.attack(65)
def test_a_handshake_that_fails_leaves_nothing_for_the_garbage_collector(
    authority: SimPki, server_files: TlsFiles
) -> None:
    """Each left 256 KiB in a cycle, which Python looks for by number, not by size."""

    def kept() -> int:
        return sum(type(one).__name__ == "SSLProtocol" for one in gc.get_objects())

    made, _ = sas()
    client = plain_client(files_of(authority, "after-failures", "cbsd"))
    gc.collect()
    before = kept()
    gc.disable()
    try:
        with serving(made, server_files, lambda: NOW) as port:
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port), timeout=60.0) as one, suppress(ConnectionError):
                    one.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    while one.recv(100):  # an alert, then the end
                        pass
            assert posted(port, client, "registration", {"registrationRequest": [registration()]})[0] == 200
        assert kept() - before <= 2, "the good connection and the last that failed may be under way"
    finally:
        gc.enable()


@pytest.mark.attack(65)
def test_what_comes_with_the_end_of_the_handshake_is_served(
    authority: SimPki, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request may come in the packet that ends the handshake, before HTTP has the connection."""
    early = list[bytes]()
    received = halfopen._Early.data_received

    def seen(self: halfopen._Early, data: bytes) -> None:
        early.append(data)
        received(self, data)

    monkeypatch.setattr(halfopen._Early, "data_received", seen)
    made, _ = sas()
    client = plain_client(files_of(authority, "hasty", "cbsd"), maximum_version=ssl.TLSVersion.TLSv1_2)
    request = b"POST /v1.2/grant HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{"
    with serving(made, server_files, lambda: NOW) as port, ExitStack() as held:
        session = None
        for _ in range(2):  # a resumed session's handshake ends with the client's word
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
            plain = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60.0))
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(1 << 16))
            tls.write(request)
            plain.sendall(outgoing.read())  # the handshake's last part, where it is the client's, and the request
            answered = b""
            while len(answered) < 12:
                incoming.write(plain.recv(1 << 16))
                with suppress(ssl.SSLWantReadError):
                    answered += tls.read(12 - len(answered))
            assert answered == b"HTTP/1.1 400"
            session = tls.session
    assert tls.session_reused
    assert early == [request]


def test_that_no_file_is_left_for_base_stations_is_said_once_with_its_mend_and_once_that_it_is_over() -> None:
    """It was counted, and nobody was told why no base station came in any more."""
    said = list[str]()
    server = endpoint._Server(uvicorn.Config(lambda: None, log_config=None))
    server.say = said.append  # type: ignore[method-assign]
    server.tell_of_files(0, 0.0)
    for second in range(3600):
        server.tell_of_files(64 * (1 + second // 2), second)
    assert said == [endpoint.NO_FILES_MEND]
    for second in range(3600, 7200):
        server.tell_of_files(64 * 1800, second)
    assert said[1:] == ["base stations are let in again"]
