"""Seals a finished log file: its SHA-256, signed by the node, in a file beside it; any changed byte shows."""

import hashlib
from pathlib import Path

from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import write_whole
from settlement.chain import keys
from settlement.chain.checkpoint import Head
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.formats.receipt import sign_root

_DOMAIN = b"bandpact/1/seal"
_CHUNK = 1 << 20


def seal_path(path: Path) -> Path:
    """Return the path of a file's seal."""
    return path.with_suffix(".seal")


def _file_digest(path: Path) -> bytes:
    value = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value.update(chunk)
    return value.digest()


def write_seal(path: Path, key: SigningKey) -> None:
    """Write the seal of the file as it is now: its SHA-256 and the signature over that, in hexadecimal."""
    digest = _file_digest(path)
    text = f"{digest.hex()}\n{key.sign(_DOMAIN + digest).hex()}\n"
    write_whole(seal_path(path), text.encode())


def root_path(path: Path) -> Path:
    """Return the path of the owner's signature over a sealed log's root, from which COSE receipts are made."""
    return path.with_suffix(".root")


def write_root(path: Path, head: Head, key: SigningKey) -> None:
    """Write the owner's signature over the root of a finished log, from which receipts are made."""
    write_whole(root_path(path), sign_root(head, key))


def check_seal(path: Path, public: bytes) -> Refusal | None:
    """Return None if the file is as its owner sealed it, else a refusal: `measured` is "no seal" without one."""
    seal = seal_path(path)
    beside = [path.name + ending for ending in ("-wal", "-journal") if path.with_name(path.name + ending).exists()]
    if seal.is_file() and beside:
        return refuse(Reason.ENTRY_MISMATCH, "seal.beside", beside[0], "nothing beside a sealed lineage")
    if not seal.is_file():
        return refuse(Reason.PROOF, "seal", "no seal", f"{seal.name} beside the lineage")
    try:
        digest, signature = (bytes.fromhex(line.decode("ascii")) for line in read_small(seal, limit=4096).split())
    except (OSError, ValueError):
        return refuse(Reason.MALFORMED, "seal.form", seal.name, "two lines of hexadecimal")
    if not keys.verify(public, signature, _DOMAIN + digest):
        return refuse(Reason.SIGNATURE, "seal.signature", "does not verify", "the owner's signature")
    if _file_digest(path) != digest:
        return refuse(Reason.ENTRY_MISMATCH, "seal.digest", "the file was changed after it was sealed", digest.hex())
    return None
