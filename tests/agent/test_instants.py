"""Instants in what the command line says: UTC, not ns; lengths of time and JSON stay as they are."""

import pytest

from agent.cli.common import say
from agent.words.instants import with_instants


@pytest.mark.feature("U2")
@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("signed at 1795974620466392945 ns", "signed at 2026-11-29 17:50:20.466392Z"),
        ("<= 1795974620466392945 ns, or a ruling", "<= 2026-11-29 17:50:20.466392Z, or a ruling"),
        (
            "at [1795974620466392945, 1795974620466392946] ns",
            "at [2026-11-29 17:50:20.466392Z, 2026-11-29 17:50:20.466392Z]",
        ),
        ("until 4334861664000000000 ns", "until 2107-05-15 00:14:24.000000Z"),
        ("at least 5000000000 ns", "at least 5000000000 ns"),
        ("91795974620466392945 ns", "91795974620466392945 ns"),
        ("fence 1795974620466392945", "fence 1795974620466392945"),
    ],
)
def test_an_instant_is_read_as_utc_and_nothing_else_is_touched(said: str, read: str) -> None:
    assert with_instants(said) == read


@pytest.mark.feature("U2")
def test_the_command_line_says_it_so(capsys: pytest.CaptureFixture[str]) -> None:
    say("TIMEOUT [dispute.raise_by] signed at 1795974620466392945 ns")
    assert capsys.readouterr().out == "TIMEOUT [dispute.raise_by] signed at 2026-11-29 17:50:20.466392Z\n"
