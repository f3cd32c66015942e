"""How much an observation weighs, and how a node's record of fulfilment bounds what it may ask.

weight = authority x modality reliability x consistency with others, each in millionths. A new identity has no record
and starts with the rule's first share of a budget; each fulfilled settlement adds a step until the share is whole.
"""

from settlement.chain.bodies import PPM, Rule

UNKNOWN_MODALITY_PPM = 0


def observation_weight_ppm(rule: Rule, *, level: str, modality: str, consistency_ppm: int) -> int:
    """Weight of one observation by the rule; 0 for a level or a way of observing the rule does not know."""
    held = rule.level(level)
    reliability = next((m.reliability_ppm for m in rule.modalities or () if m.name == modality), UNKNOWN_MODALITY_PPM)
    if held is None:
        return 0
    return held.weight_ppm * reliability // PPM * min(max(consistency_ppm, 0), PPM) // PPM


def consistency_ppm(values: list[tuple[int, int]], own: tuple[int, int]) -> int:
    """Share of the others' intervals that touch one's own; without others nothing speaks against it."""
    if not values:
        return PPM
    agreeing = sum(1 for low, high in values if low <= own[1] and own[0] <= high)
    return agreeing * PPM // len(values)


def share_ppm(*, first_ppm: int, step_ppm: int, fulfilled: int, failed: int) -> int:
    """The share of a budget an identity may use: it grows with what it fulfilled and shrinks twice as fast."""
    return max(0, min(PPM, first_ppm + step_ppm * (fulfilled - 2 * failed)))
