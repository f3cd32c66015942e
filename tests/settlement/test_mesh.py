"""The mesh over real sockets on loopback: only credentialed keys, and the sender is the key."""

from collections.abc import Callable, Iterator

import pytest
import zmq
from zmq.utils import z85

from settlement.mesh import Arrived, Mesh, MeshError, TransportKey
from settlement.messages import MESSAGE_LIMIT

WAIT_MS = 5000


class Net:
    """Meshes made for one test."""

    def __init__(self) -> None:
        self.meshes: list[Mesh] = []

    def mesh(self, admits: Callable[[bytes], bool] = lambda _: True, key: TransportKey | None = None) -> Mesh:
        made = Mesh(key or TransportKey.generate(), "tcp://127.0.0.1:*", admits)
        self.meshes.append(made)
        return made

    def until(self, condition: Callable[[], object]) -> bool:
        """Serve all meshes until something holds; no sleeping, the sockets wake us."""
        poller = zmq.Poller()
        for mesh in self.meshes:
            for socket in mesh.sockets:
                poller.register(socket, zmq.POLLIN)
        for _ in range(WAIT_MS // 10):
            if condition():
                return True
            poller.poll(10)
        return False


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    yield made
    for mesh in made.meshes:
        mesh.close()


def exchange(net: Net, sender: Mesh, receiver: Mesh, key: bytes, data: bytes) -> list[Arrived]:
    arrived: list[Arrived] = []
    handed = [False]

    def step() -> bool:
        handed[0] = handed[0] or sender.send(key, data)
        arrived.extend(receiver.receive())
        return bool(arrived)

    net.until(step)
    return arrived


@pytest.mark.feature("S5")
@pytest.mark.attack(45)
def test_a_message_arrives_under_the_senders_key(net: Net) -> None:
    keys = [TransportKey.generate() for _ in range(2)]
    known = {k.public for k in keys}
    a, b = (net.mesh(known.__contains__, key) for key in keys)
    a.connect(keys[1].public, b.endpoint)
    (arrived,) = exchange(net, a, b, keys[1].public, b"hello")
    assert arrived == Arrived(transport_key=keys[0].public, data=b"hello")


def test_an_unknown_key_is_refused_at_the_door(net: Net) -> None:
    server_key, stranger = TransportKey.generate(), TransportKey.generate()
    server = net.mesh(lambda _: False, server_key)
    client = net.mesh(key=stranger)
    client.connect(server_key.public, server.endpoint)

    def refused() -> bool:
        assert server.receive() == []
        return server.denied["UNKNOWN_PEER"] > 0

    assert net.until(refused)
    assert not client.send(server_key.public, b"hello")


@pytest.mark.attack(44)
def test_a_fault_in_admission_refuses_that_peer_and_the_handler_lives(net: Net) -> None:
    server_key, good, bad = (TransportKey.generate() for _ in range(3))

    def admits(key: bytes) -> bool:
        if key == bad.public:
            raise RuntimeError("a fault")
        return key == good.public

    server = net.mesh(admits, server_key)
    first = net.mesh(key=bad)
    first.connect(server_key.public, server.endpoint)
    assert net.until(lambda: (server.receive(), server.denied["HANDLER_FAULT"])[1])
    second = net.mesh(key=good)
    second.connect(server_key.public, server.endpoint)
    (arrived,) = exchange(net, second, server, server_key.public, b"still here")
    assert arrived.transport_key == good.public


def test_a_server_with_another_key_gets_nothing(net: Net) -> None:
    server = net.mesh()
    client = net.mesh()
    expected = TransportKey.generate().public
    client.connect(expected, server.endpoint)
    sent = []

    def never() -> bool:
        sent.append(client.send(expected, b"secret"))
        assert server.receive() == []
        return len(sent) >= 20

    assert net.until(never)
    assert not any(sent)


def test_plain_sockets_get_nowhere(net: Net) -> None:
    server = net.mesh()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.linger = 0
    plain.connect(server.endpoint)
    plain.send(b"hello", zmq.NOBLOCK)
    polls = []

    def never() -> bool:
        polls.append(server.receive())
        return len(polls) >= 20

    assert net.until(never)
    assert not any(polls)
    context.destroy(linger=0)


@pytest.mark.attack(5)
def test_an_oversize_message_is_never_delivered(net: Net) -> None:
    keys = [TransportKey.generate() for _ in range(2)]
    a, b = (net.mesh(key=key) for key in keys)
    a.connect(keys[1].public, b.endpoint)
    (arrived,) = exchange(net, a, b, keys[1].public, bytes(MESSAGE_LIMIT - 1000))
    assert len(arrived.data) == MESSAGE_LIMIT - 1000
    # The transport cuts the connection; a later message gets through on a new one.
    a.send(keys[1].public, bytes(MESSAGE_LIMIT + 1))
    arrived_later = exchange(net, a, b, keys[1].public, b"after")
    assert all(len(m.data) <= MESSAGE_LIMIT for m in arrived_later)


def test_a_port_in_use_says_which_and_what_to_do() -> None:
    first = Mesh(TransportKey.generate(), "tcp://127.0.0.1:*", lambda _: True)
    with pytest.raises(MeshError, match="choose another port"):
        Mesh(TransportKey.generate(), first.endpoint, lambda _: True)
    first.close()


def test_keys_load_back() -> None:
    key = TransportKey.generate()
    assert TransportKey.from_secret(key.secret) == key
    assert key.secret.hex() not in repr(key)
    assert len(z85.encode(key.public)) == 40
