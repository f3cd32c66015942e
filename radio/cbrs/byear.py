"""Whether a base station fell silent once it had to, as the node's own receiver hears its band. Pure.

A base station's samples are never seen; what is heard in its band stands for them, with these rules:

    (1) what it sounds like is learnt while it may be on: in which share of the looks it is heard, and how loud
    (2) a look counts only where nobody else whom this node knows of may be on in the band, and no incumbent is in it
    (3) after the end, looks are *like it* that are busy within `NEAR_DB` of that level
    (4) STILL_ON: surely more looks are like it than before it was ever on, and surely at least half of its share
    (5) SILENT: surely fewer than half of its share
    (6) what was not heard while it was on says nothing by being silent: CANNOT_TELL, with the reason
    (7) past `alone_until_ns` others may have the band: then only what went on without a break since its end counts
    (8) no look that covers the band: NOT_CHECKED, with the reason

"Surely" is a one-sided binomial bound at `DOUBT`. Times are monotonic ns, levels dB of any one reference.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import import_module
from statistics import median

NS = 1_000_000_000
NEAR_DB = 6.0
DOUBT = 1e-3
"""The probability that a binomial bound is wrong."""
LEARN_MIN, HEARD_MIN = 12, 5
"""The least number of looks for an estimate of a share, and of looks among them in which a signal was heard."""
LOOKS_KEPT = 512
LISTEN_NS = 30 * NS
"""Length of a listening window; without a finding by its end the verdict is CANNOT_TELL, and the next one begins."""
DEAF_NS = 5 * NS
"""After an end, so long without any look means that the receiver does not listen in the band."""
FORGET_NS = 3600 * NS


class EarVerdict(StrEnum):
    """The verdict on whether a base station fell silent after its end."""

    SILENT = "silent"
    STILL_ON = "still on"
    CANNOT_TELL = "cannot tell"
    NOT_CHECKED = "not checked"


_SURER = (EarVerdict.NOT_CHECKED, EarVerdict.CANNOT_TELL, EarVerdict.SILENT, EarVerdict.STILL_ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSpan:
    """When a base station may transmit in a band: from `since_ns`, to `on_until_ns`, and silent from `silent_from_ns`.

    Between the last two it may be on or off. Until `alone_until_ns` nobody else has the band by the same settlement.
    """

    device: str
    sid: bytes
    low_hz: int
    high_hz: int
    since_ns: int
    on_until_ns: int
    silent_from_ns: int
    alone_until_ns: int

    @property
    def key(self) -> "EarKey":
        """The base station and band of this span, as dictionary key."""
        return self.device, self.low_hz, self.high_hz


EarKey = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandLook:
    """One look at a band: whether a signal was heard, and its level (dB); `heard` None where the look cannot tell."""

    at_ns: int
    heard: bool | None
    level_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EarFinding:
    """The verdict on a base station: a signal like its own was heard in `like` of `looks` looks, `from_ns` to `to_ns`.

    `levels_db` are the lowest, the middle and the highest level of what was like it; None where nothing was.
    """

    span: StationSpan
    verdict: EarVerdict
    detail: str
    looks: int = 0
    like: int = 0
    levels_db: tuple[float, float, float] | None = None
    from_ns: int = 0
    to_ns: int = 0


def _quantile(a: int, b: int, p: float) -> float:
    """Quantile of a beta distribution; SciPy is imported at the first call, which the warden never makes."""
    return float(import_module("scipy.special").betaincinv(a, b, p))


def at_least(k: int, n: int, doubt: float = DOUBT) -> float:
    """The lower bound of a share of which `k` of `n` were seen."""
    return 0.0 if k == 0 else _quantile(k, n - k + 1, doubt)


def at_most(k: int, n: int, doubt: float = DOUBT) -> float:
    """The upper bound of a share of which `k` of `n` were seen."""
    return 1.0 if k >= n else _quantile(k + 1, n - k, 1 - doubt)


def _kept() -> "deque[float | None]":
    return deque(maxlen=LOOKS_KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarReference:
    """How the receiver hears a base station while it is on (share of looks, level), and how often so before."""

    level_db: float | None
    on: int
    heard_on: int
    before: int
    like_before: int

    def like(self, level_db: float | None) -> bool:
        """Whether a level is like the base station's: rule (3)."""
        return level_db is not None and self.level_db is not None and abs(level_db - self.level_db) <= NEAR_DB


@dataclass(slots=True)
class StationEar:
    """What the receiver heard of one base station in one band: while it was on, and since its end."""

    span: StationSpan
    idle: "deque[float | None]" = field(default_factory=_kept)
    on: "deque[float | None]" = field(default_factory=_kept)
    """Levels of the looks before the base station was ever on, and while it was; None where no signal was heard."""
    looks: int = 0
    like: list[float] = field(default_factory=list)
    """Number of looks since its end, and the levels of the looks that are like it."""
    window_ns: int = 0
    """When the counting of `looks` and `like` began, monotonic ns."""
    last_ns: int = 0
    missed: int = 0
    """Consecutive looks, since the station was last surely on, without a signal like it."""
    broke: bool = False
    """Whether `missed` exceeded what chance explains: a signal heard since then is a new transmission."""
    told: EarVerdict | None = None
    barred: str = ""
    """Why the last look did not count."""
    _known: EarReference | None = None
    _again_ns: int = 0

    def moves(self, span: StationSpan) -> None:
        """Take in a changed span of the base station: longer, shorter, or begun again."""
        if span.silent_from_ns > self.span.silent_from_ns:
            self.told = None
        self.span, self._known = span, None
        self._begin(0)

    def anew(self, now_ns: int) -> None:
        """Restart the count of looks after the end; what was learnt of the station while it was on stays."""
        self.told = None
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self.looks, self.window_ns, self._again_ns = 0, now_ns, 0
        self.like.clear()

    @property
    def reference(self) -> EarReference:
        """What the station looks like while on: rules (1) and (4); fixed once its end has come."""
        if self._known is None:
            heard = [one for one in self.on if one is not None]
            made = EarReference(
                level_db=median(heard) if heard else None,
                on=len(self.on),
                heard_on=len(heard),
                before=len(self.idle),
                like_before=0,
            )
            self._known = replace(made, like_before=sum(map(made.like, self.idle)))
        return self._known

    def look(self, look: BandLook, others: str) -> None:
        """Count one look at its band; `others`: who else may be on or why the look does not count, "" for neither."""
        span = self.span
        self.last_ns, self._again_ns = max(self.last_ns, look.at_ns), 0
        if others or look.heard is None:
            self.barred = others or "the look cannot tell"
            return
        level = look.level_db if look.heard else None
        if look.at_ns < span.since_ns:
            if not self.on:
                self.idle.append(level)
        elif look.at_ns < span.on_until_ns:
            self.on.append(level)
            self.missed, self.broke, self._known = 0, False, None
        else:
            self._after(level, look.at_ns)

    def _after(self, level: float | None, at_ns: int) -> None:
        like = self.reference.like(level)
        self.missed = 0 if like else self.missed + 1
        self.broke = self.broke or self._broke()
        if at_ns < self.span.silent_from_ns:
            return
        if at_ns >= self.span.alone_until_ns and self.broke:  # (7)
            self.barred = "its settlement's window is over, and others may have the band"
            return
        self.looks += 1
        if like and level is not None:
            self.like.append(level)

    def _broke(self) -> bool:
        share = self.reference.heard_on / max(1, self.reference.on)
        return share <= 0 or (1 - share) ** self.missed < DOUBT

    def finding(self, now_ns: int) -> EarFinding | None:
        """The finding by now where its verdict is new; None before the end, or while looks are too few."""
        span = self.span
        if now_ns < max(span.silent_from_ns, self._again_ns):
            return None
        self._again_ns = now_ns + NS  # or at the next look, whichever is first
        verdict, detail = self._judged(now_ns)
        if verdict is None:
            return None
        made = EarFinding(
            span=span,
            verdict=verdict,
            detail=detail,
            looks=self.looks,
            like=len(self.like),
            levels_db=(min(self.like), median(self.like), max(self.like)) if self.like else None,
            from_ns=max(span.silent_from_ns, self.window_ns),
            to_ns=self.last_ns,
        )
        self._begin(now_ns)
        # A verdict is replaced only by a surer one: STILL_ON stays, and SILENT may still become STILL_ON.
        if self.told is not None and _SURER.index(verdict) <= _SURER.index(self.told):
            return None
        self.told = verdict
        return made

    def _judged(self, now_ns: int) -> tuple[EarVerdict | None, str]:
        if self.last_ns < self.span.silent_from_ns:  # (8)
            deaf = now_ns - self.span.silent_from_ns > DEAF_NS
            return (EarVerdict.NOT_CHECKED, "the receiver took no look at its band") if deaf else (None, "")
        known, looks, like = self.reference, self.looks, len(self.like)
        on, heard_on = known.on, known.heard_on
        if on < LEARN_MIN or heard_on < HEARD_MIN:  # (6)
            told = self.barred if on < LEARN_MIN and self.barred else ""
            why = told or f"it was heard in {heard_on} of {on} looks while it was allowed to be on"
            return EarVerdict.CANNOT_TELL, why
        # Without looks from before the station was on, its signal cannot be told from one that was there before.
        listened = known.before >= LEARN_MIN
        background = at_most(known.like_before, known.before) if listened else 0.0
        surely = at_least(like, looks)
        if like >= HEARD_MIN and surely > background and surely >= heard_on / on / 2:  # (4)
            unknown = "" if listened else "; what was there before it was on was not listened to"
            detail = f"heard in {like} of {looks} looks after its end, as loud as in {heard_on} of {on} before"
            return EarVerdict.STILL_ON, detail + unknown
        if looks >= LEARN_MIN and at_most(like, looks) < at_least(heard_on, on) / 2:  # (5)
            return EarVerdict.SILENT, f"heard in {like} of {looks} looks after its end, in {heard_on} of {on} before"
        if now_ns - max(self.span.silent_from_ns, self.window_ns) > LISTEN_NS:
            why = (
                self.barred if looks < LEARN_MIN and self.barred else f"heard in {like} of {looks} looks after its end"
            )
            return EarVerdict.CANNOT_TELL, why
        return None, ""


@dataclass(slots=True)
class StationEars:
    """Listening results of all base stations that may be on, or whose grant ended within the last hour."""

    ears: dict[EarKey, StationEar] = field(default_factory=dict)

    def span(self, span: StationSpan) -> None:
        """Take in the warden's span: when a base station may be on."""
        known = self.ears.get(span.key)
        if known is None:
            self.ears[span.key] = StationEar(span)
        elif known.span != span:
            known.moves(replace(span, since_ns=_began(known.span, span)))

    def findings(self, now_ns: int) -> list[EarFinding]:
        """Findings not told before; base stations whose end is more than an hour old are dropped."""
        for key in [key for key, ear in self.ears.items() if now_ns - ear.span.silent_from_ns > FORGET_NS]:
            del self.ears[key]
        found = (ear.finding(now_ns) for ear in self.ears.values())
        return [one for one in found if one is not None]

    def allowed(self, low_hz: int, high_hz: int, at_ns: int, *, beside: str) -> str:
        """The name of another base station that may be on in a band at an instant; "" for none."""
        for ear in self.ears.values():
            span = ear.span
            if span.device == beside or not (span.low_hz < high_hz and low_hz < span.high_hz):
                continue
            if span.since_ns <= at_ns < span.silent_from_ns or ear.told is EarVerdict.STILL_ON:
                return f"{span.device} may be on there too"
        return ""


def _began(before: StationSpan, now: StationSpan) -> int:
    """When a station began to transmit: a span that was only extended keeps the first span's begin."""
    goes_on = now.since_ns <= before.silent_from_ns
    return min(before.since_ns, now.since_ns) if goes_on else now.since_ns
