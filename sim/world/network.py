"""The network between members: it loses, repeats, delays and partitions, but never alters messages."""

from random import Random

from sim.world.plan import Weather

MIN_DELAY_NS = 100_000


class Network:
    """Decides when each copy of a message arrives, if at all."""

    def __init__(self, rng: Random, weather: Weather) -> None:
        self._rng, self._weather = rng, weather
        self._parted: dict[frozenset[str], int] = {}
        self.healed = False
        self.counts = {"sent": 0, "lost": 0, "copied": 0, "late": 0}

    def part(self, one: str, other: str, until_ns: int) -> None:
        """Cut the connection between two members until an instant."""
        self._parted[frozenset((one, other))] = until_ns

    def arrivals(self, sender: str, to: str, now_ns: int) -> list[int]:
        """The instants at which a message sent now arrives."""
        self.counts["sent"] += 1
        rng, weather = self._rng, self._weather
        if self.healed:
            return [now_ns + MIN_DELAY_NS]
        if self._parted.get(frozenset((sender, to)), 0) > now_ns or rng.randrange(1000) < weather.drop_ppt:
            self.counts["lost"] += 1
            return []
        at_ns = [now_ns + rng.randint(MIN_DELAY_NS, weather.delay_ns_max)]
        if rng.randrange(1000) < weather.duplicate_ppt:
            self.counts["copied"] += 1
            at_ns.append(now_ns + rng.randint(MIN_DELAY_NS, 3 * weather.delay_ns_max))
        if rng.randrange(1000) < weather.late_ppt:
            self.counts["late"] += 1
            at_ns.append(now_ns + rng.randint(MIN_DELAY_NS, weather.late_ns_max))
            if rng.random() < 0.5:
                del at_ns[0]
        return at_ns
