"""`bandpact witness`: runs a standard witness of logs over HTTP (C2SP tlog-witness), or asks one."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.commandlist import Listed
from agent.cli.common import Exit, fail, interruptible, printable

app = typer.Typer(cls=Listed, no_args_is_help=True, help="Cosign the logs of others over HTTP, or have logs cosigned.")
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The witness's folder.")]
Anchors = Annotated[
    list[str] | None,
    typer.Option("--anchor", help="SHA-256 of a root credential to trust, in hexadecimal; may be repeated."),
]
Network = Annotated[str | None, typer.Option(help="The network's name, with --anchor.")]
Logs = Annotated[Path, typer.Argument(metavar="PATH", help="A trial's report folder or one sealed lineage.")]


def _say(text: str) -> None:
    typer.echo(printable(text))


@app.command()
def init(
    folder: Folder,
    name: Annotated[str, typer.Option(help="Its name in every line it signs, such as witness.example.org/w1.")],
) -> None:
    """Make a witness's keys, Ed25519 and ML-DSA-44 where this machine has it, and print them for whoever trusts it."""
    from agent.config.settings import ConfigError
    from agent.witness import server

    try:
        cosigner = server.make(folder, name)
    except ConfigError as exc:
        fail(str(exc))
    for key in cosigner.handed_out():
        _say(key.text())
    _say(f"next: write the verifier key of each log it is to watch into {folder / server.LOGS}, a line each")


@app.command()
def serve(
    folder: Folder,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on loopback; a proxy of yours faces the world.")
    ] = 8460,
) -> None:
    """Answer add-checkpoint until interrupted; what was cosigned is on disk before it is said."""
    from contextlib import ExitStack

    import uvicorn

    from agent.config.locks import held
    from agent.config.settings import ConfigError
    from agent.page.connections import BOUNDED
    from agent.witness import server

    alone = ExitStack()
    try:
        # Two processes with one key would each remember their own last head, and could cosign contradicting logs.
        alone.enter_context(held(folder, None, "bandpact witness"))
        service = server.application(folder)
        logs = len(server.known_logs(folder))
    except ConfigError as exc:
        fail(str(exc))
    _say(f"witness of {logs} logs at http://127.0.0.1:{port}/add-checkpoint; Ctrl-C ends it")
    settings = uvicorn.Config(service, host="127.0.0.1", port=port, log_level="error", access_log=False, **BOUNDED)
    with interruptible():
        try:
            uvicorn.Server(settings).run()
        except SystemExit as exc:
            fail(f"cannot listen on 127.0.0.1:{port}; is another program there?", Exit.FAILURE)
            raise typer.Exit(Exit.FAILURE) from exc


@app.command("log")
def log_keys(path: Logs, anchor: Anchors = None, network: Network = None) -> None:
    """Print the verifier key of each log, as a witness's logs.txt takes it."""
    from agent.audit import lineages, proofs

    with interruptible():
        try:
            found = proofs.logs(path, anchors=anchor, network=network)
        except lineages.AuditError as exc:
            fail(str(exc))
    for log in found:
        _say(log.key.text())


@app.command()
def ask(
    path: Annotated[Path, typer.Argument(metavar="LINEAGE", help="One sealed lineage.")],
    url: Annotated[str, typer.Option(help="The witness's address, without /add-checkpoint.")],
    key: Annotated[list[str], typer.Option(help="A verifier key of that witness; may be repeated.")],
    anchor: Anchors = None,
    network: Network = None,
) -> None:
    """Have a stock witness cosign a log's signed head; its lines are kept beside the log and go into tlog-proofs."""
    from agent.audit import lineages
    from agent.witness import finishedlog

    with interruptible():
        try:
            written, names = finishedlog.cosigned(path, url, key, anchors=anchor, network=network)
        except lineages.AuditError as exc:
            fail(str(exc))
    _say(f"{written}: cosigned by {', '.join(names)}")
