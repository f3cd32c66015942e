"""The operator's door: its own user and nobody else, answered in the warden's turn, never waited for."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from radio import operator
from radio.operator import ARM_MAX_S, OperatorDoor, OperatorError, arm_seconds, ask


@pytest.fixture
def door(tmp_path: Path) -> Iterator[OperatorDoor]:
    made = OperatorDoor(tmp_path / "door", lambda request: {"heard": request})
    yield made
    made.close()


def asked(door: OperatorDoor, path: Path, request: dict[str, object]) -> dict[str, object]:
    """Ask from another thread while the door is served."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(ask(path, request))
        except OperatorError as exc:
            found.append(exc)

    asking = threading.Thread(target=run)
    asking.start()
    while asking.is_alive():
        door.serve()
        asking.join(0.001)
    if isinstance(found[0], OperatorError):
        raise found[0]
    assert isinstance(found[0], dict)
    return found[0]


def test_it_answers_its_own_user(door: OperatorDoor, tmp_path: Path) -> None:
    assert asked(door, tmp_path / "door", {"op": "status"}) == {"heard": {"op": "status"}}
    assert (tmp_path / "door").stat().st_mode & 0o777 == 0o600


def test_another_user_is_not_answered(door: OperatorDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "may_knock", lambda _connection: False)
    with pytest.raises(OperatorError, match=r"no warden answers|without an answer"):
        asked(door, tmp_path / "door", {"op": "arm", "for_s": 5})


def test_the_kernel_says_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert operator.may_knock(ours)
        monkeypatch.setattr(operator.socket.socket, "getsockopt", lambda *_: operator._CREDENTIALS.pack(1, 4711, 1))
        monkeypatch.setattr(operator.os, "geteuid", lambda: 1000)
        assert not operator.may_knock(ours)


def test_who_knocks_and_says_nothing_holds_nobody_up(door: OperatorDoor, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(str(tmp_path / "door"))
        for _ in range(10):
            door.serve()
        assert asked(door, tmp_path / "door", {"op": "status"})["heard"] == {"op": "status"}
        for _ in range(operator.TURNS_MAX):
            door.serve()
        assert silent.recv(10) == b""


@pytest.mark.parametrize("data", [b"{", b"[1]", b"\xff", b"[" * 4000])
def test_nonsense_is_answered_with_an_error(door: OperatorDoor, tmp_path: Path, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(tmp_path / "door"))
        connection.send(data)
        door.serve()
        door.serve()
        assert "error" in json.loads(connection.recv(1000))


@pytest.mark.parametrize(
    ("for_s", "meant"),
    [(1, 1), (ARM_MAX_S, ARM_MAX_S), *((bad, None) for bad in (0, -5, ARM_MAX_S + 1, 1.5, True, "9"))],
)
def test_only_a_bounded_whole_number_of_seconds_arms(for_s: object, meant: int | None) -> None:
    assert arm_seconds({"op": "arm", "for_s": for_s}) == meant
    assert arm_seconds({"op": "arm"}) is None


def test_no_warden_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no warden answers"):
        ask(tmp_path / "none", {"op": "status"})


def test_who_knocks_while_no_descriptor_is_left_ends_nothing(
    door: OperatorDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Mock(accept=Mock(side_effect=OSError(24, "no descriptor")))
    with monkeypatch.context() as patched, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as knocking:
        knocking.connect(str(tmp_path / "door"))
        patched.setattr(door, "_socket", full)
        door.serve()
    assert full.accept.call_count == 1
    assert asked(door, tmp_path / "door", {"op": "status"}) == {"heard": {"op": "status"}}
