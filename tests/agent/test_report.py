"""The trial report: one file that asks for nothing, says everything in words, and trusts no text it was given."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from agent.report import timeline
from agent.report.data import (
    AuditRow,
    GateSpan,
    IncumbentMark,
    RefusalRow,
    ReportData,
    SettlementRow,
    ShownEmission,
    WaterfallPicture,
)
from agent.report.lanes import by_row, lanes, stacked
from agent.report.meanings import MEANINGS
from agent.report.render import render, write
from agent.report.spans import Span, lived, merged, whole
from agent.report.svg import BAD, NARROW, WIDE, drawing
from agent.report.timeline import VIOLATION_PT, Canvas
from agent.report.waterfall import COLUMNS_MAX, grid, row_spans
from agent.report.words import NOT_MEASURED, clean, key_figures, verdict
from settlement.core.reasons import Reason

pytestmark = pytest.mark.feature("U6")

LOW, MID, HIGH = 3_550_000_000, 3_560_000_000, 3_570_000_000
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


def settlement(sid: int, user: str, low_hz: int, start_s: float, end_s: float, **changes: Any) -> SettlementRow:
    values: dict[str, Any] = {
        "sid": f"{sid * 0x9E3779B97F4A7C15F39CC0605CEDC834**2:064x}"[-64:],
        "holder": "holder",
        "user": user,
        "low_hz": low_hz,
        "high_hz": low_hz + 10_000_000,
        "start_s": start_s,
        "end_s": end_s,
        "confirmed_s": start_s - 0.61,
        "ended_s": end_s,
        "outcome": "window end",
        "max_eirp_dbm": 30.0,
    }
    return SettlementRow(**(values | changes))


SETTLEMENTS = (
    settlement(1, "user-a", LOW, 2.0, 8.0),
    settlement(2, "user-b", LOW, 2.0, 8.0, confirmed_s=None, ended_s=2.4, outcome="refused: CONFLICT"),
    settlement(3, "user-b", MID, 4.0, 11.0),
    settlement(4, "user-a", LOW, 9.5, 16.0, ended_s=13.31, outcome="preempted: INCUMBENT"),
    settlement(5, "user-b", MID, 12.0, 18.5, ended_s=17.2, outcome="relinquished"),
)


def bursts(row: SettlementRow) -> list[ShownEmission]:
    span = lived(row)
    if span is None:
        return []
    starts = np.arange(span[0] + 0.012, span[1] - 0.02, 0.06)
    return [
        ShownEmission(
            node=row.user,
            start_s=float(start),
            end_s=float(start) + 0.004,
            low_hz=row.low_hz + 400_000.0,
            high_hz=row.high_hz - 400_000.0,
            eirp_dbm=29.2,
            inside=True,
            why="",
        )
        for start in starts
    ]


def gate_spans(node: str) -> list[GateSpan]:
    spans = [GateSpan(node=node, state="LOCKED", reason="NOT_ARMED", from_s=0.0, to_s=0.6)]
    at_s = 0.6
    for row in SETTLEMENTS:
        span = lived(row)
        if row.user == node and span is not None:
            spans.append(GateSpan(node=node, state="ARMED", reason="NO_PERMIT", from_s=at_s, to_s=span[0]))
            spans.append(GateSpan(node=node, state="OPEN", reason="", from_s=span[0], to_s=span[1]))
            at_s = span[1]
    reason = "INCUMBENT" if node == "user-a" else "NO_PERMIT"
    return [*spans, GateSpan(node=node, state="ARMED", reason=reason, from_s=at_s, to_s=20.0)]


def waterfall(emissions: list[ShownEmission]) -> WaterfallPicture:
    rng = np.random.default_rng(7)
    times = np.arange(0.3, 20.0, 0.1)
    times = times[(times < 6.5) | (times > 7.2)]
    centres = LOW - 5.36e6 + (np.arange(256) + 0.5) * 120_000.0
    level = -141 + 10 * np.log10(rng.gamma(6.0, 1 / 6, (len(times), 256)))
    for one in emissions:
        near = np.abs(times - one.start_s) < 0.06
        level[np.ix_(near, (centres > one.low_hz) & (centres < one.high_hz))] = -117 + rng.normal(0, 1.2)
    for start_s in np.arange(13.0, 20.0, 1.0):
        level[np.ix_(np.abs(times - start_s) < 0.06, np.abs(centres - 3.555e9) < 6e5)] = -103
    level.setflags(write=False)
    return WaterfallPicture(
        node="holder",
        level_db=level.astype(np.float32),
        times_s=times,
        low_hz=LOW - 5.36e6,
        high_hz=HIGH + 5.36e6,
    )


def refusals() -> tuple[RefusalRow, ...]:
    told = [
        (1.41, "holder", "user-b", "CONFLICT", "[grant.cells] 3550-3560 MHz promised to user-a (required: free)"),
        (3.02, "holder", "attacker", "SIGNATURE", "[cose.signature] does not verify (required: signed by 9c41…)"),
        (3.52, "holder", "attacker", "REPLAY", "[disposition.12] 4be1… (required: a record not seen before)"),
        (4.02, "user-a", "attacker", "SIGNATURE", "[cose.signature] does not verify"),
        (4.52, "user-a", "attacker", "DOMAIN", "[record.network] other-net (required: trial-7)"),
        (5.11, "holder", "attacker", "TIMEOUT", "[accept_by] answered 412 ms late (required: before accept_by)"),
        (13.31, "user-a", "", "INCUMBENT", "[gate.13] incumbent in the band (required: none)"),
    ]
    again = [(6.0 + i, "user-b", "attacker", "REPLAY", "[disposition.12] 4be1…") for i in range(8)]
    return tuple(
        RefusalRow(at_s=at_s, node=node, peer=peer, reason=reason, detail=detail)
        for at_s, node, peer, reason, detail in told + again
    )


def summary() -> dict[str, Any]:
    return {
        "seed": 7,
        "nodes": ["holder", "user-a", "user-b", "attacker"],
        "offers": 5,
        "settled": 4,
        "refused": {"CONFLICT": 1, "SIGNATURE": 2, "REPLAY": 9, "DOMAIN": 1, "TIMEOUT": 1, "INCUMBENT": 1},
        "emissions": {"inside_s": 1.492, "outside_s": 0.0, "violations": 0},
        "gate": {"close_latency_ms": {"p50": 1.84, "p99": 4.12, "max": 4.9}},
        "settlement_ms": {"p50": 41.7, "p99": 96.2},
        "lineage": {"records": 1412, "verified": 1412},
        "incumbent": {"detected": True, "latency_ms": 212.4},
        "report": "/home/someone/trial-report/report.html",
    }


def trial(**changes: Any) -> ReportData:
    """A 20 s trial as it should go."""
    emissions = [one for row in SETTLEMENTS for one in bursts(row)]
    names = ("holder", "user-a", "user-b", "attacker")
    values: dict[str, Any] = {
        "title": "bandpact trial, seed 7: neighbours",
        "passed": True,
        "seed": 7,
        "duration_s": 20.0,
        "low_hz": LOW,
        "high_hz": HIGH,
        "nodes": tuple((name, name.split("-")[0]) for name in names),
        "summary": summary(),
        "waterfall": waterfall(emissions),
        "settlements": SETTLEMENTS,
        "gates": (
            *gate_spans("user-a"),
            *gate_spans("user-b"),
            GateSpan(node="holder", state="LOCKED", reason="NOT_ARMED", from_s=0.0, to_s=20.0),
            GateSpan(node="attacker", state="LATCHED", reason="LATCHED", from_s=3.0, to_s=20.0),
        ),
        "emissions": tuple(emissions),
        "incumbents": tuple(
            IncumbentMark(node=node, at_s=at_s, low_hz=3.5545e9, high_hz=3.5555e9, what="radar")
            for node, at_s in (("air", 13.0), ("holder", 13.19), ("user-a", 13.21), ("user-b", 13.27))
        ),
        "refusals": refusals(),
        "audit": tuple(
            AuditRow(
                node=name,
                records=353,
                own=120,
                received=233,
                refused=4,
                root=f"{hash_ * 0xD1B54A32D192ED03**5:064x}"[-64:],
                problems=(),
            )
            for hash_, name in enumerate(names, start=11**30)
        ),
        "audit_problems": (),
    }
    return ReportData(**(values | changes))


def violating() -> ReportData:
    """A trial in which things went wrong, and peers were rude."""
    base = trial()
    wrong = tuple(
        ShownEmission(
            node="attacker" if at_s < 9 else "user-a",
            start_s=at_s,
            end_s=at_s + 0.004,
            low_hz=LOW,
            high_hz=MID,
            eirp_dbm=24.0,
            inside=False,
            why="no settlement of this node was live" if at_s < 9 else "after the settlement was preempted",
        )
        for at_s in (6.2, 6.24, 6.28, 13.42, 13.48)
    )
    told = summary() | {"emissions": {"inside_s": 1.492, "outside_s": 0.02, "violations": 5}}
    audit = (
        *base.audit[:3],
        dataclasses.replace(base.audit[3], problems=("record 17: the signature does not verify",)),
    )
    return dataclasses.replace(
        base,
        passed=False,
        summary=told,
        emissions=base.emissions + wrong,
        audit=audit,
        audit_problems=("settlement 3: user-b holds a CONFIRM that the holder's lineage does not",),
    )


def empty() -> ReportData:
    """A trial of which nothing came."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("settlements", "gates", "emissions", "incumbents", "refusals", "audit", "audit_problems", "nodes"), ()
    )
    return trial(summary={}, waterfall=None, **nothing)


class Reader(HTMLParser):
    """What a browser would make of the page: tags with their attributes, text, and whether tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.texts))

    def having(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page() -> str:
    return render(trial())


@pytest.fixture(scope="module")
def failed() -> str:
    return render(violating())


def test_it_asks_for_nothing(page: str, failed: str) -> None:
    for text in (page, failed):
        read = Reader(text)
        assert not {tag for tag, _ in read.tags} & {"script", "iframe", "object", "embed", "base", "form", "source"}
        for attribute in ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background", "ping"):
            for value in read.having(attribute):
                assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,"
        without_images = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=\s]+", "", text)
        assert "//" not in without_images
        assert re.findall(r"http(?!-equiv)", without_images) == []
        assert re.findall(r"@import|url\((?!#)", without_images) == []
        assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_a_strict_policy_stands_before_anything_it_governs(page: str) -> None:
    metas = [meta for meta in Reader(page).named("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.strip().split(" ", 1) for part in (metas[0]["content"] or "").split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("Content-Security-Policy") < min(page.index("<style"), page.index("<link"), page.index("<svg"))


def test_ids_are_unique_and_every_reference_finds_its_own(page: str, failed: str) -> None:
    for text in (page, failed):
        read = Reader(text)
        ids = read.having("id")
        assert len(ids) == len(set(ids))
        wanted = [value[1:] for value in read.having("href") if value.startswith("#")]
        wanted += re.findall(r"url\(#([^)]+)\)", text)
        wanted += [one for value in read.having("aria-labelledby") for one in value.split()]
        assert set(wanted) <= set(ids)


def test_headings_and_landmarks(page: str) -> None:
    read = Reader(page)
    tags = [tag for tag, _ in read.tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert read.named("html") == [{"lang": "en"}]
    sections = [attributes["id"] for attributes in read.named("section")]
    assert sections == ["figures", "waterfall", "timeline", "settlements", "refusals", "audit", "settings"]


def test_every_picture_has_a_name_and_a_table_that_says_the_same(page: str) -> None:
    read = Reader(page)
    pictures = [attributes for attributes in read.named("div") if attributes.get("role") == "img"]
    assert len(pictures) == 2
    assert all(len(picture["aria-label"] or "") > 40 for picture in pictures)
    assert all(svg["aria-hidden"] == "true" for svg in read.named("svg"))
    assert {"waterfall-levels", "timeline-nodes", "timeline-gates", "timeline-incumbents"} <= set(read.having("id"))
    early = waterfall([])
    early = dataclasses.replace(early, times_s=np.linspace(0.0, 4.0, len(early.times_s)))
    assert re.search(r"6.0.8.0 not sensed not sensed", Reader(render(trial(waterfall=early))).text)


def test_the_same_data_give_the_same_bytes(page: str) -> None:
    assert render(trial()) == page
    assert len(page.encode()) < 1_500_000


def test_pictures_leave_the_settings_of_others_alone(page: str) -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 31.0, "axes.grid": True, "svg.fonttype": "path"}):
        assert render(trial()) == page
        assert mpl.rcParams["font.size"] == 31.0
    assert dict(mpl.rcParams) == before


def test_a_passed_trial_says_so_with_units(page: str) -> None:
    text = Reader(page).text
    assert "✓ PASS Every emission the oracle saw was inside a live settlement, and all 4 lineages verify." in text
    for said in (
        "Emitted inside a live settlement 1.492 s",
        "Emitted outside a live settlement 0.000 s no violation",
        "Settlements 4 from 5 offers",
        "Refusals 15",
        "Gate closed within 1.8 / 4.1 / 4.9 ms p50 / p99 / max",
        "Time to settle 41.7 / 96.2 ms p50 / p99",
        "Incumbent found after 212 ms",
        "Lineage records verified 1\u202f412 of 1\u202f412",
        "dBFS/Hz (relative, uncalibrated)",
        "Seed 7 Duration 20 s Band 3550\u20133570 MHz",
    ):
        assert said in text, said
    assert "/home/someone" not in page


def test_violations_are_named_in_words(failed: str) -> None:
    read = Reader(failed)
    sentence = "5 emissions, 20.0 ms in all, left an antenna outside a live settlement (from attacker, user-a)"
    assert f"✗ FAIL {sentence} and 2 problems were found in the signed lineages." in read.text
    assert "Emitted outside a live settlement 0.020 s 5 violations" in read.text
    assert "no settlement of this node was live" in read.text
    assert "after the settlement was preempted" in read.text
    drawn = re.findall(r"<text[^>]*>([^<]*violations?)</text>", failed)
    assert sorted(set(drawn)) == ["2 violations", "3 violations"]
    assert "attacker: record 17: the signature does not verify" in read.text
    assert "settlement 3: user-b holds a CONFIRM" in read.text


def test_a_short_violation_is_drawn_wide_enough_to_see() -> None:
    bare = dataclasses.replace(trial(), emissions=violating().emissions[-1:], settlements=(), gates=(), incumbents=())
    with drawing():
        canvas = Canvas(axes=Figure().add_axes((0, 0, 1, 1)), layout=WIDE, span_s=(0.0, 20.0))
        canvas.bars([(13.48, 13.484)], top_pt=0, height_pt=1, least_pt=VIOLATION_PT, facecolor=BAD)
        times = canvas.axes.patches[0].get_path().vertices[:, 0]
    assert np.ptp(times) * canvas.pt_per_s == pytest.approx(VIOLATION_PT)
    assert "1 violation<" in timeline.draw(bare, WIDE)


@pytest.mark.parametrize(
    "against",
    [
        {"emissions": violating().emissions},
        {"audit": violating().audit},
        {"audit_problems": ("two histories",)},
        {"summary": summary() | {"emissions": {"inside_s": 1.0, "outside_s": 0.0, "violations": 1}}},
        {"summary": summary() | {"emissions": {"inside_s": 1.0, "outside_s": 0.004, "violations": []}}},
        {"summary": summary() | {"lineage": {"records": 10, "verified": 9}}},
        {"summary": summary() | {"lineage": {"records": 10, "verified": False}}},
        {"passed": False},
        {"audit": ()},
        {"summary": {}},
    ],
)
def test_a_page_never_says_pass_against_its_own_evidence(against: dict[str, Any]) -> None:
    judged = verdict(trial(**against))
    assert (judged.passed, judged.word) == (False, "FAIL")
    assert judged.sentence.endswith(".")


def test_a_trial_of_which_nothing_came() -> None:
    read = Reader(render(empty()))
    assert "✗ FAIL What the antennas emitted is not known and no lineage was audited." in read.text
    assert "not recorded" in read.text
    for said in ("Nothing was settled", "Nothing was refused", "No lineage was audited", "No node took part"):
        assert said in read.text
    figures = key_figures(empty())
    assert [figure.value for figure in figures] == [NOT_MEASURED] * len(figures)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "fast", True, [], {}])
def test_what_was_not_measured_is_not_zero(value: object) -> None:
    told: dict[str, Any] = {
        "emissions": {"inside_s": value, "outside_s": value},
        "settled": value,
        "refused": value if not isinstance(value, dict) else None,
        "gate": {"close_latency_ms": {"p50": value}},
        "settlement_ms": value,
        "incumbent": {"detected": None, "latency_ms": value},
        "lineage": {"records": value, "verified": value},
    }
    assert {figure.value for figure in key_figures(trial(summary=told))} == {NOT_MEASURED}


def test_a_silent_trial_may_pass() -> None:
    told = summary() | {"emissions": {"inside_s": 0.0, "outside_s": 0.0, "violations": []}}
    judged = verdict(trial(summary=told, emissions=()))
    assert (judged.passed, judged.sentence) == (True, "No antenna emitted at all, and all 4 lineages verify.")


def test_an_incumbent_that_nobody_found_is_said() -> None:
    told = summary() | {"incumbent": {"detected": False, "latency_ms": None}}
    assert "Incumbent found after not found" in Reader(render(trial(summary=told))).text


RUDE = '"><script>alert(1)</script><img src=x onerror=alert(1)>${{ 7*7 }} $\\frac{1}$ \u202e\x00\x1b[31m\ud800 id="x"'


def test_no_text_of_others_becomes_part_of_the_page() -> None:
    named = trial()
    rude = dataclasses.replace(
        named,
        title=RUDE,
        nodes=((RUDE, RUDE),),
        settlements=tuple(
            dataclasses.replace(row, user=RUDE, holder=RUDE, sid=RUDE, outcome=RUDE) for row in named.settlements
        ),
        gates=tuple(
            GateSpan(node=RUDE, state=state, reason=RUDE, from_s=at_s, to_s=at_s + 9)
            for at_s, state in ((0.0, "OPEN"), (9.0, RUDE))
        ),
        emissions=tuple(
            dataclasses.replace(one, node=RUDE, inside=index % 2 == 0, why=RUDE)
            for index, one in enumerate(named.emissions[:9])
        ),
        incumbents=tuple(dataclasses.replace(mark, what=RUDE) for mark in named.incumbents),
        refusals=(RefusalRow(at_s=1.0, node=RUDE, peer=RUDE, reason=RUDE, detail=RUDE + "x" * 100_000),),
        audit=(AuditRow(node=RUDE, records=1, own=1, received=0, refused=0, root=RUDE, problems=(RUDE,)),),
        audit_problems=(RUDE,),
        waterfall=dataclasses.replace(waterfall([]), node=RUDE),
        summary=summary() | {"offers": RUDE, RUDE: RUDE, "refused": {RUDE: 3}},
    )
    text = render(rude)
    assert len(text.encode()) < 1_500_000
    read = Reader(text)
    assert {tag for tag, _ in read.tags} == {tag for tag, _ in Reader(render(violating())).tags}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert not {"\u202e", "\x00", "\x1b", "\ud800"} & set(text)
    assert "<script>alert(1)</script>" in read.text
    assert "49" not in {word.strip("${} ") for word in read.text.split()}


def test_refusals_are_grouped_with_count_and_meaning(page: str) -> None:
    text = Reader(page).text
    assert re.search(r"REPLAY 9 The record had been seen before holder, user-b SIGNATURE 2", text)
    assert "15 refusals one by one" in text


def test_every_refusal_code_has_a_meaning() -> None:
    assert set(MEANINGS) == {reason.value for reason in Reason}


def test_long_lists_are_cut_and_say_so() -> None:
    many = tuple(RefusalRow(at_s=i / 99, node="holder", peer="x", reason="REPLAY", detail="") for i in range(1_203))
    text = render(trial(refusals=many))
    assert "703 further rows left out here; the lineages hold all of them." in text
    assert re.search(r"REPLAY 1\u202f203 ", Reader(text).text)


def test_pictures_share_their_time_axis(page: str) -> None:
    for layout in (WIDE, NARROW):
        ticks = [
            re.findall(rf'id="{picture}-{layout.name}-xtick_\d+">.*?x="([\d.]+)"[^>]*>', page, flags=re.DOTALL)
            for picture in ("waterfall", "timeline")
        ]
        assert len(ticks[1]) > 3
        assert ticks[0][: len(ticks[1])] == ticks[1]


def test_an_emission_after_the_end_is_still_on_the_axis() -> None:
    late = dataclasses.replace(trial().emissions[0], start_s=21.0, end_s=21.5, inside=False, why="late")
    assert whole(trial(emissions=(late,))) == (0.0, 21.5)
    assert whole(trial(duration_s=0.0, emissions=())) == (0.0, 1.0)


def test_an_unlisted_node_that_emits_gets_a_lane() -> None:
    stray = dataclasses.replace(trial().emissions[0], node="stray", inside=False)
    assert [lane.node for lane in lanes(trial(emissions=(stray,)), WIDE)][-1] == "stray"


def test_emissions_go_to_the_row_of_the_settlement_that_covers_them() -> None:
    rows = (settlement(1, "user-a", LOW, 0.0, 8.0), settlement(2, "user-a", MID, 2.0, 9.0))
    (first,) = (one for one in trial().emissions[:1])
    low = dataclasses.replace(first, start_s=3.0, end_s=3.1)
    high = dataclasses.replace(low, low_hz=MID + 1e6, high_hz=HIGH - 1e6)
    late = dataclasses.replace(low, start_s=12.0, end_s=12.1)
    lane = next(one for one in lanes(trial(settlements=rows), WIDE) if one.node == "user-a")
    assert by_row(lane, (low, high, late)) == ([[low], [high]], [late])


def test_overlapping_settlements_stand_in_rows_of_their_own() -> None:
    rows = [(i, settlement(i, "user-a", LOW, *times)) for i, times in enumerate(((0.0, 4.0), (2.0, 6.0), (4.0, 8.0)))]
    assert [[number for number, _ in stack] for stack in stacked(rows)] == [[0, 2], [1]]
    assert stacked([]) == ((),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (2.0, 8.0)),
        ({"confirmed_s": 2.5}, (2.5, 8.0)),
        ({"ended_s": 3.0}, (2.0, 3.0)),
        ({"ended_s": None}, (2.0, 8.0)),
        ({"ended_s": 1.0}, None),
        ({"confirmed_s": None}, None),
    ],
)
def test_a_settlement_lives_from_confirmation_to_its_end(changes: dict[str, Any], expected: Span | None) -> None:
    assert lived(settlement(1, "user-a", LOW, 2.0, 8.0, **changes)) == expected


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))))
def test_merging_keeps_what_is_covered_and_leaves_gaps(spans: list[Span]) -> None:
    joined = merged(spans)
    assert all(after[0] > before[1] for before, after in pairwise(joined))
    assert all(any(low <= start and end <= high for low, high in joined) for start, end in spans)
    assert {edge for span in joined for edge in span} <= {edge for span in spans for edge in span}


def test_the_grid_shows_the_strongest_and_leaves_gaps_unsensed() -> None:
    level = np.full((4, 8), -140.0, dtype=np.float32)
    level[1, 3] = -100.0
    level[2, 5] = -np.inf
    level.setflags(write=False)
    heard = WaterfallPicture(node="n", level_db=level, times_s=np.array([0.0, 1.0, 2.0, 8.0]), low_hz=0.0, high_hz=8.0)
    cells = grid(heard, span_s=(0.0, 10.0), low_hz=0.0, high_hz=8.0)
    assert cells.level_db.shape == (8, COLUMNS_MAX)
    per_s = COLUMNS_MAX // 10
    assert cells.level_db[3, int(1.5 * per_s)] == -100.0
    assert np.isnan(cells.level_db[5, int(2.5 * per_s)])
    assert np.isnan(cells.level_db[:, 4 * per_s : 7 * per_s]).all()
    assert np.isfinite(cells.level_db[:, int(8.5 * per_s)]).all()
    assert row_spans(np.array([3.0])) == [(3.0, 3.0)]


@pytest.mark.parametrize("shape", [(0, 256), (3, 256), (5000, 1024), (1, 1)])
def test_any_shape_of_waterfall_renders(shape: tuple[int, int]) -> None:
    level = np.full(shape, -140.0 if shape[0] != 3 else np.nan, dtype=np.float32)
    heard = dataclasses.replace(waterfall([]), level_db=level, times_s=np.linspace(0, 19, shape[0]))
    text = render(trial(waterfall=heard))
    assert len(text.encode()) < 1_500_000
    assert ("not recorded" in text) == (shape[0] in (0, 3))


def test_writing_replaces_the_whole_file_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write(trial(), path)
    whole = path.read_text(encoding="utf-8")
    assert whole == render(trial())
    assert list(tmp_path.iterdir()) == [path]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.report.render.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(empty(), path)
    assert path.read_text(encoding="utf-8") == whole
    assert list(tmp_path.iterdir()) == [path]


def test_clean_spells_out_what_cannot_be_shown() -> None:
    assert clean("a\nb\u202e") == "a\\u000ab\\u202e"
    assert clean("abcdef", limit=3) == "abc…"
    assert clean("Zürich 東京") == "Zürich 東京"
