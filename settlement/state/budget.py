"""Budgets: limits on the spectrum that an authority's nodes together, and one identity alone, may take in a window.

Use is counted in hertz x seconds, durably, in the same transaction as the GRANT that causes it; an aborted GRANT is not
credited back, so that a REQUEST without ACCEPT uses what it blocked. An identity that requests more than is left of a
budget is suspended from it for the rest of the window, for smaller requests too. Others may use the rest, so that
nobody can close a budget for everyone by one REQUEST that is too large.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Budget, Request, Rule
from settlement.chain.credentials import Subject
from settlement.chain.lineage import Lineage
from settlement.chain.scope import Cell
from settlement.chain.weights import FAILED, FULFILLED, counted_for, share_ppm
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.work import Work
from settlement.state.reputation import share_in

NS = 1_000_000_000
SPENT, SUSPENDED = "spent", "suspended"
REPORTED = "reported"


def cost_hz_s(cell: Cell) -> int:
    """Return the bandwidth times duration of a cell, in hertz x seconds, rounded up."""
    length_ns = cell.window.end_ns - cell.window.start_ns
    return -(-(cell.band.high_hz - cell.band.low_hz) * length_ns // NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One budget in one window, for one request; `whole` and `own` name the stored counts of use.

    Use is stored for the newest window alone, so that storage does not grow with time.
    """

    budget: Budget
    whole: bytes
    own: bytes
    window: int
    ends_ns: int


def accounts(rule: Rule, author: Subject, body: Request, now: TimeFix) -> Iterator[Account]:
    """Yield every budget of the rule that a request draws on."""
    for number, budget in enumerate(rule.budgets or ()):
        if (budget.level, budget.commodity) != (author.level, body.commodity):
            continue
        if budget.area is not None and not budget.area.overlaps(body.cell.area):
            continue
        window_ns = max(1, budget.window_ns)  # an older rule may say 0
        window = now.earliest_ns // window_ns
        parts = f"{rule.name}/{number}/{author.issuer.hex() if author.issuer else 'root'}"
        name = hashlib.sha256(parts.encode()).digest()[:16]
        yield Account(
            budget=budget,
            whole=name,
            own=name + author.hash,
            window=window,
            ends_ns=(window + 1) * window_ns,
        )


def _spent(log: Lineage, name: bytes, window: int) -> int:
    """Return the use in a window, or in a later one: a clock set back frees no budget."""
    raw = log.get(SPENT, name)
    if raw is None or int.from_bytes(raw[:8], "big") < window:
        return 0
    return int.from_bytes(raw[8:], "big")


def spent_more(raw: bytes | None, window: int, amount_hz_s: int) -> bytes:
    """Return an account's stored value after `amount_hz_s` more was used in a window."""
    newest = max(window, int.from_bytes(raw[:8], "big")) if raw is not None else window
    spent = int.from_bytes(raw[8:], "big") if raw is not None and int.from_bytes(raw[:8], "big") >= window else 0
    return newest.to_bytes(8, "big") + (spent + amount_hz_s).to_bytes(16, "big")


def judge(
    log: Lineage, rule: Rule, admitted: Admitted, now: TimeFix, line: tuple[bytes, ...] | None = None
) -> tuple[Account, ...] | Refusal:
    """Return the accounts that a REQUEST draws on. `line`: its author and earlier keys, which count as one identity."""
    who = line or (admitted.author.hash,)
    body: Request = admitted.record.body
    cost = cost_hz_s(body.cell)
    drawn = tuple(accounts(rule, admitted.author, body, now))
    for account in drawn:
        ends = [log.get(SUSPENDED, account.whole + one) for one in who]
        if any(until is not None and int.from_bytes(until, "big") >= account.ends_ns for until in ends):
            return refuse(Reason.BUDGET, "budget.suspended", "exhausted", f"a request after {account.ends_ns} ns")
        limit = account.budget.amount_hz_s
        spent = _spent(log, account.whole, account.window)
        if spent + cost > limit:
            return refuse(Reason.BUDGET, "budget.amount", f"{spent} spent, {cost} asked", f"<= {limit} Hz s")
        terms, first_ppm = rule.reputation, account.budget.first_share_ppm
        share = _share(log, account.budget, who)
        if terms is not None:
            share = share_in(log, terms, who, first_ppm, now.latest_ns)
        own_limit = limit * share // 1_000_000
        own = sum(_spent(log, account.whole + one, account.window) for one in who)
        if own + cost > own_limit:
            return refuse(Reason.REPUTATION, "budget.share", f"{own} spent, {cost} asked", f"<= {own_limit} Hz s")
    return drawn


def _share(log: Lineage, budget: Budget, who: tuple[bytes, ...]) -> int:
    return share_ppm(
        first_ppm=budget.first_share_ppm,
        step_ppm=budget.step_ppm,
        fulfilled=sum(log.counted(FULFILLED + one.hex()) for one in who),
        failed=sum(log.counted(FAILED + one.hex()) for one in who),
    )


def spend(work: Work, log: Lineage, drawn: tuple[Account, ...], cell: Cell) -> None:
    """Charge a GRANT's cell to its accounts, inside its transaction."""
    for account in drawn:
        for name in (account.whole, account.own):
            work.put(SPENT, name, spent_more(log.get(SPENT, name), account.window, cost_hz_s(cell)))


def suspend(work: Work, rule: Rule, admitted: Admitted) -> None:
    """Suspend an author that asked for more than is left of a budget, until the budget's window ends."""
    for account in accounts(rule, admitted.author, admitted.record.body, work.now.time):
        work.put(SUSPENDED, account.own, account.ends_ns.to_bytes(8, "big"))
        work.event("suspended", level=account.budget.level, until_ns=account.ends_ns)


def credit(work: Work, log: Lineage, admitted: Admitted) -> None:
    """Count a record for or against its party's fulfilment, once."""
    counted = counted_for(admitted.record.body, admitted.author.hash)
    if counted is None or log.get(REPORTED, counted.once) is not None:
        return
    work.put(REPORTED, counted.once, admitted.record.digest)
    work.count((FULFILLED if counted.good else FAILED) + counted.whose.hex(), counted.by)
