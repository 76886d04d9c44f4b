"""Bugs that the campaign found, each by itself: what should hold, and did not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]


@pytest.fixture
def site() -> Iterator[Installation]:
    opened = Installation()
    yield opened
    wrong = opened.close()
    opened.remove()
    assert wrong == []


def test_what_was_edited_or_stopped_or_removed_while_all_was_stopped_never_runs_as_it_was(site: Installation) -> None:
    """Seed 4, fault 17 of 12 workers: `stop all`, a removal, a start."""
    for name in ("edited", "stopped", "removed", "kept"):
        site.add(name)
    site.serve()
    site.until_running()
    site.stop()
    site.add("edited", "--mark=v2")
    site.add("stopped", desired_state="stopped")
    (site.specs / "removed.yaml").unlink()
    site.serve()
    site.until_running("edited", "kept")
    site.until_status("stopped", "stopped")
    eventually(lambda: "removed" not in site.workers(), told="it is not shown any more")
    lives = {name: book.marks for name, book in site.journals().items()}
    assert lives == {"edited/0": ["-", "v2"], "stopped/0": ["-"], "removed/0": ["-"], "kept/0": ["-", "-"]}


def test_a_controller_that_has_not_read_its_specs_does_not_say_that_a_worker_does_not_exist(site: Installation) -> None:
    """Seed 3, fault 11 of 12 workers: a stop was asked for just after a start of the controller."""
    for number in range(300):
        site.add(f"w{number:03}", desired_state="stopped")
    site.serve()
    site.kill("controller")
    site.serve(ready=False)
    answers: list[int] = []

    def is_found() -> bool:
        try:
            answers.append(site.ask("/api/v1/workers/w007/status").status)
        except OSError:
            return False
        return answers[-1] == 200

    eventually(is_found, told="it is found")
    assert set(answers) <= {200, 503}


def test_a_spec_that_is_deleted_just_after_a_start_is_gone_when_that_is_acknowledged(site: Installation) -> None:
    """A kill before the deletion of a file, asked again at once: 404 said that it was done, and it was not."""
    for number in range(300):
        site.add(f"w{number:03}", desired_state="stopped")
    site.serve()
    site.kill("controller")
    site.serve(ready=False)
    answers: list[int] = []

    def is_deleted() -> bool:
        with contextlib.suppress(OSError):
            answers.append(site.ask("/api/v1/worker-configs/w007", "DELETE").status)
        return answers[-1:] not in ([], [503])

    eventually(is_deleted, told="it is deleted")
    assert (answers[-1], (site.specs / "w007.yaml").exists()) == (204, False)
