"""A bundle for the public (JSON): names, exact places and all free text are left out, and the proofs still hold.

Of each log the bundle has the owner's signed head and the hash of every entry, so that anyone can compute the root
again. Of each settlement it has band, time, class and EIRP, the parties by pseudonym, the place rounded to a tenth of a
degree, and the numbers of its entries in the log. Whoever holds an entry, a party or the regulator, can show that it
has the hash at that number. A pseudonym is an HMAC of the party's credential under a secret, which whoever makes the
bundle keeps or deletes.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any

from settlement.chain import merkle
from settlement.chain.bodies import Grant
from settlement.chain.checkpoint import Head, open_note
from settlement.chain.prunedleaf import entry_hash
from settlement.chain.records import Record
from settlement.chain.scope import Area
from settlement.core.reasons import Reason, Refusal, refuse

FORM = "bandpact/public/1"
COARSE_E7 = 1_000_000
COARSE_NS = 1_000_000_000


def pseudonym(secret: bytes, party: bytes) -> str:
    """Return a name of 16 hex digits for a party; only whoever has the secret can link it to the party's credential."""
    return hmac.new(secret, party, hashlib.sha256).hexdigest()[:16]


def _coarse(area: Area) -> dict[str, float]:
    """Return the centre of a circle, or the first corner of an outline, in degrees rounded to a tenth of a degree."""
    corner = area.outline[0] if area.outline else None
    lat_e7 = corner.lat_e7 if corner else area.lat_e7 or 0
    lon_e7 = corner.lon_e7 if corner else area.lon_e7 or 0
    lat, lon = (round(value / COARSE_E7) * COARSE_E7 / 1e7 for value in (lat_e7, lon_e7))
    return {"lat_deg": lat, "lon_deg": lon, "within_deg": COARSE_E7 / 1e7}


def settlement(sid: bytes, grant: Record, entries: dict[str, list[int]], secret: bytes) -> dict[str, Any]:
    """Return the public fields of a settlement.

    Args: entries: the numbers of the settlement's entries in the log, by record type. secret: for the pseudonyms.
    """
    said: Grant = grant.body
    window = said.cell.window
    return {
        "settlement": pseudonym(secret, sid),
        "holder": pseudonym(secret, grant.frame.author or b""),
        "user": pseudonym(secret, said.user),
        "band_hz": [said.cell.band.low_hz, said.cell.band.high_hz],
        "from_s": window.start_ns // COARSE_NS,
        "to_s": -(-window.end_ns // COARSE_NS),
        "place": _coarse(said.cell.area),
        "max_eirp_dbm": said.max_eirp_mdbm / 1000,
        "commodity": said.commodity,
        "entries": entries,
    }


def document(network: str, logs: Sequence[dict[str, Any]]) -> str:
    """Return the text of the bundle; `logs` are values of `log`."""
    return json.dumps({"form": FORM, "network": network, "logs": list(logs)}, indent=1) + "\n"


def log(note: str, bodies: Sequence[bytes], settlements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one log of the bundle.

    Args: note: the log's signed checkpoint. bodies: the entries, in order. settlements: values of `settlement`.
    """
    leaves = [entry_hash(body).hex() for body in bodies]
    return {"checkpoint": note, "leaves": leaves, "settlements": list(settlements)}


def check(text: str, key_of: Callable[[str], bytes | None]) -> list[Head] | Refusal:
    """Check that the leaf hashes of each log give its signed root; return the heads, or the first refusal.

    Args: key_of: returns the Ed25519 public key of a log by its origin (the first line of the checkpoint), None where
    the log is not known.
    """
    try:
        found = json.loads(text)
        logs = [(str(one["checkpoint"]), [bytes.fromhex(leaf) for leaf in one["leaves"]]) for one in found["logs"]]
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        return refuse(Reason.MALFORMED, "public.form", type(exc).__name__, FORM)
    if found.get("form") != FORM:
        return refuse(Reason.MALFORMED, "public.form", found.get("form"), FORM)
    heads = []
    for note, leaves in logs:
        public = key_of(note.partition("\n")[0])
        head = open_note(note, public) if public is not None else None
        if head is None or isinstance(head, Refusal):
            return head or refuse(Reason.KEY, "public.origin", note.partition("\n")[0], "a log whose key is known")
        frontier = merkle.NO_LEAVES
        for index, leaf in enumerate(leaves):
            frontier, _ = merkle.grown(frontier, index, leaf)
        if head.size != len(leaves) or merkle.fold(frontier) != head.root:
            return refuse(Reason.ENTRY_MISMATCH, "public.root", merkle.fold(frontier).hex(), head.root.hex())
        heads.append(head)
    return heads
