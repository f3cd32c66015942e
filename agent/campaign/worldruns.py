"""A campaign's run in a simulated neighbourhood in virtual time: a seed's plan with some values replaced."""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from agent.campaign.spec import CampaignError, RunSpec
from sim.world.plan import Plan, Weather, plan
from sim.world.run import run_plan

_WEATHER = "weather."
_PLAN = {
    "quorum": int,
    "budget_hz_s": int,
    "status": bool,
    "bound_ns": int,
    "suspends": bool,
    "coordination": str,
}
COORDINATIONS = ("", "one", "sharded", "neighbours")


def check_world(parameters: Iterable[tuple[str, Any]]) -> None:
    """Check the parameters. Raises CampaignError where one is unknown, or its value of another kind."""
    kinds: dict[str, type] = {**_PLAN, **{_WEATHER + one.name: int for one in fields(Weather)}}
    for name, value in parameters:
        kind = kinds.get(name)
        if kind is None:
            raise CampaignError(f"parameters.{name} is none of a world; there are {', '.join(sorted(kinds))}")
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise CampaignError(f"parameters.{name} is {value!r}; give {_said(kind)}")
        if name == "coordination" and value not in COORDINATIONS:
            raise CampaignError(f"parameters.coordination is {value!r}; give one of {', '.join(COORDINATIONS[1:])}")


def _said(kind: type) -> str:
    return {int: "a whole number from 0 on", bool: "true or false", str: "a text"}[kind]


def world_plan(spec: RunSpec) -> Plan:
    """Return the plan of a run. Raises CampaignError where a parameter is unknown."""
    check_world(spec.parameters)
    made = plan(spec.seed)
    weather = {name.removeprefix(_WEATHER): value for name, value in spec.parameters if name.startswith(_WEATHER)}
    rest = {name: value for name, value in spec.parameters if not name.startswith(_WEATHER)}
    return replace(made, weather=replace(made.weather, **weather), **rest)


def run_world(spec: RunSpec) -> tuple[str, dict[str, float]]:
    """Run it; returns why it did not hold, "" where it did, and its counts."""
    outcome = run_plan(world_plan(spec))
    why = "; ".join(str(one) for one in outcome.breaches[:3])
    figures = {name: float(count) for name, count in sorted(outcome.counts.items())}
    return why, {**figures, "breaches": float(len(outcome.breaches))}
