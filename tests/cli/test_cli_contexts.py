"""Contexts: which controller is asked, and that a token goes to its own server only and is never shown."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.cli.errors import Exit
from controller.cli.main import root
from tests.fakes.api_server import FakeApi, refusal, worker

TOKEN = "wctl_1f0c9a2e_secret"
Run = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path) -> Run:
    """The command line of a person whose settings are in `tmp_path`."""

    def run(*arguments: str, text: str = "", **env: str) -> Result:
        names = ("WORKERCTL_SERVER", "WORKERCTL_TOKEN", "WORKERCTL_TOKEN_FILE", "WORKERCTL_CONTEXT")
        clean: dict[str, str | None] = dict.fromkeys(names)
        whole = {**clean, "XDG_CONFIG_HOME": str(tmp_path), **env}
        return CliRunner().invoke(root, arguments, prog_name="workerctl", env=whole, input=text)

    return run


def sent(api: FakeApi) -> list[str | None]:
    return [asked.headers.get("Authorization") for asked in api.requests]


def test_the_first_context_is_in_use_and_others_when_chosen(api: FakeApi, here: Run) -> None:
    api.workers = [worker("web")]
    assert here("config", "set", "box", "--server", "http://127.0.0.1:1").stdout == "box: http://127.0.0.1:1, in use\n"
    assert here("get").exit_code == Exit.UNREACHABLE
    assert "(context box)" in here("get").stderr
    added = here("config", "set", "real", "--server", api.url)
    assert "`workerctl config use-context real` uses it" in added.stdout
    assert here("get", "-o", "name", WORKERCTL_CONTEXT="real").stdout == "web\n"
    assert here("config", "use-context", "real").exit_code == 0
    assert here("get", "-o", "name").stdout == "web\n"
    assert [row.split() for row in here("config", "ls").stdout.splitlines()[1:]] == [
        ["box", "http://127.0.0.1:1", "-"],
        ["*", "real", api.url, "-"],
    ]
    assert here("config", "rm", "real").exit_code == 0
    assert json.loads(here("config", "ls", "-o", "json").stdout)["items"] == [
        {"name": "box", "server": "http://127.0.0.1:1", "has_token": False, "in_use": False}
    ]


def test_the_flag_and_the_environment_are_stronger_than_a_context(api: FakeApi, here: Run) -> None:
    api.workers = [worker("web")]
    here("config", "set", "box", "--server", "http://127.0.0.1:1")
    assert here("get", "-o", "name", "--server", api.url).stdout == "web\n"
    assert here("get", "-o", "name", WORKERCTL_SERVER=api.url).stdout == "web\n"
    assert json.loads(here("config", "get", "-o", "json", WORKERCTL_SERVER=api.url).stdout)["origin"] == (
        "WORKERCTL_SERVER"
    )


def test_a_token_is_tried_then_kept_for_its_owner_only(api: FakeApi, here: Run, tmp_path: Path) -> None:
    done = here("login", "--server", api.url, "--context", "prod", text=f"{TOKEN}\n")
    path = tmp_path / "workerctl" / "contexts.json"
    assert (done.exit_code, TOKEN in done.output) == (0, False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["contexts"] == {"prod": {"server": api.url, "token": TOKEN}}
    assert list(path.parent.iterdir()) == [path]
    here("get")
    assert set(sent(api)) == {f"Bearer {TOKEN}"}
    shown = "".join(here("config", verb).output for verb in ("ls", "get"))
    assert (TOKEN in shown, "yes" in shown) == (False, True)


def test_a_token_that_is_refused_is_not_kept(api: FakeApi, here: Run, tmp_path: Path) -> None:
    api.answers["GET", "/api/v1/workers"] = refusal(401, "this token does not exist, or was revoked")
    assert here("login", "--server", api.url, text=TOKEN).exit_code == Exit.NOT_AUTHORISED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "\n", "two words", "schlüssel"])
def test_what_is_no_token_is_not_sent(api: FakeApi, here: Run, text: str) -> None:
    assert here("login", "--server", api.url, text=text).exit_code == Exit.USAGE
    assert api.requests == []


def test_a_token_goes_to_its_own_server_only(api: FakeApi, here: Run) -> None:
    with FakeApi().serving() as other:
        here("login", "--server", api.url, text=TOKEN)
        here("get", "--server", other.url)
        assert sent(other) == [None] * len(other.requests)
        here("get", "--server", other.url, WORKERCTL_TOKEN="mine")
        assert sent(other)[-1] == "Bearer mine"
    here("config", "set", "default", "--server", "http://127.0.0.1:1")
    here("get", "--server", api.url)
    assert sent(api)[-1] is None


@pytest.mark.parametrize("arguments", [("config", "use-context", "prd"), ("config", "rm", "prd")])
def test_a_context_that_is_not_there_leaves_with_5(here: Run, arguments: tuple[str, ...]) -> None:
    here("config", "set", "prod", "--server", "http://box")
    result = here(*arguments)
    assert (result.exit_code, 'Did you mean "prod"?' in result.stderr) == (Exit.NOT_FOUND, True)
    assert here("get", WORKERCTL_CONTEXT="prd").exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize(
    "arguments", [("a b", "--server", "http://box"), ("a", "--server", "ftp://box"), ("../a", "--server", "http://box")]
)
def test_what_is_no_name_or_server_is_wrong_usage(here: Run, arguments: tuple[str, ...]) -> None:
    assert here("config", "set", *arguments).exit_code == Exit.USAGE


@pytest.mark.parametrize("text", ["{", "[]", '{"contexts": 3}', '{"contexts": {"a": {}}}'])
def test_a_damaged_file_is_told_and_others_ways_still_work(api: FakeApi, here: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "workerctl").mkdir()
    (tmp_path / "workerctl" / "contexts.json").write_text(text)
    result = here("get")
    assert (result.exit_code, "contexts.json" in result.stderr) == (Exit.USAGE, True)
    assert here("get", "--server", api.url, WORKERCTL_TOKEN="mine").exit_code == 0
