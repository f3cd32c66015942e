"""A colluding holder and user who sign arbitrary records with their own valid keys, to test artifact verification."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from settlement.chain import bodies, merkle, records
from settlement.chain.checkpoint import Head, cosign, origin_of, sign_head
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import OWN, admitted_leaf
from settlement.chain.scope import Cell, Window
from settlement.core.fixes import Fix
from settlement.core.reasons import Refusal
from settlement.pair.artifact import Artifact, Countersigned, Links, LogProof, VerifiedPermit, verify
from settlement.pair.work import answer_to, settlement_id
from tests.settlement.world import (
    AREA,
    HOLDER_ACTIONS,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    scope,
    seed,
)

CELL = Cell(band=LOWER, area=AREA, window=Window(start_ns=T0 + 2 * NS, end_ns=T0 + 12 * NS))
NONCE, CHALLENGE = bytes(16), bytes(32)


def other_cell(**changes: Any) -> Cell:
    """The usual cell with another band, area or window."""
    return replace(CELL, **changes)


@dataclass
class Collusion:
    """All that two colluding parties can choose; with the defaults the artifact verifies."""

    folder: Path
    rule: bodies.Rule = RULE
    holder_scope: dict[str, Any] = field(default_factory=dict)
    user_scope: dict[str, Any] = field(default_factory=dict)
    user_life: dict[str, Any] = field(default_factory=dict)
    holder_life: dict[str, Any] = field(default_factory=dict)
    grant: dict[str, Any] = field(default_factory=dict)
    accept: dict[str, Any] = field(default_factory=dict)
    confirm: dict[str, Any] = field(default_factory=dict)
    granted_at: Fix = field(default_factory=lambda: fix(1.0))
    accepted_at: Fix = field(default_factory=lambda: fix(1.1))
    confirmed_at: Fix = field(default_factory=lambda: fix(1.2))
    by_another: bool = False
    """Whether the rule is signed by an authority below the root, of this scope."""
    another_scope: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.world = World(self.folder, rule=self.rule)
        self.keys = {name: SigningKey.from_seed(seed(name)) for name in ("holder", "user", "bay", "witness", "third")}
        self.chains = {
            "holder": self._credential("holder", HOLDER_ACTIONS, {"tier": 1, **self.holder_scope}, self.holder_life),
            "user": self._credential("user", USER_ACTIONS, {"tier": 2, **self.user_scope}, self.user_life),
        }
        self.rule_raw, self.rule_chain = self.world.rule_raw, (self.world.root,)
        if self.by_another:
            self.rule_raw, self.rule_chain = self.below(self.rule, **self.another_scope)
        self.sequence = 0

    @property
    def anchors(self) -> list[bytes]:
        return self.world.anchors

    def _credential(
        self,
        name: str,
        actions: tuple[str, ...],
        changes: dict[str, Any],
        life: dict[str, Any],
        level: str = "operator",
    ) -> tuple[bytes, ...]:
        body = bodies.Credential(
            level=level,
            scope=scope(actions, **changes),
            transport_key=seed(name + "-transport") if level == "operator" else None,
            device=f"device-{name}" if level == "operator" else None,
        )
        world, key = self.world, self.keys[name]
        said = claims(key.public, name, "root", **life)
        seq = next(world.numbers)
        raw = issue(world.root_key, world.authority, body, said, network=NETWORK, fix=fix(-8), seq=seq)
        return world.root, raw

    def credential(self, name: str, actions: tuple[str, ...], **changes: Any) -> tuple[bytes, ...]:
        """The certificate chain of one more node."""
        return self._credential(name, actions, {"tier": 2, **changes}, {})

    def below(self, rule: bodies.Rule, name: str = "bay", **changes: Any) -> tuple[bytes, tuple[bytes, ...]]:
        """A rule, signed by an authority that the root made, and that authority's chain."""
        actions = changes.pop("actions", ("issue", "rule", *HOLDER_ACTIONS, "request"))
        chain = self._credential(name, actions, {"depth": 1, **changes}, {}, level="authority")
        return self.signed(name, chain, rule, fix(-6)), chain

    def signed(self, name: str, chain: tuple[bytes, ...], body: Any, at: Fix, key: SigningKey | None = None) -> bytes:
        self.sequence = getattr(self, "sequence", 0) + 1
        frame = records.Frame(
            network=NETWORK,
            author=records.digest(chain[-1]),
            seq=self.sequence,
            previous=None if self.sequence == 1 else bytes(32),
            attestation=records.Attestation.of(at),
        )
        return records.sign_record(key or self.keys[name], frame, body)

    def grant_body(self) -> bodies.Grant:
        cell = self.grant.get("cell", CELL)
        holder, user = (records.digest(self.chains[name][-1]) for name in ("holder", "user"))
        now_ns = self.granted_at.time.latest_ns
        base = bodies.Grant(
            sid=settlement_id(holder, user, NONCE, cell),
            request=bytes(32),
            user=user,
            nonce=NONCE,
            cell=cell,
            commodity="cbrs",
            tier=2,
            max_eirp_mdbm=20_000,
            price=7,
            accept_by_ns=now_ns + NS,
            confirm_by_ns=now_ns + 2 * NS,
            challenge=CHALLENGE,
            rule=records.digest(self.rule_raw),
            fence=1,
            lease_ns=3 * NS,
        )
        return replace(base, **self.grant)

    def records(self) -> tuple[bytes, bytes, bytes]:
        """GRANT, ACCEPT and CONFIRM."""
        body = self.grant_body()
        grant = self.signed("holder", self.chains["holder"], body, self.granted_at)
        name = records.digest(grant)
        taken = bodies.Accept(sid=body.sid, grant=name, answer=answer_to(body.challenge, name))
        accept = self.signed("user", self.chains["user"], replace(taken, **self.accept), self.accepted_at)
        start_ns = max(self.confirmed_at.time.earliest_ns, body.cell.window.start_ns)
        decided = bodies.Confirm(
            sid=body.sid,
            grant=name,
            accept=records.digest(accept),
            transmit_until_ns=min(body.cell.window.end_ns, start_ns + body.lease_ns),
            fence=body.fence,
        )
        confirm = self.signed("holder", self.chains["holder"], replace(decided, **self.confirm), self.confirmed_at)
        return grant, accept, confirm

    def witnessed(self, checkpoint: str, head: Head, name: str, time_s: int = T0 // NS + 1, as_name: str = "") -> str:
        """A checkpoint note with a witness's signature line."""
        key = self.keys[name]
        return checkpoint + cosign(head, name=as_name or origin_of(NETWORK, key.public), key=key, time_s=time_s)

    def proof(self, confirm: bytes, witnesses: dict[str, tuple[bytes, ...]] | None = None, **changes: Any) -> LogProof:
        """The CONFIRM in a log of two entries."""
        leaf = admitted_leaf(confirm, origin=OWN, now=self.confirmed_at.time).encoded()
        beside = hashlib.sha256(b"another entry").digest()
        root = merkle.node_hash(merkle.leaf_hash(leaf), beside)
        head = Head(origin=origin_of(NETWORK, self.keys["holder"].public), size=2, root=root)
        note = sign_head(head, self.keys["holder"])
        for name in witnesses or {}:
            note = self.witnessed(note, head, name)
        links = tuple(Links(credentials=chain) for chain in (witnesses or {}).values()) or None
        whole = LogProof(leaf=leaf, index=0, path=(beside,), checkpoint=note, witnesses=links)
        return replace(whole, **changes)

    def cosigned(
        self, name: str, chain: tuple[bytes, ...], given: bytes, taken: bytes, named: tuple[str, ...], **changes: Any
    ) -> Countersigned:
        """A co-signature."""
        body = bodies.Coordination(
            sid=self.grant_body().sid,
            grant=records.digest(given),
            accept=records.digest(taken),
            shards=named,
            until_ns=self.grant_body().cell.window.end_ns,
        )
        record = self.signed(name, chain, replace(body, **changes), self.accepted_at)
        return Countersigned(record=record, chain=chain)

    def whole(self) -> Artifact:
        """The artifact as a value, not encoded."""
        grant, accept, confirm = self.records()
        return Artifact(
            grant=grant,
            accept=accept,
            confirm=confirm,
            holder_chain=self.chains["holder"],
            user_chain=self.chains["user"],
            rule=self.rule_raw,
            rule_chain=self.rule_chain,
            proof=self.proof(confirm),
        )

    def artifact(self) -> bytes:
        """The encoded artifact."""
        return self.whole().encoded()

    def verdict(self, artifact: Artifact | bytes | None = None) -> VerifiedPermit | Refusal:
        """The verdict of a verifier with only the anchors."""
        data = self.artifact() if artifact is None else artifact
        raw = data.encoded() if isinstance(data, Artifact) else data
        return verify(raw, network=NETWORK, anchors=self.anchors)
