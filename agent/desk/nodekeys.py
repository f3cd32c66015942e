"""Credentials of nodes: a node's keys and request, the desk's signature, and storing the credential."""

import time
from dataclasses import dataclass
from pathlib import Path

from agent.config.keyfiles import (
    CHAIN,
    NEXT,
    SIGN,
    chain_file,
    load_chain,
    load_keys,
    make_keys,
    make_next_key,
    read_key,
    text_file,
    write_chain,
)
from agent.config.settings import ConfigError
from agent.desk.classes import judge_classes
from agent.desk.folder import ANCHOR_DIGITS, Desk
from agent.desk.jurisdictions import judge_jurisdictions_of, read_link
from agent.desk.overlaps import grantors, uncovered, unshared
from agent.desk.requests import CredentialRequest, read_request, request_text
from agent.words.shell import quoted
from hw_profiles.smallfile import read_small_text
from hw_profiles.wholefile import WholeFile
from settlement.chain import bodies, records
from settlement.chain.admission import Admitted, RuleInForce, prove
from settlement.chain.bodies import Rule
from settlement.chain.credentials import SUB, Registry, Subject
from settlement.chain.keys import SigningKey
from settlement.chain.names import name_flaw, names_flaw
from settlement.chain.ruling import judge_next, seat_of, verify_rule
from settlement.chain.scope import Area, Band, Scope
from settlement.core.reasons import Refusal
from settlement.governing.rulefile import read_rule
from settlement.governing.soundness import beyond, flaw, may_rule
from settlement.mesh import TransportKey

REQUEST, ROTATE_REQUEST = "enrol.request", "rotate.request"
DAY_NS = 86_400 * 1_000_000_000
ROLES = {
    "holder": ("offer", "grant", "coordinate", "observe"),
    "user": ("request", "observe"),
    "coordinator": ("coordinate", "observe"),
    "auditor": ("observe", "audit"),
}
COORDINATE = "coordinate"
TIERS = {"holder": 1, "user": 2, "coordinator": 1, "auditor": 2}


def make_request(folder: Path, device: str, name: str | None = None) -> None:
    """Make a node's keys and write its request, by default under its folder's name. Raises ConfigError."""
    called = name or folder.resolve().name

    def asked(key: SigningKey, transport: TransportKey) -> list[WholeFile]:
        text = request_text(key, name=called, transport=transport.public, device=device)
        return [text_file(folder / REQUEST, text, replace=False)]

    make_keys(folder, asked)


def make_next_request(folder: Path) -> Path:
    """Make a node's next key, and the request for its credential. Raises ConfigError."""
    old, transport = load_keys(folder)
    chain = load_chain(folder / CHAIN)
    unproven = records.parse(chain[-1])
    device = unproven.payload.get(6, {}).get(4) if isinstance(unproven, records.Unproven) else None
    claims = unproven.message.header.claims if isinstance(unproven, records.Unproven) else None
    name = (claims or {}).get(SUB)
    if not isinstance(device, str) or not isinstance(name, str):
        raise ConfigError(f"{folder / CHAIN}: names no device; a node's credential is needed")
    target = folder / ROTATE_REQUEST

    def asked(key: SigningKey) -> list[WholeFile]:
        text = request_text(key, name=name, transport=transport.public, device=device, before=old)
        return [text_file(target, text)]

    make_next_key(folder, beside=asked)
    return target


def lay_successor(folder: Path, chain: Path, registry: Registry) -> str:
    """Check the credential of a node's next key and store it for the running agent. Raises ConfigError."""
    _, transport = load_keys(folder)
    if not (folder / (SIGN + NEXT)).is_file():
        raise ConfigError(f"{folder / (SIGN + NEXT)}: no key is waiting; run: bandpact node rekey {quoted(folder)}")
    key = read_key(folder / (SIGN + NEXT))
    subject = registry.admit_chain(load_chain(chain))
    if isinstance(subject, Refusal):
        raise ConfigError(f"{chain}: {subject}; ask the authority for it again")
    if (subject.public, subject.transport_key) != (key.public, transport.public):
        raise ConfigError(f"{chain}: BINDING: not for the keys waiting in {folder}; ask the authority to reissue")
    write_chain(folder / (CHAIN + NEXT), subject.chain)
    return subject.name


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLimits:
    """Limits of a node's credential within the authority's scope; without an area or bands, all of it."""

    eirp_mdbm: int
    area: Area | None = None
    bands: tuple[Band, ...] = ()


def reissue_for(desk: Desk, request: Path, *, name: str, days: int | None, out: Path) -> Subject:
    """Entitle a new key to what the newest credential of that name allows. Raises ConfigError."""
    held = [s for s in desk.credentials() if s.name == name]
    if not held:
        raise ConfigError(
            f"--name {name}: no such name among the credentials of this desk; see: bandpact authority show"
        )
    last = held[-1]
    if desk.revoked(last):
        raise ConfigError(f"--name {name}: REVOKED: its credential was taken back; issue anew if it is to take part")
    asked = read_request(request, of_authority=last.transport_key is None)
    if asked.name not in (None, name) or not asked.succeeds(last.public):
        raise ConfigError(f"{request}: KEY: the key {name} has now did not sign it; have {name} run rekey")
    if (asked.transport, asked.device) != (last.transport_key, last.device):
        raise ConfigError(f"{request}: BINDING: not of the radio or the transport key of {name}; issue anew instead")
    body = bodies.Credential(level=last.level, scope=last.scope, transport_key=last.transport_key, device=last.device)
    life_days = days or (last.expires_ns - last.not_before_ns) // DAY_NS
    return desk.issue(body, public=asked.public, name=name, days=life_days, out=out, succeeds=last)


def _named(asked: CredentialRequest, name: str) -> CredentialRequest:
    """Return the request, which must be for that name or for none. Raises ConfigError."""
    wrong = name_flaw(name)
    if wrong is not None:
        raise ConfigError(f"--name {name!r}: {wrong}")
    if asked.name not in (None, name):
        raise ConfigError(f"{asked.path}: KEY: {asked.name!r} asks with this key, not {name!r}; issue it in that name")
    return asked


def _may_stand(desk: Desk, scope: Scope, rule: Rule | None) -> None:
    """Check that no two holders could grant the same cell. Raises ConfigError."""
    lack = unshared(scope, grantors(desk), rule or newest_rule(desk))
    if lack is not None:
        raise ConfigError(
            f"SCOPE: {lack}; give each its own band or area (--band, --area), or first sign a rule by which holders "
            "co-sign (bandpact authority rule draft --holders N), then name it with --rule where another desk signed it"
        )


def newest_rule(desk: Desk) -> Rule | None:
    """Return the newest rule that this desk signed and that is still valid."""
    now_ns, found = time.time_ns(), None
    for raw in desk.signed:
        known = prove(raw, desk.registry) if b"bandpact/rule" in raw[:96] else None
        if isinstance(known, Admitted) and known.record.body.effective.end_ns > now_ns:
            found = known.record.body
    return found


def rule_in(path: Path, desk: Desk) -> Rule:
    """Read a rule signed by this authority or one above. Raises ConfigError."""
    *chain, raw = load_chain(path)
    known = verify_rule(raw, chain, desk.registry)
    if isinstance(known, Refusal):
        raise ConfigError(f"{path}: {known}; give the signed rule in force")
    if known.rule.effective.end_ns <= time.time_ns():
        raise ConfigError(f"{path}: EXPIRED: no longer in force; give the signed rule that is")
    return known.rule


def delegate_to(
    desk: Desk, request: Path, *, name: str, scope: Scope, days: int, out: Path, level: str | None = None
) -> Subject:
    """Make a request's key an authority below this one, of the same level or another. Raises ConfigError."""
    asked = _named(read_request(request, of_authority=True), name)
    body = bodies.Credential(level=level or desk.me.level, scope=scope)
    _may_stand(desk, scope, None)
    return desk.issue(body, public=asked.public, name=name, days=days, out=out)


def issue_for(
    desk: Desk,
    request: Path,
    *,
    name: str,
    role: str,
    limits: IssueLimits,
    days: int,
    out: Path,
    rule: Path | None = None,
) -> Subject:
    """Entitle the node that wrote a request. Raises ConfigError."""
    if role not in ROLES:
        raise ConfigError(f"--role {role}: no such role; give one of {', '.join(ROLES)}")
    asked = _named(read_request(request), name)
    mine = desk.me.scope
    scope = Scope(
        bands=limits.bands or mine.bands,
        area=limits.area or mine.area,
        classes=mine.classes,
        # A holder may not co-sign neighbours' settlements where its authority itself lacks that action.
        actions=tuple(a for a in ROLES[role] if a in mine.actions or role != "holder" or a != COORDINATE),
        tier=max(mine.tier, TIERS[role]),
        max_eirp_mdbm=limits.eirp_mdbm,
        depth=0,
    )
    _may_stand(desk, scope, rule_in(rule, desk) if rule is not None else None)
    body = bodies.Credential(level="operator", scope=scope, transport_key=asked.transport, device=asked.device)
    return desk.issue(body, public=asked.public, name=name, days=days, out=out)


def _unclear(rule: Rule) -> str | None:
    """Return a name in a rule that can be mistaken for another, with its key; None where all differ visibly."""
    for key, names in (
        ("name", [rule.name]),
        ("classes", [terms.name for terms in rule.classes]),
        ("levels", [level.name for level in rule.levels]),
        ("coordination", [shard.name for shard in rule.coordination or ()]),
    ):
        wrong = names_flaw(names)
        if wrong is not None:
            return f"{key}: {wrong}"
    return None


def sign_rule(desk: Desk, text: Path, out: Path, after: Path | None) -> tuple[str, Rule]:
    """Check and sign a rule; returns its hash and content. Raises ConfigError, RuleFileError.

    Never overwrites a file.
    """
    old: RuleInForce | None = None
    if after is not None:
        *chain, raw = load_chain(after)
        known = verify_rule(raw, chain, desk.registry)
        if isinstance(known, Refusal):
            raise ConfigError(f"{after}: {known}; give the rule that this desk signed")
        old = known
    try:
        body = read_rule(
            read_small_text(text),
            previous=old.hash if old else None,
            link=lambda name: read_link(text.parent / name),
        )
    except OSError as exc:
        raise ConfigError(f"{text}: {exc.strerror}; give a rule in TOML") from exc
    new = RuleInForce(hash=b"", rule=body, seat=seat_of(desk.me, desk.registry), reach=desk.me.scope)
    follows = judge_next([old], new) if old is not None else None
    refusal = may_rule(desk.me.scope) or flaw(body) or beyond(body, desk.me.scope) or follows
    if refusal is not None:
        raise ConfigError(f"{text}: {refusal}")
    wrong = _unclear(body) or judge_classes(desk, body) or judge_jurisdictions_of(desk, body)
    if wrong is not None:
        raise ConfigError(f"{text}: {wrong}")
    lack = uncovered(body, grantors(desk))
    if lack is not None:
        raise ConfigError(f"{text}: coordination: {lack}; as drafted by: bandpact authority rule draft")
    raw = desk.sign(body, out=lambda raw: chain_file(out, (*desk.me.chain, raw), replace=False))
    return records.digest(raw).hex(), body


def enrol(folder: Path, chain: Path, *, network: str, anchor: str) -> str:
    """Store a credential that verifies and belongs to this node; returns the node's name. Raises ConfigError."""
    key, transport = load_keys(folder)
    try:
        registry = Registry(network, [bytes.fromhex(anchor)])
    except ValueError as exc:
        raise ConfigError(f"--anchor: {exc}; give 64 hexadecimal digits") from exc
    if len(anchor) != ANCHOR_DIGITS:
        raise ConfigError(f"--anchor: {len(anchor)} digits; give all 64 hexadecimal digits")
    subject = registry.admit_chain(load_chain(chain))
    if isinstance(subject, Refusal):
        raise ConfigError(f"{chain}: {subject}; ask the authority for it again")
    if (subject.public, subject.transport_key) != (key.public, transport.public):
        raise ConfigError(f"{chain}: BINDING: not for the keys in {folder}; ask the authority to issue for them")
    write_chain(folder / CHAIN, subject.chain)
    return subject.name
