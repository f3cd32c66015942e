"""The directory's HTTP service on loopback, behind an operator's proxy: stores entries and answers queries."""

import time
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.directory.client import NETWORK
from settlement.chain.codec import decode, encode
from settlement.chain.credentials import Registry
from settlement.core.reasons import Refusal
from settlement.market.directory import ANSWER_LIMIT, ENTRY_LIMIT, DirectoryIndex, DirectoryQuery

CBOR = "application/cbor"
NAME_MAX = 64
"""Most characters of a queried network's name that an answer repeats."""


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > ENTRY_LIMIT:
            return None
    return bytes(body)


def application(network: str, anchors: Iterable[bytes]) -> Starlette:
    """Build the service of one network, for entries under these roots. It stores entries in memory only."""
    index = DirectoryIndex(Registry(network, anchors))

    async def publish(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response(f"more than {ENTRY_LIMIT} bytes\n", 413)
        refusal = index.add(body, time.time_ns())
        return Response("listed\n") if refusal is None else Response(f"{refusal}\n", 422)

    async def find(request: Request) -> Response:
        wanted = request.query_params.get(NETWORK, network)
        if wanted != network:
            return Response(f"this is a directory of network {network!r}, not of {wanted[:NAME_MAX]!r}\n", 421)
        body = await _body(request)
        query = decode(DirectoryQuery, body or b"", "directory.query", limit=ENTRY_LIMIT)
        if isinstance(query, Refusal):
            return Response(f"{query}\n", 422)
        return Response(encode(index.find(query, time.time_ns()), limit=ANSWER_LIMIT), media_type=CBOR)

    return Starlette(routes=[Route("/publish", publish, methods=["POST"]), Route("/find", find, methods=["POST"])])
