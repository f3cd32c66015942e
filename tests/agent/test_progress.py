"""What a trial tells while it runs."""

import io

from rich.console import Console

from agent.trial.progress import Reporter


def test_the_same_bytes_refused_again_are_told_once() -> None:
    out = io.StringIO()
    resent = {"event": "refusal", "node": "user-b", "peer": "holder", "reason": "REPLAY", "detail": "one record"}
    with Reporter(Console(file=out), 1.0) as reporter:
        for event in (resent, resent, {**resent, "detail": "another"}, {**resent, "node": "user-a"}):
            reporter.event(event, 1.0)
    assert [line.split()[2:] for line in out.getvalue().splitlines()] == [
        ["user-b", "refuses", "holder:", "REPLAY"],
        ["user-b", "refuses", "holder:", "REPLAY"],
        ["user-a", "refuses", "holder:", "REPLAY"],
    ]
