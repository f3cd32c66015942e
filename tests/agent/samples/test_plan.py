"""`[samples]`: what may be configured, how wrong is said, and where in the look plan a program's samples go."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.config.samples import SamplesSection
from agent.config.settings import ConfigError, NodeConfig, load
from agent.samples.doorcheck import looked_at
from agent.samples.plan import AFTER_LOOK_US, BEFORE_LOOK_US, LATE_US, door_plan, slots_of
from tests.agent.samples.nodes import node_config

pytestmark = pytest.mark.feature("R11")

WRONG = [
    ({"transmit": "tcp://0.0.0.0:5000"}, "other hosts reach it"),
    ({"receive": "tcp://*:5000"}, "no address|other hosts"),
    ({"transmit": "tcp://192.0.2.1:5000"}, "other hosts reach it"),
    ({"transmit": "tcp://127.0.0.1:70000"}, "port 70000"),
    ({"transmit": "udp://127.0.0.1:5000"}, "no address of a socket"),
    ({"transmit": "ipc://relative"}, "no address of a socket"),
    ({"transmit": "ipc:///" + "x" * 100}, "90 bytes"),
    ({"transmit": "ipc:///a", "receive": "ipc:///a"}, "its own"),
    ({"receive": "ipc:///a", "status": "ipc:///a"}, "its own"),
    ({"status": "tcp://192.0.2.1:1"}, "other hosts reach it"),
    ({"source": "program", "transmit": "off", "receive": "off"}, "neither direction"),
    ({"source": "noise"}, "'none', 'ofdm' or 'program'"),
    ({"transmit_by": "pub"}, "'req' or 'pull'"),
    ({"receive_by": "pub"}, "'rep' or 'push'"),
    ({"sample_rate_hz": 10}, "greater than or equal to 1000"),
    ({"rate": 10}, "Extra inputs"),
]


@pytest.mark.parametrize(("table", "said"), WRONG)
def test_what_is_wrong_is_said_with_the_key(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SamplesSection(**table)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5000", "tcp://localhost:5000", "tcp://[::1]:5000", "ipc:///a/b"])
def test_loopback_and_unix_sockets_need_no_more(endpoint: str) -> None:
    assert SamplesSection(source="program", transmit=endpoint).transmit == endpoint


def test_other_hosts_need_a_word_of_their_own() -> None:
    assert SamplesSection(source="program", transmit="tcp://192.0.2.1:5000", elsewhere=True).elsewhere


def test_the_file_and_the_line_are_named(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(node_config(tmp_path, '[samples]\nsource = "program"\ntransmit = "tcp://0.0.0.0:1"\n'))
    with pytest.raises(ConfigError, match=r"node\.toml:\d+: samples: .*other hosts reach it"):
        load(path)


def loaded(tmp_path: Path, samples: str, radio: str = "") -> NodeConfig:
    path = tmp_path / "node.toml"
    path.write_text(node_config(tmp_path, samples, radio))
    return load(path)


def test_without_a_program_there_is_no_door(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert config.samples.source == "none"
    assert door_plan(config) is None
    assert looked_at(config) is None


def test_the_usual_sockets_lie_in_the_run_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    config = loaded(tmp_path, '[samples]\nsource = "program"\n')
    plan = door_plan(config)
    assert plan is not None
    assert (plan.transmit, plan.receive) == (f"ipc://{tmp_path}/run/program-tx", f"ipc://{tmp_path}/run/program-rx")
    assert plan.program_hz == plan.radio_hz == config.radio.sample_rate_hz
    found = looked_at(config)
    assert found is not None
    assert found.kind == "well"
    assert "MS/s" in found.said


def test_a_rate_without_a_ratio_is_refused_with_the_bound(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[samples]\nsource = "program"\nsample_rate_hz = 3999999\n')
    with pytest.raises(ConfigError, match=r"samples\.sample_rate_hz: 3999999 S/s .* 1024"):
        door_plan(config)
    found = looked_at(config)
    assert found is not None
    assert found.kind == "fault"


def test_a_frame_without_room_is_refused_with_the_mend(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[samples]\nsource = "program"\n', radio="frame_us = 11000\nlook_us = 3000\n")
    with pytest.raises(ConfigError, match="raise frame_us"):
        door_plan(config)


def test_the_doctor_sees_a_file_in_the_sockets_place(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "program-rx").write_text("mine")
    found = looked_at(loaded(tmp_path, '[samples]\nsource = "program"\n'))
    assert found is not None
    assert (found.kind, "no socket" in found.said) == ("fault", True)
    assert found.mend == "free that address, or set samples.receive to another"


def test_the_run_folder_of_a_node_that_never_ran_is_no_fault(tmp_path: Path) -> None:
    """The node makes it when it starts; any other folder has to be there."""
    found = looked_at(loaded(tmp_path, '[samples]\nsource = "program"\n'))
    assert found is not None
    assert found.kind == "well"
    elsewhere = looked_at(loaded(tmp_path, f'[samples]\nsource = "program"\nreceive = "ipc://{tmp_path}/no/rx"\n'))
    assert elsewhere is not None
    assert (elsewhere.kind, "no folder" in elsewhere.said) == ("fault", True)


RADIOS = st.tuples(
    st.integers(15_000, 200_000), st.integers(1, 4), st.integers(0, 14_000), st.integers(0, 2_000),
    st.integers(500, 3_000), st.integers(600, 100_000),
)  # fmt: skip


@given(RADIOS, st.sampled_from([0, 10_000]))
def test_a_slot_never_reaches_a_look(radio: tuple[int, ...], guard_us: int) -> None:
    class Radio:
        frame_us, look_every, look_offset_us, look_dither_us, look_us, burst_us = radio

    try:
        slots = slots_of(Radio, guard_us)  # type: ignore[arg-type]
    except ConfigError:
        return
    period = Radio.frame_us * Radio.look_every
    assert slots.period_ns == period * 1000
    begin = slots.offset_ns // 1000
    end = begin + slots.length_ns // 1000 + LATE_US + guard_us
    for turn in (-period, 0, period):
        look_begin = Radio.look_offset_us + turn
        look_end = look_begin + Radio.look_dither_us + Radio.look_us
        assert end + BEFORE_LOOK_US <= look_begin or begin >= look_end + AFTER_LOOK_US
    at_ns = slots.after(12_345_678_901)
    assert 0 <= at_ns - 12_345_678_901 < slots.period_ns
    assert at_ns % slots.period_ns == slots.offset_ns
