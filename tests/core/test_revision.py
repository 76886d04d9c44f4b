"""What a revision covers, and that no version of ours computes another one for the same spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.core.revision import revision
from controller.core.spec import WorkerSpec
from tests.core.core_builders import spec

GOLDEN = json.loads(Path(__file__).with_name("golden_revisions.json").read_text())


@pytest.mark.parametrize("entry", GOLDEN, ids=[entry["about"] for entry in GOLDEN])
def test_an_upgrade_restarts_nothing(entry: dict[str, object]) -> None:
    """When this fails, running workers would be restarted by an upgrade. Do not change the file; mend the code."""
    env_files, secrets = entry.get("env_files", {}), entry.get("secrets", {})
    assert isinstance(env_files, dict)
    assert isinstance(secrets, dict)
    made = revision(WorkerSpec.model_validate(entry["spec"]), env_files=env_files, secrets=secrets)
    assert made == entry["revision"]


def test_fields_that_restart_nothing_leave_the_revision_as_it_is() -> None:
    plain = revision(spec())
    assert plain == revision(
        spec(
            name="Web", description="It serves.", labels={"a": "b"}, replicas=4, auto_start=False, max_accounts=3,
            desired_state="stopped", auto_restart="always", max_restart_attempts=None, restart_delay_ms=1,
            restart_backoff={"factor": 3}, restart_window_ms=5000, start_grace_ms=5, success_exit_codes=[3],
            stop={"signal": "INT"}, logs={"archives": 1}, startup={"log_line": "up"}, readiness={"tcp": {"port": 1}},
            liveness={"exec": ["check"]}, hooks={"pre_stop": {"exec": ["x"]}}, depends_on={"db": "ready"},
        )
    )  # fmt: skip


def test_the_worker_id_is_no_part_of_it() -> None:
    assert revision(spec("a")) == revision(spec("b"))


def test_null_and_empty_are_ways_to_say_not_set() -> None:
    assert revision(spec()) == revision(spec(port=None, working_dir=None, env={}, env_files=[]))


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "run"}, {"working_dir": "/srv"}, {"env": {"A": "1"}}, {"port": 1}, {"host": "localhost"},
        {"deployment_type": "local"}, {"secrets": {"A": {"file": "/a"}}}, {"user": "app"}, {"group": "app"},
        {"umask": "077"}, {"limits": {"nice": 1}},
    ],
)  # fmt: skip
def test_a_restart_relevant_field_that_is_set_changes_it(fields: dict[str, Any]) -> None:
    assert revision(spec()) != revision(spec(**fields))


def test_the_contents_of_env_files_change_it_and_must_be_known() -> None:
    with_file = spec(env_files=["a.env"])
    one, two = (revision(with_file, env_files={"a.env": mac}) for mac in ("aa", "bb"))
    assert one != two
    assert one == revision(with_file, env_files={"a.env": "aa", "other.env": "cc"})
    with pytest.raises(KeyError):
        revision(with_file)


def test_a_value_of_a_secret_changes_it() -> None:
    with_secret = spec(secrets={"A": {"env": "A"}})
    one, two = (revision(with_secret, secrets={"A": mac}) for mac in ("aa", "bb"))
    assert len({one, two, revision(with_secret)}) == 3
