"""Which events are records in the log of their worker, and how they read there."""

from __future__ import annotations

import pytest

from controller.agent import protocol
from controller.core.log_kinds import KINDS, PRINTED, TOLD, kind_of_event, text_of_event

CAUSES = {value for name, value in vars(protocol).items() if name.startswith("CAUSE_")}


def test_every_kind_is_printed_told_or_of_the_lifecycle() -> None:
    assert sorted(KINDS) == sorted({*PRINTED, *TOLD, "lifecycle"})


def test_an_exit_that_was_no_fault_is_of_the_lifecycle_and_any_other_is_an_error() -> None:
    faultless = {cause for cause in CAUSES if kind_of_event("exited", cause) != ("error", "error")}
    assert faultless == {"completed", "stopped", "killed"}
    assert kind_of_event("exited", "stopped") == ("lifecycle", "info")
    assert kind_of_event("exited", "killed") == ("lifecycle", "warning")


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ("started", ("lifecycle", "info")),
        ("restart_scheduled", ("lifecycle", "warning")),
        ("gave_up", ("lifecycle", "error")),
        ("spawn_failed", ("error", "error")),
        ("liveness_lost", ("error", "error")),
        ("log_file_replaced", None),
        ("never_heard_of", None),
    ],
)
def test_an_event_is_one_record_or_none(event: str, found: tuple[str, str] | None) -> None:
    assert kind_of_event(event, "") == found


def test_a_record_says_once_what_happened() -> None:
    assert text_of_event("started", "started as pid 7") == "started as pid 7"
    assert text_of_event("became_running", "alive for 1000 ms") == "became running: alive for 1000 ms"
    assert text_of_event("exited", "killed by SIGKILL after 2.0 s") == "exited: killed by SIGKILL after 2.0 s"
