"""Tests of recordings as emitters, and the one-line error of a bad one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.errors import SourceError
from sim.emitters import Loop
from sim.recording import load

pytestmark = pytest.mark.feature("R4")

RNG = np.random.default_rng(1)
CODES = {
    "cu8": RNG.integers(0, 256, 4000).astype(np.uint8),
    "ci16_le": RNG.integers(-30_000, 30_000, 4000).astype("<i2"),
    "ci16_be": RNG.integers(-30_000, 30_000, 4000).astype(">i2"),
    "cf32_le": RNG.standard_normal(4000).astype("<f4"),
}


def recording(folder: Path, *, datatype: str = "ci16_le", data: bytes | None = None, **changes: Any) -> Path:
    meta = {
        "global": {"core:datatype": datatype, "core:sample_rate": 2e6, "core:version": "1.2.0", **changes},
        "captures": [{"core:sample_start": 0, "core:frequency": 1.0e9}],
        "annotations": [],
    }
    path = folder / "a.sigmf-meta"
    path.write_text(json.dumps(meta))
    if data is None:
        data = CODES[datatype].tobytes() if datatype in CODES else b"1234"
    (folder / "a.sigmf-data").write_bytes(data)
    return path


@pytest.mark.parametrize("datatype", CODES)
def test_each_datatype_is_read_to_unit_power(tmp_path: Path, datatype: str) -> None:
    found = load(recording(tmp_path, datatype=datatype))
    assert (found.sample_rate_hz, found.center_hz, len(found.iq)) == (2_000_000, 1_000_000_000, 2000)
    assert float(np.mean(np.abs(found.iq.astype(np.complex128)) ** 2)) == pytest.approx(1, rel=1e-5)
    rails = CODES[datatype].astype(np.float64) - (127.5 if datatype == "cu8" else 0)
    expected = rails[0::2] + 1j * rails[1::2]
    scale = found.iq[0] / expected[0]
    assert np.allclose(found.iq, expected * scale, rtol=1e-4, atol=1e-5)
    assert not found.iq.flags.writeable


def test_a_loop_goes_round() -> None:
    iq = np.arange(10).astype(np.complex64)
    read = Loop(iq=iq, rate_hz=1000).reader(1000)
    assert np.array_equal(read(-3, 25), iq[np.arange(-3, 22) % 10])


def damage(name: str, folder: Path) -> Path:
    good = recording(folder)
    match name:
        case "no meta":
            return folder / "b.sigmf-meta"
        case "not meta":
            return folder / "a.wav"
        case "no data":
            (folder / "a.sigmf-data").unlink()
        case "odd bytes":
            (folder / "a.sigmf-data").write_bytes(b"12345")
        case "empty":
            (folder / "a.sigmf-data").write_bytes(b"")
        case "bad json":
            good.write_text("{")
        case "not sigmf":
            good.write_text("[]")
        case "no datatype":
            good.write_text(json.dumps({"global": {"core:version": "1.2.0"}, "captures": [], "annotations": []}))
        case "unknown datatype":
            return recording(folder, datatype="rf32_le")
        case "two channels":
            return recording(folder, **{"core:num_channels": 2})
        case "zeros":
            return recording(folder, data=bytes(400))
        case "nan":
            return recording(folder, datatype="cf32_le", data=np.full(8, np.nan, "<f4").tobytes())
        case "shorter than its hash":
            return recording(folder, **{"core:sha512": "0" * 128})
        case "shorter than an annotation":
            meta = json.loads(good.read_text())
            meta["annotations"] = [{"core:sample_start": 1990, "core:sample_count": 100}]
            good.write_text(json.dumps(meta))
    return good


@pytest.mark.parametrize(
    "name",
    [
        "no meta", "not meta", "no data", "odd bytes", "empty", "bad json", "not sigmf", "no datatype",
        "unknown datatype", "two channels", "zeros", "nan", "shorter than its hash",
        "shorter than an annotation",
    ],
)  # fmt: skip
def test_a_bad_recording_gets_one_line_with_its_file_and_the_mend(tmp_path: Path, name: str) -> None:
    path = damage(name, tmp_path)
    with pytest.raises(SourceError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(tmp_path))
    assert ";" in line


def test_the_recordings_over_the_air_load(iq_dir: Path) -> None:
    found = load(iq_dir / "tdlte-1889.9MHz.sigmf-meta")
    assert (found.sample_rate_hz, len(found.iq)) == (1_920_000, 1_920_000)
    assert load(iq_dir / "modes-1090MHz.sigmf-meta").center_hz == 1_090_000_000
