"""HTTP client of a directory: queries and publishes; waits a few seconds at most, follows no redirect, never raises."""

from http import HTTPStatus
from urllib.parse import quote

from agent.witness.boundedpost import posted
from settlement.chain.codec import decode, encode
from settlement.core.reasons import Refusal
from settlement.market.directory import ANSWER_LIMIT, DirectoryAnswer, DirectoryEntry, DirectoryQuery

ASK_S = 3.0
ERROR_BYTES = 300
"""Most bytes shown of a directory's error message."""
NETWORK = "network"
"""Query parameter that names the network."""


def _post(url: str, path: str, content: bytes) -> bytes | str:
    """Return the answer's bytes, or why there is none."""
    answer = posted(f"{url.rstrip('/')}{path}", content, limit=ANSWER_LIMIT, within_s=ASK_S)
    if isinstance(answer, str):
        return answer
    status, found = answer
    if status != HTTPStatus.OK:
        return f"{url} answers {status}: {found[:ERROR_BYTES].decode(errors='replace').strip()}"
    return found


def publish(url: str, entry: DirectoryEntry) -> str:
    """Publish an entry to a directory; returns why it was not accepted, "" where it was."""
    answer = _post(url, "/publish", entry.encoded())
    return answer if isinstance(answer, str) else ""


def find(url: str, query: DirectoryQuery, *, network: str) -> tuple[DirectoryEntry, ...] | str:
    """Return a directory's answer, unverified; or why there is none, for example because it serves another network."""
    answer = _post(url, f"/find?{NETWORK}={quote(network, safe='')}", encode(query))
    if isinstance(answer, str):
        return answer
    read = decode(DirectoryAnswer, answer, "directory.answer", limit=ANSWER_LIMIT)
    return f"{url}: {read}" if isinstance(read, Refusal) else read.entries
