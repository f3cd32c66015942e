"""Proofs in the forms of others: each holds for its entry alone, an independent tool agrees, and no mutant passes."""

import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from scitt_cose.receipt import verify_receipt
from typer.testing import CliRunner, Result

from agent.audit import proofs
from agent.cli.audit import app
from settlement.chain import merkle
from settlement.chain.checkpoint import Head
from settlement.core.reasons import Reason, Refusal
from settlement.formats import public, receipt, tlogproof
from tests.settlement.formats.logs import sealed_logs
from tests.settlement.world import NETWORK

pytestmark = pytest.mark.feature("X2")

MUTANTS = 10_000
SPECIFIED = (
    "c2sp.org/tlog-proof@v1\nextra YWdl\nindex 73894\n"
    "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\n"
    "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n"
    "\u2014 example.com/fancylog hI2DJw==\n"
)
"""The shape of the specification's example (c2sp.org/tlog-proof), its signature shortened there as here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sealed")
    sealed_logs(tmp_path_factory.mktemp("live"), made)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> proofs.Found:
    return proofs.find(proofs.logs(folder, anchors=None, network=None), "")


def pem(raw: bytes) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_proof_reads_back_as_it_was_written() -> None:
    read = tlogproof.read(SPECIFIED)
    assert isinstance(read, tlogproof.TlogProof)
    assert (read.index, len(read.path), read.entry) == (73894, 2, b"age")
    assert read.text() == SPECIFIED


def test_a_proof_holds_for_its_entry_and_no_other(found: proofs.Found) -> None:
    proof = tlogproof.read(proofs.proof_of(found))
    assert isinstance(proof, tlogproof.TlogProof)
    assert isinstance(tlogproof.check(proof, found.entry, found.log.public), Head)
    other = tlogproof.check(proof, found.log.entries[0], found.log.public)
    assert isinstance(other, Refusal)
    assert other.reason is Reason.ENTRY_MISMATCH
    bare = tlogproof.TlogProof(index=proof.index, path=proof.path, note=proof.note)
    assert isinstance(tlogproof.check(bare, found.log.entries[0], found.log.public), Refusal)


def test_an_independent_library_accepts_the_receipt(found: proofs.Found) -> None:
    made = proofs.receipt_of(found)
    theirs = verify_receipt(made, leaf_entry_hex=found.entry.hex(), log_public_key_pem=pem(found.log.public))
    assert (theirs.ok, theirs.errors, theirs.leaf_index, theirs.tree_size) == (
        True, [], found.index, len(found.log.entries),
    )  # fmt: skip
    assert theirs.issuer == theirs.subject == found.log.origin
    other = verify_receipt(made, leaf_entry_hex=found.log.entries[0].hex(), log_public_key_pem=pem(found.log.public))
    assert not other.ok


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One or two bits, a byte too few, one too many, or two parts exchanged."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(made))
        match rng.randrange(8):
            case 0:
                del made[at]
            case 1:
                made.insert(at, rng.randrange(256))
            case _:
                made[at] ^= 1 << rng.randrange(8)
    return bytes(made)


def test_no_mutant_of_a_proof_holds(found: proofs.Found) -> None:
    rng, good = random.Random(7), proofs.proof_of(found).encode()
    refused = 0
    while refused < MUTANTS:
        made = flipped(rng, good)
        if made == good:
            continue
        said = proofs.check(made, found.entry, [found.log]) if made.startswith(b"c2sp") else None
        assert not isinstance(said, proofs.Checked), made
        refused += 1


def test_no_mutant_of_a_receipt_holds(found: proofs.Found) -> None:
    rng, good, log = random.Random(8), proofs.receipt_of(found), found.log
    refused = 0
    while refused < MUTANTS:
        made = flipped(rng, good)
        if made != good:
            assert isinstance(receipt.check(made, found.entry, origin=log.origin, public=log.public), Refusal), made
            refused += 1


def test_a_signed_root_is_no_record_and_no_receipt(found: proofs.Found) -> None:
    log = found.log
    assert log.signed_root is not None
    refusal = receipt.check(log.signed_root, found.entry, origin=log.origin, public=log.public)
    assert isinstance(refusal, Refusal)
    assert refusal.measured == "the payload is attached"


def test_a_receipt_signed_under_another_logs_name_is_refused(found: proofs.Found, tmp_path: Path) -> None:
    (tmp_path / "sealed").mkdir()
    key, log = sealed_logs(tmp_path, tmp_path / "sealed").members["holder"].key, found.log
    root = receipt.sign_root(Head(origin="bandpact/other", size=1, root=merkle.leaf_hash(found.entry)), key)
    made = receipt.receipt(root, size=1, index=0, path=())
    assert isinstance(made, bytes)
    refusal = receipt.check(made, found.entry, origin=log.origin, public=key.public)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.HEADER


def test_export_and_check_by_command(folder: Path, found: proofs.Found, tmp_path: Path) -> None:
    sid, proof, made = found.sid.hex()[:10], tmp_path / "one.tlog-proof", tmp_path / "one.receipt"
    done = run("export", folder, sid, "--proof", proof, "--receipt", made)
    assert done.exit_code == 0, done.output
    for arguments in ((proof,), (made, "--entry", made.with_suffix(".entry"))):
        checked = run("check", *arguments, "--log", folder)
        assert checked.exit_code == 0, checked.output
        assert f"HOLDS: entry {found.index} of {found.log.origin}" in checked.output
        assert found.sid.hex() in checked.output
    assert run("export", folder, sid, "--proof", proof).exit_code == 1, "a file that is there stays"
    assert run("export", folder, sid).exit_code == 2
    assert run("export", folder, "ffffffff", "--proof", tmp_path / "none").exit_code == 1
    assert run("check", made, "--log", folder).exit_code == 1
    proof.write_bytes(proof.read_bytes()[:-3] + b"AA\n")
    told = run("check", proof, "--log", folder)
    assert (told.exit_code, "DOES NOT HOLD" in told.output) == (1, True)


def test_a_public_bundle_names_nobody_and_still_proves(folder: Path, found: proofs.Found, tmp_path: Path) -> None:
    out = tmp_path / "public.json"
    assert run("public", folder, "--out", out).exit_code == 0
    text = out.read_text()
    for secret in ("alice", "bob", "holder-node", found.sid.hex(), found.entry.hex()[:64]):
        assert secret not in text, secret
    rows = [row for log in json.loads(text)["logs"] for row in log["settlements"]]
    assert {row["settlement"] for row in rows} == {rows[0]["settlement"]}
    assert all(round(row["place"]["lat_deg"] * 10) == row["place"]["lat_deg"] * 10 for row in rows)
    checked = run("check", out, "--log", folder)
    assert (checked.exit_code, checked.output.count("HOLDS")) == (0, 3)
    altered = json.loads(text)
    altered["logs"][0]["leaves"].pop()
    refusal = public.check(json.dumps(altered), {log.origin: log.public for log in _logs(folder)}.get)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ENTRY_MISMATCH


def _logs(folder: Path) -> list[proofs.FinishedLog]:
    return proofs.logs(folder, anchors=None, network=NETWORK)
