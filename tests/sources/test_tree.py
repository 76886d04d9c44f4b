"""Reading files that change under the reader, and what is remembered of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.core.problems import Problem
from controller.sources.looks import Look, Looks
from controller.sources.tree import Found, Tree, Unreadable, Vanished, opened_tree


def found_in(tree: Tree, path: str) -> Found:
    found = tree.find(path)
    assert isinstance(found, Found)
    return found


def text_of(_: Found, content: bytes | Problem) -> str:
    return content.decode() if isinstance(content, bytes) else content.message


def test_a_file_that_was_replaced_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    with opened_tree(str(tmp_path)) as tree:
        found = found_in(tree, "a.yaml")
        assert tree.read(found) == b"one"
        path.write_text("other")
        with pytest.raises(Vanished):
            tree.read(found)
        path.unlink()
        with pytest.raises(Vanished):
            tree.read(found)
        path.symlink_to("/etc/passwd")
        with pytest.raises(Unreadable, match="Too many levels of symbolic links"):
            tree.read(found)


def test_a_file_that_changes_while_it_is_looked_at_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    looks: Looks[str] = Looks(0.2, text_of)
    with opened_tree(str(tmp_path)) as tree:
        found = found_in(tree, "a.yaml")
        later = found.identity.mtime_ns / 1e9 + 10
        path.write_text("other")
        assert looks.look(tree, found, later) == Look(content=None, is_settled=False, again_at=later + 0.2)
        assert looks.look(tree, found_in(tree, "a.yaml"), later + 0.2) == Look(content="other")


def test_what_cannot_be_read_is_content_too(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one")
    looks: Looks[str] = Looks(0, text_of)
    with opened_tree(str(tmp_path)) as tree:
        found = found_in(tree, "a.yaml")
        path.unlink()
        path.symlink_to("b.yaml")
        look = looks.look(tree, found, float("inf"))
        assert look == Look(content="cannot be read: Too many levels of symbolic links")


def test_a_path_behind_a_link_that_was_swapped_in_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "specs/sub").mkdir(parents=True)
    (tmp_path / "specs/sub/a.yaml").write_text("one")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.yaml").write_text("two")
    with opened_tree(str(tmp_path / "specs")) as tree:
        found = found_in(tree, "sub/a.yaml")
        (tmp_path / "specs/sub").rename(tmp_path / "specs/old")
        (tmp_path / "specs/sub").symlink_to(tmp_path / "outside")
        with pytest.raises(Unreadable, match="Not a directory"):
            tree.read(found)


def test_the_device_of_a_lost_file_is_that_of_the_nearest_directory_left(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with opened_tree(str(tmp_path)) as tree:
        assert tree.folder_device("a/b/c.yaml") == os.stat(tmp_path).st_dev
        assert tree.folder_device("c.yaml") == os.stat(tmp_path).st_dev
