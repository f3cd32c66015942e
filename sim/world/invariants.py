"""Invariants I1 to I20 of the protocol as pure functions: each returns "" where it holds, else what breaks it.

What each says, where it is checked, and when the monitor asks:

    I1   no two active settlements overlap           i1_no_two_in_one_cell    at every CONFIRM, over all holders' logs
         nobody co-signs what overlaps               i1_signed_once           at every co-signature
    I2   one terminal decision for each sid          i2_one_decision          at every own record, over all logs
    I3   active implies a durable CONFIRM in time    i3_active_is_confirmed   after every step, both sides
         and every co-signature the rule asks for    i3_confirmed_is_cosigned at every CONFIRM
    I4   nothing is sent before it is durable        i4_durable_before_sent   at every message that leaves
    I5   same input, same bytes                      i5_same_input_same_bytes at every own record and answer to a replay
    I6   fences only rise                            i6_fences_rise           at every own record; after every step
    I7   child scope inside parent on every axis     i7_scopes_narrow         at every GRANT, by offer and both scopes
                                                     i7_delegation_narrows    for every credential
    I8   spent <= budget across restarts             i8_within_budget         at every GRANT, from all GRANTs in the log
    I9   revocation is monotone                      i9_revocation_is_monotone   after every step
         nothing is granted to the revoked           i9_nothing_for_the_revoked  at every GRANT and CONFIRM
    I10  heads only extend                           i10_heads_only_extend    after every step, root from entries
         a log that is behind signs nothing          i10_behind_signs_nothing after every step
    I11  replay rebuilds the same root and verdicts  i11_replay_agrees        at every start; by audit at the end
    I12  unknown or unsynchronised = refuse          i12_unknown_time_signs_nothing   at every own record
    I13  offline verdict = online verdict            i13_offline_as_online    at every settlement taken for settled
    I14  a conflicting pair is evidence by itself    i14_evidence_proves      at every evidence record, against cheats
    I15  one logged verdict for each record          i15_one_verdict          at every message that arrives
    I16  a lower tier never displaces a higher       i16_tiers                at every admitted PREEMPT
    I17  no power outside a live settlement          i17_power_inside_one_settlement  at every emission that ends
         nor while it is suspended                   i17_silent_once_suspended        likewise, by the user's own log
    I18  a grant is inside the envelopes it rests on i18_inside_its_envelopes at every GRANT
    I19  what is handed on is no wider, agreed to and   i19_handed_on_narrows   at every CONFIRM under a HANDOVER
         silent before, and leased no longer            i19_leased_no_longer    at every CONFIRM and RENEW under one
    I20  no two radiate at once where they overlap   i20_one_at_a_time        at every emission that ends

The functions know nothing of the machines they judge: they take what lies in logs, what was sent, and what was in the
air. `zero_ns` is true UTC at virtual time zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from settlement.chain.bodies import Declaration, Envelope, Grant, Rule
from settlement.chain.checkpoint import Head
from settlement.chain.records import Attestation
from settlement.chain.scope import Scope, wider_than
from settlement.core.fixes import TimeSource
from settlement.core.reasons import Refusal
from settlement.pair.coordination import CoordinationSigned, lacking
from settlement.records.handover import Consent, Vacated
from settlement.records.registry import RECORDS
from sim.world.ledger import Entry, Life, SeenRecord
from sim.world.transmitter import ModelledEmission

NS = 1_000_000_000


def i1_no_two_in_one_cell(new: Life, others: Iterable[Life], zero_ns: int) -> str:
    """No two active settlements overlap in band x area x time. `new` was confirmed last."""
    begins_ns = max(new.cell.window.start_ns, zero_ns + new.confirmed_true_ns)
    for old in others:
        if old.sid == new.sid or old.confirm is None or new.hands_on(old):
            continue
        apart = not old.cell.band.overlaps(new.cell.band) or not old.cell.area.overlaps(new.cell.area)
        old_begins_ns = max(old.cell.window.start_ns, zero_ns + old.confirmed_true_ns)
        ends_ns = min(old.live_until_ns(zero_ns), new.live_until_ns(zero_ns))
        if not apart and max(begins_ns, old_begins_ns) < ends_ns:
            return f"{new.sid.hex()[:8]} and {old.sid.hex()[:8]} both live in {new.cell.band}"
    return ""


def i2_one_decision(sid: bytes, decisions: Mapping[bytes, set[bytes]]) -> str:
    """At most one CONFIRM or ABORT for each settlement, anywhere."""
    count = len(decisions.get(sid, ()))
    return f"{count} decisions on {sid.hex()[:8]}" if count > 1 else ""


def i1_signed_once(new: Life, others: Iterable[Life], signed_ns: int) -> str:
    """Nobody co-signs two settlements that overlap, unless the other was given up, or its window is over (UTC).

    Or unless the new one hands on the other's lease.
    """
    for old in others:
        if new.hands_on(old):
            continue
        ended = old.ended_true_ns is not None or old.sid == new.sid or old.cell.window.end_ns <= signed_ns
        if not ended and old.cell.overlaps(new.cell) and old.confirm is not None:
            return f"{new.sid.hex()[:8]} and {old.sid.hex()[:8]} both co-signed in {new.cell.band}"
    return ""


def i3_active_is_confirmed(sid: bytes, lives: Mapping[bytes, Life], *, coordinated: bool = False) -> str:
    """An active settlement has a durable CONFIRM of its holder, surely before `accept_by`.

    Before `confirm_by` where others are asked in between: those who co-sign it, or the holder of a lease it hands on.
    """
    life = lives.get(sid)
    if life is None or life.confirm is None:
        return f"{sid.hex()[:8]} is active without a durable CONFIRM"
    waited = coordinated or life.above is not None
    signed_ns, by_ns = life.confirm.attestation.latest_ns, life.confirm_by_ns if waited else life.accept_by_ns
    if signed_ns >= by_ns:
        return f"{sid.hex()[:8]} was confirmed {signed_ns - by_ns} ns too late"
    return ""


def i3_confirmed_is_cosigned(life: Life, rule: Rule, holder: bytes, signed: Iterable[CoordinationSigned]) -> str:
    """Before a CONFIRM everyone whom the rule asks has durably co-signed."""
    refusal = lacking(rule, life.cell, holder, signed)
    return f"{life.sid.hex()[:8]} was confirmed: {refusal}" if refusal else ""


def i4_durable_before_sent(name: bytes, durable: set[bytes]) -> str:
    """Every record that leaves a member is in its durable log."""
    return "" if name in durable else f"{name.hex()[:8]} was sent before it was durable"


def i5_same_input_same_bytes(versions: Iterable[set[bytes]]) -> str:
    """One number and one step of a settlement have one record: a repeated request gets the same bytes."""
    worst = max((len(v) for v in versions), default=0)
    return f"{worst} different records for one and the same" if worst > 1 else ""


def i6_fences_rise(fences: Sequence[int]) -> str:
    """The fence numbers of a holder only rise, across restarts."""
    fallen = [(a, b) for a, b in pairwise(fences) if b <= a]
    return f"fence {fallen[0][1]} after {fallen[0][0]}" if fallen else ""


def i7_scopes_narrow(grant: Grant, offer: Declaration, holder: Scope, user: Scope) -> str:
    """A grant lies inside the offer, and inside both scopes, on every axis."""
    cell, offered = grant.cell, offer.cell
    checks = (
        ("band of the offer", offered.band.holds(cell.band)),
        ("window of the offer", offered.window.holds(cell.window)),
        ("area of the offer", offered.area.holds(cell.area)),
        ("tiers of the offer", offer.tier_low <= grant.tier <= offer.tier_high),
        ("EIRP of the offer", grant.max_eirp_mdbm <= offer.max_eirp_mdbm),
        ("class of the offer", grant.commodity == offer.commodity),
        *(
            (f"{axis} of the {who}", held)
            for who, scope in (("holder", holder), ("user", user))
            for axis, held in (
                ("band", scope.holds_band(cell.band)),
                ("area", scope.area.holds(cell.area)),
                ("class", grant.commodity in scope.classes),
                ("tier", grant.tier >= scope.tier),
                ("EIRP", grant.max_eirp_mdbm <= scope.max_eirp_mdbm),
            )
        ),
    )
    wide = [axis for axis, held in checks if not held]
    return f"a grant beyond the {wide[0]}" if wide else ""


def i7_delegation_narrows(child: Scope, parent: Scope) -> str:
    """A credential's scope lies inside its issuer's."""
    refusal = wider_than(child, parent)
    return str(refusal) if refusal else ""


def i8_within_budget(grants: Iterable[tuple[int, Grant]], rule: Rule, levels: Mapping[bytes, str]) -> str:
    """The grants in a budget window cost no more than the budget, across restarts.

    Args: grants: instant of the holder's clock (earliest, ns) and body of each GRANT in its log.
    """
    paid = list(grants)
    for budget in rule.budgets or ():
        spent: dict[int, int] = {}
        for at_ns, grant in paid:
            if (budget.level, budget.commodity) != (levels[grant.user], grant.commodity):
                continue
            window = grant.cell.window
            hz = grant.cell.band.high_hz - grant.cell.band.low_hz
            cost = -(-hz * (window.end_ns - window.start_ns) // NS)
            spent[at_ns // budget.window_ns] = spent.get(at_ns // budget.window_ns, 0) + cost
        if max(spent.values(), default=0) > budget.amount_hz_s:
            return f"{max(spent.values())} Hz s granted of {budget.amount_hz_s}"
    return ""


def i9_revocation_is_monotone(before: tuple[int, bytes] | None, now: tuple[int, bytes] | None) -> str:
    """A status list's version never falls, and no bit in it is ever cleared. Args: (version, bits)."""
    if before is None:
        return ""
    if now is None or now[0] < before[0]:
        return f"status list {now[0] if now else 'none'} after {before[0]}"
    kept = len(now[1]) >= len(before[1]) and all(old & ~new == 0 for old, new in zip(before[1], now[1], strict=False))
    return "" if kept else "a revocation was taken back"


def i9_nothing_for_the_revoked(user: bytes, revoked: set[bytes]) -> str:
    """Nothing is granted to or confirmed for a credential that this holder knows to be revoked."""
    return f"granted to {user.hex()[:8]}, revoked" if user in revoked else ""


def i10_heads_only_extend(before: tuple[int, bytes], now: Head, root_at_before: bytes | None) -> str:
    """A log grows, and its former entries stay a part of it."""
    if now.size < before[0]:
        return f"{now.size} entries after {before[0]}"
    return "" if root_at_before == before[1] else f"another root at {before[0]}"


def i10_behind_signs_nothing(restored: bool, signed: int) -> str:
    """A log that is older than its neighbours have seen signs nothing."""
    return f"{signed} records signed on a restored log" if restored and signed else ""


def i11_replay_agrees(replayed: object, held: object, what: str) -> str:
    """State rebuilt from durable data equals the state held."""
    return "" if replayed == held else f"{what} differs when rebuilt from the log"


def i12_unknown_time_signs_nothing(typ: str, signed: Attestation, bound_ns_max: int) -> str:
    """With a clock that is not known well enough only the node's own statements are signed, and no decisions."""
    bound_ns = (signed.latest_ns - signed.earliest_ns + 1) // 2
    if RECORDS[typ].own_word or (signed.time_source != TimeSource.NONE and bound_ns <= bound_ns_max):
        return ""
    return f"{typ} signed with source {signed.time_source}, bound {bound_ns} ns"


def i13_offline_as_online(offline: Refusal | None, sid: bytes) -> str:
    """A settlement that a member takes for settled verifies offline, with the anchors alone."""
    return f"{sid.hex()[:8]} is settled but does not verify: {offline}" if offline else ""


def i14_evidence_proves(conflicting: bool, against: str, cheats: set[str]) -> str:
    """Evidence proves a conflict by itself, and only against a cheat."""
    if not conflicting:
        return f"evidence against {against} proves nothing"
    return "" if against in cheats else f"evidence against {against}, who was honest"


def i15_one_verdict(expected: int, logged: int) -> str:
    """Every message gets exactly one verdict in the log."""
    return "" if expected == logged else f"{logged} verdicts logged, not {expected}"


def i16_tiers(displaced: int, by: int) -> str:
    """A lower tier never displaces a higher one; 1 is the highest."""
    return f"tier {by} displaced tier {displaced}" if by > displaced else ""


def i17_silent_once_suspended(emission: ModelledEmission, silences: Iterable[Sequence[int]]) -> str:
    """Nothing radiates between a SUSPEND and a RESUME that its user has in its log. Args: silences in true ns."""
    heard = any(emission.start_ns < to_ns and from_ns < emission.end_ns for from_ns, to_ns in silences)
    return f"{emission.user} radiates after the SUSPEND it heard" if heard else ""


def i17_power_inside_one_settlement(emission: ModelledEmission, lives: Iterable[Life], zero_ns: int) -> str:
    """Every instant of power lies inside one live settlement, and in no other."""
    start_ns, end_ns = emission.start_ns + zero_ns, emission.end_ns + zero_ns
    covering, every = 0, list(lives)
    mine = next((life for life in every if life.sid == emission.sid), None)
    for life in every:
        if life.confirm is None or not life.cell.band.overlaps(emission.band):
            continue
        begins_ns = max(life.cell.window.start_ns, life.confirmed_true_ns + zero_ns)
        over_ns = life.live_until_ns(zero_ns)
        if life.sid != emission.sid:
            own = mine is not None and mine.hands_on(life)
            if not own and max(begins_ns, start_ns) < min(over_ns, end_ns) and life.cell.area.overlaps(emission.area):
                return f"{emission.user} radiates in the time of {life.sid.hex()[:8]}"
            continue
        covering += 1
        if start_ns < begins_ns or end_ns > min(over_ns, life.leased_until_ns):
            return f"{emission.user} radiates {end_ns - over_ns} ns past its settlement, or before it"
        if not life.cell.band.holds(emission.band) or emission.eirp_mdbm > life.max_eirp_mdbm:
            return f"{emission.user} radiates beyond band or EIRP of its settlement"
        if any(start_ns < to_ns and from_ns < end_ns for from_ns, to_ns in life.gaps):
            return f"{emission.user} radiates while its settlement is suspended and its lease is out"
    return "" if covering == 1 else f"{emission.user} radiates in {covering} settlements"


def i18_inside_its_envelopes(
    grant: Grant, at_ns: int, places: Iterable[Envelope], units: Iterable[Envelope], rule: Rule
) -> str:
    """Every Hz granted was found free by the newest look, and is within the user's radio, both still valid.

    Args: at_ns: signing of the GRANT, UTC. places: the holder's looks before it. units: what the user said before it.
    """
    looks, band = sorted(places, key=lambda p: p.observed.end_ns), grant.cell.band
    edges = {c.band.low_hz for p in (*looks, *units) for c in p.channels} | {band.low_hz}
    for hz in sorted(edge for edge in edges if band.low_hz <= edge < band.high_hz):
        said = [(p, c.state) for p in looks for c in p.channels if c.band.low_hz <= hz < c.band.high_hz]
        if not said or said[-1][1] != "free" or said[-1][0].valid_until_ns <= at_ns:
            return f"{hz} Hz granted, {said[-1][1] if said else 'never looked at'}"
        if _left_ppm(said[-1][0], at_ns) < (rule.confidence_ppm_min or 1):
            return f"{hz} Hz granted on a look of {at_ns - said[-1][0].observed.end_ns} ns ago"
    width_hz = band.high_hz - band.low_hz
    able = any(
        u.valid_until_ns > at_ns
        and (u.max_eirp_mdbm is None or grant.max_eirp_mdbm <= u.max_eirp_mdbm)
        and (u.width_hz_max is None or width_hz <= u.width_hz_max)
        and any(c.band.holds(band) for c in u.channels)
        for u in units
    )
    return "" if able else f"{width_hz} Hz at {grant.max_eirp_mdbm} mdBm granted beyond the user's radio"


def _left_ppm(look: Envelope, at_ns: int) -> int:
    """The interpolation line of the protocol page."""
    whole_ns, gone_ns = look.valid_until_ns - look.observed.end_ns, max(0, at_ns - look.observed.end_ns)
    return look.level_ppm - -(-look.level_ppm * gone_ns // whole_ns)


def i19_handed_on_narrows(new: Life, handover: SeenRecord, own: Sequence[Entry], consents: bool) -> str:
    """A CONFIRM under a HANDOVER: not wider than the HANDOVER, after its user's silence, with the holder's consent.

    Args: own: the entries of the old user's log, in order. consents: whether the rule asks for the holder's consent.
    """
    above, body = new.above, handover.body
    if above is None:
        return f"{new.sid.hex()[:8]} hands on what nobody granted"
    wide = [
        axis
        for axis, held in (
            ("band", above.cell.band.holds(body.cell.band) and body.cell.band.holds(new.cell.band)),
            ("area", above.cell.area.holds(body.cell.area) and body.cell.area.holds(new.cell.area)),
            ("window", above.cell.window.holds(body.cell.window) and body.cell.window.holds(new.cell.window)),
            ("EIRP", new.max_eirp_mdbm <= body.max_eirp_mdbm <= above.max_eirp_mdbm),
            ("tier", new.tier >= body.tier >= above.tier),
        )
        if not held
    ]
    if wide:
        return f"{new.sid.hex()[:8]} is wider than what it hands on: {wide[0]}"
    said = [e.seen for e in own if e.seen is not None and e.leaf.admitted]
    confirmed = new.confirm.seq if new.confirm is not None else 0
    if not any(isinstance(s.body, Vacated) and s.body.handover == handover.digest and s.seq < confirmed for s in said):
        return f"{new.sid.hex()[:8]} was confirmed before its old user was silent"
    agreed = any(isinstance(s.body, Consent) and s.body.handover == handover.digest for s in said)
    return "" if agreed or not consents else f"{new.sid.hex()[:8]} was confirmed without its holder's consent"


def i19_leased_no_longer(life: Life) -> str:
    """No lease under a HANDOVER ends after the newest lease of the settlement that it hands on."""
    above = life.above
    if above is None or life.leased_until_ns <= above.leased_until_ns:
        return ""
    return f"{life.sid.hex()[:8]} is leased {life.leased_until_ns - above.leased_until_ns} ns longer than what it is of"


def i20_one_at_a_time(emission: ModelledEmission, others: Iterable[ModelledEmission]) -> str:
    """No two transmitters are on at one instant in bands and areas that overlap, whatever any log says."""
    for other in others:
        apart = not other.band.overlaps(emission.band) or not other.area.overlaps(emission.area)
        if other.user != emission.user and not apart:
            together_ns = min(emission.end_ns, other.end_ns) - max(emission.start_ns, other.start_ns)
            if together_ns > 0:
                return f"{emission.user} and {other.user} radiate together for {together_ns} ns in {emission.band}"
    return ""
