"""The report's numbers and verdict as text: every value with its unit, a missing one as "not measured", never as 0."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.report.data import ReportData
from agent.words.instants import with_instants
from hw_profiles.printable import printable

NOT_MEASURED = "not measured"
TEXT_MAX = 400
DASH = "\u2013"
THIN_SPACE = "\u202f"


def clean(text: object, *, limit: int = TEXT_MAX) -> str:
    """Return any text in printable form: control and direction characters escaped, cut to `limit` characters.

    Instants in ns are shown as UTC.
    """
    raw = with_instants(str(text))
    shown = printable(raw[:limit], keep=THIN_SPACE, form="\\u{:04x}")
    return shown + ("…" if len(raw) > limit else "")


def quantity(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def at(summary: Mapping[str, Any], *keys: str) -> object:
    """Return the value at a path of keys, or None where the path ends early."""
    value: object = summary
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def count(number: int) -> str:
    """Return a count with thousands separated."""
    return f"{number:,}".replace(",", THIN_SPACE)


def plural(number: int, one: str, many: str = "") -> str:
    """Return a count and its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def milliseconds(value: float) -> str:
    """Return milliseconds, to two or three figures."""
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:.{places}f}"


def seconds(value: float | None, *, places: int = 3) -> str:
    """Return seconds, or a dash where there is no such instant."""
    return DASH if value is None else f"{value:.{places}f}"


def megahertz(hz: float) -> str:
    """Return a frequency in MHz without trailing zeros."""
    return f"{hz / 1e6:.6f}".rstrip("0").rstrip(".")


def band(low_hz: float, high_hz: float) -> str:
    """Return two band edges in MHz."""
    return f"{megahertz(low_hz)}{DASH}{megahertz(high_hz)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """A headline figure: its name, the value as text with unit, and `tone` "good", "bad" or ""."""

    name: str
    value: str
    unit: str = ""
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict:
    """Whether the trial passed, and one sentence that says why."""

    passed: bool
    sentence: str
    watched: bool = True

    @property
    def word(self) -> str:
        """PASS or FAIL; without an oracle, only whether the signed records verify."""
        if not self.watched:
            return "VERIFIED" if self.passed else "NOT VERIFIED"
        return "PASS" if self.passed else "FAIL"


def _outside(data: ReportData) -> str:
    outside = [one for one in data.emissions if not one.inside]
    number = violation_count(data)
    length_s = max(sum(one.end_s - one.start_s for one in outside), quantity(_emitted(data, "outside_s")) or 0.0)
    if number == 0 and length_s == 0:
        return ""
    who = ", ".join(sorted({clean(one.node, limit=40) for one in outside}))
    emissions = plural(number, "emission") if number else "power"
    return f"{emissions}, {milliseconds(1000 * length_s)} ms in all, left an antenna outside a live settlement" + (
        f" (from {who})" if who else ""
    )


def violation_count(data: ReportData) -> int:
    """Return the number of emissions outside a live settlement: the larger of list and summary."""
    told = _emitted(data, "violations")
    claimed = len(told) if isinstance(told, list | tuple) else int(quantity(told) or 0)
    return max(claimed, sum(not one.inside for one in data.emissions))


def _emitted(data: ReportData, key: str) -> object:
    return at(data.summary, "emissions", key)


def _tampered(data: ReportData) -> str:
    problems = sum(len(row.problems) for row in data.audit) + len(data.audit_problems)
    if problems:
        found = plural(problems, "problem was", "problems were")
        return f"{found} found in the signed lineages"
    records, verified = (at(data.summary, "lineage", key) for key in ("records", "verified"))
    counted = quantity(verified)
    if verified is False or (counted is not None and counted < (quantity(records) or 0)):
        return "not every lineage record verifies"
    return ""


def _unknown(data: ReportData) -> str:
    unmeasured = "" if quantity(_emitted(data, "outside_s")) is not None else "what the antennas emitted is not known"
    unaudited = "" if data.audit else "no lineage was audited"
    return " and ".join(one for one in (unmeasured, unaudited) if one)


def verdict(data: ReportData) -> TrialVerdict:
    """Judge the trial: passed only if its result says so and the page's own data agree."""
    if not data.watched:
        return _unwatched(data)
    against = [one for one in (_outside(data), _tampered(data), _unknown(data)) if one]
    if against:
        text = " and ".join(against)
        return TrialVerdict(passed=False, sentence=f"{text[0].upper()}{text[1:]}.")
    if not data.passed:
        return TrialVerdict(
            passed=False,
            sentence="The trial was judged failed for a reason that is neither an emission nor a lineage: "
            "see what the run printed.",
        )
    emitted = (
        "Every emission the oracle saw was inside a live settlement" if data.emissions else "No antenna emitted at all"
    )
    audited = "the one lineage verifies" if len(data.audit) == 1 else f"all {len(data.audit)} lineages verify"
    return TrialVerdict(passed=True, sentence=f"{emitted}, and {audited}.")


UNWATCHED = (
    "What the antennas truly emitted nobody measured: that no emission lay outside a settlement is not shown here."
)


def _unwatched(data: ReportData) -> TrialVerdict:
    """Return the verdict on a run with real radios: only signed records can be judged."""
    tampered = _tampered(data) or ("" if data.audit else "no lineage was audited")
    if tampered or not data.passed:
        said = tampered or "not every lineage verifies"
        return TrialVerdict(passed=False, watched=False, sentence=f"{said[0].upper()}{said[1:]}. {UNWATCHED}")
    audited = "The one lineage verifies" if len(data.audit) == 1 else f"All {len(data.audit)} lineages verify"
    sealed = f", {plural(len(data.warnings), 'warning')} below" if data.warnings else ""
    return TrialVerdict(passed=True, watched=False, sentence=f"{audited}{sealed}. {UNWATCHED}")


def _plain(value: object, form: str = "") -> str:
    number = quantity(value)
    if number is None:
        return NOT_MEASURED
    return format(number, form) if form else count(int(number))


def _timed(name: str, values_ms: object, which: tuple[str, ...]) -> KeyFigure:
    """Return percentiles of a time in ms as one figure."""
    few = ("min", "median", "max")
    if isinstance(values_ms, Mapping) and quantity(at(values_ms, "p99")) is None and "median" in values_ms:
        which = few  # too few values for percentiles
    values = [quantity(at(values_ms, key)) if isinstance(values_ms, Mapping) else None for key in which]
    if all(value is None for value in values):
        return KeyFigure(name=name, value=NOT_MEASURED, note=" / ".join(which))
    shown = " / ".join(DASH if value is None else milliseconds(value) for value in values)
    return KeyFigure(name=name, value=shown, unit="ms", note=" / ".join(which))


def _detection(data: ReportData) -> KeyFigure:
    name = "Incumbent found after"
    latency = quantity(at(data.summary, "incumbent", "latency_ms"))
    if latency is not None:
        return KeyFigure(name=name, value=milliseconds(latency), unit="ms")
    began = any(mark.node == "air" for mark in data.incumbents)
    if at(data.summary, "incumbent", "detected") is False and began:
        return KeyFigure(name=name, value="not found", note="an incumbent began and no node reported it", tone="bad")
    return KeyFigure(name=name, value=NOT_MEASURED)


def _lineage(summary: Mapping[str, Any]) -> KeyFigure:
    records, verified = (at(summary, "lineage", key) for key in ("records", "verified"))
    total, good = quantity(records), records if verified is True else 0 if verified is False else verified
    known = quantity(good)
    if total is None or known is None:
        return KeyFigure(name="Lineage records verified", value=NOT_MEASURED)
    tone = "good" if known == total > 0 else "bad"
    return KeyFigure(
        name="Lineage records verified", value=count(int(known)), unit=f"of {count(int(total))}", tone=tone
    )


def key_figures(data: ReportData) -> tuple[KeyFigure, ...]:
    """Return the headline's figures, in reading order."""
    summary = data.summary
    refused = at(summary, "refused")
    refusals = sum(int(quantity(n) or 0) for n in refused.values()) if isinstance(refused, Mapping) else None
    offers = quantity(at(summary, "offers"))
    return (
        *_on_the_air(data),
        KeyFigure(
            name="Settlements",
            value=_plain(at(summary, "settled")),
            note="" if offers is None else f"from {plural(int(offers), 'offer')}",
        ),
        KeyFigure(name="Refusals", value=_plain(refusals), note="in the logs, by wardens and at the door"),
        _timed("Gate closed within", at(summary, "gate", "close_latency_ms"), ("p50", "p99", "max")),
        _timed("Time to settle", at(summary, "settlement_ms"), ("p50", "p99")),
        _detection(data),
        _lineage(summary),
    )


def _on_the_air(data: ReportData) -> tuple[KeyFigure, ...]:
    """Return airtime figures: the oracle's where there is one, else the radios' own reports, labelled so."""
    if data.watched:
        return (
            _emission_figure(data, "inside_s", "Emitted inside a live settlement"),
            _emission_figure(data, "outside_s", "Emitted outside a live settlement"),
        )
    airtime = quantity(at(data.summary, "reported", "airtime_s")) if data.usage else None
    bursts = quantity(at(data.summary, "reported", "bursts"))
    return (
        KeyFigure(name="Emitted, as measured by others", value=NOT_MEASURED, note="no oracle stood by"),
        KeyFigure(
            name="Airtime by the radios' own word",
            value=NOT_MEASURED if airtime is None else f"{airtime:.3f}",
            unit="" if airtime is None else "s",
            note="no user reported any" if airtime is None or bursts is None else f"in {plural(int(bursts), 'burst')}",
        ),
    )


def _emission_figure(data: ReportData, key: str, name: str) -> KeyFigure:
    value = quantity(_emitted(data, key))
    if value is None:
        return KeyFigure(name=name, value=NOT_MEASURED)
    if key == "inside_s":
        return KeyFigure(name=name, value=f"{value:.3f}", unit="s")
    number = violation_count(data)
    value = max(value, sum(one.end_s - one.start_s for one in data.emissions if not one.inside))
    bad = value > 0 or number > 0
    return KeyFigure(
        name=name,
        value=f"{value:.3f}",
        unit="s",
        note=plural(number, "violation") if bad else "no violation",
        tone="bad" if bad else "good",
    )
