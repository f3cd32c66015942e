"""A node's configuration held against its rule and credential before anything is written, and by the doctor."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from agent.config.settings import ClockSection, ConfigError, load
from agent.node.suited import trust_suited, unsuited
from settlement.core.fixes import TimeSource
from tests.agent.sweep import invoked
from tests.agent.test_entitled import Desk

PLACE = ("36.95", "-76.3")


def drafted(desk: Desk, rule: Path, place: tuple[str, str] = PLACE, role: str = "user") -> tuple[int, str, Path]:
    """A user's node, entitled by the desk, and its configuration drafted; how that ended."""
    name = f"u{len(list(desk.folder.iterdir()))}"
    desk.node(name)
    folder = desk.folder / name
    chain = next(desk.folder.glob(f"{name}-*.chain"))
    trusted = ["--network", desk.network, "--anchor", desk.anchor]
    enrolled = invoked(["node", "enrol", str(folder), str(chain), *trusted])
    assert enrolled.code == 0, enrolled
    ended = invoked(
        [
            "node", "config", str(folder), "--role", role, *trusted, "--rule", str(rule),
            "--listen", "tcp://127.0.0.1:4799", "--radio", "ip:127.0.0.1:4798", "--simulated", "--place", *place,
        ]
    )  # fmt: skip
    return ended.code, ended.err, folder / "node.toml"


def ruled(desk: Desk, **changes: Any) -> Path:
    """The path of a signed rule for simulated radios, with some keys changed."""
    text, signed = desk.folder / "rule.toml", desk.folder / "rule.signed"
    desk.at("rule", "draft", "--out", text, "--simulated")
    text.write_text(tomli_w.dumps(tomllib.loads(text.read_text()) | changes))
    desk.at("rule", "sign", text, "--out", signed)
    return signed


@pytest.mark.feature("U4")
def test_a_configuration_that_suits_its_rule_is_written(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    code, err, written = drafted(desk, ruled(desk))
    assert code == 0, err
    assert trust_suited(load(written)).rule.rule.name == "rule"


def test_a_role_that_the_credential_does_not_allow_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    code, err, written = drafted(desk, ruled(desk), role="holder")
    assert code == 1
    assert "--role holder: its credential allows request, observe" in err
    assert not written.exists()


@pytest.mark.parametrize(
    ("spoiled", "named"),
    [
        (lambda desk: desk.folder / "nowhere.signed", "nowhere.signed"),
        (
            lambda desk: ruled(desk, time_sources=["gps"]),
            "clock.sources: simulated: the rule rule counts time by gps only",
        ),
        (lambda desk: ruled(desk, position_sources=["gps"]), "place.source"),
        (lambda desk: ruled(desk, position_radius_mm_max=10), "place.radius_mm"),
    ],
)
def test_one_that_cannot_work_is_refused_and_not_left_behind(
    tmp_path: Path, spoiled: Callable[[Desk], Path], named: str
) -> None:
    desk = Desk(tmp_path)
    code, err, written = drafted(desk, spoiled(desk))
    assert code == 1
    assert named in err
    assert not written.exists()


def test_a_place_outside_the_credentials_area_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    code, err, written = drafted(desk, ruled(desk), place=("38.95", "-76.3"))
    assert code == 1
    assert "area of its credential" in err
    assert not written.exists()


def test_one_that_was_edited_into_nonsense_is_refused_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    _, _, written = drafted(desk, ruled(desk))
    table = tomllib.loads(written.read_text())
    table["place"]["lat_e7"] = 0
    written.write_text(tomli_w.dumps(table))
    with pytest.raises(ConfigError, match="area of its credential"):
        trust_suited(load(written))


def test_a_source_that_is_never_sure_enough_is_refused(tmp_path: Path) -> None:
    """Here the kernel's, which no claim below 5 ms is believed of."""
    desk = Desk(tmp_path)
    _, _, written = drafted(desk, ruled(desk))
    config = load(written)
    kernel = ClockSection.model_validate({"budget_us": 20_000, "sources": [{"kind": "kernel"}]})
    trust = trust_suited(config)
    strict = replace(trust.rule.rule, time_sources=(TimeSource.KERNEL,), time_bound_ns_max=4_000_000)
    node = config.model_copy(update={"clock": kernel})
    assert [*unsuited(node, replace(trust, rule=replace(trust.rule, rule=strict)))] == [
        "clock.sources: 5000 us at best, more than the 4000 us that the rule rule asks for; add a better source"
    ]
    enough = replace(strict, time_bound_ns_max=5_000_000)
    assert [*unsuited(node, replace(trust, rule=replace(trust.rule, rule=enough)))] == []
