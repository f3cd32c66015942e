"""Time and memory of an audit, for two logs, each in its own process: one is four times as long as the other."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agent.bench.auditlog import AuditLog, make_log
from hw_profiles.memory import peak_mib
from settlement.audit.crosscheck import cross_check
from settlement.audit.verify import audit_lineage
from settlement.chain import keys
from settlement.chain.keys import SigningKey

SHARE = 4
SIGNATURES = 500
MESSAGE = 600


def run(folder: Path, *, entries: int) -> dict[str, Any]:
    """Make both logs in `folder` and audit them. Raises RuntimeError where an audit finds anything wrong."""
    found = {}
    for name, size in (("quarter", entries // SHARE), ("full", entries)):
        place = folder / name
        place.mkdir()
        found[name] = _apart(make_log(place, size))
    full = found["full"]
    each_us = 1e6 / full["entries"]
    return {
        "entries": full["entries"],
        "settlements": full["settlements"],
        "cores": os.cpu_count() or 1,
        "wall_us_per_entry": round(full["wall_s"] * each_us, 1),
        "cpu_us_per_entry": round((full["here_s"] + full["others_s"]) * each_us, 1),
        "here_us_per_entry": round(full["here_s"] * each_us, 1),
        "others_us_per_entry": round(full["others_s"] * each_us, 1),
        "bare_verify_us": _bare_us(),
        "rss_quarter_mib": found["quarter"]["grown_mib"],
        "rss_full_mib": full["grown_mib"],
    }


def _bare_us() -> float:
    """Return the processor time in us of one bare signature check."""
    key, message = SigningKey.from_seed(bytes(32)), bytes(MESSAGE)
    signature, began_s = key.sign(message), time.process_time()
    for _ in range(SIGNATURES):
        keys.verify_anew(key.public, signature, message)
    return round((time.process_time() - began_s) / SIGNATURES * 1e6, 1)


def _apart(log: AuditLog) -> dict[str, Any]:
    """Audit a log in another process."""
    words = [str(log.path), log.network, *(anchor.hex() for anchor in log.anchors)]
    command = [sys.executable, "-P", "-m", "agent.bench.auditrate", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the audit of the bench failed: {done.stderr[-500:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said | {"settlements": log.settlements}


def measured(path: Path, network: str, anchors: list[bytes]) -> dict[str, Any]:
    """Audit a log in this process. Raises RuntimeError where it does not verify."""
    began_s, used_s = time.perf_counter(), time.process_time()
    audited = audit_lineage(path, network=network, anchors=anchors)
    crossed = cross_check([audited])
    wall_s, here_s = time.perf_counter() - began_s, time.process_time() - used_s
    if audited.findings.problems or crossed.problems:
        raise RuntimeError(f"the log of the bench does not hold: {audited.findings.problems or crossed.problems}")
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "entries": audited.records,
        "wall_s": wall_s,
        "here_s": here_s,
        "others_s": others.ru_utime + others.ru_stime,
        "grown_mib": round(peak_mib(), 1),
    }


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]), sys.argv[2], [bytes.fromhex(one) for one in sys.argv[3:]])))
