"""Market terms of a class from a rule file; and any schema class from a TOML table with the names of its fields."""

import re
from typing import Any

from settlement.chain.codec import FieldKind, kinds_of
from settlement.governing.plainfile import RuleFileError, known_keys, needed, scalar
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import AuctionRule
from settlement.records.classterms import LicenceTerms, RetentionTerms
from settlement.records.complaintterms import DisputeTerms, FallbackTerms
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import MatchingTerms, Tariff, TierTerms

ONE = {
    "matching": MatchingTerms,
    "tariff": Tariff,
    "licence": LicenceTerms,
    "disputes": DisputeTerms,
    "handing": HandingTerms,
    "auction": AuctionRule,
    "approval": ApprovalRule,
    "coalition": ApprovalRule,
}
SEVERAL = {"tiers": TierTerms, "retention": RetentionTerms, "fallbacks": FallbackTerms}


def market_terms(table: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the market terms in the table of one class, by key. Raises RuleFileError, whose message names the key.

    Args: path: prefix of the keys in messages, such as `classes[0].`
    """
    found: dict[str, Any] = {
        key: schema_value(cls, needed(table, key, path, dict), f"{path}{key}.")
        for key, cls in ONE.items()
        if key in table
    }
    for key, cls in SEVERAL.items():
        if key in table:
            rows = needed(table, key, path, list)
            found[key] = tuple(schema_value(cls, row, f"{path}{key}[{n}].") for n, row in enumerate(rows))
    if "schema" in table:
        found["schema"] = _hash(needed(table, "schema", path, str), f"{path}schema")
    if "price_forms" in table:
        found["price_forms"] = texts(needed(table, "price_forms", path, list), f"{path}price_forms")
    return found


def _hash(value: str, path: str) -> bytes:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise RuleFileError(
            f"{path}: {value!r} is not a SHA-256 in 64 hex digits; bandpact authority class sign says it"
        )
    return bytes.fromhex(value)


def texts(values: list[Any], path: str) -> tuple[str, ...]:
    """Return the values as a tuple of text. Raises RuleFileError where one is not text."""
    wrong = [value for value in values if not isinstance(value, str)]
    if wrong:
        raise RuleFileError(f"{path}: {wrong[0]!r} is not text")
    return tuple(values)


def schema_value(cls: type[Any], table: Any, path: str) -> Any:
    """Return a value of a schema class from a table with a key for each field.

    Raises RuleFileError, also where the value makes no sense (`meaning_flaw`).
    """
    if not isinstance(table, dict):
        raise RuleFileError(f"{path.rstrip('.')}: not a table")
    kinds = dict(kinds_of(cls))
    known_keys(table, kinds, path)
    given = {name: kind for name, kind in kinds.items() if not kind.optional or name in table}
    made = cls(**{name: _field(table, name, kind, path) for name, kind in given.items()})
    senseless = made.meaning_flaw() if hasattr(made, "meaning_flaw") else None
    if senseless is not None:
        raise RuleFileError(f"{path.rstrip('.')}{senseless[0]}: {senseless[1]}; required: {senseless[2]}")
    return made


def _field(table: dict[str, Any], name: str, kind: FieldKind, path: str) -> Any:
    match kind.name:
        case "int" | "text":
            value = needed(table, name, path, int if kind.name == "int" else str)
            return scalar(value, kind, f"{path}{name}")
        case "array":
            values = needed(table, name, path, list)
            if not kind.low <= len(values) <= kind.high:
                raise RuleFileError(f"{path}{name}: {len(values)} of them, not {kind.low} to {kind.high}")
            return tuple(_item(one, kind.item, f"{path}{name}[{n}]") for n, one in enumerate(values))
        case _:
            return schema_value(kind.item, needed(table, name, path, dict), f"{path}{name}.")


def _item(value: Any, kind: Any, path: str) -> Any:
    if not isinstance(kind, FieldKind):
        return schema_value(kind, value, f"{path}.")
    wanted = int if kind.name == "int" else str
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise RuleFileError(f"{path}: {value!r} is not {'a whole number' if wanted is int else 'text'}")
    return scalar(value, kind, path)
