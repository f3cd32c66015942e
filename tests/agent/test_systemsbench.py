"""The table of real systems: each generator is in it, where and as strong as it says; verdicts are counted rightly."""

import errno
import importlib
import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.waveforms
from agent.bench.detection import PARTS, Results, write_report
from agent.bench.detectionrow import row
from agent.bench.impostors import IMPOSTORS
from agent.bench.systempage import PAGE, page
from agent.bench.systems import SYSTEMS
from agent.bench.systemtrial import (
    HELD,
    RADARS,
    RATES_HZ,
    STATE_GROUPS,
    HeardAs,
    SystemCell,
    Truth,
    cells,
    count,
    looks_of,
    survey_of,
    truth,
)
from sensing.results import ChannelState
from sensing.values import Interval
from sim.waveforms import radar

pytestmark = pytest.mark.feature("E2")
IMPULSES = ("PWM at 1 kHz", "PWM at 2.5 kHz")
FITTING = [(name, rate) for name, system in SYSTEMS.items() for rate in RATES_HZ if system.fits(rate)]


def test_every_generator_but_the_radars_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"sim.waveforms.{one.name}") for one in pkgutil.iter_modules(sim.waveforms.__path__)
    ]
    made = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and {"samples", "sample_rate_hz"} <= set(inspect.signature(function).parameters)
    }
    assert made - {radar.render} == {one.generate for one in SYSTEMS.values()} & made
    assert set(IMPOSTORS) <= set(SYSTEMS)


@pytest.mark.parametrize(("name", "rate"), FITTING)
def test_a_system_lies_where_and_is_as_wide_and_strong_as_the_table_says(name: str, rate: int) -> None:
    system = SYSTEMS[name]
    z = system.draw(np.random.default_rng(1), rate_hz=rate, samples=round(0.03 * rate))
    assert z.shape == (round(0.03 * rate),)
    power = np.abs(np.fft.fft(z.astype(np.complex128))) ** 2
    at = np.fft.fftfreq(len(z), 1 / rate) - system.place_hz(rate)
    inside = float(power[np.abs(at) <= system.width_at(rate) / 2].sum() / power.sum())
    assert inside > (0.6 if name in IMPULSES else 0.85)
    envelope = np.abs(z) ** 2
    peak = float(np.max(np.convolve(envelope, np.ones(20) / 20, "same")))
    if name in IMPULSES:
        assert 0.2 < float(envelope.max()) <= 1.001, "a sample may miss the peak by half a microsecond at 2 MS/s"
    else:
        assert 0.5 < peak < 12
    assert system.width_at(rate) / 2 + abs(system.place_hz(rate)) <= 0.4501 * rate


def test_the_share_in_use_is_of_blocks_and_leaves_open_those_that_are_hardly_touched() -> None:
    block, power = 100, np.zeros(100)
    power[:30], power[30:40], power[40:50] = 1.0, 0.02, 1e-4
    signal = np.repeat(np.sqrt(power), block).astype(np.complex64)
    assert truth([signal], block=block, most=1.0) == Truth(low=0.3, high=0.4)
    halves = [signal[:2050], signal[6000:8020]]
    assert truth(halves, block=block, most=1.0) == Truth(low=0.5, high=0.5), "what fills no block does not count"


def test_a_node_hears_one_part_in_nine_and_a_file_all() -> None:
    signal = np.arange(2_000_000, dtype=np.float32).astype(np.complex64)
    node = looks_of(signal, 10_000_000, HeardAs.NODE, block=1024)
    assert [(start, len(z)) for start, z in node] == [(200_000 * i, 22_500) for i in range(10)]
    file = looks_of(signal, 10_000_000, HeardAs.FILE, block=1024)
    assert [(start, len(z)) for start, z in file] == [(200_000 * i, 200_000) for i in range(5)]
    long = looks_of(signal, 10_000_000, HeardAs.FILE, block=20_000)
    assert [len(z) for _, z in long] == [1_000_000], "as long as the blocks of narrow channels ask for"


def test_verdicts_and_intervals_are_counted_as_they_were_said() -> None:
    cell = SystemCell(name="GSM", rate_hz=2_000_000, heard_as=HeardAs.FILE, snr_db=0.0)
    said = survey_of(SYSTEMS["GSM"], 2_000_000, HeardAs.FILE).report(0).channels[0]
    true = Truth(low=0.2, high=0.3)
    for state, low, high in (
        (ChannelState.FREE, 0.0, 0.1),
        (ChannelState.FREE, 0.0, 0.2),
        (ChannelState.BUSY, 0.3, 0.5),
        (ChannelState.BUSY, 0.31, 0.5),
        (ChannelState.UNKNOWN, 0.0, 1.0),
    ):
        count(cell, replace(said, state=state, occupancy=Interval(value=low, low=low, high=high)), true)
    assert cell.states == {ChannelState.FREE: 2, ChannelState.UNKNOWN: 1, ChannelState.BUSY: 2}
    assert (cell.intervals, cell.held) == (4, 2)


def test_a_strong_carrier_is_busy_and_one_under_the_noise_is_counted_as_free_or_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.bench.systemtrial.SNR_DB", (-60.0, 20.0))
    found = {(one.heard_as, one.snr_db): one for one in cells(1, "GSM", rate_hz=2_000_000, draws=1)}
    assert set(found) == {(heard_as, snr_db) for heard_as in HeardAs for snr_db in (-60.0, 20.0)}
    for (_, snr_db), one in found.items():
        assert one.drawn == sum(one.states.values()) == 1
        assert one.states[ChannelState.BUSY] == (snr_db == 20.0)
        assert one.radars == 0
    assert found[HeardAs.FILE, 20.0].held == 1


def test_the_page_has_a_line_for_each_condition_and_a_column_for_each_level() -> None:
    condition = "GSM, 2 MS/s, file"
    rows = [
        row(group, condition, hits, 10, x=0.0) for group, hits in zip(STATE_GROUPS.values(), (1, 2, 7), strict=True)
    ]
    rows += [
        row(HELD, condition, 3, 4, x=0.0),
        row(RADARS, condition, 0, 10, x=0.0),
        row(RADARS, condition, 1, 11, x=6.0),
    ]
    text = page(rows, "--part systems --trials 100")
    assert "`--part systems --trials 100`" in text
    assert "| GSM, 2 MS/s, file | 200 | 1/2/7 (0.0025 to 0.45) | not heard |" in text
    assert "| GSM, 2 MS/s, file | 1 of 21 | 3 of 4 | no interval |" in text
    assert "Wi-Fi (2 and 10)" in text
    other = [
        row(group, "DECT, 2 MS/s, file", hits, 5, x=0.0)
        for group, hits in zip(STATE_GROUPS.values(), (0, 5, 0), strict=True)
    ]
    text = page(
        [*rows, *other, row(RADARS, "DECT, 2 MS/s, file", 0, 5, x=0.0), row(RADARS, "DECT, 2 MS/s, file", 0, 5, x=6.0)],
        "",
    )
    assert "| **All, file** | | 1/7/7 (0.0017 to 0.32) | not heard |" in text


def test_the_part_systems_writes_a_page_of_its_own_and_leaves_the_table(tmp_path: Path) -> None:
    assert "systems" in PARTS
    table = tmp_path / "sensing-table.md"
    table.write_text("as it was", encoding="utf-8")
    rows = tuple(row(group, "GSM, 2 MS/s, file", 0, 5, x=0.0) for group in (*STATE_GROUPS.values(), RADARS))
    made_by = {one.group: "--part systems" for one in rows}
    assert write_report(Results(rows=rows, made_by=made_by), tmp_path) == [tmp_path / PAGE]
    assert table.read_text(encoding="utf-8") == "as it was"
    more = row("Radar P0N#1", "heard", 5, 5)
    written = write_report(Results(rows=(more, *rows), made_by={more.group: "x", **made_by}), tmp_path)
    assert written[:2] == [tmp_path / PAGE, table]
    assert "Systems" not in table.read_text(encoding="utf-8")


def test_a_table_is_written_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "sensing-table.md"
    table.write_text("as it was", encoding="utf-8")
    systems = [row(group, "GSM, 2 MS/s, file", 0, 5, x=0.0) for group in (*STATE_GROUPS.values(), RADARS)]
    rows = (*systems, row("Radar P0N#1", "heard", 5, 5, x=10.0))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(Results(rows=rows, made_by={one.group: "x" for one in rows}), tmp_path)
    assert list(tmp_path.iterdir()) == [table]
    assert table.read_text(encoding="utf-8") == "as it was"
