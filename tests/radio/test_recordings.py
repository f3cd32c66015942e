"""Recordings as strangers write them: each is read for what it is, or refused by name in one line."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radio.drivers.replay import ReplayReceiver
from radio.errors import SourceError
from radio.ports import RxFlag
from radio.recording.reader import open_recording

pytestmark = pytest.mark.feature("R4")

RATE = 1_000_000
RAMP = np.arange(40, dtype="<i2").reshape(20, 2)


def header(captures: object = None, annotations: object = None, **about: object) -> dict[str, Any]:
    top = {"core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.2.6"} | about
    first = [{"core:sample_start": 0, "core:frequency": 1e9}]
    return {"global": top, "captures": first if captures is None else captures, "annotations": annotations or []}


def stored(folder: Path, meta: object, data: bytes = RAMP.tobytes(), *, raw: bytes | None = None) -> Path:
    path = folder / "one.sigmf-meta"
    path.write_bytes(json.dumps(meta).encode() if raw is None else raw)
    path.with_suffix(".sigmf-data").write_bytes(data)
    return path


def at(start: int, **more: object) -> dict[str, object]:
    return {"core:sample_start": start, "core:frequency": 1e9} | more


def test_header_bytes_before_each_capture_are_no_samples(tmp_path: Path) -> None:
    data = b"HEAD" + RAMP[:5].tobytes() + b"MIDDLE" + RAMP[5:].tobytes() + b"TRAILER"
    captures = [at(0, **{"core:header_bytes": 4}), at(5, **{"core:header_bytes": 6})]
    found = open_recording(stored(tmp_path, header(captures, **{"core:trailing_bytes": 7}), data))
    np.testing.assert_array_equal(found.read(0, 99), RAMP)
    np.testing.assert_array_equal(found.read(3, 4), RAMP[3:7])
    assert found.samples == 20


def test_what_lies_before_the_first_capture_belongs_to_none(tmp_path: Path) -> None:
    found = open_recording(stored(tmp_path, header([at(6)])))
    np.testing.assert_array_equal(found.read(0, 99), RAMP[6:])
    assert found.samples == 14


def test_a_part_of_a_longer_recording_counts_from_its_offset(tmp_path: Path) -> None:
    found = open_recording(stored(tmp_path, header([at(1000), at(1004)], **{"core:offset": 1000})))
    np.testing.assert_array_equal(found.read(0, 99), RAMP)
    with pytest.raises(SourceError, match="begins before core:offset"):
        open_recording(stored(tmp_path, header([at(0)], **{"core:offset": 1000})))


@pytest.mark.parametrize(
    ("second", "start_ns", "gap"),
    [
        ({"core:datetime": "2026-01-01T00:00:00.000010Z"}, 10_000, False),
        ({"core:datetime": "2026-01-01T00:00:00.500010Z"}, 500_010_000, True),
        ({"core:datetime": "2026-01-01T01:00:03Z"}, 3_603_000_000_000, True),
        ({"core:datetime": "2026-01-01T00:00:00Z"}, 10_000, False),
        ({"core:datetime": "2026-01-01T03:00:00.100+03:00"}, 100_000_000, True),
        ({"core:datetime": "2025-12-31T23:59:00.000000Z"}, 10_000, True),
        ({"core:global_index": 510}, 510_000, True),
        ({"core:global_index": 10}, 10_000, False),
        ({}, 10_000, False),
    ],
)
def test_gaps_between_captures_are_gaps(tmp_path: Path, second: dict[str, object], start_ns: int, gap: bool) -> None:
    captures = [at(0, **{"core:datetime": "2026-01-01T00:00:00.000000Z"}), at(10, **second)]
    found = open_recording(stored(tmp_path, header(captures)))
    later = found.segments[1]
    assert (later.start_ns, later.gap) == (start_ns, gap)
    assert len(found.runs) == 1 + gap
    player = ReplayReceiver(found)
    blocks = [player.receive(20) for _ in found.runs]
    assert sum(len(b.iq) for b in blocks) == 20
    if gap:
        assert blocks[1].start.earliest_ns == start_ns
        assert RxFlag.SHORT in blocks[0].flags
        assert RxFlag.GAP in blocks[1].flags


def test_a_data_file_of_any_name_is_read(tmp_path: Path) -> None:
    path = stored(tmp_path, header([at(0, **{"core:header_bytes": 44})], **{"core:dataset": "tape 7.wav"}))
    (tmp_path / "tape 7.wav").write_bytes(bytes(44) + RAMP.tobytes())
    path.with_suffix(".sigmf-data").unlink()
    np.testing.assert_array_equal(open_recording(path).read(0, 99), RAMP)


def test_one_of_several_interleaved_channels(tmp_path: Path) -> None:
    both = np.stack([RAMP, -RAMP], axis=1)
    path = stored(tmp_path, header(**{"core:num_channels": 2}), both.tobytes())
    second = open_recording(path.with_name(path.name + "#2"))
    np.testing.assert_array_equal(second.read(0, 99), -RAMP)
    np.testing.assert_array_equal(second.read(7, 3), -RAMP[7:10])
    with pytest.raises(SourceError, match="choose one as"):
        open_recording(path)
    with pytest.raises(SourceError, match="has no channel 3"):
        open_recording(path.with_name(path.name + "#3"))


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("cf32_be", ">f4"), ("cf64_le", "<f8"), ("cf64_be", ">f8"), ("ci32_le", "<i4"), ("ci32_be", ">i4"),
        ("cu16_le", "<u2"), ("cu16_be", ">u2"), ("cu32_be", ">u4"), ("ci16_be", ">i2"), ("ci8", "i1"), ("cu8", "u1"),
    ],
)  # fmt: skip
def test_every_complex_type_keeps_its_levels(tmp_path: Path, name: str, component: str) -> None:
    kind = np.dtype(component)
    wave = np.stack([np.cos(np.arange(64) * 0.3), np.sin(np.arange(64) * 0.3)], axis=1) * 0.5
    if kind.kind == "f":
        data = wave.astype(kind)
    else:
        span = np.iinfo(kind)
        middle = (span.max + span.min) / 2 if kind.kind == "u" else 0
        data = np.rint(wave * (span.max - middle) + middle).astype(kind)
    found = open_recording(stored(tmp_path, header(**{"core:datatype": name}), data.tobytes()))
    got = found.read(0, 64)
    z = got if got.dtype == np.complex64 else got[:, 0] + 1j * got[:, 1]
    assert np.allclose(z / found.full_scale, wave[:, 0] + 1j * wave[:, 1], atol=0.012)


def test_upper_case_hashes_hold(tmp_path: Path) -> None:
    digest = hashlib.sha512(RAMP.tobytes()).hexdigest().upper()
    assert open_recording(stored(tmp_path, header(**{"core:sha512": digest}))).samples == 20


ODD: dict[str, dict[str, Any]] = {
    "rate as text": {"core:sample_rate": "1000000"},
    "rate Infinity": {"core:sample_rate": float("inf")},
    "rate NaN": {"core:sample_rate": float("nan")},
    "rate negative": {"core:sample_rate": -1.0},
    "rate 0": {"core:sample_rate": 0},
    "rate null": {"core:sample_rate": None},
    "rate true": {"core:sample_rate": True},
    "rate a list": {"core:sample_rate": [1]},
    "rate huge": {"core:sample_rate": 10**400},
    "rate tiny": {"core:sample_rate": 1e-300},
    "type a list": {"core:datatype": ["ci16_le"]},
    "type null": {"core:datatype": None},
    "type real": {"core:datatype": "ri16_le"},
    "type of no order": {"core:datatype": "ci16"},
    "type unknown": {"core:datatype": "cf16_le"},
    "type with a tail": {"core:datatype": "ci16_le\n"},
    "channels 0": {"core:num_channels": 0},
    "channels text": {"core:num_channels": "2"},
    "channels huge": {"core:num_channels": 2**62},
    "hash a number": {"core:sha512": 7},
    "hash short": {"core:sha512": "abcd"},
    "dataset a path": {"core:dataset": "../../etc/passwd"},
    "dataset absolute": {"core:dataset": "/etc/passwd"},
    "dataset dots": {"core:dataset": ".."},
    "dataset zero byte": {"core:dataset": "a\0b"},
    "dataset a list": {"core:dataset": ["a"]},
    "trailing negative": {"core:trailing_bytes": -4},
    "trailing all": {"core:trailing_bytes": 80},
    "offset text": {"core:offset": "x"},
    "full scale text": {"bandpact:full_scale": "2048"},
    "full scale NaN": {"bandpact:full_scale": float("nan")},
    "place a text": {"core:geolocation": "here"},
    "place a line": {"core:geolocation": {"type": "Point", "coordinates": ["a", "b"]}},
    "description a number": {"core:description": 7},
    "metadata only text": {"core:metadata_only": "yes"},
}
ODD_CAPTURES: dict[str, Any] = {
    "an object": {"core:sample_start": 0},
    "a text": "none",
    "of texts": ["a"],
    "of nulls": [None],
    "no start": [{"core:frequency": 1e9}],
    "start negative": [at(-1)],
    "start text": [at(0) | {"core:sample_start": "0"}],
    "start huge": [at(2**70)],
    "start half": [at(0) | {"core:sample_start": 0.5}],
    "start beyond": [at(20)],
    "out of order": [at(5), at(0)],
    "frequency text": [at(0) | {"core:frequency": "1 GHz"}],
    "frequency NaN": [at(0) | {"core:frequency": float("nan")}],
    "time text": [at(0, **{"core:datetime": "yesterday"})],
    "time a number": [at(0, **{"core:datetime": 1_700_000_000})],
    "time of no day": [at(0, **{"core:datetime": "2026-02-30T00:00:00Z"})],
    "header text": [at(0, **{"core:header_bytes": "4"})],
    "header huge": [at(0, **{"core:header_bytes": 2**62})],
    "gain text": [at(0, **{"ntia-sensor:sigan_settings": {"gain": "high"}})],
    "settings a list": [at(0, **{"ntia-sensor:sigan_settings": [1]})],
}


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        open_recording(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 400
    assert ";" in line
    return line


@pytest.mark.parametrize("name", ODD)
def test_every_odd_global_field_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    line = refused(stored(tmp_path, header(**ODD[name])))
    field = next(iter(ODD[name]))
    assert field in line or "no whole number of samples" in line


@pytest.mark.parametrize("name", ODD_CAPTURES)
def test_every_odd_capture_is_refused(tmp_path: Path, name: str) -> None:
    refused(stored(tmp_path, header(ODD_CAPTURES[name])))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e400}}', "core:sample_rate is inf"),
        (b'{"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:sample_rate": 2e6}}', "twice"),
        (b'{"global": {"core:datatype": "ci16_le", "core:sample_rate": ' + b"9" * 5000 + b"}}", "not valid JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"", "not valid JSON"),
        (b"null", "no SigMF global object"),
        (b'{"global": []}', "no SigMF global object"),
        (b'{"global": {}, "\\ud800": 1}', "core:datatype"),
    ],
)
def test_what_is_no_metadata_is_refused(tmp_path: Path, raw: bytes, why: str) -> None:
    assert why in refused(stored(tmp_path, None, raw=raw))


def test_a_stranger_who_writes_less_is_read(tmp_path: Path) -> None:
    raw = b'\xef\xbb\xbf{"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6}}'
    found = open_recording(stored(tmp_path, None, raw=raw))
    assert (found.samples, found.center_hz, found.datetime) == (20, 0.0, None)
    annotated = {"core:sample_start": 0, "core:comment": float("nan"), "snr": float("inf")}
    assert open_recording(stored(tmp_path, header(None, [annotated]))).samples == 20
    assert open_recording(stored(tmp_path, header([at(0, **{"core:datetime": None})]))).datetime is None


def test_files_that_are_none(tmp_path: Path) -> None:
    path = stored(tmp_path, header())
    data = path.with_suffix(".sigmf-data")
    data.unlink()
    assert "samples are missing" in refused(path)
    os.mkfifo(data)
    assert "no plain file" in refused(path)
    data.unlink()
    data.mkdir()
    assert "no plain file" in refused(path)
    odd = tmp_path / "fifo.sigmf-meta"
    os.mkfifo(odd)
    assert "no plain file" in refused(odd)


def test_metadata_without_samples_says_so(tmp_path: Path) -> None:
    path = stored(tmp_path, header(**{"core:metadata_only": True}))
    path.with_suffix(".sigmf-data").unlink()
    assert "metadata only" in refused(path)


def archive(path: Path, *members: tuple[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if change is not None:
                change(info)
            tar.addfile(info, io.BytesIO(data))
    return path


META, DATA = ("one/one.sigmf-meta", json.dumps(header()).encode()), ("one/one.sigmf-data", RAMP.tobytes())


def test_an_archive_is_read_in_place(tmp_path: Path) -> None:
    found = open_recording(archive(tmp_path / "one.sigmf", META, DATA))
    np.testing.assert_array_equal(found.read(0, 99), RAMP)
    np.testing.assert_array_equal(found.read(5, 3), RAMP[5:8])
    assert [p.name for p in tmp_path.iterdir()] == ["one.sigmf"]
    hashed = header(**{"core:sha512": hashlib.sha512(RAMP.tobytes()).hexdigest()})
    assert open_recording(archive(tmp_path / "b.sigmf", DATA, (META[0], json.dumps(hashed).encode()))).samples == 20


def _link(info: tarfile.TarInfo) -> None:
    if info.name.endswith("data"):
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0


@pytest.mark.parametrize(
    ("members", "change", "why"),
    [
        ((META,), None, "are missing in it"),
        ((DATA,), None, "holds 0 recordings"),
        ((META, DATA, ("two.sigmf-meta", b"{}")), None, "holds 2 recordings"),
        ((META, DATA), _link, "is a link"),
        ((("../one.sigmf-meta", META[1]), DATA), None, "points out of the archive"),
        ((("/tmp/one.sigmf-meta", META[1]), DATA), None, "points out of the archive"),
        ((META, DATA, DATA), None, "is in it twice"),
    ],
)
def test_odd_archives_are_refused(tmp_path: Path, members: Any, change: Any, why: str) -> None:
    assert why in refused(archive(tmp_path / "one.sigmf", *members, change=change))


def test_broken_archives_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "one.sigmf", META, DATA)
    whole = path.read_bytes()
    for cut in (0, 100, 511, 700, 1024):
        path.write_bytes(whole[:cut])
        refused(path)
    path.write_bytes(b"no tar at all" * 500)
    assert "no SigMF archive" in refused(path)
    path.write_bytes(gzip.compress(whole))
    refused(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
GLOBAL = st.sampled_from(
    ["core:datatype", "core:sample_rate", "core:num_channels", "core:offset", "core:trailing_bytes", "core:sha512",
     "core:dataset", "core:metadata_only", "core:geolocation", "core:hw", "bandpact:full_scale"]
)  # fmt: skip
CAPTURE = st.sampled_from(
    ["core:sample_start", "core:frequency", "core:datetime", "core:header_bytes", "core:global_index",
     "core:geolocation", "ntia-sensor:overload", "ntia-sensor:sigan_settings", "bandpact:time_bound_s"]
)  # fmt: skip
TYPES = st.sampled_from(["ci16_le", "cf32_le", "cf64_be", "cu8", "cu32_le", "ri16_le"])


def opened(path: Path) -> None:
    """Open and read from end to end, or be refused in one line."""
    refusal = ""
    try:
        found = open_recording(path)
    except SourceError as exc:
        refusal = str(exc)
    if refusal:
        assert refusal.isprintable()
        assert ";" in refusal
        return
    assert len(found.read(0, found.samples + 5)) == found.samples
    assert sum(run.samples for run in found.runs) == found.samples


@settings(max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    about=st.dictionaries(GLOBAL, JSON, max_size=2),
    captures=st.lists(st.dictionaries(CAPTURE, JSON | st.integers(0, 30), max_size=3), max_size=3) | JSON,
    starts=st.lists(st.integers(0, 25), max_size=3),
    kind=TYPES,
    length=st.integers(0, 90),
)
def test_any_metadata_is_read_or_refused_in_one_line(
    tmp_path: Path, about: dict[str, Any], captures: Any, starts: list[int], kind: str, length: int
) -> None:
    if isinstance(captures, list):
        pairs = zip(captures, sorted(starts) + [0] * 3, strict=False)
        captures = [{"core:sample_start": s} | one if isinstance(one, dict) else one for one, s in pairs]
    meta = header(captures, **({"core:datatype": kind} | about))
    opened(stored(tmp_path, meta, bytes(range(length))))


@settings(max_examples=120, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoiled=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=6), cut=st.integers(0, 6000))
def test_any_archive_is_read_or_refused_in_one_line(tmp_path: Path, spoiled: list[tuple[int, int]], cut: int) -> None:
    path = archive(tmp_path / "one.sigmf", META, DATA)
    raw = bytearray(path.read_bytes())
    for place, value in spoiled:
        raw[place % len(raw)] = value
    path.write_bytes(bytes(raw[: len(raw) if cut > 4096 else cut]))
    opened(path)


@pytest.mark.attack(69)
def test_an_archives_extended_header_takes_no_longer_than_it_is_long(tmp_path: Path) -> None:
    """`tarfile` looks for a word in it in a time that grows with its square: 10 MB would take most of a day."""
    size = 100_000
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, size
    path = tmp_path / "long.sigmf"
    path.write_bytes(member.tobuf(tarfile.USTAR_FORMAT) + b"1" * size + b"\0" * (-size % 512 + 1024))
    began_s = time.process_time()
    with pytest.raises(SourceError, match="extended headers"):
        open_recording(path)
    assert time.process_time() - began_s < 1.0


@pytest.mark.attack(69)
def test_an_archive_with_short_extended_headers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.sigmf"
    meta = json.dumps({"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.0.0"}})
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 1000}) as tar:
        for name, data in (("r/r.sigmf-meta", meta.encode()), ("r/r.sigmf-data", bytes(4096))):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1.5
            tar.addfile(member, io.BytesIO(data))
    open_recording(path)


@pytest.mark.attack(69)
def test_a_key_that_is_there_twice_is_found_at_once_among_many(tmp_path: Path) -> None:
    many = ",".join(f'"k{number}":0' for number in range(50_000))
    path = tmp_path / "r.sigmf-meta"
    path.write_text('{"global":{' + many + ',"k49999":0}}')
    began_s = time.process_time()
    with pytest.raises(SourceError, match="'k49999' is there twice"):
        open_recording(path)
    assert time.process_time() - began_s < 2.0


@pytest.mark.attack(69)
@pytest.mark.parametrize("part", ["{}", "[]"])
def test_metadata_of_very_many_parts_is_not_taken_apart(tmp_path: Path, part: str) -> None:
    """4 MiB of them took 196 MiB and two seconds; a file may have 64 MiB."""
    path = tmp_path / "r.sigmf-meta"
    path.write_text('{"global":{},"annotations":[' + f"{part}," * 1_000_001 + part + "]}")
    began_s = time.process_time()
    with pytest.raises(SourceError, match="more than 1000000 objects"):
        open_recording(path)
    assert time.process_time() - began_s < 0.5
