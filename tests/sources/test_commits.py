"""The commit of a file: HEAD's where the file is as HEAD has it, none where it is not; git is asked when HEAD moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sources.git_site import WEB, WorkingTree, needs_git

pytestmark = needs_git


class Site(WorkingTree):
    def commits(self) -> dict[str, str]:
        """What a scan says now."""
        self.now += 1
        found: Mapping[str, str] = self.source.scan(self.now).desired.commits
        return dict(found)

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    @property
    def asked(self) -> int:
        return self.source._commits.asked


@pytest.fixture(params=["sha1", "sha256"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(tmp_path / "tree", objects=request.param)


def test_a_file_has_heads_commit_until_it_is_edited_and_again_once_it_is_committed(site: Site) -> None:
    first = site.head()
    assert site.commits() == {"web.yaml": first, "db.yaml": first}
    site.write("web.yaml", WEB.replace("replicas: 1", "replicas: 2"))
    assert site.commits() == {"db.yaml": first}
    site.git("add", "-A")
    assert site.commits() == {"db.yaml": first}, "staged is not committed"
    site.save("two replicas")
    second = site.head()
    assert site.commits() == {"web.yaml": second, "db.yaml": second}
    site.write("web.yaml", WEB)
    site.write("new.yaml", WEB.replace("web", "new"))
    assert site.commits() == {"db.yaml": second}, "neither an older content nor a file that git does not know"


def test_git_is_asked_once_for_all_files_and_again_only_when_head_moved(site: Site) -> None:
    site.commits()
    before = site.asked
    for number in range(3):
        site.write("web.yaml", WEB + f"# {number}\n")
        site.commits()
    assert site.asked == before
    site.git("checkout", "-q", "-f", "--detach")
    site.commits()
    assert site.asked == before + 1


def test_what_does_not_change_is_the_same_object(site: Site) -> None:
    site.commits()
    site.now += 1
    first = site.source.scan(site.now).desired.commits
    site.now += 1
    assert site.source.scan(site.now).desired.commits is first


def test_line_ends_that_git_turns_are_no_edit(site: Site) -> None:
    site.write("web.yaml", WEB.replace("\n", "\r\n"))
    assert site.commits().keys() == {"web.yaml", "db.yaml"}


def test_without_a_commit_without_git_and_without_a_repository_there_is_none(tmp_path: Path) -> None:
    assert Site(tmp_path / "empty", empty=True).commits() == {}
    broken = Site(tmp_path / "broken")
    assert len(broken.commits()) == 2
    (broken.folder / ".git").rename(broken.folder / "other")
    assert broken.commits() == {}
    lonely = Site(tmp_path / "lonely")
    lonely.source._commits._environment = {"PATH": "/nonexistent"}
    lonely.source._commits._stamp = ""
    assert lonely.commits() == {}
