"""Nobody is told that a band handed on is silent while a base station may still use what it was given there."""

from pathlib import Path

import pytest

from radio.cbrs.book import CbsdBook, Out
from radio.cbrs.outlet import Outlet, OutletPlan
from radio.cbrs.wardenside import CbsdDesk
from radio.link import BandVacated, NewHanding
from settlement.chain.records import digest
from settlement.chain.scope import Band, Cell, Window
from settlement.records.handover import Handover
from tests.radio.test_warden import Bench
from tests.settlement.quorum.forgery import signed
from tests.settlement.world import AREA, LOWER, NS, T0, fix

pytestmark = [pytest.mark.feature("R12", "M10"), pytest.mark.attack(75)]
HALF = Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 5_000_000)
OTHER = Band(low_hz=HALF.high_hz, high_hz=LOWER.high_hz)
DEVICE = "cbsd:fcc1/s1"
SILENT_BY_S = 6.0


def handed(bench: Bench, band: Band = HALF) -> NewHanding:
    window = Window(start_ns=T0 + 2 * NS, end_ns=T0 + 12 * NS)
    body = Handover(
        sid=bench.sid, confirm=bytes(32), kind="sublease", to=bytes(32), cell=Cell(band=band, area=AREA, window=window),
        commodity="cbrs", tier=2, max_eirp_mdbm=0, price=0, rule=bytes(32), artifact=b"\x00",
    )  # fmt: skip
    return NewHanding(record=signed(bench.world, "alice", body, 2.5), sid=bench.sid)


def given(bench: Bench, band: Band) -> CbsdBook:
    """What a base station was told before the lease was handed on."""
    book = CbsdBook()
    book.note(
        Out(
            device=DEVICE, grant="g", sid=bench.sid, low_hz=band.low_hz, high_hz=band.high_hz, eirp_mdbm=0,
            transmit_until_ns=T0 + round((SILENT_BY_S - 1) * NS), silent_by_ns=T0 + round(SILENT_BY_S * NS), returned=0,
        )
    )  # fmt: skip
    bench.warden._stations = CbsdDesk(Outlet(plan=OutletPlan(members=frozenset({DEVICE})), book=book))
    return book


def silent(bench: Bench) -> list[bytes]:
    return [one.handover for one in bench.heard if isinstance(one, BandVacated)]


def test_the_warden_waits_until_every_base_station_in_it_has_to_be_silent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        bench.permit()
        given(bench, HALF)
        said = handed(bench)
        bench.say(said)
        assert silent(bench) == []
        bench.now = fix(SILENT_BY_S - 0.1)
        bench.beat()
        assert silent(bench) == []
        bench.now = fix(SILENT_BY_S + 0.1)
        bench.beat()
        assert silent(bench) == [digest(said.record)]
    finally:
        bench.warden.close()


def test_a_base_station_in_what_is_kept_holds_up_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        bench.permit()
        given(bench, OTHER)
        bench.say(handed(bench))
        assert len(silent(bench)) == 1
    finally:
        bench.warden.close()
