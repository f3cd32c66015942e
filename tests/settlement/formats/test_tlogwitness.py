"""Stock witnesses over real HTTP: what the specification asks of each side, and a client and server not of ours."""

import base64
import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from agent.audit import proofs
from agent.cli import audit as audit_commands
from agent.cli import witness as commands
from agent.config.settings import ConfigError
from agent.witness import server as witnessing
from settlement.chain import merkle
from settlement.chain.checkpoint import Head, check_cosignature, sign_head
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Refusal
from settlement.formats import mldsa
from settlement.formats.tlogwitness import AddCheckpoint, judge, lines_of, read_request
from settlement.formats.vkey import COSIGNER, COSIGNER_MLDSA, LOG, VerifierKey, read_key
from tests.settlement.formats.logs import sealed_logs

pytestmark = pytest.mark.feature("X2")

KEY = SigningKey.from_seed(bytes(range(32)))
ORIGIN = "example.com/behind-the-sofa"
LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(40)]
EXAMPLE = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - the specification's own example of a request
COSIGNED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""


def reader(count: int) -> merkle.NodeReader:
    levels = [LEAVES[:count]]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([merkle.node_hash(row[n], row[n + 1]) for n in range(0, len(row) - 1, 2)])
    return lambda level, index: levels[level][index]


def head_at(size: int) -> Head:
    return Head(origin=ORIGIN, size=size, root=merkle.root(size, reader(size)))


def request(old: int, new: int) -> bytes:
    proof = merkle.consistency_proof(old, new, reader(new)) if old else ()
    return AddCheckpoint(old=old, proof=proof, note=sign_head(head_at(new), KEY)).encoded()


def test_the_specifications_example_reads_and_writes_back_byte_for_byte() -> None:
    read = read_request(EXAMPLE.encode())
    assert isinstance(read, AddCheckpoint)
    assert (read.old, len(read.proof)) == (20852014, 4)
    assert read.encoded() == EXAMPLE.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 1", b"old 01\n\nx", b"old -1\n\nx", b"new 1\n\nx", b"old 1\nAA\n\n\xff", b"old 1\n!!\n\nx",
        b"old \n\nx",
        b"old 1\n" + b"AAAA\n" * 64 + b"\nx", b"old 99999999999999999999\n\nx", b"x" * 40_000,
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(body: bytes) -> None:
    assert isinstance(read_request(body), Refusal)
    assert judge(body, logs={}, last=lambda _: None, sign=lambda _: "").status == 400


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_no_bytes_raise(body: bytes) -> None:
    assert judge(body, logs={ORIGIN: KEY.public}, last=lambda _: None, sign=lambda _: "").status in {400, 403, 404}


@pytest.mark.parametrize(
    ("known", "old", "new", "status"),
    [
        (None, 0, 7, 200),
        (7, 7, 20, 200),
        (7, 7, 7, 200),
        (7, 0, 20, 409),
        (7, 6, 20, 409),
        (20, 7, 20, 409),
        (None, 7, 20, 409),
    ],
)
def test_each_question_gets_the_specifications_answer(known: int | None, old: int, new: int, status: int) -> None:
    last = None if known is None else head_at(known)
    answer = judge(request(old, new), logs={ORIGIN: KEY.public}, last=lambda _: last, sign=lambda _: "line\n")
    assert answer.status == status
    if status == 409:
        assert (answer.body, answer.content_type) == (f"{known or 0}\n", "text/x.tlog.size")
    assert (answer.remember is not None) is (status == 200)


def test_a_wrong_proof_another_root_another_key_and_an_unknown_log_are_told_apart() -> None:
    logs = {ORIGIN: KEY.public}

    def status(body: bytes, known: Head | None, logs: dict[str, bytes] = logs) -> int:
        return judge(body, logs=logs, last=lambda _: known, sign=lambda _: "line\n").status

    wrong = AddCheckpoint(old=7, proof=(bytes(32),), note=sign_head(head_at(20), KEY)).encoded()
    assert status(wrong, head_at(7)) == 422
    other = Head(origin=ORIGIN, size=7, root=bytes(32))
    assert status(request(7, 7), other) == 409
    assert status(request(0, 7), None, {ORIGIN: SigningKey.from_seed(bytes(32)).public}) == 403
    assert status(request(0, 7), None, {}) == 404
    shrunk = AddCheckpoint(old=20, proof=(), note=sign_head(head_at(7), KEY)).encoded()
    assert status(shrunk, head_at(20)) == 400


# -- keys and post-quantum lines -----------------------------------------------------------------------------------


def test_verifier_keys_read_back_and_no_other_text_does() -> None:
    for kind in (LOG, COSIGNER):
        key = VerifierKey(name="witness.example/w1", kind=kind, public=KEY.public)
        assert read_key(key.text()) == key
        assert isinstance(read_key(key.text().replace("w1", "w2")), Refusal)
    for text in ("", "a+b", "a+00000000+", "a b+00000000+AQ==", "x" * 10_000):
        assert isinstance(read_key(text), Refusal)


@pytest.mark.skipif(not mldsa.AVAILABLE, reason="this cryptography has no ML-DSA")
def test_a_post_quantum_line_holds_for_its_head_name_and_time_alone() -> None:
    signer = mldsa.SeededSigner(bytes(range(32)))
    key = VerifierKey(name="w.example/pq", kind=COSIGNER_MLDSA, public=signer.public)
    assert read_key(key.text()) == key
    head, note = head_at(20), sign_head(head_at(20), KEY)
    line = mldsa.cosign(head, name=key.name, key=signer, time_s=1679315147)
    blob = base64.b64decode(line.split(" ")[2])
    assert mldsa.check(head, blob, key) == 1679315147
    assert isinstance(mldsa.check(head_at(7), blob, key), Refusal)
    assert isinstance(mldsa.check(head, blob[:11] + b"\x01" + blob[12:], key), Refusal)
    other = VerifierKey(name="w.example/other", kind=COSIGNER_MLDSA, public=signer.public)
    assert isinstance(mldsa.check(head, other.key_id + blob[4:], other), Refusal)
    assert lines_of(line, note, head, [key]) == {key: line}
    public = VerifierKey(name="w.example/pq", kind=COSIGNER, public=KEY.public)
    assert lines_of(line, note, head, [public]) == {}, "whoever does not know it ignores it"


# -- over HTTP -----------------------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(witnessing.application(folder), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(5)


def post(port: int, body: bytes) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection):
        connection.request("POST", "/add-checkpoint", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("Content-Type")


def run(module: object, *arguments: object) -> Result:
    return CliRunner().invoke(module.app, [str(a) for a in arguments])  # type: ignore[attr-defined]


def made_witness(folder: Path, *logs: str) -> Path:
    witnessing.make(folder, "witness.example/w1")
    (folder / witnessing.LOGS).write_text("# logs\n" + "\n".join(logs) + "\n")
    return folder


def test_a_client_written_from_the_specification_gets_lines_that_verify(tmp_path: Path) -> None:
    """Nothing of ours in the check: hashlib, base64 and Ed25519."""
    folder = made_witness(tmp_path / "w", VerifierKey(name=ORIGIN, kind=LOG, public=KEY.public).text())
    key = next(one for one in witnessing.load(folder).handed_out() if one.kind == COSIGNER)
    with serving(folder) as port:
        status, text, _ = post(port, request(0, 7))
        assert status == 200
        assert post(port, request(0, 20)) == (409, "7\n", "text/x.tlog.size; charset=utf-8")
        assert post(port, request(7, 20))[0] == 200
        assert post(port, b"x" * 60_000)[0] == 413
    name, blob = text.splitlines()[0].removeprefix("\u2014 ").split(" ")
    raw = base64.b64decode(blob)
    assert name == "witness.example/w1"
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + key.public).digest()[:4]
    seconds = int.from_bytes(raw[4:12], "big")
    assert abs(seconds - time.time()) < 60
    body = sign_head(head_at(7), KEY).partition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime {seconds}\n{body}".encode()
    Ed25519PublicKey.from_public_bytes(key.public).verify(raw[12:], message)
    with serving(folder) as port:
        assert post(port, request(0, 7))[:2] == (409, "20\n"), "what was cosigned outlives a restart"


def test_a_state_that_makes_no_sense_or_cannot_be_kept_cosigns_nothing(tmp_path: Path) -> None:
    folder = made_witness(tmp_path / "w", VerifierKey(name=ORIGIN, kind=LOG, public=KEY.public).text())
    (folder / witnessing.HEADS).mkdir()
    with pytest.raises(ConfigError, match="rolled back"):
        witnessing.application(folder)
    (folder / witnessing.HEADS).rmdir()
    with serving(folder) as port:
        (folder / witnessing.HEADS).mkdir()
        assert post(port, request(0, 7))[0] == 503
        (folder / witnessing.HEADS).rmdir()
        assert post(port, request(0, 7))[0] == 200


class FromTheSpecification(BaseHTTPRequestHandler):
    """A witness of the tests' own: signs what it is asked by the rules of c2sp.org/tlog-cosignature."""

    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    name = "stranger.example/w"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        note = body.partition("\n\n")[2]
        text = note.partition("\n\n")[0] + "\n"
        public = self.key.public_key().public_bytes_raw()
        signature = self.key.sign(f"cosignature/v1\ntime 1679315147\n{text}".encode())
        key_id = hashlib.sha256(self.name.encode() + b"\n\x04" + public).digest()[:4]
        blob = base64.b64encode(key_id + (1679315147).to_bytes(8, "big") + signature).decode()
        self._answer(200, f"\u2014 unknown.example AAAA\n\u2014 {self.name} {blob}\n")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_log_is_cosigned_by_our_witness_and_by_a_stranger_and_its_proof_carries_both(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    sealed_logs(tmp_path, logs)
    told = run(commands, "log", logs / "holder.db")
    assert told.exit_code == 0
    made = run(commands, "init", tmp_path / "w", "--name", "witness.example/w1")
    assert made.exit_code == 0, made.output
    keys = [line for line in made.output.splitlines() if line.startswith("witness.example")]
    (tmp_path / "w" / witnessing.LOGS).write_text(told.output)
    stranger = ThreadingHTTPServer(("127.0.0.1", 0), FromTheSpecification)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    theirs = VerifierKey(
        name=FromTheSpecification.name, kind=COSIGNER, public=FromTheSpecification.key.public_key().public_bytes_raw()
    )
    with serving(tmp_path / "w") as port:
        options = [part for key in keys for part in ("--key", key)]
        for _ in range(2):
            asked = run(commands, "ask", logs / "holder.db", "--url", f"http://127.0.0.1:{port}", *options)
            assert asked.exit_code == 0, asked.output
    address = f"http://127.0.0.1:{stranger.server_port}/"
    asked = run(commands, "ask", logs / "holder.db", "--url", address, "--key", theirs.text())
    assert asked.exit_code == 0, asked.output
    wrong = run(commands, "ask", logs / "holder.db", "--url", address, "--key", keys[0])
    assert (wrong.exit_code, "no line by a key that is trusted" in wrong.output) == (1, True)
    stranger.shutdown()
    stranger.server_close()
    gone = run(commands, "ask", logs / "holder.db", "--url", address, "--key", theirs.text())
    assert (gone.exit_code, "Traceback" in gone.output) == (1, False)
    proof = tmp_path / "one.tlog-proof"
    assert run(audit_commands, "export", logs / "holder.db", "", "--proof", proof).exit_code == 0
    note = proof.read_text().partition("\n\n")[2]
    ours = next(key for key in map(read_key, keys) if isinstance(key, VerifierKey) and key.kind == COSIGNER)
    for key in (ours, theirs):
        assert not isinstance(check_cosignature(note, name=key.name, public=key.public), Refusal)
    assert run(audit_commands, "check", proof, "--log", logs).exit_code == 0
    demands = [part for key in [*keys, theirs.text()] for part in ("--demand", key)]
    told = run(audit_commands, "check", proof, "--log", logs, *demands)
    assert (told.exit_code, told.output.count("cosigned by")) == (0, len(keys) + 1), told.output
    if mldsa.AVAILABLE:
        assert "cosigned by witness.example/w1, ML-DSA-44" in told.output
    absent = VerifierKey(name="nobody.example", kind=COSIGNER, public=KEY.public).text()
    lacking = run(audit_commands, "check", proof, "--log", logs, "--demand", absent)
    assert (lacking.exit_code, "UNWITNESSED" in lacking.output) == (1, True)
    assert proofs.logs(logs / "holder.db", anchors=None, network=None)[0].cosigned
