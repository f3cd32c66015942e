"""What the SAS above allows, as the warden believes it: from the client it started, over a socket no one else has.

The client (`agent.cbrs.upward`) is a child of the warden: it does the waiting, TLS and JSON, and says of each radio
which band it may use, how loud and until when (monotonic ns). What it said runs out by itself; when it ends, all of
it ends.
"""

import contextlib
import socket
from dataclasses import dataclass, field
from typing import Any

import cbor2

from radio.cbrs.measured import ReceivedPower, report_of
from settlement.chain.scope import Band

MESSAGE_MAX = 200 * 1024
POWERS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveGrant:
    """A grant from above that is authorized."""

    band: Band
    eirp_mdbm: int
    until_mono_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveWant:
    """What a radio here needs from above: EIRP over the whole band."""

    band: Band
    eirp_mdbm: int


@dataclass(slots=True)
class SasAbove:
    """The warden's end of the socket; an `OutsideAuthorisation` for the node's own radio, `own`."""

    channel: socket.socket
    own: str = "own radio"
    grants: dict[str, list[AboveGrant]] = field(default_factory=dict)
    lost: bool = False
    _wants: dict[str, AboveWant] = field(default_factory=dict)
    _items: dict[str, dict[str, Any]] = field(default_factory=dict)
    _powers: dict[tuple[int, int], ReceivedPower] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing here waits."""
        self.channel.setblocking(False)

    def authorised_until_ns(self, band: Band, max_eirp_mdbm: int) -> int | None:
        """For the node's own radio."""
        return self.authorised(self.own, band, max_eirp_mdbm)

    def authorised(self, device: str, band: Band, eirp_mdbm: int) -> int | None:
        """Until when (monotonic ns) that radio may use the band that loud; None: it may not, and it is asked for."""
        self.take()
        self._want(device, AboveWant(band=band, eirp_mdbm=eirp_mdbm))
        if self.lost:
            return None
        fitting = [one.until_mono_ns for one in self.grants.get(device, ())
                   if one.band.holds(band) and one.eirp_mdbm >= eirp_mdbm]  # fmt: skip
        return max(fitting, default=None)

    def _want(self, device: str, want: AboveWant) -> None:
        """Ask for it upwards, unless what was asked for covers it: no grant is given back for a smaller one."""
        asked = self._wants.get(device)
        if asked is not None and asked.band.holds(want.band) and asked.eirp_mdbm >= want.eirp_mdbm:
            return
        band = want.band
        if self._send({"want": device, "low_hz": band.low_hz, "high_hz": band.high_hz, "eirp_mdbm": want.eirp_mdbm}):
            self._wants[device] = want

    def registered(self, device: str, item: dict[str, Any]) -> None:
        """A base station below registered, by this request: the same goes upwards."""
        self._items[device] = item
        self._send({"register": device, "item": item})

    def renew(self, channel: socket.socket) -> None:
        """Another client was started: it hears again who is here, and what is wanted once it is asked for."""
        self.channel.close()
        self.channel, self.lost, self.grants = channel, False, {}
        channel.setblocking(False)
        self._wants.clear()
        for device, item in self._items.items():
            self._send({"register": device, "item": item})

    def unwanted(self, device: str) -> None:
        """A radio needs nothing more."""
        if self._wants.pop(device, None) is not None:
            self._send({"want": device, "low_hz": 0, "high_hz": 0, "eirp_mdbm": 0})

    def measured(self, report: dict[str, Any], until_ns: int | None = None) -> None:
        """What this node's receiver measured, for a SAS that asked for it; told until then (monotonic ns)."""
        self._send({"measured": report} if until_ns is None else {"measured": report, "until_ns": until_ns})

    def received(self, power: ReceivedPower, mono_ns: int) -> None:
        """What was received in one band; with what is known of the others it goes to the client."""
        self._powers[power.low_hz, power.high_hz] = power
        for key in [key for key, one in self._powers.items() if one.until_ns <= mono_ns]:
            del self._powers[key]
        while len(self._powers) > POWERS_MAX:
            del self._powers[next(iter(self._powers))]
        report = report_of(self._powers.values(), mono_ns)
        if report is not None:
            self.measured(report, min(one.until_ns for one in self._powers.values()))

    def _send(self, message: dict[str, Any]) -> bool:
        try:
            self.channel.send(cbor2.dumps(message))
        except BlockingIOError:
            return False
        except OSError:
            self._gone()
            return False
        return True

    def take(self) -> None:
        """Read what the client said since; the newest word counts."""
        while not self.lost:
            try:
                data = self.channel.recv(MESSAGE_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone()
                return
            with contextlib.suppress(cbor2.CBORDecodeError, ValueError, TypeError):
                self.grants = _grants(cbor2.loads(data))

    def _gone(self) -> None:
        self.lost, self.grants = True, {}


def _grants(value: Any) -> dict[str, list[AboveGrant]]:
    """What a message says; one that cannot be read says that nothing is granted."""
    made: dict[str, list[AboveGrant]] = {}
    listed = value.get("grants") if isinstance(value, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, list) or len(one) != 5 or not isinstance(one[0], str):
            return {}
        if any(type(number) is not int for number in one[1:]):
            return {}
        device, low_hz, high_hz, eirp, until = one
        grant = AboveGrant(band=Band(low_hz=low_hz, high_hz=high_hz), eirp_mdbm=eirp, until_mono_ns=until)
        made.setdefault(device, []).append(grant)
    return made
