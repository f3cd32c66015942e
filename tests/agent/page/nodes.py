"""A fake node for the page: its state, and a publishing socket as its feed."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import zmq

from agent.page.app import app_of
from agent.page.live import NodeLive
from agent.page.plan import PagePlan, ServedNode
from tests.agent.test_service import status

HOST, PORT, TOKEN = "127.0.0.1", 9999, "t" * 43
ORIGIN = f"http://{HOST}:{PORT}"


def told(**changes: Any) -> dict[str, Any]:
    """A complete node state."""
    base = status(
        gate={"state": "ARMED", "reason": "TIME_UNTRUSTED", "clause": "gate.7", "mono_ns": time.monotonic_ns(),
              "measured": "ok, bound 1800000 ns", "required": "trusted, <= 1000000 ns", "settlement": None,
              "bursts": 3},
        settlements=[], offers=[], places=[], neighbours=[], channels=[], alarms=[], log=None, log_bytes=1,
        log_budget_bytes=2, disk_low=None, utc_ns=time.time_ns(), level={"offset_db": 0.0, "unit": "dBFS/Hz"},
        mesh={"connections": 0, "limits": {"connections": 1}, "turned_away": {}},
    )  # fmt: skip
    base["clock"] |= {"holdover_left_ns": None, "sources": []}
    base["clock"]["position"] |= {"lat_deg": 1.0, "lon_deg": 2.0, "source": "surveyed"}
    return {**base, **changes}


def node_in(folder: Path, name: str = "here", *, history: bool = True) -> NodeLive:
    (folder / name).mkdir(exist_ok=True)
    served = ServedNode(name=name, run_folder=folder / name, folder=folder / name, config=folder / name / "node.toml")
    return NodeLive(node=served, history=history)


def plan_for(folder: Path, *nodes: NodeLive, port: int = PORT) -> PagePlan:
    return PagePlan(nodes=tuple(one.node for one in nodes), host=HOST, port=port, fd=None, token_file=folder / "token")


def client(folder: Path, *nodes: NodeLive) -> httpx.AsyncClient:
    app = app_of(plan_for(folder, *nodes), {one.node.name: one for one in nodes}, TOKEN)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN)


class Feed:
    """A node's publishing socket."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.linger = 0
        self.socket.bind(f"ipc://{folder / 'feed'}")
        self.readers: set[bytes] = set()

    def follow(self) -> set[bytes]:
        while self.socket.poll(0):
            word = self.socket.recv()
            (self.readers.add if word[:1] == b"\x01" else self.readers.discard)(word[1:])
        return self.readers

    def say(self, topic: str, body: Any) -> None:
        self.socket.send_multipart([topic.encode(), body if isinstance(body, bytes) else json.dumps(body).encode()])

    def close(self) -> None:
        self.socket.close()
        self.context.term()
