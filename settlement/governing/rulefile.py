"""Rules from TOML with full key names, checked key by key, converted into the body that an authority signs.

Every error message names its key. `rule_at` finds the rule in force at an instant: the newest version whose window
holds it.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hw_profiles.tomltext import read_toml
from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import (
    BODIES,
    Budget,
    ClassTerms,
    DeskTerms,
    Level,
    LongLeases,
    Modality,
    Recognition,
    Rule,
    Shard,
    StockWitness,
)
from settlement.chain.codec import kinds_of
from settlement.chain.meaning import flaw_of
from settlement.chain.records import Attestation
from settlement.chain.ruling import judge_successor
from settlement.chain.scope import Band, Window
from settlement.chain.taxonomy import Response
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Refusal
from settlement.formats.vkey import COSIGNER, VerifierKey, read_key
from settlement.governing.marketfile import market_terms, schema_value
from settlement.governing.plainfile import (
    RuleFileError,
    area_of,
    instant_ns,
    is_table,
    known_keys,
    needed,
    scalar,
    tables,
)
from settlement.pair.coordination import AUTHORITY, NEIGHBOURS
from settlement.pair.recognition import flaw
from settlement.records.authority import JurisdictionLink
from settlement.records.complaintterms import ReputationTerms

__all__ = ["RuleFileError", "judge_successor", "read_rule", "rule_at"]

EVERY_TYPE = "*"
NODES_MAX = 32
MODES = {"authority": AUTHORITY, "neighbours": NEIGHBOURS}
_DERIVED = {"effective", "previous", "time_sources", "position_sources"}


def _plain(cls: type[Any], table: Any, path: str, *, skip: Iterable[str] = ()) -> dict[str, Any]:
    """Return the integer and text fields of a schema class, from a table with the names of the fields."""
    if not isinstance(table, dict):
        raise RuleFileError(f"{path.rstrip('.')}: not a table")
    found: dict[str, Any] = {}
    for name, kind in kinds_of(cls):
        if name in skip or kind.name not in ("int", "text") or (kind.optional and name not in table):
            continue
        found[name] = scalar(needed(table, name, path, int if kind.name == "int" else str), kind, f"{path}{name}")
    return found


def _bands(values: list[Any], path: str) -> tuple[Band, ...]:
    bands = []
    for here, table in tables(values, path):
        band = Band(**_plain(Band, table, here))
        if band.low_hz >= band.high_hz:
            raise RuleFileError(f"{here}high_hz: {band.high_hz} is not above low_hz {band.low_hz}")
        bands.append(band)
    if not bands:
        raise RuleFileError(f"{path}: empty; a rule governs at least one band")
    return tuple(bands)


def _many(cls: type[Any], table: dict[str, Any], key: str) -> tuple[Any, ...]:
    values = needed(table, key, "", list)
    made = []
    for here, one in tables(values, key):
        extra: dict[str, Any] = (
            {"area": area_of(needed(one, "area", here, dict), f"{here}area.")}
            if cls is Budget and "area" in one
            else {}
        )
        if cls is ClassTerms and "recognition" in one:
            extra = {"recognition": _recognition(needed(one, "recognition", here, dict), f"{here}recognition.")}
        if cls is ClassTerms:
            extra |= market_terms(one, here)
        fields = _plain(cls, one, here)
        known_keys(one, [n for n, _ in kinds_of(cls)], here)
        made.append(cls(**fields, **extra))
    return tuple(made)


def _recognition(table: dict[str, Any], path: str) -> tuple[Recognition, ...]:
    """Convert a tree of tables (`kind`, `fields`, `parts`) into the list of its nodes, each node before its parts."""
    nodes: list[Recognition] = []
    waiting = [(table, path, -1)]
    parts: dict[int, list[int]] = {}
    for number, (one, here, parent) in enumerate(waiting):
        if len(waiting) > NODES_MAX or number >= NODES_MAX:
            raise RuleFileError(f"{path.rstrip('.')}: more than {NODES_MAX} nodes")
        known_keys(one, [name for name, _ in kinds_of(Recognition)], here)
        fields = tuple(_texts(one, "fields", here)) or None
        nodes.append(Recognition(kind=needed(one, "kind", here, str), fields=fields))
        parts.setdefault(parent, []).append(number)
        inner = needed(one, "parts", here, list) if "parts" in one else []
        for place, part in enumerate(inner):
            waiting.append((is_table(part, f"{here}parts[{place}]"), f"{here}parts[{place}].", number))
    made = tuple(replace(node, parts=tuple(parts[n]) if n in parts else None) for n, node in enumerate(nodes))
    refusal = flaw(made)
    if refusal is not None:
        raise RuleFileError(f"{path.rstrip('.')}: {refusal.measured}; required: {refusal.required}")
    return made


def _texts(table: dict[str, Any], key: str, path: str) -> list[str]:
    values = needed(table, key, path, list) if key in table else []
    wrong = next((value for value in values if not isinstance(value, str)), None)
    if wrong is not None:
        raise RuleFileError(f"{path}{key}: {wrong!r} is not text")
    return values


def _levels(table: dict[str, Any]) -> tuple[Level, ...]:
    levels = []
    for here, one in tables(needed(table, "levels", "", list), "levels"):
        fields = _plain(Level, one, here)
        known_keys(one, [n for n, _ in kinds_of(Level)], here)
        if fields["response"] not in list(Response):
            raise RuleFileError(f"{here}response: {fields['response']!r} is none of {', '.join(Response)}")
        admits = needed(one, "admits", here, list)
        unknown = [a for a in admits if not isinstance(a, str) or (a not in BODIES and a != EVERY_TYPE)]
        if unknown:
            raise RuleFileError(f"{here}admits: {unknown[0]!r} is no record type")
        levels.append(Level(**fields, admits=tuple(BODIES) if EVERY_TYPE in admits else tuple(admits)))
    return tuple(levels)


def _shards(table: dict[str, Any]) -> tuple[Shard, ...]:
    """Return the shards: where GRANTs are co-signed, and by whom.

    `mode` is "authority", with the hashes of the credentials that co-sign, or "neighbours", with none.
    """
    shards: list[Shard] = []
    for here, one in tables(needed(table, "coordination", "", list), "coordination"):
        fields = _plain(Shard, one, here, skip=("mode",))
        known_keys(one, [n for n, _ in kinds_of(Shard)], here)
        mode = needed(one, "mode", here, str)
        if mode not in MODES:
            raise RuleFileError(f"{here}mode: {mode!r} is none of {', '.join(MODES)}")
        if fields["name"] in {shard.name for shard in shards}:
            raise RuleFileError(f"{here}name: {fields['name']!r} names a shard before it")
        shards.append(
            Shard(
                **fields,
                mode=MODES[mode],
                band=_bands([one["band"]], f"{here}band")[0] if "band" in one else None,
                area=area_of(needed(one, "area", here, dict), f"{here}area.") if "area" in one else None,
                authorities=_authorities(one, here, MODES[mode], fields["need"]),
            )
        )
    return tuple(shards)


def _stock_witnesses(table: dict[str, Any]) -> tuple[StockWitness, ...]:
    """Return the witnesses over HTTP from their verifier keys, each key once."""
    found: dict[bytes, StockWitness] = {}
    for number, one in enumerate(needed(table, "stock_witnesses", "", list)):
        key = read_key(one) if isinstance(one, str) else None
        if not isinstance(key, VerifierKey) or key.kind != COSIGNER or key.public in found:
            why = str(key) if isinstance(key, Refusal) else "a verifier key NAME+HASH+BASE64 of kind 4, each key once"
            raise RuleFileError(f"stock_witnesses[{number}]: {why}")
        found[key.public] = StockWitness(name=key.name, key=key.public)
    return tuple(found.values())


def _authorities(one: dict[str, Any], here: str, mode: int, need: int) -> tuple[bytes, ...]:
    """Return the hashes of the credentials that co-sign: each once, at least `need` of them; none for neighbours."""
    named = needed(one, "authorities", here, list) if mode == AUTHORITY else one.get("authorities", [])
    if mode != AUTHORITY:
        if named:
            raise RuleFileError(f"{here}authorities: neighbours have none; leave it out")
        return ()
    for at, name in enumerate(named):
        if not isinstance(name, str) or not re.fullmatch("[0-9a-f]{64}", name):
            raise RuleFileError(f"{here}authorities[{at}]: {name!r} is not a SHA-256 in 64 hex digits")
    if len(set(named)) != len(named):
        raise RuleFileError(f"{here}authorities: one is named twice")
    if not 1 <= need <= len(named):
        raise RuleFileError(f"{here}need: {need} is outside 1 to {len(named)}, the authorities there are")
    return tuple(bytes.fromhex(name) for name in named)


def _desk(table: dict[str, Any]) -> DeskTerms:
    known_keys(table, [n for n, _ in kinds_of(DeskTerms)], "desk.")
    return DeskTerms(
        **_plain(DeskTerms, table, "desk."),
        time_sources=_sources(table, "time_sources", TimeSource, "desk."),
        position_sources=_sources(table, "position_sources", PositionSource, "desk."),
    )


def _long_leases(table: dict[str, Any]) -> LongLeases:
    """Return the terms of leases beyond 240 s: `most_ns`, and the protected areas, in which no lease is that long.

    The list of areas may be empty, but it must be there.
    """
    known_keys(table, [n for n, _ in kinds_of(LongLeases)], "long_leases.")
    areas = needed(table, "protected", "long_leases.", list)
    made = []
    for number, area in enumerate(areas):
        here = f"long_leases.protected[{number}]"
        made.append(area_of(is_table(area, here), f"{here}."))
    return LongLeases(**_plain(LongLeases, table, "long_leases."), protected=tuple(made))


def _sources(table: dict[str, Any], key: str, kind: Any, path: str = "") -> tuple[int, ...]:
    names = {source.name.lower(): int(source) for source in kind}
    found = []
    for value in needed(table, key, path, list):
        if not isinstance(value, str) or value not in names:
            raise RuleFileError(f"{path}{key}: {value!r} is none of {', '.join(names)}")
        found.append(names[value])
    return tuple(found)


def _no_files(name: str) -> JurisdictionLink:
    raise RuleFileError(f"{name!r}: no files are read here; bandpact authority rule sign reads them")


def _jurisdictions(table: dict[str, Any], link: Callable[[str], JurisdictionLink]) -> tuple[JurisdictionLink, ...]:
    """Return the jurisdictions that authorities signed, from a list of file names that `link` reads; each once."""
    names, kind = needed(table, "jurisdictions", "", list), dict(kinds_of(Rule))["jurisdictions"]
    if not kind.low <= len(names) <= kind.high:
        raise RuleFileError(f"jurisdictions: {len(names)} of them, not {kind.low} to {kind.high}")
    found: list[JurisdictionLink] = []
    for number, name in enumerate(names):
        here = f"jurisdictions[{number}]"
        if not isinstance(name, str):
            raise RuleFileError(f"{here}: {name!r} is not the name of a file")
        try:
            found.append(link(name))
        except RuleFileError as exc:
            raise RuleFileError(f"{here}: {exc}") from exc
        if found[-1] in found[:-1]:
            raise RuleFileError(f"{here}: {name!r} is named before it")
    return tuple(found)


def read_rule(text: str, *, previous: bytes | None = None, link: Callable[[str], JurisdictionLink] = _no_files) -> Rule:
    """Return the body of a rule from its TOML text. Raises RuleFileError, whose message names the key.

    Args: previous: SHA-256 of the rule record that this one follows; None for the first. link: reads the jurisdiction
    that an authority signed, from the name of its file; raises RuleFileError. By default no files are read.
    """
    try:
        table = read_toml(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise RuleFileError(f"not TOML: {exc}") from exc
    allowed = [n for n, _ in kinds_of(Rule) if n not in ("effective", "previous")]
    known_keys(table, [*allowed, "effective_from", "effective_until"], "")
    window = Window(start_ns=instant_ns(table, "effective_from"), end_ns=instant_ns(table, "effective_until"))
    if window.start_ns >= window.end_ns:
        raise RuleFileError("effective_until: not after effective_from")
    rule = Rule(
        **_plain(Rule, table, "", skip=_DERIVED),
        effective=window,
        previous=previous,
        bands=_bands(needed(table, "bands", "", list), "bands"),
        area=area_of(needed(table, "area", "", dict), "area."),
        classes=_many(ClassTerms, table, "classes"),
        levels=_levels(table),
        time_sources=_sources(table, "time_sources", TimeSource),
        position_sources=_sources(table, "position_sources", PositionSource),
        budgets=_many(Budget, table, "budgets") if "budgets" in table else None,
        desk=_desk(needed(table, "desk", "", dict)) if "desk" in table else None,
        modalities=_many(Modality, table, "modalities") if "modalities" in table else None,
        coordination=_shards(table) if "coordination" in table else None,
        stock_witnesses=_stock_witnesses(table) if "stock_witnesses" in table else None,
        long_leases=_long_leases(needed(table, "long_leases", "", dict)) if "long_leases" in table else None,
        jurisdictions=_jurisdictions(table, link) if "jurisdictions" in table else None,
        reputation=schema_value(ReputationTerms, table["reputation"], "reputation.") if "reputation" in table else None,
    )
    senseless = flaw_of(rule)
    if senseless is not None:
        path = senseless.clause.removeprefix("meaning.")
        raise RuleFileError(f"{path}: {senseless.measured} is outside {senseless.required}")
    return rule


def rule_at(rules: Iterable[RuleInForce], signed: Attestation) -> RuleInForce | None:
    """Return the rule in force over the whole interval in which a record was signed, or None.

    Where the windows of several hold the interval, the one with the highest version counts.
    """
    found: RuleInForce | None = None
    for one in rules:
        window = one.rule.effective
        inside = window.start_ns <= signed.earliest_ns and signed.latest_ns < window.end_ns
        if inside and (found is None or one.rule.version > found.rule.version):
            found = one
    return found
