"""Tests of campaigns: every combination of values runs, finished runs are kept, a stopped campaign resumes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from agent.campaign import worldruns
from agent.campaign.outcome import ERROR, FAILED, PASSED, RunOutcome, figures_of
from agent.campaign.runs import asked_for, carry_out, checked, run_one
from agent.campaign.spec import CampaignError, RunSpec, read_campaign
from agent.campaign.store import DONE, CampaignStore
from agent.campaign.tables import write_picture, write_table
from agent.campaign.trialruns import check_trial, scenario_text
from agent.campaign.workers import on_cluster
from agent.campaign.worldruns import world_plan
from sim.world.run import run_plan
from tests.agent.sweep import invoked

pytestmark = pytest.mark.feature("X3")
LOSSY = """
[campaign]
name = "lossy"
scenarios = ["world"]
seeds = "3-5"
[parameters]
"weather.drop_ppt" = [0, 100]
"""


def written(folder: Path, text: str = LOSSY) -> Path:
    path = folder / "lossy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def quiet(_: str) -> None:
    pass


def test_every_value_is_run_with_every_other_and_every_seed(tmp_path: Path) -> None:
    spec = read_campaign(written(tmp_path, LOSSY + "quorum = [0, 1, 2]\n"))
    runs = list(spec.runs())
    assert len(runs) == spec.count == 3 * 2 * 3
    assert len({run.key for run in runs}) == len(runs)
    assert {dict(run.parameters)["quorum"] for run in runs} == {0, 1, 2}


def test_a_parameter_replaces_what_the_seed_had_and_nothing_else() -> None:
    plain = world_plan(RunSpec(scenario="world", seed=4, parameters=()))
    other = world_plan(RunSpec(scenario="world", seed=4, parameters=(("weather.drop_ppt", 77), ("quorum", 1))))
    assert (other.weather.drop_ppt, other.quorum) == (77, 1)
    assert other.acts == plain.acts
    assert other.weather.late_ppt == plain.weather.late_ppt


WRONG = {
    "no table": ("x = 1", "no part of a campaign"),
    "no seeds": ('[campaign]\nscenarios = ["world"]', "campaign.seeds"),
    "seeds backwards": ('[campaign]\nscenarios = ["world"]\nseeds = "5-3"', "the first comes first"),
    "negative seed": ('[campaign]\nscenarios = ["world"]\nseeds = [-1]', "whole numbers"),
    "no scenario": ('[campaign]\nscenarios = []\nseeds = "0-1"', "campaign.scenarios"),
    "a value twice": (LOSSY.replace("[0, 100]", "[7, 7]"), "twice"),
    "no values": (LOSSY.replace("[0, 100]", "[]"), "weather.drop_ppt"),
    "a table for a value": (LOSSY.replace("[0, 100]", "[{a = 1}]"), "numbers, texts"),
    "unknown key": (LOSSY.replace('name = "lossy"', "speed = 3"), "campaign.speed"),
    "a duration without unit": (LOSSY.replace('name = "lossy"', "duration = 20"), "unit"),
    "too many": (LOSSY.replace('"3-5"', '"0-999999"'), "runs"),
    "a file that is not there": (LOSSY.replace('"world"', '"none.toml"'), "none.toml"),
}


@pytest.mark.parametrize(("text", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_campaign_that_cannot_be_run_says_which_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(CampaignError) as told:
        read_campaign(written(tmp_path, text))
    assert named in str(told.value)
    assert "lossy.toml" in str(told.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ('"weather.rain" = [1]', "weather.rain"),
        ("quorum = [true]", "quorum"),
        ("status = [1]", "status"),
        ("bound_ns = [-1]", "bound_ns"),
        ('coordination = ["all"]', "coordination"),
    ],
)
def test_a_parameter_that_no_world_has_is_refused_before_anything_runs(tmp_path: Path, change: str, named: str) -> None:
    done = invoked(["campaign", str(written(tmp_path, LOSSY + change + "\n"))])
    assert done.code == 1
    assert named in done.one_line()
    assert [one.name for one in tmp_path.iterdir()] == ["lossy.toml"]


def test_a_trials_values_are_replaced_by_the_keys_that_lead_to_them() -> None:
    text = scenario_text("neighbours", (("nodes.user-a.lat_deg", 36.5), ("trial.duration_s", 31.0)))
    assert "lat_deg = 36.5" in text
    assert "duration_s = 31.0" in text
    check_trial("neighbours", (("trial.duration_s", 31.0),))
    with pytest.raises(CampaignError, match=r"nodes\.nobody"):
        scenario_text("neighbours", (("nodes.nobody.lat_deg", 36.5),))
    with pytest.raises(CampaignError, match="lat_deg"):
        check_trial("neighbours", (("nodes.user-a.lat_deg", 366.0),))
    with pytest.raises(CampaignError, match="cannot be read"):
        check_trial("nowhere", ())


def test_it_goes_on_where_it_was_ended_and_makes_no_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_campaign(written(tmp_path))
    ran: list[int] = []

    def here(work: Any, tasks: Any, **_: Any) -> Iterator[Any]:
        for number, task in enumerate(tasks):
            if len(ran) == 0 and number == 2:
                raise KeyboardInterrupt
            yield work(task)

    monkeypatch.setattr("agent.campaign.runs.made", here)
    with CampaignStore(tmp_path / "out", {"campaign": asked_for(spec)}) as store, pytest.raises(KeyboardInterrupt):
        carry_out(spec, store, jobs=1, scheduler=None, tell=quiet)
    lines = (tmp_path / "out" / DONE).read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    # The last line was cut off as its process ended: that run counts for nothing and is made again.
    (tmp_path / "out" / DONE).write_bytes(lines[0] + lines[1][:-9])
    ran.append(1)
    told: list[str] = []
    with CampaignStore(tmp_path / "out", {"campaign": asked_for(spec)}) as store:
        assert len(store.left([run.key for run in spec.runs()])) == spec.count - 1
        counts = carry_out(spec, store, jobs=1, scheduler=None, tell=told.append)
    assert counts == {PASSED: spec.count}
    assert told[0].startswith("1 of 6 runs were done before")
    keys = [json.loads(line)["key"] for line in (tmp_path / "out" / DONE).read_text().splitlines()]
    assert sorted(keys) == sorted(run.key for run in spec.runs())


def test_another_campaign_does_not_go_on_in_a_folder_that_has_one(tmp_path: Path) -> None:
    first, second = ({"campaign": {"seeds": [n]}} for n in (1, 2))
    with CampaignStore(tmp_path / "out", first):
        pass
    with pytest.raises(CampaignError, match="another campaign"):
        CampaignStore(tmp_path / "out", second)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(CampaignError, match="not empty"):
        CampaignStore(tmp_path / "full", first)


def test_a_run_that_breaks_an_invariant_failed_and_one_that_cannot_be_made_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = RunSpec(scenario="world", seed=1, parameters=())
    real = run_plan

    held = run_one(spec)
    assert (held.outcome, held.why) == (PASSED, "")
    assert held.figures["received"] > 0

    def breaks(plan: Any) -> Any:
        outcome = real(plan)
        outcome.breaches.append("I1 broken on purpose")  # type: ignore[arg-type]
        return outcome

    monkeypatch.setattr(worldruns, "run_plan", breaks)
    failed = run_one(spec)
    assert (failed.outcome, failed.why) == (FAILED, "I1 broken on purpose")

    def dies(_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(worldruns, "run_plan", dies)
    lost = run_one(spec)
    assert lost.outcome == ERROR
    assert "ZeroDivisionError" in lost.why


def outcomes(spec: Any, *, failing: int) -> dict[str, RunOutcome]:
    return {
        run.key: RunOutcome(
            key=run.key,
            outcome=FAILED if number < failing else PASSED,
            why="x" if number < failing else "",
            took_s=1.0,
            host="h",
            figures={"sent": float(number)} if number else {},
        )
        for number, run in enumerate(spec.runs())
    }


def test_the_table_has_a_row_a_run_and_a_column_a_parameter_and_figure(tmp_path: Path) -> None:
    spec = read_campaign(written(tmp_path))
    table = parquet.read_table(write_table(spec, outcomes(spec, failing=2), tmp_path)).to_pylist()
    assert [row["seed"] for row in table] == [3, 4, 5, 3, 4, 5]
    assert [row["parameter.weather.drop_ppt"] for row in table] == [0, 0, 0, 100, 100, 100]
    assert [row["outcome"] for row in table] == [FAILED, FAILED, *[PASSED] * 4]
    assert [row["figure.sent"] for row in table] == [None, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert write_picture(spec, outcomes(spec, failing=2), tmp_path).read_bytes().startswith(b"\x89PNG")


def test_numbers_and_truth_of_a_result_are_figures_and_texts_are_not() -> None:
    found = {"a": 1, "b": {"c": 2.5, "d": "x", "e": None}, "f": True, "g": [1, 2]}
    assert dict(figures_of(found)) == {"a": 1.0, "b.c": 2.5, "f": 1.0}


@pytest.mark.timeout(120)
def test_the_command_uses_processes_and_says_what_came_of_it(tmp_path: Path) -> None:
    file = written(tmp_path, LOSSY.replace('"3-5"', "[7]"))
    dry = invoked(["campaign", str(file), "--dry-run"])
    assert (dry.code, dry.out.strip()) == (0, "lossy: 2 runs")
    done = invoked(["campaign", str(file), "--jobs", "2", "--json"])
    assert done.code == 0, done
    said = json.loads(done.out)
    assert (said["runs"], said["passed"], said["not_held"]) == (2, 2, [])
    assert parquet.read_table(said["table"]).num_rows == 2
    assert Path(said["picture"]).is_file()


@pytest.mark.timeout(180)
def test_two_workers_of_a_cluster_make_the_same_runs(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    spec = read_campaign(written(tmp_path, LOSSY.replace('"3-5"', '"0-3"')))
    checked(spec)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address
        with CampaignStore(tmp_path / "out", {"campaign": asked_for(spec)}) as store:
            counts = carry_out(spec, store, jobs=1, scheduler=address, tell=quiet)
            there = {key: one.figures for key, one in store.done.items()}
        workers = set(on_cluster(address, worker_name, list(range(16))))
    assert counts == {PASSED: spec.count}
    assert len(workers) == 2
    here = run_one(next(spec.runs()))
    assert there[here.key] == here.figures


def worker_name(_: int) -> str:
    """Where this runs; each waits a little, so that one worker alone does not take all."""
    import time

    from distributed import get_worker

    time.sleep(0.05)
    return str(get_worker().address)


def test_a_scheduler_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    done = invoked(["campaign", str(written(tmp_path)), "--scheduler", "nonsense://x"])
    assert done.code == 1
    assert "no Dask scheduler" in done.err


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    "text",
    [
        '[campaign]\nscenarios = ["world"]\nseeds = "0-' + "9" * 5000 + '"\n',
        "[campaign]\nscenarios = " + "[" * 20_000 + "]" * 20_000 + "\n",
        '[campaign]\nscenarios = ["world"]\nseeds = [' + "9" * 4000 + "]\n",
        '[campaign]\nscenarios = ["world"]\nseeds = [' + ",".join(map(str, range(120_000))) + ",7]\n",
    ],
    ids=["digits", "depth", "a seed beyond all", "twice among many"],
)
def test_a_hostile_campaign_is_one_line_soon(tmp_path: Path, text: str) -> None:
    ended = invoked(["campaign", str(written(tmp_path, text)), "--dry-run"])
    assert ended.code == 1
    assert len(ended.one_line()) < 600


def test_two_campaigns_in_one_folder_wait_for_nobody_and_harm_nothing(tmp_path: Path) -> None:
    with CampaignStore(tmp_path / "out", {"campaign": 1}), pytest.raises(CampaignError, match="in use by"):
        CampaignStore(tmp_path / "out", {"campaign": 1})
    CampaignStore(tmp_path / "out", {"campaign": 1}).__exit__(None, None, None)


def test_a_disk_that_fills_while_a_campaign_begins_does_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(CampaignError, match="No space left"):
            CampaignStore(tmp_path / "out", {"campaign": 1})
    CampaignStore(tmp_path / "out", {"campaign": 1}).__exit__(None, None, None)
