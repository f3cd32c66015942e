"""Counters of a samples door: every sample that was not carried, by its cause."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """Totals since the door opened, in the program's samples unless said otherwise.

    Of what the program sends: `taken` in all; `sent` handed to the warden; `closed` dropped while the gate was closed;
    `quiet` dropped while the node listened; `underflow` missing when they were due, or
    dropped with the rest of a slot behind such a hole; `overrun` beyond what is kept;
    `stalled` dropped because this process was held up; `not_finite` NaN or infinite, sent as zero.
    `malformed` counts messages dropped whole, because they are no whole number of samples or have several parts.
    Of what is received: `given` to the program; `lost` by the radio and `silence` where it gave nothing, both filled
    with zeros so that time goes on; `unread` dropped because the program did not read them.
    """

    taken: int = 0
    sent: int = 0
    closed: int = 0
    quiet: int = 0
    underflow: int = 0
    overrun: int = 0
    stalled: int = 0
    not_finite: int = 0
    malformed: int = 0
    given: int = 0
    lost: int = 0
    silence: int = 0
    unread: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)
