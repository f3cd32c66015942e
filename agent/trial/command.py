"""Runs a trial by the user's options and keeps its report: run, collect, judge, write, all or nothing."""

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from agent.audit.lineages import BUNDLE
from agent.audit.sources import ANCHORS
from agent.config.settings import ConfigError
from agent.page.pageprocess import PageNotServed
from agent.trial.collect import Collected, collect, keep
from agent.trial.picture import report_data
from agent.trial.processes import TrialError, write_json
from agent.trial.progress import Reporter
from agent.trial.result import summary
from agent.trial.run import Options, run, scenario_of, work_folder
from agent.words.shell import quoted
from agent.words.spread import spread_text
from agent.words.units import band_text
from radio.errors import RadioError

EXPECTED: Final = (TrialError, ConfigError, RadioError, PageNotServed)
REPORT, USUAL = "report.html", Path("trial-report")
EVIDENCE = ("*.db", "*.db-wal", "*.db-journal", "*.seal", "*.root", f"*{BUNDLE}", ANCHORS, REPORT)


def _place_to_write(report: Path, json_out: Path | None) -> None:
    """Check before the trial that its result can be written."""
    for option, folder in (("--report", report), ("--json", (json_out or report / REPORT).parent)):
        try:
            if option == "--report":
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as exc:
            raise TrialError(f"cannot write to {folder}: {exc.strerror}; choose another {option}") from exc
    if json_out is not None and json_out.is_dir():
        raise TrialError(f"{json_out} is a folder; give --json the name of a file")


def evidence_in(folder: Path) -> Path | None:
    """Return a file in a folder that a trial must not touch, evidence or a report; None without one."""
    found = (one for kind in EVIDENCE for one in sorted(folder.glob(kind)))
    return next(found, None)


def place_for(report: Path | None) -> Path:
    """Return the report's folder: the named one, or else the first of the usual names that is free.

    Raises TrialError where the named folder holds evidence: a run deletes and overwrites nothing.
    """
    if report is None:
        usual = (USUAL if n == 1 else Path(f"{USUAL}-{n}") for n in itertools.count(1))
        return next(place for place in usual if not place.exists() or (place.is_dir() and not evidence_in(place)))
    there = evidence_in(report) if report.is_dir() else None
    if there is not None:
        raise TrialError(f"{there}: evidence of something else, which stays; choose another --report, or move it away")
    return report


def _move_all(fresh: Path, target: Path) -> None:
    """Move a complete result into place, overwriting nothing. Raises TrialError where a name was taken meanwhile."""
    taken = next((target / one.name for one in fresh.iterdir() if (target / one.name).exists()), None)
    if taken is not None:
        kept = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
        shutil.copytree(fresh, kept, dirs_exist_ok=True)
        raise TrialError(f"{taken} appeared during the trial and stays; this trial's result is in {kept}")
    for path in sorted(fresh.iterdir()):
        shutil.move(path, target / path.name)


def run_and_report(
    options: Options, *, report: Path | None, json_out: Path | None, talk: Console, out: Console
) -> dict[str, Any]:
    """Run a trial, keep its report and return the trial's JSON. Raises one of EXPECTED."""
    duration_s = scenario_of(options)[2]
    report = place_for(report)
    _place_to_write(report, json_out)
    with work_folder() as work:
        with Reporter(talk, duration_s) as reporter:
            finished = run(options, Path(work), reporter)
            reporter.say("verifying every lineage and judging every emission")
        # Imported here, as it takes half a second, which the error message for a mistyped option need not wait for.
        from agent.report.render import write as write_report

        fresh = Path(work) / "result"
        fresh.mkdir()
        keep(finished, fresh)
        collected = collect(finished, fresh)
        result = summary(collected, report / REPORT)
        write_report(report_data(collected, result), fresh / REPORT)
        if json_out is not None:
            write_json(json_out, result)
        _move_all(fresh, report)
    out.print(_table(result))
    _tell(out, collected, result, report)
    return result


def _say(value: Any, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:g}{unit}" if isinstance(value, float) else f"{value}{unit}"


def _table(result: dict[str, Any]) -> Table:
    table = Table(
        title=f"Trial, seed {result['seed']}, {result['duration_s']:g} s", title_justify="left", show_header=False
    )
    emitted, closed, heard = result["emissions"], result["gate"]["close_latency_ms"], result["incumbent"]
    table.add_row("settled", f"{result['settled']} settlements on {result['offers']} offer(s)")
    refused = result["refused"]
    reasons = ", ".join(f"{reason} {count}" for reason, count in refused.items())
    table.add_row("refused", f"{sum(refused.values())}: {reasons}" if refused else "nothing")
    table.add_row("on the air inside a settlement", f"{emitted['inside_s']:.3f} s in {emitted['bursts']} bursts")
    table.add_row("outside", f"{emitted['outside_s']:.3f} s, {emitted['violations']} violation(s)")
    table.add_row("cause to RF off", spread_text(closed))
    table.add_row("request to settlement", spread_text(result["settlement_ms"]))
    radar = f"heard after {_say(heard['latency_ms'], ' ms')}, channel silent after {_say(heard['rf_off_ms'], ' ms')}"
    missed = "ON THE AIR AND NOT HEARD" if heard["present"] else "none on the air"
    table.add_row("radar", radar if heard["detected"] else missed)
    for one in result["programs"]:
        table.add_row(f"{one['node']}'s program", _program(one))
    for wish in result["scenario"]["wishes"]:
        table.add_row("filled in parts", _parts_text(wish))
    owed = sum(one["owed"] for one in result["scenario"]["displaced"])
    if owed:
        settled = sum(one["settled"] for one in result["scenario"]["displaced"])
        table.add_row("owed to the displaced", f"{owed}, of which {settled} settled")
    lineage = result["lineage"]
    table.add_row(
        "lineages", f"{lineage['records']} records, {'all verified' if lineage['verified'] else 'NOT VERIFIED'}"
    )
    return table


def _program(one: dict[str, Any]) -> str:
    """Return what the oracle saw of a program's tone, and whether the program ever stood still."""
    program, tone = one["program"], one["tone"]
    if program is None:
        return "said nothing"
    seen = f"tone on the air {tone['inside_s']:.3f} s inside, {tone['outside_s']:.3f} s outside"
    still_ms = 1000 * max(program["sent_still_s"], program["received_still_s"])
    return f"{seen}; stood still for {still_ms:.0f} ms at most"


def _parts_text(wish: dict[str, Any]) -> str:
    share = 100 * wish["filled_hz_s"] / wish["asked_hz_s"]
    left = ", ".join(band_text(low, high) for low, high in wish["residual_hz"]) or "nothing"
    return f"{share:.3g} % of what {wish['user']} asked by {len(wish['parts'])} holders; left: {left}"


def _tell(out: Console, collected: Collected, result: dict[str, Any], report: Path) -> None:
    for problem in result["problems"]:
        out.print(f"  {problem}", highlight=False, markup=False)
    shown = result["settled"] > 0 and result["emissions"]["inside_s"] > 0
    verdict = "PASS: no antenna radiated outside a live settlement, every lineage verifies"
    for warning in result["warnings"]:
        out.print(f"  {warning}", highlight=False, markup=False)
    if result["passed"] and result["warnings"]:
        verdict = "NOT ALL SHOWN: no rule was broken, and what is said above was not put to the test"
        verdict = verdict if shown else "NOTHING SHOWN: no rule was broken, and none was put to the test"
    out.print(verdict if result["passed"] else "FAIL", style="bold")
    out.print(f"report   {report / REPORT}", highlight=False, markup=False)
    out.print(f"next     bandpact audit verify {quoted(report)}", highlight=False, markup=False)
    del collected
