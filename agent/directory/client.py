"""Asks a directory over HTTP and publishes to it; waits a few seconds at most, follows no redirect, never raises."""

from http import HTTPStatus
from urllib.parse import quote

from agent.witness.boundedpost import posted
from settlement.chain.codec import decode, encode
from settlement.core.reasons import Refusal
from settlement.market.directory import ANSWER_LIMIT, DirectoryAnswer, DirectoryEntry, DirectoryQuery

ASK_S = 3.0
ERROR_BYTES = 300
"""So much of what a directory says of an error is shown."""
NETWORK = "network"
"""The parameter of a question that names the network it is about."""


def _post(url: str, path: str, content: bytes) -> bytes | str:
    """The answer's bytes, or why there is none."""
    answer = posted(f"{url.rstrip('/')}{path}", content, limit=ANSWER_LIMIT, within_s=ASK_S)
    if isinstance(answer, str):
        return answer
    status, found = answer
    if status != HTTPStatus.OK:
        return f"{url} answers {status}: {found[:ERROR_BYTES].decode(errors='replace').strip()}"
    return found


def publish(url: str, entry: DirectoryEntry) -> str:
    """Hand an entry to a directory; returns why it was not taken, nothing where it was."""
    answer = _post(url, "/publish", entry.encoded())
    return answer if isinstance(answer, str) else ""


def find(url: str, query: DirectoryQuery, *, network: str) -> tuple[DirectoryEntry, ...] | str:
    """What a directory says it knows, unjudged; or why it says nothing: it may be of another network than is asked."""
    answer = _post(url, f"/find?{NETWORK}={quote(network, safe='')}", encode(query))
    if isinstance(answer, str):
        return answer
    read = decode(DirectoryAnswer, answer, "directory.answer", limit=ANSWER_LIMIT)
    return f"{url}: {read}" if isinstance(read, Refusal) else read.entries
