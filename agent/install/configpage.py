"""Generates docs/configuration.md from the configuration models: every key with its type, default and limits."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agent.config.settings import NodeConfig
from agent.kit.spec import TrialFile

UNITS: Final = {
    "_mdbm": "thousandths of a dBm",
    "_mdb": "thousandths of a dB",
    "_hz": "Hz",
    "_mm_per_s": "mm/s",
    "_mm": "mm",
    "_e7": "degrees × 10⁷",
    "_ppb": "parts per 10⁹",
    "_us": "µs",
    "_ms_per_s": "ms per s",
    "_ms": "ms",
    "_ns": "ns",
    "_s": "s",
    "_bytes": "bytes",
    "_bytes_per_s": "bytes/s",
    "_per_s": "per s",
    "_min": "at least",
}
WRITTEN: Final = {
    "band": "a band, `3550-3570MHz`",
    "max_eirp": "a power, `30dBm`",
    "eirp": "a power, `20dBm`",
    "life": "whole days, `30d`",
    "status_list": "whole days, `7d`",
    "area": "a circle, `36.95N 76.30W 20km`",
    "place": "a place, `36.95N 76.30W`",
    "for": "a time, `5min`",
    "listen": "an address, `192.0.2.7:4711`",
    "door": "an address, `192.0.2.7:4713`",
}
HEAD: Final = """# Configuration

Made from the models that read the files (`make docs`); a test holds this page and the code together.

Two files are written by people: the trial's file, which [`bandpact kit make`](quickstart.md) reads, and a node's
`node.toml`, which the kit writes and which may be edited. Quantities in a trial's file carry their unit. Keys of
`node.toml` end in theirs: `_hz`, `_mdbm` (thousandths of a dBm), `_mm`, `_e7` (degrees × 10⁷), `_us`, `_ms`, `_s`.
`bandpact config check NODE` names file, line and key of a mistake; `bandpact config show NODE --origin` says where each
value comes from: flags, then `BANDPACT_…` variables (nested keys joined by `__`), then the file, then
`~/.config/bandpact/config.toml`, then `/etc/bandpact/config.toml`. A key that is not here is refused.
"""


def configuration() -> str:
    """Return the whole page."""
    parts = [HEAD, "\n## The trial's file\n", *_tables(TrialFile, "", people=True)]
    parts += ["\n## `node.toml`\n", *_tables(NodeConfig, "", people=False)]
    return "\n".join(parts).rstrip() + "\n"


def _tables(model: type[BaseModel], path: str, *, people: bool) -> Iterator[str]:
    """Yield a model's own table, then those of the models in it."""
    if path:
        yield f"\n### `{path}`\n"
    yield " ".join(" ".join((model.__doc__ or "").split("\n\nArgs")[0].split()).split())
    yield "\n| Key | What it is | If left out | Limits |\n|---|---|---|---|"
    below: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner, many = _inside(field.annotation)
        yield f"| `{key}` | {_what(key, field, people=people)} | {_default(field)} | {_limits(field)} |"
        below += [(_path(path, key, one, many=many, among=len(inner)), one) for one in inner]
    for where, one in below:
        yield from _tables(one, where, people=people)


def _path(path: str, key: str, model: type[BaseModel], *, many: bool, among: int) -> str:
    bare = path.strip("[]")
    whole = f"{bare}.{key}" if bare else key
    kind = model.model_fields.get("kind") or model.model_fields.get("driver")
    named = f", {' or '.join(map(str, get_args(kind.annotation)))}" if kind is not None and among > 1 else ""
    return (f"[[{whole}]]" if many else f"[{whole}]") + named


def _inside(annotation: Any) -> tuple[list[type[BaseModel]], bool]:
    """Return the models that a value may be, and whether it is a list of them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _inside(get_args(annotation)[0])
    if origin in (list, tuple):
        return _inside(get_args(annotation)[0])[0], True
    if origin in (Union, UnionType):
        found = [_inside(one) for one in get_args(annotation) if one is not NoneType]
        return [model for models, _ in found for model in models], any(many for _, many in found)
    return ([annotation], False) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ([], False)


def _what(key: str, field: FieldInfo, *, people: bool) -> str:
    models, many = _inside(field.annotation)
    said = " ".join((field.description or "").split())
    if models:
        kind = "tables, below" if many else "a table, below"
    elif people and key in WRITTEN:
        kind = WRITTEN[key]
    else:
        kind = _kind(field.annotation)
        unit = next((unit for ending, unit in UNITS.items() if key.endswith(ending)), "")
        kind = f"{kind}, {unit}" if unit else kind
    return f"{kind}. {said}" if said else kind


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(parts[0])
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in parts)
    if origin in (Union, UnionType):
        return " or ".join(_kind(one) for one in parts if one is not NoneType)
    if origin is list:
        return f"list of {_kind(parts[0])}"
    if origin is tuple:
        return "(" + ", ".join(_kind(one) for one in parts) + ")"
    names = {"int": "whole number", "str": "text", "float": "number", "bool": "true or false", "Path": "path"}
    return names.get(getattr(annotation, "__name__", ""), "value")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value not in ("", []) else "empty"


def _limits(field: FieldInfo) -> str:
    """Return the limits that the model itself checks."""
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in words.items()
        if getattr(rule, name, None) is not None
    ]
    found += [f"at least {rule.min_length}" for rule in field.metadata if getattr(rule, "min_length", None)]
    found += [f"at most {rule.max_length}" for rule in field.metadata if getattr(rule, "max_length", None)]
    pattern = next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), None)
    return ", ".join(found) or (f"`{pattern}`".replace("|", "\\|") if pattern else "")
