"""Asks a stock witness over HTTP for its cosignature (C2SP tlog-witness)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from agent.witness.boundedpost import posted
from settlement.chain.checkpoint import Head
from settlement.formats import tlogwitness
from settlement.formats.tlogwitness import BODY_MAX, AddCheckpoint
from settlement.formats.vkey import VerifierKey

ASK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """Result of asking a witness: its valid lines, the log size it knows, or why there is no line."""

    lines: tuple[str, ...] = ()
    knows: int | None = None
    why: str = ""


def ask(url: str, request: AddCheckpoint, head: Head, trusted: Sequence[VerifierKey]) -> WitnessAnswer:
    """Ask a witness for its cosignature; waits for at most a few seconds, follows no redirect, never raises."""
    answer = posted(f"{url.rstrip('/')}/add-checkpoint", request.encoded(), limit=BODY_MAX, within_s=ASK_S)
    if isinstance(answer, str):
        return WitnessAnswer(why=answer)
    status, text = answer[0], answer[1].decode(errors="replace")
    if status == HTTPStatus.CONFLICT and re.fullmatch(r"[0-9]{1,20}", text.strip(), re.ASCII):
        return WitnessAnswer(knows=int(text), why=f"it cosigned {text.strip()} entries last")
    if status != HTTPStatus.OK:
        return WitnessAnswer(why=f"{url} answers {status}: {text[:200].strip()}")
    lines = tlogwitness.lines_of(text, request.note, head, trusted)
    return WitnessAnswer(lines=tuple(lines.values()), why="" if lines else "no line by a key that is trusted")
