"""Recordings are read as they are, replayed through the port, and refused in one line when they are broken."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from radio.drivers.replay import ReplayReceiver
from radio.errors import EndOfRecording, SettingRefused, SourceError
from radio.ports import Receiver, RxFlag
from radio.recording.reader import open_recording

RATE = 1_000_000


def written(folder: Path, data: np.ndarray, datatype: str, **extra: object) -> Path:
    meta = folder / "one.sigmf-meta"
    about = {"core:datatype": datatype, "core:sample_rate": RATE, "core:version": "1.2.6"} | extra
    captures = [{"core:sample_start": 0, "core:frequency": 3_555_000_000}]
    meta.write_text(json.dumps({"global": about, "captures": captures, "annotations": []}))
    meta.with_suffix(".sigmf-data").write_bytes(data.tobytes())
    return meta


@pytest.mark.feature("R4")
@pytest.mark.parametrize(
    ("datatype", "data", "expected", "full_scale"),
    [
        ("cu8", np.array([[0, 255], [128, 127]], "u1"), [[-255, 255], [1, -1]], 255),
        ("ci8", np.array([[-128, 127]], "i1"), [[-128, 127]], 128),
        ("ci16_le", np.array([[-5, 300]], "<i2"), [[-5, 300]], 32768),
        ("ci16_be", np.array([[-5, 300]], ">i2"), [[-5, 300]], 32768),
    ],
)
def test_integer_types(tmp_path: Path, datatype: str, data: np.ndarray, expected: list, full_scale: float) -> None:
    recording = open_recording(written(tmp_path, data, datatype))
    np.testing.assert_array_equal(recording.read(0, 10), expected)
    assert recording.full_scale == full_scale
    assert recording.center_hz == 3_555_000_000


@pytest.mark.feature("R4")
def test_floats_keep_what_is_no_number_and_replay_marks_it(tmp_path: Path) -> None:
    data = np.array([[0.5, -0.25], [np.nan, 0.0], [2.0, 0.0]], "<f4")
    recording = open_recording(written(tmp_path, data, "cf32_le"))
    assert np.isnan(recording.read(0, 3)[1])
    block = ReplayReceiver(recording).receive(3)
    np.testing.assert_array_equal(block.iq, [[16384, -8192], [0, 0], [32767, 0]])
    assert RxFlag.GAP in block.flags
    assert RxFlag.CLIPPED in block.flags


@pytest.mark.feature("R4")
def test_replay_is_a_receiver_that_ends(tmp_path: Path) -> None:
    data = np.arange(20, dtype="<i2").reshape(10, 2)
    player: Receiver = ReplayReceiver(open_recording(written(tmp_path, data, "ci16_le")), start_ns=5_000)
    first, last = player.receive(6), player.receive(6)
    assert first.start.earliest_ns == 5_000
    assert last.start.earliest_ns == 5_000 + 6_000
    assert len(last.iq) == 4
    assert RxFlag.SHORT in last.flags
    assert not first.iq.flags.writeable
    assert [first.sequence, last.sequence] == [0, 1]
    with pytest.raises(EndOfRecording, match="all 10 samples"):
        player.receive(1)


def test_replay_has_one_setting(tmp_path: Path) -> None:
    player = ReplayReceiver(open_recording(written(tmp_path, np.zeros((4, 2), "<i2"), "ci16_le")))
    assert player.tune_rx(player.settings) == player.settings
    other = type(player.settings)(center_hz=1, sample_rate_hz=RATE, bandwidth_hz=RATE, gain_mdb=0)
    with pytest.raises(SettingRefused, match="tune to these"):
        player.tune_rx(other)


def test_checksum_holds_or_the_recording_is_refused(tmp_path: Path) -> None:
    data = np.ones((4, 2), "<i2")
    good = hashlib.sha512(data.tobytes()).hexdigest()
    assert open_recording(written(tmp_path, data, "ci16_le", **{"core:sha512": good})).samples == 4
    with pytest.raises(SourceError, match="truncated or changed"):
        open_recording(written(tmp_path, data[:3], "ci16_le", **{"core:sha512": good}))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"core:datatype": "ri16_le"}, "is not known here; convert it"),
        ({"core:sample_rate": 0}, "core:sample_rate is 0"),
        ({"core:sample_rate": "fast"}, "core:sample_rate is 'fast'"),
        ({"core:num_channels": 2}, "split it into single channels"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path: Path, extra: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_recording(written(tmp_path, np.ones((4, 2), "<i2"), "ci16_le", **extra))


def test_files_that_are_missing_or_broken(tmp_path: Path) -> None:
    meta = written(tmp_path, np.ones((4, 2), "<i2"), "ci16_le")
    data = meta.with_suffix(".sigmf-data")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(SourceError, match="no whole number of samples"):
        open_recording(meta)
    data.unlink()
    with pytest.raises(SourceError, match="the samples are missing"):
        open_recording(meta)
    meta.write_text("{")
    with pytest.raises(SourceError, match="not valid JSON"):
        open_recording(meta)
    with pytest.raises(SourceError, match="no such recording"):
        open_recording(tmp_path / "none.sigmf-meta")
    with pytest.raises(SourceError, match="not valid JSON"):
        open_recording(data)
    with pytest.raises(SourceError, match=r"name its \.sigmf-meta"):
        open_recording(tmp_path / "one.wav")
