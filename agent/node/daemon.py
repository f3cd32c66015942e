"""The agent's loop: one thread owns the mesh, the settlements and the log; sensing and the gate run elsewhere.

One turn waits for an event, takes in all that arrived, decides in one durable step, and only then sends and reports.

Long because the order within one turn is what ensures that nothing is sent or told before it is durable.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import assert_never

from agent.cbrs.members import members
from agent.config.settings import NodeConfig
from agent.directory.client import find
from agent.node.assembly import admit_peers, discovery_of, finish_rotation, mesh_of, party_of
from agent.node.auctions import AuctionPolicy, wholly_free
from agent.node.childlogs import keep_small
from agent.node.complaints import shown_disputes
from agent.node.control import ControlDoor
from agent.node.directories import KINDS, Directories
from agent.node.discovery import Hints
from agent.node.envelopes import Enveloping
from agent.node.errand import Surroundings
from agent.node.errands import Errands
from agent.node.events import EventLog
from agent.node.grantwatch import GrantWatch, grant_fields
from agent.node.guard import LAST_S, Guard, mend_of_missing, mend_of_silence, mute_by_own_connection
from agent.node.handovers import HandingSide, kept_of
from agent.node.holderoffers import HolderOffers
from agent.node.keyrotation import KeyTurn
from agent.node.livefeed import showing_of
from agent.node.loans import Lending
from agent.node.logcheck import LogReading
from agent.node.measurements import EVERY_NS, received
from agent.node.outbox import Outbox
from agent.node.overdrawn import Overdrawn
from agent.node.panels import Panels
from agent.node.policy import HolderPolicy, start_of
from agent.node.resumption import in_force
from agent.node.samples_side import SamplesSide
from agent.node.stationears import StationListening
from agent.node.stockwitnesses import StockAsking, StockLines
from agent.node.survivor import mute_until_silent
from agent.node.traffic import SOURCES, BurstMaker
from agent.node.trust import trust_of
from agent.node.vitals import Vitals, channel_fields, key_fault, list_fields, mesh_fields, peer_fields, strangers_fields
from agent.node.wants import UserPolicy
from agent.node.warden_side import Protection, WardenSide, gate_fields
from agent.node.watcher import Heard, Watcher, scale_of
from agent.node.wordfiles import take_words
from agent.service.snapshot import HEARD_AFTER, OWN_KEY
from agent.timekeeping.assembly import timekeeper
from radio.link import BandVacated, GateChange, LookTaken, StationCleared, StationTold, Used, WardenBeat
from radio.process import keep_what_is_loaded
from radio.speakers import Speakers
from settlement.audit.seal import root_path, seal_path, write_root, write_seal
from settlement.chain.bodies import Gate
from settlement.chain.codec import cut
from settlement.chain.lineage import LineageError
from settlement.chain.scope import Band, Window
from settlement.core.reasons import Reason, Refusal
from settlement.mesh import Arrived
from settlement.pair.effects import (
    AnswerIntent,
    Effect,
    HandLease,
    HandOn,
    HandPermit,
    HandRule,
    RequestProgress,
    SettlementNews,
    WithdrawPermit,
)
from settlement.records.conduct.alarms import ALARM
from settlement.state.messages import Message
from settlement.state.step import HaltedError, Outgoing, Step

NS = 1_000_000_000
TICK_NS = 20_000_000
"""Interval in ns between checks of settlement deadlines, and from a step that did something to the next step."""
QUIET_NS = 100_000_000
"""Interval in ns from a step that did nothing to the next, without messages or settlement deadlines."""
POLL_MS = 4
MESH_NS = 10_000_000
"""Interval in ns between checks of the mesh's connections while no message arrives."""
ALIVE_NS = 100_000_000
"""Interval in ns between checks that the warden's process runs, besides the kernel's notice of its end (pidfd)."""
WAIT_MS = 20
RUN_FOLDER_MEND = "stop the node and start it again: status, tx and its page reach it no more; `bandpact stop` mutes"
HELD_MAX = 256
"""Most gate changes, and most usage reports, that are kept while the node may not sign."""
PROTECTED_TIER = 1
SEALED = "sealed.db"


class Node:
    """One running node: owns every part of the agent and runs its loop."""

    def __init__(self, config: NodeConfig, path: Path) -> None:
        self.config = config
        self.events = EventLog(config.folder, config.name)
        finish_rotation(config)
        self.trust = trust_of(config)
        self.party = party_of(config, self.trust)
        peers = admit_peers(config, self.trust)
        self.clock = timekeeper(config, process="agent", not_before_ns=self.party.lineage.newest_ns())
        self.fix = self.clock.fix
        self.vitals, self.overdrawn = Vitals(config), Overdrawn()
        self.grants = GrantWatch()
        self.protection = Protection(hold_ns=int(config.protect_s * NS))
        self.samples = SamplesSide(config, path, self.events)
        self.warden = WardenSide(config, path, self.protection)
        self.watcher = Watcher(config, self.warden.receive_ring)
        self.panels, self.showing = Panels(config, self.party), showing_of(config, self.watcher)
        self.events.listeners.append(self.showing.happened)
        below = frozenset() if config.cbsd is None else members(config.cbsd)
        self.lending = Lending(self.party, below, self.warden, lambda what, sid: self.events.write(what, sid=sid))
        self.listening = StationListening(config, self.party, self.clock, self._own_band)
        self.envelopes = Enveloping(config, self.trust.me, self.party, self.watcher, self.protection)
        config.radio.make_ready_to_silence()
        self.guard = Guard(config.heartbeat_limit_ms * 1_000_000, lambda: mute_by_own_connection(config))
        self.holder, self.user, self.auctions = HolderPolicy(config), UserPolicy(config), AuctionPolicy(config)
        self.handing, self.party.consents = HandingSide(config.leases.hands), config.leases.consents
        self.control = ControlDoor(config.run_folder)
        self.keys = KeyTurn(self.party, config.folder)
        self.reading = LogReading(self.party, self.events)
        self.stock = StockAsking({one.name: one.url for one in config.stock_witnesses}, self.trust.me.public)
        self.errands = Errands(self.control, self.party)
        self.directories = Directories(
            config.directories, KINDS[config.role], ask=partial(find, network=config.network)
        )
        self.offers = HolderOffers(
            self.trust.registry, self.party, policy=self.holder, protection=self.protection,
            envelopes=self.envelopes, fix=self.fix, neighbours=self._neighbours,
        )  # fmt: skip
        # Peers can connect from here on; slow preparations (compiling the loops of sensing) are done before.
        self.mesh = mesh_of(config, self.trust, peers)
        self.hints = Hints(discovery_of(config, self.trust, self.mesh), self.mesh, self.trust.registry)
        self.outbox = Outbox(self.mesh, self.trust.registry)
        self._warden_fd = self.warden.ended_fd()
        self._ears = self._speakers()
        self._alive, self._next_alive_ns = True, 0
        self.bursts = BurstMaker(
            config,
            lambda sid, why: self.events.write("fault", detail=why, duty=f"bursts {sid.hex()[:16]}"),
            SOURCES.get(config.samples.source),
        )
        self._changes: list[GateChange] = []
        self._used: list[Used] = []
        self._fresh: list[tuple[int, int]] = []
        self._heard_from: dict[str, int] = {}
        self._unsaid: list[tuple[int, int]] = []
        self._resume_ns = self._describe_ns = self._measure_ns = 0
        self._open_sid: bytes | None = None
        self._next_tick_ns = self._next_step_ns = self._next_burst_ns = self._next_mesh_ns = 0
        self._next_hello_ns = self._warden_ns = 0
        self._start_mono_ns: int | None = None
        self._waiting_for = ""
        self._registered = self._worded = self._resumed = self._held_up = False

    def _speakers(self) -> Speakers:
        """Return the poller of all that ends the loop's wait: mesh, warden, its end, control socket, sensing."""
        return Speakers(
            *self.mesh.sockets,
            self.warden.link.socket,
            self.control.socket,
            self.watcher.rouse.fileno(),
            *(() if self._warden_fd is None else (self._warden_fd,)),
            tell=lambda why: self.events.write("fault", detail=why, duty="wait"),
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Run turns until `stop` is set. Signs nothing before the clock is trusted: no peer would accept the record."""
        self.watcher.start()
        if self.party.damaged is not None:
            raise HaltedError(self.party.damaged)
        self.reading.tell_start()
        while not (stop.is_set() or self.fix().time.trusted):
            self._wait_for_time()
        if stop.is_set():
            return
        with self.party.step(self.fix()) as step:
            self.party.register(step)
            self.party.hello(step)
        self._leave(step)
        self._registered = True
        for held in self.party.rules.all:
            self.warden.rule(held.raw, held.chain)
        self._go_on()
        self.events.write("ready", endpoint=self.mesh.endpoint, utc_ns=self.fix().time.middle_ns)
        keep_what_is_loaded()
        while not stop.is_set():
            self.turn()

    def _wait_for_time(self) -> None:
        cause = self.fix().time.status
        if cause != self._waiting_for:
            self._waiting_for = cause
            self.events.write("waiting", clock=cause)
        ready = self._ears.heard(WAIT_MS)
        self.watcher.rouse.heed()
        self._look_at_warden(ready, time.monotonic_ns())
        self._take_from_warden()
        why = f"the node is not ready, and nothing was done: clock {cause}"
        for command in self.control.receive():
            self.control.tell(command.client, done=True, ok=False, why=why, sid=None)
        self._say_how_it_is(time.monotonic_ns())

    def close(self) -> None:
        """Close the node: first silence the radio, then close the other parts, the log last."""
        if not self.warden.stop():
            last = mute_until_silent(lambda: mute_by_own_connection(self.config), last_s=LAST_S)
            # The node ends: what is left to do concerns the radio alone.
            self.events.write("warden silent", rf=last.value, alive=False, mend=mend_of_silence(last, alive=True))
        self.samples.close()
        self.vitals.end()
        self._take_from_warden()
        if self._registered and self.party.halted is None:
            self._step([])
        denied = dict(self.mesh.denied)
        self.mesh.close()  # before anything is written: strangers may hold all file descriptors there are
        self.watcher.stop()
        self.events.write("closed", denied=denied, looks=self.watcher.looks)
        self.bursts.close()
        self.hints.close()
        self.stock.close()
        self.directories.close()
        self.reading.close()
        self.errands.close()
        self.control.close()
        self.showing.close()
        if self._registered:
            self._seal()
        self.party.lineage.close()
        self.warden.link.close()
        self.clock.close()
        self.events.close()

    def _seal(self) -> None:
        """Write a compact, sealed copy of the log for auditors; a halted node signs nothing, so it writes no seal."""
        if self.party.halted is not None:
            return
        target, key = self.config.folder / SEALED, self.party.identity.key
        fresh = target.with_name(f".{SEALED}.new")
        # A copy without a seal only counts as unsealed; a copy under another copy's seal would count as tampered with.
        for path in (seal_path(target), root_path(target), fresh):
            path.unlink(missing_ok=True)
        try:
            self.party.lineage.seal(key, fresh)
            fresh.replace(target)
            write_root(target, self.party.lineage.head(), key)
            write_seal(target, key)
        except (LineageError, OSError) as exc:
            fresh.unlink(missing_ok=True)
            self.events.write("not sealed", why=str(exc))

    # -- a turn --------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Do one turn: wait for an event or the next deadline, then handle all sockets that are ready."""
        ready = self._ears.heard(self._rest_ms(time.monotonic_ns()))
        now_ns = time.monotonic_ns()
        if self.warden.link.socket in ready:
            self._take_from_warden()
        self._look_at_warden(ready, now_ns)
        for heard in self.watcher.take():
            self._hear(heard)
        for word in self.listening.turn(now_ns):
            self.warden.stations_heard(word)
            self.events.write("base station", device=word.device, verdict=word.verdict, detail=word.detail)
            if word.device in self.listening.alarms:
                self.events.write("alarm", what=f"{word.device} {HEARD_AFTER}: {word.detail}")
        self.warden.beat(now_ns)
        self.samples.turn(now_ns)
        self._look_after_silence(now_ns)
        arrived: list[Arrived] = []
        if now_ns >= self._next_mesh_ns or not ready.isdisjoint(self.mesh.sockets):
            self._next_mesh_ns = now_ns + MESH_NS
            arrived = self.mesh.receive()
            self._meet()
        for peer, endpoint in self.hints.follow():
            self.events.write("hint", peer=peer, endpoint=endpoint)
        commands = self.control.receive() if self.control.socket in ready else []
        self.errands.take(commands, now_ns)
        cosigned = self.stock.turn(self.party.witness, self.party.lineage)
        listed = self.directories.turn(self.party, self.errands.intents, now_ns)
        if arrived or cosigned or commands or self._has_news(listed=listed) or self._ticks(now_ns):
            did = self._step(arrived, cosigned)
            self._next_tick_ns, self._next_step_ns = now_ns + TICK_NS, now_ns + (TICK_NS if did else QUIET_NS)
            for moved in self.grants.turn(self.party, self.fix().time):
                self.events.write("grant", **grant_fields(moved))
            self.outbox.retry(now_ns)
        self._transmit(now_ns)
        self._measure(now_ns)
        self._say_how_it_is(now_ns)

    def _has_news(self, *, listed: bool) -> bool:
        """Return whether this node itself has something to record or take in; False while the node is held up."""
        own = self._changes or self._used or self._fresh or self.handing.heard or self.listening.unsaid
        return not self._held_up and bool(own or listed)

    def _ticks(self, now_ns: int) -> bool:
        """Return whether a step is due without news: a settlement deadline has come, or the last step was long ago."""
        if now_ns < self._next_tick_ns:
            return False
        self._next_tick_ns = now_ns + TICK_NS
        if now_ns >= self._next_step_ns:
            return True
        due_ns = self.party.next_due_ns()
        return due_ns is not None and self.fix().time.latest_ns >= due_ns

    def _rest_ms(self, now_ns: int) -> int:
        """Return the longest wait in ms until the next tick, heartbeat, burst or guard timeout."""
        due_ns = min(self._next_tick_ns, self.warden.next_beat_ns)
        if self._open_sid is not None:
            due_ns = min(due_ns, self._next_burst_ns)
        guarded_ns = self.guard.due_ns
        due_ns = due_ns if guarded_ns is None else min(due_ns, guarded_ns)
        return min(TICK_NS // 1_000_000, max(0, -(-(due_ns - now_ns) // 1_000_000)))

    def _look_after_silence(self, now_ns: int) -> None:
        """Mute the radio where the warden failed to; logs changes, with what the operator should do."""
        muted = self.guard.check(now_ns, alive=self._alive)
        if muted is not None:
            self._open_sid = None
            alive = self.warden.alive
            if self.guard.news.is_news(muted, now_ns, alive=alive):
                self.events.write(
                    "warden silent", rf=muted.value, alive=alive, mend=mend_of_silence(muted, alive=alive)
                )
        if self.guard.news.is_missing(now_ns, heard_ns=self._warden_ns, alive=self._alive):
            apart = self.config.warden.apart
            what = "radio missing" if self._alive or apart else "warden ended"
            self.events.write(what, mend=mend_of_missing(alive=self._alive, apart=apart))
        if self.guard.news.is_over(now_ns, heard_ns=self._warden_ns):
            self.events.write("warden heard again")

    def _look_at_warden(self, ready: set[object], now_ns: int) -> None:
        """Update whether the warden's process runs: by the kernel's notice (pidfd), or by polling without one."""
        if self._warden_fd in ready and self._warden_fd is not None:
            self._ears.drop(self._warden_fd)
            os.close(self._warden_fd)
            self._warden_fd, self._next_alive_ns = None, 0
        if now_ns >= self._next_alive_ns:
            self._next_alive_ns = now_ns + (POLL_MS * 1_000_000 if self._warden_fd is None else ALIVE_NS)
            self._alive = self.warden.alive

    def _measure(self, now_ns: int) -> None:
        """Send received power measurements to the warden, for a SAS above that asks for them."""
        if self.config.sas is None or now_ns < self._measure_ns:
            return
        self._measure_ns = now_ns + EVERY_NS
        for one in received(self.watcher.recent(), scale_of(self.config.radio)):
            self.warden.link.send(one)

    def _say_how_it_is(self, now_ns: int) -> None:
        if self.vitals.due(now_ns):
            keys = key_fault(self.trust.me, self.fix().time, self.party.halted)
            mesh, time_fix, heard = mesh_fields(self.config, self.mesh), self.fix().time, self.watcher.recent()
            self._watch_disk()
            self.vitals.tell(
                now_ns,
                alive=self.warden.alive,
                clock=self.clock,
                keys=keys,
                grants=self.grants.shown(self.party),
                mesh=mesh,
                peers=peer_fields(self.config, self._heard_from),
                channels=channel_fields(heard),
                alarms=self._alarms(),
                panels=self.panels.shown(time_fix, now_ns),
                strangers=strangers_fields(self.party),
                lists=list_fields(self.party),
                samples=self.samples.state(now_ns),
                disputes=shown_disputes(self.party),
            )
            if self.vitals.told is not None:
                self.showing.second(self.vitals.told, heard.channels, time_fix, now_ns)
        self.watcher.watched = self.showing.turn(now_ns, self.fix)

    def _watch_disk(self) -> None:
        """Warn early of a full disk or log, and cut the share of the log that strangers may use."""
        before, low = self.vitals.disk_low, self.vitals.look_at_disk()
        self.party.shares.tight = low is not None
        keep_small(self.config.folder)
        if self.vitals.lost_run_folder():
            self.events.write("run folder gone", folder=str(self.config.run_folder), mend=RUN_FOLDER_MEND)
        if (before is None) != (low is None):
            self.events.write("disk low" if low is not None else "disk well", why=low)

    def _alarms(self) -> list[str]:
        """Return the alarms in force: keys in use in two places, base stations heard after their end, looks missed."""
        after = (f"{device} {HEARD_AFTER}: {detail}" for device, detail in self.listening.alarms.items())
        heard = [*after, *self.watcher.alarms(time.monotonic_ns())]
        if self.party.damaged is not None:
            return heard
        named = ((self.trust.registry.get(one), one) for one, _ in self.party.lineage.items(ALARM))
        own = self.party.own_line
        return heard + sorted(
            f"{OWN_KEY} is in use elsewhere"
            if one in own
            else f"the key of {subject.name if subject is not None else one.hex()[:8]} signed two different things"
            for subject, one in named
        )

    def _meet(self) -> None:
        """Greet newly connected neighbours: send what waits for them and schedule standing offers to be repeated."""
        for key in self.mesh.entered():
            peer = self.trust.registry.by_transport(key)
            if peer is not None:
                self.outbox.came_up(peer.hash)
                self.holder.newcomer()
                self.keys.met()
                self._next_step_ns = 0

    def _take_from_warden(self) -> None:
        for message in self.warden.link.receive():
            match message:
                case LookTaken():
                    self.watcher.look(message)
                case GateChange():
                    self._changes.append(message)
                    self._open_sid = message.sid if message.state == "OPEN" else None
                    if message.state != "OPEN" and not message.asked:
                        self.guard.closed()
                    self.showing.moved(message)
                    self.events.write("gate", **gate_fields(message))
                    self.errands.gate(message.state, message.reason, message.sid)
                case Used():
                    self._used.append(message)
                case BandVacated():
                    self.handing.heard.append(message)
                case StationTold():
                    self.listening.told(message)
                case StationCleared():
                    self.listening.cleared(message.device)
                    self.events.write("base station cleared", device=message.device)
                case WardenBeat():
                    self._warden_ns = self.warden.heard_ns = time.monotonic_ns()
                    self.guard.heard(self._warden_ns, silent_by_ns=message.silent_by_ns)
                    self.vitals.heard(message, self._warden_ns)
                    self.showing.gate.said(message, self._warden_ns)
                    self._open_sid = message.sid if message.state == "OPEN" else None
                case _:
                    pass

    def _own_band(self) -> Band | None:
        """Return the band that this node's own gate is open for; None while the gate is closed."""
        pair = self.party.user.by_sid(self._open_sid) if self._open_sid is not None else None
        return None if pair is None else pair.cell.band

    def _hear(self, heard: Heard) -> None:
        """Handle a result of sensing: an incumbent closes every channel it touches, at once."""
        self.warden.listened_ns = heard.listened_ns
        self.listening.look(heard)
        for low_hz, high_hz, kind in heard.incumbents:
            for channel in self.config.channels:
                if channel.low_hz < high_hz and low_hz < channel.high_hz:
                    self._protect((channel.low_hz, channel.high_hz), kind, heard)

    def _protect(self, band: tuple[int, int], kind: str, heard: Heard) -> None:
        if not self.protection.found(band, heard.found_ns):
            return
        self.warden.beat(heard.found_ns, at_once=True)
        self._fresh.append(band)
        self.events.write("incumbent", kind=kind, low_hz=band[0], high_hz=band[1], listened_ns=heard.listened_ns)

    # -- a durable step ------------------------------------------------------------------------------------------

    def _step(self, arrived: list[Arrived], cosigned: Sequence[StockLines] = ()) -> bool:
        """Run one durable step over all that arrived; returns whether the step had any result."""
        changes, used, fresh = self._changes, self._used, self._fresh
        self._changes, self._used, self._fresh = [], [], []
        with self.party.step(self.fix()) as step:
            self.reading.act(step)
            for message in arrived:
                self.receive(step, message)
            self._held_up = self.party.halted is not None
            if not self._held_up:
                self.party.duty(step, "directories", partial(self.directories.take, step, self.party))
                for answer in cosigned:
                    take = partial(self.party.witness.take_stock, step, answer.size, answer.lines)
                    self.party.duty(step, "cosigned", take, waits=False)
                self._work(step, (changes, used, fresh))
            else:
                self._keep(changes, used, fresh)
                self._greet(step)
                self.errands.held_up(str(self.party.halted), time.monotonic_ns())
        self._leave(step)
        if self.party.damaged is not None:
            raise HaltedError(self.party.damaged)
        return bool(step.outgoing or step.effects or step.notices or step.logged_bytes)

    def _keep(self, changes: list[GateChange], used: list[Used], fresh: list[tuple[int, int]]) -> None:
        """Keep news to log until the log is known to be whole: the newest HELD_MAX of each kind, each band once."""
        self._changes, self._used, self._fresh = changes[-HELD_MAX:], used[-HELD_MAX:], list(dict.fromkeys(fresh))

    def _greet(self, step: Step) -> None:
        """Ask the neighbours again, once a second, what they know of this node's log: some may have just connected."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_hello_ns:
            self._next_hello_ns = now_ns + NS
            self.party.hello(step)

    def _work(self, step: Step, heard: tuple[list[GateChange], list[Used], list[tuple[int, int]]]) -> None:
        """Do everything this node does on its own in a step; runs only once its log is known to be whole."""
        changes, used, fresh = heard
        duty = self.party.duty
        self._go_on()
        if not self._worded:  # takes in no words while the neighbours have yet to confirm this node's log
            self._worded = True
            duty(step, "words", partial(take_words, self.party, step, self.config.words), waits=False)
        for change in changes:
            duty(step, "gate", partial(self._log_gate, step, change), waits=False)
        vacated, self.handing.heard = self.handing.heard, []
        for said in vacated:
            at = self.clock.at(said.at_ns)
            duty(step, "vacated", partial(self.handing.vacated, step, self.party, said, at), waits=False)
        for band in fresh:
            if duty(step, "displace", partial(self._displace, step, band), waits=False) is not True:
                self._unsaid.append(band)
        self.party.tick(step)
        for found in self.listening.taken(step):
            duty(step, "overheard", partial(self.listening.sign, step, found), waits=False)
        for usage in used:
            duty(step, "usage", partial(self._report, step, usage), waits=False)
        if fresh:
            # What takes a band back is sent before any other work is done.
            return
        duty(step, "keys", partial(self.keys.act, step))
        if self._unsaid and time.monotonic_ns() >= self._resume_ns:
            self._resume_ns = time.monotonic_ns() + NS
            self._fresh, self._unsaid = self._fresh + self._unsaid, []
        duty(step, "policies", partial(self.act, step))
        duty(step, "errands", lambda: self.errands.act(step, self._surroundings()), waits=False)

    def _leave(self, step: Step) -> None:
        """Send messages, carry out effects and report events of a step that is now durable."""
        now_ns = time.monotonic_ns()
        rotation = self.keys.durable()
        if rotation is not None:
            self._turn_key(rotation)
        for outgoing in step.outgoing:
            self.outbox.send(outgoing, now_ns)
        for effect in step.effects:
            self._guarded(type(effect).__name__, partial(self._do, effect))
        for notice in step.notices:
            self._guarded(f"notice {notice.name}", partial(self.events.write, notice.name, **notice.fields))
        self._guarded("lending", self.lending.turn)
        self.errands.speak()

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        """Run one action of a durable step; a failure is counted and logged, and the other actions still run."""
        try:
            action()
        except Exception as exc:  # noqa: BLE001 - it may hold what a stranger signed
            self.party.faults += 1
            self.events.write("fault", detail=cut(repr(exc), 256), duty=what)

    def receive(self, step: Step, message: Arrived) -> None:
        """Judge one message; a refusal is already logged, or counted where the sender was over its share."""
        peer = self.trust.registry.by_transport(message.transport_key)
        if peer is not None:
            self._heard_from[peer.name] = time.monotonic_ns()
        refusal = self.party.receive(step, message.data, message.transport_key)
        if refusal is not None and not self.overdrawn.told(message.transport_key, refusal, time.monotonic_ns()):
            self.events.write(
                "refusal", reason=refusal.reason.value, detail=str(refusal), peer=peer.name if peer else "unknown"
            )

    def _log_gate(self, step: Step, change: GateChange) -> None:
        at = self.clock.at(change.at_ns)
        step.sign(
            Gate(
                state=change.state,
                previous=change.previous,
                reason=change.reason,
                measured=cut(change.measured, 256),
                required=cut(change.required, 256),
                sid=change.sid,
                at_earliest_ns=at.earliest_ns,
                at_latest_ns=at.latest_ns,
            )
        )
        if change.reason == Reason.INCUMBENT.value and change.previous == "OPEN" and change.sid is not None:
            sid = change.sid
            self.party.attempt(step, lambda: self.party.user.relinquish(step, sid, Reason.INCUMBENT.value))
            self.warden.withdraw(change.sid, Reason.INCUMBENT, "relinquished to an incumbent")

    def _displace(self, step: Step, band: tuple[int, int]) -> bool:
        """Sign what was sensed, and as a holder take the band back from its users; returns True once that is done."""
        now_ns = step.now.time.latest_ns
        body = self.envelopes.sighted(step, valid_ns=self.protection.hold_ns)
        evidence = self.party.bounds.observe(step, body)
        for to in self._neighbours():
            step.outgoing.append(Outgoing(to=to, data=Message(record=evidence.raw).encoded()))
        self.party.holder.preempt(
            step,
            Band(low_hz=band[0], high_hz=band[1]),
            tier=PROTECTED_TIER,
            reason=Reason.INCUMBENT.value,
            until_ns=now_ns + self.protection.hold_ns,
            evidence=evidence.digest,
        )
        return True

    def _report(self, step: Step, usage: Used) -> None:
        window = None
        if usage.first_ns is not None and usage.last_ns is not None:
            first = self.clock.at(usage.first_ns).earliest_ns
            window = Window(start_ns=first, end_ns=self.clock.at(usage.last_ns).latest_ns)
        self.party.user.report_usage(step, usage.sid, used=window, airtime_ns=usage.airtime_ns, bursts=usage.bursts)

    # -- policies ------------------------------------------------------------------------------------------------

    def since_start_s(self) -> float | None:
        """Seconds since the start signal; None before it."""
        if self._start_mono_ns is None:
            self._start_mono_ns = self._read_start()
        now_ns = time.monotonic_ns()
        if self._start_mono_ns is None or now_ns < self._start_mono_ns:
            return None
        return (now_ns - self._start_mono_ns) / 1e9

    def _read_start(self) -> int | None:
        path = self.config.start_file
        if path is None:
            return time.monotonic_ns()
        return int(json.loads(path.read_text())["start_mono_ns"]) if path.is_file() else None

    def act(self, step: Step) -> None:
        """Carry out what the configuration asks for, where it is due."""
        since_s = self.since_start_s()
        if since_s is None or self._start_mono_ns is None or not step.now.time.trusted:
            return
        if time.monotonic_ns() >= self._describe_ns:
            described = self.party.attempt(step, partial(self.envelopes.describe, step))
            self._describe_ns = time.monotonic_ns() + NS if isinstance(described, Refusal) else 0
        self.offers.act(step, since_s)
        if self.config.wants:
            start_ns = start_of(step.now, time.monotonic_ns(), self._start_mono_ns)
            self.user.act(step, self.party, since_s, start_ns)
        if self.config.leases.hands:
            start_ns = start_of(step.now, time.monotonic_ns(), self._start_mono_ns)
            self.handing.act(step, self.party, since_s, start_ns)
        self.auctions.act(step, self.party, since_s, self.offers.declare, self.offers.free())

    def _surroundings(self) -> Surroundings:
        now_ns = time.monotonic_ns()
        return Surroundings(
            now_ns=now_ns,
            open_sid=self._open_sid,
            warden_heard_ns=self._warden_ns,
            report=self.offers.occupancy,
            closed=lambda: self.offers.closed(self.fix().time, now_ns),
            withdraw=lambda sid: self.warden.withdraw(sid, Reason.RELINQUISHED, "given back by command"),
            declare=self.offers.declare,
            rotate=self.keys.rotate,
            is_free=lambda auction: wholly_free(auction, self.offers.free()),
            may_offer=lambda step, offer: step.may_sign(self.holder.declaration(step, self.party, offer)),
        )

    def _turn_key(self, rotation: bytes) -> None:
        """Tell the warden of the new key, and repeat standing offers under it."""
        before, me = self.trust.me, self.trust.registry.get(self.party.identity.credential)
        if me is not None:
            self.trust = replace(self.trust, me=me, former=self.trust.former | {before.hash})
        self.warden.key(rotation)
        self.holder.newcomer()

    def _neighbours(self) -> list[bytes]:
        subjects = (self.trust.registry.by_transport(key) for key in self.trust.registry.transport_keys())
        return [s.hash for s in subjects if s is not None and s.hash != self.trust.me.hash]

    # -- effects -------------------------------------------------------------------------------------------------

    def _do(self, effect: Effect) -> None:
        """Carry out one effect of a step that is now durable."""
        match effect:
            case AnswerIntent():
                self.offers.asked.take(effect)
            case HandPermit():
                self.warden.permit(effect.artifact)
                self._make_traffic(effect.sid)
            case HandLease():
                self.warden.lease(effect.record)
            case HandOn():
                self.warden.handing(effect.sid, effect.record)
                self._make_traffic(effect.sid)
            case HandRule():
                self.warden.rule(effect.record, effect.chain)
            case WithdrawPermit():
                self.warden.withdraw(effect.sid, effect.reason, effect.why)
            case RequestProgress():
                if effect.news is SettlementNews.ENDED:
                    self.bursts.end(effect.sid)
                self.user.hear(effect)
                self.errands.hear(effect)
            case other:
                assert_never(other)

    def _go_on(self) -> None:
        """Hand a warden that just started the settlements from before this process began; once.

        Waits until this node's log is known to be whole: an older copy may lack that a lease was handed on since.
        """
        if self._resumed or self.party.halted is not None:
            return
        self._resumed = True
        for standing in in_force(self.party):
            self.warden.permit(standing.artifact)
            if standing.lease is not None:
                self.warden.lease(standing.lease)
            for handing in self.party.holder.handings.of(standing.sid):
                if handing.begun is not None:
                    self.warden.handing(standing.sid, handing.raw)
            self._make_traffic(standing.sid)

    def _make_traffic(self, sid: bytes) -> None:
        pair = self.party.user.by_sid(sid)
        grant = self.party.record_of(pair.grant) if pair is not None and pair.grant is not None else None
        if pair is None or grant is None:
            return
        band, seed = kept_of(self.party, sid, self.fix().time), int.from_bytes(self.trust.me.hash[:4], "big")
        if band is None:
            self.bursts.end(sid)
            return
        width_hz = band.high_hz - band.low_hz
        self.bursts.make(sid, eirp_mdbm=grant.body.max_eirp_mdbm, bandwidth_hz=width_hz, seed=seed)

    def _transmit(self, now_ns: int) -> None:
        """Offer one burst per frame to the warden while the gate is open; the warden decides whether it is sent."""
        if self._open_sid is None or now_ns < self._next_burst_ns:
            return
        burst = self.bursts.next(self._open_sid)
        if burst is None:
            self._next_burst_ns = now_ns + POLL_MS * 1_000_000
            return
        self._next_burst_ns = now_ns + self.config.radio.frame_us * 1000
        self.warden.burst(self._open_sid, burst)
