"""The client towards the SAS above, a child process of the warden: `python -m agent.cbrs.upward FD CONFIG.json`.

It runs the pure session: sends what is due, feeds answers in, and after every change tells the warden which radio may
be on and until when. The warden is told to end RF before any message says that RF is off. Grants survive a restart
(silent until the SAS has answered again), for at most seven days.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2

from agent.cbrs.transport import NoAnswer, SasTransport
from hw_profiles.printable import printable
from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, write_whole
from radio.cbrs.fields import Item
from radio.cbrs.grant import SasGrant
from radio.cbrs.messages import EIRP_HIGH_DBM, Operation, operation
from radio.cbrs.power import density_mdbm_per_mhz, eirp_mdbm
from radio.cbrs.session import Call, CbsdDevice, Session
from settlement.core.fixes import TimeFix

OWN = "own radio"
TURN_S = 0.02
MESSAGE_MAX = 200 * 1024
AT_ONCE = 4
SAID_MAX = 300
"""Most characters of one log line: part of it is text from the SAS."""
RASTER_HZ = 5_000_000
Post = Callable[[str, dict[str, Any]], Any]


@dataclass(slots=True)
class Upward:
    """Session, transport and the warden's socket, run by `turn`. `fix` is this process's own clock."""

    post: Post
    channel: socket.socket
    fix: Callable[[], TimeFix]
    session: Session = field(default_factory=Session)
    kept: Path | None = None
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    say: Callable[[str], None] = print
    ended: bool = False
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE))
    _sent: dict["Future[Any]", Call] = field(default_factory=dict)
    _told: bytes = b""
    _kept: bytes = b""
    _known: set[str] = field(default_factory=set)
    _measured_until_ns: int | None = None
    _unanswered: dict[str, str] = field(default_factory=dict)
    """For each method that the SAS did not answer last, the reason."""
    _ends: dict[str, tuple[tuple[str, int], int]] = field(default_factory=dict)
    """For each radio, grant and transmitExpireTime told last, and when that ends (monotonic ns)."""
    _answered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Set the warden's socket to non-blocking."""
        self.channel.setblocking(False)

    def turn(self) -> None:
        """Read the warden's messages, process answers, tell the warden what holds now, then send what is due."""
        self._hear()
        if self._measured_until_ns is not None and self.monotonic_ns() >= self._measured_until_ns:
            self.session.measured_by.pop(OWN, None)
        for done in [future for future in self._sent if future.done()]:
            call = self._sent.pop(done)
            body = done.result()
            if isinstance(body, NoAnswer):
                self._silent_for(call.method, body.why)
                self.session.lost(call.number)
            else:
                self._silent_for(call.method, "")
                self.session.answer(call.number, body, self.fix())
        calls = self.session.due(self.fix())
        self._tell()
        for call in calls:
            sent = self._pool.submit(self.post, call.method, call.body())
            self._sent[sent] = call
            sent.add_done_callback(lambda _done: self._answered.set())
        self._keep()
        for news in self.session.news:
            self.say(printable(f"{news.device}: {news.what} {news.detail}".rstrip()[:SAID_MAX]))
        self.session.news.clear()

    def _silent_for(self, method: str, why: str) -> None:
        """Report a change in why the SAS does not answer a method, and once that it answers again."""
        before = self._unanswered.pop(method, "")
        if why:
            self._unanswered[method] = why
        if why and why != before:
            self.say(printable(f"{method}: {why}; asked again"[:SAID_MAX]))
        elif before and not why:
            self.say(f"{method}: the SAS answers again")

    def _hear(self) -> None:
        while not self.ended:
            try:
                data = self.channel.recv(MESSAGE_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            message = cbor2.loads(data)
            if "register" in message:
                self.know(message["register"], message["item"])
            elif "want" in message and message["want"] in self._known:
                self.session.want(message["want"], wanted_of(message))
            elif "measured" in message:
                # The node's own receiver measured it at its place: it is not reported for base stations below.
                self.session.measured_by[OWN] = message["measured"]
                self._measured_until_ns = message.get("until_ns")

    def know(self, device: str, registration: Item) -> None:
        """Add a radio that registers; a radio known from before continues with its grant."""
        if device in self._known:
            return
        self._known.add(device)
        self.session.add(CbsdDevice(name=device, registration=registration))
        kept = self._before().get(device)
        if isinstance(kept, dict):
            self._restore(device, kept)

    def _restore(self, device: str, kept: Item) -> None:
        wanted = operation(kept.get("operation"))
        numbers = [kept.get(name) for name in ("expires_ns", "heard_ns", "interval_s")]
        if wanted is None or not all(type(one) is int for one in numbers):
            return
        expires, heard, interval = (int(one or 0) for one in numbers)
        grant = SasGrant(
            grant=str(kept.get("grant")), operation=wanted, expires_ns=expires, heard_ns=heard, interval_s=interval
        )
        self.session.restore(device, str(kept.get("cbsd")), grant)

    def _before(self) -> Item:
        try:
            value = json.loads(read_small(self.kept)) if self.kept is not None else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def _keep(self) -> None:
        """Save the grants held, for the next start; written only when one changed."""
        if self.kept is None:
            return
        plain = {
            name: {
                "cbsd": self.session.cbsd_of(name),
                "grant": grant.grant,
                "operation": grant.operation.as_param(),
                "expires_ns": grant.expires_ns,
                "heard_ns": grant.heard_ns,
                "interval_s": grant.interval_s,
            }
            for name, grant in self.session.grants().items()
        }
        data = json.dumps(plain, sort_keys=True).encode()
        if data != self._kept and plain:
            self._kept = data
            write_whole(self.kept, data, mode=SECRET_MODE)

    def _tell(self) -> None:
        """Tell the warden for each radio until when it may be on, if that changed."""
        # Read monotonic time before UTC: a delay between the readings makes the ends earlier, never later.
        mono_ns = self.monotonic_ns()
        now = self.fix()
        listed: list[tuple[str, int, int, int, int]] = []
        for name, grant in self.session.grants().items():
            until = grant.rf_until_ns(now)
            if until is not None:
                op = grant.operation
                eirp = eirp_mdbm(round(op.max_eirp * 1000), op.high_hz - op.low_hz)
                ends_ns = self._no_later(name, (grant.grant, until), mono_ns + until - now.latest_ns)
                listed.append((name, op.low_hz, op.high_hz, eirp, ends_ns))
        # The monotonic end of an unchanged grant jitters with the clock: told again once it differs by 10 ms.
        shape = cbor2.dumps([[*one[:4], one[4] // 10_000_000] for one in listed])
        if shape != self._told:
            try:
                self.channel.send(cbor2.dumps({"grants": listed}))
                self._told = shape
            except BlockingIOError:
                return
            except OSError:
                self.ended = True

    def _no_later(self, name: str, told: tuple[str, int], ends_ns: int) -> int:
        """Return the earliest monotonic end seen for one answer: a clock that is set back does not move it later."""
        before, earliest_ns = self._ends.get(name, (told, ends_ns))
        earliest_ns = min(earliest_ns, ends_ns) if before == told else ends_ns
        self._ends[name] = told, earliest_ns
        return earliest_ns

    def run(self, stop: threading.Event) -> None:
        """Run until told to stop, or until the warden has gone."""
        try:
            while not (stop.is_set() or self.ended):
                self.turn()
                # An answer ends the wait, so that one that ends RF is not delayed.
                self._answered.wait(TURN_S)
                self._answered.clear()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)


def wanted_of(message: Item) -> Operation | None:
    """Convert a warden's request to a grant to ask for: on the 5 MHz raster, its density rounded up."""
    low_hz, high_hz = message["low_hz"], message["high_hz"]
    if low_hz >= high_hz:
        return None
    low_hz, high_hz = low_hz // RASTER_HZ * RASTER_HZ, -(-high_hz // RASTER_HZ) * RASTER_HZ
    density = density_mdbm_per_mhz(message["eirp_mdbm"] / 1000, message["high_hz"] - message["low_hz"])
    return Operation(low_hz=low_hz, high_hz=high_hz, max_eirp=min(-(-density // 100) / 10 + 0.1, float(EIRP_HIGH_DBM)))


def main(arguments: list[str]) -> int:
    """Run the client; returns 0 when the warden ended, 4 when the configuration is not usable."""
    from agent.cbrs.tls import TlsFileError, TlsFiles
    from agent.config.settings import ConfigError, load
    from agent.timekeeping.assembly import timekeeper
    from radio.process import OrphanedAtBirth, die_with_parent, stop_on_signals

    stop = stop_on_signals()
    try:
        die_with_parent()
        config = load(Path(arguments[1]))
        section = config.sas
        if section is None:
            return 0
        files = TlsFiles(key=section.key, certificate=section.certificate, roots=section.roots, revoked=section.revoked)
        transport = SasTransport(section.url, files, roles=section.roles)
        clock = timekeeper(config, process="sas")
    except OrphanedAtBirth:
        return 0
    except (ConfigError, TlsFileError) as exc:
        sys.stderr.write(f"sas: {exc}\n")
        return 4
    channel = socket.socket(fileno=int(arguments[0]))
    up = Upward(
        post=transport.post,
        channel=channel,
        fix=lambda: clock.fix().time,
        session=Session(inquire=section.inquire),
        kept=config.folder / "sas.grants",
        say=lambda line: print(f"sas: {line}", file=sys.stderr, flush=True),
    )
    if section.registration is not None:
        up.know(OWN, section.registration)
    up.run(stop)
    transport.close()
    clock.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
