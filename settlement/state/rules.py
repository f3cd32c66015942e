"""The rules a node knows, in the order they follow each other, and which of them is in force when.

A successor ends its predecessor from the start of its own window. A record is judged under the version that was in
force when it was signed; what a node signs itself is under the one in force now.
"""

from collections.abc import Iterable

from settlement.chain.admission import RuleInForce
from settlement.chain.ruling import HeldRule, judge_next, judge_successor, read_held
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.handover import GrantedUnder, judge_above
from settlement.records.authority import Rule

__all__ = ["RULE", "HeldRule", "Rules", "chained", "read_held"]

RULE = "rule"


class Rules:
    """One chain of rules; it only grows at its end."""

    def __init__(self, first: HeldRule) -> None:
        self._held = [first]

    @property
    def all(self) -> tuple[HeldRule, ...]:
        """The chain, the oldest first."""
        return tuple(self._held)

    @property
    def newest(self) -> HeldRule:
        """The last of the chain, in force or not yet."""
        return self._held[-1]

    def follows(self, body: Rule) -> Refusal | None:
        """The part of `judge` that costs nothing: name, version, and which rule it follows."""
        return judge_successor(self.newest.rule, body)

    def judge(self, new: HeldRule) -> Refusal | None:
        """May this rule follow the newest?"""
        return judge_next([held.rule for held in self._held], new.rule)

    def take(self, new: HeldRule) -> None:
        """Add a judged successor."""
        self._held.append(new)

    def known(self, digest: bytes) -> HeldRule | None:
        """The rule of that hash."""
        return next((held for held in self._held if held.rule.hash == digest), None)

    def at(self, earliest_ns: int, latest_ns: int) -> RuleInForce | None:
        """The newest rule whose window surely holds that interval; None where no rule's does."""
        for held in reversed(self._held):
            window = held.rule.rule.effective
            if window.start_ns <= earliest_ns and latest_ns < window.end_ns:
                return held.rule
        return None

    def judge_above(self, above: Iterable[GrantedUnder]) -> Refusal | None:
        """Were the leases that something hands on granted under the rules of their time?"""
        return judge_above([held.rule for held in self._held], above)

    def judging(self, earliest_ns: int, latest_ns: int) -> RuleInForce:
        """What a record attested over that interval is judged by: the rule in force then, else the newest."""
        return self.at(earliest_ns, latest_ns) or self.newest.rule


def chained(configured: HeldRule, stored: list[HeldRule]) -> Rules | Refusal:
    """The chain of what is stored and what is configured: the latter is one of the former, or follows them."""
    if not stored:
        return Rules(configured)
    first, *later = sorted(stored, key=lambda held: held.key)
    rules = Rules(first)
    for held in later:
        refusal = rules.judge(held)
        if refusal is not None:
            return refusal
        rules.take(held)
    if rules.known(configured.rule.hash) is None:
        refusal = rules.judge(configured)
        if refusal is not None:
            return refuse(Reason.ROLLBACK, "rule.start", refusal, f"version {rules.newest.rule.rule.version} or later")
        rules.take(configured)
    return rules
