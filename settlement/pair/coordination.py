"""Which co-signatures a settlement needs where infrastructure is shared, and which are missing. Pure.

A rule divides what it covers into shards, by sub-band, by area, or not at all. Every shard that a cell touches applies:

    one authority (mode 0)   `need` of the shard's authorities sign, each for itself
    neighbours (mode 1)      no authority: other holders sign, all that this one has heard of in the cell's area, and at
                             least `need`

An authority signs each part of the spectrum once: it refuses what overlaps a cell it has signed for before.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.bodies import Coordination, Grant, Rule, Shard
from settlement.chain.credentials import Subject
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse

AUTHORITY, NEIGHBOURS = 0, 1
HOLDS = "grant"
"""The action whose bearers are holders, and so neighbours that may co-sign where there is no authority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationSigned:
    """A co-signature and its author."""

    author: Subject
    body: Coordination


def shards_of(rule: Rule, cell: Cell) -> tuple[Shard, ...]:
    """Return every shard that a cell touches; a shard without band or area covers everything."""
    return tuple(
        shard
        for shard in rule.coordination or ()
        if (shard.band is None or shard.band.overlaps(cell.band))
        and (shard.area is None or shard.area.overlaps(cell.area))
    )


def may_sign(shard: Shard, author: Subject) -> bool:
    """Whether that author may co-sign in this shard."""
    if shard.mode == AUTHORITY:
        return author.hash in shard.authorities
    return HOLDS in author.scope.actions


def authorities_of(shards: Iterable[Shard]) -> set[bytes]:
    """Return the credentials of all authorities that the rule names for these shards."""
    return {name for shard in shards if shard.mode == AUTHORITY for name in shard.authorities}


def belongs(body: Coordination, grant: Grant, grant_name: bytes, accept_name: bytes) -> Refusal | None:
    """Refuse a co-signature that is not over this GRANT and ACCEPT for the whole window."""
    if (body.sid, body.grant, body.accept) != (grant.sid, grant_name, accept_name):
        return refuse(Reason.TERMS, "coordination.over", body.grant.hex()[:16], grant_name.hex()[:16])
    if body.until_ns < grant.cell.window.end_ns:
        return refuse(Reason.TERMS, "coordination.until", body.until_ns, f">= {grant.cell.window.end_ns} ns")
    return None


def lacking(rule: Rule, cell: Cell, holder: bytes, signed: Iterable[CoordinationSigned]) -> Refusal | None:
    """QUORUM for the first shard with too few co-signatures; no author counts twice, and the holder never counts."""
    held = list(signed)
    for shard in shards_of(rule, cell):
        found = {
            one.author.public
            for one in held
            if shard.name in one.body.shards and one.author.hash != holder and may_sign(shard, one.author)
        }
        if len(found) < shard.need:
            return refuse(Reason.QUORUM, f"coordination.{shard.name}", len(found), f">= {shard.need} co-signatures")
    return None
