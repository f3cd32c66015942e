"""Rules on a dispute at an authority's desk: reads the case file, replays it, signs the result."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.config.settings import ConfigError
from agent.desk.folder import CLOCK_BOUND_NS, Desk
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import WholeFile
from settlement.chain.admission import Admitted, prove
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.disputes.case import DisputeCase
from settlement.disputes.casefile import read_case
from settlement.disputes.rulings import ruling_by
from settlement.records.complaint import Ruling


def case_in(path: Path, desk: Desk) -> DisputeCase:
    """Read the case in a file, verified from this desk's own root. Raises ConfigError."""
    try:
        data = read_small(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; give what bandpact dispute show --case wrote") from exc
    case = read_case(data, network=desk.network, anchors=desk.registry.anchors)
    if isinstance(case, Refusal):
        raise ConfigError(f"{path}: {case}; {_mend(case)}")
    return case


def _mend(refusal: Refusal) -> str:
    """Return the remedy for a case that this desk cannot accept."""
    if refusal.reason in (Reason.UNKNOWN_AUTHOR, Reason.DOMAIN):
        below = "rule at a desk below its root where it is under another root"
        return f"{below}, and have the node write the case again where it is not"
    if refusal.reason in (Reason.MALFORMED, Reason.NONCANONICAL, Reason.FORBIDDEN_TYPE, Reason.TOO_LARGE):
        return "no case file; give what bandpact dispute show --case wrote"
    return "have the node write the case again"


def _rulings(desk: Desk) -> Iterator[Ruling]:
    """Yield the rulings that this desk signed with its present key."""
    for raw in desk.signed:
        known = prove(raw, desk.registry)
        if isinstance(known, Admitted) and isinstance(known.record.body, Ruling):
            yield known.record.body


def rule_on(desk: Desk, path: Path, out: Path) -> dict[str, Any]:
    """Sign the ruling that follows from a case; returns its content. Raises ConfigError; never overwrites a file."""
    case = case_in(path, desk)
    before = next((one for one in _rulings(desk) if one.dispute == case.dispute.digest), None)
    if before is not None:
        raise ConfigError(f"{path}: CONFLICT: this desk ruled on it: {before.outcome}; it goes to the next level")
    due = ruling_by(case, desk.me, time.time_ns() - CLOCK_BOUND_NS)
    if isinstance(due, Refusal):
        raise ConfigError(f"{path}: {due}")
    names = {case.accused.hash: case.accused.name, case.injured.hash: case.injured.name}
    raw = desk.sign(due, out=lambda raw: WholeFile(path=out, data=raw, replace=False))
    return {
        "ruling": digest(raw).hex(),
        "dispute": due.dispute.hex(),
        "sid": due.sid.hex(),
        "outcome": due.outcome,
        "compensation": due.compensation,
        "pays": names.get(due.pays or b""),
        "to": names.get(due.to or b""),
        "corrects": names.get(due.corrects or b""),
        "strikes": due.strikes.hex() if due.strikes is not None else None,
        "reason": due.reason,
        "level": case.level + 1,
    }
