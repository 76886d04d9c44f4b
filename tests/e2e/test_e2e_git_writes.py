"""`serve --writes ...` on a real git work tree: what the API writes, how it is answered, and a kill in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed"),
]
WEB = "/api/v1/worker-configs/web"
TRAILER = "%(trailers:key=Request-Id,valueonly,separator=)"


def git(site: Installation, *arguments: str) -> str:
    """What a person does in the specs directory."""
    who = {f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=site.specs, env=site.environment(**who, GIT_CONFIG_NOSYSTEM="1"), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(site: Installation) -> Installation:
    """web and db, committed on main."""
    site.add("web")
    site.add("db")
    git(site, "init", "-q", "-b", "main")
    git(site, "add", "-A")
    git(site, "commit", "-q", "-m", "two workers")
    return site


def test_a_patch_is_a_commit_and_is_carried_out(repository: Installation) -> None:
    site = repository
    site.serve("--writes", "commit")
    site.until_running()
    answer = site.ask(WEB, "PATCH", {"replicas": 2}, X_Request_Id="deploy-7")
    assert answer.status == 200, answer
    assert git(site, "log", "-1", f"--format=%s|{TRAILER}") == ("web: replicas unset -> 2|deploy-7")
    eventually(lambda: len(site.living()) == 3, told="the second replica lives")
    author = git(site, "log", "-1", "--format=%an <%ae>")
    assert site.ask("/api/v1/workers/db/stop", "POST", {}, X_Request_Id="night-8").status == 202
    assert git(site, "log", "-1", f"--format=%s|{TRAILER}|%an <%ae>") == (
        f'db: desired_state unset -> "stopped"|night-8|{author}'
    )
    assert git(site, "status", "--porcelain") == ""


def test_a_persons_edit_is_not_committed_by_us_and_a_busy_repository_says_when_to_try_again(
    repository: Installation,
) -> None:
    site = repository
    site.serve("--writes", "commit")
    site.until_running()
    site.write("web.yaml", site.spec("web") + "# mine\n")
    answer = site.ask(WEB, "PATCH", {"replicas": 2})
    assert answer.status == 409
    assert answer.body["code"] == "uncommitted_changes"
    assert (site.specs / "web.yaml").read_text().endswith("# mine\n")
    git(site, "commit", "-q", "-am", "mine")
    (site.specs / ".git" / "MERGE_HEAD").write_text("")
    answer = site.ask(WEB, "PATCH", {"replicas": 2})
    assert (answer.status, answer.body["code"] in ("busy", "source_held")) == (409, True)
    stop = site.ask("/api/v1/workers/web/stop", "POST", {})
    assert (stop.status, stop.body["code"] in ("busy", "source_held")) == (409, True)
    assert (answer.retry_after or "").isdigit()
    assert (stop.retry_after or "").isdigit()
    (site.specs / ".git" / "MERGE_HEAD").unlink()
    eventually(lambda: site.ask(WEB, "PATCH", {"replicas": 2}).status == 200, told="it is written")
    assert site.ask(WEB, "PATCH", {"replicas": 2}).status == 200


def test_a_read_only_source_refuses_all_writes_and_says_what_to_do(repository: Installation) -> None:
    site = repository
    site.serve("--writes", "readonly")
    site.until_running()
    before = {path.name: path.read_bytes() for path in site.specs.glob("*.yaml")}
    answers = [
        site.ask(WEB, "PATCH", {"replicas": 2}),
        site.ask(WEB, "DELETE"),
        site.ask("/api/v1/worker-configs", "POST", {"worker_id": "new", "command": ["true"]}),
        site.ask("/api/v1/workers/web/stop", "POST", {}),
    ]
    assert [(answer.status, answer.body["code"]) for answer in answers] == [(409, "read_only_source")] * 4
    assert all("for_ms" in answer.body["errors"][0]["hint"] for answer in answers)
    assert {path.name: path.read_bytes() for path in site.specs.glob("*.yaml")} == before
    assert site.ask("/api/v1/workers/web/restart", "POST", {}).status == 202


def test_a_controller_killed_in_the_middle_of_a_write_ends_it_when_it_comes_back(repository: Installation) -> None:
    site = repository
    site.serve("--writes", "commit", WORKERCTL_FAIL="sources.git_after_file=kill")
    site.until_running()
    with pytest.raises(OSError):  # noqa: PT011 - it dies in the middle of the answer
        site.ask(WEB, "PATCH", {"replicas": 2})
    site.ended(code=-signal.SIGKILL)
    assert (site.specs / ".git" / "index.lock").exists()
    site.serve("--writes", "commit")
    eventually(lambda: len(site.living()) == 3, told="the second replica lives")
    assert git(site, "log", "-1", "--format=%s") == "web: replicas unset -> 2"
    assert git(site, "status", "--porcelain") == ""
    assert site.ask(WEB, "PATCH", {"replicas": 1}).status == 200


def test_a_pushed_write_is_at_the_remote_and_a_remote_that_is_away_is_503(repository: Installation) -> None:
    site = repository
    remote = site.root / "beside" / "remote.git"
    git(site, "init", "-q", "--bare", "-b", "main", str(remote))
    git(site, "remote", "add", "origin", str(remote))
    git(site, "push", "-q", "-u", "origin", "main")
    site.serve("--writes", "push")
    site.until_running()
    assert site.ask(WEB, "PATCH", {"replicas": 2}).status == 200
    assert git(site, f"--git-dir={remote}", "rev-parse", "main") == git(site, "rev-parse", "HEAD")
    remote.rename(remote.with_name("away"))
    answer = site.ask(WEB, "PATCH", {"replicas": 3})
    stop = site.ask("/api/v1/workers/web/stop", "POST", {})
    for refused in (answer, stop):
        assert (refused.status, refused.body["code"], refused.retry_after) == (503, "not_pushed", "30")
    assert git(site, "status", "--porcelain") == ""
