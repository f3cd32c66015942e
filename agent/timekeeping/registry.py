"""Registry of all kinds of clock source. To add one: a module with its section and source, and a line here."""

from typing import Final

from agent.timekeeping.chrony import ChronyClock
from agent.timekeeping.gpsd import GpsdClock
from agent.timekeeping.kernel import KernelClock
from agent.timekeeping.section import ClockSourceSection
from agent.timekeeping.simulated import SimulatedClock

CLOCKS: Final[dict[str, type[ClockSourceSection]]] = {
    "simulated": SimulatedClock,
    "gpsd": GpsdClock,
    "chrony": ChronyClock,
    "kernel": KernelClock,
}
