"""Tracks the CBRS grant state (IDLE, GRANTED, AUTHORIZED) of this node's settlements, as holder and as user."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason
from settlement.pair.grants import GrantState, Held, grant_state
from settlement.pair.table import HolderState, UserState
from settlement.party.party import Party

USER, HOLDER = "user", "holder"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSettlement:
    """One settlement of this node: this node's side of it, its band, and what its grant state follows from (`held`)."""

    role: str
    sid: bytes
    low_hz: int
    high_hz: int
    suspended_for: str | None
    held: Held
    unit: str | None = None
    whole: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A change of one grant's state."""

    standing: WatchedSettlement
    previous: GrantState
    state: GrantState


def _standings(party: Party) -> Iterator[WatchedSettlement]:
    for pair in party.user.busy.values():
        yield WatchedSettlement(
            role=USER,
            sid=pair.sid,
            low_hz=pair.cell.band.low_hz,
            high_hz=pair.cell.band.high_hz,
            suspended_for=pair.suspended,
            unit=pair.cell.band.unit,
            whole=pair.whole,
            held=Held(
                in_force=pair.in_force,
                suspended=pair.state == UserState.SUSPENDED,
                window=pair.cell.window,
                transmit_until_ns=pair.transmit_until_ns,
            ),
        )
    for given in party.holder.busy.values():
        suspended = given.state == HolderState.SUSPENDED
        yield WatchedSettlement(
            role=HOLDER,
            sid=given.sid,
            low_hz=given.cell.band.low_hz,
            high_hz=given.cell.band.high_hz,
            suspended_for=Reason.INCUMBENT.value if suspended else None,
            unit=given.cell.band.unit,
            whole=given.whole,
            held=Held(
                in_force=suspended or given.state == HolderState.CONFIRMED,
                suspended=suspended,
                window=given.cell.window,
                transmit_until_ns=given.transmit_until_ns,
            ),
        )


@dataclass(slots=True)
class GrantWatch:
    """The state of every grant that is not IDLE."""

    _held: dict[tuple[str, bytes], tuple[GrantState, WatchedSettlement]] = field(default_factory=dict)

    def turn(self, party: Party, now: TimeFix) -> list[Moved]:
        """Update all grant states; returns the changes."""
        seen = {(one.role, one.sid): one for one in _standings(party)}
        moved: list[Moved] = []
        held: dict[tuple[str, bytes], tuple[GrantState, WatchedSettlement]] = {}
        for key, one in seen.items():
            before = self._held[key][0] if key in self._held else GrantState.IDLE
            after = grant_state(before, one.held, now)
            if after is not before:
                moved.append(Moved(standing=one, previous=before, state=after))
            if after is not GrantState.IDLE:
                held[key] = (after, one)
        for key, (before, one) in self._held.items():
            if key not in seen:  # the settlement is over and no longer listed
                moved.append(Moved(standing=one, previous=before, state=GrantState.IDLE))
        self._held = held
        return moved

    def shown(self, party: Party | None = None) -> list[dict[str, Any]]:
        """Return every settlement in force as plain values, for `bandpact status`."""
        return [
            {
                "eirp_mdbm": None if party is None else _eirp_mdbm(party, one),
                "settlement": one.sid.hex(),
                "role": one.role,
                "state": state.value,
                "low_hz": one.low_hz,
                "high_hz": one.high_hz,
                "lease_until_ns": one.held.transmit_until_ns,
                "window_start_ns": one.held.window.start_ns,
                "window_end_ns": one.held.window.end_ns,
                "suspended_for": one.suspended_for,
            }
            | ({"unit": one.unit} if one.unit is not None else {})
            | ({"whole": one.whole.hex()} if one.whole is not None else {})
            for state, one in self._held.values()
        ]


def _eirp_mdbm(party: Party, standing: WatchedSettlement) -> int | None:
    """Return the most EIRP a settlement's GRANT allows, in thousandths of a dBm; None where it is unknown."""
    pair = party.user.by_sid(standing.sid) if standing.role == USER else party.holder.pairs.get(standing.sid)
    grant = party.record_of(pair.grant) if pair is not None and pair.grant is not None else None
    return None if grant is None else int(grant.body.max_eirp_mdbm)


def grant_fields(moved: Moved) -> dict[str, object]:
    """Return a change of a grant's state as fields for the event log."""
    return {
        "sid": moved.standing.sid,
        "role": moved.standing.role,
        "state": moved.state.value,
        "previous": moved.previous.value,
        "reason": moved.standing.suspended_for or "",
    }
