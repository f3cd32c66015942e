"""The rules that a warden has accepted: the chain of rules, kept over restarts, which never goes back to an older rule.

    a rule is taken        that holds in itself, is inside its authority's scope, and follows the newest known here; it
                           may widen that one only where its author is the same authority or above it (else SCOPE)
    a settlement is taken  under the rule that was in force when its GRANT was signed, and that is in force still; once
                           a rule is superseded only settlements that were taken before go on (RULE_UNKNOWN)

The agent's bytes are verified here; nothing else that it says of rules counts. The rules accepted are kept in a file of
the warden's own, written by a thread beside the loop: a disk that stalls delays no decision.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hw_profiles.smallfile import read_small
from hw_profiles.wholefile import SECRET_MODE, write_whole
from radio.besidethread import started
from settlement.chain.codec import array, blob, decode, encode, uint
from settlement.chain.credentials import Registry
from settlement.chain.ruling import HeldRule, commands, judge_next, read_held
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.governing.limits import wider_rule
from settlement.pair.artifact import VerifiedPermit
from settlement.pair.handover import judge_above

SEEN_LIMIT = 16 * 1024 * 1024
RULES_MAX = 256
SETTLED_MAX = 4096
_RAW = blob(0, MAX_RECORD_BYTES, least=1)


class RulesLost(Exception):
    """The file of accepted rules cannot be read: a warden without it would accept an old rule again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRule:
    """A rule and its authority's credentials, as received."""

    raw: bytes = blob(1, MAX_RECORD_BYTES, least=1)
    chain: tuple[bytes, ...] = array(2, _RAW, 9, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A settlement made under a rule that was in force, and the latest time it may matter (UTC, ns)."""

    sid: bytes = blob(1, 32)
    confirm: bytes = blob(2, 32)
    end_ns: int = uint(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRules:
    """The rules and settlements that a warden keeps over a restart."""

    rules: tuple[SeenRule, ...] = array(1, SeenRule, RULES_MAX)
    settled: tuple[Settled, ...] = array(2, Settled, SETTLED_MAX)


class SeenFile:
    """Writes the newest state to a file on a separate thread; `close` waits until it is written."""

    def __init__(self, path: Path) -> None:
        self._path, self._ended = path, False
        self._waiting: bytes | None = None
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self.fault: str | None = None

    def read(self) -> SeenRules:
        """Read the file; empty where there is none. Raises RulesLost."""
        try:
            data = read_small(self._path)
        except FileNotFoundError:
            return SeenRules(rules=(), settled=())
        except OSError as exc:
            raise RulesLost(f"{self._path}: {exc.strerror}; the warden must be able to read what it has seen") from exc
        found = decode(SeenRules, data, "seen", limit=SEEN_LIMIT)
        if isinstance(found, Refusal):
            raise RulesLost(f"{self._path}: damaged ({found.reason.value}); restore it, or move it away knowingly")
        return found

    def keep(self, seen: SeenRules) -> None:
        """Queue a state to be written. Never blocks."""
        data = encode(seen, limit=SEEN_LIMIT)
        with self._turn:
            self._waiting = data
            self._thread = self._thread or started(self._write, "seen rules")
            if self._thread is None:
                self.fault = f"{self._path}: this host starts no thread to write it by; raise the limit of processes"
            self._turn.notify()

    def _write(self) -> None:
        while True:
            with self._turn:
                while self._waiting is None and not self._ended:
                    self._turn.wait()
                data, self._waiting = self._waiting, None
            if data is None:
                return
            self._written(data)

    def _written(self, data: bytes) -> None:
        try:
            write_whole(self._path, data, mode=SECRET_MODE)
            self.fault = None
        except OSError as exc:
            self.fault = f"{self._path}: {exc.strerror}"

    def close(self) -> None:
        """Write what is queued, and end the thread."""
        with self._turn:
            self._ended = True
            self._turn.notify()
        if self._thread is not None:
            self._thread.join()
        elif self._waiting is not None:
            self._written(self._waiting)


@dataclass(slots=True)
class RuleBook:
    """The chain of rules and the settlements under them. `judge` decides on a settlement, `note` stores it."""

    registry: Registry
    file: SeenFile | None = None
    _rules: list[HeldRule] = field(default_factory=list)
    _settled: dict[bytes, Settled] = field(default_factory=dict)

    def open(self, configured: HeldRule | None = None) -> Refusal | None:
        """Load the rules kept, each verified again, then the configured one. Raises RulesLost."""
        seen = self.file.read() if self.file is not None else SeenRules(rules=(), settled=())
        for one in seen.rules:
            held = read_held(one.raw, one.chain, self.registry)
            if isinstance(held, Refusal):
                return held
            self._rules.append(held)
        self._settled = {one.sid: one for one in seen.settled}
        return None if configured is None else self.hear(configured)

    def knows(self, digest: bytes) -> bool:
        """Whether the rule of this hash was ever accepted here."""
        return any(held.rule.hash == digest for held in self._rules)

    @property
    def newest(self) -> HeldRule | None:
        """The last rule of the chain, in force or not yet."""
        return self._rules[-1] if self._rules else None

    def hear(self, new: HeldRule) -> Refusal | None:
        """Accept a rule that follows the newest; the first rule ever seen begins the chain."""
        if self.knows(new.rule.hash):
            return None
        refusal = self._follows(new)
        if refusal is None:
            self._rules = [*self._rules, new][-RULES_MAX:]
            self._keep()
        return refusal

    def hear_bytes(self, raw: bytes, chain: Iterable[bytes]) -> Refusal | None:
        """Accept a rule from the agent, as bytes with its authority's credentials."""
        held = read_held(raw, tuple(chain), self.registry)
        return held if isinstance(held, Refusal) else self.hear(held)

    def _follows(self, new: HeldRule) -> Refusal | None:
        if self.newest is None:
            return None
        last = self.newest.rule
        # Where both reasons apply, the first to report is that a lower authority's rule widens those above it.
        wider = None if commands(new.rule.seat, last.seat) else wider_rule(new.rule.rule, last.rule)
        return wider or judge_next([held.rule for held in self._rules], new.rule)

    def judge(self, permit: VerifiedPermit, now: TimeFix | None) -> Refusal | None:
        """Refuse a settlement that no rule in force allows; without a trusted clock only the newest rule counts."""
        before = self._settled.get(permit.sid)
        if before is not None and before.confirm == permit.confirm:
            return None
        refusal = self.hear(permit.ruled)
        if refusal is not None:
            return refusal
        name, granted = permit.ruled.rule.hash, permit.granted
        at_signing = self._at(granted.earliest_ns, granted.latest_ns)
        if at_signing is None or at_signing.rule.hash != name:
            return _superseded(permit, at_signing, "when its GRANT was signed")
        present = self._at(now.earliest_ns, now.latest_ns) if now is not None and now.trusted else self.newest
        if present is None or present.rule.hash != name:
            return _superseded(permit, present, "now")
        above = permit.parent.rules if permit.parent is not None else ()
        return judge_above([held.rule for held in self._rules], above)

    def _at(self, earliest_ns: int, latest_ns: int) -> HeldRule | None:
        """The newest rule whose validity surely contains that interval; None where there is none."""
        for held in reversed(self._rules):
            window = held.rule.rule.effective
            if window.start_ns <= earliest_ns and latest_ns < window.end_ns:
                return held
        return None

    def note(self, permit: VerifiedPermit, now: TimeFix | None) -> None:
        """Store an accepted settlement; settlements whose window is surely over are dropped."""
        if permit.sid in self._settled:
            return
        over = [one.sid for one in self._settled.values() if now is not None and now.after(one.end_ns)]
        for sid in over:
            del self._settled[sid]
        while len(self._settled) >= SETTLED_MAX:
            del self._settled[next(iter(self._settled))]
        end_ns = permit.cell.window.end_ns
        self._settled[permit.sid] = Settled(sid=permit.sid, confirm=permit.confirm, end_ns=end_ns)
        self._keep()

    def _keep(self) -> None:
        if self.file is not None:
            rules = tuple(SeenRule(raw=held.raw, chain=held.chain) for held in self._rules)
            self.file.keep(SeenRules(rules=rules, settled=tuple(self._settled.values())))

    def close(self) -> None:
        """Close the file once all is written."""
        if self.file is not None:
            self.file.close()


def _superseded(permit: VerifiedPermit, other: HeldRule | None, when: str) -> Refusal:
    shown = f"version {permit.rule.version} of {permit.rule.name}"
    required = f"a rule in force {when}" if other is None else f"version {other.rule.rule.version}, in force {when}"
    return refuse(Reason.RULE_UNKNOWN, "rulebook.in_force", shown, required)
