"""The fields that not every launch has: what passes, and what is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from controller.agent.launches import secrets_of
from controller.agent.shapes import launch_from
from tests.agent.agent_builders import hook, launch, probe


def test_a_launch_without_them_and_one_with_all_of_them_pass() -> None:
    full = launch(
        user="nobody", group="0", umask=0o77, secret_files={"A": "/a"}, secret_names=["B"], depends_on=["db"],
        limits={"nofile": 10}, hooks={name: hook() for name in ("pre_start", "post_start", "pre_stop", "post_stop")},
        probes=[
            probe("startup", "http", port=80, path="/x?y=1", status=[200, 204]), probe("readiness", port=80),
            probe("liveness", "exec", argv=["true"]), probe("liveness", "log_line", pattern="^up"),
        ],
    )  # fmt: skip
    assert [launch_from(launch()), launch_from(full)] == [launch(), full]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"user": 7}, "launch.user"),
        ({"umask": 0o1000}, "launch.umask"),
        ({"umask": True}, "launch.umask"),
        ({"secret_files": {"A": "relative"}}, "launch.secret_files"),
        ({"secret_files": {"A=B": "/a"}}, "launch.secret_files"),
        ({"secret_names": "A"}, "launch.secret_names"),
        ({"depends_on": [1]}, "launch.depends_on"),
        ({"limits": []}, "launch.limits"),
        ({"hooks": {"pre_fly": hook()}}, "launch.hooks.pre_fly"),
        ({"hooks": {"pre_start": {"argv": [], "timeout_ms": 1}}}, "launch.hooks.pre_start"),
        ({"hooks": {"pre_start": {"argv": ["a"], "timeout_ms": 0}}}, "launch.hooks.pre_start"),
        ({"probes": [probe("wellness")]}, "launch.probes.kind"),
        ({"probes": [probe("startup", "icmp")]}, "launch.probes.startup.check"),
        ({"probes": [probe("startup", port=0)]}, "launch.probes.startup.port"),
        ({"probes": [probe("startup", "http", path="no slash")]}, "launch.probes.startup.path"),
        ({"probes": [probe("startup", "http", path="/a\r\nX: y")]}, "launch.probes.startup.path"),
        ({"probes": [probe("startup", "http", status=[200])]}, "launch.probes.startup.status"),
        ({"probes": [probe("startup", "exec", argv=[""])]}, "launch.probes.startup.argv"),
        ({"probes": [probe("startup", "log_line", pattern="(")]}, "launch.probes.startup.pattern"),
        ({"probes": [probe("startup", failures=0)]}, "launch.probes.startup"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_by_its_name(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        launch_from(launch(**changes))


def test_secrets_that_are_no_variables_are_refused_without_being_shown() -> None:
    assert (secrets_of({}), secrets_of({"secrets": {"A": "1"}})) == (None, {"A": "1"})
    for wrong in ({"A": "s3cr3t\0"}, {"A=": "s3cr3t"}, ["s3cr3t"], {"A": 1}):
        with pytest.raises(ValueError, match=r"^secrets: is not what is expected there$"):
            secrets_of({"secrets": wrong})
