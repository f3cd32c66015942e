"""What nodes of a trial answer, and what invitations and logs hold: any value, and the coordinator's commands go on."""

import io
import json
import shutil
import socket
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq
from typer.testing import CliRunner
from zmq.utils import z85

from agent.cli.common import Exit
from agent.cli.main import app
from agent.config.keyfiles import load_keys, read_key
from agent.config.settings import DoorSection, NodeConfig, load
from agent.kit.archive import LOGS_MAX, KitRefused, open_sealed, sealed
from agent.kit.collection import LogCollected, collect
from agent.kit.door import CONNECTIONS_MAX, TrialDoor
from agent.kit.doors import Asking, Unreachable
from agent.kit.enrolment import enrol
from agent.kit.folder import Trial
from agent.kit.invitations import make
from agent.kit.join import join
from agent.kit.status import judged
from settlement.audit.seal import write_root, write_seal
from settlement.chain.checkpoint import origin_of
from settlement.chain.lineage import Lineage
from settlement.mesh import TransportKey
from tests.agent.kit.trials import written

pytestmark = [pytest.mark.feature("U9"), pytest.mark.attack(57)]
HUGE = 10**400


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial whose two nodes have joined."""
    root = tmp_path_factory.mktemp("made")
    found = make(written(root), None)[0]
    names = ("holder", "alice")
    enrol(found, [join(found.root / "kits" / f"{name}.kit", root / name).enrolment for name in names])
    return found


ANSWERS: list[dict[str, Any]] = [
    {"status": [1]},
    {"status": {"clock": [1], "settlements": 7, "status_lists": [7]}},
    {"status": {"clock": {"bound_ns": "x", "budget_ns": []}}},
    {"status": {"clock": {"bound_ns": float("inf"), "trusted": "no"}}},
    {"status": {"status_lists": [{"issuer": "coast", "fresh_until_ns": HUGE, "version": 1}]}},
    {"status": {"status_lists": [{"issuer": "coast"}]}},
    {"problems": [1]},
    {"problems": {str(n): "x" * 10_000 for n in range(1000)}},
    {"gate": [1]},
    {"utc_ns": "x"},
    {"utc_ns": HUGE},
    {"utc_ns": float("nan")},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: str(one)[:40])
def test_whatever_a_node_answers_is_shown_or_unknown(trial: Trial, answer: dict[str, Any]) -> None:
    seen = judged(trial, trial.spec.nodes[1], answer, trial.desk_list(), time.time_ns())
    assert "trusted" not in seen.clock.replace("UNTRUSTED", "")
    assert seen.bad
    assert sum(len(one) for one in seen.bad) < 10_000


def test_an_answer_that_is_no_json_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    key = TransportKey.from_secret(bytes(range(32)))
    with Asking("tcp://127.0.0.1:9", key.public, key) as asking:
        for head in (b'{"took": NaN}', b'{"took": 1e400}', b"[" * 100_000, b"7"):
            said = [head]
            monkeypatch.setattr(type(asking._socket), "poll", lambda *_: 1)
            monkeypatch.setattr(type(asking._socket), "send", lambda *_: None)
            monkeypatch.setattr(type(asking._socket), "recv_multipart", lambda *_, said=said: said)
            with pytest.raises(Unreachable, match="does not read"):
                asking.status()


class EndlessNode:
    """A node that answers its coordinator with one part after another, and never the last."""

    def __init__(self) -> None:
        self.key, self.sent = TransportKey.generate(), 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.curve_server = True
        self._socket.curve_publickey, self._socket.curve_secretkey = (
            z85.encode(self.key.public),
            z85.encode(self.key.secret),
        )
        self._socket.sndhwm = 0
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        who, *_ = self._socket.recv_multipart()
        self._socket.send_multipart([who, b""], zmq.SNDMORE)
        for _ in range(64):
            self._socket.send(bytes(1 << 20), zmq.SNDMORE, copy=False)
            self.sent += 1 << 20
        self._socket.send(b"{}")

    def close(self) -> None:
        self._thread.join(10)
        self._context.destroy(linger=0)


@pytest.mark.attack(65)
def test_an_answer_of_endless_parts_fills_no_memory() -> None:
    node = EndlessNode()
    with (
        Asking(node.endpoint, node.key.public, TransportKey.generate()) as asking,
        pytest.raises(Unreachable, match="an answer of more than"),
    ):
        asking.status(wait_s=30.0)
    node.close()


def opened(trial: Trial) -> tuple[TrialDoor, NodeConfig, int, TransportKey]:
    """The door that alice opened for a coordinator: with her configuration, its port and the coordinator's key."""
    coordinator = TransportKey.generate()
    held = load(trial.root.parent / "alice" / "node.toml")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    at = DoorSection(listen=f"tcp://127.0.0.1:{port}", coordinator=coordinator.public.hex())
    door = TrialDoor(held.model_copy(update={"door": at}), lambda: None)
    door.start()
    return door, held, port, coordinator


@pytest.mark.attack(65)
def test_strangers_at_a_nodes_door_hold_few_connections_and_keep_nobody_out(trial: Trial) -> None:
    """Whoever may not enter may still connect: without a bound it would use up what the node may open."""
    door, held, port, coordinator = opened(trial)
    strangers = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * CONNECTIONS_MAX)]
    _, transport = load_keys(held.folder)
    with Asking(f"tcp://127.0.0.1:{port}", transport.public, coordinator) as asking:
        assert asking.status(wait_s=30.0)["node"] == held.name
    assert door.connections <= CONNECTIONS_MAX
    for one in strangers:
        one.close()
    door.close()


@pytest.mark.attack(65)
def test_the_coordinator_keeps_its_connection_whoever_connects_after_it(trial: Trial) -> None:
    door, held, port, coordinator = opened(trial)
    _, transport = load_keys(held.folder)
    with Asking(f"tcp://127.0.0.1:{port}", transport.public, coordinator) as asking:
        asking.status(wait_s=30.0)
        (its,) = [number for number, one in door._valve._connections.items() if one.key == coordinator.public]
        strangers = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * CONNECTIONS_MAX)]
        until_s = time.monotonic() + 30.0
        while door._valve.cut["CONNECTIONS"] < CONNECTIONS_MAX and time.monotonic() < until_s:
            assert asking.status(wait_s=30.0)["node"] == held.name
        assert door._valve.cut["CONNECTIONS"] >= CONNECTIONS_MAX
        assert door._valve._connections[its].key == coordinator.public
    for one in strangers:
        one.close()
    door.close()


def test_a_log_that_comes_by_the_byte_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    key, asked = TransportKey.from_secret(bytes(range(32))), list[dict[str, Any]]()

    def answer(_self: Asking, _wait_s: float = 5.0, **fields: Any) -> tuple[dict[str, Any], bytes]:
        asked.append(fields)
        return {"ok": True, "size": LOGS_MAX}, b"x"

    monkeypatch.setattr(Asking, "_asked", answer)
    with (
        Asking("tcp://127.0.0.1:9", key.public, key) as asking,
        pytest.raises(Unreachable, match="its log ended after 0 of"),
    ):
        asking.logs()
    assert len(asked) == 2


# -- invitations -------------------------------------------------------------------------------------------------------


def resealed(trial: Trial, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """An invitation with another setup, sealed by an authority that may: whoever is handed it trusts nobody yet."""
    with zipfile.ZipFile(trial.root / "kits" / "alice.kit") as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    manifest = json.loads(files.pop("manifest.json"))
    files.pop("manifest.sig")
    setup = json.loads(files["setup.json"])
    change(setup)
    files["setup.json"] = json.dumps(setup).encode()
    for name in ("files", "format"):
        manifest.pop(name)
    target.write_bytes(sealed(manifest, files, trial.desk().vouch)[0])
    return target


def putting(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(setup: dict[str, Any]) -> None:
        at: Any = setup
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = to

    return change


SENSELESS = {
    "a length that no float holds": putting("wants", 0, "for_ns", to=HUGE),
    "a band below zero": putting("wants", 0, "low_hz", to=-5),
    "a power beyond all": putting("wants", 0, "eirp_mdbm", to=HUGE),
    "a band upside down": putting("band", to=[5, 1]),
    "an area without size": putting("area_radius_mm", to=-1),
    "a place off the earth": putting("place", "lat_e7", to=HUGE),
    "a device no picture holds": putting("device", to="x" * 100_000),
    "a local file for a neighbour": putting("peers", 0, "endpoint", to="ipc:///tmp/x"),
    "a local file to listen on": putting("listen", to="ipc:///tmp/x"),
    "no port": putting("door", to="tcp://*:0"),
    "neighbours without number": putting(
        "peers", to=[{"name": f"p{n}", "endpoint": "tcp://127.0.0.1:1"} for n in range(5000)]
    ),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_an_invitation_that_means_nothing_leaves_nothing(trial: Trial, tmp_path: Path, name: str) -> None:
    bad = resealed(trial, tmp_path / "bad.kit", SENSELESS[name])
    with pytest.raises(KitRefused, match="MALFORMED"):
        join(bad, tmp_path / "node")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.kit"]


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(69)
def test_an_archive_unpacks_to_no_more_than_a_few_times_its_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.logs"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("lineage.db", bytes(256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(KitRefused, match="TOO_LARGE"):
            open_sealed(path, "logs", lambda *_: b"", limit=LOGS_MAX)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.attack(69)
def test_a_table_of_a_million_files_is_not_read(tmp_path: Path) -> None:
    path, data = tmp_path / "many.kit", io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(2000):
            archive.writestr(f"f{number}", b"")
    path.write_bytes(data.getvalue())
    with pytest.raises(KitRefused, match="TOO_LARGE"):
        open_sealed(path, "logs", lambda *_: b"")


@pytest.mark.attack(60)
def test_a_node_that_hands_in_anothers_log_is_refused(trial: Trial, tmp_path: Path) -> None:
    """Alice's own log would show what she did; she seals a copy of her neighbour's as hers."""
    folder = trial.root.parent
    for name in ("holder", "alice"):
        shutil.copyfile(trial.chain_of(name), folder / name / "credential.chain")
    made = tmp_path / "holder.db"
    key = read_key(folder / "holder" / "sign.key")
    log = Lineage(tmp_path / "live.db", origin=origin_of(trial.state.network, key.public))
    log.seal(key, made)
    write_root(made, log.head(), key)
    log.close()
    write_seal(made, key)
    alice = read_key(folder / "alice" / "sign.key")
    files = {"lineage.db": made.read_bytes(), "lineage.seal": made.with_suffix(".seal").read_bytes()}
    manifest = {**trial.manifest, "node": "alice", "kind": "logs"}
    (tmp_path / "alice.logs").write_bytes(sealed(manifest, files, alice.sign)[0])
    with pytest.raises(KitRefused, match="BINDING"):
        collect(trial, [tmp_path / "alice.logs"])
    assert not (trial.root / "logs" / "alice.db").exists()


def test_where_no_node_answers_nothing_is_gathered_and_no_report_is_offered(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = LogCollected(node="holder", records=0, why="it does not answer")
    monkeypatch.setattr("agent.kit.collection.collect", lambda *_: (trial.root / "logs", [silent]))
    ended = CliRunner().invoke(app, ["kit", "collect", "--trial", str(trial.root)])
    said = " ".join(ended.output.split())
    assert ended.exit_code == Exit.WARNINGS
    assert "nothing was gathered; start the nodes, or name a SOURCE for each" in said
    assert "next: bandpact kit report" not in said


def test_a_report_without_a_log_says_what_gathers_them(trial: Trial) -> None:
    ended = CliRunner().invoke(app, ["kit", "report", str(trial.root)])
    said = " ".join(ended.output.split())
    assert ended.exit_code == Exit.FAILURE
    assert said.endswith("logs: no log was gathered yet; run: bandpact kit collect")


def test_of_a_node_that_does_not_answer_no_settlements_are_counted(trial: Trial) -> None:
    ended = CliRunner().invoke(app, ["kit", "status", str(trial.root), "--wait", "50ms"])
    (row,) = [one for one in ended.output.splitlines() if one.startswith("│ holder")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "holder", "holder", "no answer", *["unknown"] * 4,
    ]  # fmt: skip
