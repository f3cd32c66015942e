"""A node that listens less often than it plans to says so: a radar's burst may fall between two of its looks."""

import json
import time
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.settings import NodeConfig, load
from agent.node.lookcount import OVER_NS, LookCount
from agent.node.wardenparts import rings_of
from agent.node.watcher import Watcher
from agent.service.snapshot import write_status
from radio.link import LookTaken
from radio.ring import SampleRing
from tests.agent.test_service import status, written

pytestmark = pytest.mark.feature("E3")
FRAME_NS = 20_000_000
RUN = CliRunner()


def counted(every_ns: int, for_ns: int, pause_ns: int = 0) -> LookCount:
    """Looks from 0 on, one each `every_ns`, none in a pause in the middle."""
    count, at_ns = LookCount(FRAME_NS), 0
    while at_ns <= for_ns:
        count.took(at_ns)
        at_ns += every_ns + (pause_ns if at_ns < for_ns / 2 <= at_ns + every_ns else 0)
    return count


def test_as_many_looks_as_are_planned_are_no_alarm() -> None:
    assert counted(FRAME_NS, 3 * OVER_NS).alarm(3 * OVER_NS) is None


def test_a_look_now_and_then_that_is_late_is_no_alarm() -> None:
    assert counted(FRAME_NS * 5 // 4, 3 * OVER_NS).alarm(3 * OVER_NS) is None


def test_half_the_looks_are_an_alarm_that_says_what_may_go_unheard() -> None:
    said = counted(2 * FRAME_NS, 3 * OVER_NS).alarm(3 * OVER_NS)
    assert said == "50 % of the planned looks were taken, up to 40 ms apart: a shorter burst may go unheard"


def test_the_longest_pause_is_told_and_so_is_one_that_lasts() -> None:
    count = counted(2 * FRAME_NS, OVER_NS, pause_ns=160_000_000)
    assert "up to 200 ms apart" in (count.alarm(OVER_NS) or "")
    assert "up to 5000 ms apart" in (count.alarm(OVER_NS + 5_000_000_000) or "")
    assert "0 % of the planned looks" in (count.alarm(3 * OVER_NS) or "")


def test_nothing_is_said_before_the_time_of_counting_is_over() -> None:
    assert counted(10 * FRAME_NS, OVER_NS // 2).alarm(OVER_NS - 1) is None
    assert LookCount(FRAME_NS).alarm(10**12) is None


def watcher_of(tmp_path: Path) -> tuple[Watcher, SampleRing, NodeConfig]:
    tuned = {"rx_center_hz": 3_555_000_000, "sample_rate_hz": 2_000_000, "rx_bandwidth_hz": 2_000_000}
    radio = {"endpoint": f"ipc://{tmp_path}/air", "station": "here", **tuned}
    channel = {"low_hz": 3_554_500_000, "high_hz": 3_555_500_000}
    config = load(written(tmp_path, radio=radio, channels=[channel]))
    receive, _ = rings_of(config, create=True)
    return Watcher(config, receive), receive, config


def test_a_watcher_counts_the_looks_that_sensing_went_through(tmp_path: Path) -> None:
    watcher, receive, config = watcher_of(tmp_path)
    samples = np.zeros((round(config.radio.look_us * config.radio.sample_rate_hz / 1e6), 2), np.int16)
    samples[::2] = 3
    now_ns = time.monotonic_ns()
    for number in range(3):
        began_ns = now_ns - OVER_NS - number
        ticket = receive.write(samples)
        taken = LookTaken(ticket=ticket, sequence=number, earliest_ns=began_ns, latest_ns=began_ns, flags=0)
        watcher._sense(taken)
    (alarm,) = watcher.alarms(now_ns)
    assert "of the planned looks were taken" in alarm


def test_memory_that_looks_left_free_goes_back_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, _, _ = watcher_of(tmp_path)
    given: list[int] = []
    monkeypatch.setattr("agent.node.watcher.give_back", lambda: given.append(1))
    began_ns = time.monotonic_ns()
    for second in range(150):
        watcher._tidy(began_ns + second * 1_000_000_000 + 1_000_000)
    assert len(given) == 2
    watcher._recent, watcher.watched = Mock(now_ns=0), True
    watcher._sum_up()
    watcher._tidy(began_ns + 151 * 1_000_000_000)
    assert len(given) == 3, "what a report left free goes back with it"


@pytest.mark.parametrize(("took_ms", "every_s"), [(10, 1), (100, 4), (5_000, 10)])
def test_a_shown_report_takes_at_most_a_fortieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_ms: int, every_s: int
) -> None:
    watcher, _, _ = watcher_of(tmp_path)
    clock = Mock(now_ns=0, spent_ns=0)

    def report() -> Mock:
        clock.spent_ns += took_ms * 1_000_000
        return Mock(now_ns=clock.now_ns)

    monkeypatch.setattr("agent.node.watcher.time.monotonic_ns", lambda: clock.now_ns)
    monkeypatch.setattr("agent.node.watcher.time.thread_time_ns", lambda: clock.spent_ns)
    monkeypatch.setattr(watcher, "report", report)
    watcher._recent, watcher.watched = report(), True
    told = {watcher._recent.now_ns}
    for tenth in range(400):
        clock.now_ns = tenth * 100_000_000 + 1
        watcher._sum_up()
        told.add(watcher._recent.now_ns)
    later = sorted(told)[2:]
    apart_s = [(b - a) / 1e9 for a, b in pairwise(later)]
    assert apart_s
    assert set(np.round(apart_s, 1)) <= {every_s, round(every_s + 0.1, 1)}


@pytest.mark.feature("U4")
def test_doctor_names_it_and_says_what_helps(tmp_path: Path) -> None:
    config = written(tmp_path)
    alarm = counted(2 * FRAME_NS, 3 * OVER_NS).alarm(3 * OVER_NS)
    write_status(tmp_path, status(alarms=[alarm]))
    done = RUN.invoke(app, ["doctor", "--json", "--config", str(config), "--wait", "0"])
    (found,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "looks")
    assert (found["state"], found["found"]) == ("warn", alarm)
    assert "processor" in found["mend"]
