"""A bundle for the public: who, exactly where and every word are left out, and the proofs still hold.

JSON. Of each log it has the owner's signed head and the hash of every entry, so that anyone makes the root again; of
each settlement it has what the spectrum was used for, with parties by pseudonym and places coarsened to a tenth of a
degree, and the numbers of its entries. Whoever holds one of the entries, a party or the regulator, can show that it is
the one. A pseudonym is an HMAC of the party's credential under a secret that the maker keeps, or throws away.
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
    """A name for a party that only the holder of the secret can tie to its credential."""
    return hmac.new(secret, party, hashlib.sha256).hexdigest()[:16]


def _coarse(area: Area) -> dict[str, float]:
    """The middle of an area to a tenth of a degree; an outline by its first corner."""
    corner = area.outline[0] if area.outline else None
    lat_e7 = corner.lat_e7 if corner else area.lat_e7 or 0
    lon_e7 = corner.lon_e7 if corner else area.lon_e7 or 0
    lat, lon = (round(value / COARSE_E7) * COARSE_E7 / 1e7 for value in (lat_e7, lon_e7))
    return {"lat_deg": lat, "lon_deg": lon, "within_deg": COARSE_E7 / 1e7}


def settlement(sid: bytes, grant: Record, entries: dict[str, list[int]], secret: bytes) -> dict[str, Any]:
    """What the public learns of a settlement; `entries` are the numbers of its entries by record type."""
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
    """The file's text; each log has its checkpoint, its leaf hashes and its settlements."""
    return json.dumps({"form": FORM, "network": network, "logs": list(logs)}, indent=1) + "\n"


def log(note: str, bodies: Sequence[bytes], settlements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One log of the document."""
    leaves = [entry_hash(body).hex() for body in bodies]
    return {"checkpoint": note, "leaves": leaves, "settlements": list(settlements)}


def check(text: str, key_of: Callable[[str], bytes | None]) -> list[Head] | Refusal:
    """That the hashes of each log make the root that its owner signed; `key_of` gives the key of an origin."""
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
