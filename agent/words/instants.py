"""Replaces instants in a sentence, which records give as ns since 1970, by readable UTC."""

import re
import time

_INSTANT = re.compile(r"\b([1-8][0-9]{18}) ns\b")
_INTERVAL = re.compile(r"\[([1-8][0-9]{18}), ([1-8][0-9]{18})\] ns\b")


def with_instants(text: str) -> str:
    """Return the sentence with every instant of the years 2001 to 2255 as UTC, to the microsecond; the rest stays."""
    text = _INTERVAL.sub(lambda found: f"[{_utc(int(found[1]))}, {_utc(int(found[2]))}]", text)
    return _INSTANT.sub(lambda found: _utc(int(found[1])), text)


def _utc(utc_ns: int) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(utc_ns // 10**9))
    return f"{at}.{utc_ns // 1000 % 1_000_000:06d}Z"
