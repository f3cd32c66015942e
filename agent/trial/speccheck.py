"""A scenario read as a trial would read it, without running it: what is in it, or the key that is wrong."""

from typing import Any, Final

from agent.trial.run import Options, scenario_of
from agent.trial.spec import TrialSpec
from agent.words.units import band_text
from radio.errors import RadioError
from sim.scenario import Scenario, ScenarioError

EXPECTED: Final = (RadioError,)


def checked_scenario(name_or_path: str) -> dict[str, Any]:
    """What a scenario holds. Raises ScenarioError, SourceError: one line with the key and the mend."""
    options = Options(scenario=name_or_path, seed=1, duration_s=None, recording=None, base_port=None)
    scenario, spec, duration_s = scenario_of(options)
    _fits(scenario, spec)
    return {
        "name": scenario.name,
        "about": " ".join(scenario.about.split()),
        "duration_s": duration_s,
        "nodes": [{"name": node.name, "role": node.role} for node in scenario.nodes],
        "emitters": [{"name": one.name, "kind": one.kind, "start_s": one.start_s} for one in scenario.emitters],
        "offers": [offer.model_dump() for offer in spec.offers],
        "wants": [want.model_dump() for want in spec.wants],
    }


def _fits(scenario: Scenario, spec: TrialSpec) -> None:
    """What each table allows by itself and the whole does not: somebody to offer, and who does it must be entitled."""
    scenario.first("holder")
    offering, asking = [one.node for one in spec.offers], [one.node for one in spec.wants]
    for kind, names, role in (("offers", offering, "holder"), ("wants", asking, "user")):
        for number, name in enumerate(names):
            if scenario.node(name).role != role:
                here = f"[trial] {kind}[{number}].node"
                raise ScenarioError(f"{here}: {name} is no {role}; name one, or give it that role")
    low_hz, high_hz = spec.band_hz
    for number, offer in enumerate(spec.offers):
        if not low_hz <= offer.low_hz < offer.high_hz <= high_hz:
            band = band_text(offer.low_hz, offer.high_hz)
            raise ScenarioError(f"[trial] offers[{number}]: {band} is not inside band_hz, {band_text(low_hz, high_hz)}")
    for number, want in enumerate(spec.wants):
        if not want.ask_s < want.end_s or not want.start_s < want.end_s:
            raise ScenarioError(f"[trial] wants[{number}].end_s: not after ask_s and start_s; make it later")


def in_words(said: dict[str, Any]) -> str:
    """What is in a scenario, in a few lines."""
    nodes = ", ".join(f"{node['name']} ({node['role']})" for node in said["nodes"])
    emitters = ", ".join(f"{one['name']} ({one['kind']}) from {one['start_s']:g} s" for one in said["emitters"])
    lines = [
        f"{said['name']}: {said['duration_s']:g} s, good",
        said["about"],
        f"nodes     {nodes}",
        f"emitters  {emitters or 'none'}",
        f"offers    {len(said['offers'])}, wants {len(said['wants'])}",
    ]
    return "\n".join(line for line in lines if line)
