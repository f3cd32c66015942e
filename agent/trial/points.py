"""Results of a trial's scenario: its market by signed records, and hand-overs by the oracle."""

from typing import Any

from agent.audit.marketpoints import market_points
from agent.trial.collect import Collected
from agent.trial.handedpoints import handed_on


def points(c: Collected) -> dict[str, Any]:
    """Return the trial's `scenario` in JSON."""
    scenario = c.finished.layout.scenario
    found = list({r.digest: r for records in c.records.values() for r in records}.values())
    parties = {issued.name: issued.chain for issued in c.finished.layout.nodes}
    return {
        "name": scenario.name,
        "about": " ".join(scenario.about.split()),
        **market_points(c.name_of, parties, found),
        "handed_on": handed_on(c, found),
    }
