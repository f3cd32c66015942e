"""Jurisdictions from TOML with full key names, checked key by key, converted into the body that an authority signs."""

import tomllib
from typing import Any

from hw_profiles.tomltext import read_toml
from settlement.chain.codec import kinds_of
from settlement.chain.meaning import flaw_of
from settlement.chain.scope import Window
from settlement.governing.marketfile import schema_value
from settlement.governing.plainfile import RuleFileError, area_of, instant_ns, known_keys, needed, scalar
from settlement.records.jurisdiction import Jurisdiction, JurisdictionTerms

_DERIVED = {"effective"}


def read_jurisdiction(text: str) -> Jurisdiction:
    """Return the body of a jurisdiction from its TOML text. Raises RuleFileError, whose message names the key."""
    try:
        table = read_toml(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise RuleFileError(f"not TOML: {exc}") from exc
    kinds = dict(kinds_of(Jurisdiction))
    known_keys(table, [*(set(kinds) - _DERIVED), "effective_from", "effective_until"], "")
    window = Window(start_ns=instant_ns(table, "effective_from"), end_ns=instant_ns(table, "effective_until"))
    if window.start_ns >= window.end_ns:
        raise RuleFileError("effective_until: not after effective_from")
    texts = {
        name: scalar(needed(table, name, "", str), kinds[name], name)
        for name in ("name", "clause", "reconciliation")
        if name in table or not kinds[name].optional
    }
    body = Jurisdiction(
        **texts,
        area=area_of(needed(table, "area", "", dict), "area."),
        effective=window,
        classes=_classes(needed(table, "classes", "", list)),
    )
    senseless = flaw_of(body)
    if senseless is not None:
        path = senseless.clause.removeprefix("meaning.jurisdiction.").removeprefix("meaning.")
        raise RuleFileError(f"{path}: {senseless.measured}; required: {senseless.required}")
    return body


def _classes(rows: list[Any]) -> tuple[JurisdictionTerms, ...]:
    """Return the terms of each class. Raises RuleFileError where a class is twice, or price_low above price_high."""
    most = dict(kinds_of(Jurisdiction))["classes"].high
    if not 1 <= len(rows) <= most:
        raise RuleFileError(f"classes: {len(rows)} of them, not 1 to {most}")
    found: list[JurisdictionTerms] = []
    for number, row in enumerate(rows):
        here = f"classes[{number}]."
        terms: JurisdictionTerms = schema_value(JurisdictionTerms, row, here)
        if terms.commodity in {one.commodity for one in found}:
            raise RuleFileError(f"{here}commodity: {terms.commodity!r} is named before it")
        if terms.price_low > terms.price_high:
            raise RuleFileError(f"{here}price_high: {terms.price_high} is below price_low {terms.price_low}")
        found.append(terms)
    return tuple(found)
