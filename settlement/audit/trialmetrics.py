"""Metrics of how well the signed records governed a trial, from logs alone: nothing is measured by hand or by timer.

invalid actions blocked    refused entries, by reason; replays are counted apart, as resending is no offence
revocation propagation     time from the signing of a status list to its entry in each log
credential reuse           settlements of each credential, none of which needed a new one; refused attempts to use
                           another's credential
manual review avoided      GRANTs and signed refusals by the rule alone, against settlements put under review by people
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from settlement.audit.lease import LogEntry
from settlement.chain.bodies import Accept, Confirm, Grant, Revocation, Verdict
from settlement.core.reasons import Reason
from settlement.records.verdict import REVIEW_OPENED
from settlement.state.retention import PRUNED_REASON

MISUSE = (Reason.BINDING, Reason.TRANSPORT_BINDING, Reason.KEY, Reason.SIGNATURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics; latencies in ms, None where no such event happened."""

    blocked: Mapping[str, int]
    replays: int
    propagation_ms: tuple[float, ...]
    settlements_by_credential: Mapping[str, int]
    misuse_refused: int
    decided: int
    reviewed: int

    def as_json(self) -> dict[str, object]:
        """Return the metrics as plain values for a result file."""
        took = sorted(self.propagation_ms)
        used = self.settlements_by_credential
        return {
            "invalid_actions_blocked": sum(self.blocked.values()),
            "blocked_by_reason": dict(sorted(self.blocked.items())),
            "replays_answered": self.replays,
            "revocation_propagation_ms": {"taken": len(took), "max": round(took[-1], 3) if took else None},
            "credential_reuse": {
                "settlements_by_credential": dict(sorted(used.items())),
                "most": max(used.values(), default=0),
                "misuse_refused": self.misuse_refused,
            },
            "manual_review_avoided": {
                "decided_by_rule": self.decided - self.reviewed,
                "reviewed": self.reviewed,
                "share": round((self.decided - self.reviewed) / self.decided, 6) if self.decided else None,
            },
        }


def metrics(logs: Mapping[str, Iterable[LogEntry]]) -> Metrics:
    """Compute the metrics from several logs; a record in many logs counts once, a refusal in every log that has it."""
    blocked: Counter[str] = Counter()
    took: list[float] = []
    settled: dict[bytes, tuple[str, ...]] = {}
    parties: dict[bytes, str] = {}
    decided: set[bytes] = set()
    reviewed: set[bytes] = set()
    for entries in logs.values():
        for entry in entries:
            record, leaf = entry.record, entry.leaf
            if not leaf.admitted:
                blocked[leaf.reason or ""] += 1
                continue
            if record is None:
                continue
            match record.body:
                case Revocation():
                    took.append((leaf.arrived_latest_ns - record.frame.attestation.latest_ns) / 1e6)
                case Accept():
                    parties[record.body.sid] = entry.actor
                case Grant():
                    decided.add(record.body.request)
                case Confirm():
                    settled[record.body.sid] = (entry.actor,)
                case Verdict(clause=clause) if clause == REVIEW_OPENED:
                    reviewed.add(record.body.subject)
                case Verdict(reason=reason) if reason not in (Reason.RECEIVED.value, PRUNED_REASON):
                    decided.add(record.body.subject)
                case _:
                    pass
    replays = blocked.pop(Reason.REPLAY.value, 0)
    used = Counter(name for sid, names in settled.items() for name in (*names, parties.get(sid, "unknown")))
    return Metrics(
        blocked=blocked,
        replays=replays,
        propagation_ms=tuple(took),
        settlements_by_credential=used,
        misuse_refused=sum(blocked[reason.value] for reason in MISUSE),
        decided=len(decided),
        reviewed=len(reviewed),
    )
