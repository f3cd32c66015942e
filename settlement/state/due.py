"""Whether a periodic check is due."""


def is_due(next_ns: int, now_ns: int, *, apart_ns: int) -> bool:
    """Whether a check that was put off until `next_ns` is due.

    No check is put off by more than `apart_ns`: if more is left, the clock was set back, and the check is due.
    """
    return not now_ns < next_ns <= now_ns + apart_ns
