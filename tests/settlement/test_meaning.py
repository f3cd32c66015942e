"""A value of the right type and no meaning is refused as TERMS; nothing that a stranger signed ends a node, ever."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from settlement.chain import bodies, meaning
from settlement.chain.admission import Admitted, prove
from settlement.chain.codec import FieldKind, Flaw, kinds_of, nested, text
from settlement.chain.leaf import RECEIVED, admitted_leaf
from settlement.chain.quantities import INSTANT_MAX_NS, VALIDITY_MAX_NS, WINDOW_MAX_NS
from settlement.chain.records import make_record, sign_record
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.pair.user import HEARD
from settlement.records.registry import RECORDS
from settlement.state.messages import Message
from settlement.state.nodestate import SIGHTING
from settlement.state.step import Step
from tests.settlement.enveloped import place, unit
from tests.settlement.test_rulefile import TEXT
from tests.settlement.world import AREA, LOWER, NS, RULE, T0, TERMS, UPPER, World, fix, offered, trio

TOO_LATE = 2**63 - 1
CELL = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 12 * NS))


def offer(**changes: Any) -> bodies.Declaration:
    base = bodies.Declaration(
        cell=CELL, commodity="cbrs", tier_low=2, tier_high=3, max_eirp_mdbm=30_000, price_form="fixed", price=7,
        rule=bytes(32),
    )  # fmt: skip
    return replace(base, **changes)


def busy(**changes: Any) -> bodies.Envelope:
    held = bodies.ChannelObservation(
        band=LOWER,
        state="busy",
        occupancy_ppm=bodies.Quantity(value=500_000, low=400_000, high=600_000),
        floor_unit="dBm/Hz",
        flags=(),
    )
    return place(1.0, **{"channels": (held,), **changes})


def observed(**changes: Any) -> bodies.Envelope:
    return busy(channels=(replace(busy().channels[0], **changes),))


def term(**changes: Any) -> bodies.Rule:
    return replace(RULE, classes=(replace(TERMS, **changes),))


def budget(**changes: Any) -> bodies.Rule:
    base = bodies.Budget(
        level="operator", commodity="cbrs", window_ns=NS, amount_hz_s=10**9, first_share_ppm=1, step_ppm=0
    )
    return replace(RULE, budgets=(replace(base, **changes),))


GRANT = bodies.Grant(
    sid=bytes(32), request=bytes(32), user=bytes(32), nonce=bytes(16), cell=CELL, commodity="cbrs", tier=2,
    max_eirp_mdbm=1, price=1, accept_by_ns=T0 + 2 * NS, confirm_by_ns=T0 + 3 * NS, challenge=bytes(32),
    rule=bytes(32), fence=1, lease_ns=NS,
)  # fmt: skip
MEANINGLESS: dict[str, tuple[str, Any]] = {
    "sure of nothing": (".level_ppm", busy(level_ppm=0)),
    "sure of a measurement": (".level_ppm", busy(level_ppm=1_000_000)),
    "a composite sure of itself": (".level_ppm", busy(kind="composite", level_ppm=1_000_000)),
    "a unit sure of nothing": (".level_ppm", unit(level_ppm=0)),
    "valid for ever": (".valid_until_ns", busy(valid_until_ns=TOO_LATE)),
    "valid for years": (".valid_until_ns", busy(valid_until_ns=T0 + 2 * VALIDITY_MAX_NS)),
    "over before it was seen": (".valid_until_ns", busy(valid_until_ns=T0 - 9 * NS)),
    "observed backwards": (".observed", busy(observed=Window(start_ns=T0 + 1, end_ns=T0))),
    "observed for centuries": (".observed", busy(observed=Window(start_ns=0, end_ns=T0))),
    "looks without number": (".looks", busy(looks=TOO_LATE)),
    "a channel of no width": (".channels[0].band", observed(band=Band(low_hz=5, high_hz=5))),
    "a channel backwards": (".channels[0].band", observed(band=Band(low_hz=6, high_hz=5))),
    "a channel beyond radio": (".channels[0].band.high_hz", observed(band=Band(low_hz=5, high_hz=TOO_LATE))),
    "an interval without its value": (
        ".channels[0].occupancy_ppm", observed(occupancy_ppm=bodies.Quantity(value=1, low=2, high=3))
    ),
    "more than all of the time": (
        ".channels[0].occupancy_ppm", observed(occupancy_ppm=bodies.Quantity(value=1, low=0, high=1_000_001))
    ),
    "a floor of lightning": (
        ".channels[0].floor_mdb.high", observed(floor_mdb=bodies.Quantity(value=1, low=0, high=2**62))
    ),
    "a radio without width": (".width_hz_max", unit(width_hz_max=0)),
    "louder than stars": (".max_eirp_mdbm", unit(max_eirp_mdbm=2**62)),
    "an offer of no width": (".cell.band", offer(cell=replace(CELL, band=Band(low_hz=5, high_hz=5)))),
    "an offer for ever": (
        ".cell.window.end_ns", offer(cell=replace(CELL, window=Window(start_ns=T0, end_ns=TOO_LATE)))
    ),
    "an offer for a century": (
        ".cell.window", offer(cell=replace(CELL, window=Window(start_ns=T0, end_ns=T0 + 100 * WINDOW_MAX_NS)))
    ),
    "an offer of no length": (".cell.window", offer(cell=replace(CELL, window=Window(start_ns=T0, end_ns=T0)))),
    "an offer far ahead": (
        ".cell.window.start_ns",
        offer(cell=replace(CELL, window=Window(start_ns=INSTANT_MAX_NS - 9, end_ns=INSTANT_MAX_NS))),
    ),
    "an offer all round the Earth": (
        ".cell.area.radius_mm", offer(cell=replace(CELL, area=Area(lat_e7=0, lon_e7=0, radius_mm=2**62)))
    ),
    "a price beyond counting": (".price", offer(price=TOO_LATE)),
    "tiers backwards": (".tier_low", offer(tier_low=3, tier_high=2)),
    "no raster": (".classes[0].raster_hz", term(raster_hz=0)),
    "no unit of time": (".classes[0].time_unit_ns", term(time_unit_ns=0)),
    "windows without end": (".classes[0].max_window_ns", term(max_window_ns=TOO_LATE)),
    "a lease of nothing": (".classes[0].lease_ns", term(lease_ns=0)),
    "time to vacate for ever": (".classes[0].vacate_ns", term(vacate_ns=TOO_LATE)),
    "time to accept for ever": (".classes[0].accept_ns", term(accept_ns=TOO_LATE)),
    "prices backwards": (".classes[0].price_low", term(price_low=2, price_high=1)),
    "a budget of no window": (".budgets[0].window_ns", budget(window_ns=0)),
    "a source of time nobody has": (".time_sources[0]", replace(RULE, time_sources=(200,))),
    "a source of place nobody has": (".position_sources[0]", replace(RULE, position_sources=(200,))),
    "a rule for ever": (".effective.end_ns", replace(RULE, effective=Window(start_ns=0, end_ns=TOO_LATE))),
    "a rule for a century": (".effective", replace(RULE, effective=Window(start_ns=0, end_ns=2**62))),
    "accept at the end of time": (".accept_by_ns", replace(GRANT, accept_by_ns=TOO_LATE)),
    "a fence at the end of numbers": (".fence", replace(GRANT, fence=TOO_LATE)),
    "a log without end": (".old_size", bodies.Checkpoint(note="", old_size=TOO_LATE, proof=())),
    "a list fresh for ever": (
        ".fresh_until_ns", bodies.Revocation(version=1, fresh_until_ns=TOO_LATE, bits=bytes(1))
    ),
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def signed(world: World, body: Any, author: str = "bob", at_s: float = 1.0, seq: int = 900) -> bytes:
    if author == "root":
        return world.by_authority(body, at_s)
    return sign_record(world.members[author].key, world.frame(author, at=fix(at_s), seq=seq), body)


@pytest.mark.attack(57)
@pytest.mark.parametrize("name", MEANINGLESS)
def test_what_cannot_be_meant_is_refused_by_whatever_way_it_comes(world: World, name: str) -> None:
    path, body = MEANINGLESS[name]
    for author in ("bob", "holder", "root"):
        raw = signed(world, body, author)
        found = prove(raw, world.members["alice"].party.registry)
        assert isinstance(found, Refusal)
        assert (found.reason, found.clause) == (Reason.TERMS, f"meaning.{bodies.TYPE_OF[type(body)]}{path}")
        assert found.measured
        assert found.required
        told = world.give("holder" if author == "root" else author, "alice", Message(record=raw).encoded(), 1.0)
        assert told is not None
        assert told.reason is Reason.TERMS


def test_what_is_meant_passes(world: World) -> None:
    for body in (busy(), unit(), offer(), RULE, term(), budget(), GRANT, busy(level_ppm=1), busy(level_ppm=999_999)):
        assert meaning.flaw_of(body) is None
        assert isinstance(prove(signed(world, body), world.members["alice"].party.registry), Admitted)


@pytest.mark.attack(57)
def test_the_last_meant_value_of_every_number_passes_and_the_next_is_told_with_both() -> None:
    asked = 0
    for cls in {one for body in bodies.BODIES.values() for one in reached(body)}:
        for name, kind in kinds_of(cls):
            whole = kind.item if kind.name == "array" and isinstance(kind.item, FieldKind) else kind
            if whole.name != "int" or whole.meant is None:
                continue
            low, high = whole.meant
            check, listed = meaning._of_kind(kind), whole is not kind
            for value, held in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
                told = ("[1]" if listed else "", value, f"{low} to {high}")
                found = check((low, value) if listed else value)
                assert found == (None if held else told), (cls, name, value)
            asked += 1
    assert asked > 40


@pytest.mark.attack(57)
def test_an_offer_begins_as_far_ahead_of_its_signing_as_may_be_and_no_later(world: World) -> None:
    signed = world.frame("bob", at=fix(1.0)).attestation
    last_ns = signed.latest_ns + WINDOW_MAX_NS
    for start_ns, held in ((last_ns, True), (last_ns + 1, False)):
        body = offer(cell=replace(CELL, window=Window(start_ns=start_ns, end_ns=start_ns + NS)))
        found = meaning.flaw(RECORDS["declaration"], body, signed)
        assert (found is None) is held
        if found is not None:
            assert (found.reason, found.clause) == (Reason.TERMS, "meaning.declaration.cell.window.start_ns")
            assert (found.measured, found.required) == (str(start_ns), f"<= {WINDOW_MAX_NS} ns after its signing")
    assert meaning.flaw_of(busy()) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """A schema class without a number, which means nothing as a whole."""

    word: str = text(1, 8)

    def meaning_flaw(self) -> Flaw:
        return ".word", self.word, "another"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One that has such a part."""

    inner: Worded = nested(1, Worded)  # noqa: RUF009 - as every schema class has them


def test_what_cannot_be_meant_is_told_with_the_way_to_it_and_both_values() -> None:
    found = meaning.flaw_of(offer(price=TOO_LATE))
    assert found is not None
    assert (found.reason, found.clause, found.measured) == (Reason.TERMS, "meaning.price", str(TOO_LATE))
    within = meaning.flaw_of(offer(cell=replace(CELL, band=Band(low_hz=2, high_hz=1))))
    assert within is not None
    assert within.clause.startswith("meaning.cell.band")
    for body, clause in ((Worded(word="x"), "meaning.word"), (Holding(inner=Worded(word="x")), "meaning.inner.word")):
        whole = meaning.flaw_of(body)
        assert whole is not None
        assert (whole.clause, whole.measured, whole.required) == (clause, "x", "another")


def test_a_source_that_nobody_has_is_not_attested(world: World) -> None:
    for changes in ({"time_source": 5}, {"position_source": 4}):
        frame = world.frame("bob", at=fix(1.0))
        frame = replace(frame, attestation=replace(frame.attestation, **changes))
        found = prove(sign_record(world.members["bob"].key, frame, busy()), world.registry())
        assert isinstance(found, Refusal)
        (name, value), *_ = changes.items()
        assert found.clause == f"meaning.envelope.attestation.{name}"
        assert (found.reason, found.measured) == (Reason.TERMS, str(value))


def test_a_rule_file_without_meaning_is_not_made_a_rule() -> None:
    assert "raster_hz = " in TEXT
    line = next(one for one in TEXT.splitlines() if one.startswith("raster_hz = "))
    with pytest.raises(RuleFileError, match="raster_hz"):
        read_rule(TEXT.replace(line, "raster_hz = 0"))


def test_every_number_of_every_body_has_bounds_that_were_thought_of() -> None:
    """A field whose whole form is meant is one whose form is narrow: a version, a tier, a flag, a millionth."""
    wide = {
        f"{cls.__name__}.{name}"
        for cls in {one for body in bodies.BODIES.values() for one in reached(body)}
        for name, kind in kinds_of(cls)
        for one in (kind, kind.item)
        if isinstance(one, FieldKind) and one.name == "int" and one.meant is None and one.high > 2**62
    }
    assert wide == {"Rule.version", "Schema.version", "Revocation.version", "Axis.low", "Axis.high"}


def reached(cls: type[Any]) -> list[type[Any]]:
    below = [kind.item for _, kind in kinds_of(cls) if isinstance(kind.item, type)]
    return [cls, *(one for part in below for one in reached(part))]


# -- what was admitted before this was asked ---------------------------------------------------------------------------


def poisoned(world: World) -> list[Any]:
    """Records without meaning in the holder's and alice's logs and state, as a program of before left them."""
    made = [busy(level_ppm=0), busy(level_ppm=1_000_000, valid_until_ns=TOO_LATE),
            offer(cell=replace(CELL, window=Window(start_ns=0, end_ns=TOO_LATE)))]  # fmt: skip
    records = [make_record(world.members["bob"].key, world.frame("bob", seq=800 + n), b) for n, b in enumerate(made)]
    for name in ("holder", "alice"):
        party = world.members[name].party

        def keep(step: Step, party: Any = party) -> None:
            for record in records:
                step.log(admitted_leaf(record.raw, origin=RECEIVED, now=step.now.time, rule=party.rule.hash), record)
            step.put(SIGHTING, world.members["bob"].hash, records[0].digest)
            step.put(SIGHTING, world.members["holder"].hash, records[1].digest)
            step.put(HEARD, records[2].digest, records[2].raw)

        world.do(name, 0.05, keep)
    return records


@pytest.mark.attack(57)
def test_a_node_starts_and_settles_with_such_records_in_its_log(world: World) -> None:
    poisoned(world)
    for name in ("holder", "alice"):
        world.members[name].party.lineage.close()
        world.members[name] = world.member_again(name)
    assert not world.members["alice"].party.user.offers, "an offer without meaning is no offer"
    world.settle()
    for name in ("holder", "alice"):
        world.do(name, 5.0, world.members[name].party.tick)
        assert world.members[name].party.faults == 0


# -- nothing that is signed can raise ----------------------------------------------------------------------------------

EXTREME = (0, 1, 2, 999_999, 10**6, 2**31, 2**32, 10**12, T0, T0 + 9 * NS, 2**61, 2**62, 2**62 + 1, 2**63 - 1)
WORDS = ("", "place", "unit", "composite", "free", "busy", "able", "radar", "cbrs", "INCUMBENT", "RECEIVED",
         "EQUIVOCATION", "FORK", "REVOKED", "operator", "authority", "obey", "all", "any", "handshake",
         "x" * 16)  # fmt: skip


def of_kind(kind: FieldKind, blobs: tuple[bytes, ...]) -> st.SearchStrategy[Any]:
    match kind.name:
        case "int":
            numbers = sorted({kind.low, kind.high, *kind.sensible, *(n for n in EXTREME if kind.low <= n <= kind.high)})
            drawn = st.sampled_from(numbers) | st.integers(kind.low, kind.high)
        case "bytes":
            known = [one for one in blobs if kind.low <= len(one) <= kind.high]
            drawn = st.binary(min_size=kind.low, max_size=min(kind.high, max(kind.low, 64)))
            drawn = st.sampled_from(known) | drawn if known else drawn
        case "text":
            drawn = st.sampled_from([word for word in WORDS if len(word) <= kind.high])
        case "map":
            drawn = of_class(kind.item, blobs)
        case _:
            item = of_kind(kind.item, blobs) if isinstance(kind.item, FieldKind) else of_class(kind.item, blobs)
            drawn = st.lists(item, min_size=kind.low, max_size=max(kind.low, min(kind.high, 3))).map(tuple)
    return st.none() | drawn if kind.optional else drawn


def of_class(cls: type[Any], blobs: tuple[bytes, ...]) -> st.SearchStrategy[Any]:
    """Any object of a schema class, full of extremes; some of the parts a node acts on are those of a good record."""
    good = {Cell: CELL, Area: AREA, Band: LOWER, Window: CELL.window, bodies.ClassTerms: TERMS}
    drawn: st.SearchStrategy[Any]
    if cls is Area:
        circle = st.builds(Area, **{n: of_kind(replace(k, optional=False), blobs) for n, k in kinds_of(Area)[:3]})
        drawn = st.just(AREA) | circle
    else:
        drawn = st.builds(cls, **{name: of_kind(kind, blobs) for name, kind in kinds_of(cls)})
    return st.just(good[cls]) | drawn if cls in good else drawn


@pytest.mark.attack(57)
@pytest.mark.feature("S7")
def test_no_record_of_any_type_ends_a_node_and_honest_ones_still_settle(tmp_path: Path) -> None:
    world = offered(tmp_path)
    world.request("alice", 0.5, LOWER, 2.0, 12.0)
    assert world.carry(0.5) == []
    (pair,) = world.members["holder"].party.holder.pairs.values()
    (held,) = world.members["alice"].party.user.offers
    assert pair.accept is not None
    assert pair.decision is not None
    blobs = (held, pair.sid, pair.request, pair.grant, pair.accept, pair.decision, world.members["bob"].hash,
             world.members["alice"].hash, world.members["holder"].party.rule.hash)  # fmt: skip
    sequence = iter(range(1000, 10**6))
    names = {"bob": ("holder", "alice"), "holder": ("alice", "bob"), "root": ("holder", "alice")}

    @settings(
        max_examples=250, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def one(data: st.DataObject) -> None:
        typ = data.draw(st.sampled_from([t for t in bodies.BODIES if t not in ("credential", "rotation")]))
        author = data.draw(st.sampled_from(list(names)))
        body = data.draw(of_class(bodies.BODIES[typ], blobs))
        raw = signed(world, body, author, 1.0, seq=next(sequence))
        for to in names[author]:
            world.give("holder" if author == "root" else author, to, Message(record=raw).encoded(), 1.0)
            assert world.members[to].party.faults == 0

    one()
    for name in ("holder", "alice", "bob"):
        party = world.members[name].party
        world.do(name, 1.5, party.tick)
        assert party.faults == 0
        world.members[name].outgoing = []
        party.lineage.close()
        world.members[name] = world.member_again(name)
        assert world.members[name].party.damaged is None
    world.offer(at_s=2.0)
    assert world.carry(2.0) == []
    world.request("bob", 2.5, UPPER, 4.0, 9.0)
    assert world.carry(2.5) == []
    assert world.members["bob"].party.faults == 0


def test_a_duty_that_fails_is_undone_and_told_and_costs_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settle()
    holder = world.members["holder"].party

    def breaks(step: Step) -> None:
        step.put("half", b"done", b"1")
        step.event("told too early")
        raise ZeroDivisionError

    monkeypatch.setattr(holder.witness, "waits", lambda _step: True)
    monkeypatch.setattr(holder.witness, "tick", breaks)
    world.members["holder"].notices = []
    world.do("holder", 3.0, holder.tick)
    assert holder.lineage.get("half", b"done") is None
    assert next(n.name for n in world.members["holder"].notices) == "fault"
    assert "told too early" not in [n.name for n in world.members["holder"].notices]
    before = holder.faults
    monkeypatch.setattr(holder.witness, "tick", breaks)
    world.do("holder", 3.1, holder.tick)
    assert holder.faults == before, "it is left alone for a while"
    world.do("holder", 5.0, holder.tick)
    assert next(iter(holder.holder.pairs.values())).renewals > 0, "the leases are seen to all the same"
