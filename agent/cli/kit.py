"""`bandpact kit`: a whole trial from one file: commands of its coordinator, and two commands of a node."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.authority import PASSPHRASE
from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, output_console, print_json, say
from agent.words.shell import quoted

if TYPE_CHECKING:
    from agent.kit.folder import Trial
    from agent.kit.status import Seen

app = typer.Typer(
    cls=Listed, no_args_is_help=True, help="Set a trial up from one file, join it, and gather what it did."
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TrialFolder = Annotated[
    Path | None, typer.Argument(metavar="TRIAL", help="The trial's folder; the only one here if left out.")
]


def _passphrase() -> str | None:
    import os

    return os.environ.get(PASSPHRASE) or None


def _trial(folder: Path | None) -> "Trial":
    """Open the coordinator's folder; without one, ends the command with one line."""
    from agent.config.settings import ConfigError
    from agent.kit.folder import find_trial

    try:
        return find_trial(folder)
    except ConfigError as exc:
        fail(str(exc))


@app.command()
def make(
    file: Annotated[Path, typer.Argument(metavar="TRIAL.toml", help="The trial, in people's units.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The trial's folder; the file's name without .toml if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the authority's desk, the signed rule, and for each node a sealed archive with its QR code.

    No private key of a node is in its archive; whoever has it can enrol in that node's name.
    """
    from agent.config.settings import ConfigError
    from agent.kit.invitations import make as made

    try:
        trial, invited = made(file, out, _passphrase())
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        nodes = [
            {"node": one.node, "archive": str(one.archive), "qr": str(one.qr), "code": one.code} for one in invited
        ]
        print_json({**trial.manifest, "folder": str(trial.root), "nodes": nodes})
        return
    for one in invited:
        say(f"{one.archive}: for {one.node}, code {one.code}")
    say(f"{trial.root}: anchor {trial.state.anchor}")
    say("next: hand each node its archive; on it: bandpact kit join ARCHIVE")


@app.command()
def join(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The invitation that the coordinator handed out.")],
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The node's folder; its name, here, if left out.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The archive's short code, as the coordinator said it; another one is refused.")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option(metavar="HEX", help="The root to trust; another authority's archive is refused.")
    ] = None,
) -> None:
    """On the node: make its keys here, write its configuration, and an enrolment file to hand back. Asks nothing."""
    from agent.config.settings import ConfigError
    from agent.kit.join import join as joined

    try:
        found = joined(archive, folder, code=code, anchor=anchor)
    except ConfigError as exc:
        fail(str(exc))
    say(f"{found.folder}: joined; invitation code {found.invitation_code}, compare it with your coordinator")
    say(f"{found.enrolment}: hand this back, code {found.enrolment_code}")
    say(f"next, with what the coordinator sends: bandpact kit run {quoted(folder or found.folder.name)} welcome.kit")


@app.command()
def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a node that joined.")],
    welcome: Annotated[
        Path | None, typer.Argument(metavar="WELCOME", help="The coordinator's welcome, where it is new.")
    ] = None,
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Loopback port of /livez, /readyz and /metrics; 0 for none.")
    ] = 9180,
    page_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Loopback port of the page; 9181, or the next that is free; 0 for none."),
    ] = None,
    only_take_in: Annotated[
        bool, typer.Option("--only-take-in", help="Take the welcome in and end; a service runs the node.")
    ] = False,
) -> None:
    """On the node: take the coordinator's welcome in, and run until told to stop."""
    from agent.config.files import load_found
    from agent.config.settings import ConfigError
    from agent.kit.join import NODE_TOML
    from agent.kit.welcome import take_in

    config = folder / NODE_TOML
    if only_take_in and welcome is None:
        fail(f"--only-take-in: take in what? bandpact kit run {quoted(folder)} welcome.kit --only-take-in", Exit.USAGE)
    try:
        if welcome is not None:
            taken = take_in(folder, welcome)
            missing = f"; not enrolled yet: {', '.join(taken.missing)}" if taken.missing else ""
            say(f"{config}: neighbours {', '.join(taken.peers) or 'none'}{missing}", err=not only_take_in)
        if only_take_in:
            say(f"next: bandpact run --config {quoted(config)}, or bandpact install-service {quoted(config)}")
            return
        found = load_found(config)
        if not (folder / "credential.chain").is_file():
            fail(
                f"{folder}: it has taken in no welcome yet; once the coordinator has enrolled it and handed out "
                f"welcome.kit: bandpact kit run {quoted(folder)} welcome.kit"
            )
    except ConfigError as exc:
        fail(str(exc))
    from agent.service.firststart import have_loops

    try:
        have_loops(found)
    except ConfigError as exc:
        fail(str(exc))
    from agent.service.service import ServedBeside, run_node

    beside = ServedBeside(health_port=health_port, page_port=page_port, history=True)
    raise typer.Exit(run_node(found, beside, lambda line: say(f"bandpact: {line}", err=True)))


@app.command()
def enrol(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="What nodes handed back, NAME.enrol.")],
    trial_folder: Annotated[
        Path | None, typer.Option("--trial", metavar="TRIAL", help="The trial's folder; the only one here if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Entitle the nodes that handed back their enrolment, and write the welcome that every node is to be handed.

    A file that comes again changes nothing; another key under a name that is enrolled is refused.
    """
    from agent.config.settings import ConfigError
    from agent.kit.enrolment import enrol as enrolled

    trial = _trial(trial_folder)
    try:
        found = enrolled(trial, files, _passphrase())
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        parts = {"fresh": found.fresh, "known": found.known, "missing": found.missing}
        print_json(
            {**{key: list(value) for key, value in parts.items()}, "codes": found.codes, "welcome": str(found.welcome)}
        )
        return
    for name in found.fresh:
        say(f"{name}: enrolled, code {found.codes[name]}; the node's own `kit join` has to have said the same")
    for name in found.known:
        say(f"{name}: had been enrolled")
    if found.missing:
        say(f"still missing: {', '.join(found.missing)}")
    say(f"{found.welcome}: hand this to every node; on it: bandpact kit run FOLDER {found.welcome.name}")


@app.command()
def status(
    trial_folder: TrialFolder = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="How long to wait for each node.")] = "5s",
    until_settled: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Ask again, so long at the most, until users have settled and their radios answer."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say who has joined, who is reachable, and whose clock and status lists are bad. Ends with 3 where any is."""
    import time

    from agent.config.settings import ConfigError
    from agent.kit.status import look, unsettled_text
    from agent.words.units import parse_time

    wait_s = parse_time(wait, "--wait")
    if not wait_s:
        fail(f"--wait {wait!r}: nobody answers in no time; give a second or more", Exit.USAGE)
    end_s = time.monotonic() + (0.0 if until_settled is None else parse_time(until_settled, "--until-settled"))
    trial = _trial(trial_folder)
    try:
        seen, said = look(trial, wait_s), ""
        while time.monotonic() < end_s and (missing := unsettled_text(seen)):
            if missing != said:
                say(f"waiting, {until_settled} at the most: {missing}", err=True)
            said = missing
            time.sleep(1.0)
            seen = look(trial, wait_s)
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        print_json([one.as_dict() for one in seen])
    else:
        _table(seen)
        for one in seen:
            for what in one.bad:
                say(f"  {one.node}: {what}")
    raise typer.Exit(Exit.WARNINGS if any(one.bad for one in seen) else Exit.OK)


def _table(seen: "list[Seen]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("node", "role", "reached", "gate", "clock", "status list", "settlements")
    for one in seen:
        settled = "unknown" if one.settlements is None else str(one.settlements)
        cells = (one.node, one.role, one.word, one.gate, one.clock, one.status_list, settled)
        table.add_row(*(Text(cell) for cell in cells))
    output_console().print(table)


@app.command()
def tell(
    word: Annotated[
        Path | None, typer.Argument(metavar="WORD", help="What the authority signed; a fresh status list if left out.")
    ] = None,
    revoke: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="A node to take back in the fresh list; may be repeated.")
    ] = None,
    trial_folder: Annotated[
        Path | None, typer.Option("--trial", metavar="TRIAL", help="The trial's folder; the only one here if left out.")
    ] = None,
) -> None:
    """Hand every running node an authority's word: a fresh status list, a rule, a rotation. 3 if any lacks it."""
    from agent.config.settings import ConfigError
    from agent.kit.notices import fresh_list
    from agent.kit.notices import tell as told

    if word is not None and revoke:
        fail("--revoke: beside WORD; a fresh list is signed only where none is given", Exit.USAGE)
    trial = _trial(trial_folder)
    try:
        answers = told(trial, word or fresh_list(trial, revoke or [], _passphrase()))
    except ConfigError as exc:
        fail(str(exc))
    for one in answers:
        say(f"{one.node}: {one.why or 'taken'}")
    raise typer.Exit(Exit.WARNINGS if any(one.why for one in answers) else Exit.OK)


@app.command()
def collect(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE", help="A node's folder or its log archive, for nodes that cannot be asked."),
    ] = None,
    trial_folder: Annotated[
        Path | None, typer.Option("--trial", metavar="TRIAL", help="The trial's folder; the only one here if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gather every node's sealed log, from running nodes or from SOURCEs. Ends with 3 where one is missing."""
    from agent.config.settings import ConfigError
    from agent.kit.collection import collect as collected

    trial = _trial(trial_folder)
    try:
        target, found = collected(trial, sources or [])
    except ConfigError as exc:
        fail(str(exc))
    if as_json:
        rows = [
            {"node": one.node, "records": None if one.why else one.records, "missing": one.why or None} for one in found
        ]
        print_json({"folder": str(target), "nodes": rows})
    else:
        for one in found:
            say(f"{one.node}: {one.why or f'{one.records} records, verified'}")
        if any(one.records for one in found):
            say(f"{target}: next: bandpact kit report, or bandpact audit verify {quoted(target)}")
        else:
            say(f"{target}: nothing was gathered; start the nodes, or name a SOURCE for each: see kit collect --help")
    raise typer.Exit(Exit.WARNINGS if any(one.why for one in found) else Exit.OK)


@app.command()
def logs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a node that joined.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The archive; NAME.logs if left out.")] = None,
) -> None:
    """On a node that the coordinator cannot reach: pack its sealed log into one file to hand over."""
    from agent.config.settings import ConfigError, load
    from agent.kit.join import NODE_TOML
    from agent.kit.snapshot import logs_of
    from agent.service.snapshot import read_status
    from hw_profiles.wholefile import write_whole
    from settlement.chain.lineage import LineageError

    try:
        config = load(folder / NODE_TOML)
        data = logs_of(config, running=read_status(config.run_folder) is not None)
        target = out or Path(f"{config.name}.logs")
        write_whole(target, data, replace=False)
    except (ConfigError, LineageError) as exc:
        fail(str(exc))
    except FileExistsError:
        fail(f"{target}: is there already and is never overwritten; give another --out")
    say(f"{target}: {len(data)} bytes; for: bandpact kit collect {quoted(target)}")


@app.command()
def report(
    trial_folder: TrialFolder = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The report's folder; report in the trial's if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the report of the whole trial from what `kit collect` gathered: HTML, PDF, JSON. Ends as `report` does."""
    from agent.cli.report import written
    from agent.kit.folder import LOGS

    trial = _trial(trial_folder)
    if not any((trial.root / LOGS).glob("*.db")):
        fail(f"{trial.root / LOGS}: no log was gathered yet; run: bandpact kit collect")
    written([trial.root], out or trial.root / "report", anchor=None, network=None, as_json=as_json)
