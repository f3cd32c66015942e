"""An attacking neighbour: sends any bytes over a CURVE socket with a credentialed key, and keeps what it receives."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import zmq

from agent.config.keyfiles import CHAIN, load_chain, load_keys
from settlement.chain.records import Attestation, Frame, Unproven, digest, parse, sign_record
from settlement.core.fixes import Fix
from settlement.mesh import Mesh
from settlement.mesh.limits import Limits
from settlement.state.messages import Message, decode_message

WAIT_S = 8.0
_numbers = itertools.count(1_000_000)


class Silence(Exception):
    """No message arrived in time."""


def kind_of(raw: bytes) -> str:
    """Return the type of a record, unverified."""
    unproven = parse(raw) if raw else None
    return unproven.typ if isinstance(unproven, Unproven) else ""


class Stranger:
    """Uses the keys in a node's folder to reach nodes whose transport keys and endpoints are given."""

    def __init__(
        self, folder: Path, network: str, fix: Fix, *, listen: str, peers: dict[str, tuple[bytes, str]]
    ) -> None:
        self.key, transport = load_keys(folder)
        self.chain = load_chain(folder / CHAIN)
        self.hash = digest(self.chain[-1])
        self.network, self._fix = network, fix
        self._keys = {name: key for name, (key, _) in peers.items()}
        self.mesh = Mesh(transport, listen, lambda _: True, limits=Limits())
        for key, endpoint in peers.values():
            self.mesh.connect(key, endpoint)
        self._poller = zmq.Poller()
        for socket in self.mesh.sockets:
            self._poller.register(socket, zmq.POLLIN)
        self.heard: list[bytes] = []

    def fix(self) -> Fix:
        """Return time and place now."""
        now_ns = time.time_ns()
        return replace(self._fix, time=replace(self._fix.time, earliest_ns=now_ns - 1000, latest_ns=now_ns + 1000))

    def frame(self, *, attestation: Attestation | None = None, **changes: Any) -> Frame:
        """Return the frame of the next record."""
        base = Frame(
            network=self.network,
            author=self.hash,
            seq=next(_numbers),
            previous=bytes(32),
            attestation=attestation or Attestation.of(self.fix()),
        )
        return replace(base, **changes)

    def sign(self, body: Any, **changes: Any) -> bytes:
        """Sign a record with the attacker's own keys."""
        return sign_record(self.key, self.frame(**changes), body)

    def send(self, to: str, data: bytes) -> None:
        """Send raw bytes. Raises Silence where the connection is refused."""
        deadline = time.monotonic() + WAIT_S
        while not self.mesh.send(self._keys[to], data):
            if time.monotonic() > deadline:
                raise Silence(f"{to} lets nothing in")
            self.listen(5)

    def say(self, to: str, raw: bytes, *beside: bytes) -> None:
        """Send a record as a message."""
        self.send(to, Message(record=raw, beside=beside or None).encoded())

    def listen(self, wait_ms: int = 0) -> list[bytes]:
        """Return the records that have arrived; all are kept."""
        self._poller.poll(wait_ms)
        fresh = [m.record for a in self.mesh.receive() if isinstance(m := decode_message(a.data), Message)]
        self.heard += fresh
        return fresh

    def hears(self, *types: str, wait_s: float = WAIT_S) -> Iterator[bytes]:
        """Yield records of these types as they arrive. Raises Silence."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            yield from (raw for raw in self.listen(5) if kind_of(raw) in types)
        raise Silence(f"no {' or '.join(types)} came")

    def close(self) -> None:
        """Close the socket."""
        self.mesh.close()
