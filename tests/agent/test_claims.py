"""Settings held against the profile: what it refuses, what it doubts, and that the driver goes by the same ranges."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from agent.config.hardware import hardware_of
from agent.config.settings import ConfigError, NodeConfig, load
from agent.doctor.powered import doubtful
from hw_profiles.loader import load_radio
from radio.drivers.pluto.layout import PlutoOptions, on_rx_steps, on_tx_steps
from radio.errors import SettingRefused
from radio.ports import RxSettings, TxSettings
from tests.agent.test_service import config

pytestmark = pytest.mark.feature("R5")
WIDE = load_radio("pluto-ad9364")
BAND = {"rx_center_hz": 3_555_000_000, "sample_rate_hz": 4_000_000, "rx_bandwidth_hz": 3_000_000}


def node(folder: Path, radio: dict[str, Any], **changes: Any) -> NodeConfig:
    path = folder / "node.toml"
    device = {"driver": "pluto", "uri": "ip:127.0.0.1:1", "simulated": True, "profile": "pluto-ad9363"}
    path.write_text(tomli_w.dumps(config(folder, radio={**device, **BAND, **radio}, **changes)))
    return load(path)


def receive(held: NodeConfig) -> RxSettings:
    radio = held.radio
    return RxSettings(
        center_hz=radio.rx_center_hz, sample_rate_hz=radio.sample_rate_hz, bandwidth_hz=radio.rx_bandwidth_hz,
        gain_mdb=radio.rx_gain_mdb,
    )  # fmt: skip


def test_a_centre_outside_the_bands_of_its_service_is_refused(tmp_path: Path) -> None:
    inside = node(tmp_path, {"limits": "cbrs-a"})
    assert hardware_of(inside.radio, receive(inside))[0].id == "pluto-ad9363"
    outside = node(tmp_path, {"limits": "cbrs-a", "rx_center_hz": 2_450_000_000})
    with pytest.raises(ConfigError, match=r"outside 3550000000 to 3700000000, the bands of cbrs-a \(47 CFR"):
        hardware_of(outside.radio, receive(outside))


def test_less_power_than_leaves_the_connector_is_doubted(tmp_path: Path) -> None:
    assert doubtful(node(tmp_path, {"full_scale_eirp_mdbm": 4_000})) == []
    (claim,) = doubtful(node(tmp_path, {"full_scale_eirp_mdbm": 3_999}))
    assert claim.name == "power"
    assert "at least 4 dBm leaves the connector by ADALM-PLUTO product page" in claim.found
    assert "not verified on a unit" in claim.found


def test_a_rate_that_the_transport_does_not_carry_is_doubted_for_a_program(tmp_path: Path) -> None:
    program = {"samples": {"source": "program"}}
    assert doubtful(node(tmp_path, {}, **program)) == []
    fast = {"sample_rate_hz": 10_000_000}
    assert doubtful(node(tmp_path, fast)) == []
    (claim,) = doubtful(node(tmp_path, fast, **program))
    assert (claim.name, claim.mend) == ("transport", "set sample_rate_hz to 4000000 or less")


def test_a_plutos_limits_of_time_and_size_are_its_profiles() -> None:
    connection = WIDE.connection.model_copy(update={"timeout_ms": 777})
    stream = WIDE.stream.model_copy(update={"kernel_buffers": 3, "max_block": 12})
    options = PlutoOptions.of(WIDE.model_copy(update={"connection": connection, "stream": stream}), burst_samples=5)
    assert (options.timeout_ms, options.kernel_buffers, options.block_samples_max, options.burst_samples) == (
        777,
        3,
        12,
        5,
    )
    mute = WIDE.mute.model_copy(update={"steps": ["hope"]})
    with pytest.raises(SettingRefused, match="this driver mutes by tx_attenuation_max"):
        PlutoOptions.of(WIDE.model_copy(update={"mute": mute}), burst_samples=5)


@given(
    center_hz=st.integers(69_000_000, 6_001_000_000),
    rate_hz=st.integers(520_000, 62_000_000),
    width_hz=st.integers(199_000, 57_000_000),
    gain_db=st.integers(-11, 74),
    quarters=st.integers(0, 360),
)
def test_what_the_profiles_check_accepts_the_driver_accepts(
    center_hz: int, rate_hz: int, width_hz: int, gain_db: int, quarters: int
) -> None:
    common = {"center_hz": center_hz, "sample_rate_hz": rate_hz, "bandwidth_hz": width_hz}
    rx, tx = RxSettings(**common, gain_mdb=1000 * gain_db), TxSettings(**common, attenuation_mdb=250 * quarters)
    if WIDE.check_rx(**common, gain_db=gain_db) is None:
        assert on_rx_steps(rx, WIDE) == rx
    else:
        with pytest.raises(SettingRefused):
            on_rx_steps(rx, WIDE)
    if WIDE.check_tx(**common, attenuation_db=quarters / 4) is None:
        assert on_tx_steps(tx, WIDE) == tx
    else:
        with pytest.raises(SettingRefused):
            on_tx_steps(tx, WIDE)
