"""The rules that a node knows, in order of succession, and which of them is in force at a time.

A successor's window ends its predecessor. A record is judged under the version in force when it was signed; a node's
own records are signed under the version in force now.
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
    """A chain of rules; it only grows at its end."""

    def __init__(self, first: HeldRule) -> None:
        self._held = [first]

    @property
    def all(self) -> tuple[HeldRule, ...]:
        """The whole chain, the oldest first."""
        return tuple(self._held)

    @property
    def newest(self) -> HeldRule:
        """The last of the chain, in force or not yet."""
        return self._held[-1]

    def follows(self, body: Rule) -> Refusal | None:
        """Run the cheap checks of `judge`: name, version, and which rule it follows."""
        return judge_successor(self.newest.rule, body)

    def judge(self, new: HeldRule) -> Refusal | None:
        """Refuse a rule that may not follow the newest; None where it may."""
        return judge_next([held.rule for held in self._held], new.rule)

    def take(self, new: HeldRule) -> None:
        """Append a judged successor."""
        self._held.append(new)

    def known(self, digest: bytes) -> HeldRule | None:
        """Return the rule with that hash; None if there is none."""
        return next((held for held in self._held if held.rule.hash == digest), None)

    def at(self, earliest_ns: int, latest_ns: int) -> RuleInForce | None:
        """Return the newest rule whose window holds that whole interval (UTC, ns); None where no rule's does."""
        for held in reversed(self._held):
            window = held.rule.rule.effective
            if window.start_ns <= earliest_ns and latest_ns < window.end_ns:
                return held.rule
        return None

    def judge_above(self, above: Iterable[GrantedUnder]) -> Refusal | None:
        """Refuse unless the leases above a handed-on one were granted under the rules of their time."""
        return judge_above([held.rule for held in self._held], above)

    def judging(self, earliest_ns: int, latest_ns: int) -> RuleInForce:
        """Return the rule for a record attested over that interval: the one in force then, else the newest."""
        return self.at(earliest_ns, latest_ns) or self.newest.rule


def chained(configured: HeldRule, stored: list[HeldRule]) -> Rules | Refusal:
    """Return the chain of stored rules and the configured one, which is one of them or follows them."""
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
