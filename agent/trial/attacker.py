"""An enrolled node that misbehaves: it replays, forges, answers late, and tries to transmit without a settlement.

`python -m agent.trial.attacker NODE.toml`. It may know every public byte; it does not hold others' keys.
"""

import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import zmq
from zmq.utils import z85

from agent.config.settings import ConfigError, NodeConfig, load
from agent.node.daemon import Node
from agent.node.process import serve
from hw_profiles.printable import printable
from radio.process import die_with_parent, stop_on_signals
from settlement.chain import bodies
from settlement.chain.admission import Admitted, prove
from settlement.chain.credentials import Subject
from settlement.chain.lineage import LineageError
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Band, Cell
from settlement.mesh import Arrived, MeshError, TransportKey
from settlement.pair.artifact import Artifact, LogProof
from settlement.pair.table import UserState
from settlement.state.messages import Message, decode_message
from settlement.state.step import Outgoing, Step

NS = 1_000_000_000
LATE_NS = NS // 2
FIRST_S, GAP_S = 4.5, 0.4


class Attacker(Node):
    """Runs its attacks one by one; the holder's log has the answers."""

    def __init__(self, config: NodeConfig, path: Path) -> None:
        super().__init__(config, path)
        self._heard: list[bytes] = []
        self._own_request: bytes | None = None
        self._grant: Admitted | None = None
        self._stranger: zmq.Socket[bytes] | None = None
        self._next_s = FIRST_S
        self._plan: list[tuple[str, Callable[[Step, Subject], None]]] = [
            ("knock with no credential", self._knock),
            ("send garbage", self._garbage),
            ("replay the holder's own offer to it", self._echo),
            ("forge a REQUEST in a neighbour's name", self._forge),
            ("send a REQUEST of another network", self._other_network),
            ("flip a bit of a signed REQUEST", self._flip),
            ("ask for a band beyond the credential", self._beyond),
            ("ask for a cell and never answer in time", self._ask),
            ("replay its own REQUEST", self._replay),
            ("present a forged settlement to its own warden", self._forged_permit),
            ("send samples with no settlement", self._transmit_anyway),
        ]

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive(self, step: Step, message: Arrived) -> None:
        """Keep every message; do not answer a GRANT before its time is over."""
        parsed = decode_message(message.data)
        if isinstance(parsed, Message):
            self._heard.append(parsed.record)
            admitted = prove(parsed.record, self.trust.registry)
            if isinstance(admitted, Admitted) and isinstance(admitted.record.body, bodies.Grant):
                self._grant = self._grant or admitted
                step.event("grant kept unanswered", sid=admitted.record.body.sid)
                return
        super().receive(step, message)

    # -- attacking -----------------------------------------------------------------------------------------------

    def act(self, step: Step) -> None:
        """Do one attack at a time, then the late answer."""
        since_s = self.since_start_s()
        holder = self._holder()
        if since_s is None or holder is None:
            return
        if self._plan and since_s >= self._next_s:
            self._next_s += GAP_S
            name, attack = self._plan.pop(0)
            step.event("attack", what=name)
            attack(step, holder)
        self._answer_late(step, holder)

    def _holder(self) -> Subject | None:
        offer = next(iter(self.party.user.offers.values()), None)
        return self.trust.registry.get(offer.holder) if offer else None

    def _send(self, step: Step, holder: Subject, raw: bytes) -> None:
        step.outgoing.append(Outgoing(to=holder.hash, data=Message(record=raw).encoded()))

    def _request(self, cell: Cell | None = None) -> bodies.Request:
        offer = next(iter(self.party.user.offers.values()))
        window = offer.body.cell.window
        length_ns = 2 * NS
        own = replace(window, start_ns=window.end_ns - length_ns)
        return bodies.Request(
            declaration=offer.declaration,
            cell=cell or replace(offer.body.cell, window=own),
            commodity=offer.body.commodity,
            tier=offer.body.tier_low,
            eirp_mdbm=10_000,
            price=offer.body.price,
            partial=0,
            nonce=secrets.token_bytes(16),
            envelope=self.party.bounds.unit.digest if self.party.bounds.unit is not None else None,
        )

    def _frame(self, step: Step, author: bytes, network: str) -> Frame:
        return Frame(
            network=network,
            author=author,
            seq=1_000_000 + len(self._plan),
            previous=None,
            attestation=Attestation.of(step.now),
        )

    def _knock(self, _step: Step, _holder: Subject) -> None:
        stranger, peer = TransportKey.generate(), self.config.peers[0]
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._stranger = context.socket(zmq.DEALER)
        self._stranger.linger = 0
        self._stranger.curve_publickey = z85.encode(stranger.public)
        self._stranger.curve_secretkey = z85.encode(stranger.secret)
        holder = self._holder()
        if holder is not None and holder.transport_key is not None:
            self._stranger.curve_serverkey = z85.encode(holder.transport_key)
            self._stranger.connect(peer.endpoint)

    def _garbage(self, step: Step, holder: Subject) -> None:
        step.outgoing.append(Outgoing(to=holder.hash, data=secrets.token_bytes(200)))

    def _echo(self, step: Step, holder: Subject) -> None:
        self._send(step, holder, self._heard[-1])

    def _forge(self, step: Step, holder: Subject) -> None:
        victims = [s for s in self.trust.registry.subjects() if "request" in s.scope.actions and s.transport_key]
        victim = next((s for s in victims if s.hash not in (self.trust.me.hash, holder.hash)), self.trust.me)
        # The victim's key id with our own key.
        key = replace(self.party.identity.key, kid=victim.kid)
        self._send(step, holder, sign_record(key, self._frame(step, victim.hash, self.config.network), self._request()))

    def _other_network(self, step: Step, holder: Subject) -> None:
        frame = self._frame(step, self.trust.me.hash, self.config.network + "-other")
        self._send(step, holder, sign_record(self.party.identity.key, frame, self._request()))

    def _flip(self, step: Step, holder: Subject) -> None:
        frame = self._frame(step, self.trust.me.hash, self.config.network)
        raw = bytearray(sign_record(self.party.identity.key, frame, self._request()))
        raw[-1] ^= 1
        self._send(step, holder, bytes(raw))

    def _beyond(self, step: Step, holder: Subject) -> None:
        cell = self._request().cell
        wide = Band(low_hz=cell.band.low_hz - 10_000_000, high_hz=cell.band.low_hz)
        frame = self._frame(step, self.trust.me.hash, self.config.network)
        self._send(step, holder, sign_record(self.party.identity.key, frame, self._request(replace(cell, band=wide))))

    def _ask(self, step: Step, _holder: Subject) -> None:
        """Send a REQUEST as any user does, so that its own log has it, with the intent to answer too late."""
        self.envelopes.describe(step)
        user, cell = self.party.user, self._request().cell
        offer = next(iter(user.offers.values()))
        pair = user.request(step, offer, cell, eirp_mdbm=10_000)
        user.store.save(step, replace(pair, give_up_ns=cell.window.end_ns))
        self._own_request = pair.last

    def _replay(self, step: Step, holder: Subject) -> None:
        if self._own_request is not None:
            self._send(step, holder, self._own_request)

    def _answer_late(self, step: Step, _holder: Subject) -> None:
        """Send an ACCEPT half a second after the GRANT's deadline, which no honest user of this program would."""
        if self._grant is None or not step.now.time.after(self._grant.record.body.accept_by_ns + LATE_NS):
            return
        admitted, self._grant = self._grant, None
        pair = self.party.user.pairs.get(admitted.record.body.request)
        if pair is not None and pair.state == UserState.REQUESTED:
            step.event("attack", what="accept after the deadline")
            user = self.party.user
            user.accept(step, pair, admitted)
            # The GRANT was kept out of its log, so its stored state must not name it either.
            user.store.save(step, replace(user.pairs[pair.request], grant=None))

    def _forged_permit(self, step: Step, holder: Subject) -> None:
        """Hand the warden a settlement that only this node signed."""
        own = self._own_request or sign_record(
            self.party.identity.key, self._frame(step, self.trust.me.hash, self.config.network), self._request()
        )
        forged = Artifact(
            grant=own,
            accept=own,
            confirm=own,
            holder_chain=holder.chain,
            user_chain=self.trust.me.chain,
            rule=self.trust.rule_raw,
            rule_chain=self.trust.rule_chain,
            proof=LogProof(leaf=b"\x00", index=0, path=(), checkpoint="none"),
        )
        self.warden.permit(forged.encoded())

    def _transmit_anyway(self, _step: Step, _holder: Subject) -> None:
        samples = self.config.radio.sample_rate_hz * self.config.radio.burst_us // 1_000_000
        self.warden.burst(secrets.token_bytes(32), np.full((samples, 2), 8000, dtype=np.int16))


def main(arguments: list[str]) -> int:
    """Run until stopped, like any node."""
    stop: threading.Event = stop_on_signals()
    path = Path(arguments[0])
    try:
        die_with_parent()
        return serve(Attacker(load(path), path), stop)
    except (ConfigError, LineageError, MeshError) as exc:
        sys.stderr.write(f"{printable(exc)}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
