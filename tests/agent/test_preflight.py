"""What a preflight finds missing, in words."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.preflight import check
from tests.agent.agent_builders import launch

BASE = {"PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"argv": ["sh"]}, ""),
        ({"argv": ["/bin/sh"]}, ""),
        ({"argv": ["./run"]}, ""),
        ({"argv": ["run"], "env": {"PATH": "{place}"}}, ""),
        ({"argv": ["run"], "env": {"PATH": "."}}, ""),
        ({"argv": ["foo"]}, 'command not found: "foo" (searched PATH /usr/bin:/bin)'),
        ({"argv": ["/no/foo"]}, 'command not found: "/no/foo"'),
        ({"argv": ["./foo"]}, 'command not found: "./foo" ({place}/./foo)'),
        ({"argv": ["./plain"]}, 'command "./plain" is not executable'),
        ({"argv": ["plain"], "env": {"PATH": "{place}"}}, 'command "plain": {place}/plain is not executable'),
        ({"argv": ["{place}"]}, 'command "{place}" is a directory'),
        ({"argv": [""]}, "command is empty"),
        ({"working_dir": "/no/place"}, "working_dir /no/place does not exist"),
        ({"working_dir": "{place}/plain"}, "working_dir {place}/plain is not a directory"),
        ({"working_dir": "{place}/plain/x"}, "working_dir {place}/plain/x does not exist"),
    ],
)
def test_the_message_names_what_is_missing(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "plain").write_text("text")

    def fill(value: object) -> object:
        match value:
            case str():
                return value.replace("{place}", str(tmp_path))
            case list():
                return [fill(item) for item in value]
            case dict():
                return {key: fill(item) for key, item in value.items()}
            case _:
                return value

    asked = launch(**{"working_dir": str(tmp_path), **{key: fill(value) for key, value in changes.items()}})
    assert check(asked, BASE) == fill(message)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"user": "no-such"}, 'unknown user "no-such"'),
        ({"group": "no-such"}, 'unknown group "no-such"'),
        (
            {"working_dir": "{place}/private"},
            "working_dir {place}/private cannot be entered by user 64001: it belongs to uid 0 and has mode 0700",
        ),
        (
            {"working_dir": "{place}/private/below"},
            (
                "working_dir {place}/private/below cannot be entered by user 64001: {place}/private is in the way: "
                "it belongs to uid 0 and has mode 0700"
            ),
        ),
        ({"working_dir": "{place}/shared"}, ""),
        (
            {"argv": ["{place}/roots"]},
            'command "{place}/roots" is not executable by user 64001: it belongs to uid 0 and has mode 0700',
        ),
        (
            {"argv": ["roots"], "env": {"PATH": "{place}"}},
            'command "roots": {place}/roots is not executable by user 64001: it belongs to uid 0 and has mode 0700',
        ),
        ({"argv": ["{place}/plain"], "user": "root", "group": "64001"}, 'command "{place}/plain" is not executable'),
    ],
)
def test_access_is_looked_at_with_the_eyes_of_the_worker(
    open_path: Path, changes: dict[str, object], message: str
) -> None:
    (open_path / "private" / "below").mkdir(parents=True)
    (open_path / "private").chmod(0o700)
    (open_path / "shared").mkdir()
    os.chown(open_path / "shared", 0, 64001)
    (open_path / "shared").chmod(0o710)
    for name, mode in (("roots", 0o700), ("plain", 0o644)):
        (open_path / name).write_text("#!/bin/sh\n")
        (open_path / name).chmod(mode)
    asked = launch(argv=["sh"], working_dir=str(open_path), user="64001")
    for key, value in changes.items():
        asked[key] = (
            [str(item).replace("{place}", str(open_path)) for item in value]
            if isinstance(value, list)
            else (
                {name: text.replace("{place}", str(open_path)) for name, text in value.items()}
                if isinstance(value, dict)
                else str(value).replace("{place}", str(open_path))
            )
        )
    assert check(asked, BASE) == message.replace("{place}", str(open_path))


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's own are private."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(os.path.realpath(folder))
        path.chmod(0o755)
        yield path
