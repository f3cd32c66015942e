"""Lists of members at an authority's desk: who certifies auctions in an epoch, by names of credentials."""

import time
from collections.abc import Sequence
from pathlib import Path

from agent.config.settings import ConfigError
from agent.desk.folder import Desk
from agent.words.units import is_count
from hw_profiles.wholefile import WholeFile
from settlement.chain import records
from settlement.chain.admission import prove
from settlement.chain.meaning import flaw_of
from settlement.chain.names import names_flaw
from settlement.chain.quantities import DAY_NS
from settlement.chain.scope import Window
from settlement.core.reasons import Refusal
from settlement.governing.soundness import may_rule
from settlement.quorum.group import judge_members
from settlement.records.quorum import ROLES, GroupMember, MemberList

NS = 1_000_000_000


def newest_epoch(desk: Desk, name: str) -> int:
    """The newest epoch of a list that this desk has signed; 0 where it has signed none of that name."""
    found = [0]
    for raw in desk.signed:
        unproven = records.parse(raw)
        if isinstance(unproven, records.Unproven) and unproven.schema is MemberList:
            proven = prove(raw, desk.registry)
            if not isinstance(proven, Refusal) and proven.record.body.name == name:
                found.append(proven.record.body.epoch)
    return max(found)


def list_names(desk: Desk) -> list[str]:
    """The names of the lists that this desk has signed."""
    opened = (one.opened() for one in map(records.parse, desk.signed) if isinstance(one, records.Unproven))
    return [one.body.name for one in opened if isinstance(one, records.Record) and isinstance(one.body, MemberList)]


def member_named(desk: Desk, said: str) -> GroupMember:
    """Parse a member given as NAME:ROLE or NAME:ROLE:WEIGHT. Raises ConfigError."""
    name, _, rest = said.partition(":")
    role, _, weight = rest.partition(":")
    if role not in ROLES or (weight and not (is_count(weight) and int(weight) > 0)):
        raise ConfigError(f"--member {said:.80}: write NAME:ROLE or NAME:ROLE:WEIGHT; roles are {', '.join(ROLES)}")
    known = [one for one in desk.credentials() if one.name == name and not desk.revoked(one)]
    if not known:
        raise ConfigError(f"--member {said}: no such name among the credentials of this desk; see authority show")
    subject = known[-1]
    return GroupMember(role=role, credential=subject.hash, key=subject.public, weight=int(weight or "1"))


def sign_members(
    desk: Desk, name: str, said: Sequence[str], *, faulty: int, epoch: int | None, days: int, out: Path
) -> tuple[bytes, MemberList]:
    """Check and sign a list of members; returns the hash of its record. Raises ConfigError.

    Without `epoch`, the next epoch of that name. Never overwrites a file.
    """
    now_ns, newest = time.time_ns(), newest_epoch(desk, name)
    wrong = names_flaw(dict.fromkeys((*list_names(desk), name)))
    if wrong is not None:
        raise ConfigError(wrong)
    body = MemberList(
        name=name,
        epoch=newest + 1 if epoch is None else epoch,
        effective=Window(start_ns=now_ns - NS, end_ns=now_ns + days * DAY_NS),
        faulty=faulty,
        members=tuple(member_named(desk, one) for one in said),
    )
    refusal = may_rule(desk.me.scope) or flaw_of(body) or judge_members(body, newest or None)
    if refusal is not None:
        raise ConfigError(f"{name}: {refusal}")
    raw = desk.sign(body, out=lambda raw: WholeFile(path=out, data=raw, replace=False))
    return records.digest(raw), body
