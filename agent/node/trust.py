"""Reads what a node trusts from its files: anchors, its own and its neighbours' credentials, the rule in force."""

from dataclasses import dataclass

from agent.config.keyfiles import CHAIN, former_chains, load_chain
from agent.config.settings import ConfigError, NodeConfig
from settlement.chain.admission import RuleInForce
from settlement.chain.credentials import Registry, Subject
from settlement.chain.ruling import verify_rule
from settlement.core.reasons import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a node trusts: anchors, its own credential, its neighbours, the rule."""

    registry: Registry
    me: Subject
    rule: RuleInForce
    rule_chain: tuple[bytes, ...]
    rule_raw: bytes
    former: frozenset[bytes] = frozenset()
    """This node's earlier credentials, whose keys were rotated."""


ANCHOR_BYTES = 32


def anchors_of(config: NodeConfig) -> frozenset[bytes]:
    """Return the trust anchors. Raises ConfigError."""
    try:
        found = frozenset(bytes.fromhex(a) for a in config.anchors)
    except ValueError as exc:
        raise ConfigError(f"anchors: {exc}; each is the SHA-256 of a root credential in hexadecimal") from exc
    if any(len(one) != ANCHOR_BYTES for one in found):
        raise ConfigError(f"anchors: of the wrong length; each has {2 * ANCHOR_BYTES} hexadecimal digits")
    return found


def trust_of(config: NodeConfig) -> Trust:
    """Read and verify credentials and rule from the node's files. Raises ConfigError."""
    registry = Registry(config.network, anchors_of(config))
    former = [_admitted(registry, chain) for chain in former_chains(config.folder)]
    me = registry.admit_chain(load_chain(config.folder / CHAIN))
    if isinstance(me, Refusal):
        raise ConfigError(f"{config.folder / CHAIN}: {me}; ask the trial coordinator for a new credential")
    *chain, raw = load_chain(config.rule)
    rule = verify_rule(raw, chain, registry)
    if isinstance(rule, Refusal):
        raise ConfigError(f"{config.rule}: {rule}; ask the trial coordinator for the rule in force")
    for path in config.authorities:
        authority = registry.admit_chain(load_chain(path))
        if isinstance(authority, Refusal):
            raise ConfigError(f"{path}: {authority}; ask that authority for its credential chain again")
    for peer in config.peers:
        subject = registry.admit_chain(load_chain(peer.chain))
        if isinstance(subject, Refusal):
            raise ConfigError(f"{peer.chain}: {subject}; ask {peer.name} for its credential chain again")
    return Trust(
        registry=registry,
        me=me,
        rule=rule,
        rule_chain=tuple(chain),
        rule_raw=raw,
        former=frozenset(subject.hash for subject in former),
    )


def _admitted(registry: Registry, chain: tuple[bytes, ...]) -> Subject:
    subject = registry.admit_chain(chain)
    if isinstance(subject, Refusal):
        raise ConfigError(f"a credential this node had before: {subject}; move it and its key away")
    return subject
