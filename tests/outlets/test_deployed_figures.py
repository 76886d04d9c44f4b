"""Alert rules and dashboard in deploy/ ask only for what a scrape shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.core.observed import Status
from controller.outlets.forward import Progress
from controller.outlets.metrics import Meter
from tests.outlets.test_metrics import FACTS, expose, instance, samples, worker

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/workerctl.rules.yaml"
DASHBOARD = DEPLOY / "grafana/workerctl.json"
DOCS = Path(__file__).parents[2] / "controller/docs/operations.md"
_METRIC = re.compile(r"\b(?:worker|process)_[a-z_]+\b")
_LABEL = re.compile(r'([a-z_]+)=~?"')
_OF_PROMETHEUS = {"job", "instance"}


def shown() -> dict[str, set[str]]:
    """Each sample's name, and the labels that it has."""
    meter = Meter()
    meter.turned(0.1, [("start", "")])
    meter.tally.metered("localhost", {"web/0": ("r", 1.0)})
    full = worker(error_count=1, assigned_accounts=1, last_heartbeat_at="2026-01-01T00:00:00Z", instances=[instance(0)])
    found: dict[str, set[str]] = {}
    facts = replace(FACTS, forwards={"loki+http://a": Progress()})
    for name, labels in samples(expose([full], facts, meter)):
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked() -> Iterator[str]:
    """All expressions of both files."""
    yield from (rule["expr"] for rule in rules())
    dashboard = json.loads(DASHBOARD.read_text())
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    yield from (one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")
    yield from (one["expr"] for one in dashboard["annotations"]["list"] if "expr" in one)


@pytest.mark.parametrize("expression", sorted(set(asked())))
def test_what_is_asked_for_is_shown_with_these_labels(expression: str) -> None:
    known = shown()
    names = set(_METRIC.findall(expression))
    assert names <= known.keys()
    labels = set(_LABEL.findall(expression)) - _OF_PROMETHEUS
    assert labels <= set().union(*(known[name] for name in names), {"le"} if "bucket" in expression else set())


def test_the_documentation_names_every_figure_of_a_worker_and_none_that_is_not() -> None:
    _, _, section = DOCS.read_text("utf-8").partition("## Figures for Prometheus")
    named = set(_METRIC.findall(section.partition("\n## ")[0]))
    known = set(shown())
    assert named <= known | {name.removesuffix("_bucket") for name in known}
    untold = {name for name in known if name.startswith("worker_") and not name.startswith("worker_controller_")}
    assert untold - named == set()


def test_statuses_in_rules_are_statuses() -> None:
    named = {word for text in asked() for word in re.findall(r'status="([a-z]+)"', text)}
    assert named
    assert named <= {status.value for status in Status}


def test_every_rule_says_what_is_wrong_and_how_bad_it_is() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
