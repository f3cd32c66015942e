"""Options shared by all commands that receive samples, and the one-line errors of a source."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sense.receivers import Sweep, Wanted
    from agent.sense.sources import Tuning
    from hw_profiles.calibration import Scale
    from sensing.values import Channel

LIVE_SECONDS = 2.0
"""Seconds for which a source without an end is received unless an option says otherwise."""
DWELL_NS = 100_000_000
"""Time in ns for which each tuning is received unless an option says otherwise."""
SOURCE_HELP = (
    "a recording (PATH.sigmf-meta or .sigmf), sim:[SCENARIO], pluto:[URI], soapy:driver=NAME[,KEY=VALUE…], "
    "air:ENDPOINT#STATION"
)

Frequency = Annotated[
    str | None, typer.Option(help="where to tune a radio, like 3560MHz; default: as it is tuned, or a BAND's middle")
]
Rate = Annotated[
    str | None,
    typer.Option(help="samples a second, like 10MHz for 10 MS/s; default: the radio's, or what a BAND needs"),
]
Bandwidth = Annotated[str | None, typer.Option(help="analogue bandwidth, like 8MHz; default: what the rate allows")]
Gain = Annotated[float | None, typer.Option(help="receive gain of a radio in dB")]
SweepSpan = Annotated[str | None, typer.Option("--sweep", help="step a radio over a span, like 3500-3700MHz")]
Dwell = Annotated[
    str | None, typer.Option(help="how long each tuning of a sweep or a schedule is listened to; 100ms if left out")
]
Rounds = Annotated[int, typer.Option("--times", min=1, max=100_000, help="how often, for a sweep or a schedule")]
Every = Annotated[str | None, typer.Option(help="begin a round this long after the last one began, like 10min")]
Calibration = Annotated[str | None, typer.Option(metavar="TABLE.toml", help="the unit's table: levels in dBm")]


def wanted_of(
    band: "Channel | None", frequency: str | None, rate: str | None, bandwidth: str | None, gain: float | None
) -> "Wanted":
    """Return the wanted receiver settings; raises BandUnreadable."""
    from agent.sense.bands import parse_frequency
    from agent.sense.receivers import Wanted

    return Wanted(
        band=band,
        center_hz=None if frequency is None else parse_frequency(frequency, "--frequency"),
        rate_hz=None if rate is None else parse_frequency(rate, "--rate"),
        bandwidth_hz=None if bandwidth is None else parse_frequency(bandwidth, "--bandwidth"),
        gain_db=gain,
    )


def sweep_of(span: str | None, dwell: str | None, rounds: int, every: str | None) -> "Sweep | None":
    """Return the plan of a sweep or a schedule, None where neither was asked for; raises UnitMissing."""
    from agent.sense.bands import parse_band
    from agent.sense.receivers import Sweep
    from agent.words.units import UnitMissing, parse_time_ns

    if span is None and rounds == 1 and every is None:
        if dwell is not None:
            raise UnitMissing(
                f"--dwell {dwell}: of which tunings? give --sweep, --times or --every beside it; or --for"
            )
        return None
    dwell_ns = DWELL_NS if dwell is None else parse_time_ns(dwell, "--dwell")
    if not dwell_ns:
        raise UnitMissing(f"--dwell {dwell!r}: give one above 0, such as 100ms")
    return Sweep(
        span=parse_band(span) if span is not None else None,
        dwell_s=dwell_ns / 1e9,
        rounds=rounds,
        every_s=0.0 if every is None else parse_time_ns(every, "--every") / 1e9,
    )


def scale_by(table: str | None, device: str) -> "Callable[[Tuning], Scale | None] | None":
    """Return a function from tuning to calibration by a unit's table; raises ProfileError, SourceError without one."""
    if table is None:
        return None
    from pathlib import Path

    from agent.sense.calibrated import scale_by_table

    return scale_by_table(Path(table), device)


@contextmanager
def explained() -> Iterator[None]:
    """Turn a source's errors inside the context into one line and an exit code."""
    from agent.words.units import UnitMissing
    from hw_profiles.loader import ProfileError
    from radio.errors import HardwareError, LocalError
    from sensing.layout import ChannelOutside

    try:
        yield
    except (UnitMissing, ChannelOutside, ProfileError) as exc:
        fail(str(exc), Exit.USAGE)
    except HardwareError as exc:
        fail(str(exc), Exit.NOT_READY)
    except LocalError as exc:
        fail(str(exc))
    except KeyboardInterrupt:
        fail("interrupted", Exit.INTERRUPTED)


def seconds_of(text: str | None, what: str = "--for") -> float | None:
    """Parse a time with its unit, such as 2s, or a bare number of seconds from a script; raises UnitMissing."""
    if text is None:
        return None
    from agent.words.units import UnitMissing, parse_time

    try:
        seconds = float(text)
    except ValueError:
        seconds = parse_time(text, what)
    if not 0.001 <= seconds <= 1e7:
        raise UnitMissing(f"{what} {text!r}: choose 1ms to 100d")
    return seconds
