"""Records: the fields of every signed statement, and the strict steps from bytes to a verified record.

`parse` runs steps (0) to (2) of `cose` and the record's own header rules; `Unproven.prove` checks the signature with
the author's key, only then parses the payload, and checks that its values make sense. There is no other way to a
`Record` of another author.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cbor2

from settlement.chain import codec, cose, keys, meaning
from settlement.chain.codec import blob, lat_e7, lon_e7, nested, text, uint
from settlement.chain.keys import SigningKey, Verify
from settlement.chain.scan import MAX_RECORD_BYTES, scan
from settlement.core.fixes import Fix, PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse
from settlement.records.registry import RECORDS, TYPE_OF
from settlement.records.row import Becomes, RecordType

TYPE_PREFIX = "bandpact/"
_BODY_KEY = 6
SHARED_MAX = 2048


@lru_cache(maxsize=64)
def aad(network: str) -> bytes:
    """Return the signature domain of a network: the same bytes do not verify in another network."""
    return b"bandpact/1/" + network.encode()


def digest(data: bytes) -> bytes:
    """Return SHA-256 of bytes: the name of a record everywhere."""
    return hashlib.sha256(data).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """When and where the author says that it signed, as intervals, with the source of each."""

    earliest_ns: int = uint(1)
    latest_ns: int = uint(2)
    time_source: int = uint(3, high=255)
    lat_e7: int = lat_e7(4)
    lon_e7: int = lon_e7(5)
    radius_mm: int = uint(6)
    position_source: int = uint(7, high=255)

    @classmethod
    def of(cls, fix: Fix) -> "Attestation":
        """Make an attestation from a node's fix; a time or position that the node does not trust gets source NONE."""
        return cls(
            earliest_ns=fix.time.earliest_ns,
            latest_ns=fix.time.latest_ns,
            time_source=fix.time.source if fix.time.trusted else TimeSource.NONE,
            lat_e7=fix.position.lat_e7,
            lon_e7=fix.position.lon_e7,
            radius_mm=fix.position.radius_mm,
            position_source=fix.position.source if fix.position.trusted else PositionSource.NONE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The fields of every payload around its body. A root credential has no `author`; a first record no `previous`."""

    network: str = text(1, 64)
    author: bytes | None = blob(2, 32, optional=True)
    seq: int = uint(3)
    previous: bytes | None = blob(4, 32, optional=True)
    attestation: Attestation = nested(5, Attestation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record whose signature, schema and values are valid. Its author's entitlement is checked elsewhere."""

    raw: bytes
    digest: bytes
    typ: str
    kid: bytes
    claims: dict[int, Any] | None
    frame: Frame
    body: Any

    @property
    def row(self) -> RecordType:
        """The record's type, with the properties of that type."""
        return RECORDS[self.typ]

    @property
    def sid(self) -> bytes | None:
        """The id of the settlement that the record belongs to, where its type has one."""
        return getattr(self.body, "sid", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """A record whose bytes are well formed; `author` is only a claim until `prove` succeeds."""

    message: cose.Unverified
    typ: str
    kid: bytes
    network: str
    author: bytes | None
    payload: dict[int, Any]

    @property
    def row(self) -> RecordType:
        """The record's type, with the properties of that type."""
        return RECORDS[self.typ]

    @property
    def schema(self) -> type[Any]:
        """The class of its body, which has not been parsed yet."""
        return self.row.body

    def prove(self, public: bytes, network: str, *, verify: Verify = keys.verify) -> Record | Refusal:
        """Check signature and domain with the author's key, then the schema of exactly the signed bytes."""
        refusal = cose.check(self.message, public, aad(network), verify=verify)
        if refusal is not None:
            if refusal.reason is Reason.SIGNATURE and self.network != network:
                return refuse(Reason.DOMAIN, "record.network", self.network, network)
            return refusal
        if self.network != network:
            return refuse(Reason.DOMAIN, "record.network", self.network, network)
        return self.opened()

    def opened(self) -> Record | Refusal:
        """Parse the body by the schema of its type, without checking any signature."""
        shared = _SHARED.get()
        if shared is None:
            return self._opened()
        known = shared.opened.get(self.message.raw)
        if known is not None:
            return known
        if isinstance(read := self._opened(), Record):
            _keep(shared.opened, self.message.raw, read)
        return read

    def _opened(self) -> Record | Refusal:
        try:
            around = self.payload.copy()
            inner = around.pop(_BODY_KEY, None)
            frame = codec.from_map(Frame, around, self.typ)
            body = codec.from_map(self.row.body, inner, self.typ)
        except RefusedError as exc:
            return exc.refusal
        if frame.attestation.earliest_ns > frame.attestation.latest_ns:
            return refuse(Reason.MALFORMED, "record.attestation", "earliest after latest", "earliest <= latest")
        meant = meaning.flaw(self.row, body, frame.attestation)
        if meant is not None:
            return meant
        raw = self.message.raw
        return Record(
            raw=raw,
            digest=digest(raw),
            typ=self.typ,
            kid=self.kid,
            claims=self.message.header.claims,
            frame=frame,
            body=body,
        )


@dataclass(frozen=True, slots=True)
class _Shared:
    """Cache of parsed and opened records, by their bytes, at most SHARED_MAX of each; refused bytes are not in it."""

    parsed: dict[bytes, Unproven] = field(default_factory=dict)
    opened: dict[bytes, Record] = field(default_factory=dict)


_SHARED: ContextVar[_Shared | None] = ContextVar("shared", default=None)


def _keep(known: dict[bytes, Any], raw: bytes, value: Unproven | Record) -> None:
    if len(known) >= SHARED_MAX:
        del known[next(iter(known))]
    known[raw] = value


@contextmanager
def read_once() -> Iterator[None]:
    """While this context lasts equal bytes are parsed and opened once: for a process that simulates many parties.

    A node does not use it: it meets each record once. Each party still checks every signature.
    """
    before = _SHARED.set(_Shared())
    try:
        yield
    finally:
        _SHARED.reset(before)


def reopened(raw: bytes) -> Record:
    """Return a record from bytes that this process has proven before and stored where nobody else can change them.

    Nothing is checked again. Raises RefusedError for bytes that never were a record.
    """
    protected, payload, _ = cose.split(raw)
    header, fields = cose.read_header(protected), cbor2.loads(payload)
    typ = (header.typ or "")[len(TYPE_PREFIX) :]
    inner = fields.pop(_BODY_KEY)
    return Record(
        raw=raw,
        digest=digest(raw),
        typ=typ,
        kid=header.kid or b"",
        claims=header.claims,
        frame=codec.from_map(Frame, fields, typ),
        body=codec.from_map(RECORDS[typ].body, inner, typ),
    )


def parse(data: bytes) -> Unproven | Refusal:
    """Parse bytes into a well-formed, unproven record: header and payload as in docs/protocol.md."""
    shared = _SHARED.get()
    if shared is None:
        return _parse(data)
    known = shared.parsed.get(data)
    if known is not None:
        return known
    if isinstance(read := _parse(data), Unproven):
        _keep(shared.parsed, data, read)
    return read


def _parse(data: bytes) -> Unproven | Refusal:
    message = cose.parse(data)
    if isinstance(message, Refusal):
        return message
    typ, kid = message.header.typ, message.header.kid
    if kid is None or typ is None:
        return refuse(Reason.HEADER, "record.header", "kid or typ absent", "both")
    if not typ.startswith(TYPE_PREFIX) or typ[len(TYPE_PREFIX) :] not in RECORDS:
        return refuse(Reason.TYPE, "record.typ", typ, "a known record type")
    name = typ[len(TYPE_PREFIX) :]
    if (message.header.claims is not None) != (RECORDS[name].becomes is Becomes.SUBJECT):
        return refuse(Reason.HEADER, "record.claims", name, "CWT claims on credentials and nowhere else")
    refusal = scan(message.payload)
    if refusal is not None:
        return refusal
    payload = cbor2.loads(message.payload)
    if not isinstance(payload, dict):
        return refuse(Reason.MALFORMED, "record.payload", type(payload).__name__, "a map")
    network, author = payload.get(1), payload.get(2)
    if not isinstance(network, str) or not isinstance(author, bytes | None):
        return refuse(Reason.MALFORMED, "record.frame", "network or author", "text and bytes")
    return Unproven(message=message, typ=name, kid=kid, network=network, author=author, payload=payload)


def sign_record(key: SigningKey, frame: Frame, body: Any, *, claims: dict[int, Any] | None = None) -> bytes:
    """Sign one record; equal arguments give equal bytes. Raises RefusedError for a record that nobody would accept."""
    typ = TYPE_OF[type(body)]
    payload = {**codec.to_map(frame), _BODY_KEY: codec.to_map(body)}
    fields: dict[int, object] = {cose.KID: key.kid, cose.TYP: TYPE_PREFIX + typ}
    if claims is not None:
        fields[cose.CWT_CLAIMS] = claims
    raw = cose.sign(key, codec.dumped(payload), aad(frame.network), fields)
    if len(raw) > MAX_RECORD_BYTES:
        raise RefusedError(refuse(Reason.TOO_LARGE, "cose.size", f"{len(raw)} bytes", f"<= {MAX_RECORD_BYTES} bytes"))
    return raw


def make_record(key: SigningKey, frame: Frame, body: Any) -> Record:
    """Sign one record and return it as proven: bytes and body come from one object.

    Raises RefusedError for a record that nobody would accept.
    """
    if frame.attestation.earliest_ns > frame.attestation.latest_ns:
        raise RefusedError(
            refuse(Reason.MALFORMED, "record.attestation", "earliest after latest", "earliest <= latest")
        )
    raw = sign_record(key, frame, body)
    typ = TYPE_OF[type(body)]
    return Record(raw=raw, digest=digest(raw), typ=typ, kid=key.kid, claims=None, frame=frame, body=body)
