"""Audit bundles: whole lineages in one file that verifies on another machine with the trust anchors alone.

    (1) well formed, in the one accepted form     (2) made for this network
    (3) the entries of each lineage hash to the root that its owner signed, and nothing is left over
    (4) every check of the audit on each lineage, and of all lineages against each other

Nothing in a bundle is outside a hash or a signature, so that no changed bit of it verifies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from settlement.audit import audit_entries, last_head, raw_entries
from settlement.chain.codec import array, blob, decode, encode, text
from settlement.chain.leaf import LEAF_LIMIT
from settlement.crosscheck import cross_check
from settlement.findings import Audited, Findings
from settlement.reasons import Reason, Refusal, refuse

BUNDLE_LIMIT = 256 * 1024 * 1024
ENTRIES_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledLog:
    """One lineage: its name, its owner's signed head, and every entry in order."""

    origin: str = text(1, 256)
    checkpoint: str = text(2, 4096)
    entries: tuple[bytes, ...] = array(3, blob(0, LEAF_LIMIT, least=1), ENTRIES_MAX, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Several lineages of one network."""

    network: str = text(1, 64)
    logs: tuple[BundledLog, ...] = array(2, BundledLog, 256, low=1)


def make_bundle(paths: Iterable[Path], *, network: str) -> bytes | Refusal:
    """Pack lineages; each must have been closed with a signed head over all its entries."""
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
    """What came of a bundle."""

    logs: tuple[Audited, ...]
    crossed: Findings

    @property
    def ok(self) -> bool:
        """Nothing wrong anywhere."""
        return not self.crossed.problems and all(log.ok for log in self.logs)


def bundled(data: bytes) -> tuple[BundledLog, ...] | Refusal:
    """The lineages in a bundle as they stand, nothing verified but the form."""
    bundle = decode(Bundle, data, "bundle", limit=BUNDLE_LIMIT)
    return bundle if isinstance(bundle, Refusal) else bundle.logs


def verify_bundle(data: bytes, *, network: str, anchors: Iterable[bytes]) -> AuditedBundle | Refusal:
    """Checks (1) to (4)."""
    trusted = list(anchors)
    bundle = decode(Bundle, data, "bundle", limit=BUNDLE_LIMIT)  # (1)
    if isinstance(bundle, Refusal):
        return bundle
    if bundle.network != network:  # (2)
        return refuse(Reason.DOMAIN, "bundle.network", bundle.network, network)
    logs = tuple(  # (3) and (4)
        audit_entries(log.entries, origin=log.origin, note=log.checkpoint, network=network, anchors=trusted)
        for log in bundle.logs
    )
    return AuditedBundle(logs=logs, crossed=cross_check(list(logs)))
