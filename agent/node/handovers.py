"""A node's side of handing leases on: by configuration, by command, and on the warden's report of a vacated band."""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial

from agent.config.hands import HandSection
from agent.node.commands import HandOnLease
from agent.node.policy import MS, NS, window_ms
from radio.link import BandVacated
from radio.remainder import kept_band
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.ruling import seat_of
from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.table import HolderState
from settlement.party.party import Party
from settlement.records.handingterms import TRANSFER
from settlement.state.handovers import WantedHandover, hand_on, lease_of, rest_of, silent
from settlement.state.step import Step

PREFIX_MIN = 8
"""Fewest hex digits of a credential's hash that name a node."""
AGAIN_NS = NS // 2
"""Delay in ns before a configured lease that cannot be handed on yet is tried again."""


class HandingStage(Enum):
    """The stage that a HANDOVER has reached."""

    OFFERED = "handed on"
    ASKED = "asked for"
    SILENCING = "silencing"
    SILENT = "silent"
    SETTLED = "settled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingStanding:
    """The stage a HANDOVER has reached, the settlement it became, and the reason where it failed."""

    stage: HandingStage
    child: bytes | None = None
    why: str = ""


def standing_of(party: Party, handover: bytes) -> HandingStanding:
    """Return the stage that a HANDOVER of this node has reached."""
    handing = party.holder.handings.known.get(handover)
    child = party.holder.pairs.get(handing.child) if handing is not None and handing.child is not None else None
    if handing is None:
        return HandingStanding(stage=HandingStage.FAILED, why="it is over")
    if handing.declined is not None:
        return HandingStanding(stage=HandingStage.FAILED, child=handing.child, why=handing.declined)
    if child is None:
        return HandingStanding(stage=HandingStage.OFFERED)
    if child.state in (HolderState.CONFIRMED, HolderState.SUSPENDED):
        return HandingStanding(stage=HandingStage.SETTLED, child=child.sid)
    if not child.live:
        decided = party.record_of(child.decision)
        why = getattr(decided.body, "reason", "it is over") if decided is not None else "it is over"
        return HandingStanding(stage=HandingStage.FAILED, child=child.sid, why=str(why))
    if handing.vacated is not None:
        return HandingStanding(stage=HandingStage.SILENT, child=child.sid)
    stage = HandingStage.SILENCING if handing.begun is not None else HandingStage.ASKED
    return HandingStanding(stage=stage, child=child.sid)


def named_party(party: Party, name: str) -> Subject | Refusal:
    """Return the one known node of a name, with its current credential, or a refusal.

    Where two authorities gave the same name, the first digits of the credential's hash tell the nodes apart.
    """
    nodes = [one for one in party.registry.subjects() if one.transport_key is not None]
    found = [one for one in nodes if name in (one.name, one.hash.hex()[: max(len(name), PREFIX_MIN)])]
    if not found:
        others = [one for one in party.registry.subjects() if one.hash not in party.own_line]
        known = sorted({one.name for one in others if one.transport_key is not None})
        return refuse(Reason.UNKNOWN_PEER, "handing.to", name, f"one of {', '.join(known)}")
    today = {party.registry.newest(one.hash) for one in found}
    keys = {one.public: one for one in sorted(found, key=lambda one: one.not_before_ns) if one.hash in today}
    if len(keys) > 1:
        whose = (f"{one.hash.hex()[:16]} ({' > '.join(seat_of(one, party.registry))})" for one in keys.values())
        measured = f"{len(keys)} nodes are called {name}: {', '.join(whose)}"
        return refuse(Reason.UNKNOWN_PEER, "handing.to", measured, "the beginning of one's hash instead of its name")
    return next(iter(keys.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingWish:
    """Terms wanted for a lease that is handed on: None keeps the lease's own value; times UTC, ns."""

    sid: bytes
    kind: str
    to: str
    band: Band | None = None
    area: Area | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    eirp_mdbm: int | None = None
    price: int = 0


def hand(step: Step, party: Party, wish: HandingWish) -> Record | Refusal:
    """Sign and send a HANDOVER of one of this node's leases; a refusal leaves nothing signed."""
    to, lease = named_party(party, wish.to), lease_of(party, wish.sid)
    if isinstance(to, Refusal):
        return to
    if isinstance(lease, Refusal):
        return lease
    rest = rest_of(lease, step)
    window = Window(
        start_ns=rest.window.start_ns if wish.start_ns is None else max(wish.start_ns, rest.window.start_ns),
        end_ns=rest.window.end_ns if wish.end_ns is None else wish.end_ns,
    )
    if wish.start_ns is not None or wish.end_ns is not None:
        window = window_ms(window.start_ns, window.end_ns)
    cell = Cell(band=wish.band or rest.band, area=wish.area or rest.area, window=window)
    wanted = WantedHandover(
        sid=wish.sid,
        kind=wish.kind,
        to=to.hash,
        cell=None if wish.kind == TRANSFER else cell,
        eirp_mdbm=None if wish.kind == TRANSFER else wish.eirp_mdbm,
        price=wish.price,
    )
    return hand_on(party, step, wanted)


def wish_of(command: HandOnLease, sid: bytes, now_ns: int) -> HandingWish:
    """Convert a hand-on command to terms; its times count from now (UTC, ns)."""
    start_ns = now_ns + command.in_ms * MS
    lat_lon_radius = command.area
    return HandingWish(
        sid=sid,
        kind=command.kind,
        to=command.to,
        band=Band(low_hz=command.low_hz, high_hz=command.high_hz)
        if command.low_hz is not None and command.high_hz is not None
        else None,
        area=Area(lat_e7=lat_lon_radius[0], lon_e7=lat_lon_radius[1], radius_mm=lat_lon_radius[2])
        if lat_lon_radius is not None
        else None,
        start_ns=start_ns if command.in_ms else None,
        end_ns=None if command.for_ms is None else start_ns + command.for_ms * MS,
        eirp_mdbm=command.eirp_mdbm,
        price=command.price,
    )


def call_off(party: Party, step: Step, handover: bytes) -> None:
    """Call off a HANDOVER that nobody took up: a later REQUEST for it is refused."""
    handing = party.holder.handings.known.get(handover)
    if handing is not None and handing.child is None:
        party.holder.handings.save(step, replace(handing, declined="called off by its user"))


def kept_of(party: Party, sid: bytes, now: TimeFix) -> Band | None:
    """Return the part of a lease's band that the node may still use; None where none is left."""
    pair = party.user.by_sid(sid)
    if pair is None:
        return None
    handed = [one for one in party.holder.handings.of(sid) if one.begun and not now.after(one.cell.window.end_ns)]
    return kept_band(pair.cell.band, [one.cell.band for one in handed])


@dataclass(slots=True)
class _Handing:
    hand: HandSection
    done: bool = False
    next_s: float = 0.0
    why: str = ""


@dataclass(slots=True)
class HandingSide:
    """Hands on the configured leases, and passes on the warden's reports of vacated bands."""

    hands: list[HandSection]
    heard: list[BandVacated] = field(default_factory=list)
    _waiting: list[_Handing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting = [_Handing(one) for one in self.hands]

    def vacated(self, step: Step, party: Party, said: BandVacated, at: TimeFix) -> None:
        """Log that the warden reports the radio silent in the band that a HANDOVER hands on."""
        silent(party, step, said.handover, earliest_ns=at.earliest_ns, latest_ns=at.latest_ns)

    def act(self, step: Step, party: Party, since_start_s: float, start_ns: int) -> None:
        """Hand on the leases that are due; `start_ns` is the start signal in UTC."""
        for one in self._waiting:
            if one.done or since_start_s < max(one.hand.at_s, one.next_s):
                continue
            made = party.attempt(step, partial(self._hand, step, party, one.hand, start_ns))
            one.done = isinstance(made, Record)
            one.next_s = since_start_s + AGAIN_NS / NS
            if isinstance(made, Refusal) and str(made) != one.why:
                one.why = str(made)
                step.event("not handed on", to=one.hand.to, why=one.why)

    @staticmethod
    def _hand(step: Step, party: Party, wanted: HandSection, start_ns: int) -> Record | Refusal:
        band = Band(low_hz=wanted.low_hz, high_hz=wanted.high_hz)
        held = [one for one in party.user.busy.values() if one.in_force and one.cell.band.holds(band)]
        if not held:
            return refuse(Reason.EXPIRED, "handing.ended", f"no lease holds {band}", "a lease of this node in force")
        lease = max(held, key=lambda one: one.asked_ns)
        wish = HandingWish(
            sid=lease.sid,
            kind=wanted.kind,
            to=wanted.to,
            band=band,
            start_ns=None if wanted.start_s is None else start_ns + int(wanted.start_s * NS),
            end_ns=None if wanted.end_s is None else start_ns + int(wanted.end_s * NS),
            eirp_mdbm=wanted.eirp_mdbm,
            price=wanted.price,
        )
        return hand(step, party, wish)
