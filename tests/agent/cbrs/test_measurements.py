"""Measurement reports for a SAS above: only what was asked for, only what is known, and no surer than it is."""

import math
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.cbrs.upward import OWN, Upward
from agent.node.measurements import VALID_NS, received
from hw_profiles.calibration import Scale
from radio.cbrs.above import SasAbove
from radio.cbrs.fields import check
from radio.cbrs.measured import ReceivedPower, report_of
from radio.cbrs.messages import REQUESTS
from radio.cbrs.session import CbsdDevice, Session
from radio.link import PowerMeasured, decode
from sensing.flags import SampleFlag
from sensing.results import ChannelReport, ChannelState, SurveyReport
from sensing.values import Channel, Interval, LevelDb
from tests.radio.cbrs.made import WANTED, at, registration

pytestmark = pytest.mark.feature("R10")
LOW, HIGH, NS = 3_550_000_000, 3_560_000_000, 1_000_000_000
SCALE = Scale(offset_db=-20.0, sd_db=1.0, noise_dbm_hz=None)
BOTH = ["RECEIVED_POWER_WITHOUT_GRANT", "RECEIVED_POWER_WITH_GRANT"]


def channel(**changes: Any) -> ChannelReport:
    nothing = LevelDb(value=-100.0, sd=1.0, unit="dBm")
    made = ChannelReport(
        channel=Channel(low_hz=LOW, high_hz=HIGH),
        state=ChannelState.BUSY,
        occupancy=Interval(value=0.5, low=0.4, high=0.6),
        noise_floor=LevelDb(value=-170.0, sd=0.5, unit="dBm/Hz"),
        sensitivity_limit=nothing,
        headroom_db=40.0,
        period=None,
        bursty=False,
        flags=SampleFlag.NONE,
    )
    return replace(made, **changes)


def told(*channels: ChannelReport, scale: Scale | None = SCALE) -> list[PowerMeasured]:
    report = cast("SurveyReport", SimpleNamespace(channels=channels, now_ns=5 * NS))
    return list(received(report, scale))


def test_what_is_told_is_the_upper_end_of_what_was_measured() -> None:
    (one,) = told(channel())
    assert (one.low_hz, one.high_hz, one.until_ns) == (LOW, HIGH, 5 * NS + VALID_NS)
    assert -60_000 + 1.96 * 1000 <= one.most_mdbm <= -60_000 + 1.96 * 1200
    doubtful = told(channel(), scale=replace(SCALE, sd_db=4.0))[0]
    assert doubtful.most_mdbm > one.most_mdbm, "a worse calibration tells more, never less"
    quiet = told(channel(headroom_db=200.0, state=ChannelState.FREE))[0]
    assert quiet.most_mdbm >= -170_000 + 70_000, "never below the noise floor of the envelope"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": ChannelState.UNKNOWN},
        {"flags": SampleFlag.CLIPPED},
        {"flags": SampleFlag.STALE},
        {"noise_floor": LevelDb(value=-90.0, sd=0.5, unit="dBFS/Hz")},
        {"noise_floor": LevelDb(value=math.nan, sd=math.inf, unit="dBm/Hz")},
        {"headroom_db": math.nan},
    ],
)
def test_what_the_envelope_does_not_know_is_not_told(changes: dict[str, Any]) -> None:
    assert told(channel(**changes)) == []
    assert len(told(channel(), channel(**changes))) == 1


def test_without_a_calibration_nothing_is_told() -> None:
    assert told(channel(), scale=None) == []


def test_the_report_has_the_form_of_the_interface() -> None:
    powers = [
        ReceivedPower(low_hz=HIGH, high_hz=HIGH + 5, most_mdbm=-61_999, until_ns=9),
        ReceivedPower(low_hz=LOW, high_hz=HIGH, most_mdbm=-140_000, until_ns=9),
        ReceivedPower(low_hz=LOW - 10, high_hz=LOW, most_mdbm=10_000, until_ns=9),
        ReceivedPower(low_hz=1, high_hz=2, most_mdbm=-60_000, until_ns=5),
    ]
    report = report_of(powers, 5)
    assert report is not None
    assert [one["measRcvdPower"] for one in report["rcvdPowerMeasReports"]] == [-25, -100, -61]
    beat = {"cbsdId": "c", "grantId": "g", "operationState": "GRANTED", "measReport": report}
    assert check(REQUESTS["heartbeat"], beat, "heartbeat") is None
    assert report_of(powers, 9) is None


class Asked:
    """A SAS that answers well and may ask for measurements; it keeps what came with each method."""

    def __init__(self, config: list[str]) -> None:
        self.config = config
        self.came: dict[str, list[dict[str, Any]]] = {}

    def post(self, method: str, body: dict[str, Any]) -> Any:
        (items,) = body.values()
        self.came.setdefault(method, []).extend(items)
        name = items[0].get("cbsdId") or f"c-{items[0]['cbsdSerialNumber']}"
        ok: dict[str, Any] = {"cbsdId": name, "response": {"responseCode": 0}}
        if method == "registration":
            ok["measReportConfig"] = self.config
        elif method == "grant":
            ok |= {"grantId": "g", "grantExpireTime": "2033-01-01T00:00:00Z", "heartbeatInterval": 1}
        elif method == "heartbeat":
            ok |= {"grantId": "g", "transmitExpireTime": "2023-11-14T22:13:50Z"}
        return {f"{method}Response": [ok]}


class AtOnce:
    """A pool that does what it is asked before it returns."""

    def submit(self, action: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(action(*arguments))
        return done


Made = tuple[Asked, SasAbove, Upward]


@pytest.fixture
def upwards() -> Iterator[Callable[..., Made]]:
    """A warden's end, the client towards the SAS, and the SAS; all closed at the end."""
    opened: list[Made] = []

    def make(config: list[str], device: str = OWN) -> Made:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = Asked(config)
        up = Upward(post=asked.post, channel=theirs, fix=lambda: at(0), session=Session(), monotonic_ns=lambda: 0)
        up._pool.shutdown()
        up._pool = cast("Any", AtOnce())
        up.say = lambda _line: None
        up.session.add(CbsdDevice(name=device, registration=registration("own")))
        up.session.want(device, WANTED)
        opened.append((asked, SasAbove(ours), up))
        return opened[-1]

    yield make
    for _, above, up in opened:
        above.channel.close()
        up.channel.close()


def turned(up: Upward, asked: Asked, method: str) -> list[dict[str, Any]]:
    for _ in range(12):
        up.turn()
        if asked.came.get(method):
            return asked.came[method]
    pytest.fail(f"no {method}")


@pytest.mark.parametrize(("config", "carried"), [([], set()), (BOTH[:1], {"grant"}), (BOTH[1:], {"heartbeat"})])
def test_a_report_goes_up_only_where_the_sas_asked_for_it(
    upwards: Callable[..., Made], config: list[str], carried: set[str]
) -> None:
    asked, above, up = upwards(config)
    above.received(ReceivedPower(low_hz=LOW, high_hz=HIGH, most_mdbm=-60_000, until_ns=9), 0)
    turned(up, asked, "heartbeat")
    assert {method for method, items in asked.came.items() if "measReport" in items[0]} - {"spectrumInquiry"} == carried


def test_a_report_that_ran_out_and_one_of_another_place_do_not_go_up(upwards: Callable[..., Made]) -> None:
    asked, above, up = upwards(BOTH)
    above.received(ReceivedPower(low_hz=LOW, high_hz=HIGH, most_mdbm=-60_000, until_ns=9), 0)
    up.monotonic_ns = lambda: 10
    assert "measReport" not in turned(up, asked, "grant")[0]
    asked, above, up = upwards(BOTH, device="cbsd:fcc1/own")
    above.received(ReceivedPower(low_hz=LOW, high_hz=HIGH, most_mdbm=-60_000, until_ns=9), 0)
    assert "measReport" not in turned(up, asked, "grant")[0], "the node's receiver is not that base station's"


def test_the_word_on_the_link_is_typed() -> None:
    import cbor2

    values = {"low_hz": LOW, "high_hz": HIGH, "most_mdbm": -60_000, "until_ns": 9}
    assert decode(cbor2.dumps(["PowerMeasured", values])) == PowerMeasured(**values)
    assert decode(cbor2.dumps(["PowerMeasured", {**values, "most_mdbm": 1.5}])) is None
