"""Has a stock witness (C2SP tlog-witness) cosign the signed head of a finished log; keeps its lines beside the log."""

from collections.abc import Sequence
from pathlib import Path

from agent.audit.lineages import AuditError
from agent.audit.proofs import FinishedLog, lines_path, logs, reader
from agent.witness.client import WitnessAnswer, ask
from hw_profiles.wholefile import write_whole
from settlement.chain import merkle
from settlement.chain.checkpoint import Head, open_note
from settlement.core.reasons import Refusal
from settlement.formats.tlogwitness import AddCheckpoint
from settlement.formats.vkey import LOG, VerifierKey, read_key


def cosigned(
    path: Path, url: str, trusted: Sequence[str], *, anchors: Sequence[str] | None, network: str | None
) -> tuple[Path, list[str]]:
    """Ask the witness and store its lines; returns their file and the signers' names. Raises AuditError."""
    keys = [_witness(text) for text in trusted]
    found = logs(path, anchors=anchors, network=network)
    if path.is_dir() or len(found) != 1:
        raise AuditError(f"{path}: name one sealed lineage, as in {path}/holder.db")
    log = found[0]
    head = open_note(log.note, log.public)
    if isinstance(head, Refusal):
        raise AuditError(f"{path}: {head}")
    outcome = _asked(log, head, url, keys)
    if not outcome.lines:
        raise AuditError(f"{url}: no cosignature: {outcome.why}")
    kept = [*log.cosigned, *(line.rstrip("\n") for line in outcome.lines)]
    try:
        write_whole(lines_path(path), ("\n".join(dict.fromkeys(kept)) + "\n").encode())
    except OSError as exc:
        raise AuditError(f"{exc.filename}: {exc.strerror}") from exc
    return lines_path(path), [line.split(" ")[1] for line in outcome.lines]


def _witness(text: str) -> VerifierKey:
    key = read_key(text)
    if isinstance(key, Refusal) or key.kind == LOG:
        raise AuditError(f"--key: {key if isinstance(key, Refusal) else 'the key of a log, not of a witness'}")
    return key


def _asked(log: FinishedLog, head: Head, url: str, keys: Sequence[VerifierKey]) -> WitnessAnswer:
    """Ask from size 0, and once more from the size that the witness says it knows."""
    first = ask(url, AddCheckpoint(old=0, proof=(), note=log.note), head, keys)
    if first.knows is None or not 0 < first.knows <= head.size:
        return first
    proof = merkle.consistency_proof(first.knows, head.size, reader(log.entries))
    return ask(url, AddCheckpoint(old=first.knows, proof=proof, note=log.note), head, keys)
