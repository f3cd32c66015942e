"""Attacks on time and place over real sockets: a credentialed neighbour signs what its clock cannot vouch for."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.admission import TIME_FLOOR_NS
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.mesh import Mesh, TransportKey
from settlement.state.messages import Message
from tests.settlement.test_mesh import Net, exchange
from tests.settlement.world import LON, NETWORK, NS, RULE, T0, World, fix, trio

pytestmark = pytest.mark.feature("S6")
HERE = Attestation.of(fix(1.0))
WIDE = {"earliest_ns": HERE.earliest_ns - 2_000_000, "latest_ns": HERE.latest_ns + 2_000_000}
OLD = {"earliest_ns": T0 - 6 * NS - 1000, "latest_ns": T0 - 6 * NS + 1000}
EARLY = {"earliest_ns": T0 + 3 * NS, "latest_ns": T0 + 3 * NS + 2000}
ENDED = {"earliest_ns": T0 + 7200 * NS, "latest_ns": T0 + 7200 * NS + 2000}
STRADDLING = {"earliest_ns": T0 + 3600 * NS - 1000, "latest_ns": T0 + 3600 * NS + 1000}
EDGE = {"lon_e7": LON + round(20_000 / 89_000 * 1e7), "radius_mm": 50_000}
CASES: list[tuple[str, int, dict[str, Any], Reason | None]] = [
    ("honest", 13, {}, None),
    ("signed too long ago", 13, OLD, Reason.STALE),
    ("not yet signed", 13, EARLY, Reason.NOT_YET),
    ("credential over", 13, ENDED, Reason.EXPIRED),
    ("straddles the credential's end", 13, STRADDLING, Reason.TIME_UNDECIDED),
    ("clock not trusted", 36, {"time_source": TimeSource.NONE}, Reason.TIME_UNTRUSTED),
    ("bound too wide", 36, WIDE, Reason.TIME_UNTRUSTED),
    ("clock of a class not accepted", 37, {"time_source": TimeSource.GPS}, Reason.TIME_UNTRUSTED),
    ("place not trusted", 37, {"position_source": PositionSource.NONE}, Reason.POSITION_UNTRUSTED),
    ("place of a class not accepted", 37, {"position_source": PositionSource.GPS}, Reason.POSITION_UNTRUSTED),
    ("disc across the edge", 38, EDGE, Reason.SPATIAL_UNDECIDED),
    ("disc too wide for the rule", 38, {"radius_mm": 60_000}, Reason.POSITION_UNTRUSTED),
]


class Wire:
    """The holder and one neighbour, joined by CURVE on loopback."""

    def __init__(self, net: Net, world: World) -> None:
        self.net, self.world = net, world
        self.request: bodies.Request = world.asked()
        self.numbers = itertools.count(900)
        self.holder_key, self.key = TransportKey.generate(), TransportKey.generate()
        self.holder = net.mesh(key=self.holder_key)
        self.neighbour: Mesh = net.mesh(key=self.key)
        self.neighbour.connect(self.holder_key.public, self.holder.endpoint)

    def verdict(self, attestation: Attestation) -> Refusal | None:
        """Sign a request that attests this, carry it over the sockets, return the holder's verdict."""
        alice, holder = self.world.members["alice"], self.world.members["holder"]
        number = next(self.numbers)
        frame = Frame(network=NETWORK, author=alice.hash, seq=number, previous=bytes(32), attestation=attestation)
        request = replace(self.request, nonce=number.to_bytes(16, "big"))
        sent = Message(record=sign_record(alice.key, frame, request)).encoded()
        (arrived,) = exchange(self.net, self.neighbour, self.holder, self.holder_key.public, sent)
        assert (arrived.data, arrived.transport_key) == (sent, self.key.public)
        with holder.party.step(fix(1.0)) as step:
            # The world's credentials name transport keys of their own; whose key it was, the mesh has just shown.
            return holder.party.receive(step, arrived.data, alice.transport)


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bodies.Rule], Wire]]:
    """One holder and neighbour for each rule asked for."""
    net = Net()
    made: dict[bodies.Rule, Wire] = {}

    def wire(rule: bodies.Rule) -> Wire:
        if rule not in made:
            world = trio(tmp_path_factory.mktemp("w"), rule=rule)
            world.offer()
            world.carry(0.1)
            made[rule] = Wire(net, world)
        return made[rule]

    yield wire
    for mesh in net.meshes:
        mesh.close()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(changes, expected, id=name, marks=pytest.mark.attack(number))
        for name, number, changes, expected in CASES
    ],
)
def test_a_peer_judges_what_a_neighbour_attests(
    wires: Callable[[bodies.Rule], Wire], changes: dict[str, Any], expected: Reason | None
) -> None:
    wire = wires(RULE)
    log = wire.world.members["holder"].party.lineage
    before = log.size
    refusal = wire.verdict(replace(HERE, **changes))
    assert (refusal.reason if refusal else None) is expected
    assert refusal is None or (refusal.measured and refusal.required)
    assert log.size > before


@pytest.mark.attack(39)
def test_a_claim_of_no_error_at_all_counts_as_its_class_can_be(wires: Callable[[bodies.Rule], Wire]) -> None:
    floor_ns = TIME_FLOOR_NS[TimeSource.KERNEL]
    rule = replace(RULE, time_sources=(*RULE.time_sources, TimeSource.KERNEL), time_bound_ns_max=floor_ns - 1)
    middle_ns = fix(1.0).time.middle_ns
    exact = replace(HERE, time_source=TimeSource.KERNEL, earliest_ns=middle_ns, latest_ns=middle_ns)
    refusal = wires(rule).verdict(exact)
    assert refusal is not None
    assert (refusal.reason, refusal.measured) == (Reason.TIME_UNTRUSTED, f"{floor_ns} ns")
