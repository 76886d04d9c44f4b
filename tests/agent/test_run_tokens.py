"""The tokens of runs: whose they are, and what is left of the key when controllers and agents come and go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.agent.protocol import heartbeat_token
from controller.agent.run_tokens import RunTokens


def test_there_is_no_token_before_a_controller_has_named_its_key(tmp_path: Path) -> None:
    assert RunTokens(str(tmp_path)).of("web/0", "r1") == ""


def test_a_token_names_its_run_and_nobody_else_can_make_it(tmp_path: Path) -> None:
    tokens = RunTokens(str(tmp_path))
    tokens.bring("key")
    found = tokens.of("web/0", "r1")
    assert found == heartbeat_token("key", "web/0", "r1")
    assert found.startswith("web.0.r1.")
    others = {tokens.of("web/1", "r1"), tokens.of("web/0", "r2"), heartbeat_token("other", "web/0", "r1")}
    assert {other.rpartition(".")[2] for other in others} & {found.rpartition(".")[2]} == set()


def test_the_next_agent_has_the_key_before_any_controller_comes_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    RunTokens(str(tmp_path)).bring("key")
    assert RunTokens(str(tmp_path)).of("web/0", "r1") == heartbeat_token("key", "web/0", "r1")
    assert [os.stat(file).st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600]


def test_another_key_replaces_the_first_and_what_is_left_of_a_half_written_one(tmp_path: Path) -> None:
    tokens = RunTokens(str(tmp_path))
    tokens.bring("first")
    (tmp_path / "heartbeat.key.new").write_text("half")
    tokens.bring("second")
    assert RunTokens(str(tmp_path)).of("web/0", "r1") == heartbeat_token("second", "web/0", "r1")
    assert [file.name for file in tmp_path.iterdir()] == ["heartbeat.key"]


@pytest.mark.parametrize("key", ["sch\N{LATIN SMALL LETTER O WITH DIAERESIS}n", "x" * 257])
def test_what_is_no_key_is_passed_over(tmp_path: Path, key: str) -> None:
    tokens = RunTokens(str(tmp_path))
    tokens.bring("key")
    tokens.bring(key)
    assert tokens.of("web/0", "r1") == heartbeat_token("key", "web/0", "r1")


def test_a_folder_that_takes_nothing_costs_the_next_agent_its_tokens_and_this_one_none(tmp_path: Path) -> None:
    tokens = RunTokens(str(tmp_path / "gone"))
    tokens.bring("key")
    assert tokens.of("web/0", "r1") == heartbeat_token("key", "web/0", "r1")
    (tmp_path / "heartbeat.key").write_bytes(b"\xff\xfe")
    assert RunTokens(str(tmp_path)).of("web/0", "r1") == ""
