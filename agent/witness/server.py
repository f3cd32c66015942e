"""A standard witness of logs (C2SP tlog-witness) as a small HTTP service.

Its folder holds its keys, the logs it knows, and the head of each that it cosigned last. It is no node and has no
credential; whoever checks a proof decides which witnesses count. It listens on loopback, behind the operator's own
proxy.
"""

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.config.keyfiles import made_folder, read_key, read_secret, secret_file, text_file, write_files
from agent.config.settings import ConfigError
from agent.words.shell import quoted
from hw_profiles.wholefile import write_whole
from settlement.chain.checkpoint import Head, cosign
from settlement.chain.keys import SigningKey
from settlement.core.reasons import Refusal
from settlement.formats import mldsa, tlogwitness
from settlement.formats.tlogwitness import BODY_MAX
from settlement.formats.vkey import COSIGNER, COSIGNER_MLDSA, LOG, VerifierKey, proper_name
from settlement.formats.vkey import read_key as read_vkey

KEY, PQ_KEY, NAME, LOGS, HEADS = "witness.key", "witness.mldsa", "witness.name", "logs.txt", "heads.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A witness's name and keys; `quantum` signs with ML-DSA-44, where this machine can."""

    name: str
    key: SigningKey
    quantum: mldsa.SeededSigner | None

    def handed_out(self) -> list[VerifierKey]:
        """Verifier keys to hand out."""
        found = [VerifierKey(name=self.name, kind=COSIGNER, public=self.key.public)]
        if self.quantum is not None:
            found.append(VerifierKey(name=self.name, kind=COSIGNER_MLDSA, public=self.quantum.public))
        return found

    def lines(self, head: Head, time_s: int) -> str:
        """Return its signature lines for a head."""
        line = cosign(head, name=self.name, key=self.key, time_s=time_s)
        if self.quantum is not None:
            line += mldsa.cosign(head, name=self.name, key=self.quantum, time_s=time_s)
        return line


def make(folder: Path, name: str) -> Cosigner:
    """Make a witness's keys, never overwritten. Raises ConfigError."""
    if not proper_name(name):
        raise ConfigError(f"{name!r}: a witness's name is a host and path as in an address, without spaces and +")
    with made_folder(folder):
        write_files(
            text_file(folder / NAME, f"{name}\n", replace=False),
            secret_file(folder / KEY, secrets.token_bytes(32)),
            *([secret_file(folder / PQ_KEY, secrets.token_bytes(mldsa.SEED_BYTES))] if mldsa.AVAILABLE else []),
        )
    return load(folder)


def load(folder: Path) -> Cosigner:
    """Load a witness's name and keys. Raises ConfigError."""
    try:
        name = (folder / NAME).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{folder}: no witness here; run: bandpact witness init {quoted(folder)} --name NAME"
        ) from exc
    quantum = None
    if (folder / PQ_KEY).is_file() and mldsa.AVAILABLE:
        quantum = mldsa.SeededSigner(read_secret(folder / PQ_KEY))
    return Cosigner(name=name, key=read_key(folder / KEY), quantum=quantum)


def known_logs(folder: Path) -> dict[str, bytes]:
    """Return the logs that a witness knows, from logs.txt, one verifier key per line. Raises ConfigError."""
    found: dict[str, bytes] = {}
    try:
        lines = (folder / LOGS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{folder / LOGS}: {exc}; write the verifier key of each log on a line of its own") from exc
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        key = read_vkey(line)
        if isinstance(key, Refusal) or key.kind != LOG:
            raise ConfigError(
                f"{folder / LOGS}:{number}: {key if isinstance(key, Refusal) else 'not the key of a log'}"
            )
        found[key.name] = key.public
    return found


class CosignedHeads:
    """The last cosigned head of each log, on disk before anything is answered."""

    def __init__(self, path: Path) -> None:
        """Read the stored heads. Raises ConfigError for a malformed file: a guess could contradict a cosignature."""
        self._path = path
        self._known: dict[str, Head] = {}
        if not path.exists():
            return
        try:
            for origin, (size, root) in json.loads(path.read_text(encoding="utf-8")).items():
                self._known[origin] = Head(origin=origin, size=int(size), root=bytes.fromhex(root))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise ConfigError(f"{path}: {exc}; restore it from a copy: without it a log could be rolled back") from exc

    def last(self, origin: str) -> Head | None:
        """Return the last head of an origin; None where none was cosigned."""
        return self._known.get(origin)

    def keep(self, head: Head) -> None:
        """Store a head. Raises OSError: then nothing may be answered."""
        known = {**self._known, head.origin: head}
        table = {one.origin: [one.size, one.root.hex()] for one in known.values()}
        write_whole(self._path, json.dumps(table, indent=1).encode())
        self._known = known


def application(folder: Path) -> Starlette:
    """Build the service. Raises ConfigError."""
    cosigner, logs, heads = load(folder), known_logs(folder), CosignedHeads(folder / HEADS)

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_MAX:
                return Response(f"more than {BODY_MAX} bytes\n", 413)
        # No await from here to the end: no other request runs between the check and the stored head.
        answer = tlogwitness.judge(
            bytes(body), logs=logs, last=heads.last, sign=lambda head: cosigner.lines(head, int(time.time()))
        )
        if answer.remember is not None:
            try:
                heads.keep(answer.remember)
            except OSError as exc:
                return Response(f"cannot remember the head: {exc.strerror}\n", 503)
        return Response(answer.body, answer.status, media_type=answer.content_type)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])
