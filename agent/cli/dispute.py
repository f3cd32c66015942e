"""`bandpact dispute`: raises a dispute, answers one, shows their state, exports a case for the authority."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli.agentcall import converse, converse_for, run_folder_of
from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, say
from agent.cli.sources import ConfigOption, NodeArg, chosen
from agent.words.shell import quoted

dispute = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Dispute a settlement that was not kept, and answer such a dispute."
)
Json = Annotated[bool, typer.Option("--json", help="a line of JSON for each step and nothing else")]
Cite = Annotated[
    list[str] | None,
    typer.Option("--cite", metavar="HASH", help="a record in this node's log to cite as well; may be repeated"),
]
GROUNDS = (
    "rule misapplied, fallback not kept, credential invalid at signing, interference measured, usage misreported, "
    "compensation not paid"
)


@dispute.command("raise")
def raise_(
    sid: Annotated[
        str,
        typer.Argument(metavar="ID", help="the settlement, or how its name begins; with --escalate a dispute"),
    ],
    node: NodeArg = None,
    config: ConfigOption = None,
    ground: Annotated[str, typer.Option(metavar="GROUND", help=f"one that the rule names, of: {GROUNDS}")] = "",
    claim: Annotated[
        int | None, typer.Option(min=0, help="what is claimed, in the price's unit; all the ground can owe if not said")
    ] = None,
    cite: Cite = None,
    escalate: Annotated[
        bool, typer.Option("--escalate", help="ID is a dispute: take it to the next level of authority")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--in",
            metavar="SOURCE",
            help="the settlement is between others: a log, a .bundle, a node's or a trial's folder that holds it, and "
            "with --escalate what was ruled on it",
        ),
    ] = None,
    against: Annotated[
        Literal["holder", "user"] | None, typer.Option(help="with --in: which of the two did not keep it")
    ] = None,
    anchor: Annotated[
        list[str] | None, typer.Option("--anchor", metavar="HEX", help="with --in: a root to trust, SHA-256 in hex")
    ] = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="with --anchor: the network's name")] = None,
    as_json: Json = False,
) -> None:
    """Dispute a settlement of the running node on a ground; exit 1 says why not.

    What the node's log holds on the ground is cited by itself. The other party is told until it says that it has it.

    An auditor's node (action audit in its credential), or one that co-signed it, disputes a settlement between others:
    --in says where its records are, --against whom it is raised against. Both parties are told. What is ruled on it
    stands in their logs: with --escalate --in says where, and takes it to the next level.
    """
    if bool(ground) == escalate:
        fail("give --ground GROUND, or --escalate with the name of a dispute", Exit.USAGE)
    if against is not None and (source is None or escalate):
        fail("--against holder|user goes with --in SOURCE and --ground, and without --escalate", Exit.USAGE)
    if source is not None and against is None and not escalate:
        fail("--in SOURCE: say --against holder or user too: which of the two did not keep it", Exit.USAGE)
    if source is None and (anchor or network):
        fail("--anchor and --network go with --in SOURCE", Exit.USAGE)
    fields = {"claim": claim, "cite": cite or []}
    if source is not None:
        from agent.audit.lineages import AuditError
        from agent.audit.settlements import disputed_records, records_of

        try:
            if escalate:
                found = disputed_records(source, sid, anchors=anchor, network=network)
            else:
                found = records_of(source, sid, ground, anchors=anchor, network=network)
        except AuditError as exc:
            fail(str(exc))
        fields["cite"] = [*(cite or []), *(name.hex() for name in found.evidence)][:32]
        shown = [raw.hex() for raw in found.raws]
        of_others = {"escalates": sid} if escalate else {"ground": ground, "against": against}
        converse(run_folder_of(chosen(node, config)), as_json=as_json, do="dispute", shown=shown, **of_others, **fields)
    named = {"escalates": sid} if escalate else {"sid": sid, "ground": ground}
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="dispute", **named, **fields)


@dispute.command()
def answer(
    name: Annotated[str, typer.Argument(metavar="ID", help="the dispute, or the beginning of its name")],
    node: NodeArg = None,
    config: ConfigOption = None,
    stance: Annotated[Literal["denied", "admitted"], typer.Option(help="whether it is so")] = "denied",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="what there is to say, for people to read")] = "",
    cite: Cite = None,
    as_json: Json = False,
) -> None:
    """Answer a dispute against the running node, citing what its log holds; exit 1 says why not."""
    fields = {"stance": stance, "reason": reason, "cite": cite or []}
    converse(run_folder_of(chosen(node, config)), as_json=as_json, do="answer", dispute=name, **fields)


@dispute.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="a dispute or a settlement, or how its name begins; all if left out"),
    ] = "",
    node: NodeArg = None,
    config: ConfigOption = None,
    case: Annotated[
        Path | None,
        typer.Option("--case", metavar="FILE", help="write the whole case, for bandpact ruling sign"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the disputes on record at the running node: ground, level, what is cited, ruled and paid."""
    if node is None and config is None and not set(name) <= set("0123456789abcdef") and Path(name).exists():
        node, name = Path(name), ""  # all disputes of a node
    folder = run_folder_of(chosen(node, config))
    if case is None:
        converse(folder, as_json=as_json, do="disputes", name=name)
        return
    from hw_profiles.wholefile import write_whole

    if case.exists():
        fail(f"{case}: is there already; give another name")
    answers = converse_for(folder, as_json=as_json, do="disputes", name=name, case=True)
    found = next((one["case"] for one in answers if one.get("step") == "case"), None)
    if found is None:
        raise typer.Exit(Exit.FAILURE)
    try:
        write_whole(case, bytes.fromhex(found), replace=False)
    except OSError as exc:
        fail(f"{case}: {exc.strerror}")
    say(f"{case}: give it to the authority; bandpact ruling sign {quoted(case)} rules on it", err=True)
