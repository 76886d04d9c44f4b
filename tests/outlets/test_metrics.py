"""What a scrape shows, read with the parser of Prometheus' own client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from controller.outlets.exposition import Family, Histogram, document, labels_of
from controller.outlets.forward import Progress
from controller.outlets.metrics import Facts, Meter, Sheet

FACTS = Facts(
    version="1.2",
    ready=True,
    database=False,
    agents={"localhost": True},
    problems=1,
    holds=2,
    turns=7,
    last_turn_at=1_700_000_000.5,
    backlog_rows=3,
    rejected_rows=4,
    log_lines=5,
    log_gaps=6,
    streams=8,
    connections=9,
    started_at=1_600_000_000.0,
    cpu_s=1.25,
    memory_bytes=1024,
    open_files=None,
)


def instance(
    ordinal: int, status: str = "running", started_at: str | None = "2026-01-01T00:00:00Z", restarts: int = 3
) -> dict[str, Any]:
    return {
        "instance": f"web/{ordinal}", "status": status, "started_at": started_at, "host": "localhost",
        "revision": "1-a", "restart_count": restarts,
    }  # fmt: skip


def worker(**changed: Any) -> Mapping[str, Any]:
    item = {
        "worker_id": "web",
        "name": "Web",
        "status": "running",
        "desired_replicas": 1,
        "deployment_type": "local",
        "labels": {},
        "restart_count": 3,
        "error_count": None,
        "cpu_percent": 12.5,
        "memory_bytes": 4096,
        "assigned_accounts": None,
        "active_tasks": 2,
        "last_heartbeat_at": None,
        "problems": [],
        "instances": [instance(0)],
    }
    return item | changed


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def expose(items: Iterable[Mapping[str, Any]], facts: Facts, meter: Meter) -> str:
    """The answer to a scrape, in one piece."""
    sheet = Sheet(meter)
    sheet.add(items)
    return sheet.text(facts)


def of_worker(item: Mapping[str, Any], meter: Meter | None = None) -> dict[str, float]:
    """The samples of one worker by name, without its info and status."""
    found = samples(expose([item], FACTS, meter or Meter()))
    return {name: value for (name, labels), value in found.items() if ("worker", "web") in labels and len(labels) == 2}


def test_a_worker_shows_its_figures_in_base_units_and_leaves_out_what_is_not_known() -> None:
    meter = Meter()
    meter.tally.metered("localhost", {})
    meter.tally.metered("localhost", {"web/0": ("r", 2.5)})
    assert of_worker(worker(), meter) == {
        "worker_up": 1,
        "worker_desired_replicas": 1,
        "worker_observed_replicas": 1,
        "worker_restarts_total": 3,
        "worker_cpu_ratio": 0.125,
        "worker_cpu_seconds_total": 2.5,
        "worker_memory_rss_bytes": 4096,
        "worker_active_tasks": 2,
        "worker_start_time_seconds": 1767225600,
        "worker_spec_problems": 0,
    }


def test_a_stopped_worker_is_down_and_wants_nothing() -> None:
    item = worker(
        status="stopped", desired_replicas=0, instances=[instance(0, "stopped", None)], last_heartbeat_at=None
    )
    found = of_worker(item)
    assert (found["worker_up"], found["worker_desired_replicas"], found["worker_observed_replicas"]) == (0, 0, 0)
    assert "worker_start_time_seconds" not in found


def test_of_several_instances_those_that_run_are_counted_and_the_newest_start_is_told() -> None:
    item = worker(
        desired_replicas=2,
        instances=[instance(0), instance(1, "starting", "2026-01-01T00:01:00Z"), instance(2, "error", None)],
    )
    found = of_worker(item)
    assert (found["worker_desired_replicas"], found["worker_observed_replicas"]) == (2, 1)
    assert found["worker_start_time_seconds"] == 1767225660


def test_in_slices_the_answer_is_what_it_is_in_one_piece() -> None:
    items = [worker(worker_id=f"w{number}") for number in range(5)]
    meter = Meter()
    sheet = Sheet(meter)
    for start in range(0, 5, 2):
        sheet.add(items[start : start + 2])
    assert sheet.text(FACTS) == expose(items, FACTS, meter)


def test_labels_of_people_are_named_as_the_format_allows() -> None:
    text = expose(
        [worker(labels={"team": 'a"b\\c\nd', "app.kubernetes.io/name": "x", "app-kubernetes": "y"})], FACTS, Meter()
    )
    (info,) = [labels for name, labels in samples(text) if name == "worker_info"]
    assert dict(info) == {
        "worker": "web",
        "deployment_type": "local",
        "name": "Web",
        "label_team": 'a"b\\c\nd',
        "label_app_kubernetes_io_name": "x",
        "label_app_kubernetes": "y",
    }


def test_the_controller_shows_what_it_did_and_how_it_is() -> None:
    meter = Meter()
    meter.turned(0.004, [("start", ""), ("start", ""), ("replace", "refused")])
    meter.turned(60.0, [])
    found = {name: value for (name, labels), value in samples(expose([], FACTS, meter)).items() if not labels}
    assert found == {
        "worker_controller_ready": 1,
        "worker_controller_database_up": 0,
        "worker_controller_spec_problems": 1,
        "worker_controller_holds": 2,
        "worker_controller_turns_total": 7,
        "worker_controller_last_turn_timestamp_seconds": 1_700_000_000.5,
        "worker_controller_turn_duration_seconds_count": 2,
        "worker_controller_turn_duration_seconds_sum": 60.004,
        "worker_controller_backlog_rows": 3,
        "worker_controller_rejected_rows_total": 4,
        "worker_controller_log_lines_total": 5,
        "worker_controller_log_gaps_total": 6,
        "worker_controller_streams": 8,
        "worker_controller_connections": 9,
        "process_start_time_seconds": 1_600_000_000,
        "process_cpu_seconds_total": 1.25,
        "process_resident_memory_bytes": 1024,
    }
    labelled = {(name, labels): value for (name, labels), value in samples(expose([], FACTS, meter)).items() if labels}
    assert labelled["worker_controller_actions_total", (("action", "start"), ("result", "done"))] == 2
    assert labelled["worker_controller_actions_total", (("action", "replace"), ("result", "refused"))] == 1
    assert labelled["worker_controller_build_info", (("version", "1.2"),)] == 1
    assert labelled["worker_controller_turn_duration_seconds_bucket", (("le", "0.0025"),)] == 0
    assert labelled["worker_controller_turn_duration_seconds_bucket", (("le", "0.005"),)] == 1
    assert labelled["worker_controller_turn_duration_seconds_bucket", (("le", "+Inf"),)] == 2


def test_how_forwarding_goes_is_shown_for_each_target() -> None:
    forwards = {"loki+http://a": Progress(sent=5, passed_over=1, behind=2), "syslog+udp://b": Progress(trouble="gone")}
    found = samples(expose([], replace(FACTS, forwards=forwards), Meter()))
    prefix, first, second = (
        "worker_controller_forward_",
        (("target", "loki+http://a"),),
        (("target", "syslog+udp://b"),),
    )
    names = ("up", "lines_total", "passed_over_lines_total", "behind_lines")
    assert [found[prefix + name, first] for name in names] == [1, 5, 1, 2]
    assert found[prefix + "up", second] == 0


def test_before_the_first_turn_there_is_no_time_of_one() -> None:
    found = samples(expose([], replace(FACTS, last_turn_at=0.0), Meter()))
    assert ("worker_controller_last_turn_timestamp_seconds", ()) not in found


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_label_and_any_number_come_back_as_they_were(text: str, value: float) -> None:
    family = Family("thing", "gauge", text)
    family.add(value, labels_of({"of": text}))
    # Other line ends are characters like any other in this format; the parser takes whole lines by "\n" alone.
    assert samples(document([family])) == {("thing", (("of", text),)): value}


@given(st.lists(st.floats(0, 100), max_size=30))
def test_a_histogram_counts_each_once_and_in_all_larger_buckets(seconds: list[float]) -> None:
    histogram = Histogram("time_seconds", "A time.", (0.5, 1, 10))
    for one in seconds:
        histogram.observe(one)
    found = samples(document([histogram]))
    for bound in (0.5, 1.0, 10.0):
        assert found["time_seconds_bucket", (("le", str(bound)),)] == sum(one <= bound for one in seconds)
    assert found["time_seconds_count", ()] == len(seconds)
