"""Tests of the agent's receiver listening for a base station: what a look says of its band, and what is logged."""

import select
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.node.stationears import FLAG_BYTES, UNSAID_MAX, StationListening, band_look, evidence, named
from agent.node.watcher import Heard
from radio.cbrs.byear import EarFinding, EarVerdict, StationSpan
from radio.cbrs.door import CbsdDoor, WardenGiver
from radio.link import StationTold, decode
from sensing.results import ChannelLook
from sensing.values import Channel, LevelDb
from settlement.chain.codec import encode
from settlement.chain.scope import Band
from settlement.core.fixes import TimeFix, TimeSource
from settlement.pair.table import HolderState
from settlement.records.observation import HEARD_AFTER_END

pytestmark = pytest.mark.feature("R12")
NS = 1_000_000_000
UTC = 1_790_000_000 * NS
LOW, MID, HIGH = 3_550_000_000, 3_560_000_000, 3_570_000_000
TOLD = StationTold(
    device="cbsd:fcc1/s1",
    sid=bytes(32),
    low_hz=LOW,
    high_hz=MID,
    since_ns=10 * NS,
    on_until_ns=20 * NS,
    silent_from_ns=21 * NS,
    alone_until_ns=60 * NS,
)


def channel(low_hz: int, high_hz: int, busy: bool | None, level_db: float = -60.0) -> ChannelLook:
    level = LevelDb(value=level_db, sd=1.0, unit="dBm")
    at = Channel(low_hz=low_hz, high_hz=high_hz)
    return ChannelLook(channel=at, busy=busy, busy_fraction=float(bool(busy)), power=level, snr_db=10.0)


def heard(at_s: float, busy: bool | None, *, radar: bool = False, high_hz: int = HIGH) -> Heard:
    at_ns, found = round(at_s * NS), ((LOW, LOW + 1_000_000, "P0N#1"),) if radar else ()
    looks = (channel(LOW, MID, busy, -60 if busy else -95), channel(MID, high_hz, False, -95))
    return Heard(listened_ns=at_ns, found_ns=at_ns, incumbents=found, channels=looks)


def time_at(monotonic_ns: int) -> TimeFix:
    middle = UTC + monotonic_ns
    return TimeFix(earliest_ns=middle - 1000, latest_ns=middle + 1000, source=TimeSource.SIMULATED, trusted=True)


@dataclass
class Clock:
    """The clock of a node, as far as listening needs it."""

    now_ns: int = 0

    def fix(self) -> Any:
        return SimpleNamespace(time=time_at(self.now_ns))

    def at(self, monotonic_ns: int) -> TimeFix:
        return time_at(monotonic_ns)


@dataclass
class Parties:
    """A party that holds what a test puts into it."""

    busy: dict[bytes, Any] = field(default_factory=dict)

    @property
    def holder(self) -> Any:
        return SimpleNamespace(busy=self.busy, pairs=self.busy)


def listening(own: Band | None = None, busy: dict[bytes, Any] | None = None) -> StationListening:
    made = StationListening(cast("Any", None), cast("Any", Parties(busy or {})), cast("Any", Clock()), lambda: own)
    made.told(TOLD)
    return made


def go_through(one: StationListening, *, after: bool, radar: bool = False, until_s: float = 24) -> list[Any]:
    found = []
    for number in range(int(until_s * 50)):
        at_s = number / 50
        on = 10 < at_s < 20.5 or (after and at_s > 20.5)
        one.look(heard(at_s, on, radar=radar and at_s > 20))
        found += one.turn(round(at_s * NS) + 1)
    return found


def test_a_base_station_that_is_still_on_is_an_alarm_and_one_that_obeys_is_none() -> None:
    rogue, obeying = listening(), listening()
    (word,) = go_through(rogue, after=True)
    assert (word.device, word.verdict) == ("cbsd:fcc1/s1", "still on")
    assert rogue.alarms == {"cbsd:fcc1/s1": word.detail}
    assert rogue.unsaid
    (word,) = go_through(obeying, after=False)
    assert word.verdict == "silent"
    assert (obeying.alarms, obeying.unsaid) == ({}, False)


def test_a_look_counts_only_where_nobody_else_may_be_on() -> None:
    lent = SimpleNamespace(
        state=HolderState.CONFIRMED,
        sid=b"x" * 32,
        cell=SimpleNamespace(window=SimpleNamespace(start_ns=UTC - NS), band=Band(low_hz=LOW, high_hz=HIGH)),
    )
    barred = [
        listening(own=Band(low_hz=LOW, high_hz=MID)),
        listening(busy={b"x" * 32: lent}),
        listening(),
    ]
    barred[2].told(StationTold(**{**_plain(TOLD), "device": "cbsd:fcc1/s2", "silent_from_ns": 99 * NS}))
    for one in barred:
        assert "still on" not in {word.verdict for word in go_through(one, after=True)}
    own = SimpleNamespace(**{**vars(lent), "sid": TOLD.sid})
    assert [word.verdict for word in go_through(listening(busy={TOLD.sid: own}), after=True)] == ["still on"]
    (word,) = go_through(listening(), after=True, radar=True, until_s=60)
    assert (word.verdict, word.detail) == ("cannot tell", "an incumbent is in its band")


def _plain(told: StationTold) -> dict[str, Any]:
    return {name: getattr(told, name) for name in StationTold.__slots__}


def test_a_band_is_known_only_where_channels_cover_it() -> None:
    both = (channel(MID, HIGH, False), channel(LOW, MID, True))
    assert band_look(both, LOW, HIGH, 5).heard is True  # type: ignore[union-attr]
    assert band_look(both, MID, HIGH, 5).heard is False  # type: ignore[union-attr]
    assert band_look((channel(LOW, MID, False), channel(MID, HIGH, None)), LOW, HIGH, 5).heard is None  # type: ignore[union-attr]
    for low_hz, high_hz in ((LOW - 1, MID), (LOW, HIGH + 1), (HIGH, HIGH + 5)):
        assert band_look(both, low_hz, high_hz, 5) is None
    gap = (channel(LOW, LOW + 1_000_000, False), channel(MID, HIGH, True))
    assert band_look(gap, LOW, HIGH, 5) is None


def test_where_the_receiver_does_not_cover_the_band_it_is_not_checked() -> None:
    one = listening()
    for number in range(30 * 50):
        at_ns = number * NS // 50
        beside = Heard(listened_ns=at_ns, found_ns=at_ns, incumbents=(), channels=(channel(MID, HIGH, False),))
        one.look(beside)
        found = one.turn(at_ns)
        if found:
            assert found[0].verdict == "not checked"
            return
    pytest.fail("nothing was said")


def test_the_envelope_claims_what_was_heard_and_no_more() -> None:
    span = StationSpan(**{**_plain(TOLD), "device": "cbsd:ABCDEFGHIJKLMNOPQRS/" + "7" * 64})
    found = EarFinding(
        span=span,
        verdict=EarVerdict.STILL_ON,
        detail="",
        looks=40,
        like=30,
        levels_db=(-62.0, -60.0, -59.0),
        from_ns=21 * NS,
        to_ns=23 * NS,
    )
    body = evidence(found, time_at, UTC + 80 * NS)
    encode(body)
    assert body.meaning_flaw() is None
    (row,) = body.channels
    assert row.state == "busy"
    assert row.flags[0] == HEARD_AFTER_END
    assert "".join(row.flags[1:-1]) == span.device
    assert max(len(one.encode()) for one in row.flags) <= FLAG_BYTES
    assert body.observed.start_ns >= UTC + 21 * NS
    share = row.occupancy_ppm
    assert share is not None
    assert share.low < 750_000 < share.high
    assert body.level_ppm < 1_000_000
    assert body.incumbents == ()
    assert named("cbsd:a/b") == ("cbsd:a/b",)


def test_the_words_between_agent_and_warden_are_typed() -> None:
    import cbor2

    data = cbor2.dumps(["StationTold", _plain(TOLD)])
    assert decode(data) == TOLD
    assert decode(cbor2.dumps(["StationTold", {**_plain(TOLD), "since_ns": "now"}])) is None


def test_a_person_who_looked_into_it_ends_the_alarm_and_it_is_heard_anew() -> None:
    one = listening()
    assert [word.verdict for word in go_through(one, after=True)] == ["still on"]
    one.cleared("cbsd:fcc1/s2")
    assert one.alarms
    one.cleared("cbsd:fcc1/s1")
    assert one.alarms == {}
    found = []
    for number in range(24 * 50, 27 * 50):
        one.look(heard(number / 50, True))
        found += one.turn(number * NS // 50 + 1)
    assert [word.verdict for word in found] == ["still on"], "it goes on, and is heard again"


def test_what_waits_for_its_signature_is_bounded_and_the_newest_of_each() -> None:
    """A node that waits for its neighbours' word kept each finding; one that could not be signed was tried for ever."""
    one, stations, told = listening(), 2 * UNSAID_MAX, list[dict[str, Any]]()

    def found(number: int, at_s: int) -> EarFinding:
        span = StationSpan(**{**_plain(TOLD), "device": f"cbsd:fcc1/{number}"})
        return EarFinding(span=span, verdict=EarVerdict.STILL_ON, detail="", looks=9, like=9, to_ns=at_s * NS)

    for at_s in range(30, 33):
        one.ears = cast("Any", SimpleNamespace(findings=lambda _: [found(n, at_s) for n in range(stations)]))  # noqa: B023
        one.turn(at_s * NS)
    step = cast("Any", SimpleNamespace(event=lambda what, **fields: told.append({"what": what, **fields})))
    assert one.unsaid
    taken = one.taken(step)
    assert [(f.span.device, f.to_ns) for f in taken] == [
        (f"cbsd:fcc1/{n}", 32 * NS) for n in range(stations - UNSAID_MAX, stations)
    ]
    assert told == [
        {
            "what": "not on record",
            "findings": 3 * stations - UNSAID_MAX,
            "why": "newer ones came while nothing could be signed",
        }
    ]
    assert not one.unsaid, "what fails from here on is told as a fault, once"
    assert one.taken(step) == []
    assert len(told) == 1


def test_a_question_at_the_door_ends_the_loops_wait(tmp_path: Path) -> None:
    door = CbsdDoor(tmp_path / "door", keep=lambda: None)
    giver = WardenGiver(tmp_path / "door")
    asking = threading.Thread(target=giver.status)
    asking.start()
    ready, _, _ = select.select([door.bell], [], [], 20)
    assert ready == [door.bell]
    door.turn(lambda _question: {})
    asking.join(20)
    assert select.select([door.bell], [], [], 0)[0] == [], "it rings once for each question"
    giver.close()
    door.close()
