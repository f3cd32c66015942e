"""The air against physics: powers, noise, clipping, repeatability, and nothing from outside the band."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from radio.ports import Iq16, RxSettings
from radio.propagation import distance_m, loss_db
from radio.signals import ofdm
from radio.signals.shapes import to_iq16
from sim.air import NS, Air, Emission, Tone
from sim.receiver import THERMAL_DBM_PER_HZ
from sim.stations import AirConfig, Emitter, Hardware, Station

pytestmark = pytest.mark.feature("R2")

RATE = 30_720_000
CENTER = 3_560_000_000
CLEAN = Hardware(dc_offset_dbfs=-200.0, iq_image_db=-200.0, adc_bits=16)
HOME = Station(name="home", lat_deg=37.0, lon_deg=-76.0, antenna_gain_dbi=4.0, hardware=CLEAN)
AWAY = Station(name="away", lat_deg=37.006, lon_deg=-76.0, antenna_gain_dbi=3.0, hardware=CLEAN)
CONFIG = AirConfig(stations=(HOME, AWAY), seed=5)
WIDE = RxSettings(center_hz=CENTER, sample_rate_hz=RATE, bandwidth_hz=RATE, gain_mdb=40_000)
ANALOGUE = replace(WIDE, bandwidth_hz=20_000_000)


def as_complex(iq: Iq16) -> NDArray[np.complex128]:
    return iq[:, 0].astype(np.float64) + 1j * iq[:, 1]


def dbm(iq: NDArray[np.complex128], settings: RxSettings, hardware: Hardware = CLEAN) -> float:
    """Power at the antenna port that makes these codes."""
    codes = 10 * np.log10(np.mean(np.abs(iq) ** 2)) - 20 * np.log10(hardware.rx_full_scale)
    return float(codes + hardware.rx_full_scale_dbm - settings.gain_mdb / 1000)


def band_dbm(iq: Iq16, settings: RxSettings, low_hz: float, high_hz: float, hardware: Hardware = CLEAN) -> float:
    """Power at the antenna port between two offsets from the centre."""
    x = as_complex(iq)
    windowed = x * np.hanning(len(x)) / np.sqrt(np.mean(np.hanning(len(x)) ** 2))
    offset = np.fft.fftfreq(len(x), 1 / settings.sample_rate_hz)
    power = np.abs(np.fft.fft(windowed)) ** 2 / len(x) ** 2
    inside = power[(offset >= low_hz) & (offset < high_hz)].sum()
    codes = 10 * np.log10(inside) - 20 * np.log10(hardware.rx_full_scale)
    return float(codes + hardware.rx_full_scale_dbm - settings.gain_mdb / 1000)


def ofdm_emission(
    rate_hz: int = RATE, *, center_hz: int = CENTER - 5_000_000, start_ns: int = 0, **more: int
) -> Emission:
    iq = ofdm.generate(np.random.default_rng(1), sample_rate_hz=rate_hz, samples=rate_hz // 200)
    codes = to_iq16(iq, full_scale=CLEAN.tx_full_scale, backoff_db=12)
    return Emission(
        station="away", iq=codes, start_ns=start_ns, end_ns=start_ns + 5_000_000, center_hz=center_hz,
        sample_rate_hz=rate_hz, attenuation_mdb=more.get("attenuation_mdb", 0),
    )  # fmt: skip


def path_db(center_hz: int = CENTER - 5_000_000) -> float:
    away_m = distance_m(HOME.position, AWAY.position)
    return AWAY.antenna_gain_dbi + HOME.antenna_gain_dbi - loss_db(away_m, center_hz, model=CONFIG.propagation)


@settings(max_examples=25)
@given(start_ns=st.integers(0, 10**15), samples=st.integers(1, 40_000))
def test_the_same_span_gives_the_same_bytes(start_ns: int, samples: int) -> None:
    emission = ofdm_emission(start_ns=start_ns - 1_000_000)
    looks = [
        Air(CONFIG).receive(station="home", settings=ANALOGUE, start_ns=start_ns, samples=samples, emissions=[emission])
        for _ in range(2)
    ]
    assert looks[0].shape == (samples, 2)
    assert looks[0].dtype == np.int16
    assert looks[0].tobytes() == looks[1].tobytes()


@settings(max_examples=25)
@given(skip=st.integers(1, 30_000), samples=st.integers(100, 30_000))
def test_spans_that_overlap_agree(skip: int, samples: int) -> None:
    air, emission = Air(CONFIG), ofdm_emission()
    start_ns = 1_234_567
    long = air.receive(
        station="home", settings=ANALOGUE, start_ns=start_ns, samples=skip + samples, emissions=[emission]
    )
    later_ns = (air.grid_index(start_ns, RATE) + skip) * NS // RATE
    part = air.receive(station="home", settings=ANALOGUE, start_ns=later_ns, samples=samples, emissions=[emission])
    # The filter's blocks lie differently, so a value on the edge of rounding may fall to either side.
    assert np.abs(long[skip:].astype(int) - part).max() <= 1


def test_another_seed_or_station_hears_other_noise() -> None:
    looks = [
        Air(replace(CONFIG, seed=seed)).receive(station=name, settings=WIDE, start_ns=0, samples=4096)
        for seed, name in ((1, "home"), (2, "home"), (1, "away"))
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        x, y = as_complex(looks[one]), as_complex(looks[other])
        assert abs(np.vdot(x, y)) / np.linalg.norm(x) / np.linalg.norm(y) < 5 / np.sqrt(4096)


def test_noise_does_not_repeat_within_seconds() -> None:
    air = Air(CONFIG)
    looks = [
        as_complex(air.receive(station="home", settings=WIDE, start_ns=t * 10**8, samples=2048)) for t in range(20)
    ]
    for one in range(20):
        for other in range(one):
            x, y = looks[one], looks[other]
            assert abs(np.vdot(x, y)) / np.linalg.norm(x) / np.linalg.norm(y) < 6 / np.sqrt(2048)


@pytest.mark.parametrize("figure_db", [0.0, 5.0, 12.0])
def test_noise_is_ktb_and_the_noise_figure(figure_db: float) -> None:
    home = replace(HOME, hardware=replace(CLEAN, noise_figure_db=figure_db))
    air = Air(replace(CONFIG, stations=(home,)))
    found = dbm(as_complex(air.receive(station="home", settings=WIDE, start_ns=0, samples=200_000)), WIDE)
    expected = THERMAL_DBM_PER_HZ + 10 * np.log10(RATE) + figure_db
    # 200,000 exponential powers: 4.34 / sqrt(200,000) = 0.0097 dB a sigma.
    assert found == pytest.approx(expected, abs=0.05)
    narrow = air.receive(station="home", settings=ANALOGUE, start_ns=0, samples=200_000)
    inside = band_dbm(narrow, ANALOGUE, -9e6, 9e6)
    assert inside == pytest.approx(THERMAL_DBM_PER_HZ + 10 * np.log10(18e6) + figure_db, abs=0.15)
    assert band_dbm(narrow, ANALOGUE, 13e6, 15e6) < inside - 10 * np.log10(9) - 20


def test_noise_is_gaussian_and_white() -> None:
    x = as_complex(Air(CONFIG).receive(station="home", settings=WIDE, start_ns=0, samples=100_000))
    power = np.abs(x) ** 2
    # Exponential: second moment 2 m^2, its estimate off by sqrt(20 / n) relative to m^2 at one sigma.
    assert np.mean(power**2) / np.mean(power) ** 2 == pytest.approx(2, abs=5 * np.sqrt(20 / 100_000))
    for lag in (1, 2, 7, 100):
        assert abs(np.vdot(x[lag:], x[:-lag])) / np.vdot(x, x).real < 5 / np.sqrt(100_000)


@pytest.mark.parametrize("rate_hz", [15_360_000, RATE, 61_440_000])
@pytest.mark.parametrize("attenuation_mdb", [0, 7_250])
def test_received_power_is_eirp_less_loss_plus_gain(rate_hz: int, attenuation_mdb: int) -> None:
    emission = ofdm_emission(rate_hz, attenuation_mdb=attenuation_mdb)
    look = Air(CONFIG).receive(
        station="home", settings=ANALOGUE, start_ns=1_000_000, samples=61_440, emissions=[emission]
    )
    expected = CLEAN.tx_full_dbm - 12 - attenuation_mdb / 1000 + path_db()
    noise = THERMAL_DBM_PER_HZ + 10 * np.log10(9.2e6) + CLEAN.noise_figure_db
    both = 10 * np.log10(10 ** (expected / 10) + 10 ** (noise / 10))
    # 9.2 MHz for 2 ms: 18,400 independent powers, 0.032 dB a sigma, and the part of the burst that was heard.
    assert band_dbm(look, ANALOGUE, -9.6e6, -0.4e6) == pytest.approx(both, abs=0.25)
    assert band_dbm(look, ANALOGUE, 0.5e6, 9e6) < noise + 0.3


@pytest.mark.parametrize("rate_hz", [7_680_000, 15_360_000, RATE, 61_440_000])
@pytest.mark.parametrize("off_mhz", [-60, -35, -25, -20, 20, 25, 35, 60])
def test_nothing_from_outside_the_band_folds_into_it(rate_hz: int, off_mhz: int) -> None:
    samples = rate_hz // 200
    rails = np.random.default_rng(3).normal(0, 4000, (samples, 2)).astype(np.int16)
    emission = Emission(
        station="away", iq=rails, start_ns=0, end_ns=5_000_000, center_hz=CENTER + off_mhz * 1_000_000,
        sample_rate_hz=rate_hz, attenuation_mdb=0,
    )  # fmt: skip
    near = replace(AWAY, lat_deg=37.0005, hardware=replace(CLEAN, tx_full_dbm=70.0))
    air = Air(replace(CONFIG, stations=(HOME, near)))
    settings = replace(ANALOGUE, gain_mdb=0)
    heard = air.receive(station="home", settings=settings, start_ns=1_000_000, samples=61_440, emissions=[emission])
    # Its white spectrum ends at its own Nyquist edges; the filters' slopes take 6 % of its rate around them.
    slope = 0.06 * rate_hz
    low, high = off_mhz * 1e6 - rate_hz / 2, off_mhz * 1e6 + rate_hz / 2
    clear = (-9e6, min(9e6, low - slope)) if off_mhz > 0 else (max(-9e6, high + slope), 9e6)
    if clear[1] <= clear[0] + 1e6:
        return
    strength = 10 * np.log10(2 * 4000**2 / CLEAN.tx_full_scale**2) + 70
    away_m = distance_m(HOME.position, near.position)
    received = strength + 7 - loss_db(away_m, emission.center_hz, model=CONFIG.propagation)
    per_hz = received - 10 * np.log10(rate_hz)
    assert band_dbm(heard, settings, *clear) < per_hz + 10 * np.log10(clear[1] - clear[0]) - 40


def test_an_emission_in_another_band_changes_no_byte() -> None:
    air = Air(CONFIG)
    quiet = air.receive(station="home", settings=ANALOGUE, start_ns=0, samples=5000)
    far = ofdm_emission(center_hz=CENTER + 100_000_000)
    heard = air.receive(station="home", settings=ANALOGUE, start_ns=0, samples=5000, emissions=[far])
    assert heard.tobytes() == quiet.tobytes()


def test_an_emission_is_heard_when_it_is_on_and_not_a_microsecond_longer() -> None:
    late_ns = round(distance_m(HOME.position, AWAY.position) / 299_792_458 * 1e9)
    emission = replace(ofdm_emission(start_ns=1_000_000), end_ns=2_000_000)  # cut after 1 of 5 ms
    look = Air(CONFIG).receive(
        station="home", settings=WIDE, start_ns=0, samples=3 * RATE // 1000, emissions=[emission]
    )
    silent = Air(CONFIG).receive(station="home", settings=WIDE, start_ns=0, samples=3 * RATE // 1000)
    changed = np.flatnonzero((look != silent).any(axis=1)) / RATE * 1e9
    assert changed[0] == pytest.approx(1_000_000 + late_ns, abs=1500)  # the burst's own ramp
    assert changed[-1] == pytest.approx(2_000_000 + late_ns, abs=200)


def test_full_scale_clips_on_both_rails_and_only_then() -> None:
    hardware = replace(CLEAN, adc_bits=12)
    home = replace(HOME, hardware=hardware)
    carrier = Emitter(
        name="cw", kind="fm", lat_deg=37.001, lon_deg=-76.0, eirp_dbm=30.0, center_hz=CENTER + 2_000_000,
        params={"deviation_hz": 1.0},
    )  # fmt: skip
    air = Air(replace(CONFIG, stations=(home,), emitters=(carrier,)))
    at_port = air.level_dbm(station="home", emitter="cw")
    for over_db, clips in ((-3.0, False), (6.0, True)):
        gain = round((over_db - at_port) * 1000)
        look = air.receive(station="home", settings=replace(WIDE, gain_mdb=gain), start_ns=0, samples=20_000)
        assert bool(look.max() == 2047 and look.min() == -2048) is clips
        assert look.max() <= 2047
        if not clips:
            assert np.abs(as_complex(look)).max() == pytest.approx(2048 * 10 ** (over_db / 20), rel=0.03)


def test_own_transmission_leaks_in_by_the_isolation() -> None:
    home = replace(HOME, hardware=replace(CLEAN, isolation_db=55.0))
    emission = replace(ofdm_emission(), station="home")
    look = Air(replace(CONFIG, stations=(home, AWAY))).receive(
        station="home", settings=ANALOGUE, start_ns=1_000_000, samples=61_440, emissions=[emission]
    )
    assert band_dbm(look, ANALOGUE, -9.6e6, -0.4e6) == pytest.approx(20 - 12 - 55, abs=0.2)


def test_a_leaking_oscillator_is_a_carrier_at_its_centre() -> None:
    near = replace(AWAY, lat_deg=37.0005)
    tone = Tone(station="away", start_ns=0, end_ns=NS, center_hz=CENTER + 3_000_000, attenuation_mdb=0)
    config = replace(CONFIG, stations=(HOME, near))
    look = Air(config).receive(station="home", settings=ANALOGUE, start_ns=0, samples=30_720, tones=[tone])
    away_m = distance_m(HOME.position, near.position)
    expected = 20 - 50 + 7 - loss_db(away_m, tone.center_hz, model=config.propagation)
    assert band_dbm(look, ANALOGUE, 2.99e6, 3.01e6) == pytest.approx(expected, abs=0.3)


def test_dc_offset_and_image_are_as_configured() -> None:
    hardware = replace(CLEAN, dc_offset_dbfs=-40.0, iq_image_db=-30.0)
    carrier = Emitter(
        name="cw", kind="fm", lat_deg=37.001, lon_deg=-76.0, eirp_dbm=30.0, center_hz=CENTER + 2_000_000,
        params={"deviation_hz": 1.0},
    )  # fmt: skip
    air = Air(replace(CONFIG, stations=(replace(HOME, hardware=hardware),), emitters=(carrier,)))
    settings = replace(WIDE, gain_mdb=round((-3 - air.level_dbm(station="home", emitter="cw")) * 1000))
    look = air.receive(station="home", settings=settings, start_ns=0, samples=30_720)
    at_full_scale = hardware.rx_full_scale_dbm - settings.gain_mdb / 1000
    assert band_dbm(look, settings, -5e3, 5e3) == pytest.approx(at_full_scale - 40, abs=0.3)
    signal = band_dbm(look, settings, 1.99e6, 2.01e6)
    assert signal == pytest.approx(at_full_scale - 3, abs=0.1)
    assert band_dbm(look, settings, -2.01e6, -1.99e6) == pytest.approx(signal - 30, abs=0.5)


RADAR = Emitter(
    name="radar", kind="radar", lat_deg=37.004, lon_deg=-76.01, eirp_dbm=40.0, center_hz=CENTER - 5_000_000,
    start_s=2.0, stop_s=4.0,
    params={"radar_class": "P0N#1", "pulse_s": 2e-6, "pulses_per_s": 1000.0, "pulses_per_burst": 20},
)  # fmt: skip


def test_a_radar_pulses_between_its_start_and_stop_at_its_peak_power() -> None:
    config = replace(CONFIG, emitters=(RADAR,), zero_ns=777_000_000)
    air, silent = Air(config), Air(replace(config, emitters=()))
    level = air.level_dbm(station="home", emitter="radar")

    def changed(at_s: float) -> NDArray[np.float64]:
        spans = {
            "station": "home",
            "settings": ANALOGUE,
            "start_ns": 777_000_000 + round(at_s * NS),
            "samples": 122_880,
        }
        with_radar, without = air.receive(**spans), silent.receive(**spans)
        return np.abs(as_complex(with_radar) - as_complex(without))

    for at_s in (1.9, 2.5, 4.0, 5.0):
        assert not changed(at_s).any()
    pulses = changed(2.0)
    peak = 20 * np.log10(np.median(pulses[pulses > pulses.max() / 2]) / CLEAN.rx_full_scale) - 40
    assert peak == pytest.approx(level, abs=0.3)
    edges = np.flatnonzero(np.diff((pulses > pulses.max() / 2).astype(int)) == 1) / RATE
    assert np.diff(edges) == pytest.approx(1e-3, abs=2e-7)
    assert changed(3.0).any()


def test_a_chirp_wider_than_the_receiver_is_heard_only_while_it_crosses() -> None:
    wide = replace(
        RADAR, center_hz=CENTER, start_s=0.0, stop_s=None,
        params={
            "radar_class": "Q3N#3", "pulse_s": 1e-4, "chirp_hz": 1e8, "pulses_per_s": 1000, "pulses_per_burst": 10,
        },
    )  # fmt: skip
    config = replace(CONFIG, emitters=(wide,))
    with_radar = as_complex(Air(config).receive(station="home", settings=ANALOGUE, start_ns=0, samples=8000))
    without = as_complex(Air(CONFIG).receive(station="home", settings=ANALOGUE, start_ns=0, samples=8000))
    heard = np.flatnonzero(np.abs(with_radar - without) > np.abs(with_radar - without).max() / 2) / RATE
    # 100 MHz in 100 us: the 20 MHz pass band is crossed in 20 us around the middle, at 50 us and the delay.
    late_s = distance_m(HOME.position, RADAR.position) / 299_792_458
    assert np.ptp(heard) == pytest.approx(20e-6, rel=0.2)
    assert heard.mean() == pytest.approx(50e-6 + late_s, abs=2e-6)


@pytest.mark.parametrize(
    ("kind", "params", "low", "high"),
    [
        ("ofdm", {}, -4.6e6, 4.6e6),
        ("ofdm", {"bandwidth_hz": 5_000_000, "sample_rate_hz": 7_680_000}, -2.4e6, 2.4e6),
        ("fm", {}, -30e3, 30e3),
    ],
)
def test_every_continuous_emitter_arrives_at_its_mean_power(kind: str, params: dict, low: float, high: float) -> None:
    emitter = Emitter(
        name="e", kind=kind, lat_deg=37.002, lon_deg=-76.0, eirp_dbm=20.0, center_hz=CENTER + 3_000_000, params=params
    )
    air = Air(replace(CONFIG, emitters=(emitter,)))
    look = air.receive(station="home", settings=ANALOGUE, start_ns=5_000_000, samples=61_440)
    found = band_dbm(look, ANALOGUE, low + 3e6, high + 3e6)
    assert found == pytest.approx(air.level_dbm(station="home", emitter="e"), abs=0.4)


@pytest.mark.feature("R4")
def test_a_recording_is_on_the_air_at_its_power(iq_dir) -> None:
    emitter = Emitter(
        name="e", kind="recording", lat_deg=37.002, lon_deg=-76.0, eirp_dbm=20.0, center_hz=CENTER + 3_000_000,
        params={"path": str(iq_dir / "tdlte-1889.9MHz.sigmf-meta")},
    )  # fmt: skip
    air = Air(replace(CONFIG, emitters=(emitter,)))
    looks = [air.receive(station="home", settings=ANALOGUE, start_ns=k * 10_000_000, samples=307_200) for k in range(3)]
    found = 10 * np.log10(np.mean([10 ** (band_dbm(look, ANALOGUE, 2e6, 4e6) / 10) for look in looks]))
    # Unit power over the whole second; 30 ms of it differ by its own traffic.
    assert found == pytest.approx(air.level_dbm(station="home", emitter="e"), abs=2)
