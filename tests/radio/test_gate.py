"""The gate: every condition closes it with its own reason, and only all of them together open it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.gate import TRANSITIONS, Allow, Finding, GateState, Inputs, Sensed, decide, state_after
from settlement.chain.scope import Band
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit, verify
from tests.settlement.world import LOWER, NETWORK, NS, T0, fix, trio

MONO = 50 * NS
LEAD_NS = 15_000_000


@pytest.fixture(scope="module")
def permit(tmp_path_factory: pytest.TempPathFactory) -> VerifiedPermit:
    world = trio(tmp_path_factory.mktemp("world"))
    found = verify(world.settle(start_s=2.0, end_s=12.0), network=NETWORK, anchors=world.anchors)
    assert isinstance(found, VerifiedPermit)
    return replace(found, transmit_until_ns=T0 + 12 * NS)


def inputs(permit: VerifiedPermit, at_s: float = 5.0) -> Inputs:
    """Everything right."""
    return Inputs(
        now=fix(at_s),
        mono_ns=MONO,
        driver_fault=None,
        latched=None,
        armed_until_mono_ns=MONO + 3600 * NS,
        permit=permit,
        device="device-alice",
        credential=permit.user.hash,
        suspended=None,
        tuned=LOWER,
        heartbeat_mono_ns=MONO - 10_000_000,
        heartbeat_limit_ns=200_000_000,
        sensed=Sensed(listened_ns=MONO - 20_000_000, incumbent=False),
        outside_until_mono_ns=None,
        lead_ns=LEAD_NS,
    )


@pytest.mark.feature("R6")
def test_all_conditions_open_it_for_what_is_surely_left(permit: VerifiedPermit) -> None:
    decision = decide(inputs(permit))
    assert decision == Allow(for_ns=7 * NS - 1000 - LEAD_NS)
    assert state_after(GateState.ARMED, inputs(permit), decision) is GateState.OPEN


def moved(here: Fix, metres: float) -> Fix:
    north = here.position.lat_e7 + round(metres / 111_000 * 1e7)
    return replace(here, position=replace(here.position, lat_e7=north))


AHEAD = Sensed(listened_ns=MONO + 1, incumbent=False)
OLD = Sensed(listened_ns=MONO - NS - 1, incumbent=False)
Change = Callable[[Inputs], Inputs]
CLOSED: list[tuple[str, Change, Reason]] = [
    ("driver", lambda i: replace(i, driver_fault="gone"), Reason.DRIVER),
    ("latched", lambda i: replace(i, latched=refuse(Reason.DRIVER, "x", "gone", "a driver")), Reason.LATCHED),
    ("never armed", lambda i: replace(i, armed_until_mono_ns=None), Reason.NOT_ARMED),
    ("arming over", lambda i: replace(i, armed_until_mono_ns=MONO), Reason.NOT_ARMED),
    ("no permit", lambda i: replace(i, permit=None), Reason.NO_PERMIT),
    ("other device", lambda i: replace(i, device="device-bob"), Reason.BINDING),
    ("other credential", lambda i: replace(i, credential=bytes(32)), Reason.BINDING),
    (
        "preempted",
        lambda i: replace(i, suspended=refuse(Reason.PREEMPTED, "gate.6", "its holder", "none")),
        Reason.PREEMPTED,
    ),
    ("lease suspended", lambda i: replace(i, permit=replace(_p(i), suspended_for="INCUMBENT")), Reason.SUSPENDED),
    ("clock untrusted", lambda i: replace(i, now=fix(5.0, trusted=False)), Reason.TIME_UNTRUSTED),
    ("bound too wide", lambda i: replace(i, now=fix(5.0, bound_ns=1_000_001)), Reason.TIME_UNTRUSTED),
    ("too early", lambda i: replace(i, now=fix(1.0)), Reason.NOT_YET),
    ("start undecided", lambda i: replace(i, now=fix(2.0)), Reason.TIME_UNDECIDED),
    ("end undecided", lambda i: replace(i, now=fix(12.0)), Reason.TIME_UNDECIDED),
    ("too late", lambda i: replace(i, now=fix(13.0)), Reason.EXPIRED),
    ("within the lead of the end", lambda i: replace(i, now=fix(11.99)), Reason.EXPIRED),
    ("lease over", lambda i: replace(i, permit=replace(_p(i), transmit_until_ns=T0 + 4 * NS)), Reason.LEASE),
    ("lease undecided", lambda i: replace(i, permit=replace(_p(i), transmit_until_ns=T0 + 5 * NS)), Reason.LEASE),
    ("user's credential over", lambda i: replace(i, permit=_until(i, user=True)), Reason.EXPIRED),
    ("holder's credential over", lambda i: replace(i, permit=_until(i, user=False)), Reason.EXPIRED),
    ("user's credential not yet", lambda i: replace(i, permit=_from(i, user=True)), Reason.NOT_YET),
    ("holder's credential not yet", lambda i: replace(i, permit=_from(i, user=False)), Reason.NOT_YET),
    ("rule over", lambda i: replace(i, permit=_rule_over(i)), Reason.EXPIRED),
    ("sensed in the future", lambda i: replace(i, sensed=AHEAD), Reason.SENSING_STALE),
    ("elsewhere", lambda i: replace(i, now=moved(i.now, 30_000)), Reason.SPATIAL_OUTSIDE),
    ("at the edge", lambda i: replace(i, now=_vague(i.now)), Reason.SPATIAL_UNDECIDED),
    ("not tuned", lambda i: replace(i, tuned=None), Reason.BAND),
    ("tuned beside", lambda i: replace(i, tuned=Band(low_hz=LOWER.low_hz, high_hz=LOWER.high_hz + 1)), Reason.BAND),
    ("no heartbeat", lambda i: replace(i, heartbeat_mono_ns=None), Reason.HEARTBEAT),
    ("old heartbeat", lambda i: replace(i, heartbeat_mono_ns=MONO - 200_000_001), Reason.HEARTBEAT),
    ("never sensed", lambda i: replace(i, sensed=None), Reason.SENSING_STALE),
    ("sensed too long ago", lambda i: replace(i, sensed=OLD), Reason.SENSING_STALE),
    ("incumbent", lambda i: replace(i, sensed=Sensed(listened_ns=MONO, incumbent=True)), Reason.INCUMBENT),
    ("outside authorisation unknown", lambda i: replace(i, permit=_asks(i)), Reason.OUTSIDE_AUTHORISATION),
    ("outside authorisation over", lambda i: _authorised(i, MONO), Reason.OUTSIDE_AUTHORISATION),
    ("position untrusted", lambda i: replace(i, now=_nowhere(i.now)), Reason.POSITION_UNTRUSTED),
    ("rule not yet", lambda i: replace(i, permit=_rule_later(i)), Reason.NOT_YET),
    ("arming within the lead", lambda i: replace(i, armed_until_mono_ns=MONO + LEAD_NS), Reason.EXPIRED),
    ("authorised within the lead", lambda i: _authorised(i, MONO + LEAD_NS), Reason.EXPIRED),
]


def _p(i: Inputs) -> VerifiedPermit:
    assert i.permit is not None
    return i.permit


def _until(i: Inputs, *, user: bool) -> VerifiedPermit:
    permit = _p(i)
    if user:
        return replace(permit, user=replace(permit.user, expires_ns=T0 + 4 * NS))
    return replace(permit, holder=replace(permit.holder, expires_ns=T0 + 4 * NS))


def _from(i: Inputs, *, user: bool) -> VerifiedPermit:
    permit = _p(i)
    if user:
        return replace(permit, user=replace(permit.user, not_before_ns=T0 + 6 * NS))
    return replace(permit, holder=replace(permit.holder, not_before_ns=T0 + 6 * NS))


def _rule_over(i: Inputs) -> VerifiedPermit:
    rule = _p(i).rule
    return replace(_p(i), rule=replace(rule, effective=replace(rule.effective, end_ns=T0 + 4 * NS)))


def _asks(i: Inputs) -> VerifiedPermit:
    return replace(_p(i), rule=replace(_p(i).rule, outside_authorisation=1))


def _authorised(i: Inputs, until_ns: int) -> Inputs:
    return replace(i, permit=_asks(i), outside_until_mono_ns=until_ns)


def _nowhere(here: Fix) -> Fix:
    return replace(here, position=replace(here.position, trusted=False))


def _rule_later(i: Inputs) -> VerifiedPermit:
    rule = _p(i).rule
    return replace(_p(i), rule=replace(rule, effective=replace(rule.effective, start_ns=T0 + 6 * NS)))


def _vague(here: Fix) -> Fix:
    there = moved(here, 19_999)
    return replace(there, position=replace(there.position, radius_mm=100_000))


@pytest.mark.feature("R6")
@pytest.mark.parametrize(("change", "reason"), [c[1:] for c in CLOSED], ids=[c[0] for c in CLOSED])
def test_any_one_condition_closes_it(permit: VerifiedPermit, change: Change, reason: Reason) -> None:
    changed = change(inputs(permit))
    decision = decide(changed)
    assert isinstance(decision, Refusal)
    assert decision.reason is reason
    assert all(state_after(state, changed, decision) is not GateState.OPEN for state in GateState)


def test_outside_authorisation_opens_what_asks_for_it(permit: VerifiedPermit) -> None:
    asked = replace(inputs(permit), permit=_asks(inputs(permit)), outside_until_mono_ns=MONO + 3600 * NS)
    assert isinstance(decide(asked), Allow)


@pytest.mark.feature("S3")
@given(at_us=st.integers(-3_000_000, 15_000_000), bound_ns=st.integers(0, 2_000_000))
def test_it_never_allows_a_moment_that_may_lie_outside(permit: VerifiedPermit, at_us: int, bound_ns: int) -> None:
    now = fix(at_us / 1e6, bound_ns=bound_ns)
    decision = decide(replace(inputs(permit), now=now))
    if isinstance(decision, Allow):
        window = permit.cell.window
        assert now.time.earliest_ns >= window.start_ns
        assert now.time.latest_ns + decision.for_ns <= window.end_ns - LEAD_NS
        assert bound_ns <= permit.rule.time_bound_ns_max
        assert decision.for_ns > 0


@given(st.integers(0, 2 ** len(CLOSED) - 1))
def test_several_faults_never_cancel(permit: VerifiedPermit, chosen: int) -> None:
    """Any set of faults that each close the gate close it together."""
    changed = inputs(permit)
    applied = 0
    for number, (_, change, _) in enumerate(CLOSED):
        if chosen >> number & 1 and changed.permit is not None:
            changed = change(changed)
            applied += 1
    assert isinstance(decide(changed), Refusal if applied else Allow)


@pytest.mark.attack(16)
def test_a_credential_on_another_device(permit: VerifiedPermit) -> None:
    decision = decide(replace(inputs(permit), device="device-bob"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.BINDING


NEXT = {
    # from: on fault, unarmed, refused, allowed
    GateState.LOCKED: ("LATCHED", "LOCKED", "ARMED", "ARMED"),
    GateState.ARMED: ("LATCHED", "LOCKED", "ARMED", "OPEN"),
    GateState.OPEN: ("LATCHED", "LOCKED", "ARMED", "OPEN"),
    GateState.LATCHED: ("LATCHED", "LOCKED", "LOCKED", "LOCKED"),
}


@pytest.mark.feature("R6")
@pytest.mark.parametrize("state", list(GateState))
def test_every_state_and_every_finding(permit: VerifiedPermit, state: GateState) -> None:
    right = inputs(permit)
    found = [
        replace(right, latched=refuse(Reason.DRIVER, "x", "gone", "a driver")),
        replace(right, armed_until_mono_ns=None),
        replace(right, permit=None),
        right,
    ]
    assert tuple(state_after(state, i, decide(i)).value for i in found) == NEXT[state]
    faulty = replace(right, driver_fault="gone")
    assert state_after(state, faulty, decide(faulty)) is NEXT_UNARMED[state]
    assert set(TRANSITIONS) == {(s, f) for s in GateState for f in Finding}


NEXT_UNARMED = {state: GateState(row[1]) for state, row in NEXT.items()}


@pytest.mark.feature("R6")
def test_what_runs_out_first_bounds_what_is_allowed(permit: VerifiedPermit) -> None:
    """Each of the things that end by themselves is the first to, by a second, in turn."""
    right = inputs(permit)
    at_5s = T0 + 7 * NS
    rule, cell = permit.rule, permit.cell
    asks = replace(rule, outside_authorisation=1)
    firsts = [
        replace(right, armed_until_mono_ns=MONO + 2 * NS),
        replace(right, permit=replace(permit, transmit_until_ns=at_5s)),
        replace(right, permit=replace(permit, user=replace(permit.user, expires_ns=at_5s))),
        replace(right, permit=replace(permit, holder=replace(permit.holder, expires_ns=at_5s))),
        replace(right, permit=replace(permit, rule=replace(rule, effective=replace(rule.effective, end_ns=at_5s)))),
        replace(right, permit=replace(permit, cell=replace(cell, window=replace(cell.window, end_ns=at_5s)))),
        replace(right, permit=replace(permit, rule=asks), outside_until_mono_ns=MONO + 2 * NS),
    ]
    for i in firsts:
        decision = decide(i)
        assert isinstance(decision, Allow)
        assert 2 * NS - 1000 - LEAD_NS <= decision.for_ns <= 2 * NS - LEAD_NS
    not_asked = replace(right, outside_until_mono_ns=MONO + 2 * NS)
    assert decide(not_asked) == decide(right)


EDGES: list[tuple[str, Change, bool]] = [
    ("armed to the very end", lambda i: replace(i, armed_until_mono_ns=MONO + LEAD_NS + 1), True),
    ("bound at the rule's", lambda i: replace(i, now=fix(5.0, bound_ns=1_000_000)), True),
    ("heartbeat at its limit", lambda i: replace(i, heartbeat_mono_ns=MONO - 200_000_000), True),
    ("heartbeat beyond", lambda i: replace(i, heartbeat_mono_ns=MONO - 200_000_001), False),
    ("sensed this instant", lambda i: replace(i, sensed=Sensed(listened_ns=MONO, incumbent=False)), True),
    ("sensed at the limit", lambda i: replace(i, sensed=Sensed(listened_ns=MONO - NS, incumbent=False)), True),
    ("sensed beyond", lambda i: replace(i, sensed=OLD), False),
    ("sensed a moment ahead", lambda i: replace(i, sensed=AHEAD), False),
    ("authorised just past the lead", lambda i: _authorised(i, MONO + LEAD_NS + 1), True),
    ("authorised up to the lead", lambda i: _authorised(i, MONO + LEAD_NS), False),
    ("authorised till now", lambda i: _authorised(i, MONO), False),
    ("tuned inside", lambda i: replace(i, tuned=Band(low_hz=LOWER.low_hz + 1, high_hz=LOWER.high_hz - 1)), False),
    ("tuned lower", lambda i: replace(i, tuned=Band(low_hz=LOWER.low_hz - 1, high_hz=LOWER.high_hz)), False),
]


@pytest.mark.feature("R6")
@pytest.mark.parametrize(("change", "opens"), [e[1:] for e in EDGES], ids=[e[0] for e in EDGES])
def test_edges(permit: VerifiedPermit, change: Change, opens: bool) -> None:
    assert isinstance(decide(change(inputs(permit))), Allow) is opens


def at(second: int) -> str:
    """How a refusal names an instant."""
    return f"[{T0 + second * NS - 1000}, {T0 + second * NS + 1000}] ns"


SAID: dict[str, tuple[str, str, str]] = {
    "driver": ("gate.1", "gone", "a healthy driver"),
    "latched": ("gate.2", "DRIVER [x]: gone (required: a driver)", "cleared by the operator"),
    "never armed": ("gate.3", "not armed", "armed by the operator, for a bounded time"),
    "arming over": ("gate.3", "not armed", "armed by the operator, for a bounded time"),
    "no permit": ("gate.4", "none", "a settlement verified by this warden"),
    "other device": ("gate.5", "alice on device-alice", "device-bob"),
    "other credential": ("gate.5", "alice on device-alice", "device-alice"),
    "preempted": ("gate.6", "its holder", "none"),
    "lease suspended": ("gate.6", "INCUMBENT", "a RESUME by its holder"),
    "clock untrusted": ("gate.7", "ok, bound 1000 ns", "trusted, <= 1000000 ns"),
    "bound too wide": ("gate.7", "ok, bound 1000001 ns", "trusted, <= 1000000 ns"),
    "too early": ("gate.8", at(1), f">= {T0 + 2 * NS} ns"),
    "start undecided": ("gate.8", at(2), f"wholly inside [{T0 + 2 * NS}, {T0 + 12 * NS}) ns"),
    "end undecided": ("gate.8", at(12), f"wholly inside [{T0 + 2 * NS}, {T0 + 12 * NS}) ns"),
    "too late": ("gate.8", at(13), f"< {T0 + 12 * NS} ns"),
    "within the lead of the end": ("gate.8", "9999000 ns left", "> 15000000 ns to fall silent in"),
    "lease over": ("gate.9", at(5), f"lease until {T0 + 4 * NS} ns"),
    "lease undecided": ("gate.9", at(5), f"lease until {T0 + 5 * NS} ns"),
    "user's credential over": ("credential.validity", at(5), f"< {T0 + 4 * NS} ns"),
    "holder's credential over": ("credential.validity", at(5), f"< {T0 + 4 * NS} ns"),
    "user's credential not yet": ("credential.validity", at(5), f">= {T0 + 6 * NS} ns"),
    "holder's credential not yet": ("credential.validity", at(5), f">= {T0 + 6 * NS} ns"),
    "rule over": ("gate.8.rule", at(5), f"< {T0 + 4 * NS} ns"),
    "sensed in the future": ("gate.13", "-1 ns ago", "<= 1000000000 ns"),
    "elsewhere": ("gate.10", "29994393 mm from the centre, known to 1000 mm", "<= 20000000 mm"),
    "at the edge": ("gate.10", "19995111 mm from the centre, known to 100000 mm", "<= 20000000 mm at the farthest"),
    "not tuned": ("gate.11", "unknown", "3550-3560 MHz"),
    "tuned beside": ("gate.11", "3550-3560.000001 MHz", "3550-3560 MHz"),
    "no heartbeat": ("gate.12", "never", "<= 200000000 ns"),
    "old heartbeat": ("gate.12", "200000001 ns ago", "<= 200000000 ns"),
    "never sensed": ("gate.13", "never", "<= 1000000000 ns"),
    "sensed too long ago": ("gate.13", "1000000001 ns ago", "<= 1000000000 ns"),
    "incumbent": ("gate.13", "incumbent in the band", "none"),
    "outside authorisation unknown": ("gate.14", "unknown", "granted past 50000000000 ns"),
    "outside authorisation over": ("gate.14", "50000000000", "granted past 50000000000 ns"),
    "position untrusted": ("gate.10", "ok", "a trusted position"),
    "rule not yet": ("gate.8.rule", at(5), f">= {T0 + 6 * NS} ns"),
    "arming within the lead": ("gate.8", "15000000 ns left", "> 15000000 ns to fall silent in"),
    "authorised within the lead": ("gate.8", "15000000 ns left", "> 15000000 ns to fall silent in"),
}


@pytest.mark.parametrize(("name", "change"), [c[:2] for c in CLOSED], ids=[c[0] for c in CLOSED])
def test_a_refusal_says_what_was_measured_and_required(permit: VerifiedPermit, name: str, change: Change) -> None:
    decision = decide(change(inputs(permit)))
    assert isinstance(decision, Refusal)
    assert (decision.clause, decision.measured, decision.required) == SAID[name]
