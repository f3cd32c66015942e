"""A node's socket for its trial's coordinator (door): returns status and sealed log, takes an authority's records.

A REP socket under CURVE, authenticated both ways: the node by its transport key, and only the configured
coordinator's key is let in. A request is one JSON object, an answer one JSON object and, for a log, its bytes.

status   what `bandpact status --json` prints
tell     hands in a signed record, as `bandpact node tell` does
logs     makes a sealed copy of the log and says how many bytes it has
more     the bytes of that copy from an offset on
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

import zmq
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from zmq.utils import z85

from agent.config.keyfiles import load_keys
from agent.config.settings import ConfigError, NodeConfig
from agent.kit.doors import CHUNK_BYTES
from agent.node.control import Client, NotRunning
from agent.service.probes import PortTaken
from agent.service.snapshot import gate_now, problems
from radio.speakers import Speakers, WaitFailed
from settlement.chain.codec import cut
from settlement.chain.lineage import LineageError
from settlement.mesh.door import DOMAIN, Door
from settlement.mesh.limits import Limits
from settlement.mesh.valve import Valve

REQUEST_MAX: Final = 200_000
POLL_MS: Final = 200
CONTROL_MS: Final = 5000
HEARTBEAT_MS: Final = 2000
HANDSHAKE_MS: Final = 5000
CONNECTIONS_MAX: Final = 32
"""Most connections: anybody may connect before CURVE refuses them, and each uses a descriptor of the node."""
Status = dict[str, Any]


class DoorRequest(BaseModel):
    """A request of the coordinator; any other form is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    do: str = Field(pattern="^(status|tell|logs|more)$")
    record: str = Field(default="", max_length=2 * 65_536, pattern="^[0-9a-f]*$")
    offset: int = Field(default=0, ge=0)


class TrialDoor:
    """The node's end of the door: a thread beside the agent's loop."""

    def __init__(self, config: NodeConfig, read: Callable[[], Status | None]) -> None:
        """Bind the socket. Raises PortTaken, ConfigError."""
        if config.door is None:
            raise ConfigError("[door]: missing; join a trial: bandpact kit join ARCHIVE")
        self._config, self._read, self._copy = config, read, b""
        coordinator = bytes.fromhex(config.door.coordinator)
        _, transport = load_keys(config.folder)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trial door", daemon=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._door = Door(self._context, lambda key: key == coordinator)
        self._socket = self._context.socket(zmq.REP)
        self._socket.linger = 500
        self._socket.setsockopt(zmq.MAXMSGSIZE, REQUEST_MAX)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._socket.curve_secretkey, self._socket.curve_publickey = (
            z85.encode(transport.secret),
            z85.encode(transport.public),
        )
        self._socket.curve_server = True
        try:
            self._socket.bind(config.door.listen)
        except zmq.ZMQError as exc:
            self._context.destroy(linger=0)
            raise PortTaken(f"door.listen {config.door.listen}: {exc}; free it, or choose another port") from exc
        self._valve = Valve(self._socket, Limits(connections=CONNECTIONS_MAX))

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def close(self) -> None:
        """Send the answer in progress, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._valve.close()
        self._context.destroy(linger=500)

    def _run(self) -> None:
        speakers = Speakers(self._door.socket, self._socket)
        while not self._stop.is_set():
            try:
                ready = speakers.heard(POLL_MS)
            except WaitFailed as exc:
                sys.stderr.write(f"trial door: {exc}\n")
                return
            self._door.answer()
            self._valve.watch(time.monotonic_ns())
            if self._socket in ready:
                self._socket.send_multipart(self._answered(self._asked()))

    @property
    def connections(self) -> int:
        """Return the number of connections to the door."""
        return self._valve.open

    def _asked(self) -> list[bytes]:
        """Receive the next request; only the coordinator's connection gets this far."""
        parts = self._socket.recv_multipart(copy=False)
        key = bytes.fromhex(str(parts[0].get("User-Id")))
        self._valve.delivered(int(parts[0].get(zmq.SRCFD)), key, time.monotonic_ns())
        return [part.bytes for part in parts]

    def _answered(self, parts: list[bytes]) -> list[bytes]:
        try:
            asked = DoorRequest.model_validate_json(parts[0] if len(parts) == 1 else b"")
        except ValidationError:
            return [_json(ok=False, why="not a request of this door")]
        try:
            return self._done(asked)
        except (ConfigError, LineageError, OSError, NotRunning) as exc:
            return [_json(ok=False, why=str(exc))]
        except Exception as exc:  # noqa: BLE001 - one question that cannot be answered, and the door goes on
            return [_json(ok=False, why=cut(f"a defect: {exc!r}", 256))]

    def _done(self, asked: DoorRequest) -> list[bytes]:
        if asked.do == "status":
            return [_json(ok=True, **self._status())]
        if asked.do == "tell":
            return [_json(**self._told(asked.record))]
        if asked.do == "logs":
            # Loaded when a log is requested: a node's start does not need the kit's models.
            from agent.kit.snapshot import logs_of

            self._copy = logs_of(self._config, running=True)
            return [_json(ok=True, size=len(self._copy))]
        return [_json(ok=True), self._copy[asked.offset : asked.offset + CHUNK_BYTES]]

    def _status(self) -> Status:
        status = self._read()
        gate = (
            None
            if status is None
            else dict(zip(("state", "reason"), gate_now(status, time.monotonic_ns()), strict=True))
        )
        wrong = problems(status)
        return {
            "node": self._config.name,
            "version": version("bandpact"),
            "utc_ns": time.time_ns(),
            "ready": not wrong,
            "problems": wrong,
            "gate": gate,
            "status": status,
        }

    def _told(self, record: str) -> dict[str, Any]:
        client = Client(self._config.run_folder)
        try:
            client.say(do="tell", record=record)
            last = list(client.answers(CONTROL_MS, CONTROL_MS))[-1]
            return {"ok": bool(last.get("ok")), "why": str(last.get("why", ""))}
        finally:
            client.close()


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
