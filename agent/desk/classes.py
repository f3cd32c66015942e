"""Commodity classes at an authority's desk: reads them from files or bandpact's own, signs them, lists the signed."""

import time
from pathlib import Path
from typing import Any

import settlement.governing
from agent.config.settings import ConfigError
from agent.desk.folder import Desk
from agent.desk.words import word_of
from hw_profiles.smallfile import read_small_text
from hw_profiles.wholefile import WholeFile
from settlement.chain import records
from settlement.chain.admission import prove
from settlement.chain.codec import kinds_of
from settlement.chain.quantities import DAY_NS
from settlement.chain.scope import Window
from settlement.core.reasons import Refusal
from settlement.governing.classfile import contradiction, read_class
from settlement.governing.plainfile import RuleFileError
from settlement.governing.soundness import may_rule
from settlement.records.authority import Admission, ClassTerms, Rule
from settlement.records.classterms import Schema

NS = 1_000_000_000
FOLDER = Path(settlement.governing.__file__).parent / "classes"


def shipped() -> list[str]:
    """The names of the classes that come with bandpact."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def class_text(name: str) -> str:
    """Return the TOML of a class: of a file, or of a class that ships with bandpact. Raises ConfigError."""
    path = Path(name) if "/" in name or name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        return read_small_text(path)
    except (OSError, UnicodeDecodeError) as exc:
        known = ", ".join(shipped())
        raise ConfigError(f"{name}: no class file that can be read; give a TOML file, or one of {known}") from exc


def checked_class(name: str, *, previous: bytes | None = None) -> Schema:
    """Read a class file and check all of it. Raises ConfigError, which names the key."""
    try:
        return read_class(class_text(name), previous=previous)
    except RuleFileError as exc:
        raise ConfigError(f"{name}: {exc}") from exc


def signed_classes(desk: Desk) -> dict[str, tuple[bytes, Schema]]:
    """Return the newest schema record of each class that this desk signed, with its hash."""
    found: dict[str, tuple[bytes, Schema]] = {}
    for raw in desk.signed:
        unproven = records.parse(raw)
        if not isinstance(unproven, records.Unproven) or unproven.schema is not Schema:
            continue
        proven = prove(raw, desk.registry)
        if not isinstance(proven, Refusal):
            found[proven.record.body.commodity] = records.digest(raw), proven.record.body
    return found


def sign_class(desk: Desk, name: str, out: Path) -> tuple[bytes, Schema]:
    """Check and sign a class; returns its hash. Never overwrites a file. Raises ConfigError."""
    body = checked_class(name)
    if body.commodity not in desk.me.scope.classes:
        raise ConfigError(f"{name}: commodity: SCOPE: {body.commodity}; this authority has {desk.me.scope.classes}")
    refusal = may_rule(desk.me.scope)
    if refusal is not None:
        raise ConfigError(f"{name}: {refusal}")
    before = signed_classes(desk).get(body.commodity)
    if before is not None:
        if body.version <= before[1].version:
            raise ConfigError(f"{name}: version: {body.version}; required: > {before[1].version}, which is signed")
        body = checked_class(name, previous=before[0])
    raw = desk.sign(body, out=lambda raw: WholeFile(path=out, data=raw, replace=False))
    return records.digest(raw), body


def judge_classes(desk: Desk, rule: Rule) -> str | None:
    """Return where a rule contradicts the schema that it names for a class; None where nothing is wrong."""
    signed = dict(signed_classes(desk).values())
    for number, terms in enumerate(rule.classes):
        if terms.schema is None:
            continue
        if terms.schema not in signed:
            return (
                f"classes[{number}].schema: {terms.schema.hex()}; sign the class first: bandpact authority class sign"
            )
        wrong = contradiction(terms, signed[terms.schema], rule.effective)
        if wrong is not None:
            return str(wrong)
    return None


def class_table(terms: ClassTerms) -> dict[str, Any]:
    """Return a class's terms in the form of a rule file."""
    return {name: _plain(value) for name, _ in kinds_of(ClassTerms) if (value := getattr(terms, name)) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, int | str):
        return value
    return {name: _plain(one) for name, _ in kinds_of(type(value)) if (one := getattr(value, name)) is not None}


def admit_participant(
    desk: Desk, name: str, *, rule: Path, classes: tuple[str, ...], days: int, barred: str | None, out: Path
) -> Admission:
    """Sign the admission of a node with a credential from this desk, or with `barred` its exclusion.

    Never overwrites a file. Raises ConfigError.
    """
    known = [one for one in desk.credentials() if one.name == name and not desk.revoked(one)]
    if not known:
        raise ConfigError(f"{name}: no such name among the credentials of this desk; see: bandpact authority show")
    strange = [one for one in classes if one not in desk.me.scope.classes]
    if strange:
        raise ConfigError(f"--class {strange[0]}: this authority has {', '.join(desk.me.scope.classes)}")
    now_ns = time.time_ns()
    body = Admission(
        subject=known[-1].hash,
        outcome=0 if barred is not None else 1,
        classes=classes or desk.me.scope.classes,
        window=Window(start_ns=now_ns - NS, end_ns=now_ns + days * DAY_NS),
        rule=records.digest(word_of(rule)),
        reason=barred,
    )
    desk.sign(body, out=lambda raw: WholeFile(path=out, data=raw, replace=False))
    return body
