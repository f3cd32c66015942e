"""Checks of a rule in force: who signed it, whether that authority may, and whether it may follow earlier rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from settlement.chain.admission import RuleInForce, prove
from settlement.chain.bodies import Rule
from settlement.chain.credentials import Registry, Subject
from settlement.chain.entitlement import outlines
from settlement.chain.records import Attestation
from settlement.chain.status import next_version
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.governing.jurisdictions import prove_links
from settlement.governing.limits import wider_rule
from settlement.governing.soundness import beyond, flaw, may_rule, short_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRule:
    """A rule with the bytes that prove it: its own record, and the credentials of the authority that signed it."""

    raw: bytes
    chain: tuple[bytes, ...]
    rule: RuleInForce

    @property
    def key(self) -> bytes:
        """The key under which the rule is stored; sorts by version."""
        return self.rule.rule.version.to_bytes(8, "big")


def read_held(raw: bytes, chain: tuple[bytes, ...], registry: Registry) -> HeldRule | Refusal:
    """Return a sound rule signed by an anchored authority that may make rules, or the reason why it is none."""
    rule = verify_rule(raw, chain, registry)
    return rule if isinstance(rule, Refusal) else HeldRule(raw=raw, chain=chain, rule=rule)


def verify_rule(raw: bytes, chain: Iterable[bytes], registry: Registry) -> RuleInForce | Refusal:
    """Verify a rule: sound in itself, signed by an anchored authority that may make rules, within its own scope."""
    authority = registry.admit_chain(chain)
    if isinstance(authority, Refusal):
        return authority
    admitted = prove(raw, registry)
    if isinstance(admitted, Refusal):
        return admitted
    if not isinstance(admitted.record.body, Rule) or admitted.author.hash != authority.hash:
        return refuse(Reason.TYPE, "rule.author", admitted.record.typ, "a rule by the authority of the chain")
    rule: Rule = admitted.record.body
    refusal = may_rule(authority.scope) or outlines(admitted.record) or flaw(rule) or beyond(rule, authority.scope)
    refusal = refusal or prove_links(rule.jurisdictions or (), registry)
    if refusal is not None:
        return refusal
    return RuleInForce(hash=admitted.record.digest, rule=rule, seat=seat_of(authority, registry), reach=authority.scope)


def seat_of(authority: Subject, registry: Registry) -> tuple[str, ...]:
    """Return an authority's seat: the names from the root down to it. A new key keeps the name and so the seat.

    Only an authority above gives a name, so that nobody can take a seat that is not below its own.
    """
    held, names = authority, [authority.name]
    while held.issuer is not None and (above := registry.get(held.issuer)) is not None:
        names.append(above.name)
        held = above
    return tuple(reversed(names))


def commands(seat: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the authority at `seat` is the one at `other`, or above it."""
    return bool(seat) and other[: len(seat)] == seat


def may_replace(author: Subject, before: bytes | None, registry: Registry) -> Refusal | None:
    """Refuse a statement that replaces an earlier one, unless the earlier author is the same authority or below it."""
    earlier = registry.get(before)
    if earlier is None or commands(seat_of(author, registry), seat_of(earlier, registry)):
        return None
    required = f"{' > '.join(seat_of(earlier, registry))}, who said it before, or above"
    return refuse(Reason.SCOPE, "authority.before", author.name, required)


def judge_naming(author: Subject | None, seat: tuple[str, ...], registry: Registry) -> Refusal | None:
    """Refuse a list of members by an author that is neither the authority that signed the rule nor above it."""
    if author is not None and commands(seat_of(author, registry), seat):
        return None
    name = author.name if author is not None else "unknown"
    return refuse(Reason.SCOPE, "membership.author", name, f"{' > '.join(seat)}, or above")


def judge_successor(old: RuleInForce, new: Rule) -> Refusal | None:
    """Refuse a rule as successor of another by name, version or window; None where it may follow."""
    if new.name != old.rule.name:
        return refuse(Reason.RULE_UNKNOWN, "rule.name", new.name, old.rule.name)
    refusal = next_version(new.version, old.rule.version, "rule")
    if refusal is not None:
        return refusal
    if new.previous != old.hash:
        return refuse(Reason.ROLLBACK, "rule.previous", new.previous.hex() if new.previous else "none", old.hash.hex())
    if new.effective.start_ns < old.rule.effective.start_ns:
        return refuse(Reason.ROLLBACK, "rule.effective", new.effective.start_ns, f">= {old.rule.effective.start_ns} ns")
    return None


def judge_before(chain: Sequence[RuleInForce], old: RuleInForce, granted: Attestation) -> Refusal | None:
    """Refuse a grant that was not made under the rule in force then, by a chain of rules, the oldest first.

    For a rule older than the chain only its name is checked, and that its author could have made the first rule.
    """
    for held in reversed(chain):
        window = held.rule.effective
        if window.start_ns <= granted.earliest_ns and granted.latest_ns < window.end_ns:
            if held.hash == old.hash:
                return None
            measured = f"version {old.rule.version} of {old.rule.name}"
            return refuse(Reason.RULE_UNKNOWN, "rule.before", measured, f"version {held.rule.version}, in force then")
    first = chain[0]
    if old.rule.name != first.rule.name or old.rule.version >= first.rule.version:
        measured = f"version {old.rule.version} of {old.rule.name}"
        return refuse(Reason.RULE_UNKNOWN, "rule.before", measured, f"one before version {first.rule.version}")
    if commands(old.seat, first.seat):
        return None
    return refuse(Reason.SCOPE, "rule.before", " > ".join(old.seat), f"{' > '.join(first.seat)}, or above")


def judge_next(chain: Sequence[RuleInForce], new: RuleInForce) -> Refusal | None:
    """Refuse a rule as the next of a chain: against rules whose author it does not command it may only narrow (SCOPE).

    The new rule's author must also have authority over all that the rule covers.
    """
    return judge_successor(chain[-1], new.rule) or _narrows(chain, new)


def _narrows(chain: Sequence[RuleInForce], new: RuleInForce) -> Refusal | None:
    """Check that the new rule is within the newest earlier rule whose author its own author does not command."""
    binding = next((held for held in reversed(chain) if not commands(new.seat, held.seat)), None)
    if binding is None:
        return None
    return wider_rule(new.rule, binding.rule) or short_of(new.reach, binding.rule)
