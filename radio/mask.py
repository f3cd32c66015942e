"""The emission mask beside a channel: stretches of spectrum, each with the highest power in any 1 MHz."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from hw_profiles.limits import ServiceLimits
from settlement.chain.scope import Band


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskStretch:
    """A stretch of the mask: from `low_hz` to below `high_hz`, at most `limit_mdbm_per_mhz` in any 1 MHz."""

    low_hz: int
    high_hz: int
    limit_mdbm_per_mhz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStep:
    """A step of the mask, which holds from `from_hz` beyond either channel edge outwards."""

    from_hz: int
    limit_mdbm_per_mhz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Emission limits of a radio service, beside those of the permit; None where it sets none."""

    steps: tuple[EdgeStep, ...] = ()
    guarded: tuple[MaskStretch, ...] = ()
    density_mdbm_per_mhz: int | None = None
    peak_to_average_mdb: int = 13_000

    @classmethod
    def of(cls, limits: ServiceLimits) -> "Service":
        """The limits of a profile file."""
        return cls(
            steps=tuple(
                EdgeStep(from_hz=s.from_hz, limit_mdbm_per_mhz=round(1000 * s.dbm_per_mhz))
                for s in sorted(limits.outside, key=lambda s: s.from_hz)
            ),
            guarded=tuple(
                MaskStretch(
                    low_hz=g.range_hz.low, high_hz=g.range_hz.high, limit_mdbm_per_mhz=round(1000 * g.dbm_per_mhz)
                )
                for g in limits.guarded
            ),
            density_mdbm_per_mhz=round(1000 * limits.max_psd_dbm_per_mhz),
            peak_to_average_mdb=round(1000 * limits.peak_to_average_db),
        )


NO_SERVICE = Service()


@lru_cache(maxsize=64)
def stretches(band: Band, *, seen: Band, rule_mdbm_per_mhz: int, service: Service) -> tuple[MaskStretch, ...]:
    """The mask over `seen` outside `band`: lowest first, cut wherever the strictest limit that applies changes."""
    cuts = {seen.low_hz, seen.high_hz, band.low_hz, band.high_hz}
    cuts |= {edge for s in service.steps for edge in (band.low_hz - s.from_hz, band.high_hz + s.from_hz)}
    cuts |= {edge for g in service.guarded for edge in (g.low_hz, g.high_hz)}
    inside = sorted(c for c in cuts if seen.low_hz <= c <= seen.high_hz)
    found: list[MaskStretch] = []
    for low_hz, high_hz in pairwise(inside):
        if band.low_hz <= low_hz and high_hz <= band.high_hz:
            continue
        limit = _limit(low_hz, high_hz, band, rule_mdbm_per_mhz, service)
        if found and found[-1].high_hz == low_hz and found[-1].limit_mdbm_per_mhz == limit:
            low_hz = found.pop().low_hz  # noqa: PLW2901 - the two are one
        found.append(MaskStretch(low_hz=low_hz, high_hz=high_hz, limit_mdbm_per_mhz=limit))
    return tuple(found)


def _limit(low_hz: int, high_hz: int, band: Band, rule_mdbm_per_mhz: int, service: Service) -> int:
    """The strictest limit for a stretch that contains no step of any limit."""
    away_hz = max(band.low_hz - high_hz, low_hz - band.high_hz)
    steps = [s.limit_mdbm_per_mhz for s in service.steps if away_hz >= s.from_hz]
    guarded = [g.limit_mdbm_per_mhz for g in service.guarded if g.low_hz <= low_hz and high_hz <= g.high_hz]
    return min([rule_mdbm_per_mhz, *steps[-1:], *guarded])
