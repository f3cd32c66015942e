"""Tests of how a trial with base stations is judged: by the SAS's own record, and by the warden's requests to it."""

import socket

import cbor2
import pytest

from agent.trial.cbrsresult import cbrs_problems, outside_sas, stations_shown
from agent.trial.judge import Judged
from agent.trial.spec import BaseStationPlan, CbrsPlan
from radio.cbrs.above import SasAbove
from settlement.chain.scope import Band
from sim.cbrs.sas import SasAllowed, SimSas
from sim.oracle import RadiatedBurst

NS = 1_000_000_000
LOW, HIGH = 3_550_000_000, 3_560_000_000


def emission(begin_s: float, end_s: float, low_hz: int = LOW, high_hz: int = HIGH) -> Judged:
    begin, end = round(begin_s * NS), round(end_s * NS)
    burst = RadiatedBurst(
        radio="cell-a",
        kind="burst",
        start_ns=begin,
        end_ns=end,
        low_hz=low_hz,
        high_hz=high_hz,
        eirp_dbm=10.0,
        center_hz=LOW,
        cut_short=False,
    )
    return Judged(burst=burst, start_ns=begin, end_ns=end, sid=b"s", why="")


def word(from_s: float, until_s: float) -> SasAllowed:
    return SasAllowed(
        cbsd="bandpact1/cell-a", grant="g", from_s=from_s, until_s=until_s, low_hz=LOW, high_hz=HIGH, max_eirp=10.0
    )


@pytest.mark.feature("R12")
def test_only_the_words_of_the_sas_cover_an_emission() -> None:
    sas = SimSas(allowed=[word(10, 18), word(11, 19), word(25, 33)])
    inside = [emission(10, 11), emission(10.5, 18.9), emission(26, 33)]
    outside = [emission(9.9, 11), emission(18, 19.1), emission(18, 26), emission(30, 33.1), emission(20, 21),
               emission(12, 13, high_hz=HIGH + 1)]  # fmt: skip
    assert outside_sas([*inside, *outside], sas, "cell-a") == outside
    plan = CbrsPlan(stations=[BaseStationPlan(name="cell-a", node="n", low_hz=LOW, high_hz=HIGH, eirp_dbm=17)])
    assert cbrs_problems(stations_shown(plan, inside, sas)) == []
    assert cbrs_problems(stations_shown(plan, outside, sas))
    assert cbrs_problems(stations_shown(plan, [], sas)), "a base station that never radiated shows nothing"


@pytest.mark.feature("R10")
def test_no_grant_is_given_back_for_a_smaller_one() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    above, band = SasAbove(ours), Band(low_hz=LOW, high_hz=HIGH)
    narrow = Band(low_hz=LOW, high_hz=LOW + 5_000_000)
    for asked, eirp in ((band, 20_000), (narrow, 20_000), (band, 10_000), (band, 20_000), (band, 21_000)):
        above.authorised("cbsd:x/y", asked, eirp)
    theirs.setblocking(False)
    heard = []
    while True:
        try:
            heard.append(cbor2.loads(theirs.recv(65_536))["eirp_mdbm"])
        except BlockingIOError:
            break
    assert heard == [20_000, 21_000]
    ours.close()
    theirs.close()
