"""`workerctl token`: what is printed once, what is listed, what is refused, and that a token is never shown again."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import Result

from controller.api.tokens import is_proved, read
from controller.cli.errors import Exit
from controller.desk.tokens import TokenFiles
from tests.cli.cli_site import run

TEXT = re.compile(r"wctl_([0-9a-f]{8})_[A-Za-z0-9_-]{43}\n")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of some controller."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return state


def token(state: Path, *arguments: str) -> Result:
    return run(None, "token", *arguments, "--state-dir", str(state))


def created(state: Path, *arguments: str) -> tuple[str, str]:
    """The id and the text of a new one."""
    done = token(state, "create", *arguments)
    assert done.exit_code == 0, done.output
    found = TEXT.fullmatch(done.stdout)
    assert found is not None
    return found[1], done.stdout.strip()


def listed(state: Path) -> list[dict[str, object]]:
    return list(json.loads(token(state, "ls", "-o", "json").stdout)["items"])


def test_a_token_stands_alone_on_standard_output_and_is_good(state: Path) -> None:
    done = token(state, "create", "ci", "--role", "operator")

    presented = read(done.stdout.strip())
    assert presented is not None
    kept = TokenFiles(state).find(presented.token_id)
    assert kept is not None
    assert (is_proved(presented, kept), kept.role, kept.expires_at) == (True, "operator", None)
    assert done.stderr == f"token {kept.token_id} for ci: operator; this is the only time that it is shown\n"


def test_who_says_nothing_gets_a_viewer(state: Path) -> None:
    token_id, _text = created(state, "grafana")

    kept = TokenFiles(state).find(token_id)
    assert kept is not None
    assert kept.role == "viewer"


def test_a_list_shows_everything_but_tokens(state: Path) -> None:
    texts = [created(state, "ci", "--role", "admin", "--expires", "30d"), created(state, "grafana")]

    items = listed(state)
    assert [(item["id"], item["name"], item["role"], item["last_used_at"]) for item in items] == [
        (texts[0][0], "ci", "admin", None), (texts[1][0], "grafana", "viewer", None),
    ]  # fmt: skip
    assert [item["expires_at"] is None for item in items] == [False, True]
    shown = token(state, "ls").output + json.dumps(items)
    assert [text for _, text in texts if text.split("_", 2)[2] in shown] == []
    for name in ("ci", "grafana"):
        assert name in shown


def test_one_that_expired_is_shown_as_such(state: Path) -> None:
    TokenFiles(state, lambda: 1000.0).create("old", "viewer", 60)

    row = token(state, "ls").stdout.splitlines()[1]
    assert (row.split()[1:3], "expired" in row, row.endswith("never")) == (["old", "viewer"], True, True)


def test_what_is_revoked_is_gone_and_another_is_not(state: Path) -> None:
    (gone, _), (kept, _) = created(state, "a"), created(state, "b")

    assert token(state, "revoke", gone).stdout == f"token {gone} is revoked\n"
    assert [item["id"] for item in listed(state)] == [kept]
    assert token(state, "revoke", gone).exit_code == Exit.NOT_FOUND


def test_an_id_that_is_nearly_right_is_suggested_and_a_whole_token_is_not_repeated(state: Path) -> None:
    token_id, text = created(state, "a")
    nearly = token_id[:-1] + ("0" if token_id[-1] != "0" else "1")

    assert f'Did you mean "{token_id}"?' in token(state, "revoke", nearly).stderr
    pasted = token(state, "revoke", text)
    assert (pasted.exit_code, text in pasted.output) == (Exit.NOT_FOUND, False)
    assert len(listed(state)) == 1


@pytest.mark.parametrize("token_id", ["../../etc/passwd", "", ".", "a/b", "\x1b[31m"])
def test_what_is_no_id_finds_nothing_and_touches_nothing(state: Path, token_id: str) -> None:
    result = token(state, "revoke", token_id)

    assert (result.exit_code, "\x1b" in result.output) == (Exit.NOT_FOUND, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-x",), ("",), ("a b",), ("Ä",), ("a" * 64,), ("a/b",), ("ci", "--role", "root"), ("ci", "--expires", "0s"),
        ("ci", "--expires", "soon"), ("ci", "--expires", "11y"), ("ci", "--expires", "-1d"), (),
    ],
)  # fmt: skip
def test_what_is_no_token_to_make_is_wrong_usage_and_makes_none(state: Path, arguments: tuple[str, ...]) -> None:
    assert token(state, "create", *arguments).exit_code == Exit.USAGE
    assert os.listdir(state) == []


def test_a_name_is_taken_once(state: Path) -> None:
    created(state, "ci")
    again = token(state, "create", "ci")

    assert (again.exit_code, again.stdout) == (Exit.CONFLICT, "")
    assert "there is a token of that name" in again.stderr


def test_no_tokens_are_told_with_what_makes_one(state: Path) -> None:
    assert "`workerctl token create NAME` makes one" in token(state, "ls").stderr
    assert listed(state) == []


def test_a_state_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = token(tmp_path / "none", "create", "ci")

    assert (result.exit_code, result.stdout) == (Exit.FAILED, "")
    assert "`workerctl serve` makes it" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_state_directory_is_left_to_that_user(state: Path) -> None:
    os.chown(state, 65534, 65534)

    result = token(state, "create", "ci")
    assert (result.exit_code, result.stdout, os.listdir(state)) == (Exit.NOT_AUTHORISED, "", [])
    assert "sudo -u '#65534'" in result.stderr


def test_a_directory_that_takes_no_file_is_told(state: Path) -> None:
    (state / "tokens").write_text("in the way")

    result = token(state, "create", "ci")
    assert (result.exit_code, result.stdout) == (Exit.FAILED, "")
    assert "Cannot write" in result.stderr
