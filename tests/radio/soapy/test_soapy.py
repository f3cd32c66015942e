"""The Soapy driver beyond the contract: an independent mute, receive-only families, losses, and others' programs."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.settings import ConfigError, load_layers
from hw_profiles.loader import load_radio
from radio.drivers.registry import unit_at
from radio.drivers.soapy import bindings, doubts
from radio.drivers.soapy.section import SoapySection
from radio.errors import HardwareError, LibraryMissing, SettingRefused
from radio.ports import Questioned, RfState, RxFlag
from sim.radio import SimRadio
from tests.agent.realparts import environment, need
from tests.agent.test_service import TUNED, config
from tests.radio.foreign import absent, program
from tests.radio.plutobench import NOISE, RX, TX
from tests.radio.soapy.soapybench import PROFILE, SoapyBench, needs_soapy, soapy_bench

pytestmark = [pytest.mark.feature("R13"), pytest.mark.timeout(120)]
RUN = CliRunner()
ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import sys, time
from hw_profiles.loader import load_radio
from radio.drivers.soapy.radio import SoapyRadio
from tests.radio.plutobench import TX
radio = SoapyRadio(sys.argv[1], profile=load_radio(sys.argv[2]))
radio.tune_tx(TX)
print("on", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[SoapyBench]:
    with soapy_bench() as made:
        yield made


def section(bench: SoapyBench) -> SoapySection:
    found = unit_at(f"soapy:{bench.arguments}")
    assert isinstance(found, SoapySection)
    return found


def test_a_frozen_owner_is_muted_by_another_process(bench: SoapyBench) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, bench.arguments, str(PROFILE)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"on\n"
        owner.send_signal(signal.SIGSTOP)
        assert bench.radiates()
        assert section(bench).rf_state() is RfState.ON
        done = RUN.invoke(app, ["stop", "--uri", f"soapy:{bench.arguments}"])
        assert done.exit_code == 0, done.output
        assert not bench.radiates()
        assert section(bench).rf_state() is RfState.OFF
    finally:
        owner.kill()
        owner.wait()
        owner.stdout and owner.stdout.close()


def test_a_unit_is_called_alike_by_its_section_and_by_its_driver(bench: SoapyBench) -> None:
    radio = bench.radio()
    called = radio.device_id
    radio.close()
    assert section(bench).identity() == called
    assert called.startswith("soapy ")


def test_the_second_handle_mutes_while_the_first_hangs(bench: SoapyBench, monkeypatch: pytest.MonkeyPatch) -> None:
    radio = bench.radio()
    radio.tune_tx(TX)
    assert bench.radiates()

    def hangs(*_: object) -> None:
        raise HardwareError("hangs")

    monkeypatch.setattr(radio._handle, "call", hangs)
    assert radio.mute() is RfState.OFF
    assert not bench.radiates()
    monkeypatch.undo()
    radio.close()


def test_without_an_answer_from_the_second_handle_silence_is_not_claimed(bench: SoapyBench) -> None:
    radio = bench.radio()
    radio.tune_tx(TX)
    assert radio._silencer is not None
    radio._silencer._process.kill()
    radio._silencer._process.wait()
    assert radio.mute() is RfState.UNKNOWN
    radio.tune_tx(TX)
    assert radio.rf_state() is RfState.ON
    radio.close()
    assert not bench.radiates()


def test_a_family_that_one_process_alone_can_have_receives_and_says_why_it_does_not_transmit(bench: SoapyBench) -> None:
    radio = bench.radio()
    bench.bridge.closed = True
    try:
        with pytest.raises(
            SettingRefused, match=r"no second process can have the device to mute it by .*the air is gone"
        ):
            radio.tune_tx(TX)
    finally:
        bench.bridge.closed = False
    radio.tune_rx(RX)
    assert len(radio.receive(1000).iq) == 1000
    assert not bench.radiates()
    radio.close()


@pytest.mark.parametrize("name", ["hackrf-one", "usrp-b210"])
def test_profiles_of_usb_families_say_why_they_only_receive(bench: SoapyBench, name: str) -> None:
    why = load_radio(name).mute.receive_only
    assert "one process" in why
    mine = bench.profile.model_copy(update={"mute": load_radio(name).mute})
    bench.profile, before = mine, bench.profile
    radio = bench.radio()
    bench.profile = before
    with pytest.raises(SettingRefused, match=why):
        radio.tune_tx(TX)
    radio.close()


def test_without_a_profile_it_receives_within_what_it_advertises(bench: SoapyBench) -> None:
    opened = section(bench).open_receiver(bench.arguments)
    held = opened.receiver.tune_rx(RX)
    assert held == RX
    assert len(opened.receiver.receive(100).iq) == 100
    with pytest.raises(SettingRefused, match=r"center_hz 7000000000: the device has 70000000 to"):
        opened.receiver.tune_rx(replace(RX, center_hz=7_000_000_000))
    opened.close()


def test_another_kind_of_unit_than_the_profiles_is_refused(bench: SoapyBench) -> None:
    before, bench.profile = bench.profile, load_radio("hackrf-one")
    with pytest.raises(SettingRefused, match="is not what profile hackrf-one is for"):
        bench.radio()
    bench.profile = before


def test_lost_samples_are_flagged_in_a_stream_and_never_joined_in_a_look(bench: SoapyBench) -> None:
    radio = bench.radio()
    radio.tune_rx(RX)
    stream = radio.stream(5000)
    first = next(stream)
    bench.bridge.lose = 1
    after = list(itertools.islice(stream, 3))
    stream.close()
    assert RxFlag.GAP not in first.flags
    assert [RxFlag.GAP in one.flags for one in after].count(True) == 1
    bench.bridge.lose = 1
    look = radio.receive(3000)
    assert RxFlag.GAP not in look.flags
    assert len(look.iq) == 3000
    bench.bridge.lose = 1000
    with pytest.raises(HardwareError, match="samples are lost"):
        radio.receive(3000)
    bench.bridge.lose = 0
    radio.close()


def test_a_receiver_that_is_deaf_is_found_out_and_never_passes_for_a_quiet_band(bench: SoapyBench) -> None:
    """As with SoapyPlutoSDR, which switches the receive oscillator off when any of its clients closes a stream."""
    radio = bench.radio()
    bench.bridge.deaf = True
    try:
        radio.tune_rx(RX)
        assert RxFlag.DEAF in radio.receive(1000).flags
        stream = radio.stream(1000)
        assert RxFlag.DEAF in next(stream).flags
        stream.close()
    finally:
        bench.bridge.deaf = False
    radio.tune_rx(RX)
    look = radio.receive(1000)
    assert RxFlag.DEAF not in look.flags
    assert look.settings.gain_mdb == RX.gain_mdb
    radio.close()


def test_a_receiver_that_goes_deaf_in_the_middle_is_tested_once_it_seems_still(
    bench: SoapyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "TEST_AGAIN_NS", 0)
    radio = bench.radio()
    radio.tune_rx(RX)
    stream = radio.stream(5000)
    assert RxFlag.DEAF not in next(stream).flags
    bench.bridge.deaf = True
    try:
        after = list(itertools.islice(stream, 4))
        # The first block may have been taken before; from the first that is still on, none passes for a quiet band.
        assert all(RxFlag.DEAF in one.flags for one in after if one.iq.std() < 1)
        assert RxFlag.DEAF in after[-1].flags
        assert any(RxFlag.GAP in one.flags for one in after)
        stream.close()
        assert RxFlag.DEAF in radio.receive(1000).flags
    finally:
        bench.bridge.deaf = False
        radio.close()


@pytest.mark.parametrize("moved", [{"center_hz": 3_600_000_000}, {"gain_mdb": 10_000}, {"bandwidth_hz": 1_000_000}])
def test_a_receiver_that_another_program_sets_is_flagged_as_moved(bench: SoapyBench, moved: dict[str, int]) -> None:
    radio = bench.radio()
    radio.tune_rx(RX)
    assert RxFlag.MOVED not in radio.receive(1000).flags
    stream = radio.stream(5000)
    assert RxFlag.MOVED not in next(stream).flags
    other = SimRadio(bench.bridge.endpoint, "s")
    other.tune_rx(replace(RX, **moved))
    other._release()
    assert any(RxFlag.MOVED in one.flags for one in itertools.islice(stream, 60))
    stream.close()
    assert RxFlag.MOVED in radio.receive(1000).flags
    radio.tune_rx(RX)
    assert RxFlag.MOVED not in radio.receive(1000).flags
    radio.close()


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ({"center_hz": 3_600_000_000}, "frequency reads 3600000000"),
        ({"attenuation_mdb": 0}, "gain reads 89.75"),
        ({"bandwidth_hz": 5_000_000}, "filter reads 5000000"),
    ],
)
def test_a_transmitter_that_another_program_sets_is_found_out(
    bench: SoapyBench, moved: dict[str, int], said: str
) -> None:
    """A device that a second process can have, to mute it by, is one that any other can have too."""
    radio = bench.radio()
    assert isinstance(radio, Questioned)
    assert radio.drift() is None
    radio.tune_tx(TX)
    assert radio.drift() is None
    other = SimRadio(bench.bridge.endpoint, "s")
    other.tune_tx(replace(TX, **moved))
    found = radio.drift()
    assert found is not None
    assert said in found.read
    assert not found.silenced
    assert radio.mute() is RfState.OFF
    assert radio.drift() is None
    other.tune_tx(TX)  # and what others do with one that is muted
    found = radio.drift()
    assert found is not None
    assert "muted" in found.wanted
    assert not found.silenced
    other.mute()
    other._release()
    radio.tune_tx(TX)
    assert section(bench).silence() is RfState.OFF
    found = radio.drift()
    assert found is not None
    assert found.silenced, "no fault: an operator muted it"
    radio.close()
    assert radio.drift() is None


def test_a_full_scale_is_the_profiles_and_bursts_come_out_at_it(bench: SoapyBench) -> None:
    radio = bench.radio()
    assert radio.full_scale == 2048
    radio.tune_tx(TX)
    begun_ns = time.monotonic_ns()
    radio.send(NOISE[:96_000])
    time_ns = begun_ns + 10**9
    while time.monotonic_ns() < time_ns and not [one for one in bench.emissions() if one.kind == "burst"]:
        pass
    assert radio.mute() is RfState.OFF
    assert [one for one in bench.emissions() if one.kind == "burst"]
    radio.close()


def test_every_command_opens_it(bench: SoapyBench, tmp_path: Path) -> None:
    source = f"soapy:{bench.arguments}"
    sense = RUN.invoke(app, ["sense", source, "3554-3556MHz", "--for", "30ms", "--json"])
    assert sense.exit_code in (0, 3), sense.output
    assert json.loads(sense.stdout)
    record = RUN.invoke(app, ["record", source, str(tmp_path / "one"), "--frequency", "3555MHz", "--for", "20ms"])
    assert record.exit_code == 0, record.output


def test_a_node_opens_it_by_its_configuration(bench: SoapyBench, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    radio = {**TUNED, "driver": "soapy", "uri": bench.arguments, "profile": str(PROFILE), "simulated": True}
    path.write_text(tomli_w.dumps(config(tmp_path, radio=radio)))
    held = load_layers([path]).radio
    assert not held.real
    opened = held.open(load_radio(held.profile))
    assert opened.device_id == "soapy bandpact_air SIM-s"
    opened.close()
    for wrong in ({"uri": "serial=7"}, {"uri": "driver=hackrf", "simulated": True}):
        path.write_text(tomli_w.dumps(config(tmp_path, radio={**radio, **wrong})))
        with pytest.raises(ConfigError, match=r"driver=NAME|only a radio on loopback"):
            load_layers([path])


def test_what_is_not_there_is_said_with_the_mend(tmp_path: Path) -> None:
    needs_soapy()
    gone = RUN.invoke(app, ["sense", "soapy:driver=bandpact_air,socket=/nowhere,station=s", "3554-3556MHz"])
    assert gone.exit_code == 4
    assert "is the device on, its module installed" in gone.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "sense", "soapy:driver=hackrf", "3554-3556MHz"],
        env={**os.environ, bindings.FOLDER: str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert missing.returncode not in (0, 3)
    assert "apt-get install python3-soapysdr" in missing.stderr
    assert len(missing.stderr.strip().splitlines()) == 1


def test_a_binding_for_another_interpreter_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SoapySDR.py").write_text("raise SystemExit\n")
    (tmp_path / "_SoapySDR.cpython-27-x86_64-linux-gnu.so").write_bytes(b"")
    monkeypatch.setenv(bindings.FOLDER, str(tmp_path))
    bindings.soapy.cache_clear()
    try:
        with pytest.raises(LibraryMissing, match=r"needs SoapySDR's binding for Python 3\.\d+"):
            bindings.soapy()
    finally:
        monkeypatch.undo()
        bindings.soapy.cache_clear()


def test_the_systems_other_packages_stay_out(bench: SoapyBench) -> None:
    del bench
    bindings.soapy()
    assert not [one for one in sys.path if one.endswith("dist-packages")]


def test_the_familys_own_tool_uses_the_air(bench: SoapyBench) -> None:
    need("SoapySDRUtil")
    said = subprocess.run(
        ["SoapySDRUtil", f"--probe={bench.arguments}"], env=environment(), capture_output=True, text=True, timeout=60,
        check=True,
    ).stdout  # fmt: skip
    assert "driver=bandpact_air" in said
    assert "Native format: CS16 [full-scale=2048]" in said


def test_soapys_own_server_carries_the_air_to_its_own_client_and_to_the_driver() -> None:
    needs_soapy("SoapySDRServer", "SoapySDRUtil")
    if not list(Path("/usr/lib").glob("*/SoapySDR/modules*/libremoteSupport.so")):
        absent("SoapySDR's module for its server is not here: apt-get install soapysdr-module-remote")
    apart = [program("unshare"), "-rn"]
    if subprocess.run([*apart, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode:
        absent("no network namespace may be made here: run as root, or allow unprivileged user namespaces")
    command = [*apart, sys.executable, "-m", "tests.radio.soapy.remoted"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "serves True",
        "probed True",
        "called soapy bandpact_air SIM-s",
        "received 4096 True False False",
        "moved True",
        "radiates True",
        "muted True True",
    ], done.stdout


def test_gnu_radio_receives_from_the_air_by_its_soapy_block(bench: SoapyBench) -> None:
    python = "/usr/bin/python3"
    probe = subprocess.run([python, "-c", "from gnuradio import soapy"], capture_output=True, check=False, timeout=60)
    if probe.returncode:
        pytest.skip("GNU Radio with its Soapy blocks is not here; run apt-get install gnuradio")
    script = str(Path(__file__).parent / "gnuradiosource.py")
    said = subprocess.run([python, script, bench.arguments], capture_output=True, text=True, timeout=60, check=True)
    count, power = said.stdout.split()
    assert int(count) == 40_000
    assert 1e-6 < float(power) < 1e-3
