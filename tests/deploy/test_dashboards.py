"""The Grafana dashboard and the Prometheus rules speak of metrics that a node has, and of all of them."""

import inspect
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agent.service.health import metrics

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\bbandpact_[a-z_]+\b")
pytestmark = pytest.mark.feature("U5")


def _status() -> dict[str, Any]:
    """A state with everything in it that a node can tell."""
    now_ns = time.monotonic_ns()
    return {
        "node": "alice",
        "mono_ns": now_ns,
        "warden": True,
        "gate": {"state": "OPEN", "reason": "", "mono_ns": now_ns},
        "late": None,
        "worst_turn_ns": 1_000_000,
        "clock": {
            "trusted": True,
            "reason": "good",
            "bound_ns": 200_000,
            "position": {"trusted": True, "reason": "surveyed"},
        },
        "keys": None,
        "disk_free_bytes": 1 << 40,
        "disk_low": None,
        "log_bytes": 5,
        "log_budget_bytes": 10,
        "strangers": {"over_share": {"work": 1}, "faults": 0},
    }


def _known() -> dict[str, set[str]]:
    """Each metric of a node with its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics(_status()).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_dashboard_asks_for_what_there_is_and_leaves_nothing_out() -> None:
    board = json.loads((ROOT / "deploy/grafana/bandpact.json").read_text())
    known = _known()
    asked: set[str] = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            named = set(NAME.findall(target["expr"]))
            assert named <= set(known), (panel["title"], named - set(known))
            labels = set(re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
            assert labels <= {"instance"} | set().union(*(known[name] for name in named)), panel["title"]
            asked |= named
    assert asked == set(known), set(known) - asked
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_alert_rests_on_a_metric_and_says_the_mend() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/bandpact.rules.yml").read_text())["groups"]
    known = _known()
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 8
    for rule in rules:
        named = set(NAME.findall(rule["expr"]))
        assert named or rule["expr"].startswith("up{"), rule["alert"]
        assert named <= set(known), (rule["alert"], named - set(known))
        assert rule["annotations"]["mend"]
        labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert labels <= {"instance"} | set().union(*(known[name] for name in named)) if named else True
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_the_scrape_is_of_the_port_that_the_command_opens() -> None:
    from agent.cli.service import run

    scrape = yaml.safe_load((ROOT / "deploy/prometheus/scrape.yml").read_text())["scrape_configs"][0]
    port = inspect.signature(run).parameters["health_port"].default
    assert scrape["static_configs"][0]["targets"] == [f"127.0.0.1:{port}"]
    assert scrape["job_name"] == "bandpact"
