"""Builds a node's SAS-CBSD interface from its configuration."""

import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cbrs.calendarfile import CalendarFile, CalendarLost
from agent.cbrs.members import members
from agent.cbrs.shown import DOOR
from agent.config.cbrs import CbsdSection, InstallerSection, SasSection
from agent.config.settings import ConfigError, NodeConfig, write_effective
from hw_profiles.smallfile import read_small
from radio.cbrs import cpi
from radio.cbrs.above import SasAbove
from radio.cbrs.answers import Sas
from radio.cbrs.book import BookLost, CbsdBook
from radio.cbrs.door import CbsdDoor
from radio.cbrs.fields import Item
from radio.cbrs.outlet import Outlet, OutletPlan
from radio.cbrs.permission import Giver
from radio.cbrs.registration import KnownCbsd, Registrar
from radio.cbrs.wardenside import CbsdDesk
from radio.process import child_environment
from radio.restarts import Restarts

if TYPE_CHECKING:
    from agent.cbrs.tls import TlsFiles

NS = 1_000_000_000
BOOK, EFFECTIVE, KEPT_CALENDAR = "warden.cbsds", "sas.toml", "calendar.newest"


def tls_files(section: SasSection | CbsdSection) -> "TlsFiles":
    """Return a section's files for mutual TLS."""
    from agent.cbrs.tls import TlsFiles

    return TlsFiles(key=section.key, certificate=section.certificate, roots=section.roots, revoked=section.revoked)


def installers(sections: list[InstallerSection]) -> list[cpi.Installer]:
    """Return the installers whose signature is accepted. Raises ConfigError."""
    if not sections:
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    made = []
    for one in sections:
        try:
            data = read_small(one.key)
            key = (
                x509.load_pem_x509_certificate(data).public_key()
                if b"BEGIN CERTIFICATE" in data
                else load_pem_public_key(data)
            )
        except (OSError, ValueError) as exc:
            raise ConfigError(f"{one.key}: {exc}; a PEM certificate or public key of an installer") from exc
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise ConfigError(f"{one.key}: neither RSA nor ECDSA")
        made.append(cpi.Installer(cpi=one.cpi, key=key))
    return made


def sas_of(section: CbsdSection, giver: Giver) -> Sas:
    """Build the SAS that base stations see. Raises ConfigError."""
    known = tuple(
        KnownCbsd(
            fcc=one.fcc,
            serial=one.serial,
            category=one.category,
            air_interface=one.air_interface,
            capabilities=None if one.capabilities is None else tuple(one.capabilities),
            installation=one.installation,
            blocked=one.blocked,
            certificate=one.certificate,
        )
        for one in section.devices
    )
    believed = installers(section.installers)

    def verify(signed: Item, fcc: str, serial: str) -> Item | str:
        return cpi.verify(signed, fcc, serial, believed)

    return Sas(
        registrar=Registrar(known=known, groups=tuple(section.groups), verify=verify),
        giver=giver,
        entropy=secrets.token_bytes,
        channel_type=section.channel_type,
        ask_measured=tuple(section.ask_measured),
    )


@dataclass(slots=True)
class WardenCbrs:
    """The warden's CBRS parts: the desk for base stations, the client towards the SAS above, the calendar."""

    desk: CbsdDesk | None
    above: SasAbove | None
    calendar: CalendarFile | None
    effective: Path
    _child: "subprocess.Popen[bytes] | None" = None
    _restarts: Restarts = field(default_factory=Restarts)
    _told: bool = False
    """Whether it was reported that the client cannot be started."""

    def turn(self) -> None:
        """Restart the client towards the SAS where it has ended, with growing pauses while it keeps ending."""
        if self.above is None or not self.above.lost:
            return
        now_s = time.monotonic()
        if not self._restarts.due(now_s):
            return
        self._restarts.begun(now_s)
        if self._child is not None:  # it has closed its socket; the gate's loop does not wait for it to end
            self._child.kill()
            self._child.wait()
            self._child = None
        try:
            ours, self._child = _client(self.effective)
        except OSError as exc:  # no process or descriptor is left: tried again after the next pause
            if not self._told:
                sys.stderr.write(f"warden: no client towards the SAS can be started: {exc.strerror}; tried again\n")
            self._told = True
            return
        self._told = False
        self.above.renew(ours)

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(2.0)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None

    def close(self) -> None:
        """End the client and stop watching the calendar; the warden closes the desk."""
        self._end_child()
        if self.above is not None:
            self.above.channel.close()
        if self.calendar is not None:
            self.calendar.close()


def beside_of(cbrs: WardenCbrs) -> dict[str, Any]:
    """Return the arguments that a `Warden` takes of these parts, by name."""
    found: dict[str, Any] = {"stations": cbrs.desk, "outside": cbrs.above}
    return found if cbrs.calendar is None else {**found, "calendar": cbrs.calendar.current}


def _client(effective: Path) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = str(theirs.fileno())
    with theirs:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.cbrs.upward", number, str(effective)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=child_environment(),
            )
        except OSError:
            ours.close()
            raise
    return ours, child


def warden_cbrs(config: NodeConfig) -> WardenCbrs:
    """Build the parts that the configuration asks for. Raises ConfigError."""
    effective = (config.warden.state or config.folder) / EFFECTIVE
    above = child = None
    if config.sas is not None:
        ours, child = _client(write_effective(config, effective))
        above = SasAbove(ours)
    calendar = _calendar(config)
    desk = None if config.cbsd is None else _desk(config, config.cbsd, above, calendar)
    return WardenCbrs(desk=desk, above=above, calendar=calendar, effective=effective, _child=child)


def _calendar(config: NodeConfig) -> CalendarFile | None:
    if config.calendar is None:
        return None
    try:
        return CalendarFile(config.calendar, (config.warden.state or config.folder) / KEPT_CALENDAR)
    except CalendarLost as exc:
        raise ConfigError(str(exc)) from exc


def _desk(config: NodeConfig, section: CbsdSection, above: SasAbove | None, calendar: CalendarFile | None) -> CbsdDesk:
    book = CbsdBook(path=(config.warden.state or config.folder) / BOOK)
    try:
        book.open()
    except BookLost as exc:
        raise ConfigError(str(exc)) from exc
    plan = OutletPlan(
        members=members(section),
        horizon_ns=section.horizon_s * NS,
        silent_within_ns=section.silent_within_s * NS,
        experimental=section.experimental,
    )
    outlet = Outlet(plan=plan, book=book)
    if calendar is not None:
        outlet.calendar = calendar.current
    return CbsdDesk(outlet=outlet, door=CbsdDoor(config.run_folder / DOOR, book.keep), above=above)
