"""Proofs of one settlement for third parties: C2SP tlog-proofs and COSE receipts, made from a log and checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.audit.lineages import BUNDLE, AuditError, lineages, read_bundle, trust
from settlement.audit.bundle import bundled
from settlement.audit.seal import root_path
from settlement.audit.verify import last_head, leaves, raw_entries
from settlement.chain import merkle
from settlement.chain.bodies import Confirm, Cosignature, Credential, Grant
from settlement.chain.checkpoint import Head, open_note, origin_of
from settlement.chain.credentials import Registry
from settlement.chain.leaf import OWN, Leaf, decode_leaf
from settlement.chain.lineage import LineageError
from settlement.chain.prunedleaf import entry_hash
from settlement.chain.records import Record, Unproven, parse
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.formats import public as redacted
from settlement.formats import receipt, tlogproof
from settlement.formats.tlogwitness import lines_of
from settlement.formats.vkey import COSIGNER_MLDSA, LOG, VerifierKey, read_key

FILE_MAX = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedLog:
    """One finished log: its name, its owner's key, signed head and signed root, and every entry in order."""

    origin: str
    public: bytes
    note: str
    entries: Sequence[bytes]
    signed_root: bytes | None
    cosigned: tuple[str, ...] = ()
    """Signature lines of stock witnesses for `note`, which `bandpact witness ask` left beside the log."""

    @property
    def key(self) -> VerifierKey:
        """The verifier key by which stock witnesses and tools know the log."""
        return VerifierKey(name=self.origin, kind=LOG, public=self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The CONFIRM of a settlement in a log: the whole settlement id and the entry's number."""

    log: FinishedLog
    sid: bytes
    index: int

    @property
    def entry(self) -> bytes:
        """The bytes of the entry."""
        return self.log.entries[self.index]


def _signer(origin: str, entries: Sequence[bytes], network: str, anchors: list[bytes]) -> bytes | None:
    """Return the public key of a log's owner, from a credential in the log that leads to an anchor, or None."""
    registry = Registry(network, anchors)
    for leaf in leaves(entries):
        unproven = parse(leaf.record) if leaf.record is not None else None
        if leaf.record is not None and isinstance(unproven, Unproven) and unproven.schema is Credential:
            registry.admit(leaf.record)
    return next((one.public for one in registry.subjects() if origin_of(network, one.public) == origin), None)


def lines_path(path: Path) -> Path:
    """Return the path of the stock witnesses' lines for a lineage's signed head."""
    return path.with_suffix(".cosigned")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    note: str
    entries: Sequence[bytes]
    signed_root: bytes | None = None
    cosigned: tuple[str, ...] = ()


def _raw_logs(path: Path) -> Iterator[_Raw]:
    """Yield each log in its stored form. Raises AuditError."""
    if path.is_file() and path.suffix == BUNDLE:
        found = bundled(read_bundle(path))
        if isinstance(found, Refusal):
            raise AuditError(f"{path}: not a whole bundle ({found})")
        yield from (_Raw(note=log.checkpoint, entries=log.entries) for log in found)
        return
    for one in lineages(path):
        try:
            head, entries = last_head(one), list(raw_entries(one))
        except LineageError as exc:
            raise AuditError(str(exc)) from exc
        root, lines = root_path(one), lines_path(one)
        if head is not None:
            yield _Raw(
                note=head[1],
                entries=entries,
                signed_root=root.read_bytes() if root.is_file() else None,
                cosigned=tuple(lines.read_text(errors="replace").splitlines()) if lines.is_file() else (),
            )


def logs(path: Path, *, anchors: Sequence[str] | None, network: str | None) -> list[FinishedLog]:
    """Return the logs at `path` whose owner's credential leads to an anchor. Raises AuditError."""
    name, trusted = trust(path, anchors, network)
    found = []
    for raw in _raw_logs(path):
        origin = raw.note.partition("\n")[0]
        public = _signer(origin, raw.entries, name, trusted)
        if public is not None:
            found.append(
                FinishedLog(
                    origin=origin,
                    public=public,
                    note=raw.note,
                    entries=raw.entries,
                    signed_root=raw.signed_root,
                    cosigned=raw.cosigned,
                )
            )
    if not found:
        raise AuditError(f"{path}: no log with a signed head by an owner whom the anchor vouches for; try audit verify")
    return found


def _record(body: bytes) -> tuple[Leaf, Record] | None:
    """Decode an admitted entry and its record, without verifying its signature: `audit verify` does that."""
    leaf = decode_leaf(body)
    if not isinstance(leaf, Leaf) or not leaf.admitted or leaf.record is None:
        return None
    unproven = parse(leaf.record)
    if not isinstance(unproven, Unproven):
        return None
    record = unproven.opened()
    return None if isinstance(record, Refusal) else (leaf, record)


def find(found: Sequence[FinishedLog], sid: str) -> Found:
    """Find the CONFIRM of the settlement whose id begins with `sid`, preferring its holder's own log.

    Raises AuditError when there is none, or more than one.
    """
    hits = [
        Found(log=log, sid=record.body.sid, index=index)
        for log in found
        for index, body in enumerate(log.entries)
        if b"bandpact/confirm" in body
        and (pair := _record(body)) is not None
        and isinstance((record := pair[1]).body, Confirm)
        and record.body.sid.hex().startswith(sid.lower())
    ]
    if not hits:
        raise AuditError(f"no CONFIRM of a settlement {sid}… here; `bandpact lease list` shows the settlements")
    if len({hit.sid for hit in hits}) > 1:
        raise AuditError(f"{sid}… begins {len({hit.sid for hit in hits})} settlements; give more of its id")
    own = [hit for hit in hits if (pair := _record(hit.entry)) is not None and pair[0].origin == OWN]
    return (own or hits)[0]


def reader(entries: Sequence[bytes]) -> merkle.NodeReader:
    """Return a reader of a log's complete subtrees by (level, index)."""
    levels = [[entry_hash(entry) for entry in entries]]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([merkle.node_hash(row[n], row[n + 1]) for n in range(0, len(row) - 1, 2)])
    return lambda level, index: levels[level][index]


def _heads(log: FinishedLog, least: int) -> Iterator[tuple[int, str]]:
    """Yield a log's signed heads that cover `least` entries, as number of cosignatures and note."""
    lines: dict[str, list[str]] = {log.note: list(log.cosigned)}
    for body in log.entries:
        pair = _record(body) if b"bandpact/cosignature" in body else None
        said = pair[1].body if pair is not None else None
        if isinstance(said, Cosignature) and said.note.startswith(f"{log.origin}\n"):
            lines.setdefault(said.note, []).append(said.line)
    for note, more in lines.items():
        head = open_note(note, log.public)
        if isinstance(head, Head) and least <= head.size <= len(log.entries):
            yield len(set(more)), note + "".join(sorted({line.rstrip("\n") + "\n" for line in more}))


def proof_of(found: Found) -> str:
    """Return the tlog-proof of a settlement, under the newest of the heads with the most cosignatures."""
    log = found.log
    heads = [(count, _size(note), note) for count, note in _heads(log, found.index + 1)]
    if not heads:
        raise AuditError(f"{log.origin}: no signed head that covers entry {found.index}")
    _, size, note = max(heads)
    path = merkle.inclusion_proof(found.index, size, reader(log.entries))
    proof = tlogproof.TlogProof(index=found.index, path=path, note=note, entry=found.entry)
    checked = tlogproof.check(proof, found.entry, log.public)
    if isinstance(checked, Refusal):
        raise AuditError(f"{log.origin}: the entries are not those that were signed ({checked})")
    return proof.text()


def _size(note: str) -> int:
    return int(note.split("\n")[1])


def receipt_of(found: Found) -> bytes:
    """Return the COSE receipt of a settlement. Raises AuditError where the owner left no signed root."""
    log = found.log
    if log.signed_root is None:
        raise AuditError(f"{log.origin}: no signed root beside the log (NAME.root); a node leaves it when it stops")
    size = len(log.entries)
    path = merkle.inclusion_proof(found.index, size, reader(log.entries))
    made = receipt.receipt(log.signed_root, size=size, index=found.index, path=path)
    if isinstance(made, Refusal):
        raise AuditError(f"{log.origin}: what lies beside the log is no signed root ({made})")
    checked = receipt.check(made, found.entry, origin=log.origin, public=log.public)
    if isinstance(checked, Refusal):
        raise AuditError(f"{log.origin}: the signed root is not that of these entries ({checked})")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Content of a proof file that holds: the log, its size, the entry's number, and the entry's description."""

    origin: str
    size: int
    index: int
    entry: str


def _named(entry: bytes) -> str:
    pair = _record(entry)
    if pair is None:
        return "an entry that holds no admitted record"
    sid = f" of settlement {pair[1].sid.hex()}" if pair[1].sid is not None else ""
    return f"{pair[1].typ}{sid}, record {pair[1].digest.hex()}"


def check(data: bytes, entry: bytes | None, found: Sequence[FinishedLog]) -> Checked | Refusal:
    """Check a proof file against the log it names. Raises AuditError where that log is not at hand."""
    if data.startswith(tlogproof.FIRST.encode()):
        return _check_proof(data, entry, found)
    if entry is None:
        raise AuditError("a receipt does not hold its entry; give --entry FILE, as `audit export` wrote it")
    refusal: Refusal | None = None
    for log in found:
        said = receipt.check(data, entry, origin=log.origin, public=log.public)
        if isinstance(said, receipt.Received):
            return Checked(origin=said.origin, size=said.size, index=said.index, entry=_named(entry))
        refusal = said if refusal is None or refusal.reason is Reason.HEADER else refusal
    return refusal or refuse(Reason.HEADER, "receipt.protected", "no log", "the header of a log that is here")


def demanded(texts: Sequence[str]) -> list[VerifierKey]:
    """Parse the keys of witnesses that must have cosigned. Raises AuditError."""
    keys = []
    for text in texts:
        key = read_key(text)
        if isinstance(key, Refusal) or key.kind == LOG:
            raise AuditError(f"--demand: {key if isinstance(key, Refusal) else 'the key of a log, not of a witness'}")
        keys.append(key)
    return keys


def _cosigned(data: bytes, head_of: Sequence[FinishedLog], keys: Sequence[VerifierKey]) -> list[str] | Refusal:
    """Return the required witnesses that cosigned a tlog-proof's head; refuses (UNWITNESSED) where one did not."""
    proof = tlogproof.read(data.decode(errors="replace"))
    if isinstance(proof, Refusal):
        return refuse(Reason.UNWITNESSED, "tlog-proof.demand", "no tlog-proof", ", ".join(key.name for key in keys))
    log = next(one for one in head_of if one.origin == proof.note.partition("\n")[0])
    head = open_note(proof.note, log.public)
    if isinstance(head, Refusal):
        return head
    lines = lines_of(proof.note.partition("\n\n")[2], proof.note, head, keys)
    lacking = next((key for key in keys if key not in lines), None)
    if lacking is not None:
        return refuse(Reason.UNWITNESSED, "tlog-proof.demand", "no line", f"one by {lacking.name}, kind {lacking.kind}")
    return [f"cosigned by {key.name}, {'ML-DSA-44' if key.kind == COSIGNER_MLDSA else 'Ed25519'}" for key in lines]


def check_file(
    file: Path, entry: Path | None, found: Sequence[FinishedLog], keys: Sequence[VerifierKey] = ()
) -> list[str] | Refusal:
    """Check a tlog-proof, a receipt or a public bundle; returns a line for each thing that holds.

    Raises AuditError, OSError.
    """
    with file.open("rb") as opened:
        data = opened.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        return refuse(Reason.TOO_LARGE, "proof.size", f"more than {FILE_MAX} bytes", f"<= {FILE_MAX} bytes")
    if data.lstrip().startswith(b"{"):
        public_keys = {log.origin: log.public for log in found}
        heads = redacted.check(data.decode(errors="replace"), public_keys.get)
        if isinstance(heads, Refusal):
            return heads
        return [f"{head.origin} at {head.size} entries, root {head.root.hex()}" for head in heads]
    said = check(data, entry.read_bytes() if entry is not None else None, found)
    if isinstance(said, Refusal):
        return said
    cosigned = _cosigned(data, found, keys) if keys else []
    if isinstance(cosigned, Refusal):
        return cosigned
    return [f"entry {said.index} of {said.origin} at {said.size} entries: {said.entry}", *cosigned]


def _check_proof(data: bytes, entry: bytes | None, found: Sequence[FinishedLog]) -> Checked | Refusal:
    try:
        proof = tlogproof.read(data.decode())
    except UnicodeDecodeError:
        return refuse(Reason.MALFORMED, "tlog-proof.form", "not UTF-8", tlogproof.FIRST)
    if isinstance(proof, Refusal):
        return proof
    origin = proof.note.partition("\n")[0]
    log = next((one for one in found if one.origin == origin), None)
    if log is None:
        return refuse(Reason.KEY, "tlog-proof.origin", origin, [one.origin for one in found])
    held = entry if entry is not None else proof.entry
    if held is None:
        raise AuditError("this proof does not hold its entry; give --entry FILE")
    head = tlogproof.check(proof, held, log.public)
    if isinstance(head, Refusal):
        return head
    return Checked(origin=origin, size=head.size, index=proof.index, entry=_named(held))


def public(found: Sequence[FinishedLog], network: str, secret: bytes) -> str:
    """Return the public bundle of these logs: no names, places to a tenth of a degree, every hash."""
    return redacted.document(network, [_redacted(log, secret) for log in found])


def _redacted(log: FinishedLog, secret: bytes) -> dict[str, Any]:
    grants: dict[bytes, Record] = {}
    entries: dict[bytes, dict[str, list[int]]] = {}
    for index, body in enumerate(log.entries):
        pair = _record(body)
        record = pair[1] if pair is not None else None
        if record is None or record.sid is None:
            continue
        entries.setdefault(record.sid, {}).setdefault(record.typ, []).append(index)
        if isinstance(record.body, Grant):
            grants[record.sid] = record
    rows = [redacted.settlement(sid, grant, entries[sid], secret) for sid, grant in grants.items()]
    return redacted.log(log.note, log.entries, rows)
