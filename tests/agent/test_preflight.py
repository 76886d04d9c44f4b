"""What a preflight finds missing, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_builders import launch

from controller.agent.preflight import check

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
