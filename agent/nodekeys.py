"""A node's way into a network: its keys and request, what the desk makes of them, and taking in the credential."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from agent.config import ConfigError
from agent.desk import Desk
from agent.keyfiles import CHAIN, load_chain, load_keys, make_keys, write_chain
from settlement.chain import bodies, records
from settlement.chain.admission import RuleInForce
from settlement.chain.credentials import Registry, Subject
from settlement.chain.scope import Area, Band, Scope
from settlement.pair.artifact import verify_rule
from settlement.reasons import Refusal
from settlement.rulefile import judge_successor, read_rule

REQUEST = "enrol.request"
ROLES = {
    "holder": ("offer", "grant", "coordinate", "observe"),
    "user": ("request", "observe"),
    "coordinator": ("coordinate", "observe"),
}
TIERS = {"holder": 1, "user": 2}


def make_request(folder: Path, device: str) -> None:
    """Make a node's keys and write their public halves. Raises ConfigError."""
    key, transport = make_keys(folder)
    values = {"public": key.public.hex(), "transport": transport.public.hex(), "device": device}
    (folder / REQUEST).write_text(tomli_w.dumps(values), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What of the authority's own scope a node gets; without an area or bands, all of it."""

    eirp_mdbm: int
    area: Area | None = None
    bands: tuple[Band, ...] = ()


def issue_for(desk: Desk, request: Path, *, name: str, role: str, limits: Limits, days: int, out: Path) -> Subject:
    """Entitle the node that wrote a request. Raises ConfigError."""
    if role not in ROLES:
        raise ConfigError(f"--role {role}: none of {', '.join(ROLES)}")
    try:
        values = tomllib.loads(request.read_text(encoding="utf-8"))
        public, transport = bytes.fromhex(values["public"]), bytes.fromhex(values["transport"])
        device = str(values["device"])
    except OSError as exc:
        raise ConfigError(f"{request}: {exc.strerror}; give the request that bandpact node init wrote") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"{request}: not a request ({exc}); run bandpact node init again") from exc
    writable(out)
    mine = desk.me.scope
    scope = Scope(
        bands=limits.bands or mine.bands,
        area=limits.area or mine.area,
        classes=mine.classes,
        actions=ROLES[role],
        tier=max(mine.tier, TIERS[role]),
        max_eirp_mdbm=limits.eirp_mdbm,
        depth=0,
    )
    body = bodies.Credential(level="operator", scope=scope, transport_key=transport, device=device)
    subject = desk.issue(body, public=public, name=name, days=days)
    write_chain(out, subject.chain)
    return subject


def writable(out: Path) -> None:
    """Nothing is signed that cannot be handed out. Raises ConfigError."""
    new = not out.exists()
    try:
        with out.open("ab"):
            pass
        if new:
            out.unlink()
    except OSError as exc:
        raise ConfigError(f"{out}: {exc.strerror}; choose a file you can write") from exc


def sign_rule(desk: Desk, text: Path, out: Path, after: Path | None) -> str:
    """Check and sign a rule; returns its hash. Raises ConfigError, RuleFileError."""
    old: RuleInForce | None = None
    if after is not None:
        *chain, raw = load_chain(after)
        known = verify_rule(raw, chain, desk.registry)
        if isinstance(known, Refusal):
            raise ConfigError(f"{after}: {known}; give the rule that this desk signed")
        old = known
    try:
        body = read_rule(text.read_text(encoding="utf-8"), previous=old.hash if old else None)
    except OSError as exc:
        raise ConfigError(f"{text}: {exc.strerror}; give a rule in TOML") from exc
    refusal = judge_successor(old, body) if old is not None else None
    scope = desk.me.scope
    if refusal is not None:
        raise ConfigError(f"{text}: {refusal}")
    for number, band in enumerate(body.bands):
        if not scope.holds_band(band):
            raise ConfigError(f"{text}: bands[{number}]: {band} is outside what {desk.me.name} may rule")
    if not scope.area.holds(body.area):
        raise ConfigError(f"{text}: area: {body.area} is not surely inside the {scope.area} of {desk.me.name}")
    writable(out)
    raw = desk.sign(body)
    write_chain(out, (*desk.me.chain, raw))
    return records.digest(raw).hex()


def enrol(folder: Path, chain: Path, *, network: str, anchor: str) -> str:
    """Take in a credential that holds and is this node's; returns its name. Raises ConfigError."""
    key, transport = load_keys(folder)
    try:
        registry = Registry(network, [bytes.fromhex(anchor)])
    except ValueError as exc:
        raise ConfigError(f"--anchor: {exc}; 64 hexadecimal digits") from exc
    subject = registry.admit_chain(load_chain(chain))
    if isinstance(subject, Refusal):
        raise ConfigError(f"{chain}: {subject}; ask the authority for it again")
    if (subject.public, subject.transport_key) != (key.public, transport.public):
        raise ConfigError(f"{chain}: BINDING: not for the keys in {folder}; ask the authority to issue for them")
    write_chain(folder / CHAIN, subject.chain)
    return subject.name
