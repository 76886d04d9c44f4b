from __future__ import annotations

import pytest

from controller.cli.errors import Exit
from controller.cli.wait import is_so
from tests.cli.cli_site import meanwhile, run, shown
from tests.fakes.api_server import FakeApi, Item, condition, refusal, worker

READY = condition("Ready", "True", "Running")
NOT_READY = condition("Ready", "False", "NotReady", "warming up")
ROLLING = condition("Progressing", "True", "RolloutPaced")


@pytest.mark.parametrize(
    ("item", "reached"),
    [
        (worker("web", conditions=[READY]), {"running", "ready"}),
        (worker("web", conditions=[NOT_READY]), {"running"}),
        (worker("web", conditions=[READY, ROLLING]), set()),
        (worker("web", "starting"), set()),
        (worker("web", "stopped"), {"stopped"}),
        (worker("web", "unknown"), set()),
        (None, {"gone"}),
    ],
)
def test_a_state_is_reached_when_the_worker_is_there_and_nothing_is_under_way(
    item: Item | None, reached: set[str]
) -> None:
    assert {state for state in ("running", "ready", "stopped", "gone") if is_so(item, state)} == reached


def test_it_waits_until_all_workers_are_so(api: FakeApi) -> None:
    api.workers = [worker("web", "starting", instances=[]), worker("mail")]

    def become() -> None:
        api.wait_for(lambda: len(api.requests) >= 2)
        api.publish(lambda: api.workers.__setitem__(0, worker("web")))

    with meanwhile(become):
        assert shown(api, "wait", "web", "mail", "--for", "running") == "✓ web: running\n✓ mail: running\n"


def test_a_worker_that_is_gone_is_what_was_waited_for(api: FakeApi) -> None:
    assert shown(api, "wait", "web", "--for", "gone") == "✓ web: gone\n"


def test_when_the_time_is_up_it_says_how_it_stands_and_leaves_with_7(api: FakeApi) -> None:
    api.workers = [worker("web", "starting", instances=[], conditions=[condition("Ready", "False", "X", "warming up")])]
    result = run(api, "wait", "web", "--for", "ready", "--timeout", "0.2")
    assert result.exit_code == Exit.TIMED_OUT
    assert "Cannot wait any longer for web to be ready: it is starting; warming up" in result.stderr


def test_a_worker_that_gave_up_ends_the_waiting_at_once(api: FakeApi) -> None:
    api.workers = [worker("web", "error", instances=[])]
    result = run(api, "wait", "web", "--for", "running", "--timeout", "1h")
    assert (result.exit_code, "web will not be running by itself" in result.stderr) == (Exit.FAILED, True)


def test_a_new_worker_is_given_a_moment_to_be_read(api: FakeApi) -> None:
    def appear() -> None:
        api.wait_for(lambda: len(api.requests) >= 1)
        api.publish(lambda: api.workers.append(worker("web")))

    with meanwhile(appear):
        assert shown(api, "wait", "web", "--for", "running") == "✓ web: running\n"


def test_a_controller_that_starts_anew_is_waited_for(api: FakeApi) -> None:
    path = ("GET", "/api/v1/workers/web/status")
    api.workers, api.answers[path] = [worker("web")], refusal(503, "just started", "starting")

    def ready() -> None:
        api.wait_for(lambda: len(api.requests) >= 2)
        del api.answers[path]

    with meanwhile(ready):
        assert shown(api, "wait", "web", "--for", "running") == "✓ web: running\n"


def test_one_that_was_never_there_leaves_with_8_and_wrong_usage_with_2(api: FakeApi) -> None:
    assert run(None, "wait", "web", "--for", "gone", "--server", "http://127.0.0.1:1").exit_code == Exit.UNREACHABLE
    assert run(api, "wait", "web").exit_code == Exit.USAGE
    assert run(api, "wait", "web", "--for", "running", "--timeout", "soon").exit_code == Exit.USAGE
