"""Products against closed forms, and as files that NTIA's namespaces describe."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sigmf
import typer
from typer.testing import CliRunner, Result

from agent.cli.record import record
from agent.cli.sense import sense
from sensing.products import APD_LOW_DB, DETECTORS, ProductMaker, Products, ProductSettings
from sensing.values import Channel
from sensing.zoom import Zoom, ZoomImpossible

pytestmark = pytest.mark.feature("E8")

APP = typer.Typer()
APP.command()(sense)
APP.command()(record)
RATE = 4_000_000
FULL = 2048.0
CHANNELS = tuple(Channel(low_hz=-1.5e6 + i * 0.5e6, high_hz=-1e6 + i * 0.5e6) for i in range(6))


def noise(samples: int, *, sd: float = 50.0, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(samples) + 1j * rng.standard_normal(samples)) * sd


def pairs(z: np.ndarray) -> np.ndarray:
    return np.rint(np.stack([z.real, z.imag], axis=1)).astype(np.int16)


def made(iq: np.ndarray, *, look: int = 80_000, channels: tuple[Channel, ...] = CHANNELS, **more: Any) -> Products:
    maker = ProductMaker(
        ProductSettings(center_hz=0.0, sample_rate_hz=RATE, full_scale=FULL, channels=channels, dft_size=256)
    )
    for first in range(0, len(iq), look):
        maker.feed(iq[first : first + look], start_ns=round(first * 1e9 / RATE), **more)
    return maker.products()


def db(power: Any) -> Any:
    return 10 * np.log10(power)


DENSITY = db(2 * 50.0**2 / FULL**2 / RATE)


def test_spectra_of_noise_are_those_of_theory() -> None:
    found = made(pairs(noise(800_000))).spectrum
    assert found.dfts == 800_000 // 256
    assert db(found.mean.mean()) == pytest.approx(DENSITY, abs=0.02)
    assert db(found.median.mean()) == pytest.approx(DENSITY + db(np.log(2)), abs=0.06)
    expected = np.log(found.dfts) + 0.5772
    assert db(found.maximum.mean()) == pytest.approx(DENSITY + db(expected), abs=0.25)
    assert found.enbw_hz == pytest.approx(1.5 * RATE / 256)
    assert (found.low_hz, found.step_hz) == (-RATE / 2, RATE / 256)


def test_power_and_amplitudes_of_a_channel_are_those_of_theory() -> None:
    found = made(pairs(noise(800_000)))
    level = DENSITY + db(0.5e6)
    for one in found.channels:
        assert db(one.power_mean.mean()) == pytest.approx(level, abs=0.06)
        levels = APD_LOW_DB + np.arange(len(one.apd_percent))
        theory = 100 * np.exp(-(10.0 ** ((levels - level) / 10)))
        assert np.abs(one.apd_percent - theory).max() < 1.0
        assert one.periodic is not None
        assert one.periodic.shape == (6, 560)
        assert db(one.periodic[DETECTORS.index("mean-of-mean")].mean()) == pytest.approx(level, abs=0.06)
        assert np.all(one.periodic[0] >= one.periodic[1])
        assert np.all(one.periodic[1] >= one.periodic[2])
        assert np.all(np.diff(one.frame_ns) == 10_000_000)


def test_a_signal_is_in_its_channel_and_in_its_part_of_the_frame() -> None:
    t = np.arange(800_000) / RATE
    burst = 400 * np.exp(2j * np.pi * 0.3e6 * t) * ((t % 0.01) < 0.002)
    found = made(pairs(noise(800_000) + burst)).channels
    levels = [float(db(one.power_mean.mean())) for one in found]
    assert levels[3] == pytest.approx(db(400**2 / FULL**2 * 0.2 + 10 ** ((DENSITY + db(0.5e6)) / 10)), abs=0.1)
    assert max(levels[:3] + levels[4:]) < DENSITY + db(0.5e6) + 0.2
    assert found[3].power_max.max() > 400**2 / FULL**2
    assert found[3].periodic is not None
    parts = db(found[3].periodic[DETECTORS.index("mean-of-mean")])
    shift = round((found[3].frame_ns[0] / 1e7 % 1) * 560)
    on = np.roll(parts, shift)
    assert on[5:105].min() > on[120:550].max() + 10


def test_steady_noise_far_outside_a_channel_does_not_reach_it() -> None:
    t = np.arange(400_000) / RATE
    tone = 1500 * np.exp(2j * np.pi * 0.9e6 * t)
    found = made(pairs(noise(400_000, sd=2.0) + tone)).channels
    power = [float(db(one.power_mean.mean())) for one in found]
    assert power[4] == pytest.approx(db(1500**2 / FULL**2), abs=0.05)
    assert power[4] - max(power[:4] + power[5:]) > 45


def test_gaps_are_left_out_and_frames_keep_their_time() -> None:
    iq = pairs(noise(800_000))
    maker = ProductMaker(ProductSettings(center_hz=0.0, sample_rate_hz=RATE, full_scale=FULL, channels=CHANNELS[:1]))
    maker.feed(iq[:200_000], start_ns=0)
    maker.feed(iq[200_000:260_000], start_ns=50_000_000, usable=False)
    maker.feed(iq[260_000:460_000], start_ns=5_000_000_000)
    one = maker.products().channels[0]
    assert maker.products().seconds == pytest.approx(0.1)
    assert list(one.frame_ns // 10_000_000 < 10) == [True] * 4 + [False] * 4
    assert one.frame_ns[4] >= 5_000_000_000


def test_nothing_is_nothing() -> None:
    found = made(np.zeros((0, 2), np.int16))
    assert found.seconds == 0
    assert np.isnan(found.spectrum.mean).all()
    assert found.channels[0].periodic is None
    floats = np.full(8000, np.nan + 1j, np.complex64)
    assert float(made(floats, look=8000).spectrum.mean.max()) <= 2.0**-99


def test_narrow_channels_and_too_narrow_ones() -> None:
    narrow = Zoom(center_hz=0, sample_rate_hz=10e6, channels=[Channel(low_hz=1e6, high_hz=1_012_500)])
    assert 15_625 <= narrow.rate_hz <= 31_250
    with pytest.raises(ZoomImpossible, match="too narrow"):
        Zoom(center_hz=0, sample_rate_hz=60e6, channels=[Channel(low_hz=1e6, high_hz=1_000_100)])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


def stored(folder: Path, iq: np.ndarray) -> Path:
    meta = folder / "one.sigmf-meta"
    about = {"core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.2.6", "bandpact:full_scale": FULL}
    first = {"core:sample_start": 0, "core:frequency": 3.55e9, "core:datetime": "2026-01-01T00:00:00Z"}
    meta.write_text(json.dumps({"global": about, "captures": [first], "annotations": []}))
    meta.with_suffix(".sigmf-data").write_bytes(iq.astype("<i2").tobytes())
    return meta


@pytest.mark.parametrize("name", ["made", "made.sigmf", "made.json"])
def test_products_are_files_that_describe_themselves(tmp_path: Path, name: str) -> None:
    path = stored(tmp_path, pairs(noise(400_000)))
    width = ("--channel-width", "1MHz")
    result = run("sense", f"file:{path}", *width, "--products", str(tmp_path / name))
    assert result.exit_code == 0, result.stderr
    assert "Written to" in result.stdout
    if name.endswith(".json"):
        (tuning,) = json.loads((tmp_path / name).read_text())["tunings"]
        held = {one["name"]: one for one in tuning["products"]}
        mean = held["power_spectral_density"]["values"]["mean"]
        assert np.mean(mean) == pytest.approx(DENSITY, abs=0.3)
        return
    written = tmp_path / (name if name.endswith(".sigmf") else f"{name}.sigmf-meta")
    opener = sigmf.sigmffile.fromarchive if name.endswith(".sigmf") else sigmf.sigmffile.fromfile
    found = opener(str(written))
    found.validate()
    about = found.get_global_info()
    products = about["ntia-algorithm:data_products"]
    assert {"ntia-algorithm", "ntia-core", "ntia-sensor"} <= {one["name"] for one in about["core:extensions"]}
    assert [p["name"] for p in products].count("periodic_frame_power") == 3
    assert sum(len(p["series"]) * p["length"] for p in products) == len(found)
    ids = {one["id"] for one in about["ntia-algorithm:processing_info"]}
    assert {i for p in products for i in p["processing"]} <= ids
    values = found.read_samples(0, products[0]["length"] * 3).reshape(3, -1)
    assert values[1].mean() == pytest.approx(DENSITY, abs=0.3)
    assert np.all(values[0] >= values[1])
    assert found.get_captures()[0]["core:datetime"].startswith("2026-01-01T00:00:00")
    again = run("sense", f"file:{path}", "--products", str(tmp_path / name))
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    refused = run("sense", f"file:{written}")
    assert refused.exit_code == 1
    assert "real samples" in refused.stderr
