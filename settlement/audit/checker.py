"""A process that checks signatures for another: `python -m settlement.audit.checker`, with requests over pipes.

A request has the public keys by credential, the domain of the network's signatures, and log entries; the answer has the
name of every valid signature in them. Both are CBOR, each after its length in four bytes. The checker is a program of
its own, not a fork or spawn of the calling program. So it also works for a worker process, for a script without a
`__main__` guard and for an interpreter that reads its program from a pipe, and runs no code of the caller twice.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

import cbor2

from settlement.chain import cose, keys
from settlement.chain.scan import read_head
from settlement.core.reasons import RefusedError

UINT, NINT, BYTES, TEXT, MAP = 0, 1, 2, 3, 5
"""Major types of CBOR."""
RECORD, AUTHOR = 3, 2
"""Keys of the record in an entry (`Leaf`), and of the author in a record's payload (`Frame`)."""


def name_of(public: bytes, signature: bytes, message: bytes) -> bytes:
    """Return the name of a key, a signature and a message: SHA-256 of the three."""
    return hashlib.sha256(public + signature + message).digest()


def held_in(publics: dict[bytes, bytes], domain: bytes, bodies: Sequence[bytes]) -> list[bytes]:
    """Return the names of all valid signatures in these entries, by the keys known so far.

    Args: domain: `records.aad` of the network, passed in because this process does not import the record types, so that
    it starts fast. Signatures are verified without the cache of results, as each comes only once.
    """
    held: list[bytes] = []
    for body in bodies:
        found = _signed_in(body)
        public = publics.get(found[0]) if found is not None else None
        if found is None or public is None:
            continue
        _, protected, payload, signature = found
        signed = cose.to_be_signed(protected, payload, domain)
        if keys.verify_anew(public, signature, signed):
            held.append(name_of(public, signature, signed))
    return held


def _signed_in(body: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return author, protected header, payload and signature of the record in an entry; None where none is found.

    Only as much is decoded as is needed to find them. The caller checks every entry and record in full anyway; it takes
    from the answer only that a key signed a message.
    """
    try:
        record = _value_of(body, RECORD)
        if record is None:
            return None
        protected, payload, signature = cose.split(record)
        author = _value_of(payload, AUTHOR)
    except RefusedError:
        return None
    return None if author is None else (author, protected, payload, signature)


def _value_of(data: bytes, wanted: int) -> bytes | None:
    """Return the byte string under one of the first keys of a map, whose values before it are no maps or arrays."""
    major, pairs, offset = read_head(data, 0)
    for _ in range(pairs if major == MAP else 0):
        _, key, offset = read_head(data, offset)
        major, argument, offset = read_head(data, offset)
        if major in (BYTES, TEXT):
            value, offset = data[offset : offset + argument], offset + argument
            if key == wanted:
                return value if major == BYTES and offset <= len(data) else None
        elif major not in (UINT, NINT) or key == wanted:
            return None
    return None


class CheckingProcess:
    """The checking process, as held by the process that asks it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, publics: dict[bytes, bytes], domain: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """Run `held_in` in the checking process; return nothing without one: the caller then checks for itself."""
        try:
            if self._process is None:
                self._process = self._started()
            _write(self._process.stdin, [publics, domain, list(bodies)])
            answer = _read(self._process.stdout)
        except (OSError, ValueError, EOFError):
            return []
        return answer if isinstance(answer, list) else []

    @staticmethod
    def _started() -> "subprocess.Popen[bytes]":
        found_here = os.pathsep.join(one for one in sys.path if one)
        return subprocess.Popen(
            [sys.executable or "python3", "-P", "-m", "settlement.audit.checker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": found_here},
        )

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _write(pipe: IO[bytes] | None, value: Any) -> None:
    if pipe is None:
        raise EOFError
    data = cbor2.dumps(value)
    pipe.write(len(data).to_bytes(4, "big") + data)
    pipe.flush()


def _read(pipe: IO[bytes] | None) -> Any:
    head = pipe.read(4) if pipe is not None else b""
    size = int.from_bytes(head, "big")
    data = pipe.read(size) if pipe is not None and len(head) == 4 else b""
    if len(head) != 4 or len(data) != size:
        raise EOFError
    return cbor2.loads(data)


def main() -> int:
    """Answer requests until the input ends."""
    try:
        while True:
            publics, domain, bodies = _read(sys.stdin.buffer)
            _write(sys.stdout.buffer, held_in(publics, domain, bodies))
    except (EOFError, BrokenPipeError):
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
