"""Whether the holders that a desk entitles can ever grant one cell twice: by their credentials, or by the rule.

Two that may grant in one place, at one time, on one frequency need others to co-sign, and so many of them that any two
groups of signers have a member in common, who signs each part of the spectrum once:

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
    """Everybody this desk has entitled to grant, or to entitle others to, who still may; of each name the newest."""
    now_ns = time.time_ns()
    newest = {s.name: s for s in desk.credentials()}
    return [s for s in newest.values() if HOLDS in s.scope.actions and s.expires_ns > now_ns and not desk.revoked(s)]


def unshared(scope: Scope, others: Iterable[Subject], rule: Rule | None) -> str | None:
    """Why a holder of that scope may not stand beside the others; None where it may."""
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
    """What is missing for two to share a band; None where the shards that are strict enough cover it."""
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
    """Do any two groups that could sign in it share a member? Nobody knows how many an authority below entitles."""
    if shard.mode == AUTHORITY:
        return 2 * shard.need > len(shard.authorities)
    if any(ISSUE in scope.actions for scope in (*scopes, *(other.scope for other in near))):
        return False
    return shard.need >= needed(len(near) + 1)


def needed(holders: int) -> int:
    """How many of so many holders must co-sign for one of them, so that no two can without one in common."""
    return holders // 2


def uncovered(rule: Rule, held: Sequence[Subject]) -> str | None:
    """Why that rule is not enough for those who may grant already; None where it is."""
    for number, one in enumerate(held):
        lack = unshared(one.scope, [*held[:number], *held[number + 1 :]], rule)
        if lack is not None:
            return f"{one.name}: {lack}"
    return None
