"""Tokens in a state directory: what is kept and how, and what becomes of files that are none."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from controller.api.tokens import is_proved, read
from controller.desk.tokens import TokenError, TokenFiles


@pytest.fixture
def files(tmp_path: Path) -> TokenFiles:
    return TokenFiles(tmp_path, lambda: 1000.0)


def test_a_token_is_kept_as_a_hash_in_a_file_of_ours_alone(files: TokenFiles, tmp_path: Path) -> None:
    token, text = files.create("ci", "operator", 60)

    path = tmp_path / "tokens" / f"{token.token_id}.json"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]
    assert text.split("_", 2)[2] not in path.read_text()
    assert (token.role, token.expires_at, files.find(token.token_id)) == ("operator", 1060.0, token)
    presented = read(text)
    assert presented is not None
    assert is_proved(presented, files.find(token.token_id))


def test_what_one_makes_or_revokes_another_knows_at_once(files: TokenFiles, tmp_path: Path) -> None:
    running = TokenFiles(tmp_path)
    token, _text = files.create("ci", "viewer")

    assert running.find(token.token_id) == token
    assert (files.revoke(token.token_id), running.find(token.token_id), files.all()) == (True, None, [])
    assert files.revoke(token.token_id) is False


def test_when_it_was_used_is_noted_and_brings_no_revoked_token_back(files: TokenFiles) -> None:
    token, _text = files.create("ci", "viewer")
    assert [one.last_used_at for one in files.all()] == [None]
    files.used(token.token_id)
    assert [one.last_used_at for one in files.all()] == [1000.0]
    files.revoke(token.token_id)
    files.used(token.token_id)
    assert files.all() == []


RIGHT = {"id": "00000000", "name": "a", "role": "admin", "sha256": "0" * 64, "created_at": 1, "expires_at": None}
WRONG: list[dict[str, object]] = [{"id": "other"}, {"role": "root"}, {"role": []}, {"sha256": 5}]


@pytest.mark.parametrize("content", [
    b"", b"[]", b"null", b"{}", b'"x"', b"\xff", b"{" * 5000,
    *(json.dumps({**RIGHT, **wrong}) for wrong in WRONG),
])  # fmt: skip
def test_a_file_that_is_no_token_lets_nobody_in(files: TokenFiles, tmp_path: Path, content: bytes | str) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "00000000.json").write_bytes(content if isinstance(content, bytes) else content.encode())

    assert (files.find("00000000"), files.all()) == (None, [])


def test_no_link_is_followed_and_no_other_path_is_read(files: TokenFiles, tmp_path: Path) -> None:
    token, _text = files.create("ci", "viewer")
    (tmp_path / "tokens" / "11111111.json").symlink_to(f"{token.token_id}.json")

    assert [files.find(name) for name in ("11111111", f"../tokens/{token.token_id}", "", "..")] == [None] * 4
    assert files.revoke(f"../tokens/{token.token_id}") is False


def test_the_first_token_is_made_once_and_again_only_when_no_living_one_is_an_admins(tmp_path: Path) -> None:
    now = [1000.0]
    files = TokenFiles(tmp_path, lambda: now[0])
    files.create("ci", "operator")

    path = files.bootstrap()
    assert path == tmp_path / "bootstrap-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    presented = read(path.read_text().strip())
    assert presented is not None
    assert is_proved(presented, files.find(presented.token_id))
    assert files.bootstrap() is None
    files.revoke(presented.token_id)
    files.create("boss", "admin", 60)
    assert files.bootstrap() is None
    now[0] += 61
    assert files.bootstrap() == path


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("in the way")

    with pytest.raises(TokenError, match="Cannot write"):
        TokenFiles(tmp_path).create("ci", "viewer")
