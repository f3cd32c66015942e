"""Speed of virtual time: random worlds and cities of real parties, logs and verdicts on one core."""

import time
from typing import Any

from sim.world.city import run_city
from sim.world.cityplan import city_plan
from sim.world.plan import END_NS, plan
from sim.world.run import run_plan


def run(*, seeds: int) -> dict[str, Any]:
    """Run `seeds` seeds one after the other in this process; returns virtual seconds per processor second."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    members = settled = broken = 0
    for seed in range(seeds):
        made = plan(seed)
        outcome = run_plan(made)
        members += len(made.roles)
        settled += outcome.counts["own confirm"]
        broken += bool(outcome.breaches)
    clock_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    virtual_s = seeds * END_NS / 1e9
    return {
        "seeds": seeds,
        "members_mean": round(members / seeds, 1),
        "settled": settled,
        "broken": broken,
        "virtual_s": virtual_s,
        "clock_s": round(clock_s, 2),
        "cpu_s": round(used_s, 2),
        "virtual_over_cpu": round(virtual_s / used_s, 1),
    }


def run_cities(*, nodes: int, hours: int, neighbours: int) -> dict[str, Any]:
    """Run a neighbourhood for a day, and a city of `nodes` members for `hours` hours; no faults, all invariants."""
    return {"plain": _city(neighbours, 24), "city": _city(nodes, hours)}


def _city(nodes: int, hours: int) -> dict[str, Any]:
    found = run_city(city_plan(0, nodes=nodes, hours=hours))
    counts = found.outcome.counts
    return {
        "members": found.members,
        "hours": hours,
        "settled": counts["own confirm"],
        "renewed": counts["own renew"],
        "messages": counts["sent"],
        "broken": len(found.outcome.breaches),
        "cpu_s": round(found.cpu_s, 2),
        "virtual_over_cpu": round(found.virtual_over_cpu, 1),
        "peak_mib": round(found.peak_mib, 1),
    }
