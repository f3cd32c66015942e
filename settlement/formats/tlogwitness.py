"""The HTTP protocol of stock witnesses (c2sp.org/tlog-witness): requests and answers of both sides, without sockets.

    POST add-checkpoint        old <size>, proof lines, an empty line, a checkpoint
    200 cosignature lines · 400 not in this form · 403 no signature of a known key · 404 unknown log
    409 another size was cosigned last (the answer is that size), or another root of the same size · 422 bad proof

`judge` is the decision of a witness, and does no I/O: it reads the head that was cosigned last through `last`, and
returns the head to store. Its caller must store that head durably before it sends the answer, and must let no other
request for the same log in between. Checkpoints with extension lines are refused: bandpact's logs have none, and a
cosignature says nothing about them.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from settlement.chain import merkle
from settlement.chain.checkpoint import MAX_NOTE_BYTES, Head, check_cosignature, open_note
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.formats import mldsa
from settlement.formats.vkey import COSIGNER_MLDSA, VerifierKey

PROOF_LINES_MAX = 63
BODY_MAX = MAX_NOTE_BYTES + PROOF_LINES_MAX * 45 + 64
SIZE_TYPE, TEXT_TYPE = "text/x.tlog.size", "text/plain; charset=utf-8"
DASH = "\u2014 "


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """One request: the size that was cosigned last, the consistency proof from that size, the new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def encoded(self) -> bytes:
        """Return the body of the request."""
        lines = (f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof), "", "")
        return ("\n".join(lines) + self.note).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A witness's answer; `remember` is the head to store before the answer is sent."""

    status: int
    body: str = ""
    content_type: str = TEXT_TYPE
    remember: Head | None = None


def read_request(body: bytes) -> AddCheckpoint | Refusal:
    """Parse the body of a request. Refusals: TOO_LARGE, MALFORMED."""
    if len(body) > BODY_MAX:
        return refuse(Reason.TOO_LARGE, "add-checkpoint.size", len(body), f"<= {BODY_MAX} bytes")
    try:
        head, gap, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        proof = tuple(base64.b64decode(line, validate=True) for line in lines[: PROOF_LINES_MAX + 1])
    except (ValueError, binascii.Error) as exc:
        return refuse(Reason.MALFORMED, "add-checkpoint.form", exc, "old SIZE, hashes, an empty line, a checkpoint")
    size = first.removeprefix("old ")
    plain = size.isascii() and size.isdigit() and len(size) < 20 and (size[0] != "0" or size == "0")
    if not gap or first == size or not plain or len(proof) > PROOF_LINES_MAX:
        return refuse(Reason.MALFORMED, "add-checkpoint.form", first[:40], "old SIZE, at most 63 hashes, a checkpoint")
    return AddCheckpoint(old=int(size), proof=proof, note=note)


def judge(
    body: bytes,
    *,
    logs: Mapping[str, bytes],
    last: Callable[[str], Head | None],
    sign: Callable[[Head], str],
) -> Answer:
    """Return a witness's answer to the body of an add-checkpoint request.

    Args: logs: Ed25519 public keys by the origin of the log. last: returns the head of an origin that was cosigned
    last, None for a new log. sign: returns the cosignature lines of a head.
    """
    asked = read_request(body)
    if isinstance(asked, Refusal):
        return Answer(status=400, body=f"{asked}\n")
    origin = asked.note.partition("\n")[0]
    if origin not in logs:
        return Answer(status=404, body="unknown log\n")
    head = open_note(asked.note, logs[origin])
    if isinstance(head, Refusal):
        return Answer(status=400 if head.reason is Reason.MALFORMED else 403, body=f"{head}\n")
    if asked.old > head.size:
        return Answer(status=400, body="old size above the checkpoint's\n")
    known = last(origin)
    size = known.size if known is not None else 0
    if asked.old != size:
        return Answer(status=409, body=f"{size}\n", content_type=SIZE_TYPE)
    if known is not None and head.size == size and head.root != known.root:
        return Answer(status=409, body=f"{size}\n", content_type=SIZE_TYPE)
    if not _extends(known, head, asked.proof):
        return Answer(status=422, body="the proof does not hold\n")
    return Answer(status=200, body=sign(head), remember=head)


def _extends(known: Head | None, head: Head, proof: tuple[bytes, ...]) -> bool:
    if known is None or known.size == 0:
        return not proof
    return merkle.verify_consistency(known.size, head.size, known.root, head.root, proof) is None


def lines_of(answer: str, note: str, head: Head, trusted: Sequence[VerifierKey]) -> dict[VerifierKey, str]:
    """Return the lines of an answer that are valid cosignatures of `head`, by the trusted key; ignore all other lines.

    Args: note: the checkpoint's note, under which the lines go; it is the one that `head` was read from.
    """
    found: dict[VerifierKey, str] = {}
    if len(answer) > BODY_MAX:
        return found
    for line in answer.splitlines():
        name, _, blob = line.removeprefix(DASH).partition(" ")
        for key in trusted:
            if line.startswith(DASH) and name == key.name and key not in found and _holds(note, line, blob, head, key):
                found[key] = line + "\n"
    return found


def _holds(note: str, line: str, blob: str, head: Head, key: VerifierKey) -> bool:
    if key.kind == COSIGNER_MLDSA:
        try:
            return isinstance(mldsa.check(head, base64.b64decode(blob, validate=True), key), int)
        except binascii.Error:
            return False
    return not isinstance(check_cosignature(f"{note}{line}\n", name=key.name, public=key.public), Refusal)
