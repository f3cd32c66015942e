"""Compares a node's settings with what its hardware profile says."""

from dataclasses import dataclass

from agent.config.hardware import profile_of
from agent.config.settings import ConfigError, NodeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A setting that the profile makes doubtful: its subject, the finding, the remedy."""

    name: str
    found: str
    mend: str


def doubtful(config: NodeConfig) -> list[Claim]:
    """Return doubtful settings: less power than leaves the connector, a rate above what the transport sustains.

    An unreadable profile is reported by another check.
    """
    try:
        profile = profile_of(config.radio)
    except ConfigError:
        return []
    found: list[Claim] = []
    radio, level = config.radio, profile.tx.max_output_dbm
    least_dbm, _ = profile.conducted_dbm
    if radio.full_scale_eirp_mdbm < 1000 * least_dbm:
        known = "measured" if level.verified else "not verified on a unit"
        found.append(
            Claim(
                name="power",
                found=f"full_scale_eirp_mdbm claims {radio.full_scale_eirp_mdbm / 1000:g} dBm, and at least "
                f"{least_dbm:g} dBm leaves the connector by {level.source} ({known})",
                mend="measure it, cable and antenna included, and set full_scale_eirp_mdbm and full_scale_sd_mdb",
            )
        )
    if config.samples.source == "program" and radio.sample_rate_hz > 1e6 * profile.sustained_msps:
        found.append(
            Claim(
                name="transport",
                found=f"{radio.sample_rate_hz / 1e6:g} MS/s without a break, and {profile.id} carries "
                f"{profile.sustained_msps:g} MS/s for long: a program will see gaps",
                mend=f"set sample_rate_hz to {profile.sustained_msps * 1e6:.0f} or less",
            )
        )
    return found
