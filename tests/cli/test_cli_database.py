"""What doctor says of the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.database_check import database


def said(target: str) -> list[tuple[str, str]]:
    return [(check.level, check.message) for check in database(target)]


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_file_is_named_and_what_was_set_aside_beside_it(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "workerctl.db"
    assert said(f"{prefix}{path}") == [("ok", f"{path}, begun by serve")]
    path.touch()
    assert said(f"{prefix}{path}") == [("ok", str(path))]
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"workerctl.db.damaged-20261124T120000Z{end}").touch()
    assert said(f"{prefix}{path}") == [
        ("ok", str(path)),
        ("warn", f"set aside as damaged in {tmp_path}: workerctl.db.damaged-20261124T120000Z"),
    ]


def test_a_server_that_does_not_answer_is_a_failure_without_its_password() -> None:
    (check,) = database("postgresql://me:hunter2@127.0.0.1:1/db")
    assert check.level == "fail"
    assert check.message.startswith(
        "Cannot open the database postgresql://me:***@127.0.0.1:1/db: the server cannot be "
    )
    assert "hunter2" not in f"{check}"


def test_a_url_that_serve_would_refuse_is_a_failure() -> None:
    assert [check.level for check in database("mysql://h/db")] == ["fail"]
