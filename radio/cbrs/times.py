"""Times of the SAS-CBSD interface: `YYYY-MM-DDThh:mm:ssZ`, UTC, whole seconds."""

import re
from datetime import UTC, datetime

NS = 1_000_000_000
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def parse(value: object) -> int | None:
    """Nanoseconds since the Unix epoch; None where the time is absent, NULL, of another form, or not a real date."""
    if not isinstance(value, str) or not _FORM.fullmatch(value):
        return None
    try:
        found = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(found.timestamp()) * NS


def shown(utc_ns: int) -> str:
    """Format an instant as the whole second at or before it: a sent expiry must not be later than its cause."""
    return datetime.fromtimestamp(utc_ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def floor_ns(utc_ns: int) -> int:
    """The instant that `shown` says, in ns."""
    return utc_ns // NS * NS
