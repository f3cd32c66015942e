"""The grants of the SAS above, as the warden has them from the SAS client process that it started.

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
    """An authorized grant of the SAS above: one band, its EIRP limit and its expiry (monotonic ns)."""

    band: Band
    eirp_mdbm: int
    until_mono_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveWant:
    """The grant that a radio of this node needs from the SAS above: a band and the EIRP over the whole band."""

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
        """Make the socket non-blocking: no call of this class waits."""
        self.channel.setblocking(False)

    def authorised_until_ns(self, band: Band, max_eirp_mdbm: int) -> int | None:
        """Until when (monotonic ns) the SAS lets the node's own radio use a band at an EIRP; None when it does not."""
        return self.authorised(self.own, band, max_eirp_mdbm)

    def authorised(self, device: str, band: Band, eirp_mdbm: int) -> int | None:
        """Until when (monotonic ns) a radio may use the band at that EIRP; None where it may not.

        Asks the SAS for such a grant unless an earlier request covers it; the answer counts at a later call.
        """
        self.take()
        self._want(device, AboveWant(band=band, eirp_mdbm=eirp_mdbm))
        if self.lost:
            return None
        fitting = [one.until_mono_ns for one in self.grants.get(device, ())
                   if one.band.holds(band) and one.eirp_mdbm >= eirp_mdbm]  # fmt: skip
        return max(fitting, default=None)

    def _want(self, device: str, want: AboveWant) -> None:
        """Ask the SAS above for a grant unless an earlier request covers it: no grant is traded for a smaller one."""
        asked = self._wants.get(device)
        if asked is not None and asked.band.holds(want.band) and asked.eirp_mdbm >= want.eirp_mdbm:
            return
        band = want.band
        if self._send({"want": device, "low_hz": band.low_hz, "high_hz": band.high_hz, "eirp_mdbm": want.eirp_mdbm}):
            self._wants[device] = want

    def registered(self, device: str, item: dict[str, Any]) -> None:
        """Register a base station at the SAS above with the registration request that it sent to this node."""
        self._items[device] = item
        self._send({"register": device, "item": item})

    def renew(self, channel: socket.socket) -> None:
        """Use the socket of a restarted SAS client, and send it every registered device again; wanted grants follow."""
        self.channel.close()
        self.channel, self.lost, self.grants = channel, False, {}
        channel.setblocking(False)
        self._wants.clear()
        for device, item in self._items.items():
            self._send({"register": device, "item": item})

    def unwanted(self, device: str) -> None:
        """Tell the SAS client that a radio needs no grant any more."""
        if self._wants.pop(device, None) is not None:
            self._send({"want": device, "low_hz": 0, "high_hz": 0, "eirp_mdbm": 0})

    def measured(self, report: dict[str, Any], until_ns: int | None = None) -> None:
        """Hand a measurement report of this node's receiver to the SAS client; valid until `until_ns` (monotonic)."""
        self._send({"measured": report} if until_ns is None else {"measured": report, "until_ns": until_ns})

    def received(self, power: ReceivedPower, mono_ns: int) -> None:
        """Note the power received in one band, and send a report of all bands still valid to the SAS client."""
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
        """Read all messages that the SAS client has sent; the newest replaces those before."""
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
    """The grants of a SAS client's message, by device; an unreadable message grants nothing."""
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
