"""The remedies of the doctor: one sentence for each fault, the same as in docs/troubleshooting.md."""

from dataclasses import dataclass
from typing import Final

CLOCK_MENDS: Final = {
    "unsynchronised": "start chrony (apt-get install chrony) and wait until `chronyc tracking` says Normal",
    "bound over budget": "give the clock a better source (PPS, a nearer NTP server), or raise clock.budget_us",
    "jump": "look for spoofing; if the time was set on purpose, restart the agent",
    "sources disjoint": "find which source is wrong with `bandpact clock watch`; do not transmit meanwhile",
    "simulated fix on a real radio": "disconnect the GPS simulator, or remove the simulated source",
    "too few satellites": "give the antenna more sky",
    "not a satellite fix": "the receiver guesses or was told its place: give the antenna sky, end dead reckoning",
    "receiver contradicts itself": "its pulse and its sentences differ: check the PPS wiring, or look for spoofing",
    "implausible": "its time or place cannot be: look for spoofing, an old receiver (week rollover), no sky",
    "sources disagree with the system clock": "find which is wrong (`bandpact clock watch`, `date -u`); "
    "have chrony set the system clock, or raise clock.system_clock_within_s where nobody does",
    "host was suspended": "wait for clock.agree_s; keep the host from sleeping while it runs a radio",
    "stale": "look why the sources fell silent: `cgps`, `chronyc sources`",
    "no source": "check [clock] sources: is gpsd or chrony running?",
    "sources not in agreement long enough": "wait for clock.agree_s and ask again",
}
"""Remedies by the clock's or the position's own word for the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The faults that a check can report, each with its remedy."""

    line: str
    found: str
    mend: str


TROUBLES: Final = {
    "config": Trouble(
        line="config",
        found="no configuration is found, or it does not read",
        mend="give the node's folder as NODE, or --config FILE, or write one of the files named",
    ),
    "host clock": Trouble(
        line="host clock",
        found="the kernel does not say how good its clock is",
        mend="use a GPS receiver with PPS as the source",
    ),
    "running": Trouble(
        line="running",
        found="the node runs, and its agent or its gate's loop is not heard: nobody can tell whether it transmits",
        mend="take it for transmitting: `bandpact stop`, then end those processes and start the node again",
    ),
    "clock sources": Trouble(
        line="clock sources",
        found="one source alone decides what time it is",
        mend="add a second, independent source (gpsd beside chrony) and set clock.need = 2",
    ),
    "disk folder": Trouble(
        line="disk",
        found="the node's folder is not there",
        mend="make the folder",
    ),
    "disk": Trouble(
        line="disk",
        found="less is free than a node needs",
        mend="free some space: a full disk closes the gate",
    ),
    "peer": Trouble(
        line="peer NAME",
        found="a neighbour does not answer",
        mend="is it running, and reachable from here?",
    ),
    "priority": Trouble(
        line="priority",
        found="the warden runs like any other process",
        mend="LimitRTPRIO=1 in its unit, or an rtprio line in /etc/security/limits.conf",
    ),
    "pauses": Trouble(
        line="pauses",
        found="the whole host stands still for longer than the gate closes ahead of time",
        mend="a host without a processor quota and not overcommitted; or raise close_lead_us in [radio] above it",
    ),
    "radio": Trouble(
        line="radio",
        found="it does not read back: TX UNKNOWN, treat as ON",
        mend="connect the device and give it power, or take its power away; see [radio]",
    ),
    "radio on": Trouble(
        line="radio",
        found="it transmits, and no running node says that its gate is open",
        mend="silence it: `bandpact stop`, or take its power away",
    ),
    "binding": Trouble(
        line="binding",
        found="the credential is for another radio: the gate will not open",
        mend="connect the radio it is bound to, or have the authority issue a credential for this one",
    ),
    "alarm": Trouble(
        line="alarm",
        found="a key was seen in use in two places",
        mend="find who has it; have the authority revoke that credential, and issue anew for a new key",
    ),
    "looks": Trouble(
        line="looks",
        found="the node listens less often than it plans to: a radar's short burst may go unheard",
        mend="give the host's processor less to do beside it, or set a lower `radio.sample_rate_hz`",
    ),
    "base station": Trouble(
        line="base station",
        found="one below this node was heard on the air after its end",
        mend="find why it went on; then `bandpact cbsd clear DEVICE`, as `bandpact cbsd status` names it",
    ),
    "dead-man unknown": Trouble(
        line="dead-man",
        found="the device cannot be asked",
        mend="see the radio's line",
    ),
    "dead-man": Trouble(
        line="dead-man",
        found="none on the device: with its cable pulled it may transmit for about 70 s",
        mend="install deploy/pluto/deadman.sh on it",
    ),
    "radio's door": Trouble(
        line="radio's door",
        found="another user of this host reaches the device past the gate",
        mend="load deploy/bandpact.nft, and run the warden apart (deploy/bandpact-warden.service)",
    ),
}
MEND: Final = {name: trouble.mend for name, trouble in TROUBLES.items()}
