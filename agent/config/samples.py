"""`[samples]`: where the samples come from that a node sends, and the sockets of the program that makes them."""

import re
from typing import Literal

from pydantic import Field, model_validator

from agent.config.section import Section
from hw_profiles.switch import Switch

OFF = "off"
PATH_BYTES_MAX = 90
LOOPBACK = re.compile(r"^tcp://(127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5})$")
ELSEWHERE = re.compile(r"^tcp://([^\s:/]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})$")
LOCAL = re.compile(r"^ipc://(/\S+)$")


class SamplesSection(Section):
    """`source`: `none`; `ofdm`, the built-in test waveform; `program`, whatever another program makes.

    A program serves what it sends at `transmit` (it binds; the node asks, `req`, or takes, `pull`) and gets what is
    received at `receive` (the node binds; it answers, `rep`, or gives, `push`). Whoever asks at `status` (the node
    binds) is told in JSON how the door is. Empty: Unix sockets `program-tx`, `program-rx`, `program-status` in the run
    folder; `off`: not this one. Samples are complex float32 at `sample_rate_hz`, the radio's own rate if left out; 1.0
    is the radio's full scale, changed by `transmit_gain_mdb`. `guard_us` is further quiet before each look, for a radio
    that begins to send so much later than it is told to. Sockets that other hosts can reach are refused without
    `elsewhere`: whoever reaches them sends as this node.
    """

    source: Literal["none", "ofdm", "program"] = "none"
    transmit: str = ""
    receive: str = ""
    status: str = ""
    transmit_by: Literal["req", "pull"] = "req"
    receive_by: Literal["rep", "push"] = "rep"
    sample_rate_hz: int | None = Field(default=None, ge=1_000, le=200_000_000)
    transmit_gain_mdb: int = Field(default=0, ge=-90_000, le=30_000)
    guard_us: int = Field(default=0, ge=0, le=1_000_000)
    elsewhere: Switch = False

    @model_validator(mode="after")
    def _endpoints(self) -> "SamplesSection":
        given = {"transmit": self.transmit, "receive": self.receive, "status": self.status}
        for key, endpoint in given.items():
            wrong = None if endpoint in ("", OFF) else _wrong(endpoint, elsewhere=self.elsewhere)
            if wrong is not None:
                raise ValueError(f"{key} = {endpoint!r}: {wrong}")
        named = [endpoint for endpoint in given.values() if endpoint not in ("", OFF)]
        if len(set(named)) < len(named):
            raise ValueError(f"two of {', '.join(given)} have one address; give each its own")
        if self.source == "program" and self.transmit == self.receive == OFF:
            raise ValueError("a program with neither direction; leave one on, or set source = 'none'")
        return self


def _wrong(endpoint: str, *, elsewhere: bool) -> str | None:
    """Why a socket's address cannot be used; None where it can."""
    path = LOCAL.match(endpoint)
    if path is not None:
        long = len(path[1].encode()) > PATH_BYTES_MAX
        return f"longer than the {PATH_BYTES_MAX} bytes of a local socket's path" if long else None
    place = LOOPBACK.match(endpoint) or ELSEWHERE.match(endpoint)
    if place is None:
        return "no address of a socket; give ipc:///PATH or tcp://127.0.0.1:PORT"
    if not 1 <= int(place[2]) <= 65535:
        return f"port {place[2]} is none of 1-65535"
    if LOOPBACK.match(endpoint) is None and not elsewhere:
        return "other hosts reach it, and send as this node; use ipc:///PATH, 127.0.0.1, or say elsewhere = true"
    return None
