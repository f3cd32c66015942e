"""Clicks and pieces of symbols in a node's short looks: no radar; a radar beside them is told of as if alone."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.bench.impostors import FULL_SCALE, codes, unit_noise
from sensing.detectors import radar
from sensing.detectors.clicks import are_clicks, is_click
from sensing.detectors.intrapulse import Wave
from sensing.detectors.pulse import Pulse
from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import RadarDetector, Stretch
from sim.waveforms.multicarrier import add_symbol
from sim.waveforms.nr import PER_BLOCK, NrNumerology

pytestmark = pytest.mark.feature("E3")
RATE, LOOK = 10_000_000, 22_500
US = RATE // 1_000_000
Cplx = NDArray[np.complex64]


def steady(samples: int, at_hz: float, *, db: float) -> Cplx:
    """A carrier so many dB over unit noise in 1 MHz."""
    amplitude = np.sqrt(10 ** (db / 10) * 1e6 / RATE)
    return (amplitude * np.exp(2j * np.pi * at_hz / RATE * np.arange(samples))).astype(np.complex64)


def control(rng: np.random.Generator, *, begins: list[int], db: float) -> Cplx:
    """Two symbols of uplink control at -4.4 MHz from each beginning: twelve carriers, shifted in time at random."""
    grid, out = NrNumerology(mu=0), np.zeros(LOOK, np.complex64)
    base = np.exp(0.25j * np.pi * (2 * rng.integers(0, 4, PER_BLOCK) + 1)) / np.sqrt(PER_BLOCK)
    useful_s = 1 / grid.spacing_hz
    for begin in begins:
        for number in range(2):
            shift = int(rng.integers(PER_BLOCK))
            add_symbol(
                out, sample_rate_hz=RATE, start_s=begin / RATE + number * grid.symbol_s, useful_s=useful_s,
                prefix_s=grid.symbol_s - useful_s, spacing_hz=grid.spacing_hz, first=-300,
                values=base * np.exp(2j * np.pi * shift * np.arange(PER_BLOCK) / PER_BLOCK),
            )  # fmt: skip
    return out * np.float32(np.sqrt(10 ** (db / 10) * 1e6 / RATE))


def found(z: Cplx) -> tuple[Pulse, ...]:
    return PulseFinder(sample_rate_hz=RATE, full_scale=FULL_SCALE).find(codes(z))


def told(pulses: tuple[Pulse, ...]) -> list[str]:
    seen = Stretch(pulses=pulses, start_ns=0, length_ns=LOOK * 100)
    return [one.kind for one in RadarDetector(band_hz=RATE).decide(seen).incumbents]


def wave(z: Cplx, first: int, last: int) -> Pulse:
    """A pulse of those samples at 2 MHz."""
    return Pulse(
        time_us=0.0, duration_us=1.0, low_hz=1.5e6, high_hz=2.5e6, peak_hz=2e6, instant_hz=1e6, snr_db=16.0,
        slope_mhz_per_us=0.0, wave=Wave(iq=z, rate_hz=RATE, first=first, last=last, under=np.zeros(0, np.float32)),
    )  # fmt: skip


def beside(other: Cplx, *, seed: int = 0) -> Pulse:
    """A pulse of a microsecond, 16 dB in 1 MHz, in the middle of another signal."""
    z = unit_noise(np.random.default_rng(seed), len(other)) + other
    middle = len(z) // 2
    z[middle - 5 : middle + 5] += steady(10, 2e6, db=16)
    return wave(z.astype(np.complex64), middle - 5, middle + 5)


def jumping(turn: float, *, db: float = 30.0, begins: bool = False) -> Cplx:
    other = steady(510, -2e6, db=db)
    other[255:] *= np.exp(1j * turn)
    return np.where(np.arange(510) < 255, 0, other).astype(np.complex64) if begins else other


@pytest.mark.parametrize(
    ("other", "click"),
    [
        (jumping(np.pi), True),
        (jumping(1.5), True),
        (jumping(0.0, begins=True), True),
        (jumping(0.0), False),
        (jumping(np.pi, db=12.0), False),
        (np.zeros(510, np.complex64), False),
        (np.roll(jumping(np.pi), 60), False),
    ],
    ids=["phase", "part of a turn", "begins", "steady", "too weak", "alone", "another instant"],
)
def test_a_pulse_is_a_click_where_something_stronger_jumps_at_its_instant(other: Cplx, click: bool) -> None:
    assert [is_click(beside(other, seed=seed)) for seed in range(5)] == [click] * 5


def test_what_changes_all_the_time_makes_no_click() -> None:
    """A neighbour's data, 2 MHz wide and 30 dB strong, changes as much elsewhere as at the pulse."""
    made = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        spectrum = np.fft.fft(unit_noise(rng, 510))
        spectrum[np.abs(np.fft.fftfreq(510, 1 / RATE) + 3e6) > 1e6] = 0
        made += is_click(beside((np.fft.ifft(spectrum) * 10**1.5).astype(np.complex64), seed=seed))
    assert made <= 1


def test_most_pulses_of_a_train_must_be_clicks() -> None:
    yes, no = beside(jumping(np.pi)), beside(jumping(0.0))
    assert are_clicks([yes, yes])
    assert are_clicks([yes, no, yes])
    assert not are_clicks([yes, no])
    assert not are_clicks([])
    assert not is_click(replace(yes, wave=None))


def looks_of_control(seeds: range) -> list[tuple[Pulse, ...]]:
    """Looks with two symbols of uplink control each millisecond, 27 dB in 1 MHz."""
    looks = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        first = int(rng.integers(500, 2000))
        z = control(rng, begins=[first, first + 1000 * US], db=27.0)
        looks.append(found(z + unit_noise(rng, LOOK)))
    return looks


def test_clicks_of_symbols_a_millisecond_apart_are_no_radar(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_of_control(range(26, 32))
    assert [told(one) for one in looks if told(one)] == []
    monkeypatch.setattr(radar, "are_clicks", lambda _: False)
    assert ["P0N#1"] in [told(one) for one in looks]


def radar_beside_control(seed: int) -> tuple[Pulse, ...]:
    """A look with two pulses of P0N#1, 22 dB in 1 MHz, in the symbols or beside them, each in the same place."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(500, 2000))
    z = control(rng, begins=[first, first + 1000 * US], db=27.0) + unit_noise(rng, LOOK)
    at = first + int(rng.integers(-400, 1800))
    for begin in (at, at + 1000 * US):
        z[begin : begin + 10] += steady(10, 1e6, db=22)
    return found(z)


def test_a_radar_beside_symbols_or_in_them_is_told_of_as_without_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [radar_beside_control(seed) for seed in range(16)]
    heard = [told(one) for one in looks]
    monkeypatch.setattr(radar, "are_clicks", lambda _: False)
    assert heard == [told(one) for one in looks]
    assert heard.count(["P0N#1"]) >= 8


def coded(rng: np.random.Generator, *, traffic_db: float | None = None) -> Cplx:
    """Four pulses of 24 us of the code + + - +, 20 dB in 1 MHz; data over 6 MHz begins a third of the way in."""
    z = unit_noise(rng, LOOK)
    chips = np.repeat(np.array([1, 1, -1, 1], np.float32), 6 * US)
    for begin in range(3000, 3000 + 4 * 500 * US, 500 * US):
        z[begin : begin + len(chips)] += chips * steady(len(chips), 1e6, db=23)
    if traffic_db is not None:
        spectrum = np.fft.fft(unit_noise(rng, LOOK))
        spectrum[np.abs(np.fft.fftfreq(LOOK, 1 / RATE) - 1e6) > 3e6] = 0
        data = np.fft.ifft(spectrum) * 10 ** (traffic_db / 20)
        z += np.where(np.arange(LOOK) > LOOK // 3, data, 0).astype(np.complex64)
    return z


def test_coded_pulses_alone_and_over_data_have_nothing_around_them_and_are_told_of() -> None:
    for traffic_db in (None, 10.0):
        pulses = found(coded(np.random.default_rng(1), traffic_db=traffic_db))
        long = [one.around for one in pulses if 15 < one.duration_us < 40]
        assert len(long) >= 3
        assert max(long) < radar.AROUND_MAX / 2
        assert told(pulses) == ["P0N#2"]


def test_a_piece_of_a_longer_signal_has_the_rest_of_it_around() -> None:
    rng = np.random.default_rng(2)
    z = unit_noise(rng, LOOK)
    z[8000:9400] += steady(1400, 1e6, db=8)
    z[8500:8700] += steady(200, 1e6, db=13)
    pieces = [one.around for one in found(z) if one.duration_us < 60]
    assert pieces
    assert min(pieces) > radar.AROUND_MAX


class Around:
    """Surroundings of a given share of the pulse."""

    def __init__(self, share: float) -> None:
        self._share = share

    def share(self) -> float:
        return self._share


@pytest.mark.parametrize(
    ("around", "kinds"),
    # Of one of four pulses traffic may make more: the mean counts.
    [((1.1, 1.1, 1.1, 1.1), []), ((0.9, 0.9, 0.9, 0.9), ["P0N#2"]), ((3.0, 0.0, 0.0, 0.0), ["P0N#2"])],
    ids=["pieces", "nearly", "one of four"],
)
def test_a_train_of_pieces_is_no_phase_coded_radar(around: tuple[float, ...], kinds: list[str]) -> None:
    pulses = found(coded(np.random.default_rng(3)))
    assert told(pulses) == ["P0N#2"]
    made = [cast("Any", Around(share * radar.AROUND_MAX)) for share in around]
    assert told(tuple(replace(one, surroundings=some) for one, some in zip(pulses, made, strict=True))) == kinds
