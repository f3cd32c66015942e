"""Checks a scenario without running it: returns its content, or the key at fault."""

from typing import Any, Final

from agent.trial.run import Options, scenario_of
from radio.errors import RadioError

EXPECTED: Final = (RadioError,)


def checked_scenario(name_or_path: str) -> dict[str, Any]:
    """Return a scenario's content. Raises ScenarioError, SourceError: one line with the key and the remedy."""
    options = Options(scenario=name_or_path, seed=1, duration_s=None, recording=None, base_port=None)
    scenario, spec, duration_s = scenario_of(options)
    return {
        "name": scenario.name,
        "about": " ".join(scenario.about.split()),
        "duration_s": duration_s,
        "nodes": [{"name": node.name, "role": node.role} for node in scenario.nodes],
        "emitters": [{"name": one.name, "kind": one.kind, "start_s": one.start_s} for one in scenario.emitters],
        "offers": [offer.model_dump() for offer in spec.offers],
        "wants": [want.model_dump() for want in spec.wants],
    }


def in_words(said: dict[str, Any]) -> str:
    """Return a scenario's content in a few lines."""
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
