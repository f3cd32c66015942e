"""Runs the commands of clients (errands) in the agent: reports each step as it happens, and at the end the result.

An errand acts inside the node's durable step and reports only what is durable. It requests what any user can request:
no command bypasses a rule, a gate or a neighbour.

Long because every command under way is a small state machine over one table of what it waits for.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from agent.config.settings import OfferSection
from agent.node.auctionerrands import go_on
from agent.node.commands import (
    Acquire,
    AnswerDispute,
    AnyCommand,
    BadCommand,
    Cancel,
    GiveBack,
    HandOnLease,
    MoveSettlement,
    OfferBand,
    OpenAuction,
    PlaceBid,
    RaiseDispute,
    Rotate,
    ShowAuctions,
    ShowDisputes,
    Tell,
    parse_command,
)
from agent.node.complaints import (
    NotSaid,
    ToldStep,
    answer_prefix,
    dispute_of_others,
    dispute_settlement,
    move_settlement,
    show_disputes,
)
from agent.node.control import Command, ControlDoor
from agent.node.errand import Errand, Surroundings, heard_text, refused_text
from agent.node.handovers import HandingStage, call_off, hand, standing_of, wish_of
from agent.node.intents import ASKED_MAX, say_intent
from agent.node.offerchoice import explained, in_words, matched, price_for, whole_of
from agent.node.partialfill import Filling, filled_text
from agent.node.policy import free_parts, window_ms
from agent.node.wholes import ask_for_all, ending_of, names_of, wishes_of
from agent.node.wordfiles import take_word
from settlement.chain.records import digest, parse
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.market.choice import SpectrumWish
from settlement.pair.effects import RequestProgress, SettlementNews
from settlement.pair.table import UserState
from settlement.pair.user import UserPair
from settlement.party.party import Party
from settlement.records.registry import RECORDS
from settlement.records.row import CarriedBy
from settlement.state.step import Step

MS, NS = 1_000_000, 1_000_000_000
ERRANDS_MAX = 32
QUIET_NS = 60_000_000
"""Delay in ns after a withdrawal before a warden's heartbeat counts as sent after it."""
SILENCE_NS = 5 * NS
ENDED_STATES = (UserState.REFUSED, UserState.ABORTED, UserState.ENDED)


class Errands:
    """All commands under way in one agent."""

    def __init__(self, control: ControlDoor, party: Party) -> None:
        self._control, self._party = control, party
        self._open: list[Errand] = []
        self._later: list[Errand] = []
        self.intents: list[bytes] = []
        """The names of the newest intents that were signed for a command."""
        self._answers: list[tuple[bytes, dict[str, Any]]] = []

    @property
    def waiting(self) -> bool:
        """Whether any command is under way."""
        return bool(self._open)

    # -- taking commands -----------------------------------------------------------------------------------------

    def take(self, commands: list[Command], now_ns: int) -> None:
        """Start the commands that arrived, or answer why one cannot start."""
        for command in commands:
            try:
                self._begin(command.client, parse_command(command.fields), now_ns)
            except BadCommand as exc:
                self._answers.append((command.client, {"done": True, "ok": False, "why": str(exc), "sid": None}))

    def _begin(self, client: bytes, command: AnyCommand, now_ns: int) -> None:
        if isinstance(command, Cancel):
            for errand in self._open:
                errand.cancelled = errand.cancelled or errand.client == client
            return
        if len(self._open) >= ERRANDS_MAX:
            raise BadCommand(f"{ERRANDS_MAX} commands are under way; wait for one of them")
        sid = self._named(command.sid) if isinstance(command, GiveBack | HandOnLease) else None
        self._open.append(Errand(client, command, now_ns, sid))
        self._tell(self._open[-1], "taken up")

    def _named(self, prefix: str) -> bytes:
        """Return the one settlement in force whose name begins with the prefix. Raises BadCommand."""
        live = [p.sid for p in self._party.user.pairs.values() if p.in_force]
        found = [sid for sid in live if sid.hex().startswith(prefix)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(sid.hex()[:12] for sid in live) or "none"
        raise BadCommand(f"{len(found)} settlements in force begin with {prefix!r}; in force: {names}")

    # -- what happens --------------------------------------------------------------------------------------------

    def act(self, step: Step, around: Surroundings) -> None:
        """Do what is due for each command, inside a durable step."""
        for errand in self._open:
            outcome = self._party.attempt(step, partial(self._go_on, step, errand, around))
            if isinstance(outcome, Refusal):
                self._end(errand, ok=False, why=refused_text(outcome))
        self._open = [errand for errand in self._open if not errand.over] + self._later
        self._later = []

    def close(self) -> None:
        """Answer every waiting client that the agent ends."""
        for errand in self._open:
            self._end(errand, ok=False, why="the agent ends; what is settled is in its log, see bandpact lease list")
        self._open = []
        self.speak()

    def held_up(self, why: str, now_ns: int) -> None:
        """Tell clients why the node may not sign yet; a command waits up to its own timeout and then fails."""
        for errand in self._open:
            self._once(errand, "undecided", why=why)
            if errand.cancelled or now_ns - errand.began_ns > getattr(errand.command, "wait_ms", 0) * MS:
                self._end(errand, ok=False, why=f"nothing was done: {why}")
        self._open = [errand for errand in self._open if not errand.over]

    def _go_on(self, step: Step, errand: Errand, around: Surroundings) -> None:
        match errand.command:
            case Acquire():
                self._acquire(step, errand, errand.command, around)
            case HandOnLease():
                self._hand_on(step, errand, errand.command, around)
            case OfferBand():
                self._offer(step, errand, errand.command, around)
            case OpenAuction() | PlaceBid() | ShowAuctions():
                go_on(step, self._party, errand, around, tell=self._tell, end=self._end)
            case Rotate():
                self._rotate(step, errand, errand.command, around)
            case Tell():
                self._hand_in(step, errand, errand.command)
            case MoveSettlement() | RaiseDispute() | AnswerDispute() | ShowDisputes():
                self._complain(step, errand)
            case _:
                self._relinquish(step, errand, around)

    def hear(self, progress: RequestProgress) -> None:
        """Report a settlement's progress to the client whose command requested it."""
        why = {"reason": progress.reason, "clause": progress.clause}
        why |= {"measured": progress.measured, "required": progress.required}
        for errand in self._open:
            if errand.sid != progress.sid or not isinstance(errand.command, Acquire):
                continue
            shown = {name: said for name, said in why.items() if said}
            self._tell(errand, progress.news.value, sid=progress.sid.hex(), **shown)
            self._follow(errand, errand.command, progress)
        self._open = [errand for errand in self._open if not errand.over]

    def gate(self, state: str, reason: str, sid: bytes | None) -> None:
        """Report a change of the gate's state to the client that holds the settlement."""
        for errand in self._open:
            if errand.held and errand.sid == sid and sid is not None:
                self._tell(errand, "gate", state=state, reason=reason)

    def _follow(self, errand: Errand, command: Acquire, progress: RequestProgress) -> None:
        if errand.filling is not None and not errand.cancelled:
            if errand.filling.hear(progress.news):
                errand.sid = None
            return
        match progress.news:
            case SettlementNews.REFUSED | SettlementNews.ABORTED:
                detail = " ".join(said for said in (progress.clause, progress.measured, progress.required) if said)
                self._end(errand, ok=False, why=f"{progress.reason} {detail}".strip())
            case SettlementNews.SETTLED if not errand.cancelled and command.hold:
                errand.held = True
            case SettlementNews.SETTLED if not errand.cancelled:
                self._end(errand, ok=True)
            case SettlementNews.ENDED | SettlementNews.DISPLACED if errand.held and not errand.cancelled:
                self._end(errand, ok=progress.news is SettlementNews.ENDED, why=progress.reason)
            case _:
                pass

    # -- acquire -------------------------------------------------------------------------------------------------

    def _acquire(self, step: Step, errand: Errand, command: Acquire, around: Surroundings) -> None:
        if errand.whole is not None:
            self._await_whole(errand, around)
            return
        if errand.sid is None:
            self._ask(step, errand, command, around)
            return
        pair = self._party.user.by_sid(errand.sid)
        if errand.cancelled and pair is not None:
            self._take_back(step, errand, pair, around)

    def _ask(self, step: Step, errand: Errand, command: Acquire, around: Surroundings) -> None:
        if errand.cancelled:
            parts = len(errand.filling.settled) if errand.filling is not None else 0
            stand = f"called off; {parts} parts are settled and stand, see bandpact lease list"
            self._end(errand, ok=False, why=stand if parts else "cancelled before anything was asked")
            return
        band = Band(low_hz=command.low_hz, high_hz=command.high_hz, unit=command.unit)
        start_ns = step.now.time.latest_ns + command.in_ms * MS
        window = window_ms(start_ns, start_ns + command.for_ms * MS)
        if command.partial:
            self._fill(step, errand, command, around, window)
            return
        most, tier = self._mine()
        wish = SpectrumWish(
            band=band,
            window=window,
            tier=tier,
            eirp_mdbm=command.eirp_mdbm,
            price_max=command.price_max,
            commodity=command.commodity,
        )
        if command.also:
            self._ask_whole(step, errand, command, around, wish)
            return
        found = matched(self._party, wish, step.now.position)
        if found.winner is not None:
            if command.explain:
                self._tell(errand, "considered", offers=explained(found))
            offer = self._party.user.offers[found.winner.declaration]
            eirp_mdbm = min(offer.body.max_eirp_mdbm, most) if command.eirp_mdbm is None else command.eirp_mdbm
            cell = Cell(band=band, area=offer.body.cell.area, window=window)
            cell, eirp_mdbm = whole_of(offer, cell, eirp_mdbm)
            due = price_for(self._party, offer, cell, eirp_mdbm)
            price = command.bid if command.bid is not None and found.winner.bargains else due
            pair = self._party.user.request(
                step,
                offer,
                cell,
                eirp_mdbm=eirp_mdbm,
                tier=tier,
                price=price,
                price_max=command.price_max,
                emergency=command.emergency,
                fallback=command.fallback,
            )
            errand.sid = pair.sid
            return
        why = in_words(found)
        self._say(step, errand, wish, command.wait_ms)
        self._once(errand, "no offer", why=why)
        if around.now_ns - errand.began_ns > command.wait_ms * MS:
            if command.explain:
                self._tell(errand, "considered", offers=explained(found))
            self._end(errand, ok=False, why=f"no offer covers it: {why}")

    def _ask_whole(
        self, step: Step, errand: Errand, command: Acquire, around: Surroundings, wish: SpectrumWish
    ) -> None:
        """Send the REQUESTs for all parts once every part is offered."""
        made = ask_for_all(step, self._party, wishes_of(command, wish), self._mine()[0], wish.window)
        if isinstance(made, bytes):
            errand.whole = made
            self._tell(errand, "requested", whole=made.hex(), parts=names_of(self._party, made))
            return
        for one in wishes_of(command, wish):
            self._say(step, errand, one, command.wait_ms)
        self._once(errand, "no offer", why=made)
        if around.now_ns - errand.began_ns > command.wait_ms * MS:
            self._end(errand, ok=False, why=f"no offer covers it: {made}")

    def _say(self, step: Step, errand: Errand, wish: SpectrumWish, wait_ms: int) -> None:
        """Sign an intent and send it to the neighbours, once for each wish of a command."""
        said = f"intent {wish.commodity} {wish.band}"
        if said in errand.told or not wait_ms:
            return
        errand.told.add(said)
        name = say_intent(step, self._party, wish, wait_ms=wait_ms)
        if name is not None:
            self.intents = [*self.intents, name][-ASKED_MAX:]
            self._tell(errand, "intended", band=str(wish.band))

    def _await_whole(self, errand: Errand, around: Surroundings) -> None:
        """Report whether all parts were settled or none; relinquishes a settled whole whose command was cancelled."""
        whole = errand.whole or b""
        ended = ending_of(self._party, whole)
        if errand.cancelled:
            self._once(errand, "in doubt", why="called off; given back once every part is decided")
        if ended is None:
            return
        ok, why = ended
        if ok and errand.cancelled:
            for part in self._party.user.parts_of(whole):
                back = GiveBack(do="relinquish", sid=part.sid.hex())
                self._later.append(Errand(errand.client, back, around.now_ns, part.sid))
        if ok:
            self._tell(errand, "whole", whole=whole.hex(), parts=names_of(self._party, whole))
        self._end(errand, ok=ok and not errand.cancelled, why=why or ("called off" if errand.cancelled else ""))

    def _fill(self, step: Step, errand: Errand, command: Acquire, around: Surroundings, window: Window) -> None:
        """Send the REQUEST for the next part of a band that several holders may fill; records what stays unfilled."""
        if errand.filling is None:
            most, tier = self._mine()
            band, loud = Band(low_hz=command.low_hz, high_hz=command.high_hz), command.eirp_mdbm
            wish = SpectrumWish(band=band, window=window, tier=tier, eirp_mdbm=loud, price_max=command.price_max)
            errand.filling = Filling(wish=wish, eirp_mdbm=most if loud is None else loud)
        errand.sid = errand.filling.ask(step, self._party)
        left = errand.filling.left(self._party)
        waited = around.now_ns - errand.began_ns > command.wait_ms * MS
        if errand.sid is None and (waited or (left is not None and not left.residual)):
            errand.filling.close(step, self._party)
            filled = left is not None and bool(errand.filling.settled)
            said = filled_text(left) if left is not None else "no offer holds any of it"
            self._tell(errand, "filled" if filled else "no offer", why=said)
            self._end(errand, ok=filled, why=said)

    def _mine(self) -> tuple[int, int]:
        """Return the most EIRP this node may radiate, in thousandths of a dBm, and its strongest tier."""
        me = self._party.registry.get(self._party.identity.credential)
        return (me.scope.max_eirp_mdbm, me.scope.tier) if me is not None else (0, 1)

    def _take_back(self, step: Step, errand: Errand, pair: UserPair, around: Surroundings) -> None:
        """Undo a cancelled command: relinquish a settlement in force, else wait for the holder's decision."""
        if pair.in_force:
            self._give_back(step, errand, around, why="called off")
        elif pair.state in ENDED_STATES:
            self._end(errand, ok=False, why="called off; nothing stands")
        else:
            self._once(errand, "in doubt", why="the holder has not decided; given back once it has")

    # -- relinquish ----------------------------------------------------------------------------------------------

    def _relinquish(self, step: Step, errand: Errand, around: Surroundings) -> None:
        pair = self._party.user.by_sid(errand.sid or b"")
        if pair is None or not pair.in_force:
            self._end(errand, ok=False, why="it is over already")
        else:
            self._give_back(step, errand, around, why="relinquished")

    def _give_back(self, step: Step, errand: Errand, around: Surroundings, *, why: str) -> None:
        """Relinquish a settlement: wait until the gate reports that it no longer uses it, then tell the holder."""
        sid = errand.sid or b""
        if errand.withdrawn_ns is None:
            errand.withdrawn_ns = around.now_ns
            around.withdraw(sid)
            self._tell(errand, "silencing")
        elif around.warden_heard_ns > errand.withdrawn_ns + QUIET_NS and around.open_sid != sid:
            self._party.user.relinquish(step, sid, why)
            self._tell(errand, "relinquished", sid=sid.hex())
            self._end(errand, ok=isinstance(errand.command, GiveBack), why=why)
        elif around.now_ns > errand.withdrawn_ns + SILENCE_NS:
            self._end(errand, ok=False, why="the warden does not say that it is silent; nothing was given back")

    # -- hand on -------------------------------------------------------------------------------------------------

    def _hand_on(self, step: Step, errand: Errand, command: HandOnLease, around: Surroundings) -> None:
        """Sign the HANDOVER and report each stage; a handover that nobody takes up in time is called off."""
        if errand.handover is None:
            made = hand(step, self._party, wish_of(command, errand.sid or b"", step.now.time.latest_ns))
            if isinstance(made, Refusal):
                self._end(errand, ok=False, why=refused_text(made))
                return
            errand.handover = made.digest
            self._once(errand, HandingStage.OFFERED.value, to=command.to, kind=command.kind)
        now = standing_of(self._party, errand.handover)
        late = errand.cancelled or around.now_ns - errand.began_ns > command.wait_ms * MS
        if now.stage is HandingStage.SETTLED:
            self._tell(errand, "handed over", to=command.to, sid=(now.child or b"").hex())
            errand.sid = now.child
            self._end(errand, ok=True)
        elif now.stage is HandingStage.FAILED:
            self._end(errand, ok=False, why=now.why)
        elif now.stage is HandingStage.OFFERED and late:
            call_off(self._party, step, errand.handover)
            asks = f"{command.to} did not ask for it in time; there, `bandpact acquire BAND` takes it up"
            self._end(errand, ok=False, why=f"called off: {asks}")
        else:
            self._once(errand, now.stage.value, to=command.to)

    # -- offer ---------------------------------------------------------------------------------------------------

    def _offer(self, step: Step, errand: Errand, command: OfferBand, around: Surroundings) -> None:
        terms = self._party.rule.rule.terms(command.commodity)
        if terms is None:
            known = ", ".join(terms.name for terms in self._party.rule.rule.classes)
            self._end(errand, ok=False, why=f"{Reason.TERMS.value} class {command.commodity!r}; the rule has {known}")
            return
        most = min(self._mine()[0], terms.max_eirp_mdbm)
        wanted = OfferSection(
            low_hz=command.low_hz,
            high_hz=command.high_hz,
            commodity=command.commodity,
            price=command.price,
            price_form=command.price_form,
            least=command.least,
            curve=tuple((after_ms / 1000, price) for after_ms, price in command.curve),
            max_eirp_mdbm=most if command.eirp_mdbm is None else command.eirp_mdbm,
            for_s=command.for_ms / 1000,
            unit=command.unit,
            link=command.ends,
            corridor_mm=command.corridor_mm if command.link else None,
        )
        report, refusal = around.report(), around.may_offer(step, wanted)
        free = free_parts(report, wanted, around.closed())
        if refusal is not None:
            heard = "" if free else f"; nor is any channel inside it known to be free: {heard_text(report)}"
            self._end(errand, ok=False, why=refused_text(refusal) + heard)
            return
        told = [(part, around.declare(step, part)) for part in free]
        for part in [part for part, why_not in told if why_not is None]:
            said = str(Band(low_hz=part.low_hz, high_hz=part.high_hz, unit=part.unit))
            self._tell(errand, "offered", band=said)
        if any(why_not is None for _, why_not in told):
            self._end(errand, ok=True)
            return
        why = "; ".join(why_not for _, why_not in told if why_not is not None) or heard_text(report)
        self._once(errand, "listening", why=why)
        if errand.cancelled or around.now_ns - errand.began_ns > command.wait_ms * MS:
            self._end(errand, ok=False, why=f"no whole channel inside it is known to be free: {why}")

    # -- keys and the authority's word ---------------------------------------------------------------------------

    def _rotate(self, step: Step, errand: Errand, command: Rotate, around: Surroundings) -> None:
        if errand.cancelled:
            self._end(errand, ok=False, why="called off; the key is what it was")
            return
        refusal = around.rotate(step)
        if refusal is None:
            self._end(errand, ok=True)
        elif refusal.reason is Reason.OUT_OF_ORDER and around.now_ns - errand.began_ns <= command.wait_ms * MS:
            self._once(errand, "undecided", why=refusal.measured)
        else:
            self._end(errand, ok=False, why=str(refusal))

    def _hand_in(self, step: Step, errand: Errand, command: Tell) -> None:
        """Judge a record that a client hands in like one passed on by a neighbour; only an authority's is taken."""
        raw = bytes.fromhex(command.record) if len(command.record) % 2 == 0 else b""
        unproven = parse(raw)
        if isinstance(unproven, Refusal) or unproven.row.carrier is not CarriedBy.ANYONE:
            found = str(unproven) if isinstance(unproven, Refusal) else unproven.typ
            passed = [name for name, row in RECORDS.items() if row.carrier is CarriedBy.ANYONE]
            self._end(errand, ok=False, why=f"{found}; give a record of {', '.join(sorted(passed))}")
            return
        known = self._party.lineage.seen(digest(raw))
        refusal = take_word(self._party, step, raw)
        taken = "known already" if known else "taken"
        self._tell(errand, taken if refusal is None else "not taken", type=unproven.typ)
        unknown = refusal is not None and refusal.reason is Reason.UNKNOWN_AUTHOR
        mend = "; name its author's credential chain in `authorities` of node.toml, and start again" if unknown else ""
        self._end(errand, ok=refusal is None, why=f"{refusal}{mend}" if refusal is not None else "")

    # -- promises ------------------------------------------------------------------------------------------------

    def _complain(self, step: Step, errand: Errand) -> None:
        try:
            told = list(self._complained(step, errand.command))
        except NotSaid as exc:
            self._end(errand, ok=False, why=str(exc))
            return
        for one in told:
            self._tell(errand, one.step, **one.fields)
        self._end(errand, ok=True)

    def _complained(self, step: Step, command: AnyCommand) -> Iterator[ToldStep]:
        party = self._party
        match command:
            case MoveSettlement(sid=sid, low_hz=low_hz, high_hz=high_hz):
                band = Band(low_hz=low_hz, high_hz=high_hz) if low_hz is not None and high_hz is not None else None
                yield from move_settlement(party, step, sid, band)
            case RaiseDispute(shown=[_, *_]):
                yield from dispute_of_others(
                    party,
                    step,
                    shown=command.shown,
                    against=command.against,
                    ground=command.ground,
                    claim=command.claim,
                    cite=command.cite,
                    escalates=command.escalates,
                )
            case RaiseDispute():
                yield from dispute_settlement(
                    party,
                    step,
                    prefix=command.sid,
                    ground=command.ground,
                    claim=command.claim,
                    cite=command.cite,
                    escalates=command.escalates,
                )
            case AnswerDispute(dispute=name, stance=stance, cite=cite, reason=reason):
                yield from answer_prefix(party, step, prefix=name, stance=stance, cite=cite, reason=reason)
            case ShowDisputes(name=name, case=case):
                yield from show_disputes(party, name, case=case)
            case _:
                raise NotSaid("not a command about a promise")

    # -- reporting -----------------------------------------------------------------------------------------------

    def _tell(self, errand: Errand, what: str, **fields: Any) -> None:
        self._answers.append((errand.client, {"step": what, **fields}))

    def _once(self, errand: Errand, what: str, **fields: Any) -> None:
        if what not in errand.told:
            errand.told.add(what)
            self._tell(errand, what, **fields)

    def _end(self, errand: Errand, *, ok: bool, why: str = "") -> None:
        errand.over = True
        sid = errand.sid.hex() if errand.sid else None
        self._answers.append((errand.client, {"done": True, "ok": ok, "why": why, "sid": sid}))

    def speak(self) -> None:
        """Send the reports that wait; call this when the step is durable."""
        answers, self._answers = self._answers, []
        for client, fields in answers:
            self._control.tell(client, **fields)
