"""Checks that the holders a desk entitles can never grant one cell twice, by their credentials or by the rule.

Two holders that may grant in one place, at one time, on one frequency need co-signers, so many that any two groups of
signers share a member; each member signs each part of the spectrum only once:

    authorities   more than half of a shard's authorities sign
    neighbours    a holder and those who sign for it are more than half of all holders in the area
"""

import time
from collections.abc import Iterable, Sequence

from agent.desk.folder import Desk
from settlement.chain.bodies import Rule, Shard
from settlement.chain.credentials import ISSUE, Subject
from settlement.chain.scope import Band, Scope
from settlement.pair.coordination import AUTHORITY, HOLDS


def grantors(desk: Desk) -> list[Subject]:
    """Return the newest valid credential of each node that this desk entitled to grant, or to entitle others to."""
    now_ns = time.time_ns()
    newest = {s.name: s for s in desk.credentials()}
    return [s for s in newest.values() if HOLDS in s.scope.actions and s.expires_ns > now_ns and not desk.revoked(s)]


def unshared(scope: Scope, others: Iterable[Subject], rule: Rule | None) -> str | None:
    """Return why a holder of that scope conflicts with the others; None where it does not."""
    if HOLDS not in scope.actions:
        return None
    near = [other for other in others if other.scope.area.overlaps(scope.area)]
    for other in near:
        pairs = [(mine, theirs) for mine in scope.bands for theirs in other.scope.bands if mine.overlaps(theirs)]
        for mine, theirs in pairs:
            band = _common(mine, theirs)
            lack = _lack(band, (scope, other.scope), rule, near)
            if lack is not None:
                return f"{band} is {other.name}'s to grant in the same place, and {lack}"
    return None


def _common(one: Band, other: Band) -> Band:
    return Band(low_hz=max(one.low_hz, other.low_hz), high_hz=min(one.high_hz, other.high_hz))


def _lack(band: Band, scopes: Sequence[Scope], rule: Rule | None, near: Sequence[Subject]) -> str | None:
    """Return what is missing for two holders to share a band; None where strict enough shards cover it."""
    if rule is None:
        return "no rule of this desk says who co-signs there"
    shards = [
        shard
        for shard in rule.coordination or ()
        if (shard.area is None or any(shard.area.holds(scope.area) for scope in scopes))
        and _strict(shard, scopes, near)
    ]
    at_hz = band.low_hz
    while at_hz < band.high_hz:
        reach = max((_end(shard, band) for shard in shards if _covers(shard, at_hz)), default=at_hz)
        if reach <= at_hz:
            return f"the rule has too few of them co-sign at {at_hz / 1e6:g} MHz"
        at_hz = reach
    return None


def _covers(shard: Shard, at_hz: int) -> bool:
    return shard.band is None or shard.band.low_hz <= at_hz < shard.band.high_hz


def _end(shard: Shard, band: Band) -> int:
    return band.high_hz if shard.band is None else shard.band.high_hz


def _strict(shard: Shard, scopes: Sequence[Scope], near: Sequence[Subject]) -> bool:
    """Return whether any two groups of signers in a shard share a member; False where an authority may add holders."""
    if shard.mode == AUTHORITY:
        return 2 * shard.need > len(shard.authorities)
    if any(ISSUE in scope.actions for scope in (*scopes, *(other.scope for other in near))):
        return False
    return shard.need >= needed(len(near) + 1)


def needed(holders: int) -> int:
    """Return how many of `holders` must co-sign with one of them, so that any two such groups share a member."""
    return holders // 2


def uncovered(rule: Rule, held: Sequence[Subject]) -> str | None:
    """Return why a rule is not enough for the holders there are; None where it is."""
    for number, one in enumerate(held):
        lack = unshared(one.scope, [*held[:number], *held[number + 1 :]], rule)
        if lack is not None:
            return f"{one.name}: {lack}"
    return None
