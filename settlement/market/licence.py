"""Whether a licence lets something be done with a recording: for a use, handed to somebody, at an instant. Pure."""

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.classterms import SPREADS, USES, LicenceTerms


def judge_use(licence: LicenceTerms, *, use: str, to: str, made_ns: int, now_ns: int) -> Refusal | None:
    """Return None where the licence allows a use of a recording; else the first term that does not.

    Args: use: one of USES. to: one of SPREADS, the group that gets the recording. made_ns, now_ns: UTC.
    """
    if use not in USES:
        return refuse(Reason.TERMS, "licence.use", use, f"one of {', '.join(USES)}")
    if "any" not in licence.use and use not in licence.use:
        return refuse(Reason.TERMS, "licence.use", use, ", ".join(licence.use))
    if to not in SPREADS:
        return refuse(Reason.TERMS, "licence.redistribute", to, f"one of {', '.join(SPREADS)}")
    if SPREADS.index(to) > SPREADS.index(licence.redistribute):
        return refuse(Reason.TERMS, "licence.redistribute", to, f"no wider than {licence.redistribute}")
    if now_ns >= made_ns + licence.keep_ns:
        return refuse(Reason.EXPIRED, "licence.keep_ns", f"{now_ns - made_ns} ns old", f"< {licence.keep_ns} ns")
    return None


def kept_until_ns(licence: LicenceTerms, retention_ns: int | None, made_ns: int) -> tuple[int, str]:
    """Return until when something may be kept (UTC, ns), and by which term."""
    if retention_ns is not None and retention_ns <= licence.keep_ns:
        return made_ns + retention_ns, "retention.recordings"
    return made_ns + licence.keep_ns, "licence.keep_ns"
