"""Text of strangers at every door: no byte of it steers a terminal, a log or a page, whichever command shows it."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import structlog
import typer
import typer.main
from rich.table import Table
from typer.testing import CliRunner, Result

from agent.cli import agentcall
from agent.cli.common import errors_console, fail, guard_streams, output_console, print_json, say
from agent.cli.console import PlainConsole
from agent.cli.main import app
from agent.node.control import ControlDoor
from agent.service import logs
from agent.service.health import app_of
from agent.trial.progress import Reporter
from hw_profiles.printable import PrintableStream, lines, printable
from radio.operator import OperatorDoor, OperatorError, ask
from settlement.audit.seal import write_seal
from settlement.chain import bodies
from settlement.chain.records import Attestation, Frame, digest, sign_record
from settlement.state.messages import Message
from tests.settlement.world import NETWORK, World, fix, trio

C0_C1 = "".join(map(chr, (*range(32), 127, *range(128, 160))))
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u2028\u2029\u180e\U000e0041"
SURROGATES = "\ud800\udfff"
UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180d\u180f\u2800\u3164\ufe00\ufe0f\uffa0\U000e0100\U000e01ef"
"""Letters, marks and symbols by their category, and nothing to anybody's eye."""
FORBIDDEN = set(C0_C1 + BIDI + INVISIBLE + SURROGATES + UNSEEN)
NASTY = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\r\nbandpact: VERIFIED\u2028\x08[link=http://x]y[/link]"
"""What may be signed: any Unicode text."""


def clean(data: bytes, *, lines_of: str = "\n") -> bool:
    return not (FORBIDDEN - set(lines_of)) & set(data.decode("utf-8"))


def test_every_character_that_acts_is_written_out_and_no_other() -> None:
    for character in FORBIDDEN:
        shown = printable(f"a{character}b")
        assert shown.isprintable()
        assert shown.isascii()
        assert shown.startswith("a\\")
    for plain in ("Zürich 東京 –", "", "a b", "ωΩ"):
        assert printable(plain) == plain
    for point in range(0x110000):
        assert printable(chr(point)).isprintable()
    assert lines("a\nb\x1b") == "a\nb\\x1b"
    assert printable("Việt e\u0302\u0301 שָׁ") == "Việt e\u0302\u0301 שָׁ"
    assert printable("a" + "\u0301" * 50) == "a" + "\u0301" * 4 + "\\u0301" * 46, "nothing is drawn over other lines"
    printable(NASTY + SURROGATES).encode("utf-8")


@pytest.mark.attack(71)
def test_a_guarded_stream_writes_out_whatever_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    under = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, under)
    guard_streams()
    guard_streams()
    assert isinstance(sys.stdout, PrintableStream)
    assert not isinstance(sys.stdout.bare, PrintableStream)
    print(NASTY + SURROGATES + "é")
    print(NASTY, file=sys.stderr)
    typer.echo(NASTY)
    click.echo(NASTY, err=True)
    say(NASTY)
    print_json({NASTY: NASTY + SURROGATES})
    output_console().print(NASTY, style="bold")
    output_console().print(f"[bold]{NASTY}", NASTY)
    table = Table(NASTY)
    table.add_row(NASTY)
    errors_console().print(table)
    sys.stdout.writelines([NASTY, "é"])
    under.flush()
    assert clean(under.buffer.getvalue())  # type: ignore[attr-defined]
    assert b"[link=http://x]" in under.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.attack(71)
def test_on_a_terminal_only_our_own_styles_steer_it() -> None:
    out = io.StringIO()
    console = PlainConsole(out)
    console._force_terminal = True
    console.print(NASTY, style="bold")
    table = Table("x")
    table.add_row(NASTY)
    console.print(table)
    written = out.getvalue()
    for ours in ("\x1b[1m", "\x1b[0m"):
        written = written.replace(ours, "")
    assert clean(written.encode("utf-8"))
    assert "]8;" not in written
    assert "owned" in written


def texts(body: Any) -> Any:
    """A body with every text of its own made hostile, as far as its schema takes it."""
    from dataclasses import replace

    from settlement.chain.codec import cut, kinds_of

    told = {name: cut(NASTY, kind.high) for name, kind in kinds_of(type(body)) if kind.name == "text"}
    return replace(body, **told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sealed logs of three nodes, one of which signs hostile text wherever a schema takes text."""
    world: World = trio(tmp_path_factory.mktemp("live"))
    world.settle()
    bob = world.members["bob"]
    offer = next(iter(bob.party.user.offers.values()))
    sid = next(iter(world.members["holder"].party.holder.pairs))
    asked = bodies.Request(
        declaration=offer.declaration,
        cell=offer.body.cell,
        commodity="cbrs",
        tier=2,
        eirp_mdbm=1,
        price=7,
        partial=0,
        nonce=bytes(16),
    )
    signed = [
        bodies.Verdict(subject=bytes(32), reason="SCOPE", clause="c", measured="m", required="r"),
        bodies.Gate(
            state="OPEN", previous="LOCKED", reason="", measured="", required="", at_earliest_ns=1, at_latest_ns=2
        ),
        bodies.Relinquish(sid=sid, confirm=bytes(32), reason="x"),
        bodies.Abort(sid=sid, grant=bytes(32), reason="TIMEOUT"),
        bodies.Preempt(sid=sid, confirm=bytes(32), tier=1, reason="x", vacate_by_ns=1),
        asked,
    ]
    for number, body in enumerate(signed):
        frame = Frame(
            network=NETWORK, author=bob.hash, seq=900 + number, previous=bytes(32), attestation=Attestation.of(fix(2.0))
        )
        raw = sign_record(bob.key, frame, texts(body))
        world.give("bob", "holder", Message(record=raw).encoded(), 2.0)
    # What a node of the neighbour's own kind would say of itself.
    world.do("bob", 2.1, lambda step: step.sign(texts(signed[1])))
    world.do("bob", 2.2, lambda step: step.sign(texts(signed[0])))
    kept = tmp_path_factory.mktemp("kept")
    for name, member in world.members.items():
        member.party.lineage.seal(member.key, kept / f"{name}.db")
        write_seal(kept / f"{name}.db", member.key)
    (kept / "anchors.txt").write_text(f"{NETWORK} {digest(world.root).hex()}\n")
    return kept


READING = [("audit", one) for one in ("verify", "show", "report", "replay")] + [("lease", "list")]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def at(command: tuple[str, str], folder: Path) -> tuple[object, ...]:
    return ("--in", folder) if command[0] == "lease" else (folder,)


@pytest.mark.attack(71)
@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_what_a_stranger_signed_is_shown_written_out(folder: Path, command: tuple[str, str], how: tuple[str]) -> None:
    told = run(*command, *at(command, folder), *how)
    assert told.exit_code in (0, 5)
    assert told.exception is None or isinstance(told.exception, SystemExit)
    assert clean(told.stdout_bytes + told.stderr_bytes)
    if command == ("audit", "show"):
        assert b"owned" in told.stdout_bytes


@pytest.mark.attack(71)
def test_every_lease_is_shown_written_out(folder: Path) -> None:
    rows = json.loads(run("lease", "list", "--in", folder, "--json").stdout)
    assert rows
    for row in rows:
        assert clean(run("lease", "show", row["lease"], "--in", folder).stdout_bytes)


ANSWERS: list[dict[str, Any]] = [
    *({"step": step, **dict.fromkeys(("why", "reason", "sid", "state", "type", "low_hz", "high_hz"), NASTY)}
      for step in agentcall.SENTENCES),
    {"step": NASTY}, {"step": "{why}{why.__class__.__mro__}", "why": NASTY}, {NASTY: NASTY},
]  # fmt: skip


@contextmanager
def answering(run_folder: Path, answers: list[dict[str, Any]]) -> Iterator[None]:
    """An agent whose neighbours are rude; it is there until whoever asked has done with it."""
    control, over = ControlDoor(run_folder), threading.Event()

    def serve() -> None:
        while not over.is_set():
            if control.socket.poll(10):
                for command in control.receive():
                    for answer in answers:
                        control.tell(command.client, **answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        control.close()


@pytest.fixture
def run_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The run folder of a node whose configuration is not what is tried here."""
    made = Path(f"/tmp/bandpact-printable-{tmp_path_factory.getbasetemp().name}")
    made.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setattr(agentcall, "run_folder_of", lambda _config: made)
    yield made
    for one in made.iterdir():
        one.unlink()
    made.rmdir()


CONVERSED: dict[str, tuple[str, ...]] = {
    "offer": ("offer", "3550-3560MHz"),
    "acquire": ("acquire", "3550-3560MHz"),
    "relinquish": ("relinquish", "00" * 32),
}


@pytest.mark.attack(71)
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_neighbour_answers_is_shown_written_out(
    run_folder: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
    done: bool,
) -> None:
    monkeypatch.setattr(agentcall, "FIRST_MS", 60_000)
    told = [*ANSWERS, {"done": True, "ok": done, "why": NASTY}]
    with answering(run_folder, told), pytest.raises(typer.Exit):
        agentcall.converse(run_folder, as_json=as_json, do="acquire")
    out, err = capfdbinary.readouterr()
    assert clean(out + err)
    assert err.count(b"\n") == (0 if done or as_json else 1)
    assert b"owned" in out


@pytest.mark.attack(71)
def test_a_warden_s_answer_is_shown_written_out(run_folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    door = OperatorDoor(run_folder / "operator", lambda _: {"error": NASTY})
    stop = threading.Event()

    def serve() -> None:
        while not stop.wait(0.001):
            door.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(OperatorError) as refused:
            ask(run_folder / "operator", {"op": "status"}, timeout_s=60.0)
    finally:
        stop.set()
        thread.join()
        door.close()
    with pytest.raises(typer.Exit):
        fail(str(refused.value))
    _, err = capfdbinary.readouterr()
    assert clean(err)
    assert b"owned" in err


@pytest.mark.attack(71)
def test_a_log_line_is_written_out_on_a_terminal_and_in_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        for terminal in (True, False):
            out = io.StringIO()
            monkeypatch.setattr(out, "isatty", lambda terminal=terminal: terminal, raising=False)
            logs.begin(out)
            logs.tell("refusal", {"peer": NASTY, NASTY: NASTY, "n": 3, "event": NASTY})
            logging.getLogger("zeroconf").warning("%s", NASTY)
            logging.getLogger("x").error("went wrong", exc_info=ValueError(NASTY))
            written = out.getvalue()
            for style in {part.partition("m")[0] for part in written.split("\x1b[")[1:]}:
                assert set(style) <= set("0123456789;")
                written = written.replace(f"\x1b[{style}m", "")
            assert "owned" in written
            assert clean(written.encode("utf-8"))
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()


@pytest.mark.attack(71)
def test_a_trial_tells_of_a_stranger_s_words_written_out() -> None:
    out = io.StringIO()
    reporter = Reporter(PlainConsole(out), 1.0)
    for name in ("refusal", "refused", "aborted", "ended", "preempted", "attack", "gate"):
        fields = dict.fromkeys(("node", "peer", "detail", "band", "reason", "user", "what", "kind", "rf"), NASTY)
        reporter.event({"event": name, **fields, "state": "OPEN", "previous": NASTY}, 1.0)
    assert clean(out.getvalue().encode("utf-8"))
    assert out.getvalue().count("\n") == 7


@pytest.mark.attack(71)
def test_health_over_http_is_written_out() -> None:
    place = {"trusted": False, "reason": NASTY + SURROGATES}
    gate = {"state": "LATCHED", "reason": NASTY, "mono_ns": 0}
    status = {
        "mono_ns": 0, "warden": True, "gate": gate, "late": NASTY, "worst_turn_ns": None, "keys": NASTY,
        "clock": {**place, "position": place, "bound_ns": None}, "disk_free_bytes": 1,
    }  # fmt: skip

    async def asked(path: str) -> bytes:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app_of(lambda: status)), base_url="http://x"
        ) as client:
            return (await client.get(path)).content

    for path in ("/livez", "/readyz", "/readyz?verbose", "/metrics"):
        assert clean(asyncio.run(asked(path)))


def commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in sorted(group.commands.items()):
        if hasattr(one, "commands"):
            yield from commands(one, (*before, name))
        else:
            yield (*before, name), one


EVERY = dict(commands(typer.main.get_command(app)))
LONG = [("sim", "pluto"), *(name for name in EVERY if name[0] == "bench")]
"""What works for minutes, or until it is stopped, whatever it is given."""


@pytest.mark.attack(71)
@pytest.mark.parametrize("name", [n for n in EVERY if n not in LONG], ids=" ".join)
def test_every_command_writes_out_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: tuple[str, ...]
) -> None:
    """Every argument and option that takes text, where a path, a name, a number or a band is asked for."""
    monkeypatch.chdir(tmp_path)
    nasty = NASTY.replace("\n", "").replace("\x00", "")
    needed, optional = [], []
    for one in EVERY[name].params:
        if getattr(one, "is_flag", False) or one.name in ("version", "help"):
            continue
        given = [nasty] * max(1, one.nargs)
        if one.param_type_name == "argument":
            needed += given
        elif one.required:
            needed += [one.opts[0], *given]
        else:
            optional += [one.opts[0], *given]
    tries = [[*name, *needed, *optional], [*name, *needed, "--no-such-option", nasty]]
    tries += [[*name, *needed]] if needed else []
    for arguments in tries:
        told = CliRunner().invoke(app, arguments)
        assert clean(told.stdout_bytes + told.stderr_bytes), arguments
        assert told.exception is None or isinstance(told.exception, SystemExit), arguments


@pytest.mark.parametrize("columns", ["20", "40", "79"])
def test_a_narrow_terminal_loses_no_column_and_no_digit_of_a_table(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = io.StringIO()
    console = PlainConsole(out)
    table = Table("MHz", "State", "In use", "95 %", "Floor", "Sees from", box=None)
    row = ("1089.100-1090.900", "busy", "77.4%", "20.4%-100.0%", "-84.7 \u00b10.4", "-22.3")
    table.add_row(*row)
    console.print(table)
    assert all(cell in out.getvalue().splitlines()[1] for cell in row)
    assert console.width == int(columns)
