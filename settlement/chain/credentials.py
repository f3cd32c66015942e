"""Credentials: what a key may do and who issued that right; each chain ends at an anchor and only narrows.

Checks on a credential, in this order:

    (1) header rules hold and claims are complete
    (2) the issuer is an anchor (a root's own hash is one) or an admitted credential that may issue
    (3) the issuer's key signed it, in this network
    (4) its scope is inside the issuer's on every axis, its validity inside the issuer's, and its level is not one that
        the chain has left before
    (5) validity in time is judged where it is used, by interval
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from settlement.chain import bodies, keys
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, Record, Unproven, digest, parse, sign_record
from settlement.chain.scope import Area, Scope, wider_than
from settlement.core.fixes import Fix, TimeFix, time_inside
from settlement.core.reasons import Reason, Refusal, refuse

ISS, SUB, EXP, NBF, IAT, CTI, CNF = 1, 2, 4, 5, 6, 7, 8
NS = 1_000_000_000
ISSUE = "issue"
_COSE_KEY_LABELS = {1: 1, -1: 6}  # OKP, Ed25519 (RFC 9053 section 7.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An admitted credential: `hash` names it, `chain` is the raw credentials from the root down to this one."""

    hash: bytes
    issuer: bytes | None
    name: str
    public: bytes
    kid: bytes
    level: str
    scope: Scope
    transport_key: bytes | None
    device: str | None
    not_before_ns: int
    expires_ns: int
    chain: tuple[bytes, ...]
    status_index: int | None = None
    levels: tuple[str, ...] = ()
    """The level of each credential in the chain, the root's first."""

    def valid_at(self, time: TimeFix) -> Refusal | None:
        """Refuse unless the whole time interval lies inside the credential's validity; None when it does."""
        return time_inside(time, self.not_before_ns, self.expires_ns, "credential.validity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The CWT claims in use (RFC 8392); times are seconds since the Unix epoch."""

    issuer: str
    subject: str
    expires_s: int
    not_before_s: int
    issued_s: int
    token: bytes
    public: bytes

    def to_map(self) -> dict[int, Any]:
        """Return the claims as a map for the protected header."""
        key = {**_COSE_KEY_LABELS, -2: self.public}
        return {
            ISS: self.issuer,
            SUB: self.subject,
            EXP: self.expires_s,
            NBF: self.not_before_s,
            IAT: self.issued_s,
            CTI: self.token,
            CNF: {1: key},
        }


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 128


def _seconds(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**33


def read_claims(claims: dict[int, Any]) -> Claims | Refusal:
    """Check (1): exactly the claims in use, each of its type, the key an Ed25519 key."""
    if set(claims) != {ISS, SUB, EXP, NBF, IAT, CTI, CNF}:
        return refuse(Reason.HEADER, "credential.claims", sorted(claims), [ISS, SUB, EXP, NBF, IAT, CTI, CNF])
    confirmation = claims[CNF]
    key = confirmation.get(1) if isinstance(confirmation, dict) and set(confirmation) == {1} else None
    if not isinstance(key, dict) or set(key) != {1, -1, -2} or any(key[k] != v for k, v in _COSE_KEY_LABELS.items()):
        return refuse(Reason.HEADER, "credential.cnf", "not an Ed25519 COSE_Key", "an Ed25519 COSE_Key")
    typed = _text(claims[ISS]) and _text(claims[SUB]) and all(_seconds(claims[c]) for c in (EXP, NBF, IAT))
    if not typed or not isinstance(claims[CTI], bytes) or not 1 <= len(claims[CTI]) <= 32:
        return refuse(Reason.HEADER, "credential.claims", "wrong type", "text, seconds and bytes of RFC 8392")
    if not isinstance(key[-2], bytes) or not keys.usable(key[-2]):
        return refuse(Reason.KEY, "credential.key", "unusable", "a canonical Ed25519 key that is not of low order")
    return Claims(
        issuer=claims[ISS],
        subject=claims[SUB],
        expires_s=claims[EXP],
        not_before_s=claims[NBF],
        issued_s=claims[IAT],
        token=claims[CTI],
        public=key[-2],
    )


@dataclass(slots=True)
class OutlineBudget:
    """Limit on the corners of all credential outlines that one reading checks; an outline counts once."""

    corners: int
    _seen: set[Area] = field(default_factory=set)

    def spend(self, area: Area) -> Refusal | None:
        """Count an outline; TERMS where its corners exceed the limit. Called before the outline is checked."""
        if area.outline is None or area in self._seen:
            return None
        self._seen.add(area)
        self.corners -= len(area.outline)
        if self.corners >= 0:
            return None
        required = f"{-self.corners} fewer in all credentials together"
        return refuse(Reason.TERMS, "credential.corners", len(area.outline), required)


class Registry:
    """The credentials that a node has admitted, by hash. Anchors are hashes of roots, trusted by configuration."""

    def __init__(self, network: str, anchors: Iterable[bytes], outlines: OutlineBudget | None = None) -> None:
        """Start empty; `outlines` limits the cost of reading others' credentials; None for a node's own memory."""
        self.network, self.anchors = network, frozenset(anchors)
        self._outlines = outlines
        self._subjects: dict[bytes, Subject] = {}
        self._by_transport: dict[bytes, Subject] = {}
        self._successors: dict[bytes, bytes] = {}
        self._predecessors: dict[bytes, bytes] = {}
        self._configured = self.anchors
        self.changes = 0
        """Number of changes so far: credentials added and transport keys moved. Caches compare this number."""

    def get(self, credential: bytes | None) -> Subject | None:
        """Return an admitted credential by its hash; None if there is none."""
        return None if credential is None else self._subjects.get(credential)

    def by_transport(self, transport_key: bytes) -> Subject | None:
        """Return the admitted credential that a transport key is bound to; None if there is none."""
        return self._by_transport.get(transport_key)

    def subjects(self) -> tuple[Subject, ...]:
        """Return every admitted credential, issuers before the credentials they issued."""
        return tuple(self._subjects.values())

    def transport_keys(self) -> frozenset[bytes]:
        """Return the transport keys of all admitted credentials."""
        return frozenset(self._by_transport)

    def admit(self, raw: bytes) -> Subject | Refusal:
        """Run checks (1) to (4) on a raw credential whose issuer is already admitted, and keep the credential."""
        known = self._subjects.get(digest(raw))
        if known is not None:
            return known
        subject = self.examine(raw)
        if isinstance(subject, Subject):
            self._keep(subject)
        return subject

    def _keep(self, subject: Subject) -> None:
        self.changes += 1
        self._subjects[subject.hash] = subject
        if subject.transport_key is not None and self._free_for(subject, subject.transport_key):
            self._by_transport[subject.transport_key] = subject

    def _free_for(self, subject: Subject, transport_key: bytes) -> bool:
        """Whether a transport key is free for a subject: unused, or used by the same key pair or its successors."""
        held = self._by_transport.get(transport_key)
        if held is None or held.public == subject.public:
            return True
        return held.hash in self.line(subject.hash) or subject.hash in self.line(held.hash)

    def successor(self, credential: bytes) -> bytes | None:
        """Return the hash of the credential that replaced a credential; None if there is none."""
        return self._successors.get(credential)

    def newest(self, credential: bytes) -> bytes:
        """Return the hash of a party's current credential: this one, or the last that replaced it."""
        seen = set[bytes]()
        while credential not in seen and (later := self.successor(credential)) is not None:
            seen.add(credential)
            credential = later
        return credential

    def line(self, credential: bytes) -> tuple[bytes, ...]:
        """Return the hashes of a credential and of those it replaced, the newest first."""
        found = [credential]
        while (before := self._predecessors.get(found[-1])) is not None:
            found.append(before)
        return tuple(found)

    def rotate(self, old: Subject, new: Subject) -> None:
        """Replace a credential by its judged successor; a root's successor becomes an anchor."""
        if new.issuer is None:
            self.anchors |= {new.hash}
        self._successors[old.hash], self._predecessors[new.hash] = new.hash, old.hash
        self._keep(new)

    def unrotate(self) -> None:
        """Undo all replacements: replaced credentials hold their transport keys again."""
        for old in reversed(self._successors):
            self._keep(self._subjects[old])
        self._successors.clear()
        self._predecessors.clear()
        self.anchors = self._configured

    def examine_root(self, raw: bytes) -> Subject | Refusal:
        """Run the checks on a root that is to replace an anchor; its own key must have signed it."""
        return Registry(self.network, [digest(raw)]).examine(raw)

    def examine(self, raw: bytes) -> Subject | Refusal:
        """Run checks (1) to (4) on a raw credential without keeping it."""
        unproven = parse(raw)
        if isinstance(unproven, Refusal):
            return unproven
        if unproven.schema is not bodies.Credential:
            return refuse(Reason.TYPE, "credential.typ", unproven.typ, "credential")
        claims = read_claims(unproven.message.header.claims or {})
        if isinstance(claims, Refusal):
            return claims
        return self._root(unproven, claims) if unproven.author is None else self._issued(unproven, claims)

    def admit_chain(self, chain: Iterable[bytes]) -> Subject | Refusal:
        """Admit raw credentials from the root down; return the last."""
        last: Subject | Refusal = refuse(Reason.UNKNOWN_AUTHOR, "credential.chain", "empty", "at least a root")
        for raw in chain:
            last = self.admit(raw)
            if isinstance(last, Refusal):
                return last
        return last

    def _root(self, unproven: Unproven, claims: Claims) -> Subject | Refusal:
        name = digest(unproven.message.raw)
        if name not in self.anchors:
            return refuse(Reason.UNKNOWN_AUTHOR, "credential.anchor", name.hex(), "a configured trust anchor")
        record = unproven.prove(claims.public, self.network)
        if isinstance(record, Refusal):
            return record
        return _shaped(record.body.scope) or _subject(record, claims, None)

    def _issued(self, unproven: Unproven, claims: Claims) -> Subject | Refusal:
        issuer = self.get(unproven.author)
        if issuer is None:
            return refuse(Reason.UNKNOWN_AUTHOR, "credential.issuer", _hex(unproven.author), "an admitted issuer")
        if ISSUE not in issuer.scope.actions:
            return refuse(Reason.SCOPE, "credential.issue", issuer.scope.actions, ISSUE)
        record = unproven.prove(issuer.public, self.network)
        if isinstance(record, Refusal):
            return record
        crowded = self._outlines.spend(record.body.scope.area) if self._outlines is not None else None
        refusal = crowded or _narrows(record, claims, issuer)
        return refusal or _subject(record, claims, issuer)


def _hex(value: bytes | None) -> str:
    return "none" if value is None else value.hex()


def _narrows(record: Record, claims: Claims, issuer: Subject) -> Refusal | None:
    """Check (4): the scope, life and level of a credential lie inside its issuer's."""
    body: bodies.Credential = record.body
    if claims.issuer != issuer.name:
        return refuse(Reason.SCOPE, "credential.iss", claims.issuer, issuer.name)
    if claims.not_before_s * NS < issuer.not_before_ns or claims.expires_s * NS > issuer.expires_ns:
        return refuse(Reason.SCOPE, "scope.time", f"{claims.not_before_s}-{claims.expires_s} s", "inside the issuer's")
    return _level_left(body.level, issuer) or _shaped(body.scope) or wider_than(body.scope, issuer.scope)


def _level_left(level: str, issuer: Subject) -> Refusal | None:
    """Refuse a level that the chain has left before; how two levels compare is in the rule, and checked elsewhere."""
    if level == issuer.level or level not in issuer.levels:
        return None
    return refuse(Reason.SCOPE, "scope.level", level, f"a level that {issuer.name} has, {issuer.level}, or one below")


def _shaped(scope: Scope) -> Refusal | None:
    """Check that the area of a scope is a valid shape; called once the issuer's signature holds."""
    wrong = scope.area.flaw()
    return None if wrong is None else refuse(Reason.MALFORMED, "scope.area", wrong, "a whole area")


def _subject(record: Record, claims: Claims, issuer: Subject | None) -> Subject:
    body: bodies.Credential = record.body
    return Subject(
        hash=record.digest,
        issuer=issuer.hash if issuer else None,
        name=claims.subject,
        public=claims.public,
        kid=keys.kid_of(claims.public),
        level=body.level,
        scope=body.scope,
        transport_key=body.transport_key,
        device=body.device,
        not_before_ns=claims.not_before_s * NS,
        expires_ns=claims.expires_s * NS,
        chain=(*(issuer.chain if issuer else ()), record.raw),
        status_index=body.status_index,
        levels=(*(issuer.levels if issuer else ()), body.level),
    )


def issue(
    key: SigningKey,
    issuer: Subject | None,
    body: bodies.Credential,
    claims: Claims,
    *,
    network: str,
    fix: Fix,
    seq: int = 1,
    previous: bytes | None = None,
) -> bytes:
    """Sign a credential; a root (no issuer) is signed by the key it names."""
    frame = Frame(
        network=network,
        author=issuer.hash if issuer else None,
        seq=seq,
        previous=previous,
        attestation=Attestation.of(fix),
    )
    return sign_record(key, frame, body, claims=claims.to_map())
