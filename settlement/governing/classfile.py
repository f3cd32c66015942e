"""Commodity classes from TOML with full key names, checked key by key, converted into a `schema` record.

A class file that contradicts itself is refused; the message names the wrong key. `class_terms` makes the table of the
class in a rule; `contradiction` finds where a rule's table says something else than the schema that it names.
"""

import tomllib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hw_profiles.tomltext import read_toml
from settlement.chain.codec import kinds_of
from settlement.chain.scope import HZ, Band, Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.governing.marketfile import schema_value
from settlement.governing.plainfile import RuleFileError, known_keys, needed
from settlement.pair.recognition import KINDS
from settlement.records.authority import ClassTerms
from settlement.records.classterms import Schema

DERIVED = ("effective", "previous")
NS = 1_000_000_000
ACCEPT_NS, CONFIRM_NS, LEASE_NS, VACATE_NS = 2 * NS, 2 * NS, 3 * NS, NS // 2
PRICE_HIGH = 1_000_000
OUT_OF_BAND_MDBM = -13_000
Complaint = tuple[str, object, str]


def read_class(text: str, *, previous: bytes | None = None) -> Schema:
    """Return the schema of a class from its TOML text. Raises RuleFileError, whose message names the key.

    Args: previous: the SHA-256 of the schema record that this one follows; None for the first.
    """
    try:
        table = read_toml(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise RuleFileError(f"not TOML: {exc}") from exc
    plain = [name for name, _ in kinds_of(Schema) if name not in DERIVED]
    known_keys(table, [*plain, "effective_from", "effective_until"], "")
    for key in ("unit", "quantity", "raster", "low", "high", "time_unit_ns", "max_window_ns"):
        if key not in table:
            raise RuleFileError(f"{key}: missing; add it")
    window = {"start_ns": _instant(table, "effective_from"), "end_ns": _instant(table, "effective_until")}
    body = {name: value for name, value in table.items() if name in plain} | {"effective": window}
    try:
        made: Schema = schema_value(Schema, body, "")
    except RuleFileError as exc:
        raise RuleFileError(str(exc).removeprefix(".")) from exc
    strange = [kind for kind in made.recognition if kind not in KINDS]
    if strange:
        raise RuleFileError(f"recognition: {strange[0]!r} is none of {', '.join(KINDS)}")
    wrong = class_flaw(made)
    if wrong is not None:
        raise RuleFileError(f"{wrong.clause.removeprefix('class.')}: {wrong.measured}; required: {wrong.required}")
    return Schema(**{name: getattr(made, name) for name, _ in kinds_of(Schema)} | {"previous": previous})


def _instant(table: dict[str, Any], key: str) -> int:
    value: datetime = needed(table, key, "", datetime)
    if value.tzinfo is None:
        raise RuleFileError(f"{key}: {value} has no time zone; write it with a Z")
    return int(value.timestamp()) * NS + value.microsecond * 1000


def class_flaw(schema: Schema) -> Refusal | None:
    """Return the first contradiction in a class: TERMS with the key; None where the class is consistent."""
    found = next(_complaints(schema), None)
    return None if found is None else refuse(Reason.TERMS, f"class.{found[0]}", found[1], found[2])


def _complaints(schema: Schema) -> Iterator[Complaint]:
    yield from _amounts(schema)
    yield from _times(schema)
    yield from _sensing(schema)
    yield from _prices(schema)
    yield from _keeping(schema)
    names = [axis.name for axis in schema.axes]
    if len(set(names)) != len(names):
        yield "axes", "one axis twice", "each name once"
    unit = schema.unit or HZ
    odd = next((axis for axis in schema.axes if axis.name == "quantity" and axis.unit != unit), None)
    if odd is not None:
        yield "axes", f"quantity in {odd.unit}", f"in unit, {unit}"


def _amounts(schema: Schema) -> Iterator[Complaint]:
    low, high, raster = schema.low, schema.high, schema.raster
    if low is not None and high is not None and low >= high:
        yield "low", low, f"< high, {high}"
    for key, edge in (("low", low), ("high", high)):
        if raster is not None and edge is not None and edge % raster:
            yield key, edge, f"a multiple of raster, {raster}"
    if schema.quantity == "blocks" and None not in (raster, low, high) and (high or 0) - (low or 0) < (raster or 0):
        yield "raster", raster, f"no wider than low to high, {(high or 0) - (low or 0)}"
    if (schema.users or 1) > 1 and (schema.unit or HZ) == HZ:
        yield "users", schema.users, "1: frequencies have one user at a time"
    if schema.place == "link" and schema.corridor_mm is None:
        yield "corridor_mm", "absent", "a width, where place is link"
    if schema.place != "link" and schema.corridor_mm is not None:
        yield "corridor_mm", schema.corridor_mm, "absent, where place is not link"


def _times(schema: Schema) -> Iterator[Complaint]:
    unit_ns, most_ns = schema.time_unit_ns, schema.max_window_ns
    if unit_ns is not None and most_ns is not None and (most_ns < unit_ns or most_ns % unit_ns):
        yield "max_window_ns", most_ns, f"a multiple of time_unit_ns, {unit_ns}"
    life_ns = schema.effective.end_ns - schema.effective.start_ns
    if most_ns is not None and most_ns > life_ns:
        yield "max_window_ns", most_ns, f"<= {life_ns}, from effective_from to effective_until"
    for number, one in enumerate(schema.fallbacks or ()):
        if most_ns is not None and one.notice_ns > most_ns:
            yield f"fallbacks[{number}].notice_ns", one.notice_ns, f"<= max_window_ns, {most_ns}"
        if one.scope == "none" and len(schema.fallbacks or ()) > 1:
            yield f"fallbacks[{number}].scope", "none", "alone, or left out beside others"


def _sensing(schema: Schema) -> Iterator[Complaint]:
    if schema.envelope and (schema.unit or HZ) != HZ:
        yield "envelope", ", ".join(schema.envelope), f"none: nothing senses {schema.unit}"
    if len(set(schema.envelope or ())) != len(schema.envelope or ()):
        yield "envelope", "one dimension twice", "each once"


def _prices(schema: Schema) -> Iterator[Complaint]:
    forms = schema.price_forms or ()
    if len(set(forms)) != len(forms):
        yield "price_forms", "one form twice", "each once"
    if forms and schema.currency is None:
        yield "currency", "absent", "a code, where price_forms are"
    if "auction" in forms and schema.quantity == "continuous":
        yield "price_forms", "auction", "quantity blocks: what is bid for is one block"


def _keeping(schema: Schema) -> Iterator[Complaint]:
    kinds = [one.what for one in schema.retention or ()]
    if len(set(kinds)) != len(kinds):
        yield "retention", "one kind twice", "each once"
    licence = schema.licence
    for number, one in enumerate(schema.retention or ()):
        if licence is not None and one.what in ("recordings", "envelopes") and one.keep_ns > licence.keep_ns:
            yield f"retention[{number}].keep_ns", one.keep_ns, f"<= licence.keep_ns, {licence.keep_ns}"


def unit_of(schema: Schema) -> str | None:
    """Return the unit that bands of a class count, as bands state it: None for Hz."""
    return None if schema.unit == HZ else schema.unit


def class_terms(schema: Schema, digest: bytes, *, max_eirp_mdbm: int) -> ClassTerms:
    """Return the terms of a class in a rule: from its schema, and defaults for what the schema does not say.

    The defaults are the constants of this module: times to accept, to confirm and to vacate, lease, highest price,
    out-of-band limit.

    Args: digest: SHA-256 of the signed schema record. max_eirp_mdbm: the most EIRP that the rule's authority can allow,
    in thousandths of a dBm.
    """
    return ClassTerms(
        name=schema.commodity,
        raster_hz=schema.raster or 1,
        time_unit_ns=schema.time_unit_ns or 1,
        max_window_ns=schema.max_window_ns or 1,
        max_eirp_mdbm=max_eirp_mdbm,
        accept_ns=ACCEPT_NS,
        confirm_ns=CONFIRM_NS,
        lease_ns=LEASE_NS,
        vacate_ns=VACATE_NS,
        price_low=0,
        price_high=PRICE_HIGH,
        out_of_band_mdbm_per_mhz=OUT_OF_BAND_MDBM,
        max_ahead_ns=schema.max_ahead_ns,
        envelope_required=1 if schema.envelope else None,
        currency=schema.currency,
        price_forms=schema.price_forms,
        unit=unit_of(schema),
        schema=digest,
        licence=schema.licence,
        retention=schema.retention,
        users=schema.users,
    )


def band_of(schema: Schema) -> Band:
    """Return the whole range of a class, as a rule's `bands` name it."""
    return Band(low_hz=schema.low or 0, high_hz=schema.high or 1, unit=unit_of(schema))


def contradiction(terms: ClassTerms, schema: Schema, effective: Window) -> Refusal | None:
    """Return the first key in which a class of a rule contradicts its schema (TERMS); None if it is no wider.

    Args: effective: the rule's window; the schema must be in force over all of it.
    """
    forms = schema.price_forms
    checks: tuple[tuple[str, bool, object, object], ...] = (
        ("name", terms.name == schema.commodity, terms.name, schema.commodity),
        ("unit", terms.unit == unit_of(schema), terms.unit or HZ, schema.unit or HZ),
        ("raster_hz", terms.raster_hz % (schema.raster or 1) == 0, terms.raster_hz, f"multiple of {schema.raster}"),
        (
            "time_unit_ns",
            terms.time_unit_ns % (schema.time_unit_ns or 1) == 0,
            terms.time_unit_ns,
            f"a multiple of {schema.time_unit_ns}",
        ),
        (
            "max_window_ns",
            schema.max_window_ns is None or terms.max_window_ns <= schema.max_window_ns,
            terms.max_window_ns,
            f"<= {schema.max_window_ns}",
        ),
        (
            "max_ahead_ns",
            schema.max_ahead_ns is None
            or (terms.max_ahead_ns is not None and terms.max_ahead_ns <= schema.max_ahead_ns),
            terms.max_ahead_ns,
            f"<= {schema.max_ahead_ns}",
        ),
        (
            "price_forms",
            forms is None or (terms.price_forms is not None and set(terms.price_forms) <= set(forms)),
            terms.price_forms,
            forms,
        ),
        ("currency", schema.currency in (None, terms.currency), terms.currency, schema.currency),
        ("users", (terms.users or 1) <= (schema.users or 1), terms.users or 1, f"<= {schema.users or 1}"),
        ("envelope_required", not schema.envelope or terms.envelope_required == 1, terms.envelope_required, 1),
        ("licence", schema.licence in (None, terms.licence), terms.licence, "the schema's"),
        ("retention", schema.retention in (None, terms.retention), terms.retention, "the schema's"),
        ("effective", schema.effective.holds(effective), "the rule's window", "inside the schema's"),
    )
    for key, held, measured, required in checks:
        if not held:
            return refuse(Reason.TERMS, f"classes.{terms.name}.{key}", measured, required)
    return None
