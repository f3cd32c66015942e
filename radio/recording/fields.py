"""Reads SigMF metadata field by field with type checks; a field of the wrong type is refused by its name."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from radio.errors import SourceError

INDEX_MAX: Final = 2**63 - 1
SHOWN_MAX: Final = 40
PARTS_MAX: Final = 1_000_000
"""Most objects and lists in the metadata: 2 bytes of text take 150 in memory, 64 MiB would take 3 GiB."""
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?\s*([Zz]|[+-]\d\d:?\d\d)?\Z", re.ASCII
)
NS: Final = 10**9


def parsed(raw: bytes, *, where: str) -> dict[str, Any]:
    """Parse metadata into an object without repeated keys; raises SourceError for anything else."""
    if raw.count(b"{") + raw.count(b"[") > PARTS_MAX:
        raise SourceError(f"{where}: more than {PARTS_MAX} objects in its metadata; split the recording")
    try:
        meta = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError as exc:
        raise SourceError(f"{where}: its metadata is not UTF-8 (byte {exc.start}); record or copy it again") from exc
    except (ValueError, RecursionError) as exc:
        reason = "nested too deep" if isinstance(exc, RecursionError) else shown(exc, most=90)
        raise SourceError(f"{where}: not valid JSON ({reason}); record or copy it again") from exc
    if not isinstance(meta, dict) or not isinstance(meta.get("global"), dict):
        raise SourceError(f"{where}: has no SigMF global object; record or copy it again")
    return meta


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        first = dict[str, int]()
        twice = next(key for number, (key, _) in enumerate(pairs) if first.setdefault(key, number) != number)
        raise ValueError(f"{shown(twice)} is there twice")
    return made


def shown(value: object, *, most: int = SHOWN_MAX) -> str:
    """Format an untrusted value for a message: short, printable, on one line."""
    try:
        text = str(value) if isinstance(value, Exception) else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or very deeply nested lists
        text = f"a {type(value).__name__} too long to show"
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"


class Fields:
    """The fields of one metadata object; null counts as missing. Every method raises SourceError."""

    def __init__(self, held: Mapping[str, Any], *, where: str) -> None:
        """Args: where names the file and the object, for messages."""
        self._held, self._where = held, where

    def refuse(self, key: str, mend: str) -> SourceError:
        """Make the error that names a field, its value and what to write instead."""
        return SourceError(f"{self._where}: {key} is {shown(self._held.get(key))}; {mend}")

    def has(self, key: str) -> bool:
        """Whether the field is present and not null."""
        return self._held.get(key) is not None

    def number(self, key: str, *, low: float = -1e15, high: float = 1e15, mend: str) -> float | None:
        """A finite number from `low` to `high`; None where missing."""
        value = self._held.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(key, mend)
        if not (math.isfinite(value) if isinstance(value, float) else True) or not low <= value <= high:
            raise self.refuse(key, mend)
        return float(value)

    def index(self, key: str, *, mend: str) -> int | None:
        """A whole number, 0 or more (12.0 counts as one); None where missing."""
        value = self._held.get(key)
        if value is None:
            return None
        whole = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value == int(value))
        if isinstance(value, bool) or not whole or not 0 <= value <= INDEX_MAX:
            raise self.refuse(key, mend)
        return int(value)

    def text(self, key: str, *, mend: str = "write text") -> str | None:
        """A text; None where missing."""
        value = self._held.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.refuse(key, mend)

    def flag(self, key: str) -> bool:
        """A boolean; False where missing."""
        value = self._held.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.refuse(key, "write true or false")

    def objects(self, key: str) -> list[dict[str, Any]]:
        """A list of objects; empty where missing."""
        value = self._held.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.refuse(key, "write a list of objects")
        return value

    def object(self, key: str) -> dict[str, Any]:
        """An object; empty where missing."""
        value = self._held.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refuse(key, "write an object")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty where missing."""
        value = self._held.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.refuse(key, "write a list of texts")
        return value

    def instant(self, key: str) -> tuple[int, int] | None:
        """A time as nanoseconds since 1970, and the resolution it is written in, ns; None where missing or empty."""
        text = self.text(key, mend="write a time like 2026-01-31T12:00:00.000Z")
        if not text:
            return None
        match = _TIME.match(text.strip())
        if match is None:
            raise self.refuse(key, "write a time like 2026-01-31T12:00:00.000Z")
        year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
        try:
            whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        except ValueError as exc:
            raise self.refuse(key, "write a time that exists, like 2026-01-31T12:00:00.000Z") from exc
        if second > 60:
            raise self.refuse(key, "write a time that exists, like 2026-01-31T12:00:00.000Z")
        digits = match[7] or ""
        shift_s = _shift_s(match[8] or "Z") if match[8] else 0
        at_s = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) + (second == 60) - shift_s
        return at_s * NS + int((digits + "0" * 9)[:9]), max(1, 10 ** (9 - min(9, len(digits))))


def _shift_s(zone: str) -> int:
    if zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def written_time(utc_ns: int) -> str:
    """Format nanoseconds since 1970 as a SigMF time, to the nanosecond."""
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=utc_ns // NS)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{utc_ns % NS:09d}Z"
