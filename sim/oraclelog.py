"""Stores the oracle's results: spooled to disk line by line, so that memory does not grow.

The log is one JSON object: `zero_ns` (the air's second 0) and `until_ns` (when it was written), both monotonic,
`bursts`, `leakage` and `tones`, each a list of `sim.oracle.RadiatedBurst` as objects.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sim.oracle import Kind, RadiatedBurst


class OracleLog:
    """A log that is spooled beside its final path, and written whole on request."""

    def __init__(self, path: Path, *, zero_ns: int) -> None:
        """Open the spool; raises OSError where it cannot be written."""
        self._path = path
        self._zero_ns = zero_ns
        self._spool_path = path.with_name(path.name + ".part")
        self._spool: IO[str] = self._spool_path.open("w", encoding="utf-8")

    def add(self, burst: RadiatedBurst) -> None:
        """Append an emission."""
        self._spool.write(json.dumps(asdict(burst)) + "\n")

    def write(self, *, still_on: list[RadiatedBurst], until_ns: int) -> None:
        """Write everything so far, and emissions still on, to the log's path, atomically."""
        self._spool.flush()
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("w", encoding="utf-8") as out:
            out.write(f'{{"zero_ns": {self._zero_ns}, "until_ns": {until_ns}, "bursts": [\n')
            _join(out, self._lines("burst", *_on_now(still_on, "burst")))
            out.write('\n], "leakage": [\n')
            _join(out, self._lines("lo_leakage", *_on_now(still_on, "lo_leakage")))
            out.write('\n], "tones": [\n')
            _join(out, self._lines("tone", *_on_now(still_on, "tone")))
            out.write("\n]}\n")
        fresh.replace(self._path)

    def _lines(self, kind: Kind, *more: str) -> Iterator[str]:
        mark = f'"kind": "{kind}"'
        with self._spool_path.open(encoding="utf-8") as spool:
            yield from (line.rstrip("\n") for line in spool if mark in line)
        yield from more

    def close(self) -> None:
        """Remove the spool."""
        self._spool.close()
        self._spool_path.unlink(missing_ok=True)


def _on_now(still_on: list[RadiatedBurst], kind: Kind) -> list[str]:
    return [json.dumps(asdict(one)) for one in still_on if one.kind == kind]


def _join(out: IO[str], lines: Iterator[str]) -> None:
    comma = ""
    for line in lines:
        out.write(comma + line)
        comma = ",\n"


def read_log(path: Path) -> list[RadiatedBurst]:
    """Return what the oracle logged, bursts, leakage and tones, by start; raises OSError, ValueError."""
    log = json.loads(path.read_text(encoding="utf-8"))
    found = [_burst(one) for one in [*log["bursts"], *log["leakage"], *log["tones"]]]
    return sorted(found, key=lambda one: (one.start_ns, one.radio))


def _burst(one: dict[str, Any]) -> RadiatedBurst:
    reaches = tuple(tuple(reach) for reach in one["reaches"])
    return RadiatedBurst(**{**one, "levels_mdbm": tuple(one["levels_mdbm"]), "reaches": reaches})
