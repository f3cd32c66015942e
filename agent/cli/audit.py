"""`bandpact audit`: verifies lineages offline, from the files and the trust anchors alone.

Long because a command is mostly the help of its options, and these commands share how files and anchors are named.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, interruptible, output_console, print_json, printable
from agent.words.instants import with_instants
from agent.words.shell import quoted

app = typer.Typer(cls=Listed, no_args_is_help=True, help="Read and verify logs (lineages) offline.")


Anchors = Annotated[
    list[str] | None,
    typer.Option("--anchor", help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated."),
]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]
Logs = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", help="A trial's folder, a node's folder or node.toml, one log (*.db), or a file.bundle."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def _verified(path: Path, anchor: list[str] | None, network: str | None, *, again: bool = False) -> dict[str, Any]:
    """Return the result of an audit; where there is none, ends the command with one line and the remedy."""
    from agent.audit import lineages as auditing

    with interruptible():
        try:
            audit = auditing.replay if again else auditing.verify
            return audit(path, anchors=anchor, network=network)
        except auditing.AuditError as exc:
            fail(f"{_code(exc)}{exc}")


def _code(exc: Exception) -> str:
    """Return the result word of a file that is no lineage."""
    from agent.audit import lineages as auditing

    return "NOT A LINEAGE: " if isinstance(exc, auditing.NotALineage) else ""


def _say(text: str) -> None:
    typer.echo(printable(with_instants(text)))


ENDS = {
    "VERIFIED": Exit.OK,
    "NOT_SEALED": Exit.WARNINGS,
    "TAMPERED": Exit.TAMPERING,
    "WRONG_ANCHOR": Exit.WRONG_ANCHOR,
    "DIFFERS": Exit.DIFFERS,
}
WORDS = {
    "VERIFIED": "VERIFIED",
    "NOT_SEALED": "VERIFIED, NOT SEALED: see the warnings above",
    "TAMPERED": "TAMPERED OR BROKEN: see the lines above",
    "WRONG_ANCHOR": "WRONG ANCHOR: nothing was verified; give the anchor of this network's root credential",
    "DIFFERS": "DIFFERS: the log holds, but its node kept other state beside it than the log makes: see above",
}


SEALED = {None: "in a bundle", True: "yes", False: "no"}


def _end(outcome: dict[str, Any]) -> NoReturn:
    """End with 0 where everything holds, 3 with a warning, 5 where something was altered, 6 and 7 as WORDS says."""
    raise typer.Exit(ENDS[outcome["outcome"]])


def _remarks(outcome: dict[str, Any]) -> None:
    for row in outcome["lineages"]:
        for problem in row["problems"]:
            _say(f"  {row['file']}: {problem}")
        for gone in row["pruned"]:
            of = f" of {gone['class']}" if gone["class"] else ""
            _say(f"  {row['file']}: {gone['entries']} {gone['kind']}{of} let go by the rule {gone['rule'][:16]}")
        for warning in row["warnings"]:
            _say(f"  warning: {row['file']}: {warning}")
    for problem in outcome["problems"]:
        _say(f"  {problem}")


def _word(outcome: dict[str, Any]) -> str:
    return WORDS[outcome["outcome"]]


@app.command()
def verify(path: Logs, anchor: Anchors = None, network: Network = None, as_json: AsJson = False) -> None:
    """Verify every record, the chain of each log, and both sides of every settlement against each other.

    Ends with 0 when everything holds, 3 when it holds but a log is not sealed, 5 when something was altered, 6 when no
    credential leads to the anchor that was given, 1 when the file is no lineage. The trust anchors come from --anchor,
    or from the anchors.txt that a trial leaves beside its lineages.
    """
    outcome = _verified(path, anchor, network)
    if as_json:
        print_json(outcome)
    else:
        _table(outcome)
        _remarks(outcome)
        _say(f"settlements on record: {outcome['settlements']}, under review: {len(outcome['reviews'])}")
        output_console().print(_word(outcome), style="bold")
    _end(outcome)


@app.command()
def bundle(
    path: Logs,
    out: Annotated[Path, typer.Option(help="The new file; its name ends in .bundle.")],
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Pack lineages into one file that a regulator verifies with the trust anchors alone."""
    from agent.audit import lineages as auditing

    if out.suffix != auditing.BUNDLE:
        fail(f"{out}: a bundle's name ends in {auditing.BUNDLE}", Exit.USAGE)
    with interruptible():
        try:
            size = auditing.bundle(path, out, anchors=anchor, network=network)
        except auditing.AuditError as exc:
            fail(_code(exc) + str(exc))
    _say(f"{out}: {size} bytes; verify with: bandpact audit verify {quoted(out)} --network NAME --anchor HEX")


@app.command()
def show(
    path: Logs,
    sid: Annotated[str | None, typer.Option(help="Settlements whose id begins like this, in hexadecimal.")] = None,
    node: Annotated[str | None, typer.Option(help="Records by this author.")] = None,
    typ: Annotated[str | None, typer.Option("--type", help="Records of this type.")] = None,
    reason: Annotated[str | None, typer.Option(help="Refusals with this reason.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="UTC", help="Arrived then or later: 2026-11-28T12:00:00Z, or 10min ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="UTC", help="Arrived before that.")] = None,
    anchor: Anchors = None,
    network: Network = None,
    as_json: AsJson = False,
) -> None:
    """Show entries of lineages, every refusal with its clause, what was measured and what was required."""
    from agent.audit import entries as auditshow
    from agent.audit import lineages as auditing
    from agent.words.units import parse_instant

    now_ns = time.time_ns()
    since_ns = None if since is None else parse_instant(since, "--since", now_ns=now_ns)
    until_ns = None if until is None else parse_instant(until, "--until", now_ns=now_ns)
    with interruptible():
        try:
            wanted = auditshow.wanted(sid=sid, typ=typ, reason=reason, node=node, since_ns=since_ns, until_ns=until_ns)
            rows = auditshow.shown(path, wanted, anchors=anchor, network=network)
        except auditing.AuditError as exc:
            fail(_code(exc) + str(exc))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _say(_line(row))
    if not rows:
        typer.echo("bandpact: no entry is like that", err=True)


def _line(row: dict[str, Any]) -> str:
    from agent.words.celltext import utc_text

    required = f" (required: {row['required']})" if row["required"] else ""
    verdict = "admitted" if row["admitted"] else f"{row['reason']} [{row['clause']}] {row['measured']}{required}"
    said = f": {row['says']}" if row["says"] else ""
    what = f"{row['author'] or '?'}  {row['type'] or '?'}{said}  {(row['sid'] or '')[:16]}"
    return f"{row['log']}#{row['entry']}  {utc_text(row['arrived_ns'])}  {what}  {verdict}"


@app.command()
def replay(path: Logs, anchor: Anchors = None, network: Network = None, as_json: AsJson = False) -> None:
    """Judge every record again under the rule in force when it was signed, and tell what the node kept from its log.

    Ends with 5 where a verdict comes out otherwise: something was altered. Ends with 7 where all that is signed holds
    and a row kept beside a log is not what the log makes it: its node did not work as its records say. A bundle holds
    entries alone.
    """
    outcome = _verified(path, anchor, network, again=True)
    if as_json:
        print_json(outcome)
    else:
        for row in outcome["lineages"]:
            _say(f"{row['file']}: {row['replayed']} verdicts reached again, {len(row['problems'])} problem(s)")
            if "kept" in row:
                kept = row["kept"]
                told = f"{kept['checked']} rows that the log decides, {kept['differing']} of them differ"
                _say(f"  kept beside the log: {told}; {kept['unsaid']} that it says nothing of")
                for difference in kept["differences"]:
                    _say(f"    {difference}")
        _remarks(outcome)
        _say(_word(outcome))
    _end(outcome)


@app.command()
def report(
    path: Logs,
    anchor: Anchors = None,
    network: Network = None,
    invoice: Annotated[bool, typer.Option("--invoice", help="Who owes whom what, by class and day.")] = False,
    market: Annotated[
        bool,
        typer.Option(
            "--market",
            help="What came of auctions, approvals, wishes, hand-overs, displacements, fallbacks and disputes.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sum up lineages for a regulator: what was recorded, refused and why, settlements, reviews, whether it holds.

    Ends as verify does.
    """
    outcome = _verified(path, anchor, network)
    if invoice:
        from agent.audit.invoices import invoiced

        _add(outcome, "invoice", lambda: invoiced(path, anchor, network))
    if market:
        from agent.audit.marketpoints import market_of

        _add(outcome, "market", lambda: market_of(path, anchor, network))
    if as_json:
        print_json(outcome)
        _end(outcome)
    for row in outcome["lineages"]:
        _say(f"{row['file']}: {row['records']} entries, {row['own']} its own, root {row['root']}")
        for reason, count in row["refused_by_reason"].items():
            _say(f"  refused {reason}: {count}")
        for taken in row["status_lists"]:
            took = f"{taken['least_ms']:g} to {taken['most_ms']:g} ms after it was signed"
            _say(f"  status list {taken['version']} of {taken['author']} taken {took}")
    _say(f"settlements: {outcome['settlements']}")
    for line in outcome.get("invoice") or []:
        _say("  " + _invoice_text(line))
    if outcome.get("market"):
        from agent.audit.marketwords import market_lines

        for told in market_lines(outcome["market"]):
            _say("  " + told)
    for review in outcome["reviews"]:
        _say(f"under review by {review['file']}: {review['subject'][:16]}, {review['why']}")
    for why in outcome.get("unread", []):
        _say(why)
    _remarks(outcome)
    _say(_word(outcome))
    _end(outcome)


def _add(outcome: dict[str, Any], key: str, read: Callable[[], Any]) -> None:
    """Add a requested result to the outcome; null with the reason where a log is unreadable, same exit code."""
    from agent.audit.lineages import AuditError
    from settlement.chain.lineage import LineageError

    with interruptible():
        try:
            outcome[key] = read()
        except (AuditError, LineageError) as exc:
            outcome[key] = None
            outcome.setdefault("unread", []).append(f"no {key}: {exc}")


def _invoice_text(line: dict[str, Any]) -> str:
    """Return one line of an invoice as text, amounts in millionths of the currency."""
    parts = [f"{line['settlements']} settlements, {line['price']}"] if line["settlements"] else []
    parts += [f"compensation {line['compensation']}"] if line["compensation"] else []
    parts += [f"deposits {line['deposits']}"] if line["deposits"] else []
    parts += [f"forfeits {line['forfeits']}"] if line["forfeits"] else []
    unit = f" millionths of {line['currency']}" if line["currency"] else ""
    aired = f", {line['airtime_ns'] / 1e9:.3f} s on the air" if line["airtime_ns"] else ""
    return f"{line['day']} {line['payer']} to {line['payee']} for {line['commodity']}: {', '.join(parts)}{unit}{aired}"


def _table(outcome: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("lineage", "records", "own", "refused", "sealed", "root", "verdict")
    for row in outcome["lineages"]:
        verdict = "verified" if not row["problems"] else f"{len(row['problems'])} problem(s)"
        sealed = SEALED[row["sealed"]] if outcome["outcome"] != "WRONG_ANCHOR" else "not checked"
        cells = (row["file"], row["records"], row["own"], row["refused"], sealed, row["root"][:16], verdict)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    output_console().print(table)


Sid = Annotated[str, typer.Argument(metavar="SID", help="How the settlement's id begins, in hexadecimal.")]


@app.command()
def export(
    path: Logs,
    sid: Sid,
    proof: Annotated[
        Path | None,
        typer.Option("--proof", metavar="FILE", help="Write a C2SP tlog-proof: a text that stock tools read."),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE", help="Write a COSE receipt (RFC 9942), its entry beside it."),
    ] = None,
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Write proofs that a settlement's CONFIRM is in its holder's log, in forms that others read.

    Give --proof FILE, --receipt FILE or both; no file is overwritten. `audit check` checks either.
    """
    from agent.audit import lineages as auditing
    from agent.audit import proofs
    from hw_profiles.wholefile import write_whole

    if proof is None and receipt is None:
        fail("give --proof FILE, --receipt FILE or both", Exit.USAGE)
    with interruptible():
        try:
            found = proofs.find(proofs.logs(path, anchors=anchor, network=network), sid)
            if proof is not None:
                write_whole(proof, proofs.proof_of(found).encode(), replace=False)
            if receipt is not None:
                made = proofs.receipt_of(found)
                write_whole(receipt, made, replace=False)
                write_whole(receipt.with_suffix(ENTRY), found.entry, replace=False)
        except auditing.AuditError as exc:
            fail(f"{_code(exc)}{exc}")
        except OSError as exc:
            fail(f"{exc.filename}: {exc.strerror}")
    for written in (proof, receipt, receipt and receipt.with_suffix(ENTRY)):
        if written is not None:
            _say(f"{written}: entry {found.index} of {found.log.origin}")
    _say(f"key of the log: {found.log.public.hex()}")


ENTRY = ".entry"


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tlog-proof, a COSE receipt or a public bundle.")],
    log: Annotated[
        Path, typer.Option("--log", metavar="PATH", help="Where the log's key is known from, as for verify.")
    ],
    entry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The entry, which a receipt does not hold.")
    ] = None,
    demand: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A witness that must have cosigned, by its verifier key; may be repeated."),
    ] = None,
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Check a proof file: 0 when it holds, 1 with the reason when it does not."""
    from agent.audit import lineages as auditing
    from agent.audit import proofs
    from settlement.core.reasons import Refusal

    with interruptible():
        try:
            keys = proofs.demanded(demand or [])
            said = proofs.check_file(file, entry, proofs.logs(log, anchors=anchor, network=network), keys)
        except auditing.AuditError as exc:
            fail(f"{_code(exc)}{exc}")
        except OSError as exc:
            fail(f"{exc.filename}: {exc.strerror}")
    if isinstance(said, Refusal):
        fail(f"DOES NOT HOLD: {said}")
    for line in said:
        _say(f"HOLDS: {line}")


@app.command()
def public(
    path: Logs,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The new file, JSON.")],
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Write a bundle for the public: parties by pseudonym, places to a tenth of a degree, proofs that still hold."""
    import secrets

    from agent.audit import lineages as auditing
    from agent.audit import proofs
    from hw_profiles.wholefile import write_whole

    with interruptible():
        try:
            found = proofs.logs(path, anchors=anchor, network=network)
            name, _ = auditing.trust(path, anchor, network)
            write_whole(out, proofs.public(found, name, secrets.token_bytes(32)).encode(), replace=False)
        except auditing.AuditError as exc:
            fail(f"{_code(exc)}{exc}")
        except OSError as exc:
            fail(f"{exc.filename}: {exc.strerror}")
    _say(f"{out}: {len(found)} logs; check with: bandpact audit check {quoted(out)} --log {quoted(path)}")
