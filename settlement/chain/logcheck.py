"""Checks a running node's whole log in another process, after a start that checked only the newest part.

`python -m settlement.chain.logcheck` reads one line of JSON on standard input (path, origin, keys in hex) and writes
one line: null, or the refusal with reason, clause, measured and required. It opens the file read-only, in one read
transaction, at the lowest priority.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import apsw

from settlement.chain.wholeness import check_file
from settlement.core.reasons import Reason, Refusal, refuse

LOWEST = 19


def scrub(path: Path, origin: str, public: bytes, former: tuple[bytes, ...]) -> Refusal | None:
    """Check the whole log, as it is at this moment, against everything that its owner signed; None where it holds."""
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(5000)
            db.execute("BEGIN")
            return check_file(db, origin, public, standing=True, former=former)
        finally:
            db.close()
    except (apsw.Error, TypeError, ValueError) as exc:
        return refuse(Reason.ENTRY_MISMATCH, "lineage.file", str(exc), "a file as it was written")


class Scrubbing:
    """The checking process as its node holds it: started once, polled now and then, ended with the node."""

    def __init__(self, path: Path, origin: str, public: bytes, former: Iterable[bytes] = ()) -> None:
        """Start the process and its check. Raises OSError where no process can be started."""
        found_here = os.pathsep.join(one for one in sys.path if one)
        self._process = subprocess.Popen(
            [sys.executable or "python3", "-P", "-m", "settlement.chain.logcheck"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": found_here},
        )
        asked = {"path": str(path), "origin": origin, "keys": [one.hex() for one in (public, *former)]}
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.close()

    def done(self) -> bool:
        """True once the process has answered."""
        return self._process.poll() is not None

    def answer(self) -> Refusal | None:
        """Return the finding, once done; FAULT where the process ended without an answer: the log is then unchecked."""
        said = self._process.stdout.read() if self._process.stdout is not None else b""
        try:
            found = json.loads(said)
            return None if found is None else refuse(Reason(found[0]), found[1], found[2], found[3])
        except (ValueError, TypeError, IndexError, RecursionError):
            ended = f"the process that reads the log ended with {self._process.returncode}"
            return refuse(Reason.FAULT, "lineage.scrub", ended, "an answer")

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> int:
    """Read the request from standard input, check the log, write the answer."""
    os.nice(LOWEST)
    asked = json.loads(sys.stdin.readline())
    public, *former = (bytes.fromhex(one) for one in asked["keys"])
    found = scrub(Path(asked["path"]), asked["origin"], public, tuple(former))
    values = None if found is None else [found.reason.value, found.clause, found.measured, found.required]
    print(json.dumps(values))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
