"""Groups that decide together: what a signed list of members requires of votes, and the size of a quorum. Pure.

With N members of which f may be faulty (silent, lying, or voting twice), an outcome needs a quorum of q distinct keys
such that any two quorums share more than f members: q = floor((N + f) / 2) + 1, which is 2 f + 1 where N = 3 f + 1. For
two outcomes of one proposal an honest member would have to vote twice, which honest members do not. If more than f
members are silent, there may be no outcome; if more than f vote twice, there may be two.
"""

from collections.abc import Iterable, Mapping

from settlement.chain.status import VERSION_JUMP_MAX
from settlement.core.fixes import TimeFix, time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.quorum.certificate import Membership
from settlement.records.quorum import GroupMember, MemberList


def quorum_of(members: int, faulty: int) -> int:
    """Return the distinct votes that an outcome needs: any two sets of that size share more than `faulty` members."""
    return (members + faulty) // 2 + 1


def membership_of(network: str, group: MemberList) -> Membership:
    """Return the list in the form that certificates use: keys, epoch, and the votes required."""
    keys = tuple(one.key for one in group.members)
    return Membership(network=network, epoch=group.epoch, members=keys, required=quorum_of(len(keys), group.faulty))


def member_of(group: MemberList, credential: bytes) -> GroupMember | None:
    """Return the member with that credential; None if there is none."""
    return next((one for one in group.members if one.credential == credential), None)


def judge_members(group: MemberList, newest_epoch: int | None) -> Refusal | None:
    """Refuse a list that may not replace the newest of its name.

    Its epoch must be later, but not too far ahead, and its keys must be usable and distinct.
    """
    if newest_epoch is not None and group.epoch <= newest_epoch:
        return refuse(Reason.EPOCH, "membership.epoch", group.epoch, f"> {newest_epoch}")
    if group.epoch > (newest_epoch or 0) + VERSION_JUMP_MAX:
        latest = (newest_epoch or 0) + VERSION_JUMP_MAX
        return refuse(Reason.FAST_FORWARD, "membership.epoch", group.epoch, f"<= {latest}")
    flaw = membership_of("-", group).flaw()
    return refuse(Reason.QUORUM, "membership.members", flaw, "a list of members that can decide") if flaw else None


def in_epoch(group: MemberList, epoch: int, now: TimeFix, clause: str) -> Refusal | None:
    """Refuse an epoch that is not the list's own (EPOCH), or a time outside the list's window."""
    if epoch != group.epoch:
        return refuse(Reason.EPOCH, f"{clause}.epoch", epoch, group.epoch)
    refusal = time_inside(now, group.effective.start_ns, group.effective.end_ns, f"{clause}.effective")
    if refusal is not None and refusal.reason is Reason.EXPIRED:
        return refuse(Reason.EPOCH, refusal.clause, refusal.measured, refusal.required)
    return refusal


def weight_of(group: MemberList, credentials: Iterable[bytes]) -> int:
    """Return the total weight of members, each counted once."""
    named = set(credentials)
    return sum(one.weight for one in group.members if one.credential in named)


def choices(votes: Mapping[bytes, bytes]) -> dict[bytes, list[bytes]]:
    """Group the members by what they voted for; `votes` are choices by member."""
    found: dict[bytes, list[bytes]] = {}
    for member, choice in sorted(votes.items()):
        found.setdefault(choice, []).append(member)
    return found
