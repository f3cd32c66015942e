"""`bandpact attacks`: runs the attack table against running nodes, as an operator's acceptance test."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.common import Exit, errors_console, fail, interruptible, print_json, say

if TYPE_CHECKING:
    from agent.attacking.table import CaseOutcome


def attacks(
    row: Annotated[list[int] | None, typer.Option(min=1, help="Only this row of the table; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Carry out the attack table through the outermost doors: real sockets to nodes that run, files to commands.

    Starts a holder, a user and their simulated air on this machine; two enrolled neighbours and the holder's stolen
    keys attack them. Ends with 1 if any row got another answer than the table's. Rows that are not carried out say why.
    """
    from agent.attacking.run import carry_out
    from agent.attacking.table import LAST_ROW
    from agent.trial.processes import TrialError

    unknown = [one for one in row or [] if one > LAST_ROW]
    if unknown:
        fail(f"--row {unknown[0]}: the table has rows 1 to {LAST_ROW}", Exit.USAGE)
    talk = errors_console()

    def tell(one: "CaseOutcome") -> None:
        if not as_json:
            said = f"got {one.got or 'nothing'}, expected {one.expected}" if one.attack else ""
            why = "; ".join(part for part in (said, one.reason) if part)
            talk.print(f"{one.row:3} {one.result.value:14} {one.attack}{': ' if one.attack else ''}{why}")

    with interruptible():
        try:
            outcome = carry_out(frozenset(row) if row else None, tell)
        except TrialError as exc:
            fail(str(exc))
    if as_json:
        print_json(outcome)
    else:
        say(", ".join(f"{count} {word}" for word, count in outcome["counts"].items()))
    raise typer.Exit(Exit.OK if outcome["passed"] else Exit.FAILURE)
