"""The simulated air as a process of its own: `python -m sim.airserver CONFIG.json`.

This control half holds the device state and stamps every request with the monotonic time on receipt; it never computes
samples, so that a mute is stamped promptly while looks are worked out by `sim.airworker`. It ends, with its sockets
removed and the oracle's log written, on SIGTERM, SIGINT or the death of the process that started it.

CONFIG.json: `endpoint` (ipc:///path), `air` (see `sim.stations.AirConfig`), `log` (path of the oracle's JSON), and
optionally `workers`, `history_s`, `leakage_floor_dbm`, `levels_mdbm_per_mhz`, and `parent_pid`, who has to be the
parent still.
"""

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TypeAlias

import zmq
from pydantic import TypeAdapter

from hw_profiles.printable import printable
from radio.priority import before_others
from radio.process import OrphanedAtBirth, die_with_parent, stop_on_signals
from sim.checked import BadValue, checked_json
from sim.control import AirControl, ServerConfig, ServerFailed, refusal
from sim.device import NS
from sim.stations import AirConfig
from sim.wire import Header, ipc_path, mute_endpoint, pack, unpack, worker_endpoint

POLL_MS = 20
LAST_LOG_S = 120.0
"""Longest wait at the end for the remaining measurements, s: a backlog as long as `sim.backlog` allows."""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Frames: TypeAlias = list["zmq.Frame"]


def read_config(path: Path) -> ServerConfig:
    """Read a configuration; raises ServerFailed with one line that names the file, the key and the mend."""
    try:
        config = checked_json(ServerConfig, path.read_bytes())
    except OSError as exc:
        raise ServerFailed(f"{path}: {exc.strerror}; give the path of a readable CONFIG.json") from exc
    except BadValue as exc:
        raise ServerFailed(f"{path}: {exc}") from exc
    try:
        ipc_path(config.endpoint)
    except ValueError as exc:
        raise ServerFailed(f"{path}: endpoint: {exc}") from exc
    return config


class Server:
    """The sockets and processes around a `Control`."""

    def __init__(self, config: ServerConfig, *, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        """Bind the endpoints and start the workers; raises ServerFailed."""
        self._config = config
        self._context = context
        self._bound: list[Path] = []
        self._workers: list[subprocess.Popen[bytes]] = []
        self._control = AirControl(config, now_ns=time.monotonic_ns())
        try:
            self._main = self._bind(zmq.ROUTER, config.endpoint)
            self._mute = self._bind(zmq.ROUTER, mute_endpoint(config.endpoint))
            self._pipes = [
                self._bind(zmq.PAIR, worker_endpoint(config.endpoint, number)) for number in range(config.workers)
            ]
            self._start_workers()
        except ServerFailed:
            self.close()
            raise

    def _bind(self, kind: int, endpoint: str) -> "zmq.Socket[bytes]":
        path = ipc_path(endpoint)
        if path.exists():
            raise ServerFailed(f"{path}: exists already; stop the air that uses it, or remove the file")
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as exc:
            raise ServerFailed(f"{endpoint}: {exc}; choose a folder that exists and can be written") from exc
        self._bound.append(path)
        return socket

    def _start_workers(self) -> None:
        config = self._config
        first: Header = {
            "air": TypeAdapter(AirConfig).dump_python(config.air, mode="json"),
            "history_ns": round(config.history_s * NS),
            "leakage_floor_dbm": config.leakage_floor_dbm,
            "levels_mdbm": config.levels_mdbm_per_mhz,
        }
        for number, pipe in enumerate(self._pipes):
            endpoint = worker_endpoint(config.endpoint, number)
            command = [sys.executable, "-P", "-m", "sim.airworker", endpoint, str(os.getpid())]
            self._workers.append(subprocess.Popen(command, env={**os.environ, **ONE_THREAD}, stdin=subprocess.DEVNULL))
            pipe.send(pack({**first, "log": config.log if number == 0 else None}))

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set; raises ServerFailed if a worker fails."""
        poller = zmq.Poller()
        for socket in (self._mute, self._main, *self._pipes):
            poller.register(socket, zmq.POLLIN)
        while not stop.is_set():
            ready = dict(poller.poll(POLL_MS))
            self._serve_requests(self._mute, most=64)
            for number, pipe in enumerate(self._pipes):
                if pipe in ready:
                    self._serve_worker(number, pipe)
            if self._main in ready:
                self._serve_requests(self._main, most=1)
            self._control.advance(now_ns=time.monotonic_ns())
            self._flush()
            if not ready:
                self._check_workers()

    def _serve_requests(self, socket: "zmq.Socket[bytes]", *, most: int) -> None:
        for _ in range(most):
            frames = _received(socket)
            if frames is None:
                return
            now_ns = time.monotonic_ns()
            identity, payload = frames[0].bytes, frames[2] if len(frames) > 2 else None
            answer: Header | None
            try:
                header = unpack(frames[1].bytes)
                request = int(header["id"])
                answer = self._control.handle(identity, header, payload, now_ns=now_ns)
            except (ValueError, TypeError, KeyError, IndexError) as exc:
                request = -1
                answer = refusal("malformed", f"{type(exc).__name__}: {exc}")
            self._flush()
            if answer is not None:
                socket.send_multipart([identity, pack({**answer, "id": request})])

    def _serve_worker(self, number: int, pipe: "zmq.Socket[bytes]") -> None:
        while (frames := _received(pipe)) is not None:
            found = self._control.answered(number, unpack(frames[0].bytes))
            if found is not None:
                identity, answer = found
                self._main.send_multipart([identity, pack(answer), *frames[1:]], copy=False)

    def _flush(self) -> None:
        outbox, self._control.outbox = self._control.outbox, []
        for worker, header, payload in outbox:
            frames = [pack(header)] if payload is None else [pack(header), payload]
            for pipe in self._pipes if worker is None else [self._pipes[worker]]:
                pipe.send_multipart(frames, copy=payload is None)

    def _check_workers(self) -> None:
        for worker in self._workers:
            if worker.poll() is not None:
                raise ServerFailed(f"a worker of the air ended with code {worker.returncode}; see its message above")

    def finish(self) -> None:
        """Mute the devices, write the log, stop the workers, remove the sockets."""
        now_ns = time.monotonic_ns()
        self._control.silence(now_ns=now_ns)
        self._control.outbox.append((0, {"op": "dump", "dump": -1, "now_ns": now_ns}, None))
        self._control.outbox.append((None, {"op": "stop"}, None))
        self._flush()
        self._await_log()
        self.close()

    def _await_log(self) -> None:
        """Wait for the last log, unless its worker is gone; raises ServerFailed where it is not written in time."""
        deadline = time.monotonic() + LAST_LOG_S
        while time.monotonic() < deadline and self._workers[0].poll() is None:
            if self._pipes[0].poll(POLL_MS):
                header = unpack(self._pipes[0].recv_multipart()[0])
                if header["op"] == "dumped" and header["dump"] == -1:
                    if "failure" in header:
                        raise ServerFailed(f"oracle log: {header['failure']}")
                    return
        if self._workers[0].poll() is None:
            raise ServerFailed(f"oracle log: not written within {LAST_LOG_S:g} s of the end; the machine is too busy")

    def close(self) -> None:
        """Stop the workers and remove the sockets, whatever the state."""
        for worker in self._workers:
            if worker.poll() is None:
                try:
                    worker.wait(timeout=1.0)
                except subprocess.TimeoutExpired:
                    worker.kill()
                    worker.wait()
        self._context.destroy(linger=0)
        for path in self._bound:
            path.unlink(missing_ok=True)


def _received(socket: "zmq.Socket[bytes]") -> Frames | None:
    try:
        return socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None


def serve(config: ServerConfig, stop: threading.Event) -> None:
    """Serve an air until `stop` is set; raises ServerFailed."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server: Server | None = None
    try:
        server = Server(config, context=context)
        gc.freeze()
        server.run(stop)
        server.finish()
    finally:
        if server is not None:
            server.close()
        context.destroy(linger=0)


def main(arguments: list[str]) -> int:
    """Run the process: 0 when stopped in order, 1 on failure, 2 on a configuration that cannot be used."""
    if len(arguments) != 1:
        print("usage: python -m sim.airserver CONFIG.json", file=sys.stderr)
        return 2
    stop = stop_on_signals()
    try:
        config = read_config(Path(arguments[0]))
    except ServerFailed as exc:
        print(printable(exc), file=sys.stderr)
        return 2
    try:
        die_with_parent(config.parent_pid)
        before_others()  # a device's own logic does not wait for the host either
        serve(config, stop)
    except OrphanedAtBirth:
        return 1
    except ServerFailed as exc:
        print(printable(exc), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
