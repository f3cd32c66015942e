"""Audit bundles: whole logs in one file, which another machine can verify with the trust anchors alone.

    (1) well formed, in the one accepted form     (2) made for this network
    (3) the entries of each log hash to the root that its owner signed, and nothing is left over
    (4) every check of the audit on each log, and the comparison of all logs with each other

Every byte of a bundle is covered by a hash or a signature, so that a bundle with any changed bit does not verify.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from settlement.audit.bundleform import (
    ENTRIES_MAX,
    LOGS_MAX,
    NETWORK_LIMIT,
    NOTE_LIMIT,
    ORIGIN_LIMIT,
    LogInBundle,
    read_form,
)
from settlement.audit.crosscheck import cross_check
from settlement.audit.findings import Audited, Findings
from settlement.audit.verify import audit_entries, last_head, raw_entries
from settlement.chain.codec import array, blob, encode, text
from settlement.chain.leaf import LEAF_LIMIT
from settlement.core.reasons import Reason, Refusal, refuse

BUNDLE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledLog:
    """One log in a bundle: its name, its owner's signed head, and every entry in order."""

    origin: str = text(1, ORIGIN_LIMIT)
    checkpoint: str = text(2, NOTE_LIMIT)
    entries: tuple[bytes, ...] = array(3, blob(0, LEAF_LIMIT, least=1), ENTRIES_MAX, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle: several logs of one network."""

    network: str = text(1, NETWORK_LIMIT)
    logs: tuple[BundledLog, ...] = array(2, BundledLog, LOGS_MAX, low=1)


def make_bundle(paths: Iterable[Path], *, network: str) -> bytes | Refusal:
    """Pack logs into a bundle; each must have been closed with a signed head over all its entries."""
    logs = []
    for path in paths:
        entries, head = tuple(raw_entries(path)), last_head(path)
        if head is None or head[0] != len(entries):
            signed = "no signed head" if head is None else f"a signed head of {head[0]}"
            return refuse(Reason.PROOF, f"bundle.{path.name}", signed, f"a signed head of {len(entries)} entries")
        logs.append(BundledLog(origin=head[1].partition("\n")[0], checkpoint=head[1], entries=entries))
    return encode(Bundle(network=network, logs=tuple(logs)), limit=BUNDLE_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedBundle:
    """The result of verifying a bundle."""

    logs: tuple[Audited, ...]
    crossed: Findings

    @property
    def ok(self) -> bool:
        """Whether no log has a finding."""
        return not self.crossed.problems and all(log.ok for log in self.logs)


def bundled(data: bytes) -> tuple[LogInBundle, ...] | Refusal:
    """Return the logs in a bundle, with only the form verified."""
    form = read_form(data, limit=BUNDLE_LIMIT)
    return form if isinstance(form, Refusal) else form[1]


def verify_bundle(data: bytes, *, network: str, anchors: Iterable[bytes]) -> AuditedBundle | Refusal:
    """Run checks (1) to (4); needs memory of about three times the bundle's size beside the bundle."""
    trusted = list(anchors)
    form = read_form(data, limit=BUNDLE_LIMIT)  # (1)
    if isinstance(form, Refusal):
        return form
    named, logs = form
    if named != network:  # (2)
        return refuse(Reason.DOMAIN, "bundle.network", named, network)
    audited = tuple(  # (3) and (4)
        audit_entries(log.entries, origin=log.origin, note=log.checkpoint, network=network, anchors=trusted)
        for log in logs
    )
    return AuditedBundle(logs=audited, crossed=cross_check(list(audited)))
