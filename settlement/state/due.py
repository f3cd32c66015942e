"""Whether it is time for another look at something that a tick looks at now and then."""


def is_due(next_ns: int, now_ns: int, *, apart_ns: int) -> bool:
    """Whether a look that was put off until `next_ns` is due.

    None is ever put off by more than `apart_ns`: where more than that is left the clock was set back, and it is due.
    """
    return not now_ns < next_ns <= now_ns + apart_ns
