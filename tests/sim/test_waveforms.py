"""What the generators promise: power, bandwidth, peaks, timing, repeatability."""

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.signals import ofdm
from radio.signals.shapes import Cplx, taper_edges, to_iq16, unit_power
from sim.waveforms import fm, hopping, wifi

pytestmark = pytest.mark.feature("E1")

RATE = 30_720_000


def spectrum(iq: Cplx, rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    power = np.abs(np.fft.fft(iq.astype(np.complex128))) ** 2 / len(iq) ** 2
    return np.fft.fftfreq(len(iq), 1 / rate_hz), power


def share(iq: Cplx, rate_hz: int, low_hz: float, high_hz: float) -> float:
    offset, power = spectrum(iq, rate_hz)
    return float(power[(offset >= low_hz) & (offset < high_hz)].sum() / power.sum())


def mean_power(iq: Cplx) -> float:
    return float(np.mean(np.abs(iq.astype(np.complex128)) ** 2))


@pytest.mark.parametrize("bandwidth_hz", sorted(ofdm.CARRIERS))
@pytest.mark.parametrize("loop", [False, True])
def test_ofdm_stays_in_its_channel(bandwidth_hz: int, loop: bool) -> None:
    iq = ofdm.generate(np.random.default_rng(1), sample_rate_hz=RATE, bandwidth_hz=bandwidth_hz, loop=loop)
    assert len(iq) == RATE // 100
    assert iq.dtype == np.complex64
    assert mean_power(iq) == pytest.approx(1, abs=1e-3)
    occupied = ofdm.CARRIERS[bandwidth_hz] * 15_000
    assert share(iq, RATE, -occupied / 2 - 15e3, occupied / 2 + 15e3) > 0.99
    outside = 1 - share(iq, RATE, -bandwidth_hz / 2, bandwidth_hz / 2)
    assert 10 * np.log10(max(outside, 1e-12)) < -60


def test_a_short_ofdm_burst_of_any_length_stays_in_its_channel() -> None:
    for samples in (20_000, 61_440, 61_441):
        iq = ofdm.generate(np.random.default_rng(2), sample_rate_hz=RATE, samples=samples)
        assert len(iq) == samples
        assert 10 * np.log10(1 - share(iq, RATE, -5e6, 5e6)) < -60


def test_ofdm_in_sixteen_bits_keeps_a_low_floor() -> None:
    iq = ofdm.generate(np.random.default_rng(3), sample_rate_hz=RATE, samples=61_440)
    codes = to_iq16(iq, full_scale=16_384, backoff_db=12)
    sent = codes.astype(np.float32).view(np.complex64).reshape(-1)
    assert 10 * np.log10(1 - share(sent, RATE, -5e6, 5e6)) < -50
    assert mean_power(sent) == pytest.approx(16_384**2 * 10**-1.2, rel=0.01)


def test_ofdm_peaks_like_gaussian_noise() -> None:
    iq = ofdm.generate(np.random.default_rng(4), sample_rate_hz=RATE)
    power = np.abs(iq) ** 2
    # P(|x|^2 > t) = exp(-t): about 9.2 dB is passed one time in 4000.
    assert 8 < 10 * np.log10(np.quantile(power, 1 - 1 / 4000)) < 10
    assert 9 < 10 * np.log10(power.max()) < 14


def test_ofdm_carriers_are_qpsk_on_a_15_khz_raster_with_nothing_at_dc() -> None:
    iq = ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, loop=True)
    at = 160 + (2048 + 144) + 2048 + 144  # past the first two symbols: the body of the third begins after its prefix
    body = np.fft.fft(iq[at : at + 2048].astype(np.complex128)) / 2048 * np.sqrt(600)
    used = np.concatenate((body[1:295], body[-294:]))
    assert np.abs(body[0]) < 0.05
    assert np.abs(np.abs(used) - 1).max() < 0.1
    assert np.abs(used**4 + 1).max() < 0.3
    prefix, end = iq[at - 60 : at], iq[at + 2048 - 60 : at + 2048]
    assert mean_power(prefix - end) < 1e-3


def test_tdd_follows_its_frame_and_has_unit_power_while_on() -> None:
    iq = ofdm.generate(np.random.default_rng(6), sample_rate_hz=RATE, duplex=ofdm.Duplex.TDD, loop=True)
    subframes = np.abs(iq.reshape(10, -1)) ** 2
    level = subframes.mean(axis=1)
    for kind, mean in zip(ofdm.TDD_PATTERN, level, strict=True):
        match kind:
            case "D":
                assert mean == pytest.approx(1, abs=0.05)
            case "S":
                assert 0.6 < mean < 0.8
            case _:
                assert mean < 0.01
    assert 10 * np.log10(1 - share(iq, RATE, -5e6, 5e6)) < -60


@pytest.mark.parametrize(("rate", "bandwidth"), [(1_920_000, 3_000_000), (30_000_000, 10_000_000), (RATE, 7_000_000)])
def test_ofdm_refuses_a_rate_or_bandwidth_without_whole_symbols(rate: int, bandwidth: int) -> None:
    with pytest.raises(ValueError, match=r"S/s|channel"):
        ofdm.generate(np.random.default_rng(0), sample_rate_hz=rate, bandwidth_hz=bandwidth)


def test_ofdm_runs_at_every_multiple_of_1_92_mhz_that_is_wide_enough() -> None:
    for rate in range(1_920_000, 62_000_000, 1_920_000):
        iq = ofdm.generate(np.random.default_rng(0), sample_rate_hz=rate, bandwidth_hz=1_400_000, samples=rate // 1000)
        assert mean_power(iq) == pytest.approx(1, abs=1e-3)


def test_wifi_bursts_are_20_mhz_wide_and_on_for_the_duty() -> None:
    iq = wifi.generate(np.random.default_rng(7), sample_rate_hz=40_000_000, samples=4_000_000, duty=0.3)
    on = np.abs(iq) > 0
    # About 100 ms / (130 symbols * 4 us / 0.3) = 58 packets; their total varies by about 1 / sqrt(58) each way.
    assert 0.15 < on.mean() < 0.45
    assert mean_power(iq[on]) == pytest.approx(1, abs=0.05)
    assert share(iq, 40_000_000, -8.6e6, 8.6e6) > 0.97


def test_fm_has_a_constant_envelope_and_the_bandwidth_carson_gives() -> None:
    for programme in fm.Programme:
        iq = fm.generate(np.random.default_rng(8), sample_rate_hz=240_000, samples=240_000, programme=programme)
        assert np.abs(np.abs(iq) - 1).max() < 1e-5
        carson = 2 * (15_000 + 3_900)
        assert share(iq, 240_000, -carson / 2, carson / 2) > 0.96


def test_hops_sit_on_their_raster_and_move() -> None:
    rate, dwell = 16_000_000, 10_000
    iq = hopping.generate(np.random.default_rng(9), sample_rate_hz=rate, samples=100 * dwell)
    centres = []
    for hop in iq.reshape(100, dwell):
        on = hop[: int(dwell * 0.6)]
        turn = np.angle(np.sum(on[1:] * np.conj(on[:-1]))) / (2 * np.pi) * rate
        centres.append(turn)
        assert mean_power(on) == pytest.approx(1, abs=0.01)
        assert not hop[int(dwell * 0.6) :].any()
    channels = np.array(centres) / 1e6 + 5.5
    assert np.abs(channels - np.rint(channels)).max() < 0.1
    assert len(set(np.rint(channels))) > 8


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: ofdm.generate(rng, sample_rate_hz=3_840_000, bandwidth_hz=1_400_000),
        lambda rng: wifi.generate(rng, sample_rate_hz=20_000_000, samples=100_000),
        lambda rng: fm.generate(rng, sample_rate_hz=48_000, samples=1000),
        lambda rng: hopping.generate(rng, sample_rate_hz=16_000_000, samples=30_000),
    ],
)
def test_the_same_seed_gives_the_same_samples(make) -> None:
    one, same, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_shaping_leaves_its_input_alone() -> None:
    iq = np.ones(100, dtype=np.complex64)
    iq.flags.writeable = False
    assert abs(taper_edges(iq, edge=10)[0]) < 0.1
    assert mean_power(unit_power(iq * np.float32(7))) == pytest.approx(1, rel=1e-6)
    assert not unit_power(np.zeros(4, dtype=np.complex64)).any()
    assert to_iq16(iq * np.float32(100), full_scale=2048, backoff_db=0).max() == 2047
