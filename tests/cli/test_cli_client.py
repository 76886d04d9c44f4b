from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controller.cli.client import Address, AddressError, parse_address
from controller.cli.errors import Exit, fault_lines, from_problem
from tests.cli.cli_site import meanwhile, run, shown
from tests.fakes.api_server import FakeApi, problem, refusal, worker


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:3000", {"host": "127.0.0.1", "port": 3000}),
        ("http://box:8000/", {"host": "box", "port": 8000}),
        ("https://box", {"host": "box", "port": 3000, "secure": True}),
        ("box", {"host": "box", "port": 3000}),
        ("box:81", {"host": "box", "port": 81}),
        ("http://[::1]:81", {"host": "::1", "port": 81}),
        ("unix:/run/w/api.sock", {"path": "/run/w/api.sock"}),
        ("unix:api.sock", {"path": "api.sock"}),
    ],
)
def test_a_server_is_named_by_url_host_or_socket(text: str, address: dict[str, str | int]) -> None:
    assert parse_address(text, "--server") == Address(text=text, origin="--server", **address)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["unix:", "http://", "http://box:port", "ftp://box"])
def test_what_names_no_server_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text, "--server")
    result = run(None, "get", "--server", text)
    assert (result.exit_code, "--server:" in result.stderr) == (Exit.USAGE, True)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_not_there_is_told_with_what_was_tried_and_what_to_do() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    result = run(None, "get", "--server", url)
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr.splitlines()[:2] == [
        f"Error: Cannot reach the controller at {url}: Connection refused",
        f"  tried: {url} (--server)",
    ]
    assert "workerctl serve specs" in result.stderr


def test_the_flag_is_stronger_than_the_environment_before_and_after_the_verb(api: FakeApi) -> None:
    api.workers = [worker("web")]
    wrong = {"WORKERCTL_SERVER": f"http://127.0.0.1:{unused_port()}"}
    assert run(None, "get", "-o", "name", env=wrong).exit_code == Exit.UNREACHABLE
    assert "(WORKERCTL_SERVER)" in run(None, "get", env=wrong).stderr
    assert run(None, "get", "-o", "name", "--server", api.url, env=wrong).stdout == "web\n"
    assert run(None, "--server", api.url, "get", "-o", "name", env=wrong).stdout == "web\n"


def test_a_unix_socket_works_like_a_port(tmp_path: Path) -> None:
    with FakeApi(workers=[worker("web")]).serving(str(tmp_path / "api.sock")) as api:
        assert shown(api, "get", "-o", "name") == "web\n"


def test_a_socket_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    result = run(None, "get", "--server", f"unix:{tmp_path}/none.sock")
    assert (result.exit_code, "No such file" in result.stderr) == (Exit.UNREACHABLE, True)


def test_another_program_on_the_port_is_told_apart(api: FakeApi) -> None:
    api.answers["GET", "/api/v1/workers"] = (200, b"<html>It works!</html>")
    result = run(api, "get")
    assert result.exit_code == Exit.FAILED
    assert "not as a workerctl controller" in result.stderr


def test_a_server_that_hangs_up_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(10)
        port = deaf.getsockname()[1]

        def hang_up() -> None:
            connection, _ = deaf.accept()
            connection.recv(1)
            connection.close()

        with meanwhile(hang_up):
            result = run(None, "get", "--server", f"127.0.0.1:{port}")
    assert result.exit_code == Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE), (401, Exit.NOT_AUTHORISED), (403, Exit.NOT_AUTHORISED), (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT), (412, Exit.CONFLICT), (421, Exit.NOT_AUTHORISED), (422, Exit.USAGE),
        (428, Exit.CONFLICT), (500, Exit.FAILED), (503, Exit.FAILED), (504, Exit.TIMED_OUT),
    ],
)  # fmt: skip
def test_each_refusal_has_its_exit_code(status: int, code: Exit) -> None:
    assert from_problem(status, refusal(status, "no")[1], doing="act").exit_code == code


def test_a_guard_is_told_apart_from_a_conflict() -> None:
    document = refusal(409, "somebody must confirm", "guarded")[1]
    assert from_problem(409, document, doing="stop web").exit_code == Exit.REFUSED


@pytest.mark.parametrize("code", ["read_only_source", "edit_refused"])
def test_a_file_that_cannot_be_edited_is_no_guard(code: str) -> None:
    assert from_problem(409, refusal(409, "no", code)[1], doing="stop web").exit_code == Exit.CONFLICT


def test_a_refusal_shows_the_faults_of_files_with_place_and_hint() -> None:
    general = {"message": "the file is broken", "hint": "use for_ms", "file": None}
    document = refusal(409, "the file is broken", errors=[problem(), general])[1]
    error = from_problem(409, document, doing="start web")
    assert error.message == "Cannot start web: the file is broken"
    assert error.details == (
        'web.yaml:7:3: replicas: expected an integer, found "three"',
        "    write replicas: 3",
    )
    assert error.hints == ("use for_ms",)


def test_a_bug_of_the_server_names_the_request_to_look_for() -> None:
    error = from_problem(500, refusal(500, "internal error")[1], doing="get workers")
    assert error.details == ("request r-1 (see the controller's log)",)
    assert from_problem(500, {}, doing="get workers").message == "Cannot get workers: the controller answered 500"


def test_a_fault_without_a_file_stands_under_its_pointer() -> None:
    assert fault_lines({"pointer": "/query/tail", "message": "expected a number"}) == ["/query/tail: expected a number"]
    assert fault_lines({"message": "no"}) == ["no"]
