"""Finds the key that must have sealed an archive: the authority's, proven from the root that the reader trusts."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.config.keyfiles import chain_in
from agent.config.settings import ConfigError
from agent.kit.archive import KitRefused, Manifest
from agent.kit.invitations import CHAIN
from settlement.chain.credentials import ISSUE, Registry, Subject

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
Trusted = Callable[[Manifest, Mapping[str, bytes]], bytes]


def fingerprint(text: str) -> str:
    """Return a root's fingerprint as people copy it, in capitals or with spaces, as archives have it.

    Raises ConfigError for what is none.
    """
    said = "".join(text.split()).lower()
    if not _FINGERPRINT.fullmatch(said):
        raise ConfigError(f"--anchor {text!r:.80}: no root's fingerprint; give all 64 hexadecimal digits of the anchor")
    return said


def by_authority(path: Path, *, anchor: str | None = None, trial: str | None = None) -> Trusted:
    """Return the key of the authority whose chain an archive holds, once the chain leads to the anchor.

    Args: anchor, trial: their required values, where known already; others are refused with a clear message.
    """

    def key_of(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
        if anchor is not None and manifest.anchor != anchor:
            known = f"anchor {manifest.anchor[:12]}…, and {anchor[:12]}… is trusted here"
            raise KitRefused(f"{path}: WRONG_AUTHORITY: {known}; ask your coordinator for the right archive")
        if trial is not None and manifest.trial != trial:
            raise KitRefused(
                f"{path}: OTHER_TRIAL: it belongs to another trial of {manifest.network!r}; ask for this trial's"
            )
        registry = Registry(manifest.network, [bytes.fromhex(manifest.anchor)])
        found = registry.admit_chain(chain_in(files.get(CHAIN, b""), path))
        if not isinstance(found, Subject):
            raise KitRefused(f"{path}: WRONG_AUTHORITY: its authority does not lead to its anchor: {found}")
        if ISSUE not in found.scope.actions:
            raise KitRefused(f"{path}: WRONG_AUTHORITY: {found.name} may not issue; ask your coordinator again")
        return found.public

    return key_of
