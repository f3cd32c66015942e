"""Asks a directory over HTTP and publishes to it; waits a few seconds at most, follows no redirect, never raises."""

from http import HTTPStatus

from agent.witness.boundedpost import posted
from settlement.chain.codec import decode, encode
from settlement.core.reasons import Refusal
from settlement.market.directory import ANSWER_LIMIT, DirectoryAnswer, DirectoryEntry, DirectoryQuery

ASK_S = 3.0


def _post(url: str, path: str, content: bytes) -> bytes | str:
    """The answer's bytes, or why there is none."""
    answer = posted(f"{url.rstrip('/')}{path}", content, limit=ANSWER_LIMIT, within_s=ASK_S)
    if isinstance(answer, str):
        return answer
    status, found = answer
    if status != HTTPStatus.OK:
        return f"{url} answers {status}: {found[:200].decode(errors='replace').strip()}"
    return found


def publish(url: str, entry: DirectoryEntry) -> str:
    """Hand an entry to a directory; returns why it was not taken, nothing where it was."""
    answer = _post(url, "/publish", entry.encoded())
    return answer if isinstance(answer, str) else ""


def find(url: str, query: DirectoryQuery) -> tuple[DirectoryEntry, ...] | str:
    """What a directory says it knows, unjudged; or why it says nothing."""
    answer = _post(url, "/find", encode(query))
    if isinstance(answer, str):
        return answer
    read = decode(DirectoryAnswer, answer, "directory.answer", limit=ANSWER_LIMIT)
    return f"{url}: {read}" if isinstance(read, Refusal) else read.entries
