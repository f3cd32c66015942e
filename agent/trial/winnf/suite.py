"""Runs all certification cases and returns each result: pass, fail, or not applicable with the reason."""

from typing import Any

from agent.trial.winnf.cases import SCENES, RfCheck, Scene
from agent.trial.winnf.rig import CbsdRig
from agent.trial.winnf.tls import tls_cases

SUBJECTS = {"device": 1, "domain proxy with two": 2}


def _result(case: str, subject: str, asked: list[RfCheck]) -> dict[str, Any]:
    wrong = [one.question for one in asked if not one.holds]
    return {
        "case": case,
        "subject": subject,
        "verdict": "fail" if wrong or not asked else "pass",
        "reason": "; ".join(wrong),
        "asked": [{"question": o.question, "holds": o.holds} | ({} if o.ms is None else {"ms": round(o.ms, 3)})
                  for o in asked],
    }  # fmt: skip


def _scene(scene: Scene, subject: str, count: int) -> dict[str, Any]:
    if scene.act is None:
        reason = scene.not_applicable
        return {"case": scene.name, "subject": subject, "verdict": "not applicable", "reason": reason, "asked": []}
    return _result(scene.name, subject, list(scene.act(CbsdRig(count=count))))


def run_suite() -> dict[str, Any]:
    """Run every case for one device and for a domain proxy with two; TLS cases once, as both share one client."""
    cases = [_scene(scene, subject, count) for subject, count in SUBJECTS.items() for scene in SCENES]
    cases += [_result(name, "client", asked) for name, asked in tls_cases()]
    verdicts = [case["verdict"] for case in cases]
    stops = [
        one["ms"] for case in cases for one in case["asked"] if "stopped within" in one["question"] and "ms" in one
    ]
    return {
        "suite": "winnf",
        "passed": "fail" not in verdicts,
        "counts": {name: verdicts.count(name) for name in ("pass", "fail", "not applicable")},
        "slowest_stop_ms": max(stops, default=None),
        "rf": "a virtual radio that is on while the client's session lets it be, looked at by an oracle",
        "cases": cases,
    }
