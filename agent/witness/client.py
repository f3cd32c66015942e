"""Asks a stock witness over HTTP for its cosignature (C2SP tlog-witness)."""

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.chain.checkpoint import Head
from settlement.formats import tlogwitness
from settlement.formats.tlogwitness import BODY_MAX, AddCheckpoint
from settlement.formats.vkey import VerifierKey

ASK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What came of asking a witness: its lines that count, the size it says it knows, or why there is nothing."""

    lines: tuple[str, ...] = ()
    knows: int | None = None
    why: str = ""


def ask(url: str, request: AddCheckpoint, head: Head, trusted: Sequence[VerifierKey]) -> WitnessAnswer:
    """Ask a witness for its cosignature; waits for at most a few seconds, follows no redirect, never raises."""
    import httpx

    try:
        with httpx.Client(timeout=ASK_S, follow_redirects=False) as client:
            answer = client.post(f"{url.rstrip('/')}/add-checkpoint", content=request.encoded())
            text = answer.text if len(answer.content) <= BODY_MAX else ""
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        return WitnessAnswer(why=f"{url}: {exc or type(exc).__name__}")
    if answer.status_code == httpx.codes.CONFLICT and text.strip().isdigit() and len(text) < 21:
        return WitnessAnswer(knows=int(text), why=f"it cosigned {text.strip()} entries last")
    if answer.status_code != httpx.codes.OK:
        return WitnessAnswer(why=f"{url} answers {answer.status_code}: {text[:200].strip()}")
    lines = tlogwitness.lines_of(text, request.note, head, trusted)
    return WitnessAnswer(lines=tuple(lines.values()), why="" if lines else "no line by a key that is trusted")
