"""The `bandpact` command."""

import sys
from typing import Annotated

import typer

from agent.cli import (
    acquire,
    attacks,
    auction,
    audit,
    authority,
    bench_cbrs,
    bench_chain,
    bench_gate,
    bench_node,
    bench_radio,
    bench_scale,
    bench_sensing,
    bench_settlement,
    bench_start,
    bench_table,
    calibrate,
    campaign,
    cbsd,
    classes,
    clock,
    directory,
    dispute,
    drafts,
    fallback,
    history,
    install,
    jurisdiction,
    kit,
    lease,
    members,
    node,
    offer,
    record,
    recordings,
    relinquish,
    report,
    ruling,
    sense,
    service,
    simulate,
    stop,
    trial,
    tx,
    warden,
    watch,
    witness,
)
from agent.cli.commandlist import Listed
from agent.cli.common import guard_streams
from agent.cli.entry import Commands

app = typer.Typer(
    name="bandpact",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Share radio spectrum by agreement between neighbours: sense, settle, and transmit only inside a settlement.",
)
app.add_typer(trial.app, name="trial")
app.command()(attacks.attacks)
app.command()(report.report)
app.command()(sense.sense)
app.command()(record.record)
app.add_typer(recordings.app, name="recordings")
app.command()(calibrate.calibrate)
app.add_typer(tx.tx, name="tx")
app.command()(stop.stop)
app.command()(warden.warden)
app.add_typer(simulate.app, name="sim")
app.command()(offer.offer)
app.command()(acquire.acquire)
app.command()(relinquish.relinquish)
audit.app.command("fleet")(campaign.fleet)
app.add_typer(auction.app, name="auction")
app.command()(fallback.fallback)
app.add_typer(dispute.dispute, name="dispute")
app.add_typer(ruling.ruling, name="ruling")
app.add_typer(audit.app, name="audit")
app.command()(campaign.campaign)
app.add_typer(lease.app, name="lease")
app.add_typer(history.app, name="history")
app.add_typer(witness.app, name="witness")
app.add_typer(directory.app, name="directory")
app.add_typer(authority.authority, name="authority")
authority.rule.command("draft")(drafts.rule_draft)
authority.authority.add_typer(classes.commodity, name="class")
authority.authority.add_typer(jurisdiction.jurisdiction, name="jurisdiction")
authority.authority.command("admit")(classes.admit)
authority.authority.command("members")(members.members)
node.node.command("config")(drafts.node_config)
app.add_typer(node.node, name="node")
app.add_typer(kit.app, name="kit")

bench = typer.Typer(cls=Listed, no_args_is_help=True, help="Measure this machine, each figure beside its baseline.")
bench.command("cbrs")(bench_cbrs.cbrs)
bench.command("chain")(bench_chain.chain)
bench.command("audit")(bench_scale.audit)
bench.command("archive")(bench_scale.archive)
bench.command("identities")(bench_scale.identities)
bench.command("gate")(bench_gate.gate)
bench.command("node")(bench_node.node)
bench.command("start")(bench_start.start)
bench.command("settlement")(bench_settlement.settlement)
bench.command("sensing")(bench_sensing.sensing)
bench.command("radio")(bench_radio.radio)
bench.command("detection")(bench_sensing.detection)
bench.command("load")(bench_table.load)
bench.command("world")(bench_table.world)
bench.command("table")(bench_table.table)
app.add_typer(bench, name="bench")

app.add_typer(cbsd.cbsd, name="cbsd")
app.add_typer(cbsd.calendar, name="calendar")
app.command()(clock.doctor)
app.command("install-service")(install.install_service)
app.command()(service.run)
app.command()(service.status)
app.command()(service.page)
app.command()(watch.watch)
clocks = typer.Typer(cls=Listed, no_args_is_help=True, help="The clock of this node: its bound against the budget.")
clocks.command("watch")(clock.watch)
app.add_typer(clocks, name="clock")
settings = typer.Typer(
    cls=Listed,
    no_args_is_help=True,
    help="The configuration of this node: errors by file and key, and where each value comes from.",
)
settings.command("check")(clock.check)
settings.command("show")(clock.show)
app.add_typer(settings, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bandpact {version('bandpact')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version
    guard_streams()


def main() -> None:
    """Run the command line."""
    guard_streams()
    app(args=sys.argv[1:], prog_name="bandpact")


if __name__ == "__main__":
    main()
