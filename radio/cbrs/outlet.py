"""Decides what base stations may be granted: the warden's gate for radios whose samples it never sees.

A base station asks through the endpoint; the answer rests on the settlements this warden verified itself, on its own
clock, and on the same decision that opens an SDR's gate (`radio.gate.decide`), with these differences:

    (a) the place is the base station's, with its accuracy, not the node's
    (b) the band is the one asked for; its EIRP is density x width, and all that is out under one settlement adds up
    (c) `lead_ns` is the time a base station may take to be silent after transmitExpireTime (60 s by the standard), so
        that RF is off before the settlement ends, not only the permission
    (d) no answer reaches further than `horizon_ns`: what was given out cannot be called back, so little is
    (e) `horizon_ns` + `lead_ns`, the worst case from a cause to silence, is at most the class's `vacate_ns`
    (f) a device that was heard on the air after an end gets nothing until an operator clears it
    (g) a calendar of incumbents closes a band from (e) before a reservation begins
    (h) a grant that may still be used keeps its band and its power: a request of another band or power under its name
        would replace a louder grant in the book while its base station is still on
    (i) a lease of another node is given out only where leases change hands by their holder's consent: otherwise this
        holder would not hear that its user handed the lease on, and two radios would be on in one band

What is given out is recorded before it is told, and outlives this process (`CbsdBook`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from radio.cbrs import times
from radio.cbrs.book import CbsdBook, Out
from radio.cbrs.calendar import Calendar, reserved
from radio.cbrs.identity import binds
from radio.cbrs.permission import Answer, Ask, Given, Room, Spot, Withheld
from radio.cbrs.power import dbm_of, density_mdbm_per_mhz, eirp_mdbm, milliwatts
from radio.gate import Allow, Inputs, Sensed, decide
from radio.permits import HeldPermit
from settlement.chain.scope import Band
from settlement.core.fixes import Fix, PositionFix, PositionSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit
from settlement.pair.handover import asks_consent

NS = 1_000_000_000
HORIZON_NS = 60 * NS
SILENT_WITHIN_NS = 60 * NS
INTERVAL_MAX_S = 60
CBRS = Band(low_hz=3_550_000_000, high_hz=3_700_000_000)
FOR_GOOD = frozenset({Reason.EXPIRED, Reason.PREEMPTED, Reason.RELINQUISHED, Reason.REVOKED})
"""Reasons that end a grant for good: code 500; all others suspend it: 501."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletPlan:
    """How much is granted at a time, to whom, and whether a band that needs a SAS above may do without one."""

    members: frozenset[str]
    horizon_ns: int = HORIZON_NS
    silent_within_ns: int = SILENT_WITHIN_NS
    experimental: bool = False
    """A separate licence allows 3550-3700 MHz without a SAS above; without it the default there is to need one."""

    @property
    def worst_ns(self) -> int:
        """Worst case from a cause to silence, in ns, given the grants already out."""
        return self.horizon_ns + self.silent_within_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The warden's state at this instant: its own gate's inputs, what was sensed, and the SAS above for a device."""

    inputs: Inputs
    sensed: Callable[[Band], Sensed | None]
    authorised_until: Callable[[str, Band, int], int | None]
    """Maps device, band and EIRP (mdBm) to monotonic ns; None when there is no grant of a SAS above."""


def _no_calendar() -> Calendar | None:
    return None


@dataclass(slots=True)
class Outlet:
    """Answers base stations. `held` are the verified settlements, `mine` this node's credentials."""

    plan: OutletPlan
    book: CbsdBook
    calendar: Callable[[], Calendar | None] = field(default=_no_calendar)
    heard_after: dict[str, str] = field(default_factory=dict)
    """Devices heard on the air after the end of their grant, and what was heard."""

    def give(self, asks: Iterable[Ask], held: list[HeldPermit], mine: frozenset[bytes], now: Outside) -> list[Answer]:
        """Answer each ask in order and record what is granted; the caller writes the book before it answers."""
        fix = now.inputs.now
        self.book.forget(fix.time)
        made: list[Answer] = []
        for ask in asks:
            answer = self._another(ask) or self._one(ask, held, mine, now)
            if isinstance(answer, Given) and not self.book.note(_noted(ask, answer, self.plan.silent_within_ns)):
                answer = _withheld(refuse(Reason.BUDGET, "outlet.book", "full", "what was given out to run out"))
            made.append(answer)
        return made

    def _another(self, ask: Ask) -> Withheld | None:
        """Refuse a grant whose name is in use for another band or power: rule (h)."""
        before = self.book.of(ask.device, ask.grant)
        if before is None:
            return None
        was, wanted = (before.low_hz, before.high_hz, before.eirp_mdbm), _operation(ask)
        if was == wanted:
            return None
        refusal = refuse(Reason.CONFLICT, "outlet.grant", f"{wanted} (Hz, Hz, mdBm)", f"{was}, or another grant")
        return replace(_withheld(refusal), over=True)

    def _one(self, ask: Ask, held: list[HeldPermit], mine: frozenset[bytes], now: Outside) -> Answer:
        bound = self._bound(ask.device, held, mine)
        if isinstance(bound, Refusal):
            return _withheld(bound)
        band = Band(low_hz=ask.low_hz, high_hz=ask.high_hz)
        if not any(b.holds(band) for one in bound for b in one.permit.rule.bands):
            return _withheld(refuse(Reason.SCOPE, "outlet.band", band, "a band of the rule"))
        fitting = [one for one in bound if one.permit.cell.band.holds(band)]
        if not fitting:
            return _withheld(refuse(Reason.BAND, "outlet.band", band, [str(one.permit.cell.band) for one in bound]))
        answers = [self._under(ask, one, band, now, mine) for one in fitting]
        given = [one for one in answers if isinstance(one, Given)]
        if given:
            return max(given, key=lambda one: one.transmit_until_ns)
        # A reason that may pass (501) is told before one that is final (500).
        refused = [one for one in answers if isinstance(one, Withheld)]
        return min(refused, key=lambda one: one.over)

    def _bound(self, device: str, held: list[HeldPermit], mine: frozenset[bytes]) -> list[HeldPermit] | Refusal:
        """Settlements of this node, on either side, whose user's credential names the device."""
        if device in self.heard_after:
            return refuse(Reason.LATCHED, "outlet.heard", self.heard_after[device], "cleared: bandpact cbsd clear")
        found = [
            one
            for one in held
            if {one.permit.user.hash, one.permit.holder.hash} & mine
            and binds(one.permit.user.device, device, self.plan.members)
        ]
        return found or refuse(Reason.NO_PERMIT, "gate.4", "none", f"a settlement whose user's device is {device}")

    def _under(self, ask: Ask, one: HeldPermit, band: Band, now: Outside, mine: frozenset[bytes]) -> Answer:
        permit = one.permit
        refusal = (
            _handed_on_unheard(permit, mine)
            or self._quiet_in_time(permit)
            or self._loud(ask, permit)
            or self._reserved(permit, band, _there(ask, now))
        )
        if refusal is not None:
            return _withheld(refusal)
        decision = decide(self._inputs(ask, one, band, now))
        if isinstance(decision, Refusal):
            return _withheld(decision)
        return self._cut(permit, decision, now.inputs.now)

    def _quiet_in_time(self, permit: VerifiedPermit) -> Refusal | None:
        """Refuse where the worst case to silence is longer than the class's `vacate_ns`: rule (e)."""
        if self.plan.worst_ns <= permit.terms.vacate_ns:
            return None
        measured = f"silent {self.plan.worst_ns // NS} s after a cause at the latest"
        return refuse(Reason.TERMS, "outlet.vacate", measured, f"<= {permit.terms.vacate_ns / NS:g} s (vacate_ns)")

    def _loud(self, ask: Ask, permit: VerifiedPermit) -> Refusal | None:
        """Refuse where this grant, with all others under the settlement, would exceed its EIRP: rule (b)."""
        width_hz = ask.high_hz - ask.low_hz
        total = self.book.power_beside(permit.sid, ask.device, ask.grant) + milliwatts(
            eirp_mdbm(ask.density_mdbm_per_mhz, width_hz)
        )
        # Allow 0.0001 dB for the rounding of the logarithms.
        if total <= milliwatts(permit.max_eirp_mdbm) * 1.00002:
            return None
        measured = f"{dbm_of(total):.2f} dBm with all that is given out"
        return refuse(Reason.POWER, "outlet.eirp", measured, f"<= {permit.max_eirp_mdbm / 1000:g} dBm")

    def _reserved(self, permit: VerifiedPermit, band: Band, there: Fix) -> Refusal | None:
        """Refuse where an incumbent's reservation closes the band: rule (g)."""
        needed = bool(permit.rule.incumbent_calendar)
        return reserved(self.calendar(), band, there, ahead_ns=self.plan.worst_ns, needed=needed)

    def _inputs(self, ask: Ask, one: HeldPermit, band: Band, now: Outside) -> Inputs:
        """The gate's own inputs, for this base station and this settlement: rules (a) and (c)."""
        permit, own = one.permit, now.inputs
        eirp = eirp_mdbm(ask.density_mdbm_per_mhz, ask.high_hz - ask.low_hz)
        needs_sas = self.needs_sas(permit, band)
        above = now.authorised_until(ask.device, band, eirp) if needs_sas else None
        if needs_sas and not permit.rule.outside_authorisation:
            permit = replace(permit, rule=replace(permit.rule, outside_authorisation=1))
        if permit.cell.band.holds(band):  # a base station may use a part of the settled band
            permit = replace(permit, cell=replace(permit.cell, band=band))
        # Where a SAS protects incumbents a node without a receiver need not sense; an incumbent sensed closes.
        sensed = now.sensed(band)
        deaf = sensed is None and needs_sas
        return replace(
            own,
            now=_there(ask, now),
            permit=permit,
            device=permit.user.device or "",
            credential=permit.user.hash,
            suspended=one.withdrawn,
            tuned=band,
            sensed=Sensed(listened_ns=own.mono_ns, incumbent=False) if deaf else sensed,
            outside_until_mono_ns=above,
            lead_ns=self.plan.silent_within_ns,
        )

    def needs_sas(self, permit: VerifiedPermit, band: Band) -> bool:
        """Whether a grant from a SAS above is needed too: where the rule says so, and by default in 3550-3700 MHz."""
        return bool(permit.rule.outside_authorisation) or (band.overlaps(CBRS) and not self.plan.experimental)

    def _cut(self, permit: VerifiedPermit, decision: Allow, now: Fix) -> Answer:
        """The grant's expiry by rule (d), in whole seconds, never later than any term it depends on."""
        time = now.time
        until_ns = times.floor_ns(time.earliest_ns + min(decision.for_ns, self.plan.horizon_ns))
        left_s = (until_ns - time.latest_ns) // NS
        if until_ns <= time.latest_ns:
            return _withheld(
                refuse(Reason.LEASE, "outlet.left", "no whole second", "one to give, and to be silent after")
            )
        grant_until_ns = times.floor_ns(permit.cell.window.end_ns - self.plan.silent_within_ns)
        return Given(
            sid=permit.sid,
            transmit_until_ns=until_ns,
            grant_until_ns=max(until_ns, grant_until_ns),
            interval_s=max(1, min(INTERVAL_MAX_S, self.plan.horizon_ns // (2 * NS), left_s)),
        )

    def room(self, device: str, spot: Spot, held: list[HeldPermit], mine: frozenset[bytes], now: Outside) -> list[Room]:
        """What a base station could be granted now: the bands of its settlements, each with the EIRP still left."""
        bound, made = self._bound(device, held, mine), []
        for one in [] if isinstance(bound, Refusal) else bound:
            band = one.permit.cell.band
            left = milliwatts(one.permit.max_eirp_mdbm) - self.book.power_beside(one.permit.sid, device)
            if left <= 0:
                continue
            density = density_mdbm_per_mhz(dbm_of(left), band.high_hz - band.low_hz)
            ask = Ask(device=device, grant="", low_hz=band.low_hz, high_hz=band.high_hz, density_mdbm_per_mhz=density,
                      spot=spot, fresh=True)  # fmt: skip
            if isinstance(self._under(ask, one, band, now, mine), Given):
                made.append(Room(low_hz=band.low_hz, high_hz=band.high_hz, density_mdbm_per_mhz=density))
        return made


def _handed_on_unheard(permit: VerifiedPermit, mine: frozenset[bytes]) -> Refusal | None:
    """Refuse another node's lease unless its holder consented to the transfer: rule (i)."""
    if permit.user.hash in mine or asks_consent(permit.terms):
        return None
    return refuse(
        Reason.CONSENT,
        "outlet.handing",
        f"another's lease, and leases of {permit.terms.name} change hands without this node's consent",
        "handing.consent = 1 in the rule, or a base station of its user's own node",
    )


def _there(ask: Ask, now: Outside) -> Fix:
    """The present time and the base station's position: rule (a)."""
    place = PositionFix(
        lat_e7=ask.spot.lat_e7,
        lon_e7=ask.spot.lon_e7,
        radius_mm=ask.spot.radius_mm,
        source=PositionSource.SURVEYED,
        trusted=True,
    )
    return Fix(time=now.inputs.now.time, position=place)


def _operation(ask: Ask) -> tuple[int, int, int]:
    """The band in Hz and the EIRP over all of it in mdBm of an ask."""
    return ask.low_hz, ask.high_hz, eirp_mdbm(ask.density_mdbm_per_mhz, ask.high_hz - ask.low_hz)


def _noted(ask: Ask, given: Given, silent_within_ns: int) -> Out:
    low_hz, high_hz, eirp = _operation(ask)
    return Out(
        device=ask.device,
        grant=ask.grant,
        sid=given.sid,
        low_hz=low_hz,
        high_hz=high_hz,
        eirp_mdbm=eirp,
        transmit_until_ns=given.transmit_until_ns,
        silent_by_ns=given.transmit_until_ns + silent_within_ns,
        returned=0,
    )


def _withheld(refusal: Refusal) -> Withheld:
    return Withheld(
        reason=refusal.reason.value,
        detail=f"{refusal.measured} (required: {refusal.required})",
        over=refusal.reason in FOR_GOOD,
    )
