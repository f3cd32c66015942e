"""Shared parts of the SAS-CBSD socket tests: certificates, and a SAS or an endpoint on a loopback port."""

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.cbrs.endpoint import CbsdEndpoint, server_of
from agent.cbrs.tls import ServerTls, TlsFiles
from radio.cbrs.answers import Sas
from sim.cbrs.pki import SimPki


def files_of(authority: SimPki, name: str, *roles: str, **more: Any) -> TlsFiles:
    key, certificate = authority.issue(name, *roles, **more)
    return TlsFiles(key=key, certificate=certificate, roots=authority.roots, revoked=authority.revoked)


@contextmanager
def serving(sas: Sas, files: TlsFiles, now_ns: Callable[[], int | None], *, roles: bool = True) -> Iterator[int]:
    """Serve an endpoint on a thread of its own; yields its port."""
    server = server_of(
        CbsdEndpoint(sas=sas, now_ns=now_ns), host="127.0.0.1", port=0, tls=ServerTls(files), roles=roles
    )

    def answer() -> None:
        asyncio.run(server.serve())

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)


def plain_client(files: TlsFiles, **changes: Any) -> ssl.SSLContext:
    """A TLS client context made with the standard library only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.roots)
    context.load_cert_chain(files.certificate, files.key)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def posted(
    port: int, context: ssl.SSLContext, method: str, body: Any, *, version: str = "v1.2", **headers: str
) -> tuple[int, Any]:
    """Status and decoded body of one POST."""
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request("POST", f"/{version}/{method}", data, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def folder(path: Path, name: str) -> Path:
    made = path / name
    made.mkdir()
    return made
