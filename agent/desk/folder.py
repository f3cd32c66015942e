"""An authority's desk: a folder with its key, its credential, and all it has signed, one file after another.

sign.key          the secret, 0600, encrypted where a passphrase was given; never overwritten
credential.chain  its own credential, root first
signed.chain      every record it signed, in order; each names the one before

Long because whatever reads or writes the folder keeps one order of files, which is seen only side by side.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.config.keyfiles import (
    CHAIN,
    NEXT,
    SIGN,
    chain_file,
    former_chain,
    load_chain,
    made_folder,
    make_next_key,
    read_key,
    secret_file,
    take_over,
    text_file,
    write_chain,
    write_files,
)
from agent.config.settings import ConfigError
from agent.desk.requests import request_text
from hw_profiles.smallfile import read_small, read_small_text
from hw_profiles.wholefile import WholeFile
from settlement.chain import bodies, records
from settlement.chain.admission import prove
from settlement.chain.credentials import ISSUE, Claims, Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.names import alike, name_flaw, names_flaw
from settlement.chain.rotation import judge_rotation, rotation_of
from settlement.chain.scope import Scope
from settlement.chain.status import bits_of, is_set
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Refusal, RefusedError

SIGNED, NETWORK, REQUEST = "signed.chain", "network.txt", "authority.request"
NS = 1_000_000_000
LIST_BITS = 1024
ANCHOR_DIGITS = 64
CLOCK_BOUND_NS = NS
RULE = "rule"
AUTHORITY_ACTIONS = (ISSUE, RULE, "offer", "grant", "request", "coordinate", "observe", "audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskPlace:
    """The desk's position, for its signed records."""

    lat_e7: int
    lon_e7: int


def _fix(place: DeskPlace) -> Fix:
    """Return time and place for a record; a desk's clock is undisciplined, so its bound is one second."""
    now_ns = time.time_ns()
    clock = TimeFix(
        earliest_ns=now_ns - CLOCK_BOUND_NS, latest_ns=now_ns + CLOCK_BOUND_NS, source=TimeSource.KERNEL, trusted=True
    )
    position = PositionFix(
        lat_e7=place.lat_e7, lon_e7=place.lon_e7, radius_mm=1_000_000, source=PositionSource.SURVEYED, trusted=True
    )
    return Fix(time=clock, position=position)


def _claims(public: bytes, subject: str, issuer: str, days: int) -> Claims:
    now_s = int(time.time())
    return Claims(
        issuer=issuer,
        subject=subject,
        expires_s=now_s + days * 86_400,
        not_before_s=now_s - 60,
        issued_s=now_s,
        token=secrets.token_bytes(8),
        public=public,
    )


def _held(subject: Subject | Refusal, what: str) -> Subject:
    if isinstance(subject, Refusal):
        raise ConfigError(f"{what}: {subject}; ask for less, or mend the file")
    return subject


def init(
    folder: Path, *, name: str, network: str, scope: Scope, days: int, place: DeskPlace, passphrase: str | None
) -> str:
    """Make a root authority in a new folder; returns its anchor. Raises ConfigError."""
    seed = secrets.token_bytes(32)
    key = SigningKey.from_seed(seed)
    body = bodies.Credential(level="authority", scope=scope)
    wrong = names_flaw((name,)) or names_flaw((network,)) or names_flaw(scope.classes)
    if wrong is not None:
        raise ConfigError(wrong)
    try:
        raw = issue(key, None, body, _claims(key.public, name, name, days), network=network, fix=_fix(place))
    except RefusedError as exc:
        raise ConfigError(f"root credential: {exc}; ask for less") from exc
    _held(Registry(network, [records.digest(raw)]).admit(raw), "root credential")
    with made_folder(folder):
        write_files(
            secret_file(folder / SIGN, seed, passphrase),
            chain_file(folder / CHAIN, (raw,)),
            chain_file(folder / SIGNED, (raw,)),
            text_file(folder / NETWORK, network + "\n"),
        )
    return records.digest(raw).hex()


def request(folder: Path, *, network: str, passphrase: str | None, name: str | None = None) -> Path:
    """Make the key of an authority that another is to entitle, and the request for it. Raises ConfigError."""
    seed, wrong = secrets.token_bytes(32), names_flaw((network,))
    if wrong is not None:
        raise ConfigError(wrong)
    with made_folder(folder):
        write_files(
            secret_file(folder / SIGN, seed, passphrase),
            text_file(folder / NETWORK, network + "\n"),
            _ask(folder, SigningKey.from_seed(seed), name),
        )
    return folder / REQUEST


def _ask(folder: Path, key: SigningKey, name: str | None, before: SigningKey | None = None) -> WholeFile:
    return text_file(folder / REQUEST, request_text(key, name=name, before=before))


def enrol(folder: Path, chain: Path, *, anchor: str, passphrase: str | None) -> str:
    """Store the credential that another authority issued for this desk's key. Raises ConfigError."""
    try:
        network = read_small_text(folder / NETWORK).strip()
        registry = Registry(network, [bytes.fromhex(anchor)])
    except OSError as exc:
        raise ConfigError(f"{folder / NETWORK}: {exc.strerror}; run: bandpact authority request") from exc
    except ValueError as exc:
        raise ConfigError(f"--anchor: {exc}; give 64 hexadecimal digits") from exc
    if len(anchor) != ANCHOR_DIGITS:
        raise ConfigError(f"--anchor: {len(anchor)} digits; give all 64 hexadecimal digits")
    me = _held(registry.admit_chain(load_chain(chain)), str(chain))
    if me.public != read_key(folder / SIGN, passphrase).public:
        raise ConfigError(f"{chain}: BINDING: not for the key in {folder}; ask the authority to issue for it")
    if not {ISSUE, RULE} & set(me.scope.actions):
        raise ConfigError(f"{chain}: SCOPE: {me.name} may not issue or rule; ask for an authority's credential")
    if (folder / CHAIN).exists():
        raise ConfigError(f"{folder / CHAIN}: there already; a new key is taken up with: bandpact authority rotate")
    write_chain(folder / CHAIN, me.chain)
    return me.name


Handed = Callable[[bytes], WholeFile]
"""Makes the file that hands out a signed record."""
_Next = tuple[SigningKey, tuple[bytes, ...], tuple[WholeFile, ...]]
"""A next key, its credential chain, and the files still to be written for it."""


class Desk:
    """An open desk: signs credentials, status lists and rotations, and keeps what it signed."""

    def __init__(self, folder: Path, *, place: DeskPlace, passphrase: str | None = None) -> None:
        """Read and check the folder. Raises ConfigError."""
        self.folder, self._place = folder, place
        try:
            self.network = read_small_text(folder / NETWORK).strip()
        except OSError as exc:
            raise ConfigError(f"{folder / NETWORK}: {exc.strerror}; run: bandpact authority init") from exc
        self._key = read_key(folder / SIGN, passphrase)
        chain = load_chain(folder / CHAIN)
        self.registry = Registry(self.network, [records.digest(chain[0])])
        self.me = _held(self.registry.admit_chain(chain), str(folder / CHAIN))
        if self.me.public != self._key.public:
            raise ConfigError(f"{folder / SIGN}: not the key of {self.me.name}; put the right one there")
        self.signed = list(load_chain(folder / SIGNED)) if (folder / SIGNED).exists() or self._root else []
        self._former = self._before()

    def _before(self) -> list[tuple[Subject, tuple[bytes, ...]]]:
        """Return the records signed with earlier keys, each with its signer, oldest first."""
        found = []
        for path in self.folder.glob("signed.*.chain"):
            signed, beside = load_chain(path), self.folder / former_chain(path.name.split(".")[1])
            # Older desks kept a root's credential only as the first record it signed.
            chain = load_chain(beside) if beside.is_file() else signed[:1]
            self.registry.anchors |= {records.digest(chain[0])}
            who = _held(self.registry.admit_chain(chain), str(beside))
            found.append((who, signed))
        return sorted(found, key=lambda pair: _signed_ns(pair[0].chain[-1]))

    @property
    def _root(self) -> bool:
        return self.me.issuer is None

    def _next(self) -> tuple[int, bytes | None]:
        return len(self.signed) + 1, records.digest(self.signed[-1]) if self.signed else None

    def _keep(self, raw: bytes, out: Handed | None = None) -> bytes:
        """Write a signed record, and the file that hands it out: both or neither."""
        handed = [out(raw)] if out is not None else []
        write_files(chain_file(self.folder / SIGNED, (*self.signed, raw)), *handed)
        self.signed.append(raw)
        return raw

    def sign(self, body: object, *, out: Handed | None = None) -> bytes:
        """Sign a record as this authority and write its file. Raises ConfigError."""
        return self._keep(self._signed(body), out)

    def _signed(self, body: object) -> bytes:
        seq, previous = self._next()
        frame = records.Frame(
            network=self.network,
            author=self.me.hash,
            seq=seq,
            previous=previous,
            attestation=records.Attestation.of(_fix(self._place)),
        )
        return records.sign_record(self._key, frame, body)

    def vouch(self, data: bytes) -> bytes:
        """Sign bytes that are no record, such as an archive's manifest; a domain prefix of their own marks them."""
        return self._key.sign(data)

    def credentials(self) -> list[Subject]:
        """Return the credentials that this desk issued with all its keys, in order of status index."""
        raws = [raw for _, signed in self._former for raw in signed] + self.signed
        found = [self.registry.admit(raw) for raw in raws if _is_credential(raw)]
        return [s for s in found if isinstance(s, Subject) and s.issuer is not None]

    def _new(self, name: str, public: bytes, transport: bytes | None, succeeds: Subject | None) -> None:
        """Refuse a key that is used already, and a name that is another node's or resembles one. Raises ConfigError."""
        above = [s for s in (self.registry.get(records.digest(raw)) for raw in self.me.chain) if s is not None]
        others = [*above, *(who for who, _ in self._former), *self.credentials()]
        for other in others:
            if other.public == public:
                raise ConfigError(f"--name {name}: KEY: that key is {other.name}'s already; ask with a key of its own")
            same = succeeds is not None and other.name == name
            if transport is not None and other.transport_key == transport and not same:
                raise ConfigError(f"--name {name}: KEY: that transport key is {other.name}'s already")
            over = other in others[len(above) :] and (self.revoked(other) or other.expires_ns <= time.time_ns())
            if not same and alike(other.name, name) and not (over and other.name == name):
                looks = "is there already" if other.name == name else f"looks like {other.name}, which is there already"
                raise ConfigError(f"--name {name}: {looks}; choose another, or revoke that one first")

    def issue(
        self,
        body: bodies.Credential,
        *,
        public: bytes,
        name: str,
        days: int,
        out: Path | None = None,
        succeeds: Subject | None = None,
    ) -> Subject:
        """Sign a credential with the next status index; `succeeds` is the holder of the old key, for a rotation.

        Never overwrites a file. Raises ConfigError when the credential exceeds the desk's own, or when key or name are
        another's.
        """
        wrong = name_flaw(name)
        if wrong is not None:
            raise ConfigError(f"--name {name!r}: {wrong}")
        self._new(name, public, body.transport_key, succeeds)
        seq, previous = self._next()
        whole = bodies.Credential(
            level=body.level,
            scope=body.scope,
            transport_key=body.transport_key,
            device=body.device,
            status_index=len(self.credentials()),
        )
        claims = _claims(public, name, self.me.name, days)
        fix = _fix(self._place)
        try:
            raw = issue(self._key, self.me, whole, claims, network=self.network, fix=fix, seq=seq, previous=previous)
        except RefusedError as exc:
            raise ConfigError(f"credential of {name}: {exc}; ask for less") from exc
        left = (self.me.expires_ns - time.time_ns()) // (86_400 * NS)
        if days > left:
            raise ConfigError(
                f"--days {days}: SCOPE: this authority's own credential ends in {left} days; ask for less"
            )
        subject = _held(self.registry.examine(raw), f"credential of {name}")
        self._keep(raw, (lambda _: chain_file(out, subject.chain, replace=False)) if out is not None else None)
        self.registry.admit(raw)
        return subject

    def revoke(self, names: Iterable[str], *, fresh_s: int, out: Path | None = None) -> bytes:
        """Sign the next status list, valid for `fresh_s`: all revoked so far, and every credential of these names.

        Raises ConfigError for a name that this desk has not issued.
        """
        wanted, lists = set(names), self._lists()
        issued = self.credentials()
        missing = wanted - {s.name for s in issued}
        if missing:
            raise ConfigError(
                f"{sorted(missing)[0]}: no such name among the credentials of this desk; see: bandpact authority show"
            )
        last = lists[-1] if lists else None
        before = {i for i in range(len(last.bits) * 8) if is_set(last.bits, i)} if last else set[int]()
        now = {s.status_index for s in issued if s.name in wanted and s.status_index is not None}
        body = bodies.Revocation(
            version=last.version + 1 if last else 1,
            fresh_until_ns=time.time_ns() + fresh_s * NS,
            bits=bits_of(before | now, LIST_BITS),
        )
        return self.sign(body, out=(lambda raw: WholeFile(path=out, data=raw)) if out is not None else None)

    def revoked(self, subject: Subject) -> bool:
        """Return whether this desk's newest status list revokes a credential."""
        lists, index = self._lists(), subject.status_index
        return bool(lists) and index is not None and index < len(lists[-1].bits) * 8 and is_set(lists[-1].bits, index)

    def newest_list(self) -> bodies.Revocation | None:
        """The last status list this desk signed."""
        lists = self._lists()
        return lists[-1] if lists else None

    def _lists(self) -> list[bodies.Revocation]:
        found = []
        for who, signed in [*self._former, (self.me, tuple(self.signed))]:
            for raw in signed:
                unproven = records.parse(raw)
                if isinstance(unproven, records.Unproven) and unproven.schema is bodies.Revocation:
                    record = unproven.prove(who.public, self.network)
                    found += [record.body] if isinstance(record, records.Record) else []
        return found

    def rekey(self, passphrase: str | None) -> Path:
        """Make the next key of an authority that is no root, and the request for its issuer. Raises ConfigError."""
        if self._root:
            raise ConfigError(f"{self.me.name} is a root and needs nobody's word; run: bandpact authority rotate")
        make_next_key(self.folder, passphrase, lambda key: [_ask(self.folder, key, self.me.name, self._key)])
        return self.folder / REQUEST

    def hear(self, rotation: Path) -> None:
        """Store the rotation of an authority above. Raises ConfigError."""
        try:
            admitted = prove(read_small(rotation), self.registry)
        except OSError as exc:
            raise ConfigError(f"{rotation}: {exc.strerror}; give what `bandpact authority rotate` wrote") from exc
        if isinstance(admitted, Refusal) or not isinstance(admitted.record.body, bodies.Rotation):
            found = admitted if isinstance(admitted, Refusal) else admitted.record.typ
            raise ConfigError(f"{rotation}: {found}; give what `bandpact authority rotate` wrote")
        successor = judge_rotation(admitted.author, admitted.record.body, self.registry)
        self.registry.rotate(admitted.author, _held(successor, str(rotation)))

    def rotate(
        self, *, days: int, passphrase: str | None, successor: Path | None = None, out: Path | None = None
    ) -> bytes:
        """Rotate to a new key, signed by the old and the new; the old key is kept beside it. Raises ConfigError.

        A root signs its successor itself; any other authority brings the credential its issuer made for its next key.
        """
        old = self.folder / f"{SIGN}.{self._key.kid.hex()}"
        if old.exists():
            raise ConfigError(f"{old}: there already; move it away first")
        new, chain, made = self._next_root(days, passphrase) if self._root else self._next_issued(successor, passphrase)
        body = rotation_of(self.me.hash, chain[-1], new, self.network)
        refusal = judge_rotation(self.me, body, self.registry)
        if isinstance(refusal, Refusal):
            raise ConfigError(f"{successor or self.folder}: {refusal}; ask the issuer to reissue the credential")
        record, kid = self._signed(body), self._key.kid.hex()
        self.signed.append(record)
        write_files(
            *made,
            chain_file(self.folder / f"signed.{kid}.chain", tuple(self.signed)),
            chain_file(self.folder / (CHAIN + NEXT), chain),
            *([WholeFile(path=out, data=record)] if out is not None else []),
            *([chain_file(self.folder / SIGNED, chain)] if self._root else []),
        )
        if not self._root:
            (self.folder / SIGNED).unlink(missing_ok=True)
        take_over(self.folder)
        return record

    def _next_root(self, days: int, passphrase: str | None) -> _Next:
        waiting, seed = self.folder / (SIGN + NEXT), secrets.token_bytes(32)
        there = waiting.exists()
        new = read_key(waiting, passphrase) if there else SigningKey.from_seed(seed)
        made = () if there else (secret_file(waiting, seed, passphrase),)
        body = bodies.Credential(level=self.me.level, scope=self.me.scope)
        claims = _claims(new.public, self.me.name, self.me.name, days)
        return new, (issue(new, None, body, claims, network=self.network, fix=_fix(self._place)),), made

    def _next_issued(self, chain: Path | None, passphrase: str | None) -> _Next:
        waiting = self.folder / (SIGN + NEXT)
        if chain is None or not waiting.is_file():
            raise ConfigError(
                f"{self.me.name}: its issuer must sign its new credential first; run: bandpact authority rekey, have "
                "the issuer reissue it, then give that with --successor"
            )
        return read_key(waiting, passphrase), load_chain(chain), ()


def _signed_ns(raw: bytes) -> int:
    """Return when a credential was signed, by its own statement (UTC ns)."""
    unproven = records.parse(raw)
    attestation = unproven.payload.get(5) if isinstance(unproven, records.Unproven) else None
    return int(attestation.get(1, 0)) if isinstance(attestation, dict) else 0


def _is_credential(raw: bytes) -> bool:
    unproven = records.parse(raw)
    return isinstance(unproven, records.Unproven) and unproven.schema is bodies.Credential
